/* Relative-position attention over the matrix kernels.
 *
 * A unit is one head of one span. Its keys and values and the positions that it can meet are laid
 * out as panels of nr columns, so that scores, position scores and the weighted sum of values are
 * all tiles of the matrix kernel:
 *     content[i, j] = (q_i + u) . k_j                     panels over keys
 *     strip[i, c]   = (q_i + w) . positions[:, c]         panels over position columns
 *     score(i, j)   = (content[i, j] + strip[i, position_zero + j - i]) * scale
 * The relative shift is the offset at which a row reads its strip. A tile is up to mr queries of
 * one unit; it holds content and strip of these rows alone and the softmax of a row runs over its
 * visible keys at once. Sums over keys are cut at multiples of STAPES__KB keys of the span, and
 * keys that a row does not see add exact zeros, so the bits do not depend on the tile. */
#ifndef STAPES_COMPUTE_CPU_ATTENTION_TILED_H
#define STAPES_COMPUTE_CPU_ATTENTION_TILED_H

#include "compute/cpu/attention.h"
#include "compute/cpu/gemm.h"

typedef struct stapes__attention_kernels {
    const stapes__gemm_kernels *gemm;
    /* scores[n] = exp((scores + strip) * scale - largest); returns their sum. */
    float (*softmax)(float *scores, const float *strip, size_t n, float scale);
    /* out[n] = a[n] + b[n] */
    void (*add)(const float *a, const float *b, size_t n, float *out);
    /* out[n] = a[n] * factor */
    void (*scale)(const float *a, float factor, size_t n, float *out);
} stapes__attention_kernels;

/* The op body, given kernels. */
bool stapes__attention_tiled(const stapes__attention_kernels *kernels, const stapes__ops *ops,
                             const stapes__rel_attention *a, stapes__arena *scratch);

#endif
