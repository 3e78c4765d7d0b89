#include "compute/cpu/x86/simd_avx2.h"

#include "compute/cpu/attention_simd.h"

static bool rel_attention(const stapes__ops *ops, const stapes__rel_attention *a,
                          stapes__arena *scratch) {
    stapes__attention_kernels kernels = {.gemm = stapes__gemm_kernels_avx2(),
                                         .softmax = attention_softmax,
                                         .add = attention_add,
                                         .scale = attention_scale};
    return stapes__attention_tiled(&kernels, ops, a, scratch);
}

void stapes__attention_init_avx2(stapes__ops *ops) {
    ops->rel_attention = rel_attention;
}
