/* FastConformer encoder: subsampling and Conformer layers with relative attention, written once
 * over compute/ops.h (Rekesh et al. 2023, arXiv:2305.05084; spec/fastconformer). */
#ifndef STAPES_MODELS_FASTCONFORMER_ENCODER_H
#define STAPES_MODELS_FASTCONFORMER_ENCODER_H

#include "models/fastconformer/config.h"
#include "models/loader.h"

typedef struct stapes__fc_encoder stapes__fc_encoder;

/* Loads the encoder's weights; problems are left in the loader. config and ops are kept. */
stapes__fc_encoder *stapes__fc_encoder_load(const stapes__fc_config *config,
                                            stapes__loader *loader);
void stapes__fc_encoder_free(stapes__fc_encoder *encoder);

/* Receives an intermediate tensor [rows, columns] by name, for the parity lab: "subsampling",
 * "layers.3.feed_forward1", ... The names are those of tests/vectors. */
typedef void (*stapes__tap_fn)(void *user, const char *name, const float *data, size_t rows,
                               size_t columns);

typedef struct stapes__fc_run {
    const float *mel;          /* [all frames, n_mels]: the utterances of the batch one below */
    const stapes__span *spans; /* mel frames of each utterance */
    size_t n_spans;
    stapes__attention_mask mask;
    /* Called after each layer with the share done; false stops with ABORTED. May be NULL. */
    bool (*tick)(void *user, double done);
    void *tick_user;
    stapes__tap_fn tap; /* NULL = none */
    void *tap_user;
} stapes__fc_run;

/* Runs the encoder. *out: [sum of frames, d_model] in `scratch`; out_spans: n_spans entries. */
stapes_status stapes__fc_encode(stapes__fc_encoder *encoder, const stapes__fc_run *run,
                                stapes__arena *scratch, float **out, stapes__span *out_spans,
                                stapes_error *err);

/* The mask of the model's own attention style for one of its contexts. */
stapes__attention_mask stapes__fc_mask(const stapes__fc_config *config, int context);

#endif
