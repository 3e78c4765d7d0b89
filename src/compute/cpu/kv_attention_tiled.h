/* Plain attention over the matrix kernels.
 *
 * A kv is kept head by head as panels of nr columns, keys transposed as [panel][head_dim][nr] and
 * values as [panel of columns][row][nr], so that both products are tiles of the matrix kernel and
 * nothing is laid out again per call. A tile is up to mr queries of one head of one group. Keys
 * named by an index are scored over all rows up to the highest named one and picked from there:
 * rows are reused, so few others lie between. Sums over keys are cut at multiples of STAPES__KB
 * keys of the group and keys that a row does not see add exact zeros, so the bits depend neither
 * on the tile nor on the place of a key in the kv. */
#ifndef STAPES_COMPUTE_CPU_KV_ATTENTION_TILED_H
#define STAPES_COMPUTE_CPU_KV_ATTENTION_TILED_H

#include "compute/cpu/gemm.h"
#include "compute/cpu/kv_attention.h"

typedef struct stapes__kv_kernels {
    const stapes__gemm_kernels *gemm;
    /* scores[n] = exp(scores * scale - largest); returns their sum. */
    float (*softmax)(float *scores, size_t n, float scale);
    /* out[n] = a[n] * factor; out may be a. */
    void (*scale)(const float *a, float factor, size_t n, float *out);
    /* c[nr] = sum over i of weights[i] * b[rows[i], nr], with the bits of gemm->tile in blocks of
     * STAPES__KB. c and the rows of b are 64-byte aligned. */
    void (*gather)(const float *weights, const uint32_t *rows, size_t n, const float *b, float *c);
} stapes__kv_kernels;

/* The op bodies, given kernels or their panel width. */
size_t stapes__kv_floats_tiled(size_t nr, size_t rows, size_t n_heads, size_t head_dim);
void stapes__kv_put_tiled(size_t nr, const stapes__ops *ops, const stapes__kv *kv, size_t first,
                          const uint32_t *slots, size_t count, const float *k, size_t ldk,
                          const float *v, size_t ldv);
void stapes__kv_get_tiled(size_t nr, const stapes__kv *kv, size_t row, float *k, float *v);
bool stapes__kv_attention_tiled(const stapes__kv_kernels *kernels, const stapes__ops *ops,
                                const stapes__attention *a, stapes__arena *scratch);

#endif
