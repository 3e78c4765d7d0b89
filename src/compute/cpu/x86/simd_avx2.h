/* Vectors of 8 floats for the kernels that are written once over `vf` (the *_simd.h files of
 * compute/cpu). Included by *_avx2.c files only. */
#ifndef STAPES_COMPUTE_CPU_X86_SIMD_AVX2_H
#define STAPES_COMPUTE_CPU_X86_SIMD_AVX2_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#if !defined(__AVX2__) || !defined(__FMA__)
#error "compile this file with -mavx2 -mfma (files named *_avx2.c get them)"
#endif

enum { VW = 8 }; /* lanes */
typedef __m256 vf;
typedef __m256 vmask; /* all ones or all zeros per lane */

/* The first n (0 to 8) lanes. */
static inline __m256i v_first(size_t n) {
    __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}

static inline vf v_set(float x) {
    return _mm256_set1_ps(x);
}
static inline vf v_load(const float *p) {
    return _mm256_loadu_ps(p);
}
/* n lanes from memory, zeros in the rest; reads nothing beyond. */
static inline vf v_load_part(const float *p, size_t n) {
    return _mm256_maskload_ps(p, v_first(n));
}
static inline void v_store(float *p, vf x) {
    _mm256_storeu_ps(p, x);
}
static inline void v_store_part(float *p, vf x, size_t n) {
    _mm256_maskstore_ps(p, v_first(n), x);
}
static inline vf v_add(vf a, vf b) {
    return _mm256_add_ps(a, b);
}
static inline vf v_sub(vf a, vf b) {
    return _mm256_sub_ps(a, b);
}
static inline vf v_mul(vf a, vf b) {
    return _mm256_mul_ps(a, b);
}
static inline vf v_div(vf a, vf b) {
    return _mm256_div_ps(a, b);
}
static inline vf v_fma(vf a, vf b, vf c) {
    return _mm256_fmadd_ps(a, b, c);
}
/* The second operand where one is NaN. */
static inline vf v_max(vf a, vf b) {
    return _mm256_max_ps(a, b);
}
static inline vf v_min(vf a, vf b) {
    return _mm256_min_ps(a, b);
}
static inline vf v_round(vf x) {
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/* a where lanes are below n, b in the rest. */
static inline vf v_first_or(vf a, vf b, size_t n) {
    return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(v_first(n)));
}
static inline vmask v_less(vf a, vf b) {
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}
static inline vf v_select(vmask m, vf a, vf b) {
    return _mm256_blendv_ps(b, a, m);
}
static inline vf v_abs(vf x) {
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}
/* |x| with the sign of s; x is not negative. */
static inline vf v_with_sign(vf x, vf s) {
    return _mm256_or_ps(x, _mm256_and_ps(_mm256_set1_ps(-0.0f), s));
}
/* x * 2^n for integral n in [-126, 254]; two factors, as one would overflow above 127. */
static inline vf v_scale2(vf x, vf n) {
    __m256i whole = _mm256_cvtps_epi32(n);
    __m256i half = _mm256_srai_epi32(whole, 1), rest = _mm256_sub_epi32(whole, half);
    __m256i bias = _mm256_set1_epi32(127);
    vf a = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
    vf b = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
    return _mm256_mul_ps(_mm256_mul_ps(x, a), b);
}
static inline float v_sum(vf x) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
static inline float v_top(vf x) {
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

#endif
