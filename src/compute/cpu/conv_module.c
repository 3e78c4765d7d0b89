#include "compute/cpu/conv_module.h"

#include <math.h>
#include <string.h>

#include "compute/cpu/parallel.h"

enum {
    BLOCK_ROWS = 64, /* rows of a block at most: the gated rows stay in the second cache */
    GRAIN = 16 << 10 /* channels times rows worth waking a thread for */
};

typedef struct conv_job {
    const stapes__conv_module_kernels *kernels;
    const stapes__conv_module *c;
    float *scratch; /* [workers][BLOCK_ROWS + kernel - 1][row_stride] */
} conv_job;

/* Whole cache lines and one more: with a power of two, the same channel of all rows would fall
 * into one set of the first cache. */
static size_t row_stride(const stapes__conv_module *c) {
    return ((c->d + 15) & ~(size_t)15) + 16;
}

/* Output rows [t0, t1) of a span, t1 - t0 <= BLOCK_ROWS. */
static void conv_block(const conv_job *job, const stapes__span *span, size_t t0, size_t t1,
                       float *gated) {
    const stapes__conv_module *c = job->c;
    size_t d = c->d, ld = row_stride(c);
    for (size_t i = 0; i < t1 - t0 + c->kernel - 1; i++) {
        size_t t = t0 + i; /* row t - pad_left of the span */
        if (t >= c->pad_left && t - c->pad_left < span->count)
            job->kernels->glu(c->x + (span->first + t - c->pad_left) * 2 * d, d, gated + i * ld);
        else
            memset(gated + i * ld, 0, d * sizeof *gated);
    }
    float *y = c->y + (span->first + t0) * d;
    job->kernels->taps(c, gated, ld, t1 - t0, !c->norm_gain, y);
    for (size_t t = t0; c->norm_gain && t < t1; t++, y += d) {
        job->kernels->norm(y, d, c->norm_gain, c->norm_bias, c->norm_eps, y);
        job->kernels->silu(y, d);
    }
}

/* Items count the rows of all spans. */
static void conv_rows(void *arg, size_t first, size_t count, int worker) {
    const conv_job *job = arg;
    float *gated =
        job->scratch + (size_t)worker * (BLOCK_ROWS + job->c->kernel - 1) * row_stride(job->c);
    for (size_t s = 0; s < job->c->n_spans && count > 0; s++) {
        const stapes__span *span = &job->c->spans[s];
        if (first >= span->count) {
            first -= span->count;
            continue;
        }
        size_t end = span->count - first < count ? span->count : first + count;
        count -= end - first;
        for (size_t t = first; t < end; t += BLOCK_ROWS)
            conv_block(job, span, t, end - t < BLOCK_ROWS ? end : t + BLOCK_ROWS, gated);
        first = 0;
    }
}

bool stapes__conv_module_run(const stapes__conv_module_kernels *kernels, const stapes__ops *ops,
                             const stapes__conv_module *c, stapes__arena *scratch) {
    size_t rows = 0;
    for (size_t s = 0; s < c->n_spans; s++)
        rows += c->spans[s].count;
    stapes__arena_mark mark = stapes__arena_save(scratch);
    conv_job job = {kernels, c, NULL};
    job.scratch = stapes__arena_floats(scratch, (size_t)stapes__pool_threads(ops->pool) *
                                                    (BLOCK_ROWS + c->kernel - 1) * row_stride(c));
    if (!job.scratch) {
        stapes__arena_restore(scratch, mark);
        return false;
    }
    stapes__parallel(ops->pool, rows, GRAIN / (c->d + 1) + 1, conv_rows, &job);
    stapes__arena_restore(scratch, mark);
    return true;
}

/* ---- plain C ---- */

static void glu_c(const float *x, size_t d, float *y) {
    for (size_t i = 0; i < d; i++)
        y[i] = x[i] / (1.0f + expf(-x[d + i]));
}

static void silu_c(float *y, size_t d) {
    for (size_t i = 0; i < d; i++)
        y[i] = y[i] / (1.0f + expf(-y[i]));
}

static void taps_c(const stapes__conv_module *c, const float *gated, size_t ld, size_t rows,
                   bool silu, float *y) {
    for (size_t t = 0; t < rows; t++, y += c->d) {
        for (size_t i = 0; i < c->d; i++)
            y[i] = c->bias ? c->bias[i] : 0.0f;
        for (size_t tap = 0; tap < c->kernel; tap++)
            for (size_t i = 0; i < c->d; i++)
                y[i] += c->weight[tap * c->d + i] * gated[(t + tap) * ld + i];
        if (silu)
            silu_c(y, c->d);
    }
}

static const stapes__conv_module_kernels kernels_c = {
    .glu = glu_c, .taps = taps_c, .norm = stapes__norm_row_c, .silu = silu_c};

static bool conv_module_c(const stapes__ops *ops, const stapes__conv_module *c,
                          stapes__arena *scratch) {
    return stapes__conv_module_run(&kernels_c, ops, c, scratch);
}

void stapes__conv_module_init_c(stapes__ops *ops) {
    ops->conv_module = conv_module_c;
}
