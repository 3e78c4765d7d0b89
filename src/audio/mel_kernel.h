/* The inner loop of the log-mel front ends: window, transform, power, mel sums and logarithm of a
 * run of frames. One source (mel_lanes.h) compiled per instruction set; frames lie side by side in
 * the vector lanes and never mix, and no operation is contracted, so every variant gives the same
 * bits for a frame, whatever its neighbours. */
#ifndef STAPES_AUDIO_MEL_KERNEL_H
#define STAPES_AUDIO_MEL_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "audio/fft.h"

#define STAPES__MEL_TAPS 400 /* window length, samples */
#define STAPES__MEL_HOP 160  /* samples between frames */
#define STAPES__MEL_MAX 512  /* mel bins */

typedef struct stapes__mel_plan {
    stapes__fft_plan fft;
    double window[STAPES__MEL_TAPS];
    int offset; /* place of the window in the transform's buffer, even */
    int n_mels;
    int first[STAPES__MEL_MAX];  /* first spectral bin of each filter */
    int length[STAPES__MEL_MAX]; /* bins of each filter, 0 for an empty one */
    const double *weights;       /* the filters' non-zero spans, one after another */
    double preemphasis;          /* y[n] = x[n] - preemphasis x[n-1]; 0 = none */
    double guard;                /* added before the logarithm */
    double floor;                /* smallest value that the logarithm sees */
    double scale;                /* the natural logarithm is multiplied by this */
    bool reflect;                /* mirrored edges instead of zeros */
} stapes__mel_plan;

/* Frames [first, first + n) of samples[0, count) to high[n, n_mels]. Frame t is centred on sample
 * 160 t. With `low` (may be NULL) the rounding error of each value is kept there: high + low has
 * 48 bits. */
typedef void (*stapes__mel_fn)(const stapes__mel_plan *plan, const float *samples, size_t count,
                               size_t first, size_t n, float *high, float *low);

void stapes__mel_kernel_c(const stapes__mel_plan *plan, const float *samples, size_t count,
                          size_t first, size_t n, float *high, float *low);
#if defined(__x86_64__)
void stapes__mel_kernel_avx2(const stapes__mel_plan *plan, const float *samples, size_t count,
                             size_t first, size_t n, float *high, float *low);
#endif

/* The fastest variant of this processor. */
stapes__mel_fn stapes__mel_kernel_pick(void);

/* Samples start ... start + length - 1 of the signal with its edges extended as the plan says and
 * pre-emphasis applied. */
void stapes__mel_fetch(const stapes__mel_plan *plan, const float *samples, size_t count,
                       ptrdiff_t start, size_t length, double *out);

#endif
