/* Work splitting of linear layers, and the plain C kernels. */
#include "compute/cpu/gemm.h"

#include <math.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
    TASK_TILES = 9,  /* rows of tiles in one task: 126 rows of the AVX-512 kernel */
    TASK_PANELS = 8, /* panels in one task: their k block (256 KiB) stays in the second cache */
    PARALLEL_WORK = 1 << 20,    /* multiply-adds below which the caller works alone */
    PARALLEL_BYTES = 512 << 10, /* the same for few rows, where reading the weight is the work */
    STREAM_BYTES = 128 << 10,   /* least part of a weight for a task of few rows */
    TILE_FLOATS = STAPES__MAX_MR * STAPES__MAX_NR
};

typedef struct linear_job {
    const stapes__gemm_kernels *kernels;
    const stapes__weight *weight;
    const float *x;
    size_t ldx, m;
    stapes__epilogue epilogue;
    float *y;
    size_t ldy;
    size_t tiles, row_blocks, column_blocks, threads;
} linear_job;

static void finish_tile(const linear_job *job, size_t row, size_t rows, size_t panel,
                        const float *c, size_t ldc) {
    const stapes__weight *w = job->weight;
    const stapes__epilogue *e = &job->epilogue;
    size_t column = panel * w->nr;
    size_t columns = w->n - column < w->nr ? w->n - column : w->nr;
    job->kernels->finish(e, e->bias ? e->bias + column : NULL,
                         e->residual ? e->residual + row * e->ld_residual + column : NULL, rows,
                         columns, c, ldc, job->y + row * job->ldy + column, job->ldy);
}

static void copy_block(const linear_job *job, size_t row, size_t rows, size_t k0, size_t kb,
                       float *a) {
    for (size_t r = 0; r < rows; r++)
        memcpy(a + r * STAPES__A_STRIDE, job->x + (row + r) * job->ldx + k0, kb * sizeof *a);
}

/* The quarter `part` of the panel block that a thread will need after this one: the next k block
 * of the panel, or at the end the first of the column block that the thread gets next if all run
 * at the same speed. Without it the first tile of every block waits for memory. NULL for none. */
static const float *fetch_ahead(const linear_job *job, size_t task, size_t panel, size_t k0,
                                size_t part) {
    const stapes__weight *w = job->weight;
    size_t column_block = task / job->row_blocks;
    if (part > 3)
        return NULL;
    if (k0 >= w->k) {
        k0 = 0;
        size_t next = (task + job->threads) / job->row_blocks;
        if (next >= job->column_blocks)
            return NULL;
        column_block = next;
    }
    size_t at = stapes__tile_row(w->panels, job->column_blocks, column_block) + panel;
    size_t kb = w->k - k0 < STAPES__KB ? w->k - k0 : STAPES__KB;
    return at < w->panels ? w->data + (at * w->k + k0 + part * kb / 4) * w->nr : NULL;
}

/* One block of tiles by one block of panels: for each block of k, each tile of x is copied once
 * and meets every panel. The sums of all blocks wait in `sums` until the last one. */
static void run_block(void *arg, size_t index, int worker) {
    (void)worker;
    const linear_job *job = arg;
    const stapes__weight *w = job->weight;
    alignas(64) float sums[TASK_TILES * TASK_PANELS * TILE_FLOATS];
    alignas(64) float a[STAPES__MAX_MR * STAPES__A_STRIDE];
    size_t row_block = index % job->row_blocks, column_block = index / job->row_blocks;
    size_t tile0 = stapes__tile_row(job->tiles, job->row_blocks, row_block);
    size_t tile1 = stapes__tile_row(job->tiles, job->row_blocks, row_block + 1);
    size_t panel0 = stapes__tile_row(w->panels, job->column_blocks, column_block);
    size_t panel1 = stapes__tile_row(w->panels, job->column_blocks, column_block + 1);
    for (size_t k0 = 0; k0 < w->k; k0 += STAPES__KB) {
        size_t kb = w->k - k0 < STAPES__KB ? w->k - k0 : STAPES__KB;
        for (size_t tile = tile0; tile < tile1; tile++) {
            size_t row = stapes__tile_row(job->m, job->tiles, tile);
            size_t rows = stapes__tile_row(job->m, job->tiles, tile + 1) - row;
            copy_block(job, row, rows, k0, kb, a);
            for (size_t panel = panel0; panel < panel1; panel++) {
                float *c = sums + ((tile - tile0) * TASK_PANELS + panel - panel0) * TILE_FLOATS;
                const float *b = w->data + (panel * w->k + k0) * w->nr;
                const float *next = fetch_ahead(job, index, panel - panel0, k0 + kb, tile - tile0);
                job->kernels->tile(rows, kb, a, b, next ? next : b, c, w->nr, k0 > 0);
                if (k0 + kb == w->k)
                    finish_tile(job, row, rows, panel, c, w->nr);
            }
        }
    }
}

/* Few rows: each panel is read once from end to end. */
static void run_stream(void *arg, size_t index, int worker) {
    (void)worker;
    const linear_job *job = arg;
    const stapes__weight *w = job->weight;
    alignas(64) float c[TILE_FLOATS];
    size_t end = stapes__tile_row(w->panels, job->column_blocks, index + 1);
    for (size_t panel = stapes__tile_row(w->panels, job->column_blocks, index); panel < end;
         panel++) {
        job->kernels->few(job->m, w->k, job->x, job->ldx, w->data + panel * w->k * w->nr, c);
        finish_tile(job, 0, job->m, panel, c, w->nr);
    }
}

static size_t divide_up(size_t a, size_t b) {
    return (a + b - 1) / b;
}

/* Chooses how many blocks of rows and of columns make the tasks: the least estimated time of the
 * busiest thread, in units of one full tile by one panel and one k block. Copying a tile of x
 * costs about 0.1 of a unit, fetching a panel's block into the second cache about 0.5, a task
 * 0.2; at least four tasks per thread where the work allows, so that a thread on a busy core
 * takes fewer. */
static void plan(linear_job *job, size_t threads) {
    size_t panels = job->weight->panels, tiles = job->tiles;
    size_t least_columns = divide_up(panels, TASK_PANELS),
           least_rows = divide_up(tiles, TASK_TILES);
    job->column_blocks = least_columns;
    job->row_blocks = least_rows;
    job->threads = threads;
    if (threads < 2)
        return;
    size_t wanted = 4 * threads, units = panels * tiles;
    if (wanted > units / 8)
        wanted = units / 8 > threads ? units / 8 : threads;
    double best = 0.0;
    for (size_t rows = least_rows; rows <= tiles && rows <= least_rows + wanted; rows++) {
        for (size_t columns = least_columns; columns <= panels && columns <= least_columns + wanted;
             columns++) {
            double turns = (double)divide_up(rows * columns, threads);
            double height = (double)divide_up(tiles, rows),
                   width = (double)divide_up(panels, columns);
            double cost = turns * (height * width + 0.1 * height + 0.5 * width + 0.2);
            if (rows * columns < wanted)
                cost *= 1.1;
            if (best == 0.0 || cost < best) {
                best = cost;
                job->row_blocks = rows;
                job->column_blocks = columns;
            }
        }
    }
}

void stapes__gemm_linear(const stapes__gemm_kernels *kernels, const stapes__ops *ops,
                         const stapes__weight *weight, const float *x, size_t ldx, size_t m,
                         const stapes__epilogue *epilogue, float *y, size_t ldy) {
    if (m == 0)
        return;
    linear_job job = {.kernels = kernels,
                      .weight = weight,
                      .x = x,
                      .ldx = ldx,
                      .m = m,
                      .y = y,
                      .ldy = ldy,
                      .epilogue = {.scale = 1.0f}};
    if (epilogue)
        job.epilogue = *epilogue;
    size_t threads = (size_t)stapes__pool_threads(ops->pool);
    if (m <= kernels->few_rows) {
        size_t parts = weight->bytes < PARALLEL_BYTES ? 1 : weight->bytes / STREAM_BYTES;
        parts = parts > 4 * threads ? 4 * threads : parts;
        job.column_blocks = threads < 2 ? 1 : (parts < weight->panels ? parts : weight->panels);
        stapes__pool_run(ops->pool, job.column_blocks, run_stream, &job);
        return;
    }
    job.tiles = divide_up(m, kernels->mr);
    plan(&job, m * weight->n * weight->k < PARALLEL_WORK ? 1 : threads);
    if (m * weight->n * weight->k < PARALLEL_WORK) {
        for (size_t i = 0; i < job.row_blocks * job.column_blocks; i++)
            run_block(&job, i, 0);
        return;
    }
    stapes__pool_run(ops->pool, job.row_blocks * job.column_blocks, run_block, &job);
}

/* ---- plain C ---- */

enum { C_MR = 4, C_NR = 16 };

/* A row of sums that any compiler keeps in registers: GNU C's vectors exist on every target. */
typedef float lanes __attribute__((vector_size(16)));
enum { LANES = 4, GROUPS = C_NR / LANES };

static void tile_c(size_t rows, size_t kb, const float *a, const float *b, const float *ahead,
                   float *c, size_t ldc, bool accumulate) {
    (void)ahead;
    for (size_t r = 0; r < rows; r++) {
        lanes s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0}, w[GROUPS];
        const float *x = a + r * STAPES__A_STRIDE;
        for (size_t k = 0; k < kb; k++) {
            memcpy(w, b + k * C_NR, sizeof w);
            s0 += x[k] * w[0];
            s1 += x[k] * w[1];
            s2 += x[k] * w[2];
            s3 += x[k] * w[3];
        }
        lanes sums[GROUPS] = {s0, s1, s2, s3};
        if (accumulate) {
            memcpy(w, c + r * ldc, sizeof w);
            for (size_t g = 0; g < GROUPS; g++)
                sums[g] += w[g];
        }
        memcpy(c + r * ldc, sums, sizeof sums);
    }
}

static float activate(float x, stapes__act act) {
    switch (act) {
    case STAPES__ACT_RELU:
        return x < 0.0f ? 0.0f : x;
    case STAPES__ACT_SILU:
        return x / (1.0f + expf(-x));
    case STAPES__ACT_GELU:
        return 0.5f * x * (1.0f + erff(x * 0.70710678f));
    case STAPES__ACT_NONE:
        break;
    }
    return x;
}

static void finish_c(const stapes__epilogue *e, const float *bias, const float *residual,
                     size_t rows, size_t columns, const float *c, size_t ldc, float *y,
                     size_t ldy) {
    for (size_t r = 0; r < rows; r++) {
        for (size_t j = 0; j < columns; j++) {
            float value = c[r * ldc + j];
            if (bias)
                value += bias[j];
            value = activate(value, e->act) * e->scale;
            if (residual)
                value += residual[r * e->ld_residual + j];
            y[r * ldy + j] = value;
        }
    }
}

static const stapes__gemm_kernels kernels_c = {
    .mr = C_MR, .nr = C_NR, .tile = tile_c, .finish = finish_c};

static stapes_status pack_c(const stapes__ops *ops, const stapes__pack_params *params,
                            stapes__weight **out, stapes_error *err) {
    return stapes__gemm_pack(ops, params, C_NR, out, err);
}

static void linear_c(const stapes__ops *ops, const stapes__weight *weight, const float *x,
                     size_t ldx, size_t m, const stapes__epilogue *epilogue, float *y, size_t ldy) {
    stapes__gemm_linear(&kernels_c, ops, weight, x, ldx, m, epilogue, y, ldy);
}

static void weight_free(stapes__weight *weight) {
    if (!weight)
        return;
    stapes__free_aligned(weight->data);
    free(weight);
}

static size_t weight_bytes(const stapes__weight *weight) {
    return weight->bytes;
}

void stapes__gemm_init_c(stapes__ops *ops) {
    ops->pack = pack_c;
    ops->linear = linear_c;
    ops->weight_free = weight_free;
    ops->weight_bytes = weight_bytes;
}
