#include "weights/container.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "weights/container_internal.h"
#include "weights/detect.h"
#include "weights/folder.h"
#include "weights/ggml_bin.h"
#include "weights/gguf.h"
#include "weights/nemo.h"
#include "weights/safetensors.h"
#include "weights/torch.h"

stapes_status stapes__container_take_map(stapes__container *c, stapes__map map, stapes_error *err) {
    stapes__map *grown = stapes__realloc(c->maps, c->n_maps + 1, sizeof *grown);
    if (!grown) {
        stapes__map_close(&map);
        return stapes__fail_memory(err, "the list of files");
    }
    c->maps = grown;
    c->maps[c->n_maps++] = map;
    return STAPES_OK;
}

stapes_status stapes__container_make_tokens(stapes__container *c, size_t count, stapes_error *err) {
    if (count == 0)
        return STAPES_OK;
    c->tokens = stapes__calloc(count, sizeof *c->tokens);
    c->token_lengths = stapes__calloc(count, sizeof *c->token_lengths);
    if (!c->tokens || !c->token_lengths)
        return stapes__fail_memory(err, "the vocabulary");
    c->n_tokens = count;
    c->tokenizer_kind = STAPES__TOKENIZER_BYTES;
    return STAPES_OK;
}

/* The folder that holds `path`; free() the result. */
static char *folder_of(const char *path) {
    const char *base = stapes__path_base(path);
    return base == path ? stapes__strdup(".") : stapes__strndup(path, (size_t)(base - path));
}

static stapes_status open_safetensors(stapes__container *c, const char *path, stapes_error *err) {
    c->format = STAPES__CONTAINER_SAFETENSORS;
    stapes_status status = stapes__safetensors_open_file(c, path, err);
    if (status != STAPES_OK)
        return status;
    char *folder = folder_of(path);
    if (!folder)
        return stapes__fail_memory(err, path);
    status = stapes__folder_read_side(c, folder, err);
    free(folder);
    return status;
}

static stapes_status open_file(stapes__container *c, const char *path, stapes_error *err) {
    stapes__map map;
    stapes_status status = stapes__map_open(&map, path, err);
    if (status != STAPES_OK)
        return status;
    stapes__file_kind kind = stapes__detect(map.data, map.size < 512 ? map.size : 512, map.size);
    stapes__map_close(&map);
    switch (kind) {
    case STAPES__FILE_SAFETENSORS:
        return open_safetensors(c, path, err);
    case STAPES__FILE_TAR:
    case STAPES__FILE_GZIP:
        c->format = STAPES__CONTAINER_NEMO;
        return stapes__nemo_open_file(c, path, kind == STAPES__FILE_GZIP, err);
    case STAPES__FILE_ZIP:
        c->format = STAPES__CONTAINER_TORCH;
        return stapes__torch_open_file(c, path, err);
    case STAPES__FILE_GGML:
        c->format = STAPES__CONTAINER_GGML;
        return stapes__ggml_bin_open_file(c, path, err);
    case STAPES__FILE_GGUF:
        c->format = STAPES__CONTAINER_GGUF;
        return stapes__gguf_open_file(c, path, err);
    default:
        return stapes__detect_refuse(kind, path, err);
    }
}

static stapes_status open_folder(stapes__container *c, const char *folder, stapes_error *err) {
    if (stapes__safetensors_in_folder(folder)) {
        c->format = STAPES__CONTAINER_SAFETENSORS;
        stapes_status status = stapes__safetensors_open_folder(c, folder, err);
        return status == STAPES_OK ? stapes__folder_read_side(c, folder, err) : status;
    }
    char *path;
    stapes_status status = stapes__folder_find(&path, folder, err);
    if (status == STAPES_OK)
        status = open_file(c, path, err);
    free(path);
    return status;
}

stapes_status stapes__container_open(stapes__container **out, const char *path,
                                     const stapes__log *log, stapes_error *err) {
    *out = NULL;
    bool folder = stapes__is_dir(path);
    if (!folder && !stapes__is_file(path)) {
        stapes__fail(err, STAPES_E_MODEL_MISSING, "%s: there is no such model file or folder",
                     path);
        stapes__hint(err, "check the path, or let 'stapes models' list what is installed");
        return STAPES_E_MODEL_MISSING;
    }
    stapes__container *c = stapes__calloc(1, sizeof *c);
    if (!c || !(c->path = stapes__strdup(path))) {
        free(c);
        return stapes__fail_memory(err, path);
    }
    stapes_status status = folder ? open_folder(c, path, err) : open_file(c, path, err);
    if (status == STAPES_OK) {
        status = stapes__table_finish(&c->table, err);
        if (status != STAPES_OK)
            stapes__prefix(err, "%s", path);
    }
    if (status == STAPES_OK && c->table.count == 0)
        status = stapes__fail(err, STAPES_E_MODEL_DAMAGED, "%s: holds no tensors", path);
    if (status != STAPES_OK) {
        stapes__container_close(&c);
        return status;
    }
    stapes__logf(log, STAPES_LOG_DEBUG, "%s: %s, %zu tensors", path,
                 stapes__container_format_name(c), c->table.count);
    *out = c;
    return STAPES_OK;
}

void stapes__container_close(stapes__container **container) {
    stapes__container *c = *container;
    if (!c)
        return;
    *container = NULL;
    stapes__table_free(&c->table);
    for (size_t i = 0; i < c->n_blocks; i++)
        free(c->blocks[i]);
    free(c->blocks);
    for (size_t i = 0; i < c->n_maps; i++)
        stapes__map_close(&c->maps[i]);
    free(c->maps);
    json_decref(c->config);
    json_decref(c->preprocessor);
    json_decref(c->generation);
    free(c->tokenizer_owned);
    free(c->tokens);
    free(c->token_lengths);
    free(c->tokens_owned);
    free(c->path);
    free(c);
}

stapes__container_format stapes__container_get_format(const stapes__container *c) {
    return c->format;
}

const char *stapes__container_format_name(const stapes__container *c) {
    switch (c->format) {
    case STAPES__CONTAINER_NEMO:
        return "nemo";
    case STAPES__CONTAINER_TORCH:
        return "torch";
    case STAPES__CONTAINER_GGML:
        return "ggml";
    case STAPES__CONTAINER_GGUF:
        return "gguf";
    default:
        return "safetensors";
    }
}

const char *stapes__container_path(const stapes__container *c) {
    return c->path;
}

size_t stapes__container_count(const stapes__container *c) {
    return c->table.count;
}

const stapes__tensor *stapes__container_at(const stapes__container *c, size_t index) {
    return index < c->table.count ? &c->table.tensors[index] : NULL;
}

const stapes__tensor *stapes__container_find(const stapes__container *c, const char *name) {
    return stapes__table_find(&c->table, name);
}

void stapes__container_release(const stapes__container *c, const stapes__tensor *tensor) {
    uintptr_t at = (uintptr_t)tensor->data;
    for (size_t i = 0; i < c->n_maps; i++) {
        uintptr_t begin = (uintptr_t)c->maps[i].data;
        if (at >= begin && at - begin < c->maps[i].size)
            stapes__map_release(&c->maps[i], at - begin, tensor->bytes);
    }
}

const json_t *stapes__container_config(const stapes__container *c) {
    return c->config;
}

const json_t *stapes__container_preprocessor(const stapes__container *c) {
    return c->preprocessor;
}

const json_t *stapes__container_generation(const stapes__container *c) {
    return c->generation;
}

stapes__tokenizer_kind stapes__container_tokenizer(const stapes__container *c, const char **data,
                                                   size_t *size) {
    *data = c->tokenizer;
    *size = c->tokenizer_size;
    return c->tokenizer_kind;
}

size_t stapes__container_tokens(const stapes__container *c, const uint8_t *const **tokens,
                                const size_t **lengths) {
    *tokens = c->tokens;
    *lengths = c->token_lengths;
    return c->n_tokens;
}
