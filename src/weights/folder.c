#include "weights/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "weights/json.h"

/* Counts of one folder's files by ending, with examples for the report. */
typedef struct census {
    size_t nemo, safetensors, other;
    char first_nemo[256], second_nemo[256], first_tensors[256], second_tensors[256];
    char first_other[256]; /* another format */
} census;

static bool ends_with(const char *name, const char *ending) {
    size_t length = strlen(name), tail = strlen(ending);
    return length > tail && strcmp(name + length - tail, ending) == 0;
}

static void note(size_t *count, char *first, char *second, const char *name) {
    char *to = *count == 0 ? first : *count == 1 ? second : NULL; /* second may be NULL */
    if (to) {
        size_t length = strlen(name) < 255 ? strlen(name) : 255;
        memcpy(to, name, length);
        to[length] = 0;
    }
    ++*count;
}

static stapes_status take_census(census *found, const char *folder, stapes_error *err) {
    static const char *const others[] = {".onnx", ".gguf", ".bin", ".pt", ".pth", ".ckpt"};
    DIR *dir = opendir(folder);
    if (!dir)
        return stapes__fail_errno(err, errno, "open folder", folder);
    for (struct dirent *entry; (entry = readdir(dir));) {
        const char *name = entry->d_name;
        if (ends_with(name, ".nemo"))
            note(&found->nemo, found->first_nemo, found->second_nemo, name);
        if (ends_with(name, ".safetensors"))
            note(&found->safetensors, found->first_tensors, found->second_tensors, name);
        for (size_t i = 0; i < sizeof others / sizeof *others; i++)
            if (ends_with(name, others[i]))
                note(&found->other, found->first_other, NULL, name);
    }
    closedir(dir);
    return STAPES_OK;
}

stapes_status stapes__folder_find(char **path, const char *folder, stapes_error *err) {
    *path = NULL;
    census found = {0};
    stapes_status status = take_census(&found, folder, err);
    if (status != STAPES_OK)
        return status;
    const char *name = NULL;
    if (found.nemo == 1)
        name = found.first_nemo;
    else if (found.nemo == 0 && found.safetensors == 1)
        name = found.first_tensors;
    if (name) {
        *path = stapes__path_join(folder, name);
        return *path ? STAPES_OK : stapes__fail_memory(err, folder);
    }
    if (found.nemo > 1 || found.safetensors > 1) {
        bool nemo = found.nemo > 1;
        stapes__fail(err, STAPES_E_UNSUPPORTED, "%s: holds several models (%.100s, %.100s%s)",
                     folder, nemo ? found.first_nemo : found.first_tensors,
                     nemo ? found.second_nemo : found.second_tensors,
                     (nemo ? found.nemo : found.safetensors) > 2 ? ", ..." : "");
        stapes__hint(err, "name the file itself");
    } else {
        stapes__fail(err, found.other ? STAPES_E_UNSUPPORTED : STAPES_E_MODEL_MISSING,
                     "%s: is no model folder%s%s%s", folder,
                     found.other ? " that is read (it holds " : "", found.first_other,
                     found.other ? ")" : "");
        stapes__hint(err, "a model folder holds config.json with model.safetensors, or one .nemo");
        return found.other ? STAPES_E_UNSUPPORTED : STAPES_E_MODEL_MISSING;
    }
    return STAPES_E_UNSUPPORTED;
}

static stapes_status read_json(json_t **out, const char *folder, const char *name,
                               stapes_error *err) {
    char *path = stapes__path_join(folder, name);
    if (!path)
        return stapes__fail_memory(err, name);
    stapes_status status = STAPES_OK;
    if (stapes__is_file(path)) {
        status = stapes__json_read_file(out, path, STAPES__CONFIG_LIMIT, err);
        if (status == STAPES_E_MODEL_DAMAGED)
            stapes__prefix(err, "%s", folder);
    }
    free(path);
    if (status == STAPES_OK && *out && !json_is_object(*out))
        status =
            stapes__fail(err, STAPES_E_MODEL_DAMAGED, "%s/%s: is no JSON object", folder, name);
    return status;
}

static stapes_status read_tokenizer(stapes__container *c, const char *folder, const char *name,
                                    stapes__tokenizer_kind kind, stapes_error *err) {
    if (c->tokenizer_kind != STAPES__TOKENIZER_NONE)
        return STAPES_OK;
    char *path = stapes__path_join(folder, name);
    if (!path)
        return stapes__fail_memory(err, name);
    stapes_status status = STAPES_OK;
    if (stapes__is_file(path)) {
        status = stapes__read_file(path, STAPES__TOKENIZER_LIMIT, &c->tokenizer_owned,
                                   &c->tokenizer_size, err);
        if (status == STAPES_OK) {
            c->tokenizer = c->tokenizer_owned;
            c->tokenizer_kind = kind;
        }
    }
    free(path);
    return status;
}

stapes_status stapes__folder_read_side(stapes__container *c, const char *folder,
                                       stapes_error *err) {
    stapes_status status = read_json(&c->config, folder, "config.json", err);
    if (status == STAPES_OK)
        status = read_json(&c->preprocessor, folder, "preprocessor_config.json", err);
    if (status == STAPES_OK)
        status = read_json(&c->generation, folder, "generation_config.json", err);
    if (status == STAPES_OK)
        status = read_tokenizer(c, folder, "tokenizer.model", STAPES__TOKENIZER_SENTENCEPIECE, err);
    if (status == STAPES_OK)
        status = read_tokenizer(c, folder, "tokenizer.json", STAPES__TOKENIZER_JSON, err);
    if (status == STAPES_OK)
        status = read_tokenizer(c, folder, "vocab.txt", STAPES__TOKENIZER_VOCAB_TXT, err);
    return status;
}
