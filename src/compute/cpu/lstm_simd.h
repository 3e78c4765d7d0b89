/* The LSTM cell over vf. */
#ifndef STAPES_COMPUTE_CPU_LSTM_SIMD_H
#define STAPES_COMPUTE_CPU_LSTM_SIMD_H

#include "compute/cpu/lstm.h"
#include "compute/cpu/vecmath_simd.h"

static void lstm_cell(const stapes__ops *ops, const float *gates, size_t rows, size_t d, float *c,
                      float *h) {
    (void)ops;
    for (size_t r = 0; r < rows; r++, gates += 4 * d, c += d, h += d) {
        for (size_t i = 0; i < d; i += VW) {
            size_t n = d - i < VW ? d - i : VW;
            vf in = v_sigmoid(v_load_part(gates + i, n));
            vf keep = v_sigmoid(v_load_part(gates + d + i, n));
            vf fresh = v_tanh(v_load_part(gates + 2 * d + i, n));
            vf out = v_sigmoid(v_load_part(gates + 3 * d + i, n));
            vf cell = v_fma(in, fresh, v_mul(keep, v_load_part(c + i, n)));
            v_store_part(c + i, cell, n);
            v_store_part(h + i, v_mul(out, v_tanh(cell)), n);
        }
    }
}

#endif
