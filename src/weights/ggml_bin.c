#include "weights/ggml_bin.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "weights/bytes.h"
#include "weights/ggml_types.h"

enum {
    MAGIC = 0x67676d6c,
    MEL_BINS = 201, /* of a transform of 400 */
    MAX_SIZE = 1 << 20,
    MAX_TOKEN = 4096,
    MAX_DIMS = 4,
    VERSION_FACTOR = 1000,
    BLOCK_VERSION = 2 /* of the block layouts: half-precision scales */
};

/* Header fields by position behind the magic number. */
enum {
    N_VOCAB,
    N_AUDIO_CTX,
    N_AUDIO_STATE,
    N_AUDIO_HEAD,
    N_AUDIO_LAYER,
    N_TEXT_CTX,
    N_TEXT_STATE,
    N_TEXT_HEAD,
    N_TEXT_LAYER,
    N_MELS,
    FTYPE,
    N_FIELDS
};

static const char *const field_names[N_FIELDS] = {
    "n_vocab",      "n_audio_ctx", "n_audio_state", "n_audio_head", "n_audio_layer", "n_text_ctx",
    "n_text_state", "n_text_head", "n_text_layer",  "n_mels",       "ftype"};

typedef struct reader {
    stapes__container *c;
    stapes__bytes in;
    int32_t fields[N_FIELDS];
    stapes_error *err;
} reader;

static stapes_status cut_short(reader *r, const char *where) {
    stapes__fail(r->err, STAPES_E_MODEL_DAMAGED, "%s: the file ends at byte %zu", where,
                 r->in.size);
    stapes__hint(r->err, "the file is cut short: download it again");
    return STAPES_E_MODEL_DAMAGED;
}

/* The Parakeet variant has n_mels and the kind of file where Whisper has the decoder's context and
 * width, then the size of the transform. spec/file-formats.md 5.2. */
static bool looks_parakeet(const int32_t *f) {
    int32_t n_mels = f[5], kind = f[6], n_fft = f[7];
    return (n_mels == 80 || n_mels == 128) && kind >= 0 && kind % VERSION_FACTOR < 32 &&
           (n_fft == 256 || n_fft == 400 || n_fft == 512 || n_fft == 1024);
}

/* 0 and 1 are plain, the others name the block type of most tensors: 2, 3 and 7 to 14. */
static stapes_status check_ftype(reader *r) {
    int32_t kind = r->fields[FTYPE] % VERSION_FACTOR;
    int32_t version = r->fields[FTYPE] / VERSION_FACTOR;
    bool plain = kind == 0 || kind == 1;
    if (r->fields[FTYPE] < 0 || (!plain && kind != 2 && kind != 3 && (kind < 7 || kind > 14))) {
        stapes__fail(r->err, STAPES_E_UNSUPPORTED, "its ftype %d is none that is known",
                     (int)r->fields[FTYPE]);
        stapes__hint(r->err, "ftype is 0 (f32), 1 (f16), or a block type of version 2");
        return STAPES_E_UNSUPPORTED;
    }
    if (!plain && version != BLOCK_VERSION) {
        stapes__fail(r->err, STAPES_E_UNSUPPORTED,
                     "its blocks have layout version %d, but only %d is read", (int)version,
                     BLOCK_VERSION);
        stapes__hint(r->err, "quantise the model again with a current whisper.cpp");
        return STAPES_E_UNSUPPORTED;
    }
    return STAPES_OK;
}

static stapes_status read_header(reader *r) {
    int32_t magic, mels = 0, bins = 0;
    bool ok = stapes__bytes_i32(&r->in, &magic);
    if (ok && magic != MAGIC)
        return stapes__fail(r->err, STAPES_E_MODEL_DAMAGED, "it does not begin like a ggml file");
    for (int i = 0; ok && i < N_FIELDS; i++)
        ok = stapes__bytes_i32(&r->in, &r->fields[i]);
    ok = ok && stapes__bytes_i32(&r->in, &mels) && stapes__bytes_i32(&r->in, &bins);
    if (!ok)
        return cut_short(r, "header");
    const int32_t *f = r->fields;
    if (mels != f[N_MELS] && looks_parakeet(f)) {
        stapes__fail(r->err, STAPES_E_UNSUPPORTED,
                     "is whisper.cpp's form of a Parakeet model, which is not read");
        stapes__hint(r->err, "use the model's .nemo file or its Hugging Face folder");
        return STAPES_E_UNSUPPORTED;
    }
    for (int i = 0; i < FTYPE; i++)
        if (f[i] < 1 || f[i] > MAX_SIZE)
            return stapes__fail(r->err, STAPES_E_MODEL_DAMAGED,
                                "header: %s is %d, wanted 1 to %d; not a Whisper model",
                                field_names[i], (int)f[i], MAX_SIZE);
    stapes_status status = check_ftype(r);
    if (status == STAPES_OK && (mels != f[N_MELS] || bins != MEL_BINS))
        status = stapes__fail(r->err, STAPES_E_MODEL_DAMAGED,
                              "header: the filter bank is %d x %d, wanted %d x %d", (int)mels,
                              (int)bins, (int)f[N_MELS], MEL_BINS);
    return status;
}

static stapes_status read_filters(reader *r) {
    stapes__tensor filters = {.name = "mel_filters",
                              .dtype = STAPES__F32,
                              .n_dims = 2,
                              .shape = {r->fields[N_MELS], MEL_BINS}};
    filters.bytes = (size_t)r->fields[N_MELS] * MEL_BINS * sizeof(float);
    filters.data = stapes__bytes_take(&r->in, filters.bytes);
    if (!filters.data)
        return cut_short(r, "mel filters");
    return stapes__table_add(&r->c->table, &filters, strlen(filters.name), r->err);
}

static stapes_status read_vocabulary(reader *r) {
    int32_t count;
    if (!stapes__bytes_i32(&r->in, &count))
        return cut_short(r, "vocabulary");
    if (count < 0 || count > r->fields[N_VOCAB])
        return stapes__fail(r->err, STAPES_E_MODEL_DAMAGED,
                            "vocabulary: %d tokens are stored, but n_vocab is %d", (int)count,
                            (int)r->fields[N_VOCAB]);
    if ((size_t)count > stapes__bytes_left(&r->in) / 4)
        return cut_short(r, "vocabulary");
    stapes_status status = stapes__container_make_tokens(r->c, (size_t)count, r->err);
    for (int32_t i = 0; status == STAPES_OK && i < count; i++) {
        int32_t length;
        bool ok = stapes__bytes_i32(&r->in, &length);
        if (ok && (length < 0 || length > MAX_TOKEN))
            return stapes__fail(r->err, STAPES_E_MODEL_DAMAGED,
                                "vocabulary: token %d has a length of %d", (int)i, (int)length);
        r->c->tokens[i] = ok ? stapes__bytes_take(&r->in, (uint64_t)length) : NULL;
        if (!r->c->tokens[i])
            return cut_short(r, "vocabulary");
        r->c->token_lengths[i] = (size_t)length;
    }
    return status;
}

/* Sizes come fastest first. */
static stapes_status read_tensor(reader *r) {
    int32_t n_dims, length, type, sizes[MAX_DIMS];
    size_t begin = r->in.at;
    char where[64];
    snprintf(where, sizeof where, "tensor at byte %zu", begin);
    if (!stapes__bytes_i32(&r->in, &n_dims) || !stapes__bytes_i32(&r->in, &length) ||
        !stapes__bytes_i32(&r->in, &type))
        return cut_short(r, where);
    if (n_dims < 0 || n_dims > MAX_DIMS || length < 1 || length > STAPES__MAX_NAME)
        return stapes__fail(r->err, STAPES_E_MODEL_DAMAGED,
                            "%s: %d dimensions and a name of %d bytes, wanted at most %d and %d",
                            where, (int)n_dims, (int)length, MAX_DIMS, STAPES__MAX_NAME);
    for (int i = 0; i < n_dims; i++)
        if (!stapes__bytes_i32(&r->in, &sizes[i]))
            return cut_short(r, where);
    stapes__tensor t = {.n_dims = n_dims};
    t.name = (const char *)stapes__bytes_take(&r->in, (uint64_t)length);
    if (!t.name)
        return cut_short(r, where);
    stapes_status status =
        stapes__ggml_type((uint32_t)type, t.name, (size_t)length, &t.dtype, r->err);
    if (status != STAPES_OK)
        return status;
    for (int i = 0; i < n_dims; i++)
        t.shape[i] = sizes[n_dims - 1 - i];
    if (!stapes__shape_bytes(t.dtype, n_dims, t.shape, &t.bytes))
        return stapes__fail(r->err, STAPES_E_MODEL_DAMAGED,
                            "tensor %.*s has an impossible shape for %s", (int)length, t.name,
                            stapes__dtype_name(t.dtype));
    t.data = stapes__bytes_take(&r->in, t.bytes);
    if (!t.data) {
        stapes__fail(r->err, STAPES_E_MODEL_DAMAGED,
                     "tensor %.*s needs %zu bytes, but only %zu are left in the file", (int)length,
                     t.name, t.bytes, stapes__bytes_left(&r->in));
        stapes__hint(r->err, "the file is cut short: download it again");
        return STAPES_E_MODEL_DAMAGED;
    }
    return stapes__table_add(&r->c->table, &t, (size_t)length, r->err);
}

/* Encoder: positions, two convolutions, 15 per layer, a norm; decoder: positions, embedding, 24
 * per layer, a norm. */
static stapes_status check_count(reader *r) {
    size_t wanted = 5 + 15 * (size_t)r->fields[N_AUDIO_LAYER] + 2 + 2 +
                    24 * (size_t)r->fields[N_TEXT_LAYER] + 2;
    size_t found = r->c->table.count - 1; /* without the filter bank */
    if (found >= wanted)
        return STAPES_OK;
    stapes__fail(r->err, STAPES_E_MODEL_DAMAGED,
                 "it ends after %zu tensors, wanted %zu for %d encoder and %d decoder layers",
                 found, wanted, (int)r->fields[N_AUDIO_LAYER], (int)r->fields[N_TEXT_LAYER]);
    stapes__hint(r->err, "the file is cut short: download it again");
    return STAPES_E_MODEL_DAMAGED;
}

/* The embedding says how many tokens the network has. */
static stapes_status check_embedding(reader *r) {
    for (size_t i = 0; i < r->c->table.count; i++) {
        const stapes__tensor *t = &r->c->table.tensors[i];
        if (strcmp(t->name, "decoder.token_embedding.weight") != 0)
            continue;
        if (t->n_dims == 2 && t->shape[0] == r->fields[N_VOCAB] &&
            t->shape[1] == r->fields[N_TEXT_STATE])
            return STAPES_OK;
        char shape[96];
        stapes__shape_text(t, shape, sizeof shape);
        return stapes__fail(r->err, STAPES_E_MODEL_DAMAGED,
                            "tensor %s has shape %s, but the header says [%d, %d]", t->name, shape,
                            (int)r->fields[N_VOCAB], (int)r->fields[N_TEXT_STATE]);
    }
    return STAPES_OK; /* the model's loader lists what is missing */
}

static stapes_status make_config(reader *r) {
    json_t *config = json_object();
    int failed = json_object_set_new(config, "model_type", json_string("whisper_ggml"));
    for (int i = 0; i < N_FIELDS; i++) {
        int32_t value = i == FTYPE ? r->fields[i] % VERSION_FACTOR : r->fields[i];
        failed |= json_object_set_new(config, field_names[i], json_integer(value));
    }
    r->c->config = config;
    return failed ? stapes__fail_memory(r->err, "the configuration") : STAPES_OK;
}

stapes_status stapes__ggml_bin_read(stapes__container *c, const uint8_t *data, size_t size,
                                    stapes_error *err) {
    reader r = {.c = c, .in = {.data = data, .size = size}, .err = err};
    stapes_status status = read_header(&r);
    if (status == STAPES_OK)
        status = make_config(&r);
    if (status == STAPES_OK)
        status = read_filters(&r);
    if (status == STAPES_OK)
        status = read_vocabulary(&r);
    while (status == STAPES_OK && stapes__bytes_left(&r.in) > 0)
        status = read_tensor(&r);
    if (status == STAPES_OK)
        status = check_count(&r);
    return status == STAPES_OK ? check_embedding(&r) : status;
}

stapes_status stapes__ggml_bin_open_file(stapes__container *c, const char *path,
                                         stapes_error *err) {
    stapes__map map;
    stapes_status status = stapes__map_open(&map, path, err);
    if (status != STAPES_OK)
        return status;
    status = stapes__container_take_map(c, map, err);
    if (status == STAPES_OK)
        status = stapes__ggml_bin_read(c, map.data, map.size, err);
    if (status != STAPES_OK)
        stapes__prefix(err, "%s", path);
    return status;
}
