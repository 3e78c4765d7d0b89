/* The matrix kernels, written once over vf. The including file defines GEMM_MR (at most
 * STAPES__MAX_MR) after its simd header: GEMM_MR rows by two vectors of accumulators, two vectors
 * of the panel and one broadcast element of x fill the registers. */
#ifndef STAPES_COMPUTE_CPU_GEMM_SIMD_H
#define STAPES_COMPUTE_CPU_GEMM_SIMD_H

#include "compute/cpu/gemm.h"
#include "compute/cpu/vecmath_simd.h"

enum {
    GEMM_NR = 2 * VW,
    GEMM_FEW = 4,
    GEMM_NEAR = 8 /* k steps of prefetch into the first cache */,
    GEMM_FAR = GEMM_NR / 4 /* floats of `ahead` per k step */
};

#define GEMM_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define GEMM_UNROLL _Pragma("clang loop unroll(full)")
#define GEMM_TWICE _Pragma("clang loop unroll_count(2)")
#else
#define GEMM_UNROLL _Pragma("GCC unroll 16")
#define GEMM_TWICE _Pragma("GCC unroll 2")
#endif

/* R is a constant after inlining, so that the sums stay in registers. Writes two vectors per row
 * into low and high. */
GEMM_INLINE void gemm_chain(const size_t R, size_t kb, const float *a, size_t lda, const float *b,
                            const float *ahead, vf *low, vf *high) {
    GEMM_UNROLL
    for (size_t r = 0; r < R; r++)
        low[r] = high[r] = v_set(0.0f);
    GEMM_TWICE
    for (size_t k = 0; k < kb; k++, a++, b += GEMM_NR, ahead += GEMM_FAR) {
        vf b0 = v_load(b), b1 = v_load(b + VW);
        __builtin_prefetch(ahead, 0, 2);
        __builtin_prefetch(b + GEMM_NEAR * GEMM_NR);
        if (GEMM_NR > 16)
            __builtin_prefetch(b + GEMM_NEAR * GEMM_NR + 16);
        GEMM_UNROLL
        for (size_t r = 0; r < R; r++) {
            vf x = v_set(a[r * lda]);
            low[r] = v_fma(x, b0, low[r]);
            high[r] = v_fma(x, b1, high[r]);
        }
    }
}

GEMM_INLINE void gemm_rows(const size_t R, size_t kb, const float *a, const float *b,
                           const float *ahead, float *c, size_t ldc, bool accumulate) {
    vf low[STAPES__MAX_MR], high[STAPES__MAX_MR];
    gemm_chain(R, kb, a, STAPES__A_STRIDE, b, ahead, low, high);
    GEMM_UNROLL
    for (size_t r = 0; r < R; r++) {
        if (accumulate) {
            low[r] = v_add(v_load(c + r * ldc), low[r]);
            high[r] = v_add(v_load(c + r * ldc + VW), high[r]);
        }
        v_store(c + r * ldc, low[r]);
        v_store(c + r * ldc + VW, high[r]);
    }
}

GEMM_INLINE void gemm_few_rows(const size_t R, size_t k, const float *x, size_t ldx, const float *b,
                               float *c) {
    vf low[GEMM_FEW], high[GEMM_FEW], total_low[GEMM_FEW], total_high[GEMM_FEW];
    GEMM_UNROLL
    for (size_t r = 0; r < R; r++)
        total_low[r] = total_high[r] = v_set(0.0f);
    for (size_t k0 = 0; k0 < k; k0 += STAPES__KB) {
        size_t kb = k - k0 < STAPES__KB ? k - k0 : STAPES__KB;
        gemm_chain(R, kb, x + k0, ldx, b + k0 * GEMM_NR, b + k0 * GEMM_NR, low, high);
        GEMM_UNROLL
        for (size_t r = 0; r < R; r++) {
            total_low[r] = k0 ? v_add(total_low[r], low[r]) : low[r];
            total_high[r] = k0 ? v_add(total_high[r], high[r]) : high[r];
        }
    }
    GEMM_UNROLL
    for (size_t r = 0; r < R; r++) {
        v_store(c + r * GEMM_NR, total_low[r]);
        v_store(c + r * GEMM_NR + VW, total_high[r]);
    }
}

#define GEMM_CASE(R)                                                                               \
    case R:                                                                                        \
        if (R <= GEMM_MR)                                                                          \
            gemm_rows(R, kb, a, b, ahead, c, ldc, accumulate);                                     \
        break

static void gemm_tile(size_t rows, size_t kb, const float *a, const float *b, const float *ahead,
                      float *c, size_t ldc, bool accumulate) {
    switch (rows) {
        GEMM_CASE(1);
        GEMM_CASE(2);
        GEMM_CASE(3);
        GEMM_CASE(4);
        GEMM_CASE(5);
        GEMM_CASE(6);
        GEMM_CASE(7);
        GEMM_CASE(8);
        GEMM_CASE(9);
        GEMM_CASE(10);
        GEMM_CASE(11);
        GEMM_CASE(12);
        GEMM_CASE(13);
        GEMM_CASE(14);
    }
}

static void gemm_few(size_t rows, size_t k, const float *x, size_t ldx, const float *b, float *c) {
    switch (rows) {
    case 1:
        gemm_few_rows(1, k, x, ldx, b, c);
        break;
    case 2:
        gemm_few_rows(2, k, x, ldx, b, c);
        break;
    case 3:
        gemm_few_rows(3, k, x, ldx, b, c);
        break;
    case 4:
        gemm_few_rows(4, k, x, ldx, b, c);
        break;
    }
}

/* ---- epilogue ---- */

GEMM_INLINE vf gemm_activate(const stapes__act act, vf x) {
    if (act == STAPES__ACT_RELU)
        return v_max(v_set(0.0f), x);
    if (act == STAPES__ACT_SILU)
        return v_silu(x);
    if (act == STAPES__ACT_GELU)
        return v_gelu(x);
    return x;
}

GEMM_INLINE void gemm_finish_act(const stapes__act act, const stapes__epilogue *e,
                                 const float *bias, const float *residual, size_t rows,
                                 size_t columns, const float *c, size_t ldc, float *y, size_t ldy) {
    vf scale = v_set(e->scale);
    for (size_t r = 0; r < rows; r++) {
        for (size_t j = 0; j < columns; j += VW) {
            size_t n = columns - j < VW ? columns - j : VW;
            vf value = v_load(c + r * ldc + j);
            if (bias)
                value = v_add(value, v_load_part(bias + j, n));
            value = v_mul(gemm_activate(act, value), scale);
            if (residual)
                value = v_add(v_load_part(residual + r * e->ld_residual + j, n), value);
            v_store_part(y + r * ldy + j, value, n);
        }
    }
}

static void gemm_finish(const stapes__epilogue *e, const float *bias, const float *residual,
                        size_t rows, size_t columns, const float *c, size_t ldc, float *y,
                        size_t ldy) {
    switch (e->act) {
    case STAPES__ACT_NONE:
        gemm_finish_act(STAPES__ACT_NONE, e, bias, residual, rows, columns, c, ldc, y, ldy);
        break;
    case STAPES__ACT_RELU:
        gemm_finish_act(STAPES__ACT_RELU, e, bias, residual, rows, columns, c, ldc, y, ldy);
        break;
    case STAPES__ACT_SILU:
        gemm_finish_act(STAPES__ACT_SILU, e, bias, residual, rows, columns, c, ldc, y, ldy);
        break;
    case STAPES__ACT_GELU:
        gemm_finish_act(STAPES__ACT_GELU, e, bias, residual, rows, columns, c, ldc, y, ldy);
        break;
    }
}

static const stapes__gemm_kernels gemm_kernels = {.mr = GEMM_MR,
                                                  .nr = GEMM_NR,
                                                  .tile = gemm_tile,
                                                  .few_rows = GEMM_FEW,
                                                  .few = gemm_few,
                                                  .finish = gemm_finish};

static stapes_status gemm_pack(const stapes__ops *ops, const stapes__pack_params *params,
                               stapes__weight **out, stapes_error *err) {
    return stapes__gemm_pack(ops, params, GEMM_NR, out, err);
}

static void gemm_linear(const stapes__ops *ops, const stapes__weight *weight, const float *x,
                        size_t ldx, size_t m, const stapes__epilogue *epilogue, float *y,
                        size_t ldy) {
    stapes__gemm_linear(&gemm_kernels, ops, weight, x, ldx, m, epilogue, y, ldy);
}

#endif
