#include "hub/record.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/mem.h"
#include "stapes/version.h"

#define MAX_RECORD_BYTES (1u << 20)

struct stapes__record {
    const stapes__registry_model *model;
    json_t *files; /* path -> {size, sha256, check} */
    char commit[41];
    bool complete;
};

static bool is_hex(const char *text, size_t length) {
    return text && strlen(text) == length && strspn(text, "0123456789abcdef") == length;
}

static bool same_text(const json_t *tree, const char *key, const char *want) {
    const char *text = json_string_value(json_object_get(tree, key));
    return text && strcmp(text, want) == 0;
}

/* Takes over what fits: entries are checked again when they are asked for. */
static void take_tree(stapes__record *record, const json_t *tree) {
    if (json_integer_value(json_object_get(tree, "format")) != 1 ||
        !same_text(tree, "repository", record->model->repository) ||
        !same_text(tree, "revision", record->model->revision))
        return;
    const char *commit = json_string_value(json_object_get(tree, "commit"));
    if (is_hex(commit, 40))
        memcpy(record->commit, commit, 41);
    record->complete = json_is_true(json_object_get(tree, "complete"));
    json_t *files = json_object_get(tree, "files");
    if (json_is_object(files))
        json_object_update(record->files, files);
}

stapes__record *stapes__record_load(const char *folder, const stapes__registry_model *model) {
    stapes__record *record = stapes__calloc(1, sizeof *record);
    char *path = stapes__path_join(folder, STAPES__LOCK_FILE), *data = NULL;
    if (record) {
        record->model = model;
        record->files = json_object();
    }
    if (!record || !record->files || !path) {
        free(path);
        stapes__record_free(record);
        return NULL;
    }
    size_t size;
    if (stapes__read_file(path, MAX_RECORD_BYTES, &data, &size, NULL) == STAPES_OK) {
        json_t *tree = json_loadb(data, size, 0, NULL);
        if (tree)
            take_tree(record, tree);
        json_decref(tree);
        free(data);
    }
    free(path);
    return record;
}

void stapes__record_free(stapes__record *record) {
    if (!record)
        return;
    json_decref(record->files);
    free(record);
}

bool stapes__record_complete(const stapes__record *record) {
    return record->complete;
}

const char *stapes__record_commit(const stapes__record *record) {
    return record->commit;
}

bool stapes__record_find(const stapes__record *record, const char *path,
                         stapes__record_file *file) {
    const json_t *entry = json_object_get(record->files, path);
    const json_t *size = json_object_get(entry, "size");
    *file = (stapes__record_file){path, -1, NULL, ""};
    if (json_is_true(json_object_get(entry, "absent")))
        return true;
    file->sha256 = json_string_value(json_object_get(entry, "sha256"));
    const char *check = json_string_value(json_object_get(entry, "check"));
    file->check = check ? check : "";
    if (!json_is_integer(size) || json_integer_value(size) < 0 || !is_hex(file->sha256, 64))
        return false;
    file->size = (int64_t)json_integer_value(size);
    return true;
}

stapes_status stapes__record_put(stapes__record *record, const stapes__record_file *file,
                                 const char *commit, stapes_error *err) {
    json_t *entry = file->size < 0 ? json_pack("{s:b}", "absent", 1)
                                   : json_pack("{s:I, s:s, s:s}", "size", (json_int_t)file->size,
                                               "sha256", file->sha256, "check", file->check);
    if (!entry || json_object_set_new(record->files, file->path, entry) != 0)
        return stapes__fail_memory(err, "the record of a download");
    if (is_hex(commit, 40))
        memcpy(record->commit, commit, 41);
    return STAPES_OK;
}

void stapes__record_clear(stapes__record *record) {
    json_object_clear(record->files);
    record->commit[0] = 0;
    record->complete = false;
}

stapes_status stapes__record_save(stapes__record *record, const char *folder, const char *endpoint,
                                  bool complete, stapes_error *err) {
    const stapes__registry_model *m = record->model;
    char when[32] = "";
    time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc))
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    json_t *tree =
        json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:O}", "format", 1,
                  "name", m->name, "repository", m->repository, "revision", m->revision, "commit",
                  record->commit, "endpoint", endpoint, "page", m->page, "licence", m->licence,
                  "licence_url", m->licence_url, "stapes", STAPES_VERSION_STRING, "pulled", when,
                  "complete", complete, "files", record->files);
    char *text = tree ? json_dumps(tree, JSON_INDENT(1)) : NULL;
    char *path = stapes__path_join(folder, STAPES__LOCK_FILE);
    stapes_status status = text && path ? stapes__write_file(path, text, strlen(text), err)
                                        : stapes__fail_memory(err, "the record of a download");
    if (status == STAPES_OK)
        record->complete = complete;
    free(path);
    free(text);
    json_decref(tree);
    return status;
}
