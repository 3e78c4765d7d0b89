/* stapes inspect: what a model file or folder holds. One JSON tree is made; the text form prints
 * that tree, so that both say the same. */
#include "models.h"

#include <stdlib.h>
#include <string.h>

#include "models/fastconformer/config.h"
#include "text/tokenizer.h"
#include "weights/naming.h"

/* NeMo's default when a context is unlimited to the left: the size of the attention cache. */
enum { UNLIMITED_CACHE = 10000 };

/* ---- weights -------------------------------------------------------------------------------- */

/* Parts by canonical name; the first prefix that fits decides. */
static const struct {
    const char *prefix, *part;
} parts[] = {
    {"encoder.pre_encode.", "subsampling"},  {"encoder.", "encoder layers"},
    {"decoder.prediction.", "predictor"},    {"joint.", "joint"},
    {"decoder.decoder_layers.", "ctc head"}, {"prompt_kernel.", "prompt projector"},
    {"preprocessor.", "front end"},          {"", "other"},
};

static const char *part_of(const char *canonical) {
    size_t i = 0;
    while (strncmp(canonical, parts[i].prefix, strlen(parts[i].prefix)) != 0)
        i++;
    return parts[i].part;
}

static bool is_buffer(const char *name) {
    return strstr(name, ".running_") || strstr(name, ".num_batches_tracked") ||
           strncmp(name, "preprocessor.", 13) == 0 || strcmp(name, "mel_filters") == 0;
}

/* object[key] += amount */
static void add_to(json_t *object, const char *key, json_int_t amount) {
    json_int_t sum = json_integer_value(json_object_get(object, key)) + amount;
    json_object_set_new(object, key, json_integer(sum));
}

static json_t *describe_weights(const stapes__container *container, bool list) {
    json_t *by_part = json_object(), *by_dtype = json_object(), *tensors = json_array();
    json_int_t parameters = 0, buffers = 0, bytes = 0;
    for (size_t i = 0; i < stapes__container_count(container); i++) {
        const stapes__tensor *tensor = stapes__container_at(container, i);
        char translated[STAPES__NAME_SPACE], shape[128];
        const char *name = tensor->name;
        if (stapes__name_canonical(name, translated, sizeof translated))
            name = translated;
        size_t elements = 0;
        stapes__shape_elements(tensor->n_dims, tensor->shape, &elements);
        stapes__shape_text(tensor, shape, sizeof shape);
        if (is_buffer(name)) {
            buffers += (json_int_t)elements;
        } else {
            parameters += (json_int_t)elements;
            add_to(by_part, part_of(name), (json_int_t)elements);
        }
        bytes += (json_int_t)tensor->bytes;
        add_to(by_dtype, stapes__dtype_name(tensor->dtype), 1);
        if (list)
            json_array_append_new(tensors,
                                  json_pack("{s:s, s:s, s:s, s:I}", "name", tensor->name, "dtype",
                                            stapes__dtype_name(tensor->dtype), "shape", shape,
                                            "bytes", (json_int_t)tensor->bytes));
    }
    json_t *out =
        json_pack("{s:I, s:I, s:I, s:I, s:o, s:o}", "tensors",
                  (json_int_t)stapes__container_count(container), "parameters", parameters,
                  "buffers", buffers, "bytes", bytes, "by_part", by_part, "by_dtype", by_dtype);
    if (list && out)
        json_object_set_new(out, "list", tensors);
    else
        json_decref(tensors);
    return out;
}

/* ---- configuration -------------------------------------------------------------------------- */

static json_t *describe_encoder(const stapes__fc_config *f) {
    json_t *contexts = json_array();
    for (int i = 0; i < f->n_contexts; i++)
        json_array_append_new(contexts,
                              json_pack("[i, i]", f->contexts[i].left, f->contexts[i].right));
    return json_pack(
        "{s:i, s:i, s:i, s:i, s:i, s:s, s:s, s:b, s:b, s:s, s:i, s:i, s:b, s:s, s:o}", "layers",
        f->n_layers, "width", f->d_model, "heads", f->n_heads, "feed_forward", f->d_ff,
        "conv_kernel", f->conv_kernel, "conv_norm", f->conv_layer_norm ? "layer" : "batch",
        "conv_padding", f->conv_pad_left == f->conv_kernel - 1 ? "causal" : "symmetric", "biases",
        f->use_bias, "input_scaling", f->xscaling, "subsampling",
        f->subsampling == STAPES__SUB_DW_STRIDING ? "dw_striding" : "striding",
        "subsampling_factor", stapes__fc_factor(f), "subsampling_channels", f->sub_channels,
        "subsampling_causal", f->causal_subsampling, "attention",
        f->att_style == STAPES__ATT_CHUNKED ? "chunked_limited" : "regular", "contexts", contexts);
}

static json_t *describe_front_end(const stapes__fc_config *f) {
    return json_pack("{s:i, s:i, s:f, s:s, s:f}", "sample_rate", 16000, "mel_bins", f->n_mels,
                     "hop_seconds", 0.01, "normalize",
                     f->normalize == STAPES__MEL_PER_FEATURE ? "per_feature" : "none",
                     "preemphasis", f->preemphasis);
}

static json_t *describe_decoder(const stapes__fc_config *f) {
    json_t *out =
        json_pack("{s:s, s:b, s:i, s:i}", "kind",
                  !f->has_transducer   ? "ctc"
                  : f->n_durations > 0 ? "tdt"
                                       : "rnnt",
                  "ctc_head", f->has_ctc, "vocabulary", f->vocabulary, "blank", f->vocabulary);
    if (!out || !f->has_transducer)
        return out;
    json_t *durations = json_array();
    for (int i = 0; i < f->n_durations; i++)
        json_array_append_new(durations, json_integer(f->durations[i]));
    json_object_set_new(out, "durations", durations);
    json_object_set_new(out, "max_symbols", json_integer(f->max_symbols));
    json_object_set_new(out, "predictor_layers", json_integer(f->pred_layers));
    json_object_set_new(out, "predictor_width", json_integer(f->pred_hidden));
    json_object_set_new(out, "joint_width", json_integer(f->joint_hidden));
    if (f->n_prompts > 0)
        json_object_set_new(out, "prompts", json_integer(f->n_prompts));
    return out;
}

/* One cache-aware contract, by NeMo's formulas for chunked_limited: look-ahead A = right context,
 * nothing recomputed (D = 0), subsampling block of `factor` mel frames. */
static json_t *describe_contract(const stapes__fc_config *f, stapes__context context) {
    int factor = stapes__fc_factor(f), ahead = context.right < 0 ? 0 : context.right;
    int first = 1 + factor * ahead, later = factor * (1 + ahead);
    double frame = 0.01 * factor;
    return json_pack("{s:[i,i], s:[i,i], s:[i,i], s:i, s:i, s:i, s:[i,i], s:i, s:f, s:f}",
                     "context", context.left, context.right, "chunk_mel", first, later, "shift_mel",
                     first, later, "frames_per_step", ahead + 1, "cache_frames",
                     context.left < 0 ? UNLIMITED_CACHE : context.left, "cache_conv",
                     f->conv_kernel - 1, "pre_encode_cache_mel", 0, factor + 1,
                     "drop_extra_pre_encoded", 2, "step_seconds", frame * (ahead + 1),
                     "lookahead_seconds", frame * ahead);
}

/* A model streams exactly when attention is chunked and every convolution looks back only. */
static json_t *describe_streaming(const stapes__fc_config *f) {
    bool exact = f->att_style == STAPES__ATT_CHUNKED && f->causal_subsampling &&
                 f->conv_pad_left == f->conv_kernel - 1;
    json_t *contracts = json_array();
    for (int i = 0; exact && i < f->n_contexts; i++)
        json_array_append_new(contracts, describe_contract(f, f->contexts[i]));
    return json_pack("{s:s, s:f, s:o}", "mode", exact ? "cache-aware" : "buffered windows",
                     "frame_seconds", 0.01 * stapes__fc_factor(f), "contracts", contracts);
}

static const char *architecture_name(const stapes__fc_config *f) {
    if (!f->has_transducer)
        return "fastconformer-ctc";
    return f->n_durations > 0 ? "fastconformer-tdt" : "fastconformer-rnnt";
}

/* ---- tokenizer ------------------------------------------------------------------------------ */

static json_t *describe_pieces(const stapes__tokenizer *t, const char *kind) {
    enum { SHOWN = 12 };
    json_t *shown = json_array();
    size_t specials = 0, bytes = 0, size = stapes__tokenizer_size(t);
    for (size_t id = 0; id < size; id++) {
        bytes += stapes__tokenizer_type(t, (int32_t)id) == STAPES__PIECE_BYTE;
        if (!stapes__tokenizer_special(t, (int32_t)id))
            continue;
        if (specials++ < SHOWN)
            json_array_append_new(shown, json_string(stapes__tokenizer_piece(t, (int32_t)id)));
    }
    return json_pack("{s:s, s:I, s:I, s:I, s:o}", "kind", kind, "pieces", (json_int_t)size,
                     "byte_pieces", (json_int_t)bytes, "specials", (json_int_t)specials,
                     "first_specials", shown);
}

/* JSON null when the container holds none of its own (a NeMo archive may list the vocabulary in
 * its configuration instead). */
static json_t *describe_tokenizer(const stapes__container *container, stapes_error *error,
                                  stapes_status *status) {
    const char *data = NULL, *kind = NULL;
    size_t size = 0;
    stapes__tokenizer *t = NULL;
    *status = STAPES_OK;
    switch (stapes__container_tokenizer(container, &data, &size)) {
    case STAPES__TOKENIZER_SENTENCEPIECE:
        kind = "sentencepiece";
        *status = stapes__tokenizer_open_sentencepiece(&t, data, size, error);
        break;
    case STAPES__TOKENIZER_JSON:
        kind = "tokenizer.json";
        *status = stapes__tokenizer_open_json(&t, data, size, error);
        break;
    case STAPES__TOKENIZER_VOCAB_TXT:
        kind = "piece list";
        *status = stapes__tokenizer_open_lines(&t, data, size, error);
        break;
    case STAPES__TOKENIZER_BYTES: {
        const uint8_t *const *tokens;
        const size_t *lengths;
        size_t count = stapes__container_tokens(container, &tokens, &lengths);
        kind = "byte tokens";
        *status = stapes__tokenizer_open_bytes(&t, tokens, lengths, count, error);
        break;
    }
    case STAPES__TOKENIZER_NONE:
        break;
    }
    if (*status != STAPES_OK || !t)
        return json_null();
    json_t *out = describe_pieces(t, kind);
    stapes__tokenizer_close(&t);
    return out;
}

/* ---- text form ------------------------------------------------------------------------------ */

/* "true", "24", "0.97", "[70, 13]", "text" */
static void value_text(const json_t *value, char *out, size_t capacity) {
    if (json_is_string(value))
        snprintf(out, capacity, "%s", json_string_value(value));
    else if (json_is_integer(value))
        snprintf(out, capacity, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(out, capacity, "%g", json_real_value(value));
    else if (json_is_boolean(value))
        snprintf(out, capacity, "%s", json_is_true(value) ? "yes" : "no");
    else if (json_is_null(value))
        snprintf(out, capacity, "none");
    else {
        char *text = json_dumps(value, JSON_ENCODE_ANY);
        snprintf(out, capacity, "%s", text ? text : "");
        for (char *at = out; *at; at++)
            *at = *at == '"' ? '\'' : *at;
        free(text);
    }
}

static void print_pairs(cli *c, const json_t *object, int indent) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value) {
        char label[64], text[1024];
        bool rows = json_is_array(value) && json_is_object(json_array_get(value, 0));
        snprintf(label, sizeof label, "%s", key);
        for (char *at = label; *at; at++)
            *at = *at == '_' ? ' ' : *at;
        if (json_is_object(value)) {
            cli_printf(c, "%*s%s\n", indent, "", label);
            print_pairs(c, value, indent + 2);
        } else if (rows) {
            for (size_t i = 0; i < json_array_size(value); i++) {
                cli_printf(c, "%*s%s %zu\n", indent, "", label, i);
                print_pairs(c, json_array_get(value, i), indent + 2);
            }
        } else {
            value_text(value, text, sizeof text);
            cli_printf(c, "%*s%-*s %s\n", indent, "", 26 - indent, label, text);
        }
    }
}

static void print_tensors(cli *c, const json_t *list) {
    size_t i;
    json_t *row;
    cli_printf(c, "tensors\n");
    json_array_foreach(list, i, row)
        cli_printf(c, "  %-5s %-22s %s\n", json_string_value(json_object_get(row, "dtype")),
                   json_string_value(json_object_get(row, "shape")),
                   json_string_value(json_object_get(row, "name")));
}

static void print_text(cli *c, json_t *tree) {
    json_t *weights = json_object_get(tree, "weights");
    json_t *list = json_incref(json_object_get(weights, "list"));
    json_object_del(weights, "list");
    print_pairs(c, tree, 0);
    if (list)
        print_tensors(c, list);
    json_decref(list);
}

/* ---- the command ---------------------------------------------------------------------------- */

/* Adds what the configuration and the tokenizer say; the first failure is reported and ends it. */
static stapes_status describe_network(json_t *tree, const stapes__container *container,
                                      stapes_error *error) {
    stapes__fc_config config;
    stapes_status status = stapes__fc_config_read(&config, container, error);
    if (status != STAPES_OK)
        return status;
    json_object_set_new(tree, "architecture", json_string(architecture_name(&config)));
    json_object_set_new(tree, "front_end", describe_front_end(&config));
    json_object_set_new(tree, "encoder", describe_encoder(&config));
    json_object_set_new(tree, "decoder", describe_decoder(&config));
    json_object_set_new(tree, "streaming", describe_streaming(&config));
    json_t *tokenizer = describe_tokenizer(container, error, &status);
    json_object_set_new(tree, "tokenizer", tokenizer);
    return status;
}

static int inspect_container(cli *c, const char *path, const stapes__container *container,
                             const cli_inspect_args *args) {
    stapes_error error = {0};
    char identity[65] = "";
    json_t *tree = json_pack("{s:s, s:s, s:I}", "path", path, "container",
                             stapes__container_format_name(container), "bytes_on_disk",
                             (json_int_t)cli_bytes_on_disk(path));
    if (!tree)
        return cli_fail(c, STAPES_E_MEMORY, NULL, "not enough memory for the answer");
    stapes_status status = describe_network(tree, container, &error);
    json_object_set_new(tree, "weights", describe_weights(container, args->tensors));
    if (status == STAPES_OK && args->identity) {
        status = stapes__container_identity(container, identity, &error);
        json_object_set_new(tree, "identity", json_string(identity));
    }
    if (c->common.json) {
        cli_print_json(c, tree);
    } else {
        print_text(c, tree);
        json_decref(tree);
    }
    cli_flush(c); /* the answer before the error about what is missing from it */
    return status == STAPES_OK ? 0 : cli_error(c, &error, path);
}

int cli_inspect(cli *c, const char *name, const cli_inspect_args *args) {
    stapes_error error = {0};
    char *path = NULL;
    stapes__container *container = NULL;
    const stapes__log log = {cli_log, c, c->common.verbose ? STAPES_LOG_DEBUG : STAPES_LOG_WARNING};
    stapes_status status = stapes__hub_resolve(name, &path, &error);
    if (status == STAPES_OK)
        status = stapes__container_open(&container, path, &log, &error);
    int code = status == STAPES_OK ? inspect_container(c, path, container, args)
                                   : cli_error(c, &error, name);
    if (container)
        stapes__container_close(&container);
    free(path);
    return code;
}

static int run_inspect(cli *c, void *raw) {
    if (c->inputs.count > 1)
        return cli_usage(c, "one model at a time");
    return cli_inspect(c, c->inputs.count ? c->inputs.items[0] : NULL, raw);
}

static const cli_option inspect_options[] = {
    {.name = "tensors",
     .type = CLI_FLAG,
     .offset = offsetof(cli_inspect_args, tensors),
     .help = "list every tensor with its type and shape"},
    {.name = "identity",
     .type = CLI_FLAG,
     .offset = offsetof(cli_inspect_args, identity),
     .help = "SHA-256 of the weights, the same for every container of them (reads all)"},
};

static const cli_example inspect_examples[] = {
    {"stapes inspect", "the embedded model"},
    {"stapes inspect parakeet-tdt_ctc-110m.nemo --tensors", "a file, with its tensors"},
    {"stapes inspect v3 --json --identity", "for a script"},
};

const cli_command cli_command_inspect = {
    .name = "inspect",
    .summary = "show what a model is made of",
    .usage = "[options] [MODEL]",
    .description =
        "Shows the container, architecture, sizes, front end, attention contexts, decoder, "
        "tokenizer and streaming contracts of a model given as a file, a folder or a name, and its "
        "parameters by part. The network is checked as when it is loaded, but not run.",
    .files = true,
    .options = inspect_options,
    .n_options = CLI_COUNT_OF(inspect_options),
    .examples = inspect_examples,
    .n_examples = CLI_COUNT_OF(inspect_examples),
    .args_size = sizeof(cli_inspect_args),
    .run = run_inspect,
};
