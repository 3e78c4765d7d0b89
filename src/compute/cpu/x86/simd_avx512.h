/* Vectors of 16 floats for the kernels that are written once over `vf` (the *_simd.h files of
 * compute/cpu). Included by *_avx512.c files only. */
#ifndef STAPES_COMPUTE_CPU_X86_SIMD_AVX512_H
#define STAPES_COMPUTE_CPU_X86_SIMD_AVX512_H

#include <immintrin.h>
#include <stddef.h>

#if !defined(__AVX512F__) || !defined(__AVX512DQ__)
#error "compile this file with -mavx512f -mavx512dq (files named *_avx512.c get them)"
#endif

enum { VW = 16 }; /* lanes */
typedef __m512 vf;
typedef __mmask16 vmask;

/* The first n (0 to 16) lanes. */
static inline __mmask16 v_first(size_t n) {
    return (__mmask16)((1u << n) - 1u);
}

static inline vf v_set(float x) {
    return _mm512_set1_ps(x);
}
static inline vf v_load(const float *p) {
    return _mm512_loadu_ps(p);
}
/* n lanes from memory, zeros in the rest; reads nothing beyond. */
static inline vf v_load_part(const float *p, size_t n) {
    return _mm512_maskz_loadu_ps(v_first(n), p);
}
static inline void v_store(float *p, vf x) {
    _mm512_storeu_ps(p, x);
}
static inline void v_store_part(float *p, vf x, size_t n) {
    _mm512_mask_storeu_ps(p, v_first(n), x);
}
static inline vf v_add(vf a, vf b) {
    return _mm512_add_ps(a, b);
}
static inline vf v_sub(vf a, vf b) {
    return _mm512_sub_ps(a, b);
}
static inline vf v_mul(vf a, vf b) {
    return _mm512_mul_ps(a, b);
}
static inline vf v_div(vf a, vf b) {
    return _mm512_div_ps(a, b);
}
static inline vf v_fma(vf a, vf b, vf c) {
    return _mm512_fmadd_ps(a, b, c);
}
/* The second operand where one is NaN. */
static inline vf v_max(vf a, vf b) {
    return _mm512_max_ps(a, b);
}
static inline vf v_min(vf a, vf b) {
    return _mm512_min_ps(a, b);
}
static inline vf v_round(vf x) {
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/* a where lanes are below n, b in the rest. */
static inline vf v_first_or(vf a, vf b, size_t n) {
    return _mm512_mask_blend_ps(v_first(n), b, a);
}
static inline vmask v_less(vf a, vf b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}
static inline vf v_select(vmask m, vf a, vf b) {
    return _mm512_mask_blend_ps(m, b, a);
}
static inline vf v_abs(vf x) {
    return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), x);
}
/* |x| with the sign of s; x is not negative. */
static inline vf v_with_sign(vf x, vf s) {
    return _mm512_or_ps(x, _mm512_and_ps(_mm512_set1_ps(-0.0f), s));
}
/* x * 2^n for integral n. */
static inline vf v_scale2(vf x, vf n) {
    return _mm512_scalef_ps(x, n);
}
static inline float v_sum(vf x) {
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
static inline float v_top(vf x) {
    __m256 h = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

#endif
