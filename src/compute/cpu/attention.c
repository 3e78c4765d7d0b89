/* The plain C reference: one query of one head at a time. */
#include "compute/cpu/attention.h"

#include <math.h>
#include <string.h>

#include "compute/cpu/parallel.h"

void stapes__attention_visible(const stapes__attention_mask *mask,
                               const stapes__attention_span *span, size_t query, size_t *low,
                               size_t *high) {
    size_t i = span->q_offset + query, lo = 0, hi = span->k_count;
    if (mask->chunk > 0) {
        size_t chunk = (size_t)mask->chunk, mine = i / chunk;
        size_t before = mask->left < 0 ? mine : (size_t)mask->left / chunk;
        lo = mine > before ? (mine - before) * chunk : 0;
        if ((mine + 1) * chunk < hi)
            hi = (mine + 1) * chunk;
    } else {
        if (mask->left >= 0 && i > (size_t)mask->left)
            lo = i - (size_t)mask->left;
        if (mask->right >= 0 && i + (size_t)mask->right + 1 < hi)
            hi = i + (size_t)mask->right + 1;
    }
    *low = lo > span->k_skip ? lo : span->k_skip;
    *high = hi > *low ? hi : *low;
}

typedef struct attention_job {
    const stapes__rel_attention *a;
    float *scores; /* [workers][stride] */
    size_t stride;
} attention_job;

/* (q + u) . k in LANES interleaved chains. */
static float dot(const float *q, const float *u, const float *k, size_t d) {
    enum { LANES = 8 };
    float sums[LANES] = {0};
    size_t c = 0;
    for (; c + LANES <= d; c += LANES)
        for (size_t i = 0; i < LANES; i++)
            sums[i] += (q[c + i] + u[c + i]) * k[c + i];
    for (; c < d; c++)
        sums[c % LANES] += (q[c] + u[c]) * k[c];
    for (size_t half = LANES / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++)
            sums[i] += sums[i + half];
    return sums[0];
}

static void one_query(const stapes__rel_attention *a, const stapes__attention_span *span,
                      size_t head, size_t query, float *scores) {
    size_t d = a->head_dim, at = head * d, low, high;
    const float *q = a->q + (span->q_first + query) * a->ldq + at;
    const float *u = a->bias_u + at, *w = a->bias_w + at;
    const float *positions = a->positions + at * a->n_positions;
    float *out = a->out + (span->q_first + query) * a->ldo + at;
    memset(out, 0, d * sizeof *out);
    stapes__attention_visible(&a->mask, span, query, &low, &high);
    if (low == high)
        return;
    const float *p = positions + (a->position_zero + low - (span->q_offset + query));
    for (size_t j = low; j < high; j++)
        scores[j] = 0.0f;
    for (size_t c = 0; c < d; c++, p += a->n_positions)
        for (size_t j = low; j < high; j++)
            scores[j] += (q[c] + w[c]) * p[j - low];
    float top = -INFINITY, total = 0.0f;
    for (size_t j = low; j < high; j++) {
        float content = dot(q, u, a->k + (span->k_first + j) * a->ldk + at, d);
        scores[j] = (content + scores[j]) * a->scale;
        top = scores[j] > top ? scores[j] : top;
    }
    for (size_t j = low; j < high; j++) {
        scores[j] = expf(scores[j] - top);
        total += scores[j];
    }
    for (size_t j = low; j < high; j++) {
        const float *v = a->v + (span->k_first + j) * a->ldv + at;
        float share = scores[j] / total;
        for (size_t c = 0; c < d; c++)
            out[c] += share * v[c];
    }
}

/* Items count queries of all spans, each with all its heads. */
static void some_queries(void *arg, size_t first, size_t count, int worker) {
    const attention_job *job = arg;
    const stapes__rel_attention *a = job->a;
    float *scores = job->scores + (size_t)worker * job->stride;
    const stapes__attention_span *span = a->spans;
    while (first >= span->q_count) {
        first -= span->q_count;
        span++;
    }
    for (size_t query = first; count > 0; count--, query++) {
        while (query >= span->q_count) {
            query = 0;
            span++;
        }
        for (size_t head = 0; head < a->n_heads; head++)
            one_query(a, span, head, query, scores);
    }
}

static bool rel_attention_c(const stapes__ops *ops, const stapes__rel_attention *a,
                            stapes__arena *scratch) {
    size_t queries = 0, keys = 0;
    for (size_t s = 0; s < a->n_spans; s++) {
        queries += a->spans[s].q_count;
        keys = a->spans[s].k_count > keys ? a->spans[s].k_count : keys;
    }
    stapes__arena_mark mark = stapes__arena_save(scratch);
    attention_job job = {.a = a, .stride = (keys + 31) & ~(size_t)15};
    job.scores =
        stapes__arena_floats(scratch, (size_t)stapes__pool_threads(ops->pool) * job.stride);
    if (!job.scores) {
        stapes__arena_restore(scratch, mark);
        return false;
    }
    size_t work = a->n_heads * a->head_dim * (keys + 1) * 3;
    stapes__parallel(ops->pool, queries, ((size_t)256 << 10) / work + 1, some_queries, &job);
    stapes__arena_restore(scratch, mark);
    return true;
}

void stapes__attention_init_c(stapes__ops *ops) {
    ops->rel_attention = rel_attention_c;
}
