#include "compute/cpu/attention_tiled.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#include "compute/cpu/parallel.h"

enum {
    GROUP_FLOATS = 4 << 20, /* panels of as many units as fit are made and used together: 16 MiB */
    PACK_GRAIN = 32 << 10,  /* floats laid out, worth waking a thread for */
    TILE_GRAIN = 1 << 20    /* multiply-adds, likewise */
};

typedef struct unit {
    const stapes__attention_span *span;
    size_t head;
    size_t key_panels;
    size_t position_first, position_panels; /* columns from position_first on */
    float *keys;                            /* [key_panels][head_dim][nr] */
    float *values;                          /* [value_panels][k_count][nr] */
    float *positions;                       /* [position_panels][head_dim][nr] */
    size_t tiles;
} unit;

typedef struct tiled_job {
    const stapes__attention_kernels *kernels;
    const stapes__rel_attention *a;
    size_t nr, mr, value_panels;
    unit *units; /* of the group */
    size_t n_units;
    float *scratch; /* [workers][worker_floats] */
    size_t worker_floats, score_stride, strip_stride, sum_stride;
} tiled_job;

static size_t divide_up(size_t a, size_t b) {
    return (a + b - 1) / b;
}

/* Floats to the next whole cache line and one line more, so that rows fall into different sets. */
static size_t padded(size_t floats) {
    return ((floats + 15) & ~(size_t)15) + 16;
}

/* ---- layout ---- */

/* Position columns that visible pairs of the span need: [*first, *end) inside the table. */
static void position_range(const stapes__rel_attention *a, const stapes__attention_span *span,
                           size_t *first, size_t *end) {
    int64_t zero = (int64_t)a->position_zero, last = (int64_t)(span->q_offset + span->q_count) - 1;
    int64_t low = zero - last, high = zero - (int64_t)span->q_offset + (int64_t)span->k_count;
    /* Chunks see at most left + chunk - 1 back and chunk - 1 ahead. */
    int64_t more = a->mask.chunk > 0 ? a->mask.chunk - 1 : 0;
    int64_t right = a->mask.chunk > 0 ? more : a->mask.right;
    if (a->mask.left >= 0 && low < zero - a->mask.left - more)
        low = zero - a->mask.left - more;
    if (right >= 0 && high > zero + right + 1)
        high = zero + right + 1;
    *first = low > 0 ? (size_t)low : 0;
    *end = high < (int64_t)a->n_positions ? (size_t)high : a->n_positions;
    if (*end < *first)
        *end = *first;
}

static void pack_keys(const tiled_job *job, const unit *u, size_t panel) {
    const stapes__rel_attention *a = job->a;
    size_t d = a->head_dim, nr = job->nr, first = panel * nr;
    float *out = u->keys + panel * d * nr;
    for (size_t j = 0; j < nr; j++) {
        size_t key = first + j;
        bool seen = key >= u->span->k_skip && key < u->span->k_count;
        const float *k = a->k + (u->span->k_first + (seen ? key : 0)) * a->ldk + u->head * d;
        for (size_t c = 0; c < d; c++)
            out[c * nr + j] = seen ? k[c] : 0.0f;
    }
}

static void pack_values(const tiled_job *job, const unit *u, size_t panel) {
    const stapes__rel_attention *a = job->a;
    size_t d = a->head_dim, nr = job->nr, keys = u->span->k_count;
    size_t end = (panel + 1) * nr < keys ? (panel + 1) * nr : keys;
    for (size_t j = panel * nr; j < end; j++) {
        bool seen = j >= u->span->k_skip;
        const float *v = a->v + (u->span->k_first + j) * a->ldv + u->head * d;
        for (size_t p = 0; p < job->value_panels; p++) {
            float *out = u->values + (p * keys + j) * nr;
            size_t n = !seen ? 0 : d - p * nr < nr ? d - p * nr : nr;
            if (n)
                memcpy(out, v + p * nr, n * sizeof *out);
            memset(out + n, 0, (nr - n) * sizeof *out);
        }
    }
}

static void pack_positions(const tiled_job *job, const unit *u, size_t panel) {
    const stapes__rel_attention *a = job->a;
    size_t d = a->head_dim, nr = job->nr, first = u->position_first + panel * nr;
    size_t n = a->n_positions - first < nr ? a->n_positions - first : nr;
    const float *p = a->positions + u->head * d * a->n_positions + first;
    float *out = u->positions + panel * d * nr;
    for (size_t c = 0; c < d; c++, out += nr, p += a->n_positions) {
        memcpy(out, p, n * sizeof *out);
        memset(out + n, 0, (nr - n) * sizeof *out);
    }
}

static size_t unit_panels(const unit *u) {
    return u->key_panels > u->position_panels ? u->key_panels : u->position_panels;
}

/* Items count the panels of the group's units. */
static void pack_some(void *arg, size_t first, size_t count, int worker) {
    (void)worker;
    const tiled_job *job = arg;
    for (const unit *u = job->units; count > 0; u++) {
        size_t panels = unit_panels(u);
        for (; first < panels && count > 0; first++, count--) {
            if (first < u->key_panels) {
                pack_keys(job, u, first);
                pack_values(job, u, first);
            }
            if (first < u->position_panels)
                pack_positions(job, u, first);
        }
        first -= first < panels ? first : panels;
    }
}

/* ---- one tile of queries ---- */

typedef struct tile {
    const unit *u;
    size_t first, rows; /* queries */
    size_t low[STAPES__MAX_MR], high[STAPES__MAX_MR];
    size_t least, most; /* union of the visible ranges */
    float *scores, *strip, *sums;
    float totals[STAPES__MAX_MR];
} tile;

/* out[rows, panels * nr] = (q + bias) panels; columns as laid out, head_dim in blocks. */
static void project(const tiled_job *job, const tile *t, const float *bias, const float *panels,
                    size_t n_panels, float *out, size_t ld) {
    const stapes__rel_attention *a = job->a;
    alignas(64) float block[STAPES__MAX_MR * STAPES__A_STRIDE];
    size_t d = a->head_dim, at = t->u->head * d;
    for (size_t c0 = 0; c0 < d; c0 += STAPES__KB) {
        size_t count = d - c0 < STAPES__KB ? d - c0 : STAPES__KB;
        for (size_t r = 0; r < t->rows; r++) {
            const float *q = a->q + (t->u->span->q_first + t->first + r) * a->ldq + at + c0;
            job->kernels->add(q, bias + at + c0, count, block + r * STAPES__A_STRIDE);
        }
        for (size_t p = 0; p < n_panels; p++)
            job->kernels->gemm->tile(t->rows, count, block, panels + (p * d + c0) * job->nr,
                                     panels + (p * d + c0) * job->nr, out + p * job->nr, ld,
                                     c0 > 0);
    }
}

/* Fills t->scores with exp(score - largest), zeros where a row does not see, and t->totals.
 * Column 0 of scores is key t->least rounded down to a panel. */
static void score_tile(const tiled_job *job, tile *t) {
    const stapes__rel_attention *a = job->a;
    const unit *u = t->u;
    size_t nr = job->nr, d = a->head_dim, base = t->least - t->least % nr;
    project(job, t, a->bias_u, u->keys + base * d, divide_up(t->most - base, nr), t->scores,
            job->score_stride);
    /* Strip columns of the tile, clipped to what is laid out: pairs outside are never visible. */
    int64_t offset = (int64_t)a->position_zero - (int64_t)(u->span->q_offset + t->first);
    int64_t from = offset - (int64_t)t->rows + 1 + (int64_t)t->least - (int64_t)u->position_first;
    int64_t to = offset + (int64_t)t->most - (int64_t)u->position_first;
    size_t first_panel = from > 0 ? (size_t)from / nr : 0;
    size_t end_panel = divide_up((size_t)to, nr);
    end_panel = end_panel < u->position_panels ? end_panel : u->position_panels;
    project(job, t, a->bias_w, u->positions + first_panel * nr * d, end_panel - first_panel,
            t->strip, job->strip_stride);
    int64_t column = offset - (int64_t)(u->position_first + first_panel * nr);
    for (size_t r = 0; r < t->rows; r++) {
        float *row = t->scores + r * job->score_stride;
        size_t low = t->low[r], high = t->high[r];
        t->totals[r] = 0.0f;
        if (low == high)
            low = high = t->least;
        else
            t->totals[r] = job->kernels->softmax(row + (low - base),
                                                 t->strip + r * job->strip_stride +
                                                     (size_t)(column - (int64_t)r + (int64_t)low),
                                                 high - low, a->scale);
        memset(row + (t->least - base), 0, (low - t->least) * sizeof *row);
        memset(row + (high - base), 0, (t->most - high) * sizeof *row);
    }
}

/* Weighted sums of the values, then out. */
static void value_tile(const tiled_job *job, tile *t) {
    const stapes__rel_attention *a = job->a;
    const unit *u = t->u;
    size_t nr = job->nr, d = a->head_dim, keys = u->span->k_count, base = t->least - t->least % nr;
    alignas(64) float block[STAPES__MAX_MR * STAPES__A_STRIDE];
    for (size_t k0 = t->least; k0 < t->most;) {
        size_t end = (k0 / STAPES__KB + 1) * STAPES__KB;
        end = end < t->most ? end : t->most;
        for (size_t r = 0; r < t->rows; r++)
            memcpy(block + r * STAPES__A_STRIDE, t->scores + r * job->score_stride + (k0 - base),
                   (end - k0) * sizeof *block);
        for (size_t p = 0; p < job->value_panels; p++) {
            const float *b = u->values + (p * keys + k0) * nr;
            job->kernels->gemm->tile(t->rows, end - k0, block, b, b, t->sums + p * nr,
                                     job->sum_stride, k0 > t->least);
        }
        k0 = end;
    }
    for (size_t r = 0; r < t->rows; r++) {
        float *out = a->out + (u->span->q_first + t->first + r) * a->ldo + u->head * d;
        if (t->low[r] < t->high[r])
            job->kernels->scale(t->sums + r * job->sum_stride, 1.0f / t->totals[r], d, out);
        else
            memset(out, 0, d * sizeof *out);
    }
}

static void one_tile(const tiled_job *job, const unit *u, size_t index, float *scratch) {
    const stapes__rel_attention *a = job->a;
    tile t = {.u = u, .least = SIZE_MAX, .scores = scratch};
    t.strip = t.scores + job->mr * job->score_stride;
    t.sums = t.strip + job->mr * job->strip_stride;
    t.first = stapes__tile_row(u->span->q_count, u->tiles, index);
    t.rows = stapes__tile_row(u->span->q_count, u->tiles, index + 1) - t.first;
    for (size_t r = 0; r < t.rows; r++) {
        stapes__attention_visible(&a->mask, u->span, t.first + r, &t.low[r], &t.high[r]);
        if (t.low[r] == t.high[r])
            continue;
        t.least = t.low[r] < t.least ? t.low[r] : t.least;
        t.most = t.high[r] > t.most ? t.high[r] : t.most;
    }
    if (t.most > 0) {
        score_tile(job, &t);
    } else {
        t.least = 0;
    }
    value_tile(job, &t);
}

/* Items count the tiles of the group's units. */
static void some_tiles(void *arg, size_t first, size_t count, int worker) {
    const tiled_job *job = arg;
    float *scratch = job->scratch + (size_t)worker * job->worker_floats;
    for (const unit *u = job->units; count > 0; u++) {
        for (; first < u->tiles && count > 0; first++, count--)
            one_tile(job, u, first, scratch);
        first -= first < u->tiles ? first : u->tiles;
    }
}

/* ---- groups ---- */

/* Lays out and works through the job's group. false when memory is short. */
static bool run_group(tiled_job *job, const stapes__ops *ops, stapes__arena *scratch) {
    size_t d = job->a->head_dim, nr = job->nr, panels = 0, tiles = 0, keys = 0;
    for (size_t i = 0; i < job->n_units; i++) {
        unit *u = &job->units[i];
        u->keys = stapes__arena_floats(scratch, u->key_panels * d * nr);
        u->values = stapes__arena_floats(scratch, job->value_panels * u->span->k_count * nr);
        u->positions = stapes__arena_floats(scratch, u->position_panels * d * nr);
        if (!u->keys || !u->values || !u->positions)
            return false;
        panels += unit_panels(u);
        tiles += u->tiles;
        keys = u->span->k_count > keys ? u->span->k_count : keys;
    }
    stapes__parallel(ops->pool, panels, PACK_GRAIN / (3 * d * nr) + 1, pack_some, job);
    stapes__parallel(ops->pool, tiles, TILE_GRAIN / (3 * job->mr * d * (keys + 1)) + 1, some_tiles,
                     job);
    return true;
}

/* Sizes of the workers' scratch for the longest span. */
static bool plan_scratch(tiled_job *job, const stapes__ops *ops, stapes__arena *scratch) {
    size_t keys = 0;
    for (size_t s = 0; s < job->a->n_spans; s++)
        keys = job->a->spans[s].k_count > keys ? job->a->spans[s].k_count : keys;
    job->score_stride = padded(keys + 2 * job->nr);
    job->strip_stride = padded(keys + job->mr + 2 * job->nr);
    job->sum_stride = padded(job->value_panels * job->nr);
    job->worker_floats = job->mr * (job->score_stride + job->strip_stride + job->sum_stride);
    job->scratch =
        stapes__arena_floats(scratch, (size_t)stapes__pool_threads(ops->pool) * job->worker_floats);
    return job->scratch != NULL;
}

static unit make_unit(const tiled_job *job, const stapes__attention_span *span, size_t head) {
    size_t end;
    unit u = {.span = span, .head = head, .key_panels = divide_up(span->k_count, job->nr)};
    position_range(job->a, span, &u.position_first, &end);
    u.position_panels = divide_up(end - u.position_first, job->nr);
    u.tiles = divide_up(span->q_count, job->mr);
    return u;
}

static bool run_units(tiled_job *job, const stapes__ops *ops, stapes__arena *scratch) {
    const stapes__rel_attention *a = job->a;
    size_t total = a->n_spans * a->n_heads, floats = 0;
    job->units = stapes__arena_alloc(scratch, total * sizeof *job->units);
    if (!job->units || !plan_scratch(job, ops, scratch))
        return false;
    bool ok = true;
    stapes__arena_mark mark = stapes__arena_save(scratch);
    for (size_t i = 0; ok && i < total; i++) {
        const stapes__attention_span *span = &a->spans[i / a->n_heads];
        if (span->q_count > 0)
            job->units[job->n_units++] = make_unit(job, span, i % a->n_heads);
        floats += 2 * span->k_count * a->head_dim + (span->k_count + span->q_count) * a->head_dim;
        if (floats < GROUP_FLOATS && i + 1 < total)
            continue;
        ok = run_group(job, ops, scratch);
        stapes__arena_restore(scratch, mark);
        job->n_units = 0;
        floats = 0;
    }
    return ok;
}

bool stapes__attention_tiled(const stapes__attention_kernels *kernels, const stapes__ops *ops,
                             const stapes__rel_attention *a, stapes__arena *scratch) {
    stapes__arena_mark mark = stapes__arena_save(scratch);
    tiled_job job = {.kernels = kernels, .a = a, .nr = kernels->gemm->nr, .mr = kernels->gemm->mr};
    job.value_panels = divide_up(a->head_dim, job.nr);
    bool ok = run_units(&job, ops, scratch);
    stapes__arena_restore(scratch, mark);
    return ok;
}
