#include "hub/cache.h"

#include <dlfcn.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

/* ---- the cache folder ----------------------------------------------------------------------- */

static stapes_status copy_out(char **out, char *text, stapes_error *err) {
    *out = text;
    return text ? STAPES_OK : stapes__fail_memory(err, "a path");
}

stapes_status stapes__cache_folder(char **folder, stapes_error *err) {
    *folder = NULL;
    const char *models = getenv("STAPES_MODELS");
    if (models && *models)
        return copy_out(folder, stapes__strdup(models), err);
    const char *cache = getenv("XDG_CACHE_HOME");
    if (cache && cache[0] == '/')
        return copy_out(folder, stapes__path_join(cache, "stapes/models"), err);
    const char *home = getenv("HOME");
    if (!home || home[0] != '/') {
        const struct passwd *entry = getpwuid(getuid());
        home = entry ? entry->pw_dir : NULL;
    }
    if (!home || home[0] != '/') {
        stapes__fail(err, STAPES_E_IO, "no home folder to keep models in");
        stapes__hint(err, "Set STAPES_MODELS to a folder for models");
        return STAPES_E_IO;
    }
    return copy_out(folder, stapes__path_join(home, ".cache/stapes/models"), err);
}

char *stapes__cache_model_folder(const char *cache, const stapes__registry_model *model) {
    return stapes__path_join(cache, model->name);
}

stapes__cache_state stapes__cache_model_state(const char *model_folder,
                                              const stapes__registry_model *model) {
    if (!stapes__is_dir(model_folder))
        return STAPES__CACHE_ABSENT;
    for (size_t i = 0; i < model->n_files; i++) {
        const stapes__registry_file *file = &model->files[i];
        if (file->optional)
            continue;
        char *path = stapes__path_join(model_folder, file->path);
        struct stat status;
        bool there = path && stat(path, &status) == 0 && S_ISREG(status.st_mode) &&
                     (file->size < 0 || status.st_size == file->size);
        free(path);
        if (!there)
            return STAPES__CACHE_PARTIAL;
    }
    return STAPES__CACHE_INSTALLED;
}

/* ---- the embedded model --------------------------------------------------------------------- */

/* Takes base/relative when it is a model folder; its canonical path goes to *path. */
static bool try_embedded(const char *base, const char *relative, char **path) {
    char *folder = stapes__path_join(base, relative);
    char *config = folder ? stapes__path_join(folder, "config.json") : NULL;
    if (config && stapes__is_file(config))
        *path = realpath(folder, NULL);
    free(config);
    free(folder);
    return *path != NULL;
}

/* Looks around the folder of a program or library. */
static bool search_beside(const char *file, char **path) {
    static const char *const places[] = {
        "../share/stapes/models/nano",    /* PREFIX/bin, PREFIX/lib */
        "../../share/stapes/models/nano", /* PREFIX/lib/x86_64-linux-gnu */
        "models/nano",                    /* a build tree, or an unpacked archive */
        "../models/nano",                 /* build/ in the source tree, build/tests/ */
    };
    char *real = realpath(file, NULL);
    char *slash = real ? strrchr(real, '/') : NULL;
    if (slash) {
        slash[slash == real] = 0;
        for (size_t i = 0; i < sizeof places / sizeof *places && !*path; i++)
            try_embedded(real, places[i], path);
    }
    free(real);
    return *path != NULL;
}

stapes_status stapes__hub_embedded(char **path, stapes_error *err) {
    *path = NULL;
    if (search_beside("/proc/self/exe", path))
        return STAPES_OK;
    Dl_info info;
    if (dladdr((const void *)stapes__registry_data, &info) && info.dli_fname &&
        strchr(info.dli_fname, '/') && search_beside(info.dli_fname, path))
        return STAPES_OK;
    if (try_embedded(STAPES_DATA_DIR, "models/nano", path))
        return STAPES_OK;
    stapes__fail(err, STAPES_E_MODEL_MISSING,
                 "the embedded model \"nano\" was found neither beside the program nor in %s",
                 STAPES_DATA_DIR "/models");
    stapes__hint(err, "Install stapes with its models folder, or name another model with --model");
    return STAPES_E_MODEL_MISSING;
}

/* ---- names ---------------------------------------------------------------------------------- */

/* A folder that holds a model rather than anything else of that name. */
static bool looks_like_model(const char *folder) {
    static const char *const marks[] = {"config.json", "model.safetensors",
                                        "model.safetensors.index.json", "model_config.yaml"};
    bool found = false;
    for (size_t i = 0; i < sizeof marks / sizeof *marks && !found; i++) {
        char *file = stapes__path_join(folder, marks[i]);
        found = file && stapes__is_file(file);
        free(file);
    }
    return found;
}

static stapes_status resolve_known(const stapes__registry_model *model, char **path,
                                   stapes_error *err) {
    char *cache = NULL;
    stapes_status status = stapes__cache_folder(&cache, err);
    if (status != STAPES_OK)
        return status;
    char *folder = stapes__cache_model_folder(cache, model);
    stapes__cache_state state =
        folder ? stapes__cache_model_state(folder, model) : STAPES__CACHE_ABSENT;
    if (!folder) {
        status = stapes__fail_memory(err, "a path");
    } else if (state == STAPES__CACHE_INSTALLED) {
        const char *target = stapes__registry_target(model);
        status = copy_out(
            path, *target ? stapes__path_join(folder, target) : stapes__strdup(folder), err);
    } else {
        status = stapes__fail(
            err, STAPES_E_MODEL_MISSING, "model \"%s\" is %s (looked in %s)", model->name,
            state == STAPES__CACHE_PARTIAL ? "only partly downloaded" : "not downloaded yet",
            folder);
        stapes__hint(err, "Get it with: stapes pull %s (%.2f GB, %s)", model->name,
                     (double)model->bytes / 1e9, model->licence);
    }
    free(folder);
    free(cache);
    return status;
}

/* CACHE/name or CACHE/name.nemo of a model that a user put there. */
static bool find_unlisted(const char *name, char **path) {
    char *cache = NULL;
    if (strchr(name, '/') || name[0] == '.' || stapes__cache_folder(&cache, NULL) != STAPES_OK)
        return false;
    char *folder = stapes__path_join(cache, name);
    stapes__buf file = {0};
    stapes__buf_printf(&file, "%s/%s.nemo", cache, name);
    if (folder && stapes__is_dir(folder) && looks_like_model(folder))
        *path = stapes__strdup(folder);
    else if (!file.failed && stapes__is_file(file.data))
        *path = stapes__strdup(file.data);
    stapes__buf_free(&file);
    free(folder);
    free(cache);
    return *path != NULL;
}

static stapes_status fail_unknown(const stapes__registry *registry, const char *name,
                                  stapes_error *err) {
    const stapes__registry_model *near = stapes__registry_suggest(registry, name);
    bool path_like = strchr(name, '/') && !near;
    if (path_like)
        stapes__fail(err, STAPES_E_MODEL_MISSING, "%s: no such model file or folder", name);
    else
        stapes__fail(err, STAPES_E_MODEL_MISSING,
                     "\"%s\" is neither a file, a folder nor a known model", name);
    if (near)
        stapes__hint(err, "Did you mean %s? `stapes models` lists the names", near->name);
    else
        stapes__hint(err, "`stapes models` lists the names");
    return STAPES_E_MODEL_MISSING;
}

stapes_status stapes__hub_resolve(const char *name_or_path, char **path, stapes_error *err) {
    *path = NULL;
    const char *name = name_or_path;
    if (!name || !*name || strcmp(name, "nano") == 0)
        return stapes__hub_embedded(path, err);
    if (stapes__is_file(name))
        return copy_out(path, stapes__strdup(name), err);
    stapes__registry *registry = NULL;
    stapes_status status = stapes__registry_open(&registry, err);
    if (status != STAPES_OK)
        return status;
    const stapes__registry_model *model = stapes__registry_find(registry, name);
    if (stapes__is_dir(name) && (!model || looks_like_model(name)))
        status = copy_out(path, stapes__strdup(name), err);
    else if (model)
        status = resolve_known(model, path, err);
    else if (!find_unlisted(name, path))
        status = fail_unknown(registry, name, err);
    stapes__registry_close(&registry);
    return status;
}
