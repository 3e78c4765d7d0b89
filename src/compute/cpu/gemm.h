/* Linear layers with weights packed once.
 *
 * A weight [n, k] is kept as column panels [ceil(n / nr)][k][nr], 64-byte aligned, the last panel
 * filled with zeros. y is made in tiles of up to mr rows by one panel. Along k every output
 * element is
 *     total = 0; for each block of STAPES__KB: total += chain of (fused) multiply-adds in k order
 * with blocks that start at the same places for every m and every split, so its bits depend on
 * its row of x and its row of the weight alone. Short blocks also keep the rounding error of long
 * sums small. */
#ifndef STAPES_COMPUTE_CPU_GEMM_H
#define STAPES_COMPUTE_CPU_GEMM_H

#include "compute/ops.h"

enum {
    STAPES__KB = 256,       /* length of a k block */
    STAPES__A_STRIDE = 272, /* row stride of a copied block of x: 17 cache lines, so that the rows
                               of a tile fall into different sets of the first cache */
    STAPES__MAX_MR = 14,
    STAPES__MAX_NR = 32
};

struct stapes__weight {
    size_t n, k, nr, panels;
    size_t bytes; /* of data */
    float *data;
};

/* The innermost loops of one instruction set. */
typedef struct stapes__gemm_kernels {
    size_t mr, nr;
    /* c[rows, nr] = (accumulate ? c : 0) + a[rows, kb] b[kb, nr]; rows in [1, mr]; a has row
     * stride STAPES__A_STRIDE, b is contiguous, c is 64-byte aligned with ldc a multiple of 16.
     * ahead: kb * nr / 4 floats that a later call will read, to be fetched into the second cache
     * meanwhile; b when there is nothing to fetch. */
    void (*tile)(size_t rows, size_t kb, const float *a, const float *b, const float *ahead,
                 float *c, size_t ldc, bool accumulate);
    /* c[rows, nr] = x[rows, k] b[k, nr] over the whole k, in the same blocks and with the same
     * bits as tile; rows in [1, few_rows]; c contiguous. Reads b as one stream. */
    size_t few_rows; /* 0: none */
    void (*few)(size_t rows, size_t k, const float *x, size_t ldx, const float *b, float *c);
    /* y[rows, columns] = epilogue(c); y, residual and bias at the tile's first element. */
    void (*finish)(const stapes__epilogue *e, const float *bias, const float *residual, size_t rows,
                   size_t columns, const float *c, size_t ldc, float *y, size_t ldy);
} stapes__gemm_kernels;

/* The op bodies, given kernels. */
stapes_status stapes__gemm_pack(const stapes__ops *ops, const stapes__pack_params *params,
                                size_t nr, stapes__weight **out, stapes_error *err);
void stapes__gemm_linear(const stapes__gemm_kernels *kernels, const stapes__ops *ops,
                         const stapes__weight *weight, const float *x, size_t ldx, size_t m,
                         const stapes__epilogue *epilogue, float *y, size_t ldy);
/* ceil(m / mr) tiles of nearly equal height: first row of tile `index`. */
static inline size_t stapes__tile_row(size_t m, size_t tiles, size_t index) {
    return m * index / tiles;
}

/* The kernels themselves, for families built over them. */
const stapes__gemm_kernels *stapes__gemm_kernels_avx2(void);
const stapes__gemm_kernels *stapes__gemm_kernels_avx512(void);

void stapes__gemm_init_c(stapes__ops *ops);
void stapes__gemm_init_avx2(stapes__ops *ops);
void stapes__gemm_init_avx512(stapes__ops *ops);

#endif
