/* Layer normalisation over channels. Mean and variance of a row in two passes, each summed in
 * STAPES__NORM_LANES interleaved chains that are then added in a fixed tree. */
#ifndef STAPES_COMPUTE_CPU_NORM_H
#define STAPES_COMPUTE_CPU_NORM_H

#include "compute/ops.h"

enum { STAPES__NORM_LANES = 16 };

/* One row; y may be x. */
typedef void (*stapes__norm_row_fn)(const float *x, size_t d, const float *gain, const float *bias,
                                    float eps, float *y);

void stapes__norm_row_c(const float *x, size_t d, const float *gain, const float *bias, float eps,
                        float *y);
/* The op body, given the row function. */
void stapes__norm_run(stapes__norm_row_fn row, const stapes__ops *ops, const float *x, size_t rows,
                      size_t d, const float *gain, const float *bias, float eps, float *y);

void stapes__norm_init_c(stapes__ops *ops);
void stapes__norm_init_avx2(stapes__ops *ops);
void stapes__norm_init_avx512(stapes__ops *ops);

#endif
