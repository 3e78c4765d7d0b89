#include "compute/cpu/x86/simd_avx2.h"

#define KV_GEMM stapes__gemm_kernels_avx2
#include "compute/cpu/kv_attention_simd.h"

void stapes__kv_attention_init_avx2(stapes__ops *ops) {
    kv_attention_init(ops);
}
