#include "hub/pull.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "hub/digest.h"
#include "hub/record.h"

#define STALL_SECONDS 60
#define GUARD_FILE ".stapes.pull"

/* ---- settings from the environment ---------------------------------------------------------- */

const char *stapes__hub_endpoint(void) {
    const char *endpoint = getenv("HF_ENDPOINT");
    return endpoint && *endpoint ? endpoint : STAPES__HUB_ENDPOINT;
}

const char *stapes__hub_token(void) {
    const char *token = getenv("HF_TOKEN");
    if (!token || !*token)
        token = getenv("HUGGING_FACE_HUB_TOKEN");
    if (!token || !*token)
        return NULL;
    for (const char *c = token; *c; c++)
        if (*c <= 0x20 || *c >= 0x7f)
            return NULL; /* would break the header it goes into */
    return token;
}

static bool is_set(const char *name) {
    const char *value = getenv(name);
    return value && *value && strcmp(value, "0") != 0;
}

bool stapes__hub_offline(void) {
    return is_set("STAPES_OFFLINE") || is_set("HF_HUB_OFFLINE");
}

/* ---- one pull ------------------------------------------------------------------------------- */

typedef struct pull {
    const stapes__registry_model *model;
    const stapes__pull_options *options;
    stapes__pull_result *result;
    const char *endpoint;
    char *folder;
    stapes__record *record;
    stapes__http *http;
    int guard; /* locked file descriptor, -1 = none */
    stapes_error *err;
} pull;

static stapes_status check_endpoint(pull *p) {
    const char *e = p->endpoint;
    if (strncasecmp(e, "https://", 8) == 0 || strncasecmp(e, "http://", 7) == 0)
        return STAPES_OK;
    stapes__fail(p->err, STAPES_E_ARGUMENT, "\"%s\" is not the address of a hub", e);
    stapes__hint(p->err, "Give --mirror or HF_ENDPOINT as https://HOST");
    return STAPES_E_ARGUMENT;
}

/* ENDPOINT/OWNER/NAME/resolve/REVISION/PATH; the parts hold no other character to escape than the
 * slash of a revision. */
static char *file_url(const pull *p, const char *path) {
    const char *commit = stapes__record_commit(p->record);
    size_t length = strlen(p->endpoint);
    while (length > 0 && p->endpoint[length - 1] == '/')
        length--;
    stapes__buf url = {0};
    stapes__buf_append(&url, p->endpoint, length);
    stapes__buf_printf(&url, "/%s/resolve/", p->model->repository);
    for (const char *c = *commit ? commit : p->model->revision; *c; c++) {
        if (*c == '/')
            stapes__buf_puts(&url, "%2F");
        else
            stapes__buf_append(&url, c, 1);
    }
    stapes__buf_printf(&url, "/%s", path);
    if (url.failed)
        stapes__buf_free(&url);
    return url.data;
}

/* Takes the guard of the model's folder. The file is removed at the end, so the lock counts only
 * when the name still leads to the file that was locked. */
static stapes_status take_guard(pull *p) {
    char *path = stapes__path_join(p->folder, GUARD_FILE);
    if (!path)
        return stapes__fail_memory(p->err, "a path");
    stapes_status status = STAPES_OK;
    while (p->guard < 0 && status == STAPES_OK) {
        struct stat mine, named;
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0) {
            status = stapes__fail_errno(p->err, errno, "create", path);
        } else if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
            status = stapes__fail(p->err, STAPES_E_IO, "another pull of %s is running in %s",
                                  p->model->name, p->folder);
            stapes__hint(p->err, "Wait for it, or stop it; what it has fetched is kept");
        } else if (fstat(fd, &mine) == 0 && stat(path, &named) == 0 &&
                   mine.st_ino == named.st_ino) {
            p->guard = fd; /* also where the file system has no locks at all */
            continue;
        }
        if (fd >= 0)
            close(fd);
    }
    free(path);
    return status;
}

static void drop_guard(pull *p) {
    char *path = p->guard >= 0 ? stapes__path_join(p->folder, GUARD_FILE) : NULL;
    if (path)
        unlink(path);
    free(path);
    if (p->guard >= 0)
        close(p->guard);
    p->guard = -1;
}

/* Whether a file needs no fetching: recorded, there, of the recorded size and the pinned hash. */
static bool in_place(const pull *p, const stapes__registry_file *file, stapes__record_file *known) {
    if (p->options->force || !stapes__record_find(p->record, file->path, known))
        return false;
    if (known->size < 0)
        return file->optional;
    if ((file->sha256 && strcmp(file->sha256, known->sha256) != 0) ||
        (file->size >= 0 && file->size != known->size))
        return false;
    char *path = stapes__path_join(p->folder, file->path);
    struct stat info;
    bool there =
        path && stat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_size == known->size;
    free(path);
    return there;
}

/* The folder that a file of a sub-folder goes into. */
static stapes_status make_parent(const char *path, stapes_error *err) {
    char *copy = stapes__strdup(path);
    char *slash = copy ? strrchr(copy, '/') : NULL;
    stapes_status status = copy ? STAPES_OK : stapes__fail_memory(err, "a path");
    if (slash) {
        *slash = 0;
        status = stapes__make_dirs(copy, err);
    }
    free(copy);
    return status;
}

static stapes_status fetch_file(pull *p, const stapes__registry_file *file) {
    char *url = file_url(p, file->path), *path = stapes__path_join(p->folder, file->path);
    stapes__download_result got;
    stapes_status status =
        url && path ? make_parent(path, p->err) : stapes__fail_memory(p->err, "a path");
    if (status == STAPES_OK) {
        const stapes__download_request request = {url,        file->path,   path,
                                                  file->size, file->sha256, file->optional};
        status = stapes__download(p->http, &request, &p->options->download, &got, p->err);
    }
    free(url);
    free(path);
    if (status != STAPES_OK)
        return status;
    const stapes__record_file entry = {file->path, got.absent ? -1 : got.size, got.sha256,
                                       stapes__download_check_name(got.check)};
    if (!got.absent) {
        p->result->fetched++;
        p->result->bytes += got.size;
        if (got.check > p->result->weakest)
            p->result->weakest = got.check;
    }
    status = stapes__record_put(p->record, &entry, got.commit, p->err);
    if (status == STAPES_OK)
        status = stapes__record_save(p->record, p->folder, p->endpoint, false, p->err);
    return status;
}

static stapes_status write_licence(const pull *p) {
    const stapes__registry_model *m = p->model;
    char *path = stapes__path_join(p->folder, "LICENCE.txt");
    stapes__buf text = {0};
    stapes__buf_printf(&text, "%s\n%s\n\nLicence: %s\n%s\n\nSource: %s\n", m->name, m->description,
                       m->licence, m->licence_url, m->page);
    stapes_status status = path && !text.failed
                               ? stapes__write_file(path, text.data, text.length, p->err)
                               : stapes__fail_memory(p->err, "the licence");
    stapes__buf_free(&text);
    free(path);
    return status;
}

static stapes_status fail_offline(const pull *p, const char *file) {
    stapes__fail(p->err, STAPES_E_MODEL_MISSING,
                 "%s: %s is not in %s, and downloads are switched off", p->model->name, file,
                 p->folder);
    stapes__hint(p->err, "Pull it without --offline and STAPES_OFFLINE, or copy the folder there");
    return STAPES_E_MODEL_MISSING;
}

static stapes_status fetch_missing(pull *p) {
    const stapes__registry_model *m = p->model;
    if (p->options->force)
        stapes__record_clear(p->record);
    for (size_t i = 0; i < m->n_files; i++) {
        stapes__record_file known;
        if (in_place(p, &m->files[i], &known)) {
            p->result->kept += known.size >= 0;
            p->result->bytes += known.size >= 0 ? known.size : 0;
            continue;
        }
        if (p->options->offline)
            return fail_offline(p, m->files[i].path);
        if (p->options->file)
            p->options->file(p->options->download.user, m->files[i].path, i, m->n_files);
        stapes_status status =
            p->http ? STAPES_OK : stapes__http_open(&p->http, STALL_SECONDS, p->err);
        if (status == STAPES_OK)
            status = fetch_file(p, &m->files[i]);
        if (status != STAPES_OK)
            return status;
    }
    return STAPES_OK;
}

/* A model that somebody copied into the cache needs no record to be used offline. */
static bool usable_offline(const pull *p) {
    return p->options->offline && !p->options->force &&
           stapes__cache_model_state(p->folder, p->model) == STAPES__CACHE_INSTALLED;
}

static stapes_status run(pull *p) {
    if (usable_offline(p)) {
        p->result->kept = p->model->n_files;
        return STAPES_OK;
    }
    if (p->options->offline)
        return stapes__is_dir(p->folder) ? fetch_missing(p)
                                         : fail_offline(p, p->model->files[0].path);
    stapes_status status = check_endpoint(p);
    if (status == STAPES_OK)
        status = stapes__make_dirs(p->folder, p->err);
    if (status == STAPES_OK)
        status = take_guard(p);
    if (status != STAPES_OK)
        return status;
    stapes__record_free(p->record); /* as another pull may have left it meanwhile */
    p->record = stapes__record_load(p->folder, p->model);
    if (!p->record)
        return stapes__fail_memory(p->err, "the record of a download");
    bool was_complete = stapes__record_complete(p->record);
    status = fetch_missing(p);
    if (status == STAPES_OK && (p->result->fetched > 0 || !was_complete)) {
        status = write_licence(p);
        if (status == STAPES_OK)
            status = stapes__record_save(p->record, p->folder, p->endpoint, true, p->err);
    }
    return status;
}

stapes_status stapes__pull(const stapes__registry_model *model, const stapes__pull_options *options,
                           stapes__pull_result *result, stapes_error *err) {
    memset(result, 0, sizeof *result);
    pull p = {.model = model, .options = options, .result = result, .guard = -1, .err = err};
    p.endpoint = options->endpoint ? options->endpoint : stapes__hub_endpoint();
    char *cache = NULL;
    stapes_status status = STAPES_OK;
    if (options->cache)
        cache = stapes__strdup(options->cache);
    else
        status = stapes__cache_folder(&cache, err);
    if (status == STAPES_OK) {
        p.folder = cache ? stapes__cache_model_folder(cache, model) : NULL;
        p.record = p.folder ? stapes__record_load(p.folder, model) : NULL;
        status = p.record ? run(&p) : stapes__fail_memory(err, "a download");
    }
    drop_guard(&p);
    stapes__http_close(&p.http);
    stapes__record_free(p.record);
    free(cache);
    result->folder = p.folder;
    return status;
}

/* ---- verifying ------------------------------------------------------------------------------ */

typedef struct tick_target {
    const stapes__verify_options *options;
    const char *name;
    int64_t total;
} tick_target;

static bool verify_tick(void *user, int64_t done) {
    const tick_target *t = user;
    return !t->options->progress || t->options->progress(t->options->user, t->name, done, t->total);
}

/* Compares one file; *state is valid when OK is returned. */
static stapes_status verify_file(const char *path, const stapes__registry_file *file,
                                 const stapes__record *record,
                                 const stapes__verify_options *options, stapes__verify_state *state,
                                 char sha256[65], stapes_error *err) {
    stapes__record_file known;
    struct stat info;
    bool recorded = stapes__record_find(record, file->path, &known);
    bool there = stat(path, &info) == 0 && S_ISREG(info.st_mode);
    int64_t size = file->size >= 0 ? file->size : recorded ? known.size : -1;
    const char *hash = file->sha256 ? file->sha256 : recorded ? known.sha256 : NULL;
    *state = STAPES__VERIFY_OK;
    if (!there)
        *state = file->optional && size < 0 ? STAPES__VERIFY_OK : STAPES__VERIFY_MISSING;
    else if (size >= 0 && info.st_size != size)
        *state = STAPES__VERIFY_SIZE;
    else if (!hash)
        *state = STAPES__VERIFY_UNKNOWN;
    if (!there || *state == STAPES__VERIFY_SIZE || options->sizes_only)
        return STAPES_OK;
    tick_target target = {options, file->path, info.st_size};
    stapes_status status = stapes__digest_file(path, sha256, verify_tick, &target, err);
    if (status == STAPES_OK && hash && strcmp(hash, sha256) != 0)
        *state = STAPES__VERIFY_HASH;
    return status;
}

static stapes_status fail_verify(stapes_error *err, const stapes__registry_model *model,
                                 const char *path, stapes__verify_state state) {
    stapes__fail(err, STAPES_E_MODEL_DAMAGED, "%s: %s", path,
                 state == STAPES__VERIFY_MISSING ? "is missing"
                 : state == STAPES__VERIFY_SIZE  ? "has another size than it should"
                                                 : "has another SHA-256 than it should");
    stapes__hint(err, "Get it anew with: stapes pull --force %s", model->name);
    return STAPES_E_MODEL_DAMAGED;
}

stapes_status stapes__pull_verify(const char *folder, const stapes__registry_model *model,
                                  const stapes__verify_options *options, stapes_error *err) {
    if (!stapes__is_dir(folder)) {
        stapes__fail(err, STAPES_E_MODEL_MISSING, "%s: model \"%s\" is not there", folder,
                     model->name);
        stapes__hint(err, "Get it with: stapes pull %s", model->name);
        return STAPES_E_MODEL_MISSING;
    }
    stapes__record *record = stapes__record_load(folder, model);
    if (!record)
        return stapes__fail_memory(err, "the record of a download");
    stapes_status result = STAPES_OK;
    for (size_t i = 0; i < model->n_files; i++) {
        const stapes__registry_file *file = &model->files[i];
        stapes__verify_state state = STAPES__VERIFY_OK;
        char sha256[65] = "", *path = stapes__path_join(folder, file->path);
        stapes_status status = path ? verify_file(path, file, record, options, &state, sha256, err)
                                    : stapes__fail_memory(err, "a path");
        if (status == STAPES_OK && options->file)
            options->file(options->user, file->path, state, sha256);
        if (status == STAPES_OK && state > STAPES__VERIFY_UNKNOWN && result == STAPES_OK)
            result = fail_verify(err, model, path, state);
        free(path);
        if (status != STAPES_OK) {
            result = status;
            break;
        }
    }
    stapes__record_free(record);
    return result;
}
