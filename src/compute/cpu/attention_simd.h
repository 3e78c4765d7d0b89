/* Softmax and the small row operations of tiled attention over vf. */
#ifndef STAPES_COMPUTE_CPU_ATTENTION_SIMD_H
#define STAPES_COMPUTE_CPU_ATTENTION_SIMD_H

#include <math.h>

#include "compute/cpu/attention_tiled.h"
#include "compute/cpu/vecmath_simd.h"

static float attention_softmax(float *scores, const float *strip, size_t n, float scale) {
    size_t whole = n - n % VW, rest = n % VW;
    vf factor = v_set(scale), top = v_set(-INFINITY), sum = v_set(0.0f);
    for (size_t j = 0; j < whole; j += VW) {
        vf s = v_mul(v_add(v_load(scores + j), v_load(strip + j)), factor);
        v_store(scores + j, s);
        top = v_max(top, s);
    }
    if (rest) {
        vf s = v_add(v_load_part(scores + whole, rest), v_load_part(strip + whole, rest));
        s = v_mul(s, factor);
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

static void attention_add(const float *a, const float *b, size_t n, float *out) {
    for (size_t i = 0; i < n; i += VW) {
        size_t part = n - i < VW ? n - i : VW;
        v_store_part(out + i, v_add(v_load_part(a + i, part), v_load_part(b + i, part)), part);
    }
}

static void attention_scale(const float *a, float factor, size_t n, float *out) {
    for (size_t i = 0; i < n; i += VW) {
        size_t part = n - i < VW ? n - i : VW;
        v_store_part(out + i, v_mul(v_load_part(a + i, part), v_set(factor)), part);
    }
}

#endif
