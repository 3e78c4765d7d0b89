/* The decoder's cache: memory, rows, reordering. */
#include <stdlib.h>
#include <string.h>

#include "models/whisper/decoder_internal.h"

static size_t context(const stapes__whisper_cache *cache) {
    return (size_t)cache->decoder->config->n_text_ctx;
}

static size_t layers(const stapes__whisper_cache *cache) {
    return (size_t)cache->decoder->config->text_layers;
}

/* ---- memory ---- */

static void free_kvs(stapes__kv *kvs, size_t count) {
    for (size_t i = 0; kvs && i < count; i++)
        stapes__free_aligned(kvs[i].data);
    free(kvs);
}

static stapes__kv *new_kvs(const stapes__whisper_cache *cache, size_t rows) {
    const stapes__whisper_config *c = cache->decoder->config;
    size_t heads = (size_t)c->text_heads, head_dim = (size_t)(c->d_model / c->text_heads), bytes;
    size_t floats = cache->decoder->ops->kv_floats(rows, heads, head_dim);
    stapes__kv *kvs = stapes__calloc(layers(cache), sizeof *kvs);
    if (!kvs || !stapes__mul_size(floats, sizeof(float), &bytes)) {
        free(kvs);
        return NULL;
    }
    for (size_t i = 0; i < layers(cache); i++) {
        kvs[i] = (stapes__kv){stapes__alloc_aligned(bytes), rows, heads, head_dim};
        if (!kvs[i].data) {
            free_kvs(kvs, i);
            return NULL;
        }
    }
    return kvs;
}

stapes__whisper_cache *stapes__whisper_cache_new(const stapes__whisper_decoder *decoder,
                                                 size_t hypotheses) {
    stapes__whisper_cache *cache = stapes__calloc(1, sizeof *cache);
    if (!cache)
        return NULL;
    cache->decoder = decoder;
    cache->most = hypotheses > 0 ? hypotheses : 1;
    cache->hypotheses = 1;
    cache->capacity = context(cache);
    size_t entries;
    bool good = stapes__mul_size(cache->most, context(cache), &entries);
    cache->rows = good ? stapes__calloc(entries, sizeof *cache->rows) : NULL;
    cache->spare = good ? stapes__calloc(entries, sizeof *cache->spare) : NULL;
    cache->used = good ? stapes__calloc(entries, sizeof *cache->used) : NULL;
    cache->filled = stapes__calloc(layers(cache), sizeof *cache->filled);
    cache->self = new_kvs(cache, cache->capacity);
    cache->cross = new_kvs(cache, (size_t)decoder->config->n_audio_ctx);
    if (cache->rows && cache->spare && cache->used && cache->filled && cache->self && cache->cross)
        return cache;
    stapes__whisper_cache_free(cache);
    return NULL;
}

void stapes__whisper_cache_free(stapes__whisper_cache *cache) {
    if (!cache)
        return;
    free_kvs(cache->self, layers(cache));
    free_kvs(cache->cross, layers(cache));
    free(cache->rows);
    free(cache->spare);
    free(cache->used);
    free(cache->filled);
    free(cache);
}

/* ---- looking inside ---- */

size_t stapes__whisper_cache_length(const stapes__whisper_cache *cache) {
    return cache->length;
}

size_t stapes__whisper_cache_hypotheses(const stapes__whisper_cache *cache) {
    return cache->hypotheses;
}

size_t stapes__whisper_cache_positions(const stapes__whisper_cache *cache) {
    return cache->positions;
}

void stapes__whisper_cache_self(const stapes__whisper_cache *cache, size_t layer, size_t hypothesis,
                                size_t token, float *k, float *v) {
    size_t row = stapes__wh_cache_rows(cache, hypothesis)[token];
    cache->decoder->ops->kv_get(&cache->self[layer], row, k, v);
}

void stapes__whisper_cache_cross(const stapes__whisper_cache *cache, size_t layer, size_t position,
                                 float *k, float *v) {
    cache->decoder->ops->kv_get(&cache->cross[layer], position, k, v);
}

/* ---- rows ---- */

/* Moves everything that hypotheses name into larger kvs; the rows keep their numbers. */
static bool grow(stapes__whisper_cache *cache, size_t capacity) {
    size_t d = (size_t)cache->decoder->config->d_model;
    const stapes__ops *ops = cache->decoder->ops;
    float *line = stapes__calloc(2 * d, sizeof *line);
    stapes__kv *larger = line ? new_kvs(cache, capacity) : NULL;
    for (size_t layer = 0; larger && layer < layers(cache); layer++) {
        for (size_t row = 0; row < cache->capacity; row++) {
            if (!cache->used[row])
                continue;
            ops->kv_get(&cache->self[layer], row, line, line + d);
            ops->kv_put(ops, &larger[layer], row, NULL, 1, line, d, line + d, d);
        }
    }
    free(line);
    if (!larger)
        return false;
    free_kvs(cache->self, layers(cache));
    cache->self = larger;
    cache->capacity = capacity;
    return true;
}

bool stapes__wh_cache_extend(stapes__whisper_cache *cache, size_t n_tokens) {
    size_t entries = cache->most * context(cache), named = 0, wanted = cache->hypotheses * n_tokens;
    memset(cache->used, 0, entries * sizeof *cache->used);
    for (size_t h = 0; h < cache->hypotheses; h++) {
        const uint32_t *rows = stapes__wh_cache_rows(cache, h);
        for (size_t t = 0; t < cache->length; t++) {
            named += !cache->used[rows[t]];
            cache->used[rows[t]] = true;
        }
    }
    if (cache->capacity - named < wanted) {
        size_t capacity = cache->capacity;
        while (capacity - named < wanted)
            capacity += context(cache);
        if (!grow(cache, capacity < entries ? capacity : entries))
            return false;
    }
    size_t row = 0;
    for (size_t t = cache->length; t < cache->length + n_tokens; t++) {
        for (size_t h = 0; h < cache->hypotheses; h++) {
            while (cache->used[row])
                row++;
            cache->used[row] = true;
            stapes__wh_cache_rows(cache, h)[t] = (uint32_t)row;
        }
    }
    return true;
}

stapes_status stapes__whisper_reorder(stapes__whisper_cache *cache, const uint32_t *parents,
                                      size_t n, stapes_error *err) {
    if (n == 0 || n > cache->most)
        return stapes__fail(err, STAPES_E_ARGUMENT, "%zu hypotheses in a cache made for 1 to %zu",
                            n, cache->most);
    for (size_t i = 0; i < n; i++) {
        if (parents[i] >= cache->hypotheses)
            return stapes__fail(err, STAPES_E_ARGUMENT, "hypothesis %u of %zu cannot go on",
                                (unsigned)parents[i], cache->hypotheses);
        memcpy(cache->spare + i * context(cache), stapes__wh_cache_rows(cache, parents[i]),
               cache->length * sizeof *cache->spare);
    }
    uint32_t *old = cache->rows;
    cache->rows = cache->spare;
    cache->spare = old;
    cache->hypotheses = n;
    return STAPES_OK;
}

void stapes__whisper_rewind(stapes__whisper_cache *cache, size_t length) {
    if (length < cache->length)
        cache->length = length;
    if (cache->length == 0)
        cache->hypotheses = 1;
    for (size_t i = 0; i < layers(cache); i++)
        cache->filled[i] = cache->length;
}
