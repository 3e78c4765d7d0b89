/* Writes a Hugging Face style ParakeetForTDT folder with random weights, by default of exactly the
 * shapes of parakeet-tdt-0.6b-v3 (723 tensors, 627 million parameters), so that loading, memory
 * and speed of full-size models can be measured without having one. Nothing sensible comes out of
 * it as text. Weights are N(0, 1/fan_in) and norms near 1, so that activations stay finite; with
 * the default bias of the blank some tokens come out (raise it for fewer, lower it for more). The
 * same seed gives the same bytes. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "tensor/tensor.h"

enum { NAME = 192 };

typedef struct options {
    long layers, width, heads, ffn, mel, channels, kernel;
    long vocab, predictor_layers, hidden, durations, seed;
    double blank_bias;
    bool bias, dry_run;
    stapes__dtype dtype;
    const char *folder;
} options;

typedef enum fill {
    FILL_WEIGHT,    /* N(0, scale^2) */
    FILL_NEAR_ONE,  /* 1 + N(0, 0.1^2) */
    FILL_VARIANCE,  /* 0.5 + |N(0, 0.5^2)| */
    FILL_COUNT,     /* one int64 */
    FILL_EMBEDDING, /* N(0, 1), last row zero: the blank */
    FILL_HEAD_BIAS  /* N(0, 0.02^2), the blank's raised */
} fill;

typedef struct spec {
    char name[NAME];
    int n_dims;
    int64_t shape[4];
    fill kind;
    float scale;
} spec;

typedef struct plan {
    spec *specs;
    size_t count, capacity;
    bool failed;
} plan;

/* ---- which tensors ---- */

static void add(plan *p, const char *name, int n_dims, int64_t a, int64_t b, int64_t c, int64_t d,
                fill kind, double scale) {
    if (p->count == p->capacity) {
        size_t capacity = p->capacity ? p->capacity * 2 : 256;
        spec *grown = stapes__realloc(p->specs, capacity, sizeof *grown);
        if (!grown) {
            p->failed = true;
            return;
        }
        p->specs = grown;
        p->capacity = capacity;
    }
    spec *s = &p->specs[p->count++];
    *s = (spec){.n_dims = n_dims, .shape = {a, b, c, d}, .kind = kind, .scale = (float)scale};
    snprintf(s->name, sizeof s->name, "%s", name);
}

static void add_vector(plan *p, const char *prefix, const char *name, int64_t size, fill kind,
                       double scale) {
    char full[NAME];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    add(p, full, 1, size, 0, 0, 0, kind, scale);
}

static void add_linear(plan *p, const char *prefix, const char *name, int64_t out, int64_t in,
                       bool bias) {
    char full[NAME];
    snprintf(full, sizeof full, "%s%s.weight", prefix, name);
    add(p, full, 2, out, in, 0, 0, FILL_WEIGHT, 1 / sqrt((double)in));
    snprintf(full, sizeof full, "%s%s.bias", prefix, name);
    if (bias)
        add(p, full, 1, out, 0, 0, 0, FILL_WEIGHT, 0.02);
}

static void add_norm(plan *p, const char *prefix, const char *name, int64_t size) {
    char full[NAME];
    snprintf(full, sizeof full, "%s%s.weight", prefix, name);
    add(p, full, 1, size, 0, 0, 0, FILL_NEAR_ONE, 0);
    snprintf(full, sizeof full, "%s%s.bias", prefix, name);
    add(p, full, 1, size, 0, 0, 0, FILL_WEIGHT, 0.02);
}

static void add_conv1(plan *p, const char *prefix, const char *name, int64_t out, int64_t in,
                      int64_t kernel, bool bias) {
    char full[NAME];
    snprintf(full, sizeof full, "%s%s.weight", prefix, name);
    add(p, full, 3, out, in, kernel, 0, FILL_WEIGHT, 1 / sqrt((double)(in * kernel)));
    snprintf(full, sizeof full, "%s%s.bias", prefix, name);
    if (bias)
        add(p, full, 1, out, 0, 0, 0, FILL_WEIGHT, 0.02);
}

/* Three stages of stride 2; twice the variance where a ReLU follows. */
static void add_subsampling(plan *p, const options *o) {
    static const int index[5] = {0, 2, 3, 5, 6};
    int64_t bins = ((o->mel + 1) / 2 + 1) / 2;
    bins = (bins + 1) / 2;
    for (int i = 0; i < 5; i++) {
        bool pointwise = index[i] == 3 || index[i] == 6;
        int64_t in = pointwise ? o->channels : 1, side = pointwise ? 1 : 3;
        double scale = sqrt((pointwise || i == 0 ? 2.0 : 1.0) / (double)(in * side * side));
        char name[NAME];
        snprintf(name, sizeof name, "encoder.subsampling.layers.%d.weight", index[i]);
        add(p, name, 4, o->channels, in, side, side, FILL_WEIGHT, scale);
        snprintf(name, sizeof name, "encoder.subsampling.layers.%d.bias", index[i]);
        add(p, name, 1, o->channels, 0, 0, 0, FILL_WEIGHT, 0.02);
    }
    add_linear(p, "encoder.subsampling.", "linear", o->width, o->channels * bins, true);
}

static void add_layer(plan *p, const options *o, long layer) {
    static const char *const norms[] = {"norm_feed_forward1", "norm_self_att", "norm_conv",
                                        "norm_feed_forward2", "norm_out"};
    static const char *const projections[] = {"q_proj", "k_proj", "v_proj", "o_proj"};
    char at[48], part[96], tracked[NAME];
    snprintf(at, sizeof at, "encoder.layers.%ld.", layer);
    for (size_t i = 0; i < 5; i++)
        add_norm(p, at, norms[i], o->width);
    for (int i = 1; i <= 2; i++) {
        snprintf(part, sizeof part, "%sfeed_forward%d.", at, i);
        add_linear(p, part, "linear1", o->ffn, o->width, o->bias);
        add_linear(p, part, "linear2", o->width, o->ffn, o->bias);
    }
    snprintf(part, sizeof part, "%sself_attn.", at);
    for (size_t i = 0; i < 4; i++)
        add_linear(p, part, projections[i], o->width, o->width, o->bias);
    add_linear(p, part, "relative_k_proj", o->width, o->width, false);
    for (int i = 0; i < 2; i++) {
        char name[NAME];
        snprintf(name, sizeof name, "%sbias_%c", part, "uv"[i]);
        add(p, name, 2, o->heads, o->width / o->heads, 0, 0, FILL_WEIGHT, 0.1);
    }
    snprintf(part, sizeof part, "%sconv.", at);
    add_conv1(p, part, "pointwise_conv1", 2 * o->width, o->width, 1, o->bias);
    add_conv1(p, part, "depthwise_conv", o->width, 1, o->kernel, o->bias);
    add_conv1(p, part, "pointwise_conv2", o->width, o->width, 1, o->bias);
    add_norm(p, part, "norm", o->width);
    add_vector(p, part, "norm.running_mean", o->width, FILL_WEIGHT, 0.1);
    add_vector(p, part, "norm.running_var", o->width, FILL_VARIANCE, 0);
    snprintf(tracked, sizeof tracked, "%snorm.num_batches_tracked", part);
    add(p, tracked, 0, 0, 0, 0, 0, FILL_COUNT, 0);
}

static void add_decoder(plan *p, const options *o) {
    add(p, "decoder.embedding.weight", 2, o->vocab + 1, o->hidden, 0, 0, FILL_EMBEDDING, 1);
    double scale = 1 / sqrt((double)o->hidden);
    for (long layer = 0; layer < o->predictor_layers; layer++) {
        static const char *const parts[] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"};
        for (int i = 0; i < 4; i++) {
            char name[NAME];
            snprintf(name, sizeof name, "decoder.lstm.%s_l%ld", parts[i], layer);
            add(p, name, i < 2 ? 2 : 1, 4 * o->hidden, o->hidden, 0, 0, FILL_WEIGHT,
                i < 2 ? scale : 0.02);
        }
    }
    add_linear(p, "decoder.", "decoder_projector", o->hidden, o->hidden, true);
    add_linear(p, "", "encoder_projector", o->hidden, o->width, true);
    int64_t rows = o->vocab + 1 + o->durations;
    add(p, "joint.head.weight", 2, rows, o->hidden, 0, 0, FILL_WEIGHT, scale);
    add(p, "joint.head.bias", 1, rows, 0, 0, 0, FILL_HEAD_BIAS, o->blank_bias);
}

static void make_plan(plan *p, const options *o) {
    add_subsampling(p, o);
    for (long layer = 0; layer < o->layers; layer++)
        add_layer(p, o, layer);
    add_decoder(p, o);
}

static size_t elements_of(const spec *s) {
    size_t count;
    return stapes__shape_elements(s->n_dims, s->shape, &count) ? count : 0;
}

static size_t bytes_of(const spec *s, const options *o) {
    return elements_of(s) * (s->kind == FILL_COUNT ? 8 : stapes__dtype_size(o->dtype));
}

/* ---- values ---- */

/* splitmix64: one 64-bit state, any start is good. */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Close to N(0, 1): four uniform numbers of 16 bits, whose sum has the variance 1/3. */
static float normal(uint64_t *state) {
    uint64_t bits = next_random(state);
    float sum =
        (float)((bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48));
    return (sum / 65535.0f - 2.0f) * 1.7320508f;
}

static float value_of(const spec *s, const options *o, size_t index, uint64_t *state) {
    float n = normal(state);
    switch (s->kind) {
    case FILL_NEAR_ONE:
        return 1 + 0.1f * n;
    case FILL_VARIANCE:
        return 0.5f + fabsf(0.5f * n);
    case FILL_EMBEDDING:
        return index < (size_t)(o->vocab * o->hidden) ? n : 0;
    case FILL_HEAD_BIAS:
        return 0.02f * n + (index == (size_t)o->vocab ? s->scale : 0);
    default:
        return s->scale * n;
    }
}

/* Rounds to nearest, ties to even; the values are ordinary numbers. */
static uint16_t to_bfloat(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static uint16_t to_half(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    int exponent = (int)(bits >> 23 & 0xff) - 112;
    uint32_t mantissa = bits & 0x7fffff;
    if (exponent <= 0) { /* subnormal in 16 bits */
        if (exponent < -10)
            return sign;
        mantissa |= 0x800000;
        int shift = 14 - exponent;
        uint32_t half = mantissa >> shift, rest = mantissa & ((1u << shift) - 1);
        half += rest > 1u << (shift - 1) || (rest == 1u << (shift - 1) && (half & 1));
        return (uint16_t)(sign | half);
    }
    if (exponent >= 31)
        return sign | 0x7c00;
    uint32_t half = (uint32_t)exponent << 10 | mantissa >> 13, rest = mantissa & 0x1fff;
    half += rest > 0x1000 || (rest == 0x1000 && (half & 1));
    return (uint16_t)(sign | half);
}

static bool write_tensor(FILE *file, const spec *s, const options *o, size_t number) {
    enum { STEP = 1 << 16 };
    static float values[STEP]; /* one thread, one file */
    static uint16_t shorts[STEP];
    uint64_t state = (uint64_t)o->seed * 0x2545f4914f6cdd1du + number;
    next_random(&state);
    if (s->kind == FILL_COUNT) {
        int64_t batches = 1000;
        return fwrite(&batches, sizeof batches, 1, file) == 1;
    }
    size_t count = elements_of(s);
    for (size_t first = 0; first < count; first += STEP) {
        size_t n = count - first < STEP ? count - first : STEP;
        for (size_t i = 0; i < n; i++)
            values[i] = value_of(s, o, first + i, &state);
        if (o->dtype == STAPES__F32) {
            if (fwrite(values, sizeof *values, n, file) != n)
                return false;
            continue;
        }
        for (size_t i = 0; i < n; i++)
            shorts[i] = o->dtype == STAPES__F16 ? to_half(values[i]) : to_bfloat(values[i]);
        if (fwrite(shorts, sizeof *shorts, n, file) != n)
            return false;
    }
    return true;
}

/* ---- files ---- */

static bool write_header(FILE *file, const plan *p, const options *o) {
    stapes__buf text = {0};
    stapes__buf_puts(&text, "{\"__metadata__\":{\"format\":\"pt\"}");
    size_t at = 0;
    for (size_t i = 0; i < p->count; i++) {
        const spec *s = &p->specs[i];
        const char *dtype = stapes__dtype_name(s->kind == FILL_COUNT ? STAPES__I64 : o->dtype);
        stapes__buf_printf(&text, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", s->name, dtype);
        for (int k = 0; k < s->n_dims; k++)
            stapes__buf_printf(&text, "%s%lld", k ? "," : "", (long long)s->shape[k]);
        size_t end = at + bytes_of(s, o);
        stapes__buf_printf(&text, "],\"data_offsets\":[%zu,%zu]}", at, end);
        at = end;
    }
    stapes__buf_puts(&text, "}");
    while (!text.failed && text.length % 8 != 0)
        stapes__buf_puts(&text, " ");
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)text.length >> 8 * i);
    bool ok = !text.failed && fwrite(length, 8, 1, file) == 1 &&
              fwrite(text.data, text.length, 1, file) == 1;
    stapes__buf_free(&text);
    return ok;
}

static bool write_weights(const plan *p, const options *o) {
    char *path = stapes__path_join(o->folder, "model.safetensors");
    FILE *file = path ? fopen(path, "wb") : NULL;
    bool ok = file && write_header(file, p, o);
    for (size_t i = 0; ok && i < p->count; i++)
        ok = write_tensor(file, &p->specs[i], o, i);
    if (file && fclose(file) != 0)
        ok = false;
    if (!ok)
        fprintf(stderr, "%s: %s\n", path ? path : "model.safetensors", strerror(errno));
    free(path);
    return ok;
}

static bool write_json(const options *o, const char *name, json_t *tree) {
    char *path = stapes__path_join(o->folder, name);
    char *text = tree ? json_dumps(tree, JSON_INDENT(1)) : NULL;
    stapes_error err = {0};
    bool ok = path && text && stapes__write_file(path, text, strlen(text), &err) == STAPES_OK;
    if (!ok)
        fprintf(stderr, "%s: %s\n", name, err.message[0] ? err.message : "cannot be written");
    free(text);
    free(path);
    json_decref(tree);
    return ok;
}

static json_t *config_json(const options *o) {
    json_t *durations = json_array();
    for (long i = 0; i < o->durations; i++)
        json_array_append_new(durations, json_integer(i));
    json_t *encoder = json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:b, s:I, s:i, s:I, s:i, s:i, s:s}",
        "model_type", "parakeet_encoder", "hidden_size", (json_int_t)o->width, "intermediate_size",
        (json_int_t)o->ffn, "num_hidden_layers", (json_int_t)o->layers, "num_attention_heads",
        (json_int_t)o->heads, "num_key_value_heads", (json_int_t)o->heads, "num_mel_bins",
        (json_int_t)o->mel, "conv_kernel_size", (json_int_t)o->kernel, "scale_input", (int)o->bias,
        "attention_bias", (int)o->bias, "convolution_bias", (int)o->bias, "max_position_embeddings",
        (json_int_t)5000, "subsampling_factor", 8, "subsampling_conv_channels",
        (json_int_t)o->channels, "subsampling_conv_kernel_size", 3, "subsampling_conv_stride", 2,
        "hidden_act", "silu");
    return json_pack("{s:[s], s:s, s:I, s:I, s:I, s:I, s:o, s:s, s:i, s:i, s:b, s:o}",
                     "architectures", "ParakeetForTDT", "model_type", "parakeet_tdt", "vocab_size",
                     (json_int_t)(o->vocab + 1), "blank_token_id", (json_int_t)o->vocab,
                     "decoder_hidden_size", (json_int_t)o->hidden, "num_decoder_layers",
                     (json_int_t)o->predictor_layers, "durations", durations, "hidden_act", "relu",
                     "max_symbols_per_step", 10, "pad_token_id", 2, "is_encoder_decoder", 1,
                     "encoder_config", encoder);
}

static json_t *generation_json(const options *o) {
    json_t *suppress = json_array();
    for (long i = 0; i < o->durations; i++)
        json_array_append_new(suppress, json_integer(o->vocab + 1 + i));
    return json_pack("{s:I, s:i, s:i, s:o}", "decoder_start_token_id", (json_int_t)o->vocab,
                     "eos_token_id", 3, "pad_token_id", 2, "suppress_tokens", suppress);
}

/* Piece `id`: four specials, the word mark, the letters, then syllables, every third one at the
 * beginning of a word. All different. */
static void piece_of(long id, char *text, size_t capacity) {
    static const char *const specials[] = {"<unk>", "<|nospeech|>", "<pad>", "<|endoftext|>",
                                           "\xe2\x96\x81"};
    static const char consonants[] = "bdfghklmnprstvwz", vowels[] = "aeiou";
    if (id < 5) {
        snprintf(text, capacity, "%s", specials[id]);
    } else if (id < 31) {
        snprintf(text, capacity, "%c", (char)('a' + id - 5));
    } else {
        char syllables[32];
        size_t at = 0;
        for (long n = id - 31; at + 2 < sizeof syllables; n = n / 80 - 1) {
            syllables[at++] = consonants[n % 16];
            syllables[at++] = vowels[n / 16 % 5];
            if (n < 80)
                break;
        }
        snprintf(text, capacity, "%s%.*s", id % 3 == 0 ? "\xe2\x96\x81" : "", (int)at, syllables);
    }
}

static json_t *added_token(long id, const char *text) {
    return json_pack("{s:I, s:s, s:b, s:b, s:b, s:b, s:b}", "id", (json_int_t)id, "content", text,
                     "single_word", 0, "lstrip", 0, "rstrip", 0, "normalized", 0, "special", 1);
}

static json_t *metaspace(void) {
    return json_pack("{s:s, s:s, s:s, s:b}", "type", "Metaspace", "replacement", "\xe2\x96\x81",
                     "prepend_scheme", "always", "split", 0);
}

static json_t *tokenizer_json(const options *o) {
    json_t *vocab = json_object(), *added = json_array();
    char text[64];
    for (long id = 0; id < o->vocab; id++) {
        piece_of(id, text, sizeof text);
        json_object_set_new(vocab, text, json_integer(id));
        if (id < 4)
            json_array_append_new(added, added_token(id, text));
    }
    json_array_append_new(added, added_token(o->vocab, "<blank>"));
    json_t *model =
        json_pack("{s:s, s:n, s:s, s:n, s:n, s:b, s:b, s:b, s:o, s:[]}", "type", "BPE", "dropout",
                  "unk_token", "<unk>", "continuing_subword_prefix", "end_of_word_suffix",
                  "fuse_unk", 1, "byte_fallback", 0, "ignore_merges", 0, "vocab", vocab, "merges");
    return json_pack("{s:s, s:n, s:n, s:o, s:n, s:o, s:n, s:o, s:o}", "version", "1.0",
                     "truncation", "padding", "added_tokens", added, "normalizer", "pre_tokenizer",
                     metaspace(), "post_processor", "decoder", metaspace(), "model", model);
}

/* ---- command line ---- */

static const char usage[] =
    "usage: random_model [options] FOLDER\n"
    "  --layers N (24)  --width N (1024)  --heads N (8)  --ffn N (4 x width)  --mel N (128)\n"
    "  --channels N (256)  --kernel N (9)  --vocab N (8192)  --predictor-layers N (2)\n"
    "  --hidden N (640)  --durations N (5)  --seed N (1)  --blank-bias X (2.8)\n"
    "  --dtype f32|f16|bf16 (f32)  --bias (linear and convolution biases, scaled input)\n"
    "  --dry-run (only count)\n";

static long *number_option(options *o, const char *name) {
    const struct {
        const char *name;
        long *value;
    } known[] = {
        {"--layers", &o->layers},
        {"--width", &o->width},
        {"--heads", &o->heads},
        {"--ffn", &o->ffn},
        {"--mel", &o->mel},
        {"--channels", &o->channels},
        {"--kernel", &o->kernel},
        {"--vocab", &o->vocab},
        {"--hidden", &o->hidden},
        {"--predictor-layers", &o->predictor_layers},
        {"--durations", &o->durations},
        {"--seed", &o->seed},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i].name) == 0)
            return known[i].value;
    return NULL;
}

static bool dtype_option(options *o, const char *name) {
    static const struct {
        const char *name;
        stapes__dtype dtype;
    } known[] = {{"f32", STAPES__F32}, {"f16", STAPES__F16}, {"bf16", STAPES__BF16}};
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(name, known[i].name) == 0) {
            o->dtype = known[i].dtype;
            return true;
        }
    }
    return false;
}

static bool parse(options *o, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        long *number = number_option(o, argv[i]);
        char *end = NULL;
        if (number && next) {
            *number = strtol(argv[++i], &end, 10);
            if (*end || *number < 1 || *number > 1 << 20)
                return false;
        } else if (strcmp(argv[i], "--blank-bias") == 0 && next) {
            o->blank_bias = strtod(argv[++i], &end);
            if (*end || !isfinite(o->blank_bias))
                return false;
        } else if (strcmp(argv[i], "--dtype") == 0 && next) {
            if (!dtype_option(o, argv[++i]))
                return false;
        } else if (strcmp(argv[i], "--bias") == 0) {
            o->bias = true;
        } else if (strcmp(argv[i], "--dry-run") == 0) {
            o->dry_run = true;
        } else if (argv[i][0] != '-' && !o->folder) {
            o->folder = argv[i];
        } else {
            return false;
        }
    }
    if (o->ffn == 0)
        o->ffn = 4 * o->width;
    return (o->folder || o->dry_run) && o->width % o->heads == 0 && o->width % 2 == 0 &&
           o->vocab >= 5;
}

static bool write_folder(const plan *p, const options *o) {
    stapes_error err = {0};
    if (stapes__make_dirs(o->folder, &err) != STAPES_OK) {
        fprintf(stderr, "%s\n", err.message);
        return false;
    }
    return write_json(o, "config.json", config_json(o)) &&
           write_json(o, "generation_config.json", generation_json(o)) &&
           write_json(o, "tokenizer.json", tokenizer_json(o)) && write_weights(p, o);
}

int main(int argc, char **argv) {
    options o = {.layers = 24,
                 .width = 1024,
                 .heads = 8,
                 .mel = 128,
                 .channels = 256,
                 .kernel = 9,
                 .vocab = 8192,
                 .predictor_layers = 2,
                 .hidden = 640,
                 .durations = 5,
                 .seed = 1,
                 .blank_bias = 2.8,
                 .dtype = STAPES__F32};
    if (!parse(&o, argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    plan p = {0};
    make_plan(&p, &o);
    size_t elements = 0, bytes = 0;
    for (size_t i = 0; i < p.count; i++) {
        elements += elements_of(&p.specs[i]);
        bytes += bytes_of(&p.specs[i], &o);
    }
    bool ok = !p.failed && (o.dry_run || write_folder(&p, &o));
    if (ok)
        printf("%zu tensors, %zu elements, %zu bytes\n", p.count, elements, bytes);
    free(p.specs);
    return ok ? 0 : 1;
}
