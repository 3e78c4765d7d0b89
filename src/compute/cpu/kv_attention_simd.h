/* The row operations of plain attention over vf, and the table entries made from them. The
 * including file defines KV_GEMM, the function that gives the matrix kernels. */
#ifndef STAPES_COMPUTE_CPU_KV_ATTENTION_SIMD_H
#define STAPES_COMPUTE_CPU_KV_ATTENTION_SIMD_H

#include <math.h>

#include "compute/cpu/kv_attention_tiled.h"
#include "compute/cpu/vecmath_simd.h"

enum { KV_NR = 2 * VW };

static float kv_softmax(float *scores, size_t n, float scale) {
    size_t whole = n - n % VW, rest = n % VW;
    vf factor = v_set(scale), top = v_set(-INFINITY), sum = v_set(0.0f);
    for (size_t j = 0; j < whole; j += VW) {
        vf s = v_mul(v_load(scores + j), factor);
        v_store(scores + j, s);
        top = v_max(top, s);
    }
    if (rest) {
        vf s = v_mul(v_load_part(scores + whole, rest), factor);
        v_store_part(scores + whole, s, rest);
        top = v_max(top, v_first_or(s, top, rest));
    }
    vf largest = v_set(v_top(top));
    for (size_t j = 0; j < whole; j += VW) {
        vf e = v_exp(v_sub(v_load(scores + j), largest));
        v_store(scores + j, e);
        sum = v_add(sum, e);
    }
    if (rest) {
        vf e = v_exp(v_sub(v_load_part(scores + whole, rest), largest));
        v_store_part(scores + whole, e, rest);
        sum = v_add(sum, v_first_or(e, v_set(0.0f), rest));
    }
    return v_sum(sum);
}

static void kv_scale(const float *a, float factor, size_t n, float *out) {
    for (size_t i = 0; i < n; i += VW) {
        size_t part = n - i < VW ? n - i : VW;
        v_store_part(out + i, v_mul(v_load_part(a + i, part), v_set(factor)), part);
    }
}

static void kv_gather(const float *weights, const uint32_t *rows, size_t n, const float *b,
                      float *c) {
    vf total0 = v_set(0.0f), total1 = v_set(0.0f);
    for (size_t k0 = 0; k0 < n; k0 += STAPES__KB) {
        size_t end = n - k0 < STAPES__KB ? n : k0 + STAPES__KB;
        vf sum0 = v_set(0.0f), sum1 = v_set(0.0f);
        for (size_t k = k0; k < end; k++) {
            const float *row = b + (size_t)rows[k] * KV_NR;
            vf weight = v_set(weights[k]);
            sum0 = v_fma(weight, v_load(row), sum0);
            sum1 = v_fma(weight, v_load(row + VW), sum1);
        }
        total0 = k0 ? v_add(total0, sum0) : sum0;
        total1 = k0 ? v_add(total1, sum1) : sum1;
    }
    v_store(c, total0);
    v_store(c + VW, total1);
}

static size_t kv_floats(size_t rows, size_t n_heads, size_t head_dim) {
    return stapes__kv_floats_tiled(KV_NR, rows, n_heads, head_dim);
}

static void kv_put(const stapes__ops *ops, const stapes__kv *kv, size_t first,
                   const uint32_t *slots, size_t count, const float *k, size_t ldk, const float *v,
                   size_t ldv) {
    stapes__kv_put_tiled(KV_NR, ops, kv, first, slots, count, k, ldk, v, ldv);
}

static void kv_get(const stapes__kv *kv, size_t row, float *k, float *v) {
    stapes__kv_get_tiled(KV_NR, kv, row, k, v);
}

static bool kv_attention(const stapes__ops *ops, const stapes__attention *a,
                         stapes__arena *scratch) {
    stapes__kv_kernels kernels = {
        .gemm = KV_GEMM(), .softmax = kv_softmax, .scale = kv_scale, .gather = kv_gather};
    return stapes__kv_attention_tiled(&kernels, ops, a, scratch);
}

static void kv_attention_init(stapes__ops *ops) {
    ops->kv_floats = kv_floats;
    ops->kv_put = kv_put;
    ops->kv_get = kv_get;
    ops->attention = kv_attention;
}

#endif
