/* The table of the CPU back end. */
#include <string.h>

#include "compute/cpu/attention.h"
#include "compute/cpu/conv2d.h"
#include "compute/cpu/conv_module.h"
#include "compute/cpu/elementwise.h"
#include "compute/cpu/gemm.h"
#include "compute/cpu/kv_attention.h"
#include "compute/cpu/lstm.h"
#include "compute/cpu/norm.h"

static void init_c(stapes__ops *ops) {
    stapes__gemm_init_c(ops);
    stapes__norm_init_c(ops);
    stapes__attention_init_c(ops);
    stapes__kv_attention_init_c(ops);
    stapes__conv_module_init_c(ops);
    stapes__conv2d_init_c(ops);
    stapes__lstm_init_c(ops);
    stapes__elementwise_init_c(ops);
}

#if defined(__x86_64__)
static void init_avx2(stapes__ops *ops) {
    stapes__gemm_init_avx2(ops);
    stapes__norm_init_avx2(ops);
    stapes__attention_init_avx2(ops);
    stapes__kv_attention_init_avx2(ops);
    stapes__conv_module_init_avx2(ops);
    stapes__conv2d_init_avx2(ops);
    stapes__lstm_init_avx2(ops);
    stapes__elementwise_init_avx2(ops);
    ops->isa = STAPES__ISA_AVX2;
}

static void init_avx512(stapes__ops *ops) {
    stapes__gemm_init_avx512(ops);
    stapes__norm_init_avx512(ops);
    stapes__attention_init_avx512(ops);
    stapes__kv_attention_init_avx512(ops);
    stapes__conv_module_init_avx512(ops);
    stapes__conv2d_init_avx512(ops);
    stapes__lstm_init_avx512(ops);
    stapes__elementwise_init_avx512(ops);
    ops->isa = STAPES__ISA_AVX512;
}

/* In rising order, leaving at the first level that the processor lacks. */
static void init_levels(stapes__ops *ops, stapes__isa isa) {
    if (isa < STAPES__ISA_AVX2)
        return;
    init_avx2(ops);
    if (isa < STAPES__ISA_AVX512)
        return;
    init_avx512(ops);
}
#else
static void init_levels(stapes__ops *ops, stapes__isa isa) {
    (void)ops;
    (void)isa;
}
#endif

void stapes__ops_cpu(stapes__ops *ops, const stapes__cpu *cpu, stapes__pool *pool) {
    memset(ops, 0, sizeof *ops);
    ops->pool = pool;
    ops->cpu = *cpu;
    ops->isa = STAPES__ISA_C;
    init_c(ops);
    init_levels(ops, cpu->isa);
    ops->name = stapes__isa_name(ops->isa);
}
