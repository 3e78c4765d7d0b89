/* Speed of the operations by shape, instruction set and thread count: GFLOP/s with the share of
 * the measured peak of multiply-adds in registers; GB/s where reading the weight is the work.
 * usage: bench_kernels [all|gemm|few|attention|rows] [seconds per line] [none|avx2|avx512] */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "compute/ops.h"

/* Seconds: on the wall for several threads, of processor time for one, which a busy neighbour
 * disturbs less. */
static double now(const stapes__ops *ops) {
    struct timespec t;
    bool several = stapes__pool_threads(ops->pool) > 1;
    clock_gettime(several ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- peak ---- */

enum { PEAK_ROUNDS = 200000, PEAK_CHAINS = 12 };

static void peak_c(float *out) {
    float sums[PEAK_CHAINS * 4] = {0};
    for (int i = 0; i < PEAK_ROUNDS; i++)
        for (int j = 0; j < PEAK_CHAINS * 4; j++)
            sums[j] = sums[j] * 0.999f + 0.001f;
    memcpy(out, sums, 64);
}

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx2,fma"))) static void peak_avx2(float *out) {
    __m256 x = _mm256_set1_ps(0.999f), sums[PEAK_CHAINS];
    for (int j = 0; j < PEAK_CHAINS; j++)
        sums[j] = _mm256_set1_ps((float)j);
    for (int i = 0; i < PEAK_ROUNDS; i++)
        for (int j = 0; j < PEAK_CHAINS; j++)
            sums[j] = _mm256_fmadd_ps(sums[j], x, x);
    for (int j = 1; j < PEAK_CHAINS; j++)
        sums[0] = _mm256_add_ps(sums[0], sums[j]);
    _mm256_storeu_ps(out, sums[0]);
}

__attribute__((target("avx512f"))) static void peak_avx512(float *out) {
    __m512 x = _mm512_set1_ps(0.999f), sums[PEAK_CHAINS];
    for (int j = 0; j < PEAK_CHAINS; j++)
        sums[j] = _mm512_set1_ps((float)j);
    for (int i = 0; i < PEAK_ROUNDS; i++)
        for (int j = 0; j < PEAK_CHAINS; j++)
            sums[j] = _mm512_fmadd_ps(sums[j], x, x);
    for (int j = 1; j < PEAK_CHAINS; j++)
        sums[0] = _mm512_add_ps(sums[0], sums[j]);
    _mm512_storeu_ps(out, sums[0]);
}
#endif

typedef struct peak_job {
    stapes__isa isa;
    float sink[64][16];
} peak_job;

static void peak_task(void *arg, size_t index, int worker) {
    (void)worker;
    peak_job *job = arg;
#if defined(__x86_64__)
    if (job->isa == STAPES__ISA_AVX512)
        peak_avx512(job->sink[index]);
    if (job->isa == STAPES__ISA_AVX2)
        peak_avx2(job->sink[index]);
#endif
    if (job->isa == STAPES__ISA_C)
        peak_c(job->sink[index]);
}

/* GFLOP/s of independent multiply-adds in registers, all threads of the pool. */
static double peak(const stapes__ops *ops) {
    static const int lanes[] = {4, 8, 16, 4};
    size_t tasks = (size_t)stapes__pool_threads(ops->pool);
    tasks = tasks > 64 ? 64 : tasks;
    peak_job job = {.isa = ops->isa};
    double best = 0.0, flops = 2.0 * PEAK_ROUNDS * PEAK_CHAINS * lanes[ops->isa] * (double)tasks;
    for (int i = 0; i < 20; i++) {
        double start = now(ops);
        stapes__pool_run(ops->pool, tasks, peak_task, &job);
        double rate = flops / (now(ops) - start);
        best = rate > best ? rate : best;
    }
    return best * 1e-9;
}

/* ---- runs ---- */

typedef struct bench {
    stapes__ops ops[8];
    double peaks[8];
    size_t count;
    double seconds;
    stapes__arena *arena;
} bench;

/* Best time of one call within the time allowed. */
static double time_of(const stapes__ops *ops, void (*call)(void *), void *arg, double seconds) {
    call(arg);
    double best = INFINITY, end = now(ops) + seconds;
    do {
        double start = now(ops);
        call(arg);
        double took = now(ops) - start;
        best = took < best ? took : best;
    } while (now(ops) < end);
    return best;
}

static void report(const bench *b, size_t variant, const char *what, double seconds, double flops,
                   double bytes) {
    const stapes__ops *ops = &b->ops[variant];
    printf("%-7s %d threads  %-40s %9.1f us", ops->name, stapes__pool_threads(ops->pool), what,
           seconds * 1e6);
    if (flops > 0)
        printf("  %7.1f GFLOP/s  %5.1f %% of peak", flops * 1e-9 / seconds,
               flops * 1e-7 / seconds / b->peaks[variant]);
    if (bytes > 0)
        printf("  %6.1f GB/s", bytes * 1e-9 / seconds);
    printf("\n");
}

static float *values(size_t count) {
    float *data = stapes__alloc_aligned(count * sizeof *data);
    if (!data)
        exit(1);
    uint32_t state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        data[i] = (float)(int32_t)state * 4.6566129e-10f;
    }
    return data;
}

typedef struct linear_call {
    const stapes__ops *ops;
    stapes__weight *weight;
    float *x, *y;
    size_t m, n, k;
} linear_call;

static void call_linear(void *arg) {
    const linear_call *c = arg;
    stapes__epilogue e = {.scale = 1.0f};
    c->ops->linear(c->ops, c->weight, c->x, c->k, c->m, &e, c->y, c->n);
}

static void bench_linear(const bench *b, size_t m, size_t k, size_t n) {
    float *w = values(n * k), *x = values(m * k), *y = values(m * n);
    stapes__tensor part = {.name = "w",
                           .dtype = STAPES__F32,
                           .n_dims = 2,
                           .data = w,
                           .shape = {(int64_t)n, (int64_t)k},
                           .bytes = n * k * sizeof *w};
    stapes__pack_params params = {.parts = &part, .n_parts = 1, .n = n, .k = k};
    char what[64];
    snprintf(what, sizeof what, "linear m %zu k %zu n %zu", m, k, n);
    for (size_t i = 0; i < b->count; i++) {
        linear_call c = {&b->ops[i], NULL, x, y, m, n, k};
        if (b->ops[i].pack(&b->ops[i], &params, &c.weight, NULL) != STAPES_OK)
            exit(1);
        double took = time_of(&b->ops[i], call_linear, &c, b->seconds);
        double mnk = (double)m * (double)n * (double)k;
        report(b, i, what, took, 2.0 * mnk, m < 16 ? 4.0 * (double)(n * k) : 0);
        b->ops[i].weight_free(c.weight);
    }
    stapes__free_aligned(w);
    stapes__free_aligned(x);
    stapes__free_aligned(y);
}

typedef struct attention_call {
    const stapes__ops *ops;
    stapes__arena *arena;
    stapes__rel_attention a;
} attention_call;

static void call_attention(void *arg) {
    const attention_call *c = arg;
    if (!c->ops->rel_attention(c->ops, &c->a, c->arena))
        exit(1);
    stapes__arena_reset(c->arena);
}

static void bench_attention(const bench *b, size_t t, size_t heads, size_t head_dim) {
    size_t width = heads * head_dim;
    float *qkv = values(t * 3 * width), *p = values(width * (2 * t - 1)), *out = values(t * width);
    float *u = values(2 * width);
    stapes__attention_span span = {0, t, 0, t, 0, 0};
    stapes__rel_attention a = {.q = qkv,
                               .k = qkv + width,
                               .v = qkv + 2 * width,
                               .ldq = 3 * width,
                               .ldk = 3 * width,
                               .ldv = 3 * width,
                               .out = out,
                               .ldo = width,
                               .n_heads = heads,
                               .head_dim = head_dim,
                               .bias_u = u,
                               .bias_w = u + width,
                               .positions = p,
                               .n_positions = 2 * t - 1,
                               .position_zero = t - 1,
                               .scale = 1.0f / sqrtf((float)head_dim),
                               .spans = &span,
                               .n_spans = 1,
                               .mask = {-1, -1, 0}};
    char what[64];
    snprintf(what, sizeof what, "attention T %zu, %zu heads of %zu", t, heads, head_dim);
    for (size_t i = 0; i < b->count; i++) {
        attention_call c = {&b->ops[i], b->arena, a};
        double took = time_of(&b->ops[i], call_attention, &c, b->seconds);
        report(b, i, what, took, 6.0 * (double)t * (double)t * (double)width, 0);
    }
    stapes__free_aligned(qkv);
    stapes__free_aligned(p);
    stapes__free_aligned(out);
    stapes__free_aligned(u);
}

typedef struct rows_call {
    const stapes__ops *ops;
    stapes__arena *arena;
    float *x, *w, *y;
    size_t rows, d;
} rows_call;

static void call_norm(void *arg) {
    const rows_call *c = arg;
    c->ops->layer_norm(c->ops, c->x, c->rows, c->d, c->w, c->w + c->d, 1e-5f, c->y);
}

static void call_conv(void *arg) {
    const rows_call *c = arg;
    stapes__span span = {0, c->rows};
    stapes__conv_module m = {.x = c->x,
                             .y = c->y,
                             .d = c->d,
                             .kernel = 9,
                             .pad_left = 4,
                             .weight = c->w,
                             .bias = c->w + 9 * c->d,
                             .spans = &span,
                             .n_spans = 1};
    if (!c->ops->conv_module(c->ops, &m, c->arena))
        exit(1);
    stapes__arena_reset(c->arena);
}

static void call_lstm(void *arg) {
    const rows_call *c = arg;
    c->ops->lstm_cell(c->ops, c->x, 1, 640, c->w, c->y);
}

static void conv2d(const rows_call *c, bool first, size_t width) {
    stapes__span in = {0, c->rows}, out = {0, stapes__conv2d_length(c->rows, 1)};
    stapes__conv2d s = {.x = c->x,
                        .y = c->y,
                        .width_in = width,
                        .width_out = stapes__conv2d_length(width, 1),
                        .channels = 256,
                        .pad_before = 1,
                        .weight = c->w,
                        .bias = c->w + 9 * 256,
                        .relu = first,
                        .in = &in,
                        .out = &out,
                        .n_spans = 1};
    (first ? c->ops->conv2d_first : c->ops->conv2d_depthwise)(c->ops, &s);
}

static void call_conv2d_first(void *arg) {
    conv2d(arg, true, 128);
}

static void call_conv2d_depthwise(void *arg) {
    conv2d(arg, false, 64);
}

static void bench_rows(const bench *b) {
    static const struct {
        const char *what;
        void (*call)(void *);
        size_t rows;
        double bytes; /* read and written */
    } lines[] = {{"layer_norm 375 x 1024", call_norm, 375, 8.0 * 375 * 1024},
                 {"conv_module 375 x 1024, kernel 9", call_conv, 375, 12.0 * 375 * 1024},
                 {"lstm_cell 640", call_lstm, 1, 0},
                 {"conv2d_first 1000 x 128 -> 256", call_conv2d_first, 1000, 4.0 * 500 * 64 * 256},
                 {"conv2d_depthwise 500 x 64 x 256", call_conv2d_depthwise, 500,
                  4.0 * 500 * 64 * 256 * 1.25}};
    float *x = values(500 * 64 * 256), *w = values(16 * 1024), *y = values(500 * 64 * 256);
    for (size_t l = 0; l < sizeof lines / sizeof *lines; l++) {
        for (size_t i = 0; i < b->count; i++) {
            rows_call c = {&b->ops[i], b->arena, x, w, y, lines[l].rows, 1024};
            double took = time_of(&b->ops[i], lines[l].call, &c, b->seconds);
            report(b, i, lines[l].what, took, 0, lines[l].bytes);
        }
    }
    stapes__free_aligned(x);
    stapes__free_aligned(w);
    stapes__free_aligned(y);
}

static void bench_all(const bench *b, const char *only) {
    static const size_t shapes[][2] = {{1024, 4096},
                                       {4096, 1024},
                                       {1024, 3072},
                                       {192, 768},
                                       {768, 192}},
                        rows[] = {125, 375}, lengths[] = {125, 375, 1500};
    for (size_t s = 0; s < 5 && (!only || strcmp(only, "gemm") == 0); s++)
        for (size_t r = 0; r < 2; r++)
            bench_linear(b, rows[r], shapes[s][0], shapes[s][1]);
    for (size_t m = 1; m <= 14 && (!only || strcmp(only, "few") == 0); m += m < 4 ? 3 : 10) {
        bench_linear(b, m, 640, 8198);
        bench_linear(b, m, 1280, 2560);
        bench_linear(b, m, 1024, 4096);
    }
    for (size_t t = 0; t < 3 && (!only || strcmp(only, "attention") == 0); t++) {
        bench_attention(b, lengths[t], 8, 128);
        bench_attention(b, lengths[t], 4, 48);
    }
    if (!only || strcmp(only, "rows") == 0)
        bench_rows(b);
}

int main(int argc, char **argv) {
    static const char *const names[] = {"none", "avx2", "avx512"};
    bench b = {.seconds = argc > 2 ? atof(argv[2]) : 0.2, .arena = stapes__arena_new()};
    stapes__pool *pools[2] = {stapes__pool_new(1), stapes__pool_new(stapes__usable_cores())};
    if (!pools[0] || !pools[1] || !b.arena)
        return 1;
    for (size_t i = 0; i < 3; i++) {
        for (size_t p = 0; p < (stapes__usable_cores() > 1 ? 2 : 1); p++) {
            stapes__cpu cpu;
            stapes__cpu_detect(&cpu);
            if ((argc > 3 && strcmp(argv[3], names[i]) != 0) || !stapes__cpu_limit(&cpu, names[i]))
                continue;
            stapes__ops_cpu(&b.ops[b.count], &cpu, pools[p]);
            b.peaks[b.count] = peak(&b.ops[b.count]);
            printf("%-7s %d threads  peak %.1f GFLOP/s\n", b.ops[b.count].name,
                   stapes__pool_threads(pools[p]), b.peaks[b.count]);
            b.count++;
        }
    }
    bench_all(&b, argc > 1 && strcmp(argv[1], "all") != 0 ? argv[1] : NULL);
    stapes__arena_free(b.arena);
    stapes__pool_free(pools[0]);
    stapes__pool_free(pools[1]);
    return 0;
}
