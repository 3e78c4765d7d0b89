/* Elementwise operations. */
#ifndef STAPES_COMPUTE_CPU_ELEMENTWISE_H
#define STAPES_COMPUTE_CPU_ELEMENTWISE_H

#include "compute/ops.h"

/* out[n] = relu(a[n] + b[n]) */
typedef void (*stapes__add_relu_row_fn)(const float *a, const float *b, size_t n, float *out);

/* The op body, given the row function. */
void stapes__add_relu_run(stapes__add_relu_row_fn row, const stapes__ops *ops, const float *a,
                          size_t lda, const float *b, size_t ldb, size_t rows, size_t n,
                          float *out);

void stapes__elementwise_init_c(stapes__ops *ops);
void stapes__elementwise_init_avx2(stapes__ops *ops);
void stapes__elementwise_init_avx512(stapes__ops *ops);

#endif
