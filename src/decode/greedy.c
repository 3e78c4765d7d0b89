#include "decode/greedy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct stapes__greedy {
    stapes__stages *stages;
    stapes__greedy_params params;
    stapes__greedy_trace_fn trace;
    void *trace_user;
    /* carried between pieces */
    float *h, *c, *g;  /* predictor state after the last label; its projection */
    bool primed;       /* the predictor has run on the start symbol */
    int64_t decoded;   /* frames of the pieces before */
    int64_t overshoot; /* frames of the next piece that a duration already skipped */
    int32_t ctc_last;  /* class of the last frame */
    size_t labels;     /* emitted so far */
    int32_t forced;
    float *logits; /* one row */
};

void stapes__token_list_free(stapes__token_list *list) {
    free(list->items);
    memset(list, 0, sizeof *list);
}

static bool add_token(stapes__token_list *list, const stapes__raw_token *token) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64;
        stapes__raw_token *items = stapes__realloc(list->items, capacity, sizeof *items);
        if (!items)
            return false;
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = *token;
    return true;
}

stapes_status stapes__greedy_open(stapes__greedy **out, stapes__stages *stages,
                                  const stapes__greedy_params *params, stapes_error *err) {
    *out = NULL;
    const stapes__stages_info *info = &stages->info;
    stapes__greedy *g = stapes__calloc(1, sizeof *g);
    if (!g)
        return stapes__fail_memory(err, "the decoder");
    g->stages = stages;
    g->params = *params;
    g->h = stapes__calloc(info->layers * info->hidden + 1, sizeof *g->h);
    g->c = stapes__calloc(info->layers * info->hidden + 1, sizeof *g->c);
    g->g = stapes__calloc(info->joint + 1, sizeof *g->g);
    g->logits = stapes__calloc(info->vocabulary + 1 + info->n_durations, sizeof *g->logits);
    if (!g->h || !g->c || !g->g || !g->logits) {
        stapes__greedy_close(&g);
        return stapes__fail_memory(err, "the decoder");
    }
    stapes__greedy_reset(g);
    *out = g;
    return STAPES_OK;
}

void stapes__greedy_close(stapes__greedy **greedy) {
    stapes__greedy *g = *greedy;
    if (!g)
        return;
    free(g->h);
    free(g->c);
    free(g->g);
    free(g->logits);
    free(g);
    *greedy = NULL;
}

void stapes__greedy_reset(stapes__greedy *g) {
    const stapes__stages_info *info = &g->stages->info;
    memset(g->h, 0, info->layers * info->hidden * sizeof *g->h);
    memset(g->c, 0, info->layers * info->hidden * sizeof *g->c);
    g->primed = false;
    g->decoded = g->overshoot = 0;
    g->ctc_last = (int32_t)info->vocabulary;
    g->labels = 0;
    g->forced = 0;
}

void stapes__greedy_set_trace(stapes__greedy *g, stapes__greedy_trace_fn trace, void *user) {
    g->trace = trace;
    g->trace_user = user;
}

int32_t stapes__greedy_forced(const stapes__greedy *g) {
    return g->forced;
}

int64_t stapes__greedy_frames(const stapes__greedy *g) {
    return g->decoded;
}

int64_t stapes__greedy_overshoot(const stapes__greedy *g) {
    return g->overshoot;
}

/* Best and second best of n logits; ties go to the lowest index. false when one of the winners is
 * not finite (a NaN anywhere makes `sum` NaN). */
static bool top_two(const float *logits, size_t n, const unsigned char *allow, size_t n_allow,
                    size_t *best, size_t *second) {
    float first_value = -INFINITY, second_value = -INFINITY, sum = 0;
    *best = *second = n;
    for (size_t i = 0; i < n; i++) {
        float x = logits[i];
        sum += x - x; /* 0, or NaN for NaN and infinities */
        if (allow && i < n_allow && !allow[i])
            continue;
        if (x > first_value) {
            second_value = first_value;
            *second = *best;
            first_value = x;
            *best = i;
        } else if (x > second_value) {
            second_value = x;
            *second = i;
        }
    }
    return *best < n && sum == 0;
}

static stapes_status bad_logits(const stapes__greedy *g, int64_t t, stapes_error *err) {
    stapes__fail(err, STAPES_E_NUMERIC,
                 "the %s head gave NaN or infinite scores at encoder frame %lld (%.2f s)",
                 g->params.head == STAPES__HEAD_CTC ? "CTC" : "joint", (long long)t,
                 0.01 * (double)g->stages->info.mel_factor * (double)t);
    stapes__hint(err, "The weights are damaged, or this precision is too small for the model.");
    return STAPES_E_NUMERIC;
}

/* The choice at one frame. */
typedef struct choice {
    size_t token, second;
    int duration; /* predicted, before any clamp */
    float duration_margin;
} choice;

static stapes_status evaluate(stapes__greedy *g, const float *f, int64_t t, choice *out,
                              stapes__arena *scratch, stapes_error *err) {
    const stapes__stages_info *info = &g->stages->info;
    stapes_status status = g->stages->table->join(g->stages, f, g->g, 1, g->logits, scratch, err);
    if (status != STAPES_OK)
        return status;
    size_t classes = info->vocabulary + 1;
    if (!top_two(g->logits, classes, g->params.allow, info->vocabulary, &out->token, &out->second))
        return bad_logits(g, t, err);
    out->duration = 0;
    out->duration_margin = 0;
    if (info->n_durations > 0) {
        size_t best, second;
        const float *rows = g->logits + classes;
        if (!top_two(rows, info->n_durations, NULL, 0, &best, &second))
            return bad_logits(g, t, err);
        out->duration = info->durations[best];
        if (second < info->n_durations)
            out->duration_margin = rows[best] - rows[second];
    }
    return STAPES_OK;
}

static void trace(stapes__greedy *g, int64_t t, const choice *c, int64_t advance, bool forced) {
    if (!g->trace)
        return;
    size_t classes = g->stages->info.vocabulary + 1;
    stapes__greedy_step step = {.t = t,
                                .u = g->labels,
                                .token = (int32_t)c->token,
                                .duration = c->duration,
                                .advance = (int32_t)advance,
                                .second = c->second < classes ? (int32_t)c->second : -1,
                                .logit = g->logits[c->token],
                                .second_logit =
                                    c->second < classes ? g->logits[c->second] : -INFINITY,
                                .duration_margin = c->duration_margin,
                                .forced = forced};
    g->trace(g->trace_user, &step, g->logits);
}

static bool emit(stapes__greedy *g, size_t token, int64_t frame, int duration,
                 stapes__token_list *tokens) {
    const float *logits = g->logits;
    stapes__raw_token raw = {.id = (int32_t)token,
                             .frame = (int32_t)frame,
                             .duration = duration,
                             .logit = logits[token]};
    double logprob = 0;
    raw.confidence =
        (float)stapes__confidence_value(g->params.confidence, STAPES__CONFIDENCE_ALPHA, logits,
                                        g->stages->info.vocabulary + 1, (int32_t)token, &logprob);
    raw.logprob = (float)logprob;
    g->labels++;
    return add_token(tokens, &raw);
}

static stapes_status predict(stapes__greedy *g, int32_t label, stapes__arena *scratch,
                             stapes_error *err) {
    g->primed = true;
    return g->stages->table->predict(g->stages, &label, 1, g->h, g->c, g->g, scratch, err);
}

/* Label looping (spec 3): labels and durations are separate argmaxes, time advances on labels too,
 * blank with duration 0 counts as 1, max_symbols labels on one frame force an advance. RNN-T is
 * the same loop with duration 0 for labels and 1 for blank. */
static stapes_status run_transducer(stapes__greedy *g, const float *f, int64_t count,
                                    stapes__token_list *tokens, stapes__arena *scratch,
                                    stapes_error *err) {
    const stapes__stages_info *info = &g->stages->info;
    int64_t t = g->overshoot;
    int64_t label_frame = -1;
    int on_frame = 0;
    while (t < count) {
        choice c;
        int64_t now = t;
        stapes_status status =
            evaluate(g, f + (size_t)t * info->joint, g->decoded + t, &c, scratch, err);
        if (status != STAPES_OK)
            return status;
        if (c.token == info->vocabulary) {
            t += c.duration > 0 ? c.duration : 1;
            trace(g, g->decoded + now, &c, t - now, false);
            continue;
        }
        on_frame = label_frame == now ? on_frame + 1 : 1;
        label_frame = now;
        t += c.duration;
        bool forced = t < count && t == now && on_frame >= g->params.max_symbols;
        if (forced) {
            t++;
            g->forced++;
        }
        trace(g, g->decoded + now, &c, t - now, forced);
        if (!emit(g, c.token, g->decoded + now, info->n_durations ? c.duration : 1, tokens))
            return stapes__fail_memory(err, "tokens");
        status = predict(g, (int32_t)c.token, scratch, err);
        if (status != STAPES_OK)
            return status;
    }
    g->overshoot = t - count;
    g->decoded += count;
    return STAPES_OK;
}

/* Argmax per frame, repeats collapsed, blanks dropped; the last class is carried. */
static stapes_status run_ctc(stapes__greedy *g, const float *logits, int64_t count,
                             stapes__token_list *tokens, stapes_error *err) {
    size_t classes = g->stages->info.vocabulary + 1;
    for (int64_t t = 0; t < count; t++) {
        choice c = {0};
        memcpy(g->logits, logits + (size_t)t * classes, classes * sizeof *g->logits);
        if (!top_two(g->logits, classes, g->params.allow, classes - 1, &c.token, &c.second))
            return bad_logits(g, g->decoded + t, err);
        trace(g, g->decoded + t, &c, 1, false);
        bool fresh = c.token != classes - 1 && (int32_t)c.token != g->ctc_last;
        g->ctc_last = (int32_t)c.token;
        if (fresh && !emit(g, c.token, g->decoded + t, 1, tokens))
            return stapes__fail_memory(err, "tokens");
    }
    g->decoded += count;
    return STAPES_OK;
}

stapes_status stapes__greedy_run(stapes__greedy *g, const float *frames, size_t count,
                                 stapes__token_list *tokens, stapes__arena *scratch,
                                 stapes_error *err) {
    const stapes__stages_info *info = &g->stages->info;
    const stapes__stages_table *table = g->stages->table;
    bool ctc = g->params.head == STAPES__HEAD_CTC;
    stapes__arena_mark mark = stapes__arena_save(scratch);
    size_t width = ctc ? info->vocabulary + 1 : info->joint;
    float *rows = stapes__arena_floats(scratch, count * width);
    stapes_status status = rows ? STAPES_OK : stapes__fail_memory(err, "decoder input");
    if (status == STAPES_OK && ctc)
        status = table->ctc(g->stages, frames, count, rows, scratch, err);
    else if (status == STAPES_OK)
        status = table->project(g->stages, frames, count, g->params.prompt, rows, scratch, err);
    if (status == STAPES_OK && !ctc && !g->primed)
        status = predict(g, (int32_t)info->vocabulary, scratch, err);
    if (status == STAPES_OK)
        status = ctc ? run_ctc(g, rows, (int64_t)count, tokens, err)
                     : run_transducer(g, rows, (int64_t)count, tokens, scratch, err);
    stapes__arena_restore(scratch, mark);
    return status;
}
