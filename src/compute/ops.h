/* The waist: the operations that models are written over. One table per back end; models hold no
 * intrinsic and no back-end word. Shapes are row-major; [r, c] has c fastest; ld* are row strides
 * in floats. The caller checks shapes at model load; operations trust them.
 *
 * Batches are ragged: the rows of all utterances lie one below another without padding, and a
 * span names the rows of each. Row-wise operations do not care; attention and convolutions work
 * span by span. Every output element is computed by the same chain of operations whatever the
 * batch, the thread count and the tile it falls in, so results are bit-identical across them. */
#ifndef STAPES_COMPUTE_OPS_H
#define STAPES_COMPUTE_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"
#include "base/mem.h"
#include "base/thread.h"
#include "tensor/tensor.h"

typedef struct stapes__span {
    size_t first, count; /* rows */
} stapes__span;

typedef enum stapes__act {
    STAPES__ACT_NONE,
    STAPES__ACT_RELU,
    STAPES__ACT_SILU, /* x * sigmoid(x) */
    STAPES__ACT_GELU  /* exact, by erf */
} stapes__act;

/* y = residual + scale * act(x W^T + bias) */
typedef struct stapes__epilogue {
    const float *bias; /* [n] or NULL */
    stapes__act act;
    float scale;           /* 1 for none */
    const float *residual; /* [m, n] with row stride ld_residual, or NULL; may be y itself */
    size_t ld_residual;
} stapes__epilogue;

/* A linear weight [n, k], converted and laid out for the back end. Opaque, read-only, shared. */
typedef struct stapes__weight stapes__weight;

typedef struct stapes__pack_params {
    float scale;                 /* multiplies every element; 0 means 1 */
    const stapes__tensor *parts; /* n_parts tensors whose rows are stacked: [n0 + n1 + ..., k] */
    size_t n_parts;
    size_t n, k;          /* of the stacked result; dimensions after the first are flattened
                             into k, so [n, k, 1] is accepted */
    const size_t *column; /* packed column c takes source column column[c]; NULL = c */
} stapes__pack_params;

typedef struct stapes__attention_span {
    size_t q_first, q_count; /* query rows in q and out */
    size_t k_first, k_count; /* key rows in k and v */
    size_t q_offset;         /* index, among this span's keys, of the key at query 0's time:
                                0 offline, the number of cached rows in streaming */
    size_t k_skip;           /* first keys of the span that are never visible (empty cache) */
} stapes__attention_span;

/* Which keys query at time i may see, i and j counted among the span's keys. */
typedef struct stapes__attention_mask {
    int left, right; /* -1 = unlimited; regular style: i - left <= j <= i + right */
    int chunk;       /* 0 = regular; otherwise chunked_limited with this chunk length (right + 1):
                        0 <= i/chunk - j/chunk <= left/chunk */
} stapes__attention_mask;

/* Relative-position attention (Transformer-XL form, spec/fastconformer 7):
 * score(i, j) = ((q_i + u) . k_j + (q_i + w) . p(i - j)) * scale, softmax over visible j, times v.
 * A query that sees no key gives zeros. */
typedef struct stapes__rel_attention {
    const float *q, *k, *v; /* head h uses columns [h * head_dim, (h + 1) * head_dim) */
    size_t ldq, ldk, ldv;
    float *out;
    size_t ldo;
    size_t n_heads, head_dim;
    const float *bias_u, *bias_w;      /* [n_heads, head_dim] */
    const float *positions;            /* [n_heads, head_dim, n_positions]: p transposed per head */
    size_t n_positions, position_zero; /* column of distance 0; distance d is at
                                          position_zero - d */
    float scale;
    const stapes__attention_span *spans;
    size_t n_spans;
    stapes__attention_mask mask;
} stapes__rel_attention;

/* Keys and values kept for attention: `rows` rows of n_heads * head_dim each, written with kv_put
 * in a layout of the back end's own. The memory (kv_floats floats, 64-byte aligned) is the
 * caller's; rows never put are never used. */
typedef struct stapes__kv {
    float *data;
    size_t rows, n_heads, head_dim;
} stapes__kv;

/* Queries that share their keys: rows k_first .. k_first + k_count - 1 of the kv or, when `rows` is
 * given, the k_count rows that it names, in the order of time (several hypotheses share one kv in
 * this way and are reordered without copying). */
typedef struct stapes__attention_group {
    size_t q_first, q_count; /* rows in q and out */
    size_t k_first, k_count; /* k_count > 0 */
    const uint32_t *rows;    /* [k_count] or NULL; k_first is not used with it */
    bool causal;             /* query i sees keys 0 .. q_offset + i only */
    size_t q_offset;         /* q_offset + q_count <= k_count when causal */
    /* [n_heads] blocks [q_count, k_count] that receive the probabilities, zeros where a query does
     * not see; a block or the list may be NULL. */
    float *const *probabilities;
} stapes__attention_group;

/* Plain multi-head attention: softmax over the visible keys of (q_i . k_j) * scale, times v. */
typedef struct stapes__attention {
    const float *q; /* head h uses columns [h * head_dim, (h + 1) * head_dim) */
    size_t ldq;
    float *out; /* must not overlap q */
    size_t ldo;
    const stapes__kv *kv;
    float scale;
    const stapes__attention_group *groups;
    size_t n_groups;
} stapes__attention;

/* GLU, depthwise convolution over time, normalisation, SiLU (spec/fastconformer 8). */
typedef struct stapes__conv_module {
    const float *x;             /* [rows, 2 * d] */
    float *y;                   /* [rows, d] */
    size_t d, kernel, pad_left; /* zero rows before a span; pad right = kernel - 1 - pad_left */
    const float *weight;        /* [kernel, d], batch norm folded in */
    const float *bias;          /* [d], batch norm folded in; may be NULL */
    const float *norm_gain, *norm_bias; /* layer norm over channels, or NULL */
    float norm_eps;
    const stapes__span *spans;
    size_t n_spans;
} stapes__conv_module;

/* One 3x3 stride-2 stage of the subsampling, channels last. Images of a batch lie one below
 * another: span rows count time frames. in: [frames, width, channels_in], out likewise. */
typedef struct stapes__conv2d {
    const float *x;
    float *y;
    size_t width_in, width_out, channels; /* of the output */
    size_t pad_before;   /* zero frames and bins before: 1, or 2 when causal (after: always 1) */
    const float *weight; /* [3 (time), 3 (frequency), channels] */
    const float *bias;   /* [channels] */
    bool relu;
    const stapes__span *in, *out; /* n_spans each; out count = stapes__conv2d_length(in count) */
    size_t n_spans;
} stapes__conv2d;

/* frames or bins after a 3x3 stride-2 stage. */
static inline size_t stapes__conv2d_length(size_t length, size_t pad_before) {
    return length == 0 ? 0 : (length + pad_before + 1 - 3) / 2 + 1;
}

typedef struct stapes__ops stapes__ops;
struct stapes__ops {
    const char *name; /* "c", "avx2", "avx512", ... */
    stapes__pool *pool;
    stapes__isa isa;
    stapes__cpu cpu;

    /* Weights. pack converts f32/f16/bf16/f64 and block sources; free accepts NULL. */
    stapes_status (*pack)(const stapes__ops *ops, const stapes__pack_params *params,
                          stapes__weight **out, stapes_error *err);
    void (*weight_free)(stapes__weight *weight);
    size_t (*weight_bytes)(const stapes__weight *weight);

    /* y[m, n] = epilogue(x[m, k]). y must not overlap x; rows of x may overlap (ldx < k), which
     * makes a product of a convolution. */
    void (*linear)(const stapes__ops *ops, const stapes__weight *weight, const float *x, size_t ldx,
                   size_t m, const stapes__epilogue *epilogue, float *y, size_t ldy);
    /* y = (x - mean) / sqrt(var + eps) * gain + bias over d columns; y may be x. */
    void (*layer_norm)(const stapes__ops *ops, const float *x, size_t rows, size_t d,
                       const float *gain, const float *bias, float eps, float *y);
    /* scratch is saved and restored. false when memory is short. */
    bool (*rel_attention)(const stapes__ops *ops, const stapes__rel_attention *a,
                          stapes__arena *scratch);
    /* Floats of a kv with this many rows. */
    size_t (*kv_floats)(size_t rows, size_t n_heads, size_t head_dim);
    /* Row `first + i` of the kv, or slots[i] when given, takes row i of k and v. */
    void (*kv_put)(const stapes__ops *ops, const stapes__kv *kv, size_t first,
                   const uint32_t *slots, size_t count, const float *k, size_t ldk, const float *v,
                   size_t ldv);
    /* One row back as it was put: k and v [n_heads * head_dim]. */
    void (*kv_get)(const stapes__kv *kv, size_t row, float *k, float *v);
    /* Reads a kv that this table has filled. scratch and result as rel_attention. */
    bool (*attention)(const stapes__ops *ops, const stapes__attention *a, stapes__arena *scratch);
    bool (*conv_module)(const stapes__ops *ops, const stapes__conv_module *c,
                        stapes__arena *scratch);
    /* 1 input channel -> `channels`. */
    void (*conv2d_first)(const stapes__ops *ops, const stapes__conv2d *c);
    /* depthwise: `channels` in and out. */
    void (*conv2d_depthwise)(const stapes__ops *ops, const stapes__conv2d *c);
    /* gates [rows, 4 * d] in the order i, f, g, o -> c and h [rows, d] updated in place. */
    void (*lstm_cell)(const stapes__ops *ops, const float *gates, size_t rows, size_t d, float *c,
                      float *h);
    /* out[r, :] = relu(a[r, :] + b[r, :]), n columns. */
    void (*add_relu)(const stapes__ops *ops, const float *a, size_t lda, const float *b, size_t ldb,
                     size_t rows, size_t n, float *out);
};

/* Fills the table for the processor: plain C first, then each instruction set up to cpu->isa
 * overwrites the entries it has. pool may be NULL. */
void stapes__ops_cpu(stapes__ops *ops, const stapes__cpu *cpu, stapes__pool *pool);

#endif
