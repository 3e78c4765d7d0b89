#include "weights/gguf.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "weights/bytes.h"
#include "weights/ggml_types.h"
#include "weights/gguf_values.h"
#include "weights/gguf_vocab.h"

enum {
    DEFAULT_ALIGNMENT = 32,
    MAX_ALIGNMENT = 1 << 20,
    MAX_DIMS = 4,
    MIN_ITEM = 8 + 4 + 1,    /* key, type, value */
    MIN_INFO = 8 + 4 + 4 + 8 /* name, dimensions, type, offset */
};

typedef struct entry {
    stapes__tensor tensor; /* data still NULL */
    size_t name_length;
    uint64_t offset;
} entry;

typedef struct reader {
    stapes__container *c;
    stapes__bytes in;
    json_t *metadata; /* part of c->config */
    uint64_t n_tensors, n_items;
    size_t alignment;
    bool planar; /* Q8_0 tensors of the encoder */
    stapes_error *err;
} reader;

static stapes_status cut_short(reader *r, const char *where) {
    stapes__fail(r->err, STAPES_E_MODEL_DAMAGED, "%s: the GGUF file ends at byte %zu", where,
                 r->in.size);
    stapes__hint(r->err, "the file is cut short: download it again");
    return STAPES_E_MODEL_DAMAGED;
}

static stapes_status check_version(reader *r, uint64_t version) {
    if (version == 2 || version == 3)
        return STAPES_OK;
    bool swapped = version != 0 && (version & 0xffff) == 0;
    stapes__fail(r->err, STAPES_E_UNSUPPORTED,
                 swapped ? "is a big-endian GGUF file, which is not read"
                         : "is a GGUF file of version %llu, which is not read",
                 (unsigned long long)version);
    stapes__hint(r->err, "convert the model again: versions 2 and 3 in little-endian are read");
    return STAPES_E_UNSUPPORTED;
}

static stapes_status read_header(reader *r) {
    uint64_t magic, version;
    if (!stapes__bytes_uint(&r->in, 4, &magic) || !stapes__bytes_uint(&r->in, 4, &version))
        return cut_short(r, "header");
    if (magic != 0x46554747)
        return stapes__fail(r->err, STAPES_E_MODEL_DAMAGED, "it does not begin like a GGUF file");
    stapes_status status = check_version(r, version);
    if (status != STAPES_OK)
        return status;
    if (!stapes__bytes_uint(&r->in, 8, &r->n_tensors) ||
        !stapes__bytes_uint(&r->in, 8, &r->n_items))
        return cut_short(r, "header");
    size_t left = stapes__bytes_left(&r->in);
    if (r->n_items > left / MIN_ITEM || r->n_tensors > left / MIN_INFO) {
        stapes__fail(r->err, STAPES_E_MODEL_DAMAGED,
                     "header: %llu metadata items and %llu tensors do not fit into a GGUF file of "
                     "%zu bytes",
                     (unsigned long long)r->n_items, (unsigned long long)r->n_tensors, r->in.size);
        stapes__hint(r->err, "the file is cut short: download it again");
        return STAPES_E_MODEL_DAMAGED;
    }
    return STAPES_OK;
}

/* ---- metadata ---- */

static stapes_status refuse_architecture(const char *name, stapes_error *err) {
    if (name)
        stapes__fail(err, STAPES_E_UNSUPPORTED,
                     "is a GGUF file of architecture '%.60s', which is not read", name);
    else
        stapes__fail(err, STAPES_E_UNSUPPORTED,
                     "is a GGUF file without general.architecture, which is not read");
    stapes__hint(err, "the architectures 'whisper' and 'asr' are read; otherwise use the model's "
                      ".nemo file or its Hugging Face folder");
    return STAPES_E_UNSUPPORTED;
}

/* Refuses models of other kinds as soon as they say what they are. */
static stapes_status accept(void *user, const char *key, const json_t *value, stapes_error *err) {
    (void)user;
    if (strcmp(key, "general.architecture") != 0)
        return STAPES_OK;
    const char *name = json_string_value(value);
    if (name && (strcmp(name, "whisper") == 0 || strcmp(name, "asr") == 0))
        return STAPES_OK;
    return refuse_architecture(name, err);
}

static stapes_status read_alignment(reader *r) {
    const json_t *item = json_object_get(r->metadata, "general.alignment");
    json_int_t value = item ? json_integer_value(item) : DEFAULT_ALIGNMENT;
    if (value < 8 || value > MAX_ALIGNMENT || value % 8 != 0)
        return stapes__fail(r->err, STAPES_E_MODEL_DAMAGED,
                            "general.alignment is %lld, wanted a multiple of 8", (long long)value);
    r->alignment = (size_t)value;
    return STAPES_OK;
}

/* How Q8_0 tensors are laid out, where NVIDIA's key says so. */
static stapes_status read_layout(reader *r) {
    const char *layout = json_string_value(json_object_get(r->metadata, "asr.encoder.q8_layout"));
    r->planar = layout && strcmp(layout, "tensor_planar_v1") == 0;
    if (!layout || r->planar || strcmp(layout, "block_q8_0") == 0)
        return STAPES_OK;
    return stapes__fail(r->err, STAPES_E_UNSUPPORTED,
                        "asr.encoder.q8_layout is '%.60s', which is not read", layout);
}

static stapes_status read_metadata(reader *r) {
    r->c->config = json_object();
    r->metadata = json_object();
    if (!r->c->config || json_object_set_new(r->c->config, "gguf", r->metadata) != 0)
        return stapes__fail_memory(r->err, "the metadata");
    stapes_status status =
        stapes__gguf_metadata(&r->in, r->n_items, r->metadata, accept, NULL, r->err);
    if (status != STAPES_OK)
        return status;
    const char *name = json_string_value(json_object_get(r->metadata, "general.architecture"));
    if (!name)
        return refuse_architecture(NULL, r->err);
    const char *type = strcmp(name, "asr") == 0 ? "asr_gguf" : "whisper_gguf";
    if (json_object_set_new(r->c->config, "model_type", json_string(type)) != 0)
        return stapes__fail_memory(r->err, "the metadata");
    status = read_alignment(r);
    if (status == STAPES_OK)
        status = read_layout(r);
    return status == STAPES_OK ? stapes__gguf_vocab(r->c, r->metadata, r->err) : status;
}

/* ---- tensors ---- */

static stapes_status read_sizes(reader *r, stapes__tensor *t, size_t name_length) {
    uint64_t n_dims, type, size;
    if (!stapes__bytes_uint(&r->in, 4, &n_dims))
        return cut_short(r, "tensor list");
    int shown = name_length > 80 ? 80 : (int)name_length;
    if (n_dims > MAX_DIMS)
        return stapes__fail(r->err, STAPES_E_MODEL_DAMAGED,
                            "tensor %.*s has %llu dimensions, wanted at most %d", shown, t->name,
                            (unsigned long long)n_dims, MAX_DIMS);
    t->n_dims = (int)n_dims;
    for (int i = t->n_dims - 1; i >= 0; i--) { /* fastest first in the file */
        if (!stapes__bytes_uint(&r->in, 8, &size))
            return cut_short(r, "tensor list");
        t->shape[i] = size > INT64_MAX ? -1 : (int64_t)size;
    }
    if (!stapes__bytes_uint(&r->in, 4, &type))
        return cut_short(r, "tensor list");
    stapes_status status = stapes__ggml_type(type, t->name, name_length, &t->dtype, r->err);
    if (status != STAPES_OK)
        return status;
    if (r->planar && t->dtype == STAPES__Q8_0 && name_length > 8 &&
        memcmp(t->name, "encoder.", 8) == 0)
        t->dtype = STAPES__Q8_0_PLANAR;
    if (!stapes__shape_bytes(t->dtype, t->n_dims, t->shape, &t->bytes))
        return stapes__fail(r->err, STAPES_E_MODEL_DAMAGED,
                            "tensor %.*s has an impossible shape for %s", shown, t->name,
                            stapes__dtype_name(t->dtype));
    return STAPES_OK;
}

static stapes_status read_entry(reader *r, entry *e) {
    stapes_status status = stapes__gguf_string(&r->in, STAPES__MAX_NAME, "tensor list",
                                               &e->tensor.name, &e->name_length, r->err);
    if (status == STAPES_OK)
        status = read_sizes(r, &e->tensor, e->name_length);
    if (status != STAPES_OK)
        return status;
    if (!stapes__bytes_uint(&r->in, 8, &e->offset))
        return cut_short(r, "tensor list");
    if (e->offset % r->alignment != 0)
        return stapes__fail(r->err, STAPES_E_MODEL_DAMAGED,
                            "tensor %.*s begins at byte %llu of the data, wanted a multiple of %zu",
                            e->name_length > 80 ? 80 : (int)e->name_length, e->tensor.name,
                            (unsigned long long)e->offset, r->alignment);
    return STAPES_OK;
}

static int compare_entries(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return (x->tensor.bytes > y->tensor.bytes) - (x->tensor.bytes < y->tensor.bytes);
}

/* Sorted by position: inside the file, and none over another. */
static stapes_status place_entries(reader *r, entry *entries, size_t count) {
    size_t padding = (r->alignment - r->in.at % r->alignment) % r->alignment;
    if (count > 0 && !stapes__bytes_take(&r->in, padding))
        return cut_short(r, "padding");
    const uint8_t *base = r->in.data + r->in.at;
    size_t size = stapes__bytes_left(&r->in);
    if (count > 1)
        qsort(entries, count, sizeof *entries, compare_entries);
    for (size_t i = 0; i < count; i++) {
        entry *e = &entries[i];
        int shown = e->name_length > 80 ? 80 : (int)e->name_length;
        if (e->offset > size || e->tensor.bytes > size - (size_t)e->offset) {
            stapes__fail(r->err, STAPES_E_MODEL_DAMAGED,
                         "tensor %.*s needs %zu bytes from byte %llu of the data, but only %zu "
                         "bytes are there",
                         shown, e->tensor.name, e->tensor.bytes, (unsigned long long)e->offset,
                         size);
            stapes__hint(r->err, "the file is cut short: download it again");
            return STAPES_E_MODEL_DAMAGED;
        }
        if (i > 0 && e->offset - e[-1].offset < e[-1].tensor.bytes)
            return stapes__fail(r->err, STAPES_E_MODEL_DAMAGED,
                                "tensors %.*s and %.*s overlap in the data",
                                e[-1].name_length > 80 ? 80 : (int)e[-1].name_length,
                                e[-1].tensor.name, shown, e->tensor.name);
        e->tensor.data = base + e->offset;
        stapes_status status = stapes__table_add(&r->c->table, &e->tensor, e->name_length, r->err);
        if (status != STAPES_OK)
            return status;
    }
    return STAPES_OK;
}

static stapes_status read_tensors(reader *r) {
    size_t count = (size_t)r->n_tensors;
    if (count > stapes__bytes_left(&r->in) / MIN_INFO)
        return cut_short(r, "tensor list");
    entry *entries = stapes__calloc(count ? count : 1, sizeof *entries);
    if (!entries)
        return stapes__fail_memory(r->err, "the tensor directory");
    stapes_status status = STAPES_OK;
    for (size_t i = 0; status == STAPES_OK && i < count; i++)
        status = read_entry(r, &entries[i]);
    if (status == STAPES_OK)
        status = place_entries(r, entries, count);
    free(entries);
    return status;
}

/* ---- Whisper's sizes under OpenAI's names ---- */

static const struct {
    const char *key, *name;
} sizes[] = {
    {"whisper.encoder.mels_count", "n_mels"},
    {"whisper.vocab_size", "n_vocab"},
    {"whisper.encoder.context_length", "n_audio_ctx"},
    {"whisper.encoder.embedding_length", "n_audio_state"},
    {"whisper.encoder.attention.head_count", "n_audio_head"},
    {"whisper.encoder.block_count", "n_audio_layer"},
    {"whisper.decoder.context_length", "n_text_ctx"},
    {"whisper.decoder.embedding_length", "n_text_state"},
    {"whisper.decoder.attention.head_count", "n_text_head"},
    {"whisper.decoder.block_count", "n_text_layer"},
};

static stapes_status add_sizes(reader *r) {
    int failed = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        json_t *value = json_object_get(r->metadata, sizes[i].key);
        if (json_is_integer(value))
            failed |= json_object_set(r->c->config, sizes[i].name, value);
    }
    for (size_t i = 0; i < r->c->table.count; i++) {
        const stapes__tensor *t = &r->c->table.tensors[i];
        bool embedding = strcmp(t->name, "decoder.token_embedding.weight") == 0 ||
                         strcmp(t->name, "model.decoder.embed_tokens.weight") == 0;
        if (embedding && t->n_dims == 2 && !json_object_get(r->c->config, "n_vocab"))
            failed |= json_object_set_new(r->c->config, "n_vocab", json_integer(t->shape[0]));
    }
    return failed ? stapes__fail_memory(r->err, "the configuration") : STAPES_OK;
}

stapes_status stapes__gguf_read(stapes__container *c, const uint8_t *data, size_t size,
                                stapes_error *err) {
    reader r = {.c = c, .in = {.data = data, .size = size}, .err = err};
    stapes_status status = read_header(&r);
    if (status == STAPES_OK)
        status = read_metadata(&r);
    if (status == STAPES_OK)
        status = read_tensors(&r);
    return status == STAPES_OK ? add_sizes(&r) : status;
}

stapes_status stapes__gguf_open_file(stapes__container *c, const char *path, stapes_error *err) {
    stapes__map map;
    stapes_status status = stapes__map_open(&map, path, err);
    if (status != STAPES_OK)
        return status;
    status = stapes__container_take_map(c, map, err);
    if (status == STAPES_OK)
        status = stapes__gguf_read(c, map.data, map.size, err);
    if (status != STAPES_OK)
        stapes__prefix(err, "%s", path);
    return status;
}
