/* The plain C reference: keys and values row by row, one query of one head at a time. */
#include "compute/cpu/kv_attention.h"

#include <math.h>
#include <string.h>

#include "compute/cpu/parallel.h"

/* ---- layout: [rows, n_heads * head_dim] of keys, then the same of values ---- */

static size_t kv_floats_c(size_t rows, size_t n_heads, size_t head_dim) {
    return 2 * rows * n_heads * head_dim;
}

static float *key_row(const stapes__kv *kv, size_t row) {
    return kv->data + row * kv->n_heads * kv->head_dim;
}

static float *value_row(const stapes__kv *kv, size_t row) {
    return key_row(kv, kv->rows + row);
}

static void kv_put_c(const stapes__ops *ops, const stapes__kv *kv, size_t first,
                     const uint32_t *slots, size_t count, const float *k, size_t ldk,
                     const float *v, size_t ldv) {
    (void)ops;
    size_t bytes = kv->n_heads * kv->head_dim * sizeof(float);
    for (size_t i = 0; i < count; i++) {
        size_t row = slots ? slots[i] : first + i;
        memcpy(key_row(kv, row), k + i * ldk, bytes);
        memcpy(value_row(kv, row), v + i * ldv, bytes);
    }
}

static void kv_get_c(const stapes__kv *kv, size_t row, float *k, float *v) {
    size_t bytes = kv->n_heads * kv->head_dim * sizeof(float);
    memcpy(k, key_row(kv, row), bytes);
    memcpy(v, value_row(kv, row), bytes);
}

/* ---- attention ---- */

typedef struct kv_job {
    const stapes__attention *a;
    float *scores; /* [workers][stride] */
    size_t stride;
} kv_job;

/* In LANES interleaved chains. */
static float dot(const float *q, const float *k, size_t d) {
    enum { LANES = 8 };
    float sums[LANES] = {0};
    size_t c = 0;
    for (; c + LANES <= d; c += LANES)
        for (size_t i = 0; i < LANES; i++)
            sums[i] += q[c + i] * k[c + i];
    for (; c < d; c++)
        sums[c % LANES] += q[c] * k[c];
    for (size_t half = LANES / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++)
            sums[i] += sums[i + half];
    return sums[0];
}

static void one_query(const stapes__attention *a, const stapes__attention_group *group, size_t head,
                      size_t query, float *scores) {
    size_t d = a->kv->head_dim, at = head * d, keys = stapes__kv_visible(group, query);
    const float *q = a->q + (group->q_first + query) * a->ldq + at;
    float *out = a->out + (group->q_first + query) * a->ldo + at;
    float top = -INFINITY, total = 0.0f;
    for (size_t j = 0; j < keys; j++) {
        size_t row = group->rows ? group->rows[j] : group->k_first + j;
        scores[j] = dot(q, key_row(a->kv, row) + at, d) * a->scale;
        top = scores[j] > top ? scores[j] : top;
    }
    for (size_t j = 0; j < keys; j++) {
        scores[j] = expf(scores[j] - top);
        total += scores[j];
    }
    memset(out, 0, d * sizeof *out);
    for (size_t j = 0; j < keys; j++) {
        size_t row = group->rows ? group->rows[j] : group->k_first + j;
        const float *v = value_row(a->kv, row) + at;
        scores[j] /= total;
        for (size_t c = 0; c < d; c++)
            out[c] += scores[j] * v[c];
    }
    if (group->probabilities && group->probabilities[head]) {
        float *p = group->probabilities[head] + query * group->k_count;
        memcpy(p, scores, keys * sizeof *p);
        memset(p + keys, 0, (group->k_count - keys) * sizeof *p);
    }
}

/* Items count queries of all groups, each with all its heads. */
static void some_queries(void *arg, size_t first, size_t count, int worker) {
    const kv_job *job = arg;
    const stapes__attention *a = job->a;
    float *scores = job->scores + (size_t)worker * job->stride;
    const stapes__attention_group *group = a->groups;
    while (first >= group->q_count) {
        first -= group->q_count;
        group++;
    }
    for (size_t query = first; count > 0; count--, query++) {
        while (query >= group->q_count) {
            query = 0;
            group++;
        }
        for (size_t head = 0; head < a->kv->n_heads; head++)
            one_query(a, group, head, query, scores);
    }
}

static bool attention_c(const stapes__ops *ops, const stapes__attention *a,
                        stapes__arena *scratch) {
    size_t queries = 0, keys = 0;
    for (size_t g = 0; g < a->n_groups; g++) {
        queries += a->groups[g].q_count;
        keys = a->groups[g].k_count > keys ? a->groups[g].k_count : keys;
    }
    stapes__arena_mark mark = stapes__arena_save(scratch);
    kv_job job = {.a = a, .stride = (keys + 31) & ~(size_t)15};
    job.scores =
        stapes__arena_floats(scratch, (size_t)stapes__pool_threads(ops->pool) * job.stride);
    if (!job.scores) {
        stapes__arena_restore(scratch, mark);
        return false;
    }
    size_t work = a->kv->n_heads * a->kv->head_dim * (keys + 1) * 2;
    stapes__parallel(ops->pool, queries, ((size_t)256 << 10) / work + 1, some_queries, &job);
    stapes__arena_restore(scratch, mark);
    return true;
}

void stapes__kv_attention_init_c(stapes__ops *ops) {
    ops->kv_floats = kv_floats_c;
    ops->kv_put = kv_put_c;
    ops->kv_get = kv_get_c;
    ops->attention = attention_c;
}
