/* Elementwise operations over vf. */
#ifndef STAPES_COMPUTE_CPU_ELEMENTWISE_SIMD_H
#define STAPES_COMPUTE_CPU_ELEMENTWISE_SIMD_H

#include "compute/cpu/elementwise.h"

static void add_relu_row(const float *a, const float *b, size_t n, float *out) {
    size_t whole = n - n % VW, rest = n % VW;
    vf zero = v_set(0.0f);
    for (size_t i = 0; i < whole; i += VW)
        v_store(out + i, v_max(zero, v_add(v_load(a + i), v_load(b + i))));
    if (rest) {
        vf sum = v_add(v_load_part(a + whole, rest), v_load_part(b + whole, rest));
        v_store_part(out + whole, v_max(zero, sum), rest);
    }
}

#endif
