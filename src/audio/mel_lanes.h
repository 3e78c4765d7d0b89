/* Body of the log-mel kernel over LANES frames at a time, included by one file per instruction
 * set, which defines LANES (doubles in a vector register) and MEL_KERNEL (the function's name).
 * Vector types of GCC and Clang: lane l of every vector belongs to frame l. */
#if !defined(LANES) || !defined(MEL_KERNEL)
#error "define LANES and MEL_KERNEL before including mel_lanes.h"
#endif

#include <stdint.h>
#include <string.h>

#include "audio/mel_kernel.h"

typedef double vec __attribute__((vector_size(8 * LANES)));
typedef uint64_t vint __attribute__((vector_size(8 * LANES)));
typedef struct cvec {
    vec re, im;
} cvec;

static inline vec splat(double x) {
    return x - (vec){0};
}

static inline cvec times(cvec a, const double *w) {
    return (cvec){a.re * w[0] - a.im * w[1], a.re * w[1] + a.im * w[0]};
}

/* Writes butterfly output k of block p, turned by its twiddle; p = 0 needs no turning. */
static inline void put(cvec *out, int p, int k, const double *w, cvec value) {
    out[0] = p == 0 || k == 0 ? value : times(value, w + 2 * (k - 1));
}

static inline void pass2(const stapes__fft_pass *pass, const cvec *in, cvec *out) {
    int m = pass->m, s = pass->stride;
    for (int p = 0; p < m; p++) {
        const double *w = pass->twiddles + (ptrdiff_t)2 * p;
        for (int q = 0; q < s; q++) {
            const cvec *x = in + q + s * p;
            cvec *y = out + q + 2 * s * p;
            cvec a = x[0], b = x[s * m];
            put(y, p, 0, w, (cvec){a.re + b.re, a.im + b.im});
            put(y + s, p, 1, w, (cvec){a.re - b.re, a.im - b.im});
        }
    }
}

static inline void pass4(const stapes__fft_pass *pass, const cvec *in, cvec *out) {
    int m = pass->m, s = pass->stride;
    for (int p = 0; p < m; p++) {
        const double *w = pass->twiddles + (ptrdiff_t)6 * p;
        for (int q = 0; q < s; q++) {
            const cvec *x = in + q + s * p;
            cvec *y = out + q + 4 * s * p;
            cvec a = x[0], b = x[s * m], c = x[2 * s * m], d = x[3 * s * m];
            cvec ac = {a.re + c.re, a.im + c.im}, a_c = {a.re - c.re, a.im - c.im};
            cvec bd = {b.re + d.re, b.im + d.im}, b_d = {b.re - d.re, b.im - d.im};
            put(y, p, 0, w, (cvec){ac.re + bd.re, ac.im + bd.im});
            put(y + s, p, 1, w, (cvec){a_c.re + b_d.im, a_c.im - b_d.re});
            put(y + 2 * s, p, 2, w, (cvec){ac.re - bd.re, ac.im - bd.im});
            put(y + 3 * s, p, 3, w, (cvec){a_c.re - b_d.im, a_c.im + b_d.re});
        }
    }
}

static inline void pass5(const stapes__fft_pass *pass, const cvec *in, cvec *out) {
    const double c1 = 0.30901699437494742410, c2 = -0.80901699437494742410; /* cos 72, 144 */
    const double s1 = 0.95105651629515357212, s2 = 0.58778525229247312917;  /* sin 72, 144 */
    int m = pass->m, s = pass->stride;
    for (int p = 0; p < m; p++) {
        const double *w = pass->twiddles + (ptrdiff_t)8 * p;
        for (int q = 0; q < s; q++) {
            const cvec *x = in + q + s * p;
            cvec *y = out + q + 5 * s * p;
            cvec a = x[0], b = x[s * m], c = x[2 * s * m], d = x[3 * s * m], e = x[4 * s * m];
            cvec be = {b.re + e.re, b.im + e.im}, b_e = {b.re - e.re, b.im - e.im};
            cvec cd = {c.re + d.re, c.im + d.im}, c_d = {c.re - d.re, c.im - d.im};
            cvec u1 = {a.re + c1 * be.re + c2 * cd.re, a.im + c1 * be.im + c2 * cd.im};
            cvec u2 = {a.re + c2 * be.re + c1 * cd.re, a.im + c2 * be.im + c1 * cd.im};
            cvec v1 = {s1 * b_e.re + s2 * c_d.re, s1 * b_e.im + s2 * c_d.im};
            cvec v2 = {s2 * b_e.re - s1 * c_d.re, s2 * b_e.im - s1 * c_d.im};
            put(y, p, 0, w, (cvec){a.re + be.re + cd.re, a.im + be.im + cd.im});
            put(y + s, p, 1, w, (cvec){u1.re + v1.im, u1.im - v1.re});
            put(y + 2 * s, p, 2, w, (cvec){u2.re + v2.im, u2.im - v2.re});
            put(y + 3 * s, p, 3, w, (cvec){u2.re - v2.im, u2.im + v2.re});
            put(y + 4 * s, p, 4, w, (cvec){u1.re - v1.im, u1.im + v1.re});
        }
    }
}

/* The packed frames in `data` to power[0 .. n/2]; both buffers are overwritten. */
static void power_spectrum(const stapes__fft_plan *plan, cvec *data, cvec *other, vec *power) {
    for (int i = 0; i < plan->n_passes; i++) {
        const stapes__fft_pass *pass = &plan->passes[i];
        if (pass->radix == 4)
            pass4(pass, data, other);
        else if (pass->radix == 5)
            pass5(pass, data, other);
        else
            pass2(pass, data, other);
        cvec *swap = data;
        data = other;
        other = swap;
    }
    /* Z = transform of even + i odd samples: X[k] = E + W^k O, X[half-k] = conj(E - W^k O), with
     * 2E = Z[k] + conj Z[half-k], 2O = -i (Z[k] - conj Z[half-k]). */
    int half = plan->n / 2;
    vec sum = data[0].re + data[0].im, difference = data[0].re - data[0].im;
    power[0] = sum * sum;
    power[half] = difference * difference;
    for (int k = 1; k <= half / 2; k++) {
        cvec z = data[k], y = data[half - k];
        cvec e = {(z.re + y.re) * 0.5, (z.im - y.im) * 0.5};
        cvec o = times((cvec){(z.im + y.im) * 0.5, (y.re - z.re) * 0.5},
                       plan->untangle + (ptrdiff_t)2 * k);
        vec re = e.re + o.re, im = e.im + o.im, re2 = e.re - o.re, im2 = e.im - o.im;
        power[k] = re * re + im * im;
        power[half - k] = re2 * re2 + im2 * im2;
    }
}

/* ln x for normal positive x, to about one unit in the last place; NaN and infinity give NaN.
 * x = 2^e m with m in [sqrt 1/2, sqrt 2), ln m = 2 artanh f with f = (m-1)/(m+1). */
static inline vec natural_log(vec x) {
    const uint64_t one = 0x3ff0000000000000u, half_root = 0x3fe6a09e667f3bcdu;
    vint bits;
    memcpy(&bits, &x, sizeof bits);
    vint biased = (bits + (one - half_root)) >> 52;
    vint mantissa = bits - ((biased - 1023) << 52);
    vint as_double = biased | 0x4330000000000000u; /* 2^52 + biased */
    vec m, e;
    memcpy(&m, &mantissa, sizeof m);
    memcpy(&e, &as_double, sizeof e);
    e -= 0x1p52 + 1023;
    vec f = (m - 1.0) / (m + 1.0), s = f * f;
    vec tail = s * (1.0 / 21) + 1.0 / 19;
    tail = tail * s + 1.0 / 17;
    tail = tail * s + 1.0 / 15;
    tail = tail * s + 1.0 / 13;
    tail = tail * s + 1.0 / 11;
    tail = tail * s + 1.0 / 9;
    tail = tail * s + 1.0 / 7;
    tail = tail * s + 1.0 / 5;
    tail = tail * s + 1.0 / 3;
    vec log_m = 2.0 * f + 2.0 * f * s * tail;
    return e * 0.693147180559945309417 + log_m + x * 0.0; /* NaN for NaN and infinity */
}

/* max(x, floor), NaN kept. */
static inline vec at_least(vec x, double floor) {
    vec limit = splat(floor);
    vint below = (vint)(x < limit), a, b;
    memcpy(&a, &limit, sizeof a);
    memcpy(&b, &x, sizeof b);
    a = (below & a) | (~below & b);
    memcpy(&x, &a, sizeof x);
    return x;
}

/* Windowed samples of LANES frames into the packed buffer: value j of frame l is
 * signal[160 l + j]. */
static void load_frames(const stapes__mel_plan *plan, const double *signal, cvec *data) {
    int half = plan->fft.n / 2, skip = plan->offset / 2;
    memset(data, 0, (size_t)half * sizeof *data);
    for (int j = 0; j < STAPES__MEL_TAPS; j += 2) {
        cvec value;
        for (int l = 0; l < LANES; l++) {
            value.re[l] = signal[STAPES__MEL_HOP * l + j];
            value.im[l] = signal[STAPES__MEL_HOP * l + j + 1];
        }
        data[skip + j / 2] = (cvec){value.re * plan->window[j], value.im * plan->window[j + 1]};
    }
}

static void mel_values(const stapes__mel_plan *plan, const vec *power, vec *out) {
    const double *w = plan->weights;
    for (int m = 0; m < plan->n_mels; m++) {
        const vec *p = power + plan->first[m];
        vec sum = {0};
        for (int k = 0; k < plan->length[m]; k++)
            sum += w[k] * p[k];
        w += plan->length[m];
        out[m] = natural_log(at_least(sum + plan->guard, plan->floor)) * plan->scale;
    }
}

void MEL_KERNEL(const stapes__mel_plan *plan, const float *samples, size_t count, size_t first,
                size_t n, float *high, float *low) {
    double signal[(LANES - 1) * STAPES__MEL_HOP + STAPES__MEL_TAPS];
    cvec data[STAPES__FFT_MAX / 2], other[STAPES__FFT_MAX / 2];
    vec power[STAPES__FFT_MAX / 2 + 1], values[STAPES__MEL_MAX];
    size_t mels = (size_t)plan->n_mels;
    for (size_t t = 0; t < n; t += LANES) {
        size_t lanes = n - t < LANES ? n - t : LANES;
        size_t span = (lanes - 1) * STAPES__MEL_HOP + STAPES__MEL_TAPS;
        ptrdiff_t start = (ptrdiff_t)((first + t) * STAPES__MEL_HOP) - STAPES__MEL_TAPS / 2;
        stapes__mel_fetch(plan, samples, count, start, span, signal);
        memset(signal + span, 0, sizeof signal - span * sizeof *signal);
        load_frames(plan, signal, data);
        power_spectrum(&plan->fft, data, other, power);
        mel_values(plan, power, values);
        for (size_t l = 0; l < lanes; l++) {
            for (size_t m = 0; m < mels; m++) {
                float value = (float)values[m][l];
                high[(t + l) * mels + m] = value;
                if (low)
                    low[(t + l) * mels + m] = (float)(values[m][l] - value);
            }
        }
    }
}
