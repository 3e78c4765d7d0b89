#include "compute/cpu/x86/simd_avx2.h"

#include "compute/cpu/conv_module_simd.h"

static bool conv_module(const stapes__ops *ops, const stapes__conv_module *c,
                        stapes__arena *scratch) {
    return stapes__conv_module_run(&conv_module_kernels, ops, c, scratch);
}

void stapes__conv_module_init_avx2(stapes__ops *ops) {
    ops->conv_module = conv_module;
}
