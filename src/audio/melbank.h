/* Mel filter banks and windows by their formulas. */
#ifndef STAPES_AUDIO_MELBANK_H
#define STAPES_AUDIO_MELBANK_H

/* Slaney scale and Slaney area norm over 0 ... 8000 Hz at 16 kHz, computed in double and rounded to
 * float: out[n_mels, n_fft / 2 + 1]. Triangles between points equally spaced in mel; mel(f) is
 * linear below 1000 Hz (200/3 Hz each) and logarithmic above (27 steps to a factor of 6.4). */
void stapes__melbank_slaney(int n_mels, int n_fft, float *out);

/* Hann window of `taps` values: 0.5 - 0.5 cos(2 pi i / period), period taps - 1 (symmetric) or
 * taps (periodic). */
void stapes__window_hann(int taps, int period, double *out);

#endif
