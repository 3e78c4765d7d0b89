#include "compute/cpu/lstm.h"

#include <math.h>

static float sigmoid(float x) {
    return 1.0f / (1.0f + expf(-x));
}

/* A step has one row per stream and a width of 640: never worth a second thread. */
static void lstm_cell_c(const stapes__ops *ops, const float *gates, size_t rows, size_t d, float *c,
                        float *h) {
    (void)ops;
    for (size_t r = 0; r < rows; r++, gates += 4 * d, c += d, h += d) {
        for (size_t i = 0; i < d; i++) {
            float kept = sigmoid(gates[d + i]) * c[i];
            c[i] = kept + sigmoid(gates[i]) * tanhf(gates[2 * d + i]);
            h[i] = sigmoid(gates[3 * d + i]) * tanhf(c[i]);
        }
    }
}

void stapes__lstm_init_c(stapes__ops *ops) {
    ops->lstm_cell = lstm_cell_c;
}
