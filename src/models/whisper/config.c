#include "models/whisper/config.h"

#include <string.h>

typedef struct reader {
    const json_t *root;
    stapes_error *err;
    stapes_status status; /* the first failure */
} reader;

static int read_int(reader *r, const char *key, int low, int high) {
    const json_t *node = json_object_get(r->root, key);
    json_int_t value = json_integer_value(node);
    bool good = json_is_integer(node) && value >= low && value <= high;
    if (!good && r->status == STAPES_OK)
        r->status =
            stapes__fail(r->err, STAPES_E_MODEL_DAMAGED,
                         "configuration value %s must be an integer from %d to %d", key, low, high);
    return good ? (int)value : low;
}

static void refuse(reader *r, const char *what) {
    if (r->status == STAPES_OK)
        r->status = stapes__fail(r->err, STAPES_E_UNSUPPORTED,
                                 "this Whisper model %s, which is not supported", what);
}

enum { MAX_CTX = 1 << 15, MAX_WIDTH = 1 << 14, MAX_HEADS = 256, MAX_LAYERS = 256 };

static void read_openai(reader *r, stapes__whisper_config *config) {
    config->n_mels = read_int(r, "n_mels", 1, 512);
    config->n_audio_ctx = read_int(r, "n_audio_ctx", 1, MAX_CTX);
    config->d_model = read_int(r, "n_audio_state", 8, MAX_WIDTH);
    config->audio_heads = read_int(r, "n_audio_head", 1, MAX_HEADS);
    config->audio_layers = read_int(r, "n_audio_layer", 1, MAX_LAYERS);
    config->vocabulary = read_int(r, "n_vocab", 2, 1 << 24);
    config->n_text_ctx = read_int(r, "n_text_ctx", 2, MAX_CTX);
    config->text_heads = read_int(r, "n_text_head", 1, MAX_HEADS);
    config->text_layers = read_int(r, "n_text_layer", 1, MAX_LAYERS);
    if (read_int(r, "n_text_state", 8, MAX_WIDTH) != config->d_model)
        refuse(r, "has an encoder and a decoder of different width");
    config->audio_ff = config->text_ff = 4 * config->d_model;
}

static void read_hf(reader *r, stapes__whisper_config *config) {
    config->n_mels = read_int(r, "num_mel_bins", 1, 512);
    config->n_audio_ctx = read_int(r, "max_source_positions", 1, MAX_CTX);
    config->d_model = read_int(r, "d_model", 8, MAX_WIDTH);
    config->audio_heads = read_int(r, "encoder_attention_heads", 1, MAX_HEADS);
    config->audio_layers = read_int(r, "encoder_layers", 1, MAX_LAYERS);
    config->audio_ff = read_int(r, "encoder_ffn_dim", 1, 8 * MAX_WIDTH);
    config->vocabulary = read_int(r, "vocab_size", 2, 1 << 24);
    config->n_text_ctx = read_int(r, "max_target_positions", 2, MAX_CTX);
    config->text_heads = read_int(r, "decoder_attention_heads", 1, MAX_HEADS);
    config->text_layers = read_int(r, "decoder_layers", 1, MAX_LAYERS);
    config->text_ff = read_int(r, "decoder_ffn_dim", 1, 8 * MAX_WIDTH);
    const char *activation = json_string_value(json_object_get(r->root, "activation_function"));
    if (activation && strcmp(activation, "gelu") != 0)
        refuse(r, "has another activation than gelu");
    if (json_is_true(json_object_get(r->root, "scale_embedding")))
        refuse(r, "scales its token embedding");
    if (json_is_false(json_object_get(r->root, "tie_word_embeddings")))
        refuse(r, "has an output matrix of its own");
}

/* The object that holds openai's names, or NULL. */
static const json_t *openai_dims(const json_t *root) {
    const json_t *dims = json_object_get(root, "dims");
    if (!json_is_object(dims))
        dims = root;
    return json_object_get(dims, "n_audio_ctx") && json_object_get(dims, "n_text_ctx") ? dims
                                                                                       : NULL;
}

static bool is_hf(const json_t *root) {
    const char *type = json_string_value(json_object_get(root, "model_type"));
    return type && strcmp(type, "whisper") == 0;
}

bool stapes__whisper_recognised(const stapes__container *c) {
    const json_t *root = stapes__container_config(c);
    return openai_dims(root) || is_hf(root);
}

stapes_status stapes__whisper_config_read(stapes__whisper_config *config,
                                          const stapes__container *c, stapes_error *err) {
    memset(config, 0, sizeof *config);
    const json_t *root = stapes__container_config(c), *dims = openai_dims(root);
    reader r = {.root = dims ? dims : root, .err = err};
    if (dims)
        read_openai(&r, config);
    else if (is_hf(root))
        read_hf(&r, config);
    else
        return stapes__fail(err, STAPES_E_UNSUPPORTED,
                            "the configuration is not that of a Whisper model");
    if (r.status != STAPES_OK)
        return r.status;
    if (config->d_model % 2 != 0 || config->d_model % config->audio_heads != 0 ||
        config->d_model % config->text_heads != 0)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "width %d does not divide by %d encoder and %d decoder heads",
                            config->d_model, config->audio_heads, config->text_heads);
    return STAPES_OK;
}
