/* The second seam: whole networks by role. Decoders, streaming and the parity lab know stages
 * only, so that any two implementations can be compared or swapped. A stages object is read-only
 * after opening and shared by sessions; all working memory is the caller's arena. */
#ifndef STAPES_STAGES_STAGES_H
#define STAPES_STAGES_STAGES_H

#include "base/mem.h"
#include "compute/ops.h"

enum { STAPES__STAGES_MAX_DURATIONS = 16 };

/* What decoding and the engine need to know of a model. */
typedef struct stapes__stages_info {
    size_t n_mels, d_model;
    size_t vocabulary;  /* pieces; blank = vocabulary */
    size_t n_durations; /* 0: RNN-T */
    int durations[STAPES__STAGES_MAX_DURATIONS];
    size_t hidden, layers, joint; /* prediction network; 0 without a transducer */
    bool has_transducer, has_ctc;
    int max_symbols;
    size_t n_prompts;            /* language prompts; 0 = not conditioned */
    size_t mel_factor;           /* mel frames per encoder frame: 8 */
    stapes__attention_mask mask; /* the model's own, offline */
    bool full_context;           /* unlimited attention: long audio needs windows */
} stapes__stages_info;

/* A ragged batch of log-mel features. */
typedef struct stapes__encode_request {
    const float *mel; /* [all frames, n_mels] */
    const stapes__span *spans;
    size_t n_spans;
    stapes__attention_mask mask;
    bool (*tick)(void *user, double done); /* false stops with ABORTED; may be NULL */
    void *tick_user;
    void (*tap)(void *user, const char *name, const float *data, size_t rows, size_t columns);
    void *tap_user;
} stapes__encode_request;

typedef struct stapes__stages stapes__stages;

typedef struct stapes__stages_table {
    const char *name; /* "native", "onnx" */
    /* *frames [sum of frames, d_model] in scratch; out_spans: n_spans entries of the caller. */
    stapes_status (*encode)(stapes__stages *s, const stapes__encode_request *request,
                            stapes__arena *scratch, float **frames, stapes__span *out_spans,
                            stapes_error *err);
    /* f [rows, joint]: the joint's share of the encoder frames. prompt < n_prompts; ignored by
     * models without prompts. */
    stapes_status (*project)(stapes__stages *s, const float *frames, size_t rows, size_t prompt,
                             float *f, stapes__arena *scratch, stapes_error *err);
    /* n hypotheses: h, c [n][layers][hidden] advance in place by labels; g [n, joint]. */
    stapes_status (*predict)(stapes__stages *s, const int32_t *labels, size_t n, float *h, float *c,
                             float *g, stapes__arena *scratch, stapes_error *err);
    /* logits [n, vocabulary + 1 + n_durations], raw. */
    stapes_status (*join)(stapes__stages *s, const float *f, const float *g, size_t n,
                          float *logits, stapes__arena *scratch, stapes_error *err);
    /* logits [rows, vocabulary + 1] of the CTC head, raw. */
    stapes_status (*ctc)(stapes__stages *s, const float *frames, size_t rows, float *logits,
                         stapes__arena *scratch, stapes_error *err);
    void (*close)(stapes__stages *s);
} stapes__stages_table;

/* Implementations begin with this. */
struct stapes__stages {
    const stapes__stages_table *table;
    stapes__stages_info info;
};

#endif
