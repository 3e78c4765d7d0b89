#include "stages/native/whisper_native.h"

#include <stdlib.h>

#include "models/whisper/decoder.h"
#include "models/whisper/encoder.h"

typedef struct whisper_native {
    stapes__stages base;
    stapes__whisper_config config;
    stapes__arena *arena; /* small weights */
    stapes__whisper_encoder *encoder;
    stapes__whisper_decoder *decoder;
} whisper_native;

typedef struct native_decoding {
    stapes__decoding base;
    stapes__whisper_cache *cache;
} native_decoding;

static stapes_status encode(stapes__stages *s, const stapes__encode_request *request,
                            stapes__arena *scratch, float **frames, stapes__span *out_spans,
                            stapes_error *err) {
    stapes__whisper_run run = {.mel = request->mel,
                               .spans = request->spans,
                               .n_spans = request->n_spans,
                               .tick = request->tick,
                               .tick_user = request->tick_user,
                               .tap = request->tap,
                               .tap_user = request->tap_user};
    return stapes__whisper_encode(((whisper_native *)s)->encoder, &run, scratch, frames, out_spans,
                                  err);
}

/* ---- decoding ---- */

static void show(native_decoding *d) {
    d->base.length = stapes__whisper_cache_length(d->cache);
    d->base.hypotheses = stapes__whisper_cache_hypotheses(d->cache);
    d->base.positions = stapes__whisper_cache_positions(d->cache);
}

static stapes_status decode_open(stapes__stages *s, size_t most, stapes__decoding **out,
                                 stapes_error *err) {
    *out = NULL;
    native_decoding *d = stapes__calloc(1, sizeof *d);
    if (d)
        d->cache = stapes__whisper_cache_new(((whisper_native *)s)->decoder, most);
    if (!d || !d->cache) {
        free(d);
        return stapes__fail_memory(err, "the caches of the decoder");
    }
    show(d);
    *out = &d->base;
    return STAPES_OK;
}

static stapes_status decode_begin(stapes__stages *s, stapes__decoding *decoding,
                                  const float *frames, size_t positions, stapes__arena *scratch,
                                  stapes_error *err) {
    (void)s;
    native_decoding *d = (native_decoding *)decoding;
    stapes_status status = stapes__whisper_window(d->cache, frames, positions, scratch, err);
    show(d);
    return status;
}

static stapes_status decode_step(stapes__stages *s, stapes__decoding *decoding,
                                 const stapes__decode_step *step, stapes__arena *scratch,
                                 stapes_error *err) {
    (void)s;
    native_decoding *d = (native_decoding *)decoding;
    stapes__whisper_step own = {.tokens = step->tokens,
                                .n_tokens = step->n_tokens,
                                .wanted = step->wanted,
                                .n_wanted = step->n_wanted,
                                .logits = step->logits,
                                .heads = step->heads,
                                .n_heads = step->n_heads,
                                .attention = step->attention};
    stapes_status status = stapes__whisper_decode(d->cache, &own, scratch, err);
    show(d);
    return status;
}

static stapes_status decode_reorder(stapes__stages *s, stapes__decoding *decoding,
                                    const uint32_t *parents, size_t n, stapes_error *err) {
    (void)s;
    native_decoding *d = (native_decoding *)decoding;
    stapes_status status = stapes__whisper_reorder(d->cache, parents, n, err);
    show(d);
    return status;
}

static void decode_rewind(stapes__stages *s, stapes__decoding *decoding, size_t length) {
    (void)s;
    native_decoding *d = (native_decoding *)decoding;
    stapes__whisper_rewind(d->cache, length);
    show(d);
}

static void decode_close(stapes__stages *s, stapes__decoding *decoding) {
    (void)s;
    native_decoding *d = (native_decoding *)decoding;
    if (d)
        stapes__whisper_cache_free(d->cache);
    free(d);
}

void stapes__whisper_native_self(const stapes__decoding *d, size_t layer, size_t hypothesis,
                                 size_t token, float *k, float *v) {
    stapes__whisper_cache_self(((const native_decoding *)d)->cache, layer, hypothesis, token, k, v);
}

void stapes__whisper_native_cross(const stapes__decoding *d, size_t layer, size_t position,
                                  float *k, float *v) {
    stapes__whisper_cache_cross(((const native_decoding *)d)->cache, layer, position, k, v);
}

/* ---- opening ---- */

static void close_native(stapes__stages *s) {
    whisper_native *n = (whisper_native *)s;
    stapes__whisper_encoder_free(n->encoder);
    stapes__whisper_decoder_free(n->decoder);
    stapes__arena_free(n->arena);
    free(n);
}

static const stapes__stages_table table = {.name = "native",
                                           .encode = encode,
                                           .decode_open = decode_open,
                                           .decode_begin = decode_begin,
                                           .decode_step = decode_step,
                                           .decode_reorder = decode_reorder,
                                           .decode_rewind = decode_rewind,
                                           .decode_close = decode_close,
                                           .close = close_native};

static void fill_info(whisper_native *n) {
    const stapes__whisper_config *c = &n->config;
    n->base.info = (stapes__stages_info){.n_mels = (size_t)c->n_mels,
                                         .d_model = (size_t)c->d_model,
                                         .vocabulary = (size_t)c->vocabulary,
                                         .mel_factor = 2,
                                         .mask = {.left = -1, .right = -1},
                                         .full_context = true,
                                         .has_decoder = true,
                                         .n_audio_ctx = (size_t)c->n_audio_ctx,
                                         .n_text_ctx = (size_t)c->n_text_ctx,
                                         .decoder_layers = (size_t)c->text_layers,
                                         .decoder_heads = (size_t)c->text_heads};
}

stapes_status stapes__whisper_native_open(stapes__stages **out, const stapes__container *container,
                                          const stapes__whisper_config *config,
                                          const stapes__native_params *params,
                                          stapes__native_stats *stats, stapes_error *err) {
    *out = NULL;
    whisper_native *n = stapes__calloc(1, sizeof *n);
    if (n)
        n->arena = stapes__arena_new();
    if (!n || !n->arena) {
        free(n);
        return stapes__fail_memory(err, "the model");
    }
    n->base.table = &table;
    n->config = *config;
    fill_info(n);
    stapes__loader loader = {.container = container,
                             .ops = params->ops,
                             .arena = n->arena,
                             .find = stapes__whisper_find,
                             .progress = params->progress,
                             .progress_user = params->progress_user,
                             .err = err};
    n->encoder = stapes__whisper_encoder_load(&n->config, &loader);
    if (loader.status == STAPES_OK)
        n->decoder = stapes__whisper_decoder_load(&n->config, &loader);
    stapes_status status = stapes__loader_finish(&loader);
    if (status != STAPES_OK) {
        close_native(&n->base);
        return status;
    }
    if (stats) {
        stats->parameters = loader.parameters;
        stats->weight_bytes = loader.packed_bytes;
    }
    *out = &n->base;
    return STAPES_OK;
}
