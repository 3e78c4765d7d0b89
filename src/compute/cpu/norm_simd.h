/* Layer normalisation over vf; lane l of a vector sums the columns l, l + VW, ... */
#ifndef STAPES_COMPUTE_CPU_NORM_SIMD_H
#define STAPES_COMPUTE_CPU_NORM_SIMD_H

#include <math.h>

#include "compute/cpu/norm.h"

/* y = (x - mean) * factor * gain + bias for the lanes of one vector. */
static inline vf norm_apply(vf x, vf mean, vf factor, vf gain, vf bias) {
    return v_fma(v_mul(v_sub(x, mean), factor), gain, bias);
}

static inline void norm_row(const float *x, size_t d, const float *gain, const float *bias,
                            float eps, float *y) {
    size_t whole = d - d % VW, rest = d % VW;
    vf sum = v_set(0.0f);
    for (size_t c = 0; c < whole; c += VW)
        sum = v_add(sum, v_load(x + c));
    sum = v_add(sum, v_load_part(x + whole, rest));
    vf mean = v_set(v_sum(sum) / (float)d);
    sum = v_set(0.0f);
    for (size_t c = 0; c < whole; c += VW) {
        vf off = v_sub(v_load(x + c), mean);
        sum = v_fma(off, off, sum);
    }
    vf off = v_first_or(v_sub(v_load_part(x + whole, rest), mean), v_set(0.0f), rest);
    sum = v_fma(off, off, sum);
    vf factor = v_set(1.0f / sqrtf(v_sum(sum) / (float)d + eps));
    for (size_t c = 0; c < whole; c += VW)
        v_store(y + c, norm_apply(v_load(x + c), mean, factor, v_load(gain + c), v_load(bias + c)));
    if (rest)
        v_store_part(y + whole,
                     norm_apply(v_load_part(x + whole, rest), mean, factor,
                                v_load_part(gain + whole, rest), v_load_part(bias + whole, rest)),
                     rest);
}

#endif
