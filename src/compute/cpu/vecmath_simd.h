/* exp, sigmoid, SiLU, tanh, erf and GELU over vf, about one to two units in the last place. The
 * including file has a simd header before this one. The polynomials are minimax fits in double
 * (Lawson's reweighted least squares, lab/fit_vecmath.py), rounded to float. */
#ifndef STAPES_COMPUTE_CPU_VECMATH_SIMD_H
#define STAPES_COMPUTE_CPU_VECMATH_SIMD_H

/* c[0] + c[1] x + ... + c[n - 1] x^(n - 1); n is a constant. */
static inline __attribute__((always_inline)) vf v_polynomial(vf x, const float *c, int n) {
    vf sum = v_set(c[n - 1]);
    for (int i = n - 2; i >= 0; i--)
        sum = v_fma(sum, x, v_set(c[i]));
    return sum;
}

/* e^x: 2^n e^r with |r| <= ln 2 / 2. Below the smallest normal number 0, above the largest float
 * the largest power that is safe to build; NaN stays NaN. */
static inline vf v_exp(vf x) {
    static const float series[] = {0.5f, 0.166665182f, 0.041666206f, 0.00836895406f, 0.0013950601f};
    const float least = -87.33654f, most = 88.72283f;
    vf clamped = v_min(v_set(most), v_max(v_set(least), x));
    vf n = v_round(v_mul(clamped, v_set(1.44269504f)));
    vf r = v_fma(n, v_set(-0.693359375f), clamped); /* ln 2 in two parts, the first of 9 bits */
    r = v_fma(n, v_set(2.12194440e-4f), r);
    vf e = v_fma(v_polynomial(r, series, 5), v_mul(r, r), r);
    e = v_scale2(v_add(e, v_set(1.0f)), n);
    return v_select(v_less(x, v_set(least)), v_set(0.0f), e);
}

static inline vf v_sigmoid(vf x) {
    vf one = v_set(1.0f);
    return v_div(one, v_add(one, v_exp(v_sub(v_set(0.0f), x))));
}

static inline vf v_silu(vf x) {
    return v_div(x, v_add(v_set(1.0f), v_exp(v_sub(v_set(0.0f), x))));
}

/* Odd polynomial below 0.625, 1 - 2 / (e^2x + 1) above. */
static inline vf v_tanh(vf x) {
    static const float series[] = {-0.333332837f, 0.133314908f, -0.0537434928f, 0.0206505749f,
                                   -0.00571703259f};
    vf t = v_abs(x), z = v_mul(x, x);
    vf small = v_fma(v_mul(v_polynomial(z, series, 5), z), x, x);
    vf big = v_add(v_exp(v_add(t, t)), v_set(1.0f));
    big = v_with_sign(v_sub(v_set(1.0f), v_div(v_set(2.0f), big)), x);
    return v_select(v_less(t, v_set(0.625f)), small, big);
}

/* Odd polynomial below 0.95, 1 - exp(polynomial) above (a fit of log erfc up to 4). */
static inline vf v_erf(vf x) {
    static const float series[] = {1.12837923f,    -0.376126319f,   0.112836726f,  -0.0268581044f,
                                   0.00519779744f, -0.00081059651f, 8.21542417e-5f};
    static const float tail[] = {0.000176138026f, -1.12952018f,    -0.633340955f,
                                 -0.108279198f,   0.0251114871f,   -0.00416331366f,
                                 0.000430885964f, -2.02686042e-5f, -7.68093571e-8f};
    vf t = v_min(v_set(4.0f), v_abs(x)), z = v_mul(t, t);
    vf small = v_mul(v_polynomial(z, series, 7), x);
    vf big = v_sub(v_set(1.0f), v_exp(v_polynomial(t, tail, 9)));
    return v_select(v_less(t, v_set(0.95f)), small, v_with_sign(big, x));
}

static inline vf v_gelu(vf x) {
    vf half = v_mul(v_set(0.5f), x);
    return v_fma(half, v_erf(v_mul(x, v_set(0.70710678f))), half);
}

#endif
