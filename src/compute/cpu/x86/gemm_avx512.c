#include "compute/cpu/x86/simd_avx512.h"

#define GEMM_MR 14
#include "compute/cpu/gemm_simd.h"

void stapes__gemm_init_avx512(stapes__ops *ops) {
    ops->pack = gemm_pack;
    ops->linear = gemm_linear;
}

const stapes__gemm_kernels *stapes__gemm_kernels_avx512(void) {
    return &gemm_kernels;
}
