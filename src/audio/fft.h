/* The plan of a real Fourier transform in double precision: 2 * 4^a * 2^b * 5^c points (512 and
 * 400 here). n real values are packed into n/2 complex ones, transformed by Stockham passes of
 * radix 4, 5 and 2 (self-sorting, two buffers), and untangled. The passes run on several frames
 * side by side, see mel_lanes.h; the plan holds only the numbers. */
#ifndef STAPES_AUDIO_FFT_H
#define STAPES_AUDIO_FFT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define STAPES__FFT_MAX 512 /* real points; bounds the scratch of the kernels */
#define STAPES__FFT_MAX_PASSES 9

/* One pass over blocks of radix * m values: m butterflies, each on `stride` neighbours. */
typedef struct stapes__fft_pass {
    int radix, m, stride;
    const double *twiddles; /* [m][radix - 1][cos, sin]: exp(-2 pi i p k / (radix m)), k from 1 */
} stapes__fft_pass;

typedef struct stapes__fft_plan {
    int n; /* real points */
    int n_passes;
    stapes__fft_pass passes[STAPES__FFT_MAX_PASSES];
    const double *untangle; /* [n/4 + 1][cos, sin]: exp(-2 pi i k / n) */
    double *block;          /* holds both tables */
} stapes__fft_plan;

/* Errors: ARGUMENT for a size that does not factor or exceeds STAPES__FFT_MAX, MEMORY. */
stapes_status stapes__fft_plan_init(stapes__fft_plan *plan, int n, stapes_error *err);
void stapes__fft_plan_free(stapes__fft_plan *plan);

#endif
