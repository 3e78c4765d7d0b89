#include "compute/cpu/x86/simd_avx2.h"

#include "compute/cpu/norm_simd.h"

static void layer_norm(const stapes__ops *ops, const float *x, size_t rows, size_t d,
                       const float *gain, const float *bias, float eps, float *y) {
    stapes__norm_run(norm_row, ops, x, rows, d, gain, bias, eps, y);
}

void stapes__norm_init_avx2(stapes__ops *ops) {
    ops->layer_norm = layer_norm;
}
