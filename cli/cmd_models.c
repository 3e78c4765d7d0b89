/* stapes models: what is here and what could be pulled. */
#include "models.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "hub/pull.h"

typedef struct models_args {
    cli_inspect_args inspect;
    bool sizes_only;
} models_args;

/* ---- shared helpers ------------------------------------------------------------------------- */

int cli_print_json(cli *c, json_t *tree) {
    char *text = tree ? json_dumps(tree, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(tree);
    if (!text)
        return cli_fail(c, STAPES_E_MEMORY, NULL, "not enough memory for the answer");
    cli_printf(c, "%s\n", text);
    free(text);
    return 0;
}

char *cli_size_text(int64_t bytes, char *out, size_t capacity) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 999.5 && unit + 1 < CLI_COUNT_OF(units)) {
        value /= 1000;
        unit++;
    }
    int digits = unit == 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
    snprintf(out, capacity, "%.*f %s", digits, value, units[unit]);
    return out;
}

int64_t cli_bytes_on_disk(const char *path) {
    struct stat info;
    if (stat(path, &info) != 0)
        return 0;
    if (S_ISREG(info.st_mode))
        return (int64_t)info.st_size;
    int64_t total = 0;
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (fstatat(dirfd(dir), entry->d_name, &info, 0) == 0 && S_ISREG(info.st_mode))
            total += (int64_t)info.st_size;
    }
    if (dir)
        closedir(dir);
    return total;
}

/* ---- list ----------------------------------------------------------------------------------- */

typedef struct listing {
    cli *c;
    const stapes__registry *registry;
    char *cache;
    json_t *rows; /* array of objects, in the order of printing */
    bool failed;
} listing;

static void add_row(listing *l, json_t *row) {
    if (!row || json_array_append_new(l->rows, row) != 0)
        l->failed = true;
}

static void add_embedded(listing *l) {
    char *path = NULL;
    if (stapes__hub_embedded(&path, NULL) != STAPES_OK)
        return;
    add_row(l, json_pack("{s:s, s:s, s:s, s:I, s:s, s:[s], s:s}", "name", "nano", "state",
                         "embedded", "path", path, "bytes", (json_int_t)cli_bytes_on_disk(path),
                         "licence", "see its README.md", "languages", "en", "description",
                         "tiny English model that comes along; a first impression, not accurate"));
    free(path);
}

static json_t *split_languages(const char *joined) {
    json_t *list = json_array();
    while (list && *joined) {
        size_t length = strcspn(joined, ",");
        json_array_append_new(list, json_stringn(joined, length));
        joined += length + (joined[length] == ',');
    }
    return list;
}

static json_t *alias_list(const stapes__registry_model *model) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < model->n_aliases; i++)
        json_array_append_new(list, json_string(model->aliases[i]));
    return list;
}

static void add_known(listing *l, const stapes__registry_model *m) {
    static const char *const states[] = {"available", "partial", "installed"};
    char *folder = stapes__cache_model_folder(l->cache, m);
    if (!folder) {
        l->failed = true;
        return;
    }
    stapes__cache_state state = stapes__cache_model_state(folder, m);
    int64_t bytes = state == STAPES__CACHE_INSTALLED ? cli_bytes_on_disk(folder) : m->bytes;
    add_row(l, json_pack("{s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:o, s:o, s:s, s:b, s:I, s:s, s:b}",
                         "name", m->name, "state", states[state], "path",
                         state == STAPES__CACHE_ABSENT ? "" : folder, "bytes", (json_int_t)bytes,
                         "licence", m->licence, "licence_url", m->licence_url, "page", m->page,
                         "languages", split_languages(m->languages), "aliases", alias_list(m),
                         "architecture", m->architecture, "streaming", m->streaming, "parameters",
                         (json_int_t)m->parameters, "description", m->description, "suggested",
                         m == stapes__registry_default(l->registry)));
    free(folder);
}

/* Models that a user put into the cache: folders with a config.json, and .nemo files. */
static void add_unlisted(listing *l, const char *entry) {
    size_t length = strlen(entry);
    char *path = stapes__path_join(l->cache, entry);
    char *config = path ? stapes__path_join(path, "config.json") : NULL;
    bool nemo =
        length > 5 && strcmp(entry + length - 5, ".nemo") == 0 && path && stapes__is_file(path);
    bool folder = config && stapes__is_file(config) && !stapes__registry_find(l->registry, entry);
    if (nemo || folder)
        add_row(l, json_pack("{s:s%, s:s, s:s, s:I, s:s, s:[], s:s}", "name", entry,
                             nemo ? length - 5 : length, "state", "installed", "path", path,
                             "bytes", (json_int_t)cli_bytes_on_disk(path), "licence", "",
                             "languages", "description", "not in the registry"));
    free(config);
    free(path);
}

static int compare_names(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void add_all(listing *l) {
    add_embedded(l);
    for (size_t i = 0; i < stapes__registry_count(l->registry); i++)
        add_known(l, stapes__registry_at(l->registry, i));
    struct dirent **entries = NULL;
    int count = scandir(l->cache, &entries, NULL, compare_names);
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.')
            add_unlisted(l, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}

static void print_row(cli *c, const json_t *row) {
    char size[32], languages[32];
    const json_t *codes = json_object_get(row, "languages");
    size_t count = json_array_size(codes);
    if (count > 1)
        snprintf(languages, sizeof languages, "%zu lang.", count);
    else
        snprintf(languages, sizeof languages, "%s",
                 count ? json_string_value(json_array_get(codes, 0)) : "");
    cli_size_text((int64_t)json_integer_value(json_object_get(row, "bytes")), size, sizeof size);
    cli_printf(c, "%-34s %-10s %8s  %-9s %s\n", json_string_value(json_object_get(row, "name")),
               json_string_value(json_object_get(row, "state")), size, languages,
               json_string_value(json_object_get(row, "description")));
}

static int print_listing(listing *l) {
    cli *c = l->c;
    if (c->common.json)
        return cli_print_json(c, json_pack("{s:s, s:O}", "cache", l->cache, "models", l->rows));
    cli_printf(c, "%-34s %-10s %8s  %-9s %s\n", "NAME", "STATE", "SIZE", "LANGUAGE", "DESCRIPTION");
    for (size_t i = 0; i < json_array_size(l->rows); i++)
        print_row(c, json_array_get(l->rows, i));
    cli_note(c, "cache: %s", l->cache);
    cli_note(c, "`stapes pull NAME` downloads one; `stapes transcribe -m NAME` uses it");
    return 0;
}

int cli_list_models(cli *c) {
    stapes_error error = {0};
    stapes__registry *registry = NULL;
    listing l = {.c = c, .rows = json_array()};
    int code = 0;
    if (stapes__registry_open(&registry, &error) != STAPES_OK ||
        stapes__cache_folder(&l.cache, &error) != STAPES_OK) {
        code = cli_error(c, &error, NULL);
    } else {
        l.registry = registry;
        if (l.rows)
            add_all(&l);
        if (!l.rows || l.failed)
            code = cli_fail(c, STAPES_E_MEMORY, NULL, "not enough memory for the list");
        else
            code = print_listing(&l);
    }
    json_decref(l.rows);
    free(l.cache);
    stapes__registry_close(&registry);
    return code;
}

/* ---- path, info ----------------------------------------------------------------------------- */

static int print_paths(cli *c, size_t first) {
    int code = 0;
    for (size_t i = first; i < c->inputs.count || i == first; i++) {
        stapes_error error = {0};
        char *path = NULL;
        const char *name = i < c->inputs.count ? c->inputs.items[i] : NULL;
        if (stapes__hub_resolve(name, &path, &error) != STAPES_OK) {
            int failed = cli_error(c, &error, NULL);
            code = code ? code : failed;
        } else if (c->common.json) {
            cli_print_json(c, json_pack("{s:s, s:s}", "model", name ? name : "nano", "path", path));
        } else {
            cli_printf(c, "%s\n", path);
        }
        free(path);
    }
    return code;
}

/* ---- verify --------------------------------------------------------------------------------- */

typedef struct verify_state {
    cli *c;
    cli_progress *bar;
    json_t *files; /* with --json */
} verify_state;

static void on_verified(void *user, const char *name, stapes__verify_state state,
                        const char *sha256) {
    static const char *const words[] = {"ok", "unknown", "missing", "wrong size", "wrong SHA-256"};
    verify_state *v = user;
    cli_progress_clear(v->bar);
    if (v->files)
        json_array_append_new(v->files, json_pack("{s:s, s:s, s:s}", "file", name, "state",
                                                  words[state], "sha256", sha256));
    else
        cli_printf(v->c, "%-14s %-26s %s\n", words[state], name, sha256);
}

static bool on_verify_progress(void *user, const char *name, int64_t done, int64_t total) {
    verify_state *v = user;
    cli_progress_label(v->bar, name);
    cli_progress_update(v->bar, (double)done, (double)total);
    return !cli_stopping(v->c);
}

static int verify_model(cli *c, const models_args *args, const char *cache,
                        const stapes__registry_model *model) {
    verify_state state = {.c = c, .files = c->common.json ? json_array() : NULL};
    const stapes__verify_options options = {.sizes_only = args->sizes_only,
                                            .file = on_verified,
                                            .progress = on_verify_progress,
                                            .user = &state};
    stapes_error error = {0};
    char *folder = stapes__cache_model_folder(cache, model);
    state.bar = cli_progress_open(c, CLI_UNIT_BYTES, model->name);
    stapes_status status = STAPES_E_MEMORY;
    if (folder)
        status = stapes__pull_verify(folder, model, &options, &error);
    cli_progress_close(state.bar);
    if (state.files)
        cli_print_json(c, json_pack("{s:s, s:b, s:o}", "model", model->name, "ok",
                                    status == STAPES_OK, "files", state.files));
    free(folder);
    if (status == STAPES_OK)
        return 0;
    error.code = status;
    return cli_error(c, &error, NULL);
}

/* Named models, or every installed one. */
static int verify_models(cli *c, const models_args *args) {
    stapes_error error = {0};
    stapes__registry *registry = NULL;
    char *cache = NULL;
    int code = 0, count = 0;
    if (stapes__registry_open(&registry, &error) != STAPES_OK ||
        stapes__cache_folder(&cache, &error) != STAPES_OK)
        code = cli_error(c, &error, NULL);
    bool every = c->inputs.count < 2;
    size_t n = every ? stapes__registry_count(registry) : c->inputs.count - 1;
    for (size_t i = 0; code == 0 && i < n; i++) {
        const stapes__registry_model *model =
            every ? stapes__registry_at(registry, i)
                  : stapes__registry_find(registry, c->inputs.items[i + 1]);
        if (!model) {
            code = cli_fail(c, STAPES_E_MODEL_MISSING, "`stapes models` lists the names",
                            "\"%s\" is no downloadable model", c->inputs.items[i + 1]);
            break;
        }
        char *folder = stapes__cache_model_folder(cache, model);
        bool wanted = !every || (folder && stapes__is_dir(folder));
        free(folder);
        if (wanted) {
            code = verify_model(c, args, cache, model);
            count++;
        }
    }
    if (code == 0 && count == 0)
        cli_note(c, "no downloaded model to verify");
    free(cache);
    stapes__registry_close(&registry);
    return code;
}

/* ---- the command ---------------------------------------------------------------------------- */

static int run_models(cli *c, void *raw) {
    const models_args *args = raw;
    const char *what = c->inputs.count ? c->inputs.items[0] : "list";
    if (strcmp(what, "list") == 0 && c->inputs.count < 2)
        return cli_list_models(c);
    if (strcmp(what, "path") == 0)
        return print_paths(c, 1);
    if (strcmp(what, "verify") == 0)
        return verify_models(c, args);
    if (strcmp(what, "info") == 0 && c->inputs.count < 3)
        return cli_inspect(c, c->inputs.count > 1 ? c->inputs.items[1] : NULL, &args->inspect);
    return cli_usage(c, "expected list, info MODEL, path MODEL or verify [MODEL]");
}

static const cli_option models_options[] = {
    {.name = "sizes-only",
     .type = CLI_FLAG,
     .offset = offsetof(models_args, sizes_only),
     .help = "verify: compare sizes without reading the files"},
    {.name = "tensors",
     .type = CLI_FLAG,
     .offset = offsetof(models_args, inspect.tensors),
     .help = "info: list every tensor"},
    {.name = "identity",
     .type = CLI_FLAG,
     .offset = offsetof(models_args, inspect.identity),
     .help = "info: SHA-256 of the weights"},
};

static const cli_example models_examples[] = {
    {"stapes models", "what is here and what could be pulled"},
    {"stapes models path v3", "where a model is"},
    {"stapes models verify", "read all downloaded models and compare their SHA-256"},
};

const cli_command cli_command_models = {
    .name = "models",
    .aliases = "model",
    .summary = "list, find and verify models",
    .usage = "[list | info MODEL | path [MODEL] | verify [MODEL...]]",
    .description =
        "Without a word lists the models: the embedded one, those in the cache, and those that "
        "`stapes pull` can download. info is `stapes inspect`. verify reads every file of the "
        "named "
        "(or of all downloaded) models and compares sizes and SHA-256 with what the registry pins "
        "or the pull recorded.",
    .words = "list info path verify",
    .options = models_options,
    .n_options = CLI_COUNT_OF(models_options),
    .examples = models_examples,
    .n_examples = CLI_COUNT_OF(models_examples),
    .args_size = sizeof(models_args),
    .run = run_models,
};
