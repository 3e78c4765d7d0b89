/* Log-mel front ends: NeMo (Parakeet, Nemotron) and Whisper, one extractor with two recipes.
 * Definition: spec/front-ends. Transform and sums in double, rounded once: within 1e-5 of exact
 * arithmetic. Output is frames-major, [n_frames, n_mels]. */
#ifndef STAPES_AUDIO_LOGMEL_H
#define STAPES_AUDIO_LOGMEL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/thread.h"
#include "tensor/tensor.h"

typedef enum stapes__mel_recipe { STAPES__MEL_NEMO, STAPES__MEL_WHISPER } stapes__mel_recipe;
typedef enum stapes__mel_normalize {
    STAPES__MEL_NORMALIZE_NONE,
    STAPES__MEL_PER_FEATURE /* NeMo: mean and unbiased deviation per bin over the valid frames */
} stapes__mel_normalize;
typedef enum stapes__mel_edges {
    STAPES__EDGES_ZERO,            /* NeMo >= 2.5 and Hugging Face: floor(N/160) frames */
    STAPES__EDGES_REFLECT_PLUS_ONE /* NeMo <= 2.4: floor(N/160) + 1 frames */
} stapes__mel_edges;

typedef struct stapes__mel_params {
    stapes__mel_recipe recipe;
    int n_mels;                      /* 80 or 128, any 1..512 works */
    stapes__mel_normalize normalize; /* NeMo only */
    stapes__mel_edges edges;         /* NeMo only */
    double preemphasis;              /* NeMo: 0.97 */
    const stapes__tensor *window;    /* stored window [400] or NULL for the formula */
    const stapes__tensor *filters;   /* stored filter bank [1, n_mels, bins] or NULL */
} stapes__mel_params;

typedef struct stapes__logmel stapes__logmel;

/* Read-only after opening; shared by threads. */
stapes_status stapes__logmel_open(stapes__logmel **out, const stapes__mel_params *params,
                                  stapes_error *err);
void stapes__logmel_close(stapes__logmel **mel);
int stapes__logmel_mels(const stapes__logmel *mel);

/* Valid frames of n samples: NeMo floor(n/160) (+1 with the old edges, 0 for 0), Whisper
 * floor(n/160). */
size_t stapes__logmel_frames(const stapes__logmel *mel, size_t samples);

/* Features of a whole utterance, normalised as the parameters say. out holds
 * frames(n) * n_mels floats. pool may be NULL; results do not depend on it. */
stapes_status stapes__logmel_run(const stapes__logmel *mel, stapes__pool *pool,
                                 const float *samples, size_t count, float *out, stapes_error *err);
/* The same before normalisation (NeMo) or before the range compression (Whisper: log10 of the
 * clamped power), frames [first, first + n) only: the piece that streaming is built from. */
stapes_status stapes__logmel_raw(const stapes__logmel *mel, stapes__pool *pool,
                                 const float *samples, size_t count, size_t first, size_t n,
                                 float *out, stapes_error *err);
/* Whisper: max(x, max - 8), (x + 4) / 4 in place; `max` < -1e30 takes the maximum of x. */
void stapes__logmel_compress(float *x, size_t count, float max);
/* NeMo per_feature in place over n frames. */
void stapes__logmel_normalize(float *x, size_t n_frames, int n_mels);
/* The filter bank as used, [n_mels, bins], for tests and `inspect`. */
const float *stapes__logmel_filters(const stapes__logmel *mel, int *bins);

#endif
