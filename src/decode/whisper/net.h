/* What Whisper's rules ask of the networks: one window at a time, one group of hypotheses. The
 * rules know nothing else, so a scripted object can stand in for a model. One object serves one
 * session; it owns the caches of the window. */
#ifndef STAPES_DECODE_WHISPER_NET_H
#define STAPES_DECODE_WHISPER_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
    STAPES__WHISPER_WINDOW = 3000, /* mel frames of a window: 30 s */
    STAPES__WHISPER_STRIDE = 2,    /* mel frames per encoder frame and per timestamp step */
    STAPES__WHISPER_FRAMES_PER_SECOND = 100
};

enum { STAPES__WHISPER_PROMPT = 223 }; /* most prompt tokens: half of the context less one */

/* A cross-attention head of the decoder. */
typedef struct stapes__whisper_head {
    uint16_t layer, head;
} stapes__whisper_head;

/* One decoder call: `count` new tokens for each of n hypotheses. */
typedef struct stapes__whisper_net_step {
    const int32_t *tokens; /* [n][count] */
    size_t n, count;
    bool first;            /* all self-attention caches are empty: a new sequence begins */
    const size_t *sources; /* [n]: hypothesis i continues what was hypothesis sources[i] at the
                              step before; NULL = i. Several may name the same one, and n may
                              differ from the step before. Not read when first */
    const size_t *rows;    /* [n_rows] positions within count, ascending, whose logits are wanted */
    size_t n_rows;
    float *logits; /* [n][n_rows][vocabulary], raw */
    /* Cross-attention for word times; n_heads = 0 asks for none. Probabilities of each head over
     * the encoder frames, of which [0, frames) are wanted: [n_heads][count][frames] of hypothesis
     * 0. The rules bring each row to the sum 1, so another scale per row does no harm. */
    const stapes__whisper_head *heads;
    size_t n_heads, frames;
    float *attention;
} stapes__whisper_net_step;

typedef struct stapes__whisper_net stapes__whisper_net;

typedef struct stapes__whisper_net_table {
    /* Encodes a window and makes its cross-attention keys and values; whatever the window before
     * left is forgotten. mel [frames, n_mels], 1 <= frames <= STAPES__WHISPER_WINDOW; beyond
     * `frames` the window is 0.0. */
    stapes_status (*encode)(stapes__whisper_net *net, const float *mel, size_t frames,
                            stapes_error *err);
    stapes_status (*step)(stapes__whisper_net *net, const stapes__whisper_net_step *step,
                          stapes_error *err);
} stapes__whisper_net_table;

/* Implementations begin with this. */
struct stapes__whisper_net {
    const stapes__whisper_net_table *table;
    size_t n_mels, vocabulary;
    size_t context;                    /* positions of the decoder: 448 */
    const stapes__whisper_head *heads; /* for word times, see stapes__whisper_alignment_heads */
    size_t n_heads;
};

#endif
