/* GLU, depthwise convolution over time, normalisation, SiLU in one pass over blocks of rows.
 *
 * A task makes output rows [t0, t1) of one span: the gated rows t0 - pad_left ... that they need
 * go to the worker's scratch (zeros outside the span), then each row is
 *     bias, then weight[tap] * gated[t + tap] added in tap order, norm, SiLU. */
#ifndef STAPES_COMPUTE_CPU_CONV_MODULE_H
#define STAPES_COMPUTE_CPU_CONV_MODULE_H

#include "compute/cpu/norm.h"
#include "compute/ops.h"

typedef struct stapes__conv_module_kernels {
    /* y[d] = x[0, d) * sigmoid(x[d, 2d)) */
    void (*glu)(const float *x, size_t d, float *y);
    /* y[rows, d] = bias + sum over taps of gated rows t, t + 1, ..., which are ld apart; silu:
     * applied at the end. */
    void (*taps)(const stapes__conv_module *c, const float *gated, size_t ld, size_t rows,
                 bool silu, float *y);
    stapes__norm_row_fn norm;
    void (*silu)(float *y, size_t d);
} stapes__conv_module_kernels;

/* The op body, given kernels. */
bool stapes__conv_module_run(const stapes__conv_module_kernels *kernels, const stapes__ops *ops,
                             const stapes__conv_module *c, stapes__arena *scratch);

void stapes__conv_module_init_c(stapes__ops *ops);
void stapes__conv_module_init_avx2(stapes__ops *ops);
void stapes__conv_module_init_avx512(stapes__ops *ops);

#endif
