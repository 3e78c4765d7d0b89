#include "base/cpu.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/thread.h"

#if defined(__x86_64__)
#include <cpuid.h>

static unsigned long long xgetbv0(void) {
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (unsigned long long)high << 32 | low;
}

static void detect_isa(stapes__cpu *cpu) {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return;
    bool osxsave = c & bit_OSXSAVE, fma = c & bit_FMA, f16c = c & bit_F16C, avx = c & bit_AVX;
    unsigned long long state = osxsave ? xgetbv0() : 0;
    if (!avx || !fma || !f16c || (state & 6) != 6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return;
    if (!(b & bit_AVX2))
        return;
    cpu->isa = STAPES__ISA_AVX2;
    unsigned need = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    if ((b & need) != need || (state & 0xe6) != 0xe6)
        return;
    cpu->isa = STAPES__ISA_AVX512;
    cpu->avx512_vnni = c & bit_AVX512VNNI;
    bool tiles = (state & 0x60000) == 0x60000;
    cpu->amx_tile = tiles && (d & 1u << 24);
    cpu->amx_int8 = tiles && (d & 1u << 25);
    cpu->amx_bf16 = tiles && (d & 1u << 22);
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d))
        cpu->avx512_bf16 = a & 1u << 5;
}

static void detect_model(stapes__cpu *cpu) {
    unsigned brand[12] = {0};
    for (unsigned i = 0; i < 3; i++)
        if (!__get_cpuid(0x80000002 + i, &brand[4 * i], &brand[4 * i + 1], &brand[4 * i + 2],
                         &brand[4 * i + 3]))
            return;
    const char *text = (const char *)brand;
    while (*text == ' ')
        text++;
    snprintf(cpu->model, sizeof cpu->model, "%.48s", text);
}
#else
static void detect_isa(stapes__cpu *cpu) {
#if defined(__aarch64__)
    cpu->isa = STAPES__ISA_NEON; /* part of the base architecture */
#else
    (void)cpu;
#endif
}

static void detect_model(stapes__cpu *cpu) {
    snprintf(cpu->model, sizeof cpu->model, "unknown");
}
#endif

static size_t cache_size(int name) {
    long size = sysconf(name);
    return size > 0 ? (size_t)size : 0;
}

void stapes__cpu_detect(stapes__cpu *cpu) {
    memset(cpu, 0, sizeof *cpu);
    cpu->isa = STAPES__ISA_C;
    detect_isa(cpu);
    detect_model(cpu);
    cpu->l1d = cache_size(_SC_LEVEL1_DCACHE_SIZE);
    cpu->l2 = cache_size(_SC_LEVEL2_CACHE_SIZE);
    cpu->l3 = cache_size(_SC_LEVEL3_CACHE_SIZE);
    cpu->cores = stapes__usable_cores();
}

const char *stapes__isa_name(stapes__isa isa) {
    switch (isa) {
    case STAPES__ISA_AVX2:
        return "avx2";
    case STAPES__ISA_AVX512:
        return "avx512";
    case STAPES__ISA_NEON:
        return "neon";
    case STAPES__ISA_C:
        break;
    }
    return "c";
}

bool stapes__cpu_limit(stapes__cpu *cpu, const char *name) {
    if (!name || strcmp(name, "auto") == 0)
        return true;
    stapes__isa want;
    if (strcmp(name, "none") == 0 || strcmp(name, "c") == 0)
        want = STAPES__ISA_C;
    else if (strcmp(name, "avx2") == 0)
        want = STAPES__ISA_AVX2;
    else if (strcmp(name, "avx512") == 0)
        want = STAPES__ISA_AVX512;
    else if (strcmp(name, "neon") == 0)
        want = STAPES__ISA_NEON;
    else
        return false;
    bool arm = cpu->isa == STAPES__ISA_NEON;
    if (want != STAPES__ISA_C && (want > cpu->isa || arm != (want == STAPES__ISA_NEON)))
        return false;
    if (want != STAPES__ISA_AVX512) {
        cpu->avx512_vnni = cpu->avx512_bf16 = false;
        cpu->amx_tile = cpu->amx_int8 = cpu->amx_bf16 = false;
    }
    cpu->isa = want;
    return true;
}
