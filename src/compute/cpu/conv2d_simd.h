/* The subsampling stages over vf. */
#ifndef STAPES_COMPUTE_CPU_CONV2D_SIMD_H
#define STAPES_COMPUTE_CPU_CONV2D_SIMD_H

#include "compute/cpu/conv2d.h"

#define CONV2D_INLINE static inline __attribute__((always_inline))

/* Lanes [i, i + n) of one output bin near an edge: only the taps inside. */
CONV2D_INLINE vf conv2d_edge(const stapes__conv2d *c, const float *const rows[3], const bool first,
                             size_t f, size_t i, size_t n) {
    size_t low, high;
    stapes__conv2d_taps(c, f, &low, &high);
    vf sum = v_load_part(c->bias + i, n);
    for (size_t time = 0; time < 3; time++) {
        for (size_t tap = low; rows[time] && tap < high; tap++) {
            size_t bin = 2 * f + tap - c->pad_before;
            vf x =
                first ? v_set(rows[time][bin]) : v_load_part(rows[time] + bin * c->channels + i, n);
            sum = v_fma(x, v_load_part(c->weight + (3 * time + tap) * c->channels + i, n), sum);
        }
    }
    return sum;
}

/* Lanes [i, i + n) of every output bin; the nine weights stay in registers. */
CONV2D_INLINE void conv2d_lanes(const stapes__conv2d *c, const float *const rows[3],
                                const bool first, size_t i, size_t n, float *y) {
    vf weight[9], bias = v_load_part(c->bias + i, n), zero = v_set(0.0f);
    for (size_t t = 0; t < 9; t++)
        weight[t] = v_load_part(c->weight + t * c->channels + i, n);
    bool all_rows = rows[0] && rows[1] && rows[2];
    size_t step = first ? 1 : c->channels;
    for (size_t f = 0; f < c->width_out; f++) {
        vf sum = bias;
        if (all_rows && 2 * f >= c->pad_before && 2 * f + 3 <= c->width_in + c->pad_before) {
            size_t at = (2 * f - c->pad_before) * step + (first ? 0 : i);
            for (size_t t = 0; t < 9; t++) {
                const float *x = rows[t / 3] + at + t % 3 * step;
                sum = v_fma(first ? v_set(*x) : v_load_part(x, n), weight[t], sum);
            }
        } else {
            sum = conv2d_edge(c, rows, first, f, i, n);
        }
        v_store_part(y + f * c->channels + i, c->relu ? v_max(zero, sum) : sum, n);
    }
}

CONV2D_INLINE void conv2d_frame(const stapes__conv2d *c, const float *const rows[3],
                                const bool first, float *y) {
    size_t i = 0;
    for (; i + VW <= c->channels; i += VW)
        conv2d_lanes(c, rows, first, i, VW, y);
    if (i < c->channels)
        conv2d_lanes(c, rows, first, i, c->channels - i, y);
}

static void conv2d_frame_first(const stapes__conv2d *c, const float *const rows[3], float *y) {
    conv2d_frame(c, rows, true, y);
}

static void conv2d_frame_depthwise(const stapes__conv2d *c, const float *const rows[3], float *y) {
    conv2d_frame(c, rows, false, y);
}

#endif
