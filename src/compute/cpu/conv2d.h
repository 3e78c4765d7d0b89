/* The 3x3 stride-2 stages of the subsampling, channels last. An output element is its bias, then
 * the taps inside the image added in the order time, frequency; taps in the padding are left
 * out. */
#ifndef STAPES_COMPUTE_CPU_CONV2D_H
#define STAPES_COMPUTE_CPU_CONV2D_H

#include "compute/ops.h"

/* One output frame. rows[i] is the input frame of time tap i (channels_in values per bin), NULL
 * in the padding; y holds width_out * channels values. */
typedef void (*stapes__conv2d_frame_fn)(const stapes__conv2d *c, const float *const rows[3],
                                        float *y);

/* Bins of frequency taps [*low, *high) that lie inside for output bin f: input bin of tap i is
 * 2 * f + i - pad_before. */
static inline void stapes__conv2d_taps(const stapes__conv2d *c, size_t f, size_t *low,
                                       size_t *high) {
    size_t start = 2 * f;
    *low = start < c->pad_before ? c->pad_before - start : 0;
    size_t end = c->width_in + c->pad_before - start; /* start < width_in + pad_before */
    *high = end < 3 ? end : 3;
}

/* The op body; channels_in is 1 or c->channels. */
void stapes__conv2d_run(stapes__conv2d_frame_fn frame, const stapes__ops *ops,
                        const stapes__conv2d *c, size_t channels_in);

void stapes__conv2d_init_c(stapes__ops *ops);
void stapes__conv2d_init_avx2(stapes__ops *ops);
void stapes__conv2d_init_avx512(stapes__ops *ops);

#endif
