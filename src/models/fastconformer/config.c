#include "models/fastconformer/config.h"

#include <string.h>

#include "weights/naming.h"

/* ---- reading values ---- */

/* Walks "a.b.c" down a JSON tree. NULL when a step is missing. */
static const json_t *at_path(const json_t *node, const char *path) {
    while (node && *path) {
        char key[64];
        size_t length = strcspn(path, ".");
        if (length >= sizeof key)
            return NULL;
        memcpy(key, path, length);
        key[length] = 0;
        node = json_object_get(node, key);
        path += length + (path[length] == '.');
    }
    return node;
}

typedef struct reader {
    const json_t *root;
    stapes_error *err;
    stapes_status status; /* the first failure */
} reader;

static int read_int(reader *r, const char *path, int fallback, int low, int high) {
    const json_t *node = at_path(r->root, path);
    if (!node || json_is_null(node))
        return fallback;
    json_int_t value = json_integer_value(node);
    bool number = json_is_integer(node);
    if (json_is_real(node)) {
        value = (json_int_t)json_real_value(node);
        number = (double)value == json_real_value(node);
    }
    if ((!number || value < low || value > high) && r->status == STAPES_OK)
        r->status = stapes__fail(r->err, STAPES_E_MODEL_DAMAGED,
                                 "configuration value %s must be an integer from %d to %d", path,
                                 low, high);
    return r->status == STAPES_OK ? (int)value : fallback;
}

static bool read_bool(reader *r, const char *path, bool fallback) {
    const json_t *node = at_path(r->root, path);
    if (!node || json_is_null(node))
        return fallback;
    if (!json_is_boolean(node) && r->status == STAPES_OK)
        r->status = stapes__fail(r->err, STAPES_E_MODEL_DAMAGED,
                                 "configuration value %s must be true or false", path);
    return json_is_true(node);
}

static const char *read_text(reader *r, const char *path, const char *fallback) {
    const char *text = json_string_value(at_path(r->root, path));
    return text ? text : fallback;
}

static void unsupported(reader *r, const char *what, const char *value) {
    if (r->status == STAPES_OK)
        r->status =
            stapes__fail(r->err, STAPES_E_UNSUPPORTED, "%s \"%s\" is not supported", what, value);
}

static void read_durations(reader *r, const char *path, stapes__fc_config *config) {
    const json_t *list = at_path(r->root, path);
    size_t count = json_array_size(list);
    if (count == 0 || config->n_durations > 0)
        return;
    for (size_t i = 0; i < count && r->status == STAPES_OK; i++) {
        const json_t *item = json_array_get(list, i);
        json_int_t value = json_integer_value(item);
        if (count > STAPES__MAX_DURATIONS || !json_is_integer(item) || value < 0 || value > 1000)
            r->status = stapes__fail(r->err, STAPES_E_MODEL_DAMAGED,
                                     "%s must hold 1 to %d frame counts from 0 to 1000", path,
                                     STAPES__MAX_DURATIONS);
        else
            config->durations[i] = (int)value;
    }
    if (r->status == STAPES_OK)
        config->n_durations = (int)count;
}

static bool add_context(stapes__fc_config *config, const json_t *pair) {
    const json_t *left = json_array_get(pair, 0), *right = json_array_get(pair, 1);
    if (json_array_size(pair) != 2 || !json_is_integer(left) || !json_is_integer(right))
        return false;
    json_int_t l = json_integer_value(left), r = json_integer_value(right);
    if (l < -1 || r < -1 || l > 100000 || r > 100000 || config->n_contexts >= STAPES__MAX_CONTEXTS)
        return false;
    config->contexts[config->n_contexts++] = (stapes__context){(int)l, (int)r};
    return true;
}

/* [l, r] or [[l, r], ...]; absent: unlimited. */
static void read_contexts(reader *r, const char *path, stapes__fc_config *config) {
    const json_t *list = at_path(r->root, path);
    bool good = true;
    if (json_array_size(list) > 0 && json_is_array(json_array_get(list, 0))) {
        for (size_t i = 0; i < json_array_size(list) && good; i++)
            good = add_context(config, json_array_get(list, i));
    } else if (list && !json_is_null(list)) {
        good = add_context(config, list);
    }
    if (!good && r->status == STAPES_OK)
        r->status = stapes__fail(r->err, STAPES_E_MODEL_DAMAGED,
                                 "%s must be [left, right] or a list of at most %d such pairs",
                                 path, STAPES__MAX_CONTEXTS);
    if (config->n_contexts == 0)
        config->contexts[config->n_contexts++] = (stapes__context){-1, -1};
}

/* ---- NeMo ---- */

static void read_nemo_encoder(reader *r, stapes__fc_config *config) {
    config->n_mels = read_int(r, "encoder.feat_in", 0, 1, 512);
    config->d_model = read_int(r, "encoder.d_model", 0, 8, 16384);
    config->n_layers = read_int(r, "encoder.n_layers", 0, 1, 512);
    config->n_heads = read_int(r, "encoder.n_heads", 4, 1, 256);
    config->d_ff = config->d_model * read_int(r, "encoder.ff_expansion_factor", 4, 1, 64);
    config->conv_kernel = read_int(r, "encoder.conv_kernel_size", 31, 1, 129);
    config->use_bias = read_bool(r, "encoder.use_bias", true);
    config->xscaling = read_bool(r, "encoder.xscaling", true);
    config->causal_subsampling = read_bool(r, "encoder.causal_downsampling", false);
    config->sub_channels =
        read_int(r, "encoder.subsampling_conv_channels", config->d_model, 1, 16384);
    const char *text = read_text(r, "encoder.subsampling", "striding");
    if (strcmp(text, "dw_striding") == 0)
        config->subsampling = STAPES__SUB_DW_STRIDING;
    else if (strcmp(text, "striding") == 0)
        config->subsampling = STAPES__SUB_STRIDING;
    else
        unsupported(r, "encoder subsampling", text);
    int factor = read_int(r, "encoder.subsampling_factor", 4, 2, 64);
    while (1 << config->sub_stages < factor)
        config->sub_stages++;
    if (1 << config->sub_stages != factor)
        unsupported(r, "subsampling factor", "not a power of two");
    text = read_text(r, "encoder.self_attention_model", "rel_pos");
    if (strcmp(text, "rel_pos") != 0 && strcmp(text, "rel_pos_local_attn") != 0)
        unsupported(r, "self-attention", text);
    text = read_text(r, "encoder.att_context_style", "regular");
    if (strcmp(text, "chunked_limited") == 0)
        config->att_style = STAPES__ATT_CHUNKED;
    else if (strcmp(text, "regular") != 0)
        unsupported(r, "attention context style", text);
    read_contexts(r, "encoder.att_context_size", config);
    config->conv_layer_norm =
        strcmp(read_text(r, "encoder.conv_norm_type", "batch_norm"), "layer_norm") == 0;
    text = read_text(r, "encoder.conv_context_size", "");
    const json_t *conv = at_path(r->root, "encoder.conv_context_size");
    if (strcmp(text, "causal") == 0)
        config->conv_pad_left = config->conv_kernel - 1;
    else if (json_is_array(conv))
        config->conv_pad_left = (int)json_integer_value(json_array_get(conv, 0));
    else
        config->conv_pad_left = (config->conv_kernel - 1) / 2;
    if (config->conv_pad_left < 0 || config->conv_pad_left >= config->conv_kernel)
        unsupported(r, "convolution context", "outside the kernel");
}

static void read_nemo(reader *r, stapes__fc_config *config) {
    read_nemo_encoder(r, config);
    const char *norm = read_text(r, "preprocessor.normalize", "per_feature");
    if (strcmp(norm, "per_feature") == 0)
        config->normalize = STAPES__MEL_PER_FEATURE;
    else if (strcmp(norm, "NA") != 0 && strcmp(norm, "none") != 0 && strcmp(norm, "None") != 0)
        unsupported(r, "feature normalisation", norm);
    const json_t *pre = at_path(r->root, "preprocessor.preemph");
    config->preemphasis = json_is_number(pre) ? json_number_value(pre) : 0.97;
    read_int(r, "preprocessor.sample_rate", 16000, 16000, 16000);
    read_int(r, "preprocessor.n_fft", 512, 512, 512);

    config->pred_hidden = read_int(r, "decoder.prednet.pred_hidden", 0, 1, 16384);
    config->pred_layers = read_int(r, "decoder.prednet.pred_rnn_layers", 1, 1, 8);
    config->joint_hidden = read_int(r, "joint.jointnet.joint_hidden", 0, 1, 16384);
    const json_t *vocabulary = at_path(r->root, "joint.vocabulary");
    if (!vocabulary)
        vocabulary = at_path(r->root, "decoder.vocabulary");
    if (!vocabulary)
        vocabulary = at_path(r->root, "labels");
    config->vocabulary = (int)json_array_size(vocabulary);
    if (read_int(r, "joint.num_extra_outputs", 0, 0, STAPES__MAX_DURATIONS) > 0) {
        read_durations(r, "decoding.durations", config);
        read_durations(r, "model_defaults.tdt_durations", config);
        read_durations(r, "loss.tdt_kwargs.durations", config);
    }
    config->max_symbols = read_int(r, "decoding.greedy.max_symbols", 10, 1, 1000);
}

/* ---- Hugging Face ---- */

static void read_hf_encoder(reader *r, stapes__fc_config *config, bool streaming) {
    config->n_mels = read_int(r, "encoder_config.num_mel_bins", 80, 1, 512);
    config->d_model = read_int(r, "encoder_config.hidden_size", 1024, 8, 16384);
    config->n_layers = read_int(r, "encoder_config.num_hidden_layers", 24, 1, 512);
    config->n_heads = read_int(r, "encoder_config.num_attention_heads", 8, 1, 256);
    config->d_ff = read_int(r, "encoder_config.intermediate_size", 4096, 1, 262144);
    config->conv_kernel = read_int(r, "encoder_config.conv_kernel_size", 9, 1, 129);
    config->use_bias = read_bool(r, "encoder_config.attention_bias", true);
    config->xscaling = read_bool(r, "encoder_config.scale_input", true);
    config->sub_channels = read_int(r, "encoder_config.subsampling_conv_channels", 256, 1, 16384);
    read_int(r, "encoder_config.subsampling_conv_kernel_size", 3, 3, 3);
    read_int(r, "encoder_config.subsampling_conv_stride", 2, 2, 2);
    int factor = read_int(r, "encoder_config.subsampling_factor", 8, 2, 64);
    while (1 << config->sub_stages < factor)
        config->sub_stages++;
    if (1 << config->sub_stages != factor)
        unsupported(r, "subsampling factor", "not a power of two");
    const char *act = read_text(r, "encoder_config.hidden_act", "silu");
    if (strcmp(act, "silu") != 0 && strcmp(act, "swish") != 0)
        unsupported(r, "encoder activation", act);
    config->causal_subsampling = config->conv_layer_norm = streaming;
    config->conv_pad_left = streaming ? config->conv_kernel - 1 : (config->conv_kernel - 1) / 2;
    config->normalize = streaming ? STAPES__MEL_NORMALIZE_NONE : STAPES__MEL_PER_FEATURE;
    config->preemphasis = 0.97;
    config->contexts[0] = (stapes__context){-1, -1};
    config->n_contexts = 1;
    if (streaming) {
        config->att_style = STAPES__ATT_CHUNKED;
        config->contexts[0].left = read_int(r, "encoder_config.sliding_window", 71, 1, 100001) - 1;
        config->contexts[0].right =
            read_int(r, "encoder_config.default_num_lookahead_tokens", 13, 0, 100000);
    }
}

static void read_hf(reader *r, stapes__fc_config *config) {
    const char *type = read_text(r, "model_type", "");
    bool streaming = strncmp(type, "nemotron", 8) == 0;
    read_hf_encoder(r, config, streaming);
    int classes =
        read_int(r, "vocab_size", strcmp(type, "nemotron3_5_asr") == 0 ? 13088 : 1025, 2, 1 << 24);
    config->vocabulary = classes - 1;
    bool ctc = strcmp(type, "parakeet_ctc") == 0;
    int blank = read_int(r, ctc ? "pad_token_id" : "blank_token_id", classes - 1, 0, classes);
    if (blank != classes - 1)
        unsupported(r, "blank id", "not the last class");
    const char *act = read_text(r, "hidden_act", "relu");
    if (strcmp(act, "relu") != 0)
        unsupported(r, "joint activation", act);
    config->pred_hidden = config->joint_hidden = read_int(r, "decoder_hidden_size", 640, 1, 16384);
    config->pred_layers = read_int(r, "num_decoder_layers", 2, 1, 8);
    config->max_symbols = read_int(r, "max_symbols_per_step", 10, 1, 1000);
    if (strcmp(type, "parakeet_tdt") == 0) {
        read_durations(r, "durations", config);
        if (config->n_durations == 0)
            for (; config->n_durations < 5; config->n_durations++)
                config->durations[config->n_durations] = config->n_durations;
    }
    const json_t *pre = at_path(r->root, "preemphasis");
    if (json_is_number(pre))
        config->preemphasis = json_number_value(pre);
}

/* ---- what the tensors say ---- */

static const stapes__tensor *find(const stapes__container *c, const char *name) {
    return stapes__names_find(c, name);
}

/* Rows of a tensor, or -1. */
static int64_t rows_of(const stapes__tensor *t) {
    return t && t->n_dims > 0 ? t->shape[0] : -1;
}

static stapes_status settle_encoder(stapes__fc_config *config, const stapes__container *c,
                                    stapes_error *err) {
    config->use_bias = find(c, "encoder.layers.0.feed_forward1.linear1.bias") != NULL;
    config->conv_layer_norm = !find(c, "encoder.layers.0.conv.batch_norm.running_mean");
    if (config->d_model % config->n_heads != 0 || config->d_model % 2 != 0)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED, "width %d does not divide by %d heads",
                            config->d_model, config->n_heads);
    const stapes__tensor *out = find(c, "encoder.pre_encode.out.weight");
    if (!out || out->n_dims != 2)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "tensor encoder.pre_encode.out.weight is missing");
    for (int causal = 0; causal < 2; causal++) {
        config->causal_subsampling = causal;
        if (out->shape[1] == (int64_t)config->sub_channels * stapes__fc_bins(config))
            return STAPES_OK;
    }
    return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                        "encoder.pre_encode.out.weight has %lld columns, which fits %d channels of "
                        "neither a causal nor a non-causal subsampling of %d mel bins",
                        (long long)out->shape[1], config->sub_channels, config->n_mels);
}

/* The prompt projector takes [frame, one-hot]: its shape tells how many prompts there are. */
static stapes_status settle_prompt(stapes__fc_config *config, const stapes__container *c,
                                   stapes_error *err) {
    const stapes__tensor *first = find(c, "prompt_kernel.0.weight");
    if (!first)
        return STAPES_OK;
    int64_t prompts = first->n_dims == 2 ? first->shape[1] - config->d_model : 0;
    if (prompts < 1 || prompts > 65536 || first->shape[0] < 1 || first->shape[0] > 1 << 20)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "the prompt projector does not fit a width of %d", config->d_model);
    config->n_prompts = (int)prompts;
    config->prompt_hidden = (int)first->shape[0];
    return STAPES_OK;
}

static stapes_status settle_heads(stapes__fc_config *config, const stapes__container *c,
                                  stapes_error *err) {
    const stapes__tensor *joint = find(c, "joint.joint_net.2.weight");
    const stapes__tensor *ctc = find(c, "ctc_decoder.decoder_layers.0.weight");
    config->has_transducer = joint != NULL;
    config->has_ctc = ctc != NULL;
    if (!joint && !ctc)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "neither a joint network nor a CTC head is in the file");
    if (config->vocabulary <= 0)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED, "the configuration has no vocabulary");
    if (joint && rows_of(joint) != config->vocabulary + 1 + config->n_durations)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "the joint network has %lld rows, but %d pieces, a blank and %d "
                            "durations are configured",
                            (long long)rows_of(joint), config->vocabulary, config->n_durations);
    if (ctc && rows_of(ctc) != config->vocabulary + 1)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "the CTC head has %lld rows, but %d pieces and a blank are configured",
                            (long long)rows_of(ctc), config->vocabulary);
    return STAPES_OK;
}

stapes_status stapes__fc_config_read(stapes__fc_config *config, const stapes__container *c,
                                     stapes_error *err) {
    memset(config, 0, sizeof *config);
    reader r = {stapes__container_config(c), err, STAPES_OK};
    if (!r.root)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED, "the model has no configuration");
    const char *type = read_text(&r, "model_type", "");
    if (json_is_object(json_object_get(r.root, "encoder")) && *type == 0)
        read_nemo(&r, config);
    else if (strcmp(type, "parakeet_tdt") == 0 || strcmp(type, "parakeet_rnnt") == 0 ||
             strcmp(type, "parakeet_ctc") == 0 || strcmp(type, "nemotron_asr_streaming") == 0 ||
             strcmp(type, "nemotron3_5_asr") == 0)
        read_hf(&r, config);
    else
        return stapes__fail(err, STAPES_E_UNSUPPORTED,
                            "model type \"%s\" is not one that this version runs "
                            "(parakeet_tdt, parakeet_rnnt, parakeet_ctc, nemotron_asr_streaming, "
                            "nemotron3_5_asr, "
                            "NeMo FastConformer)",
                            *type ? type : "unknown");
    if (r.status != STAPES_OK)
        return r.status;
    if (config->n_mels <= 0 || config->d_model <= 0 || config->n_layers <= 0)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "the configuration lacks the encoder's feat_in, d_model or n_layers");
    stapes_status status = settle_encoder(config, c, err);
    if (status == STAPES_OK)
        status = settle_prompt(config, c, err);
    return status == STAPES_OK ? settle_heads(config, c, err) : status;
}

size_t stapes__fc_frames(const stapes__fc_config *config, size_t mel_frames) {
    for (int i = 0; i < config->sub_stages; i++)
        mel_frames = mel_frames == 0              ? 0
                     : config->causal_subsampling ? mel_frames / 2 + 1
                                                  : (mel_frames - 1) / 2 + 1;
    return mel_frames;
}

int stapes__fc_bins(const stapes__fc_config *config) {
    return (int)stapes__fc_frames(config, (size_t)config->n_mels);
}

int stapes__fc_factor(const stapes__fc_config *config) {
    return 1 << config->sub_stages;
}
