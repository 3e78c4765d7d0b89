/* The convolution module over vf. */
#ifndef STAPES_COMPUTE_CPU_CONV_MODULE_SIMD_H
#define STAPES_COMPUTE_CPU_CONV_MODULE_SIMD_H

#include "compute/cpu/conv_module.h"
#include "compute/cpu/norm_simd.h"
#include "compute/cpu/vecmath_simd.h"

#define CONV_INLINE static inline __attribute__((always_inline))

static void conv_glu(const float *x, size_t d, float *y) {
    size_t i = 0;
    for (; i + VW <= d; i += VW)
        v_store(y + i, v_mul(v_load(x + i), v_sigmoid(v_load(x + d + i))));
    if (i < d)
        v_store_part(y + i,
                     v_mul(v_load_part(x + i, d - i), v_sigmoid(v_load_part(x + d + i, d - i))),
                     d - i);
}

static void conv_silu(float *y, size_t d) {
    size_t i = 0;
    for (; i + VW <= d; i += VW)
        v_store(y + i, v_silu(v_load(y + i)));
    if (i < d)
        v_store_part(y + i, v_silu(v_load_part(y + i, d - i)), d - i);
}

/* Channels [i, i + n) of all rows. taps is a constant for the usual kernel, so that its weights
 * stay in registers. */
CONV_INLINE void conv_lanes(const stapes__conv_module *c, const size_t taps, const float *gated,
                            size_t ld, size_t rows, bool silu, size_t i, size_t n, float *y) {
    vf bias = c->bias ? v_load_part(c->bias + i, n) : v_set(0.0f);
    for (size_t t = 0; t < rows; t++) {
        vf sum = bias;
        for (size_t tap = 0; tap < taps; tap++)
            sum = v_fma(v_load_part(c->weight + tap * c->d + i, n),
                        v_load_part(gated + (t + tap) * ld + i, n), sum);
        v_store_part(y + t * c->d + i, silu ? v_silu(sum) : sum, n);
    }
}

static void conv_taps(const stapes__conv_module *c, const float *gated, size_t ld, size_t rows,
                      bool silu, float *y) {
    size_t i = 0;
    for (; i + VW <= c->d; i += VW) {
        if (c->kernel == 9)
            conv_lanes(c, 9, gated, ld, rows, silu, i, VW, y);
        else
            conv_lanes(c, c->kernel, gated, ld, rows, silu, i, VW, y);
    }
    if (i < c->d)
        conv_lanes(c, c->kernel, gated, ld, rows, silu, i, c->d - i, y);
}

static const stapes__conv_module_kernels conv_module_kernels = {
    .glu = conv_glu, .taps = conv_taps, .norm = norm_row, .silu = conv_silu};

#endif
