/* The registry of downloadable models: a JSON file (models/registry.json, compiled in) that names
 * each model's files, sizes, hashes, licence and source. STAPES_REGISTRY=FILE replaces it, for
 * mirrors with their own selection and for tests; such a file is read as foreign bytes. */
#ifndef STAPES_HUB_REGISTRY_H
#define STAPES_HUB_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* One file of a model, relative to the repository and to the model's folder in the cache. */
typedef struct stapes__registry_file {
    const char *path;
    int64_t size;       /* bytes, -1 = taken from the hub's answer */
    const char *sha256; /* 64 lower-case hex digits, NULL = taken from the hub's answer */
    bool optional;      /* a repository without it is complete all the same */
} stapes__registry_file;

typedef struct stapes__registry_model {
    const char *name;
    const char *repository; /* "owner/name" */
    const char *revision;   /* branch, tag or commit */
    const char *page;       /* where a person reads about it */
    const char *licence, *licence_url;
    const char *languages;    /* "en" or "bg,cs,da,..." */
    const char *architecture; /* as stapes_model_info.architecture */
    const char *description;  /* one line */
    bool streaming;
    int64_t parameters;
    int64_t bytes; /* of the whole download, approximate */
    const char **aliases;
    size_t n_aliases;
    stapes__registry_file *files;
    size_t n_files;
} stapes__registry_model;

typedef struct stapes__registry stapes__registry;

/* The bytes of models/registry.json (generated at build time). */
extern const unsigned char stapes__registry_data[];
extern const size_t stapes__registry_data_size;

/* The compiled-in registry, or the file that STAPES_REGISTRY names. Errors: IO, ARGUMENT (a file
 * that is not a registry; the message names it and the place), MEMORY. On failure *out is NULL. */
stapes_status stapes__registry_open(stapes__registry **out, stapes_error *err);

/* Parses registry JSON. `origin` names it in messages. Names and paths are checked so that they
 * can be joined to a folder and to a URL without escaping: letters, digits, '.', '_', '-', no
 * empty or dotted component. */
stapes_status stapes__registry_parse(stapes__registry **out, const char *data, size_t size,
                                     const char *origin, stapes_error *err);

void stapes__registry_close(stapes__registry **registry);

size_t stapes__registry_count(const stapes__registry *registry);
const stapes__registry_model *stapes__registry_at(const stapes__registry *registry, size_t index);
/* The model suggested to somebody who names none; never NULL for a registry with models. */
const stapes__registry_model *stapes__registry_default(const stapes__registry *registry);

/* By name, alias or repository ("nvidia/..."), in any case, '_' and '-' equal. NULL: unknown. */
const stapes__registry_model *stapes__registry_find(const stapes__registry *registry,
                                                    const char *name);

/* The model whose name or alias is nearest to a misspelt one, NULL when none is near. */
const stapes__registry_model *stapes__registry_suggest(const stapes__registry *registry,
                                                       const char *name);

/* What to open inside the model's folder: "" for a Hugging Face folder, or its only .nemo file. */
const char *stapes__registry_target(const stapes__registry_model *model);

#endif
