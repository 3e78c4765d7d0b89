#include "compute/cpu/kv_attention_tiled.h"

#include <stdalign.h>
#include <string.h>

#include "compute/cpu/parallel.h"

enum {
    PUT_GRAIN = 32 << 10, /* floats laid out, worth waking a thread for */
    TILE_GRAIN = 1 << 20  /* multiply-adds, likewise */
};

static size_t divide_up(size_t a, size_t b) {
    return (a + b - 1) / b;
}

/* Floats to the next whole cache line and one line more, so that rows fall into different sets. */
static size_t padded(size_t floats) {
    return ((floats + 15) & ~(size_t)15) + 16;
}

/* ---- layout ---- */

static size_t key_floats(size_t nr, const stapes__kv *kv) {
    return divide_up(kv->rows, nr) * kv->head_dim * nr;
}

static size_t value_floats(size_t nr, const stapes__kv *kv) {
    return divide_up(kv->head_dim, nr) * kv->rows * nr;
}

static float *head_keys(size_t nr, const stapes__kv *kv, size_t head) {
    return kv->data + head * (key_floats(nr, kv) + value_floats(nr, kv));
}

static float *head_values(size_t nr, const stapes__kv *kv, size_t head) {
    return head_keys(nr, kv, head) + key_floats(nr, kv);
}

size_t stapes__kv_floats_tiled(size_t nr, size_t rows, size_t n_heads, size_t head_dim) {
    stapes__kv kv = {.rows = rows, .n_heads = n_heads, .head_dim = head_dim};
    return n_heads * (key_floats(nr, &kv) + value_floats(nr, &kv));
}

typedef struct put_job {
    const stapes__kv *kv;
    size_t nr, first, ldk, ldv;
    const uint32_t *slots;
    const float *k, *v;
} put_job;

static void put_rows(void *arg, size_t first, size_t count, int worker) {
    (void)worker;
    const put_job *job = arg;
    const stapes__kv *kv = job->kv;
    size_t d = kv->head_dim, nr = job->nr;
    for (size_t head = 0; head < kv->n_heads; head++) {
        float *keys = head_keys(nr, kv, head), *values = head_values(nr, kv, head);
        for (size_t i = first; i < first + count; i++) {
            size_t row = job->slots ? job->slots[i] : job->first + i;
            const float *k = job->k + i * job->ldk + head * d;
            const float *v = job->v + i * job->ldv + head * d;
            float *key = keys + row / nr * d * nr + row % nr;
            for (size_t c = 0; c < d; c++)
                key[c * nr] = k[c];
            for (size_t c = 0; c < d; c += nr) {
                float *value = values + (c / nr * kv->rows + row) * nr;
                size_t n = d - c < nr ? d - c : nr;
                memcpy(value, v + c, n * sizeof *value);
                memset(value + n, 0, (nr - n) * sizeof *value);
            }
        }
    }
}

void stapes__kv_put_tiled(size_t nr, const stapes__ops *ops, const stapes__kv *kv, size_t first,
                          const uint32_t *slots, size_t count, const float *k, size_t ldk,
                          const float *v, size_t ldv) {
    put_job job = {kv, nr, first, ldk, ldv, slots, k, v};
    stapes__parallel(ops->pool, count, PUT_GRAIN / (2 * kv->n_heads * kv->head_dim) + 1, put_rows,
                     &job);
}

void stapes__kv_get_tiled(size_t nr, const stapes__kv *kv, size_t row, float *k, float *v) {
    size_t d = kv->head_dim;
    for (size_t head = 0; head < kv->n_heads; head++) {
        const float *key = head_keys(nr, kv, head) + row / nr * d * nr + row % nr;
        const float *values = head_values(nr, kv, head);
        for (size_t c = 0; c < d; c++) {
            k[head * d + c] = key[c * nr];
            v[head * d + c] = values[(c / nr * kv->rows + row) * nr + c % nr];
        }
    }
}

/* ---- one tile of queries ---- */

typedef struct tiled_job {
    const stapes__kv_kernels *kernels;
    const stapes__attention *a;
    size_t nr, mr, tiles; /* tiles of one head */
    float *scratch;       /* [workers][worker_floats] */
    size_t worker_floats, score_stride, sum_stride;
} tiled_job;

typedef struct tile {
    const stapes__attention_group *group;
    size_t head, first, rows; /* queries of the group */
    size_t most;              /* keys that the last of them sees */
    float *sheet;             /* [rows, score_stride]: scores of panels as they lie */
    float *picked;            /* the same in the order of time, when an index names the keys */
    float *sums;              /* [rows, sum_stride] */
    float *scores[STAPES__MAX_MR], totals[STAPES__MAX_MR];
} tile;

/* Rows of the kv that a group's scores are made for: [*first, *end). */
static void score_range(const stapes__attention_group *group, size_t keys, size_t nr, size_t *first,
                        size_t *end) {
    *first = group->k_first - group->k_first % nr;
    *end = group->k_first + keys;
    if (!group->rows)
        return;
    *first = *end = 0;
    for (size_t j = 0; j < keys; j++)
        *end = group->rows[j] >= *end ? (size_t)group->rows[j] + 1 : *end;
}

/* scores[r][j] = q_r . k_j for j below t->most. */
static void score_tile(const tiled_job *job, tile *t) {
    const stapes__attention *a = job->a;
    alignas(64) float block[STAPES__MAX_MR * STAPES__A_STRIDE];
    size_t d = a->kv->head_dim, nr = job->nr, low, high;
    score_range(t->group, t->most, nr, &low, &high);
    const float *keys = head_keys(nr, a->kv, t->head) + low * d;
    for (size_t c0 = 0; c0 < d; c0 += STAPES__KB) {
        size_t count = d - c0 < STAPES__KB ? d - c0 : STAPES__KB;
        for (size_t r = 0; r < t->rows; r++)
            memcpy(block + r * STAPES__A_STRIDE,
                   a->q + (t->group->q_first + t->first + r) * a->ldq + t->head * d + c0,
                   count * sizeof *block);
        for (size_t p = 0; p * nr < high - low; p++) {
            const float *b = keys + (p * d + c0) * nr;
            job->kernels->gemm->tile(t->rows, count, block, b, b, t->sheet + p * nr,
                                     job->score_stride, c0 > 0);
        }
    }
    for (size_t r = 0; r < t->rows; r++) {
        float *line = t->sheet + r * job->score_stride;
        t->scores[r] =
            t->group->rows ? t->picked + r * job->score_stride : line + (t->group->k_first - low);
        for (size_t j = 0; t->group->rows && j < t->most; j++)
            t->scores[r][j] = line[t->group->rows[j]];
    }
}

/* Exponentials of the visible scores, zeros behind them, and the totals. */
static void weigh_tile(const tiled_job *job, tile *t) {
    const stapes__attention_group *group = t->group;
    for (size_t r = 0; r < t->rows; r++) {
        size_t seen = stapes__kv_visible(group, t->first + r);
        t->totals[r] = job->kernels->softmax(t->scores[r], seen, job->a->scale);
        memset(t->scores[r] + seen, 0, (t->most - seen) * sizeof(float));
        if (group->probabilities && group->probabilities[t->head]) {
            float *p = group->probabilities[t->head] + (t->first + r) * group->k_count;
            job->kernels->scale(t->scores[r], 1.0f / t->totals[r], seen, p);
            memset(p + seen, 0, (group->k_count - seen) * sizeof *p);
        }
    }
}

static void value_tile(const tiled_job *job, tile *t) {
    const stapes__attention *a = job->a;
    const stapes__attention_group *group = t->group;
    alignas(64) float block[STAPES__MAX_MR * STAPES__A_STRIDE];
    size_t d = a->kv->head_dim, nr = job->nr, panels = divide_up(d, nr);
    const float *values = head_values(nr, a->kv, t->head);
    if (group->rows) {
        for (size_t r = 0; r < t->rows; r++)
            for (size_t p = 0; p < panels; p++)
                job->kernels->gather(t->scores[r], group->rows, t->most,
                                     values + p * a->kv->rows * nr,
                                     t->sums + r * job->sum_stride + p * nr);
    } else {
        for (size_t k0 = 0; k0 < t->most; k0 += STAPES__KB) {
            size_t count = t->most - k0 < STAPES__KB ? t->most - k0 : STAPES__KB;
            for (size_t r = 0; r < t->rows; r++)
                memcpy(block + r * STAPES__A_STRIDE, t->scores[r] + k0, count * sizeof *block);
            for (size_t p = 0; p < panels; p++) {
                const float *b = values + (p * a->kv->rows + group->k_first + k0) * nr;
                job->kernels->gemm->tile(t->rows, count, block, b, b, t->sums + p * nr,
                                         job->sum_stride, k0 > 0);
            }
        }
    }
    for (size_t r = 0; r < t->rows; r++)
        job->kernels->scale(t->sums + r * job->sum_stride, 1.0f / t->totals[r], d,
                            a->out + (group->q_first + t->first + r) * a->ldo + t->head * d);
}

/* Items count head by head the tiles of all groups. */
static void some_tiles(void *arg, size_t first, size_t count, int worker) {
    const tiled_job *job = arg;
    tile t = {.sheet = job->scratch + (size_t)worker * job->worker_floats};
    t.picked = t.sheet + job->mr * job->score_stride;
    t.sums = t.picked + job->mr * job->score_stride;
    for (size_t item = first; item < first + count; item++) {
        size_t index = item % job->tiles;
        t.head = item / job->tiles;
        t.group = job->a->groups;
        while (index >= divide_up(t.group->q_count, job->mr)) {
            index -= divide_up(t.group->q_count, job->mr);
            t.group++;
        }
        size_t tiles = divide_up(t.group->q_count, job->mr);
        t.first = stapes__tile_row(t.group->q_count, tiles, index);
        t.rows = stapes__tile_row(t.group->q_count, tiles, index + 1) - t.first;
        t.most = stapes__kv_visible(t.group, t.first + t.rows - 1);
        score_tile(job, &t);
        weigh_tile(job, &t);
        value_tile(job, &t);
    }
}

bool stapes__kv_attention_tiled(const stapes__kv_kernels *kernels, const stapes__ops *ops,
                                const stapes__attention *a, stapes__arena *scratch) {
    tiled_job job = {.kernels = kernels, .a = a, .nr = kernels->gemm->nr, .mr = kernels->gemm->mr};
    size_t widest = 0, work = 0;
    for (size_t g = 0; g < a->n_groups; g++) {
        const stapes__attention_group *group = &a->groups[g];
        size_t low, high;
        score_range(group, group->k_count, job.nr, &low, &high);
        if (high - low < group->k_count) /* an index may name a row twice */
            high = low + group->k_count;
        widest = high - low > widest ? high - low : widest;
        job.tiles += divide_up(group->q_count, job.mr);
        work += group->q_count * group->k_count;
    }
    if (job.tiles == 0)
        return true;
    job.score_stride = padded(divide_up(widest, job.nr) * job.nr);
    job.sum_stride = padded(divide_up(a->kv->head_dim, job.nr) * job.nr);
    job.worker_floats = job.mr * (2 * job.score_stride + job.sum_stride);
    stapes__arena_mark mark = stapes__arena_save(scratch);
    job.scratch =
        stapes__arena_floats(scratch, (size_t)stapes__pool_threads(ops->pool) * job.worker_floats);
    if (job.scratch) {
        size_t each = work / job.tiles * a->kv->head_dim * 2 + 1;
        stapes__parallel(ops->pool, a->kv->n_heads * job.tiles, TILE_GRAIN / each + 1, some_tiles,
                         &job);
    }
    stapes__arena_restore(scratch, mark);
    return job.scratch != NULL;
}
