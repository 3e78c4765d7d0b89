#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"
#include "hub/cache.h"
#include "stages/native/native.h"
#include "text/language.h"
#include "weights/naming.h"

void stapes_model_params_default(stapes_model_params *params) {
    *params = (stapes_model_params){
        .struct_size = sizeof *params, .precision = "auto", .backend = "native"};
}

static stapes_status check_params(const stapes_model_params *params, stapes_error *error) {
    if (params->struct_size != sizeof *params)
        return stapes__fail(error, STAPES_E_ARGUMENT,
                            "stapes_model_params has the wrong size; set it up with "
                            "stapes_model_params_default");
    const char *precision = params->precision ? params->precision : "auto";
    if (strcmp(precision, "auto") != 0 && strcmp(precision, "f32") != 0 &&
        strcmp(precision, "fp32") != 0) {
        stapes__fail(error, STAPES_E_UNSUPPORTED, "precision \"%s\" is not supported", precision);
        stapes__hint(error, "This version computes in f32; use auto or f32.");
        return STAPES_E_UNSUPPORTED;
    }
    if (params->backend && strcmp(params->backend, "native") != 0) {
        stapes__fail(error, STAPES_E_UNSUPPORTED, "backend \"%s\" is not supported",
                     params->backend);
        stapes__hint(error, "This version has the native CPU backend only.");
        return STAPES_E_UNSUPPORTED;
    }
    return STAPES_OK;
}

/* ---- tokenizer ---- */

/* The vocabulary list of a NeMo configuration, for archives without a SentencePiece file. */
static stapes_status tokenizer_from_config(stapes_model *m, stapes_error *error) {
    const json_t *config = stapes__container_config(m->container);
    const json_t *list = json_object_get(json_object_get(config, "joint"), "vocabulary");
    if (!json_is_array(list))
        list = json_object_get(json_object_get(config, "decoder"), "vocabulary");
    if (!json_is_array(list))
        list = json_object_get(config, "labels");
    size_t count = json_array_size(list);
    if (count == 0)
        return stapes__fail(error, STAPES_E_MODEL_DAMAGED, "the model has no tokenizer");
    const char **pieces = stapes__calloc(count, sizeof *pieces);
    if (!pieces)
        return stapes__fail_memory(error, "the vocabulary");
    stapes_status status = STAPES_OK;
    for (size_t i = 0; i < count && status == STAPES_OK; i++) {
        pieces[i] = json_string_value(json_array_get(list, i));
        if (!pieces[i])
            status = stapes__fail(error, STAPES_E_MODEL_DAMAGED,
                                  "entry %zu of the vocabulary is not a string", i);
    }
    if (status == STAPES_OK)
        status = stapes__tokenizer_open_pieces(&m->tokenizer, pieces, count, error);
    free(pieces);
    return status;
}

static stapes_status open_tokenizer(stapes_model *m, stapes_error *error) {
    const char *data = NULL;
    size_t size = 0;
    stapes_status status = STAPES_OK;
    switch (stapes__container_tokenizer(m->container, &data, &size)) {
    case STAPES__TOKENIZER_SENTENCEPIECE:
        status = stapes__tokenizer_open_sentencepiece(&m->tokenizer, data, size, error);
        break;
    case STAPES__TOKENIZER_JSON:
        status = stapes__tokenizer_open_json(&m->tokenizer, data, size, error);
        break;
    case STAPES__TOKENIZER_VOCAB_TXT:
        status = stapes__tokenizer_open_lines(&m->tokenizer, data, size, error);
        break;
    case STAPES__TOKENIZER_BYTES: {
        const uint8_t *const *tokens;
        const size_t *lengths;
        size_t count = stapes__container_tokens(m->container, &tokens, &lengths);
        status = stapes__tokenizer_open_bytes(&m->tokenizer, tokens, lengths, count, error);
        break;
    }
    case STAPES__TOKENIZER_NONE:
        status = tokenizer_from_config(m, error);
        break;
    }
    if (status != STAPES_OK)
        return status;
    size_t pieces = stapes__tokenizer_size(m->tokenizer);
    if (pieces < (size_t)m->config.vocabulary)
        return stapes__fail(error, STAPES_E_MODEL_DAMAGED,
                            "the tokenizer has %zu pieces but the network's vocabulary is %d",
                            pieces, m->config.vocabulary);
    return STAPES_OK;
}

/* ---- front end ---- */

static stapes_status open_mel(stapes_model *m, stapes_error *error) {
    stapes__mel_params params = {
        .recipe = STAPES__MEL_NEMO,
        .n_mels = m->config.n_mels,
        .normalize = m->config.normalize,
        .edges = STAPES__EDGES_ZERO,
        .preemphasis = m->config.preemphasis,
        .window = stapes__names_find(m->container, "preprocessor.featurizer.window"),
        .filters = stapes__names_find(m->container, "preprocessor.featurizer.fb")};
    return stapes__logmel_open(&m->mel, &params, error);
}

typedef struct load_progress {
    const stapes_model_params *params;
    size_t total;
} load_progress;

static bool report_loading(void *user, size_t bytes) {
    const load_progress *p = user;
    double done = p->total ? (double)bytes / (double)p->total : 0;
    return p->params->progress(p->params->progress_user, done > 1 ? 1 : done, "load");
}

static stapes_status open_networks(stapes_model *m, const stapes_model_params *params,
                                   stapes_error *error) {
    load_progress progress = {params, 0};
    for (size_t i = 0; i < stapes__container_count(m->container); i++)
        progress.total += stapes__container_at(m->container, i)->bytes;
    stapes__native_params native = {.ops = &m->context->ops};
    if (params->progress) {
        native.progress = report_loading;
        native.progress_user = &progress;
    }
    stapes__native_stats stats = {0};
    stapes_status status =
        stapes__native_open(&m->stages, m->container, &m->config, &native, &stats, error);
    m->parameters = stats.parameters;
    m->weight_bytes = (int64_t)stats.weight_bytes;
    return status;
}

static stapes_status describe(stapes_model *m, stapes_error *error) {
    const char *base = stapes__path_base(m->path);
    m->name = stapes__strdup(base);
    stapes__buf languages = {0};
    stapes__languages_of(m->tokenizer, &languages);
    m->languages = languages.data ? languages.data : stapes__strdup("");
    if (!m->name || !m->languages)
        return stapes__fail_memory(error, "the model");
    m->architecture = !m->config.has_transducer    ? "fastconformer-ctc"
                      : m->config.n_durations == 0 ? "fastconformer-rnnt"
                                                   : "fastconformer-tdt";
    return STAPES_OK;
}

stapes_status stapes_model_open(stapes_model **out, stapes_context *context, const char *name,
                                const stapes_model_params *params, stapes_error *error) {
    stapes_model_params defaults;
    stapes_model_params_default(&defaults);
    *out = NULL;
    if (!params)
        params = &defaults;
    stapes_status status = check_params(params, error);
    if (status != STAPES_OK)
        return status;
    double began = stapes__now();
    stapes_model *m = stapes__calloc(1, sizeof *m);
    if (!m)
        return stapes__fail_memory(error, "the model");
    m->context = context;
    status = stapes__hub_resolve(name, &m->path, error);
    if (status == STAPES_OK)
        status = stapes__container_open(&m->container, m->path, &context->log, error);
    bool opened = status == STAPES_OK;
    if (status == STAPES_OK)
        status = stapes__fc_config_read(&m->config, m->container, error);
    if (status == STAPES_OK)
        status = open_tokenizer(m, error);
    if (status == STAPES_OK)
        status = open_mel(m, error);
    if (status == STAPES_OK)
        status = open_networks(m, params, error);
    if (status == STAPES_OK)
        status = describe(m, error);
    if (status != STAPES_OK) {
        if (opened)
            stapes__prefix(error, "%s", m->path);
        stapes_model_close(&m);
        return status;
    }
    m->load_seconds = stapes__now() - began;
    stapes__logf(&context->log, STAPES_LOG_INFO, "%s: %s, %.1f M parameters, loaded in %.2f s",
                 m->path, m->architecture, 1e-6 * (double)m->parameters, m->load_seconds);
    *out = m;
    return STAPES_OK;
}

void stapes_model_close(stapes_model **model) {
    stapes_model *m = *model;
    if (!m)
        return;
    if (m->stages)
        m->stages->table->close(m->stages);
    stapes__logmel_close(&m->mel);
    stapes__tokenizer_close(&m->tokenizer);
    stapes__container_close(&m->container);
    free(m->path);
    free(m->name);
    free(m->languages);
    free(m);
    *model = NULL;
}

void stapes_model_get_info(const stapes_model *m, stapes_model_info *info) {
    *info = (stapes_model_info){.name = m->name,
                                .path = m->path,
                                .container = stapes__container_format_name(m->container),
                                .architecture = m->architecture,
                                .identity = "",
                                .languages = m->languages,
                                .sample_rate = 16000,
                                .n_mels = m->config.n_mels,
                                .d_model = m->config.d_model,
                                .n_layers = m->config.n_layers,
                                .n_heads = m->config.n_heads,
                                .vocabulary = m->config.vocabulary,
                                .parameters = m->parameters,
                                .weight_bytes = m->weight_bytes,
                                .frame_seconds = 0.01 * stapes__fc_factor(&m->config),
                                .precision = "f32",
                                .backend = m->stages->table->name,
                                .isa = m->context->ops.name,
                                .threads = stapes__pool_threads(m->context->pool)};
}
