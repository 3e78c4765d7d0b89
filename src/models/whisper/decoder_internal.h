/* Shared by the decoder and its cache. */
#ifndef STAPES_MODELS_WHISPER_DECODER_INTERNAL_H
#define STAPES_MODELS_WHISPER_DECODER_INTERNAL_H

#include "models/whisper/decoder.h"
#include "models/whisper/internal.h"

typedef struct wh_decoder_layer {
    wh_self self;
    wh_cross cross;
    wh_mlp mlp;
} wh_decoder_layer;

struct stapes__whisper_decoder {
    const stapes__whisper_config *config;
    const stapes__ops *ops;
    const stapes__tensor *embedding; /* [vocabulary, d], in the container */
    stapes__weight *output;          /* the same, packed */
    const float *positions;          /* [n_text_ctx, d] */
    wh_decoder_layer *layers;
    wh_norm norm_out;
};

struct stapes__whisper_cache {
    const stapes__whisper_decoder *decoder;
    size_t most;               /* hypotheses */
    size_t hypotheses, length; /* now */
    size_t positions;
    stapes__kv *self, *cross; /* [layers]; rows of self: capacity, of cross: n_audio_ctx */
    size_t *filled;           /* [layers]: tokens that the layer's self holds */
    size_t capacity;
    uint32_t *rows, *spare; /* [most, n_text_ctx]: where a hypothesis' tokens lie in self */
    bool *used;             /* [most * n_text_ctx]: rows that a hypothesis names */
};

/* Writes free rows for n_tokens more tokens of every hypothesis into cache->rows behind the
 * present length, making room when there are too few. false when memory is short. */
bool stapes__wh_cache_extend(stapes__whisper_cache *cache, size_t n_tokens);
/* The rows of a hypothesis' tokens. */
static inline uint32_t *stapes__wh_cache_rows(const stapes__whisper_cache *cache,
                                              size_t hypothesis) {
    return cache->rows + hypothesis * (size_t)cache->decoder->config->n_text_ctx;
}

#endif
