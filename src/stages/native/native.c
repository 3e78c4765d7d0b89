#include "stages/native/native.h"

#include <stdlib.h>
#include <string.h>

#include "models/fastconformer/encoder.h"
#include "models/prompt/prompt.h"
#include "models/transducer/transducer.h"
#include "weights/naming.h"

typedef struct native {
    stapes__stages base;
    stapes__fc_config config;
    const stapes__ops *ops;
    stapes__arena *arena; /* small weights */
    stapes__fc_encoder *encoder;
    stapes__transducer *transducer;
    stapes__prompt *prompt; /* NULL for most models */
    stapes__weight *ctc;
    const float *ctc_bias;
} native;

static stapes_status encode(stapes__stages *s, const stapes__encode_request *request,
                            stapes__arena *scratch, float **frames, stapes__span *out_spans,
                            stapes_error *err) {
    native *n = (native *)s;
    stapes__fc_run run = {.mel = request->mel,
                          .spans = request->spans,
                          .n_spans = request->n_spans,
                          .mask = request->mask,
                          .tick = request->tick,
                          .tick_user = request->tick_user,
                          .tap = request->tap,
                          .tap_user = request->tap_user};
    return stapes__fc_encode(n->encoder, &run, scratch, frames, out_spans, err);
}

static stapes_status project(stapes__stages *s, const float *frames, size_t rows, size_t prompt,
                             float *f, stapes__arena *scratch, stapes_error *err) {
    native *n = (native *)s;
    stapes__arena_mark mark = stapes__arena_save(scratch);
    if (n->prompt) {
        float *conditioned = stapes__arena_floats(scratch, rows * s->info.d_model);
        if (!conditioned ||
            !stapes__prompt_apply(n->prompt, frames, rows, prompt, conditioned, scratch))
            return stapes__fail_memory(err, "the prompt projector");
        frames = conditioned;
    }
    stapes__transducer_project(n->transducer, frames, rows, f);
    stapes__arena_restore(scratch, mark);
    return STAPES_OK;
}

static stapes_status predict(stapes__stages *s, const int32_t *labels, size_t n, float *h, float *c,
                             float *g, stapes__arena *scratch, stapes_error *err) {
    return stapes__transducer_predict(((native *)s)->transducer, labels, n, h, c, g, scratch)
               ? STAPES_OK
               : stapes__fail_memory(err, "the prediction network");
}

static stapes_status join(stapes__stages *s, const float *f, const float *g, size_t n,
                          float *logits, stapes__arena *scratch, stapes_error *err) {
    return stapes__transducer_join(((native *)s)->transducer, f, g, n, logits, scratch)
               ? STAPES_OK
               : stapes__fail_memory(err, "the joint network");
}

static stapes_status ctc(stapes__stages *s, const float *frames, size_t rows, float *logits,
                         stapes__arena *scratch, stapes_error *err) {
    native *n = (native *)s;
    (void)scratch;
    (void)err;
    stapes__epilogue bias = {.bias = n->ctc_bias, .scale = 1.0f};
    n->ops->linear(n->ops, n->ctc, frames, s->info.d_model, rows, &bias, logits,
                   s->info.vocabulary + 1);
    return STAPES_OK;
}

static void close_native(stapes__stages *s) {
    native *n = (native *)s;
    stapes__fc_encoder_free(n->encoder);
    stapes__transducer_free(n->transducer);
    stapes__prompt_free(n->prompt);
    n->ops->weight_free(n->ctc);
    stapes__arena_free(n->arena);
    free(n);
}

static const stapes__stages_table table = {.name = "native",
                                           .encode = encode,
                                           .project = project,
                                           .predict = predict,
                                           .join = join,
                                           .ctc = ctc,
                                           .close = close_native};

static void fill_info(native *n) {
    const stapes__fc_config *c = &n->config;
    stapes__stages_info *info = &n->base.info;
    info->n_mels = (size_t)c->n_mels;
    info->d_model = (size_t)c->d_model;
    info->vocabulary = (size_t)c->vocabulary;
    info->has_transducer = c->has_transducer;
    info->has_ctc = c->has_ctc;
    info->max_symbols = c->max_symbols > 0 ? c->max_symbols : 10;
    info->n_prompts = (size_t)c->n_prompts;
    info->mel_factor = (size_t)stapes__fc_factor(c);
    info->mask = stapes__fc_mask(c, 0);
    info->full_context = c->contexts[0].left < 0 && c->contexts[0].right < 0;
    if (c->has_transducer) {
        info->hidden = (size_t)c->pred_hidden;
        info->layers = (size_t)c->pred_layers;
        info->joint = (size_t)c->joint_hidden;
        info->n_durations = (size_t)c->n_durations;
        memcpy(info->durations, c->durations, sizeof info->durations);
    }
}

static void load_heads(native *n, stapes__loader *loader) {
    const stapes__stages_info *info = &n->base.info;
    if (info->has_transducer) {
        stapes__transducer_dims dims = {.d_encoder = info->d_model,
                                        .vocabulary = info->vocabulary,
                                        .n_durations = info->n_durations,
                                        .hidden = info->hidden,
                                        .layers = info->layers,
                                        .joint = info->joint};
        n->transducer = stapes__transducer_load(&dims, loader);
    }
    if (info->n_prompts > 0)
        n->prompt = stapes__prompt_load(info->d_model, info->n_prompts,
                                        (size_t)n->config.prompt_hidden, loader);
    if (info->has_ctc) {
        n->ctc = stapes__loader_weight(loader, "ctc_decoder.decoder_layers.0.weight",
                                       info->vocabulary + 1, info->d_model, NULL);
        n->ctc_bias = stapes__loader_floats(loader, "ctc_decoder.decoder_layers.0.bias",
                                            info->vocabulary + 1, 1.0f);
    }
}

stapes_status stapes__native_open(stapes__stages **out, const stapes__container *container,
                                  const stapes__fc_config *config,
                                  const stapes__native_params *params, stapes__native_stats *stats,
                                  stapes_error *err) {
    *out = NULL;
    native *n = stapes__calloc(1, sizeof *n);
    if (n)
        n->arena = stapes__arena_new();
    if (!n || !n->arena) {
        free(n);
        return stapes__fail_memory(err, "the model");
    }
    n->base.table = &table;
    n->config = *config;
    n->ops = params->ops;
    fill_info(n);
    stapes__loader loader = {.container = container,
                             .ops = params->ops,
                             .arena = n->arena,
                             .find = stapes__names_find,
                             .progress = params->progress,
                             .progress_user = params->progress_user,
                             .err = err};
    n->encoder = stapes__fc_encoder_load(&n->config, &loader);
    if (loader.status == STAPES_OK)
        load_heads(n, &loader);
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
