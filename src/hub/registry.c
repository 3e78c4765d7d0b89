#include "hub/registry.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

#define MAX_REGISTRY_BYTES (4u << 20)
#define MAX_MODELS 1024u
#define MAX_LIST 128u
#define MAX_NAME 128u
#define MAX_TEXT 1024u
#define MAX_FILE_BYTES ((json_int_t)1 << 50)

struct stapes__registry {
    json_t *tree; /* owns the strings that the models borrow */
    stapes__registry_model *models;
    char **languages; /* joined lists, one per model */
    size_t count, suggested;
};

/* ---- checks of single values ---------------------------------------------------------------- */

static bool name_char(char c) {
    return isalnum((unsigned char)c) || c == '.' || c == '_' || c == '-';
}

/* A slash-separated path of `parts` components (0 = any number) made of name characters, none
 * starting with a dot. */
static bool safe_path(const char *text, size_t parts) {
    size_t length = strlen(text), count = 0;
    if (length == 0 || length > MAX_NAME)
        return false;
    for (const char *at = text;; at++) {
        if (*at == '.' || !name_char(*at))
            return false;
        while (name_char(*at))
            at++;
        count++;
        if (*at == 0)
            break;
        if (*at != '/')
            return false;
    }
    return parts == 0 || count == parts;
}

/* One printable line, short enough for a message. */
static bool plain_text(const char *text) {
    size_t length = strlen(text);
    if (length > MAX_TEXT)
        return false;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    return true;
}

static bool hex_digest(const char *text) {
    return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

/* ---- reading -------------------------------------------------------------------------------- */

typedef struct reader {
    const char *origin;
    const char *model; /* name of the model being read, for messages */
    stapes_error *err;
} reader;

static stapes_status bad(const reader *r, const char *what) {
    if (r->model)
        return stapes__fail(r->err, STAPES_E_ARGUMENT, "%s: model \"%s\": %s", r->origin, r->model,
                            what);
    return stapes__fail(r->err, STAPES_E_ARGUMENT, "%s: %s", r->origin, what);
}

/* A string member; NULL with a report when it is missing and `required`, or not plain text. */
static stapes_status get_text(const reader *r, const json_t *object, const char *key, bool required,
                              const char **out) {
    const json_t *value = json_object_get(object, key);
    char what[128];
    snprintf(what, sizeof what, "\"%s\" is missing or not one line of text", key);
    *out = "";
    if (!value || json_is_null(value))
        return required ? bad(r, what) : STAPES_OK;
    const char *text = json_string_value(value);
    if (!text || strlen(text) != json_string_length(value) || !plain_text(text))
        return bad(r, what);
    if (required && !*text)
        return bad(r, what);
    *out = text;
    return STAPES_OK;
}

/* A count of bytes or parameters; `missing` when absent or null. */
static stapes_status get_count(const reader *r, const json_t *object, const char *key,
                               int64_t missing, int64_t *out) {
    const json_t *value = json_object_get(object, key);
    *out = missing;
    if (!value || json_is_null(value))
        return STAPES_OK;
    json_int_t number = json_is_integer(value) ? json_integer_value(value) : -1;
    char what[128];
    snprintf(what, sizeof what, "\"%s\" is not a sensible count", key);
    if (number < 0 || number > MAX_FILE_BYTES)
        return bad(r, what);
    *out = (int64_t)number;
    return STAPES_OK;
}

static stapes_status read_file_entry(const reader *r, const json_t *entry,
                                     stapes__registry_file *file) {
    if (!json_is_object(entry))
        return bad(r, "an entry of \"files\" is not an object");
    stapes_status status = get_text(r, entry, "path", true, &file->path);
    if (status != STAPES_OK)
        return status;
    if (!safe_path(file->path, 0))
        return bad(r, "a file's \"path\" may hold only plain relative names");
    status = get_count(r, entry, "size", -1, &file->size);
    if (status == STAPES_OK)
        status = get_text(r, entry, "sha256", false, &file->sha256);
    if (status != STAPES_OK)
        return status;
    if (!*file->sha256)
        file->sha256 = NULL;
    else if (!hex_digest(file->sha256))
        return bad(r, "a file's \"sha256\" is not 64 lower-case hex digits");
    file->optional = json_is_true(json_object_get(entry, "optional"));
    return STAPES_OK;
}

static stapes_status read_files(const reader *r, const json_t *object,
                                stapes__registry_model *model) {
    const json_t *list = json_object_get(object, "files");
    size_t count = json_array_size(list), required = 0;
    if (count == 0 || count > MAX_LIST)
        return bad(r, "\"files\" is missing, empty or too long");
    model->files = stapes__calloc(count, sizeof *model->files);
    if (!model->files)
        return stapes__fail_memory(r->err, "the registry");
    model->n_files = count;
    for (size_t i = 0; i < count; i++) {
        stapes_status status = read_file_entry(r, json_array_get(list, i), &model->files[i]);
        if (status != STAPES_OK)
            return status;
        required += !model->files[i].optional;
        for (size_t k = 0; k < i; k++)
            if (strcasecmp(model->files[k].path, model->files[i].path) == 0)
                return bad(r, "two files have the same \"path\"");
    }
    return required > 0 ? STAPES_OK : bad(r, "every file is optional");
}

static stapes_status read_aliases(const reader *r, const json_t *object,
                                  stapes__registry_model *model) {
    const json_t *list = json_object_get(object, "aliases");
    size_t count = json_array_size(list);
    if ((list && !json_is_array(list)) || count > MAX_LIST)
        return bad(r, "\"aliases\" is not a list of sensible length");
    if (count == 0)
        return STAPES_OK;
    model->aliases = stapes__calloc(count, sizeof *model->aliases);
    if (!model->aliases)
        return stapes__fail_memory(r->err, "the registry");
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(list, i);
        const char *alias = json_string_value(entry);
        if (!alias || strlen(alias) != json_string_length(entry) || !safe_path(alias, 1))
            return bad(r, "an alias is not a plain name");
        model->aliases[model->n_aliases++] = alias;
    }
    return STAPES_OK;
}

/* The list of language codes, joined by commas into *joined (owned by the registry). */
static stapes_status read_languages(const reader *r, const json_t *object, char **joined) {
    const json_t *list = json_object_get(object, "languages");
    size_t count = json_array_size(list);
    if ((list && !json_is_array(list)) || count > MAX_LIST)
        return bad(r, "\"languages\" is not a list of sensible length");
    stapes__buf text = {0};
    stapes__buf_puts(&text, "");
    for (size_t i = 0; i < count; i++) {
        const char *code = json_string_value(json_array_get(list, i));
        if (!code || !safe_path(code, 1) || strlen(code) > 16) {
            stapes__buf_free(&text);
            return bad(r, "a language is not a plain code");
        }
        stapes__buf_puts(&text, i ? "," : "");
        stapes__buf_puts(&text, code);
    }
    if (text.failed) {
        stapes__buf_free(&text);
        return stapes__fail_memory(r->err, "the registry");
    }
    *joined = text.data;
    return STAPES_OK;
}

static stapes_status read_texts(const reader *r, const json_t *object,
                                stapes__registry_model *model) {
    const struct {
        const char *key;
        const char **out;
        bool required;
    } texts[] = {
        {"repository", &model->repository, true},
        {"revision", &model->revision, true},
        {"page", &model->page, true},
        {"licence", &model->licence, true},
        {"licence_url", &model->licence_url, false},
        {"architecture", &model->architecture, false},
        {"description", &model->description, false},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        stapes_status status = get_text(r, object, texts[i].key, texts[i].required, texts[i].out);
        if (status != STAPES_OK)
            return status;
    }
    return STAPES_OK;
}

static stapes_status read_model(reader *r, const json_t *object, stapes__registry_model *model,
                                char **languages) {
    r->model = NULL;
    if (!json_is_object(object))
        return bad(r, "an entry of \"models\" is not an object");
    stapes_status status = get_text(r, object, "name", true, &model->name);
    if (status != STAPES_OK)
        return status;
    if (!safe_path(model->name, 1))
        return bad(r, "a model's \"name\" is not a plain name");
    r->model = model->name;
    status = read_texts(r, object, model);
    if (status != STAPES_OK)
        return status;
    if (!safe_path(model->repository, 2))
        return bad(r, "\"repository\" is not of the form owner/name");
    if (!safe_path(model->revision, 0))
        return bad(r, "\"revision\" is not a plain name");
    model->streaming = json_is_true(json_object_get(object, "streaming"));
    status = get_count(r, object, "parameters", 0, &model->parameters);
    if (status == STAPES_OK)
        status = get_count(r, object, "bytes", 0, &model->bytes);
    if (status == STAPES_OK)
        status = read_aliases(r, object, model);
    if (status == STAPES_OK)
        status = read_files(r, object, model);
    if (status == STAPES_OK)
        status = read_languages(r, object, languages);
    model->languages = *languages ? *languages : "";
    return status;
}

/* ---- names ---------------------------------------------------------------------------------- */

/* Lower case, '_' as '-', without a leading "nvidia/". */
static void fold_name(const char *name, char out[MAX_NAME + 1]) {
    if (strncasecmp(name, "nvidia/", 7) == 0)
        name += 7;
    size_t n = 0;
    for (; name[n] && n < MAX_NAME; n++)
        out[n] = name[n] == '_' ? '-' : (char)tolower((unsigned char)name[n]);
    out[n] = 0;
}

static bool same_name(const char *folded, const char *name) {
    char other[MAX_NAME + 1];
    fold_name(name, other);
    return strcmp(folded, other) == 0;
}

static bool answers_to(const stapes__registry_model *model, const char *folded) {
    if (same_name(folded, model->name) || same_name(folded, model->repository))
        return true;
    for (size_t i = 0; i < model->n_aliases; i++)
        if (same_name(folded, model->aliases[i]))
            return true;
    return false;
}

const stapes__registry_model *stapes__registry_find(const stapes__registry *registry,
                                                    const char *name) {
    char folded[MAX_NAME + 1];
    if (strlen(name) > MAX_NAME)
        return NULL;
    fold_name(name, folded);
    for (size_t i = 0; i < registry->count; i++)
        if (answers_to(&registry->models[i], folded))
            return &registry->models[i];
    return NULL;
}

/* Edits (insert, delete, replace) from a to b; both at most MAX_NAME characters. */
static size_t edit_distance(const char *a, const char *b) {
    size_t row[MAX_NAME + 1], length = strlen(b);
    for (size_t j = 0; j <= length; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < length; j++) {
            size_t best = diagonal + (a[i] != b[j]);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j + 1] + 1 < best)
                best = row[j + 1] + 1;
            diagonal = row[j + 1];
            row[j + 1] = best;
        }
    }
    return row[length];
}

const stapes__registry_model *stapes__registry_suggest(const stapes__registry *registry,
                                                       const char *name) {
    char folded[MAX_NAME + 1], other[MAX_NAME + 1];
    if (strlen(name) > MAX_NAME)
        return NULL;
    fold_name(name, folded);
    size_t limit = strlen(folded) / 3, best = limit + 1;
    const stapes__registry_model *nearest = NULL;
    for (size_t i = 0; i < registry->count; i++) {
        const stapes__registry_model *model = &registry->models[i];
        for (size_t k = 0; k <= model->n_aliases; k++) {
            fold_name(k ? model->aliases[k - 1] : model->name, other);
            size_t distance = edit_distance(folded, other);
            if (distance < best) {
                best = distance;
                nearest = model;
            }
        }
    }
    return nearest;
}

/* Every name and alias must lead to one model only. */
static stapes_status check_names(reader *r, const stapes__registry *registry) {
    char folded[MAX_NAME + 1];
    for (size_t i = 1; i < registry->count; i++) {
        const stapes__registry_model *model = &registry->models[i];
        r->model = model->name;
        for (size_t k = 0; k <= model->n_aliases; k++) {
            fold_name(k ? model->aliases[k - 1] : model->name, folded);
            for (size_t j = 0; j < i; j++)
                if (answers_to(&registry->models[j], folded))
                    return bad(r, "its name or an alias belongs to an earlier model");
        }
    }
    return STAPES_OK;
}

/* ---- opening -------------------------------------------------------------------------------- */

static stapes_status read_models(reader *r, stapes__registry *registry, const json_t *list) {
    size_t count = json_array_size(list);
    if (count == 0 || count > MAX_MODELS)
        return bad(r, "\"models\" is missing, empty or too long");
    registry->models = stapes__calloc(count, sizeof *registry->models);
    registry->languages = stapes__calloc(count, sizeof *registry->languages);
    if (!registry->models || !registry->languages)
        return stapes__fail_memory(r->err, "the registry");
    registry->count = count;
    for (size_t i = 0; i < count; i++) {
        stapes_status status =
            read_model(r, json_array_get(list, i), &registry->models[i], &registry->languages[i]);
        if (status != STAPES_OK)
            return status;
    }
    return check_names(r, registry);
}

stapes_status stapes__registry_parse(stapes__registry **out, const char *data, size_t size,
                                     const char *origin, stapes_error *err) {
    *out = NULL;
    reader r = {origin, NULL, err};
    if (size > MAX_REGISTRY_BYTES)
        return bad(&r, "is too large for a registry");
    stapes__registry *registry = stapes__calloc(1, sizeof *registry);
    if (!registry)
        return stapes__fail_memory(err, "the registry");
    json_error_t where;
    stapes_status status = STAPES_OK;
    registry->tree = json_loadb(data, size, JSON_REJECT_DUPLICATES, &where);
    if (!registry->tree) {
        status =
            stapes__fail(err, STAPES_E_ARGUMENT, "%s: line %d: %s", origin, where.line, where.text);
    } else if (json_integer_value(json_object_get(registry->tree, "format")) != 1) {
        status = bad(&r, "is not a model registry of format 1");
    } else {
        status = read_models(&r, registry, json_object_get(registry->tree, "models"));
    }
    if (status != STAPES_OK) {
        stapes__registry_close(&registry);
        return status;
    }
    const char *suggested = json_string_value(json_object_get(registry->tree, "default"));
    const stapes__registry_model *model =
        suggested ? stapes__registry_find(registry, suggested) : NULL;
    registry->suggested = model ? (size_t)(model - registry->models) : 0;
    *out = registry;
    return STAPES_OK;
}

stapes_status stapes__registry_open(stapes__registry **out, stapes_error *err) {
    *out = NULL;
    const char *path = getenv("STAPES_REGISTRY");
    if (!path || !*path)
        return stapes__registry_parse(out, (const char *)stapes__registry_data,
                                      stapes__registry_data_size, "built-in registry", err);
    char *data;
    size_t size;
    stapes_status status = stapes__read_file(path, MAX_REGISTRY_BYTES, &data, &size, err);
    if (status != STAPES_OK) {
        stapes__hint(err, "STAPES_REGISTRY names this file; unset it for the built-in registry");
        return status;
    }
    status = stapes__registry_parse(out, data, size, path, err);
    free(data);
    return status;
}

void stapes__registry_close(stapes__registry **registry) {
    stapes__registry *r = *registry;
    *registry = NULL;
    if (!r)
        return;
    for (size_t i = 0; i < r->count; i++) {
        free(r->models[i].aliases);
        free(r->models[i].files);
        free(r->languages[i]);
    }
    free(r->models);
    free(r->languages);
    json_decref(r->tree);
    free(r);
}

size_t stapes__registry_count(const stapes__registry *registry) {
    return registry->count;
}

const stapes__registry_model *stapes__registry_at(const stapes__registry *registry, size_t index) {
    return index < registry->count ? &registry->models[index] : NULL;
}

const stapes__registry_model *stapes__registry_default(const stapes__registry *registry) {
    return &registry->models[registry->suggested];
}

const char *stapes__registry_target(const stapes__registry_model *model) {
    if (model->n_files == 1)
        return model->files[0].path;
    return "";
}
