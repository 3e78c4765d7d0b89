#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/whisper/decoder_internal.h"

/* ---- loading ---- */

stapes__whisper_decoder *stapes__whisper_decoder_load(const stapes__whisper_config *config,
                                                      stapes__loader *loader) {
    static const char embedding[] = "decoder.token_embedding.weight";
    static const char positions[] = "decoder.positional_embedding";
    size_t d = (size_t)config->d_model, vocabulary = (size_t)config->vocabulary;
    size_t context = (size_t)config->n_text_ctx;
    stapes__whisper_decoder *t = stapes__calloc(1, sizeof *t);
    if (t)
        t->layers = stapes__calloc((size_t)config->text_layers, sizeof *t->layers);
    if (!t || !t->layers) {
        free(t);
        loader->status = stapes__fail_memory(loader->err, "the decoder");
        return NULL;
    }
    t->config = config;
    t->ops = loader->ops;
    t->output = stapes__loader_weight(loader, embedding, vocabulary, d, NULL);
    t->embedding = loader->find(loader->container, embedding);
    if (stapes__loader_tensor(loader, positions, context, d, 0, 0))
        t->positions = stapes__loader_floats(loader, positions, context * d, 1.0f);
    for (int i = 0; i < config->text_layers; i++) {
        char at[48];
        snprintf(at, sizeof at, "decoder.blocks.%d", i);
        stapes__wh_load_self(loader, at, d, &t->layers[i].self);
        stapes__wh_load_cross(loader, at, d, &t->layers[i].cross);
        stapes__wh_load_mlp(loader, at, d, (size_t)config->text_ff, &t->layers[i].mlp);
    }
    t->norm_out = stapes__wh_load_norm(loader, "decoder", "ln", d);
    return t;
}

void stapes__whisper_decoder_free(stapes__whisper_decoder *decoder) {
    if (!decoder)
        return;
    const stapes__ops *ops = decoder->ops;
    ops->weight_free(decoder->output);
    for (int i = 0; i < decoder->config->text_layers; i++) {
        stapes__wh_free_self(ops, &decoder->layers[i].self);
        stapes__wh_free_cross(ops, &decoder->layers[i].cross);
        stapes__wh_free_mlp(ops, &decoder->layers[i].mlp);
    }
    free(decoder->layers);
    free(decoder);
}

/* ---- a window ---- */

stapes_status stapes__whisper_window(stapes__whisper_cache *cache, const float *frames,
                                     size_t positions, stapes__arena *scratch, stapes_error *err) {
    const stapes__whisper_decoder *t = cache->decoder;
    size_t d = (size_t)t->config->d_model;
    if (positions == 0 || positions > (size_t)t->config->n_audio_ctx)
        return stapes__fail(err, STAPES_E_ARGUMENT,
                            "a window has %zu encoder positions, not 1 to %d", positions,
                            t->config->n_audio_ctx);
    stapes__arena_mark mark = stapes__arena_save(scratch);
    float *kv = stapes__arena_floats(scratch, positions * 2 * d);
    if (!kv)
        return stapes__fail_memory(err, "the keys and values of a window");
    for (int i = 0; i < t->config->text_layers; i++) {
        const wh_cross *cross = &t->layers[i].cross;
        stapes__epilogue bias = {.bias = cross->kv_bias, .scale = 1.0f};
        t->ops->linear(t->ops, cross->kv, frames, d, positions, &bias, kv, 2 * d);
        t->ops->kv_put(t->ops, &cache->cross[i], 0, NULL, positions, kv, 2 * d, kv + d, 2 * d);
    }
    stapes__arena_restore(scratch, mark);
    cache->positions = positions;
    stapes__whisper_rewind(cache, 0);
    return STAPES_OK;
}

/* ---- a step ---- */

typedef struct workspace {
    stapes__whisper_cache *cache;
    const stapes__whisper_step *step;
    stapes__arena *scratch;
    float *x, *normed, *wide; /* [rows, d], [rows, d], [rows, max(ff, 3d)] */
    size_t rows, d;
    uint32_t *slots;                 /* [rows]: where the new tokens go */
    stapes__attention_group *groups; /* one per hypothesis */
    float **probabilities;           /* [heads of a layer] */
} workspace;

static stapes_status check(const stapes__whisper_cache *cache, const stapes__whisper_step *step,
                           stapes_error *err) {
    const stapes__whisper_config *c = cache->decoder->config;
    size_t context = (size_t)c->n_text_ctx;
    if (cache->positions == 0)
        return stapes__fail(err, STAPES_E_ARGUMENT, "tokens before the first window");
    if (step->n_tokens == 0 || step->n_tokens > context - cache->length)
        return stapes__fail(err, STAPES_E_ARGUMENT,
                            "%zu more tokens behind %zu: the decoder holds %zu", step->n_tokens,
                            cache->length, context);
    for (size_t i = 0; i < cache->hypotheses * step->n_tokens; i++)
        if (step->tokens[i] < 0 || step->tokens[i] >= c->vocabulary)
            return stapes__fail(err, STAPES_E_ARGUMENT, "token %ld is not in a vocabulary of %d",
                                (long)step->tokens[i], c->vocabulary);
    for (size_t i = 0; i < step->n_wanted; i++)
        if (step->wanted[i] >= step->n_tokens)
            return stapes__fail(err, STAPES_E_ARGUMENT, "logits of place %zu of %zu",
                                step->wanted[i], step->n_tokens);
    for (size_t i = 0; i < step->n_heads; i++) {
        int layer = step->heads[i][0], head = step->heads[i][1];
        if (layer < 0 || layer >= c->text_layers || head < 0 || head >= c->text_heads)
            return stapes__fail(err, STAPES_E_ARGUMENT,
                                "attention of layer %d, head %d: the decoder has %d and %d", layer,
                                head, c->text_layers, c->text_heads);
    }
    return STAPES_OK;
}

/* Token and position embeddings, rows and groups. */
static bool prepare(workspace *w) {
    const stapes__whisper_decoder *t = w->cache->decoder;
    const stapes__whisper_config *c = t->config;
    size_t d = w->d, wide = (size_t)c->text_ff > 3 * d ? (size_t)c->text_ff : 3 * d;
    size_t length = w->cache->length, tokens = w->step->n_tokens;
    w->x = stapes__arena_floats(w->scratch, w->rows * d);
    w->normed = stapes__arena_floats(w->scratch, w->rows * d);
    w->wide = stapes__arena_floats(w->scratch, w->rows * wide);
    w->slots = stapes__arena_alloc(w->scratch, w->rows * sizeof *w->slots);
    w->groups = stapes__arena_alloc(w->scratch, w->cache->hypotheses * sizeof *w->groups);
    w->probabilities =
        stapes__arena_alloc(w->scratch, (size_t)c->text_heads * sizeof *w->probabilities);
    if (!w->x || !w->normed || !w->wide || !w->slots || !w->groups || !w->probabilities)
        return false;
    for (size_t h = 0; h < w->cache->hypotheses; h++) {
        const uint32_t *rows = stapes__wh_cache_rows(w->cache, h);
        bool straight = true;
        for (size_t i = 0; straight && i < length + tokens; i++)
            straight = rows[i] == i;
        w->groups[h] = (stapes__attention_group){.q_first = h * tokens,
                                                 .q_count = tokens,
                                                 .k_count = length + tokens,
                                                 .rows = straight ? NULL : rows,
                                                 .causal = true,
                                                 .q_offset = length};
        memcpy(w->slots + h * tokens, rows + length, tokens * sizeof *w->slots);
        for (size_t i = 0; i < tokens; i++) {
            size_t token = (size_t)w->step->tokens[h * tokens + i];
            float *x = w->x + (h * tokens + i) * d;
            const float *position = t->positions + (length + i) * d;
            stapes__to_f32(t->embedding, token * d, d, x);
            for (size_t k = 0; k < d; k++)
                x[k] += position[k];
        }
    }
    return true;
}

static bool attend_self(const workspace *w, size_t index) {
    const stapes__whisper_decoder *t = w->cache->decoder;
    const stapes__ops *ops = t->ops;
    const wh_self *self = &t->layers[index].self;
    const stapes__kv *kv = &w->cache->self[index];
    size_t d = w->d;
    stapes__wh_norm(ops, &self->norm, w->x, w->rows, d, w->normed);
    stapes__epilogue bias = {.bias = self->qkv_bias, .scale = 1.0f};
    ops->linear(ops, self->qkv, w->normed, d, w->rows, &bias, w->wide, 3 * d);
    ops->kv_put(ops, kv, 0, w->slots, w->rows, w->wide + d, 3 * d, w->wide + 2 * d, 3 * d);
    w->cache->filled[index] += w->step->n_tokens;
    stapes__attention a = {.q = w->wide,
                           .ldq = 3 * d,
                           .out = w->normed,
                           .ldo = d,
                           .kv = kv,
                           .scale = 1.0f / sqrtf((float)kv->head_dim),
                           .groups = w->groups,
                           .n_groups = w->cache->hypotheses};
    if (!ops->attention(ops, &a, w->scratch))
        return false;
    stapes__wh_add(ops, self->out, self->out_bias, w->normed, d, w->rows, d, w->x);
    return true;
}

/* Where the wanted probabilities of a layer go; false when none are wanted. A head that is wanted
 * twice is written once, to its last place. */
static bool wanted_heads(const workspace *w, size_t layer) {
    bool any = false;
    for (int h = 0; h < w->cache->decoder->config->text_heads; h++)
        w->probabilities[h] = NULL;
    for (size_t i = 0; i < w->step->n_heads; i++) {
        if ((size_t)w->step->heads[i][0] != layer)
            continue;
        w->probabilities[w->step->heads[i][1]] =
            w->step->attention + i * w->rows * w->cache->positions;
        any = true;
    }
    return any;
}

static bool attend_cross(const workspace *w, size_t index) {
    const stapes__whisper_decoder *t = w->cache->decoder;
    const stapes__ops *ops = t->ops;
    const wh_cross *cross = &t->layers[index].cross;
    const stapes__kv *kv = &w->cache->cross[index];
    size_t d = w->d;
    stapes__wh_norm(ops, &cross->norm, w->x, w->rows, d, w->normed);
    stapes__epilogue bias = {.bias = cross->q_bias, .scale = 1.0f};
    ops->linear(ops, cross->q, w->normed, d, w->rows, &bias, w->wide, d);
    stapes__attention_group group = {.q_count = w->rows, .k_count = w->cache->positions};
    if (wanted_heads(w, index))
        group.probabilities = w->probabilities;
    stapes__attention a = {.q = w->wide,
                           .ldq = d,
                           .out = w->normed,
                           .ldo = d,
                           .kv = kv,
                           .scale = 1.0f / sqrtf((float)kv->head_dim),
                           .groups = &group,
                           .n_groups = 1};
    if (!ops->attention(ops, &a, w->scratch))
        return false;
    stapes__wh_add(ops, cross->out, cross->out_bias, w->normed, d, w->rows, d, w->x);
    return true;
}

static bool write_logits(const workspace *w) {
    const stapes__whisper_decoder *t = w->cache->decoder;
    size_t d = w->d, wanted = w->step->n_wanted, count = w->cache->hypotheses * wanted;
    if (count == 0)
        return true;
    float *rows = stapes__arena_floats(w->scratch, count * d);
    if (!rows)
        return false;
    for (size_t i = 0; i < count; i++) {
        size_t row = i / wanted * w->step->n_tokens + w->step->wanted[i % wanted];
        memcpy(rows + i * d, w->x + row * d, d * sizeof *rows);
    }
    stapes__wh_norm(t->ops, &t->norm_out, rows, count, d, rows);
    t->ops->linear(t->ops, t->output, rows, d, count, NULL, w->step->logits,
                   (size_t)t->config->vocabulary);
    return true;
}

static stapes_status run_layers(const workspace *w, stapes_error *err) {
    const stapes__whisper_decoder *t = w->cache->decoder;
    size_t length = w->cache->length + w->step->n_tokens;
    for (size_t i = 0; i < (size_t)t->config->text_layers; i++) {
        if (!attend_self(w, i) || !attend_cross(w, i))
            return stapes__fail_memory(err, "attention");
        stapes__wh_mlp(t->ops, &t->layers[i].mlp, w->x, w->rows, w->d, (size_t)t->config->text_ff,
                       w->normed, w->wide);
    }
    for (size_t i = 0; i < (size_t)t->config->text_layers; i++)
        if (w->cache->filled[i] != length)
            return stapes__fail(err, STAPES_E_INTERNAL,
                                "decoder layer %zu holds %zu tokens, but %zu were fed", i,
                                w->cache->filled[i], length);
    return write_logits(w) ? STAPES_OK : stapes__fail_memory(err, "the decoder's logits");
}

stapes_status stapes__whisper_decode(stapes__whisper_cache *cache, const stapes__whisper_step *step,
                                     stapes__arena *scratch, stapes_error *err) {
    stapes_status status = check(cache, step, err);
    if (status != STAPES_OK)
        return status;
    workspace w = {.cache = cache,
                   .step = step,
                   .scratch = scratch,
                   .rows = cache->hypotheses * step->n_tokens,
                   .d = (size_t)cache->decoder->config->d_model};
    stapes__arena_mark mark = stapes__arena_save(scratch);
    if (stapes__wh_cache_extend(cache, step->n_tokens) && prepare(&w))
        status = run_layers(&w, err);
    else
        status = stapes__fail_memory(err, "a decoder step");
    stapes__arena_restore(scratch, mark);
    if (status == STAPES_OK)
        cache->length += step->n_tokens;
    else
        stapes__whisper_rewind(cache, cache->length);
    return status;
}
