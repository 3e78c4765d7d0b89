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

/* Lanes [i, i + n) of one output bin whose window lies inside; at is the offset of the window's
 * first bin in a row. */
CONV2D_INLINE vf conv2d_inner(const stapes__conv2d *c, const float *const rows[3], const bool first,
                              size_t at, size_t i, size_t n) {
    size_t step = first ? 1 : c->channels, lane = first ? 0 : i;
    vf sum = v_load_part(c->bias + i, n);
    for (size_t t = 0; t < 9; t++) {
        const float *x = rows[t / 3] + at + t % 3 * step + lane;
        sum = v_fma(first ? v_set(*x) : v_load_part(x, n),
                    v_load_part(c->weight + t * c->channels + i, n), sum);
    }
    return sum;
}

CONV2D_INLINE void conv2d_lanes(const stapes__conv2d *c, const float *const rows[3],
                                const bool first, const bool inside, size_t f, size_t i, size_t n,
                                float *y) {
    size_t at = inside ? (2 * f - c->pad_before) * (first ? 1 : c->channels) : 0;
    vf sum = inside ? conv2d_inner(c, rows, first, at, i, n) : conv2d_edge(c, rows, first, f, i, n);
    v_store_part(y + i, c->relu ? v_max(v_set(0.0f), sum) : sum, n);
}

/* Bin by bin, so that rows and weights are read and y is written in order. */
CONV2D_INLINE void conv2d_frame(const stapes__conv2d *c, const float *const rows[3],
                                const bool first, float *y) {
    bool all_rows = rows[0] && rows[1] && rows[2];
    for (size_t f = 0; f < c->width_out; f++, y += c->channels) {
        bool inside =
            all_rows && 2 * f >= c->pad_before && 2 * f + 3 <= c->width_in + c->pad_before;
        size_t i = 0;
        for (; inside && i + VW <= c->channels; i += VW)
            conv2d_lanes(c, rows, first, true, f, i, VW, y);
        for (; i < c->channels; i += VW)
            conv2d_lanes(c, rows, first, inside, f, i, c->channels - i < VW ? c->channels - i : VW,
                         y);
    }
}

static void conv2d_frame_first(const stapes__conv2d *c, const float *const rows[3], float *y) {
    conv2d_frame(c, rows, true, y);
}

static void conv2d_frame_depthwise(const stapes__conv2d *c, const float *const rows[3], float *y) {
    conv2d_frame(c, rows, false, y);
}

#endif
