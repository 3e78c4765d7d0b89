/* Resampling to 16 kHz with soxr's very high quality: linear phase, delay removed (output sample k
 * stands for time k / 16000), the same bits however the input is cut. 16 kHz passes untouched. */
#ifndef STAPES_AUDIO_RESAMPLE_H
#define STAPES_AUDIO_RESAMPLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define STAPES__RATE 16000
#define STAPES__RATE_MIN 8000
#define STAPES__RATE_MAX 192000

typedef struct stapes__resampler stapes__resampler;

/* Errors: UNSUPPORTED for a rate outside 8000 ... 192000 Hz, MEMORY. */
stapes_status stapes__resampler_open(stapes__resampler **out, int rate, stapes_error *err);

/* Takes up to n samples and makes up to `capacity`; *used and *made say how many. Call again with
 * the rest until all are used; output that did not fit comes with the next call (n may be 0).
 * Progress is made whenever capacity > 0. */
stapes_status stapes__resampler_process(stapes__resampler *r, const float *in, size_t n,
                                        size_t *used, float *out, size_t capacity, size_t *made,
                                        stapes_error *err);

/* After the last input: what the filter still holds. Call until *made is 0. In total n 16000 / rate
 * samples come out, rounded: the whole number above it or the one below that. */
stapes_status stapes__resampler_flush(stapes__resampler *r, float *out, size_t capacity,
                                      size_t *made, stapes_error *err);

void stapes__resampler_close(stapes__resampler **r);

#endif
