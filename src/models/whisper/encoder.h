/* The Whisper encoder: two convolutions and pre-normed Transformer blocks over log-mel frames,
 * written once over compute/ops.h (spec/whisper 2). */
#ifndef STAPES_MODELS_WHISPER_ENCODER_H
#define STAPES_MODELS_WHISPER_ENCODER_H

#include "models/loader.h"
#include "models/whisper/config.h"

typedef struct stapes__whisper_encoder stapes__whisper_encoder;

/* Loads the encoder's weights; problems are left in the loader. config and ops are kept. NULL when
 * memory is short. */
stapes__whisper_encoder *stapes__whisper_encoder_load(const stapes__whisper_config *config,
                                                      stapes__loader *loader);
void stapes__whisper_encoder_free(stapes__whisper_encoder *encoder);

typedef struct stapes__whisper_run {
    const float *mel; /* [all frames, n_mels]: the windows of the batch one below another */
    const stapes__span *spans; /* mel frames of each window, at most 2 * n_audio_ctx */
    size_t n_spans;
    /* Called after each layer with the share done; false stops with ABORTED. May be NULL. */
    bool (*tick)(void *user, double done);
    void *tick_user;
    /* Receives intermediate tensors [rows, columns] under the names of tests/vectors: "conv1" (of
     * each window), "layers.0.fc1", "layers.0", "encoder". May be NULL. */
    void (*tap)(void *user, const char *name, const float *data, size_t rows, size_t columns);
    void *tap_user;
} stapes__whisper_run;

/* Runs the encoder: ceil(frames / 2) positions per window. A window shorter than the full one is
 * encoded as it stands; whether it was padded with silence is the caller's choice.
 * *out: [sum of positions, d_model] in `scratch`; out_spans: n_spans entries. ARGUMENT for a window
 * that is too long, ABORTED when tick says so. */
stapes_status stapes__whisper_encode(const stapes__whisper_encoder *encoder,
                                     const stapes__whisper_run *run, stapes__arena *scratch,
                                     float **out, stapes__span *out_spans, stapes_error *err);

#endif
