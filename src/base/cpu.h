/* What the processor can do. Read once and passed on; never a global. */
#ifndef STAPES_BASE_CPU_H
#define STAPES_BASE_CPU_H

#include <stdbool.h>
#include <stddef.h>

typedef enum stapes__isa {
    STAPES__ISA_C,      /* plain C, any processor */
    STAPES__ISA_AVX2,   /* AVX2 + FMA + F16C */
    STAPES__ISA_AVX512, /* AVX-512 F, BW, DQ, VL */
    STAPES__ISA_NEON
} stapes__isa;

typedef struct stapes__cpu {
    stapes__isa isa; /* the highest level of this processor, operating-system support included */
    bool avx512_vnni, avx512_bf16, amx_tile, amx_int8, amx_bf16; /* used by later precisions */
    char model[64];
    size_t l1d, l2, l3; /* bytes, 0 when unknown */
    int cores;          /* usable by this process */
} stapes__cpu;

void stapes__cpu_detect(stapes__cpu *cpu);
const char *stapes__isa_name(stapes__isa isa); /* "c", "avx2", "avx512", "neon" */
/* Parses "auto", "none"/"c", "avx2", "avx512", "neon" and caps cpu->isa. false: unknown name or
 * a level that this processor lacks. */
bool stapes__cpu_limit(stapes__cpu *cpu, const char *name);

#endif
