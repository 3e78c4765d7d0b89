/* Shared by the kernel tests: every instruction set of this processor against plain C, buffers
 * that end at an unreadable page, exact comparison of bits. */
#ifndef STAPES_TESTS_KERNEL_SUPPORT_H
#define STAPES_TESTS_KERNEL_SUPPORT_H

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "compute/ops.h"
#include "support.h"

/* ---- variants ---- */

typedef struct variant_set {
    stapes__pool *one, *two;
    stapes__ops c;                 /* plain C, one thread */
    stapes__ops alone[2], pair[2]; /* AVX2, AVX-512: one and two threads */
    stapes__ops c_pair;
    size_t count; /* of alone and pair */
    stapes__arena *arena;
} variant_set;

static inline variant_set variants_open(void) {
    variant_set v = {.one = stapes__pool_new(1), .two = stapes__pool_new(2)};
    static const char *const names[] = {"avx2", "avx512"};
    stapes__cpu cpu;
    assert_non_null(v.one);
    assert_non_null(v.two);
    v.arena = stapes__arena_new();
    assert_non_null(v.arena);
    stapes__cpu_detect(&cpu);
    for (size_t i = 0; i < 2; i++) {
        stapes__cpu limited = cpu;
        if (!stapes__cpu_limit(&limited, names[i]))
            continue;
        stapes__ops_cpu(&v.alone[v.count], &limited, v.one);
        stapes__ops_cpu(&v.pair[v.count], &limited, v.two);
        assert_string_equal(v.alone[v.count].name, names[i]);
        v.count++;
    }
    assert_true(stapes__cpu_limit(&cpu, "none"));
    stapes__ops_cpu(&v.c, &cpu, v.one);
    stapes__ops_cpu(&v.c_pair, &cpu, v.two);
    assert_string_equal(v.c.name, "c");
    return v;
}

static inline void variants_close(variant_set *v) {
    stapes__arena_free(v->arena);
    stapes__pool_free(v->one);
    stapes__pool_free(v->two);
}

/* ---- guarded buffers: the byte after the last is not accessible ---- */

typedef struct guarded {
    unsigned char *map;
    size_t map_bytes;
    float *data;
    size_t count;
} guarded;

enum { CANARY = 0x5a };

static inline guarded guarded_new(size_t count) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = count * sizeof(float);
    size_t body = (bytes + page) / page * page;
    guarded g = {.map_bytes = body + page, .count = count};
    g.map = mmap(NULL, g.map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g.map != MAP_FAILED);
    assert_int_equal(mprotect(g.map + body, page, PROT_NONE), 0);
    memset(g.map, CANARY, body);
    g.data = (float *)(void *)(g.map + body - bytes);
    return g;
}

static inline void guarded_free(guarded *g) {
    for (unsigned char *p = g->map; p < (unsigned char *)g->data; p++)
        assert_int_equal(*p, CANARY);
    munmap(g->map, g->map_bytes);
}

/* ---- values ---- */

/* Uniform in [-1, 1), the same on every machine. */
static inline float random_value(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return (float)(int32_t)*state * 4.6566129e-10f;
}

static inline guarded guarded_random(size_t count, uint32_t seed, float scale) {
    guarded g = guarded_new(count);
    for (size_t i = 0; i < count; i++)
        g.data[i] = scale * random_value(&seed);
    return g;
}

static inline void assert_near(const char *what, const float *got, const float *want, size_t count,
                               float tolerance) {
    for (size_t i = 0; i < count; i++) {
        float bound = tolerance * (1.0f + fabsf(want[i]));
        if (!(fabsf(got[i] - want[i]) <= bound))
            fail_msg("%s: element %zu is %.9g, wanted %.9g", what, i, (double)got[i],
                     (double)want[i]);
    }
}

static inline void assert_same_bits(const char *what, const float *got, const float *want,
                                    size_t count) {
    for (size_t i = 0; i < count; i++)
        if (memcmp(got + i, want + i, sizeof *got) != 0)
            fail_msg("%s: element %zu is %.9g, wanted the bits of %.9g", what, i, (double)got[i],
                     (double)want[i]);
}

#endif
