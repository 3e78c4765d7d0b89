#include "audio/melbank.h"

#include <math.h>
#include <stddef.h>

static double mel_to_hz(double mel) {
    return mel < 15 ? mel * (200.0 / 3) : 1000 * exp(log(6.4) / 27 * (mel - 15));
}

/* Filter point i of n_mels + 2, in Hz. */
static double point(int i, int n_mels) {
    double top = 15 + log(8.0) / (log(6.4) / 27); /* mel(8000) */
    return mel_to_hz(top * i / (n_mels + 1));
}

void stapes__melbank_slaney(int n_mels, int n_fft, float *out) {
    int bins = n_fft / 2 + 1;
    for (int m = 0; m < n_mels; m++) {
        double low = point(m, n_mels), peak = point(m + 1, n_mels), high = point(m + 2, n_mels);
        double area = 2 / (high - low);
        for (int k = 0; k < bins; k++) {
            double f = k * (16000.0 / n_fft);
            double up = (f - low) / (peak - low), down = (high - f) / (high - peak);
            double weight = up < down ? up : down;
            out[(ptrdiff_t)m * bins + k] = weight > 0 ? (float)(weight * area) : 0;
        }
    }
}

void stapes__window_hann(int taps, int period, double *out) {
    const double pi = 3.14159265358979323846;
    for (int i = 0; i < taps; i++)
        out[i] = 0.5 - 0.5 * cos(2 * pi * i / period);
}
