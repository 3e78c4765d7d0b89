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
    size_t vocabulary;  /* pieces; blank = vocabulary. With a decoder: all ids */
    size_t n_durations; /* 0: RNN-T */
    int durations[STAPES__STAGES_MAX_DURATIONS];
    size_t hidden, layers, joint; /* prediction network; 0 without a transducer */
    bool has_transducer, has_ctc;
    int max_symbols;
    size_t n_prompts;            /* language prompts; 0 = not conditioned */
    size_t mel_factor;           /* mel frames per encoder frame: 8, Whisper 2 */
    stapes__attention_mask mask; /* the model's own, offline */
    bool full_context;           /* unlimited attention: long audio needs windows */
    bool has_decoder;            /* autoregressive, with cross-attention */
    size_t n_audio_ctx;          /* encoder positions of a full window; 0 = no such limit */
    size_t n_text_ctx;           /* tokens that a decoding holds */
    size_t decoder_layers, decoder_heads;
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

/* One window being decoded: the caches of an autoregressive decoder, owned by the caller from
 * decode_open to decode_close. Implementations begin with this; to others it is read-only. */
typedef struct stapes__decoding {
    size_t length;     /* tokens fed to each hypothesis = length of its cache */
    size_t hypotheses; /* alive */
    size_t positions;  /* of the window; 0 before the first */
} stapes__decoding;

typedef struct stapes__decode_step {
    const int32_t *tokens; /* [hypotheses, n_tokens] */
    size_t n_tokens;       /* the same for all, at least 1 */
    /* Which of the n_tokens places are wanted: logits [hypotheses, n_wanted, vocabulary], raw. */
    const size_t *wanted;
    size_t n_wanted;
    float *logits;
    /* Cross-attention probabilities of some heads, given as pairs of layer and head, for the
     * alignment of words: [n_heads, hypotheses * n_tokens, positions]. */
    const int (*heads)[2];
    size_t n_heads;
    float *attention;
} stapes__decode_step;

typedef struct stapes__stages stapes__stages;

/* An entry is NULL when the model has no such network. */
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

    /* Autoregressive decoding. decode_open makes room for up to `most` hypotheses; any number of
     * windows are decoded in it one after another. */
    stapes_status (*decode_open)(stapes__stages *s, size_t most, stapes__decoding **out,
                                 stapes_error *err);
    /* frames [positions, d_model] of one window, 1 to n_audio_ctx: keys and values of the
     * cross-attention are computed here, once. Leaves one hypothesis without tokens. */
    stapes_status (*decode_begin)(stapes__stages *s, stapes__decoding *d, const float *frames,
                                  size_t positions, stapes__arena *scratch, stapes_error *err);
    /* Feeds n_tokens to every hypothesis; length grows by n_tokens. One by one or together gives
     * the same logits. ARGUMENT for tokens, places or heads out of range and beyond n_text_ctx;
     * after a failure d is as before. INTERNAL when a cache does not hold the tokens fed. */
    stapes_status (*decode_step)(stapes__stages *s, stapes__decoding *d,
                                 const stapes__decode_step *step, stapes__arena *scratch,
                                 stapes_error *err);
    /* Hypothesis i continues parents[i], for i below n, which becomes the number of hypotheses. */
    stapes_status (*decode_reorder)(stapes__stages *s, stapes__decoding *d, const uint32_t *parents,
                                    size_t n, stapes_error *err);
    /* Forgets all but the first `length` tokens; length 0 also leaves one hypothesis. The window
     * stays. */
    void (*decode_rewind)(stapes__stages *s, stapes__decoding *d, size_t length);
    void (*decode_close)(stapes__stages *s, stapes__decoding *d); /* accepts NULL */

    void (*close)(stapes__stages *s);
} stapes__stages_table;

/* Implementations begin with this. */
struct stapes__stages {
    const stapes__stages_table *table;
    stapes__stages_info info;
};

#endif
