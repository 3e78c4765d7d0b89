#include "compute/cpu/x86/simd_avx2.h"

#include "compute/cpu/elementwise_simd.h"

static void add_relu(const stapes__ops *ops, const float *a, size_t lda, const float *b, size_t ldb,
                     size_t rows, size_t n, float *out) {
    stapes__add_relu_run(add_relu_row, ops, a, lda, b, ldb, rows, n, out);
}

void stapes__elementwise_init_avx2(stapes__ops *ops) {
    ops->add_relu = add_relu;
}
