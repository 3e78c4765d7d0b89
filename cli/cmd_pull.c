/* stapes pull: published models into the cache. */
#include "models.h"

#include <stdlib.h>
#include <string.h>

#include "hub/pull.h"

typedef struct pull_args {
    bool force, offline, list;
    const char *mirror, *dir;
    int retries;
    double retry_wait;
} pull_args;

typedef struct pull_state {
    cli *c;
    cli_progress *bar;
} pull_state;

static bool on_progress(void *user, const char *file, int64_t done, int64_t total) {
    pull_state *s = user;
    (void)file;
    cli_progress_update(s->bar, (double)done, total > 0 ? (double)total : 0);
    return !cli_stopping(s->c);
}

static void on_note(void *user, const char *line) {
    pull_state *s = user;
    cli_note(s->c, "%s", line);
}

/* A bar for each file, so that its speed is of that file. */
static void on_file(void *user, const char *name, size_t index, size_t count) {
    pull_state *s = user;
    char label[160];
    if (count > 1)
        snprintf(label, sizeof label, "%s (%zu of %zu)", name, index + 1, count);
    else
        snprintf(label, sizeof label, "%s", name);
    cli_progress_close(s->bar);
    s->bar = cli_progress_open(s->c, CLI_UNIT_BYTES, label);
}

static json_t *result_object(const stapes__registry_model *model,
                             const stapes__pull_result *result) {
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:s}", "model", model->name,
                     "folder", result->folder, "licence", model->licence, "licence_url",
                     model->licence_url, "page", model->page, "fetched",
                     (json_int_t)result->fetched, "kept", (json_int_t)result->kept, "bytes",
                     (json_int_t)result->bytes, "check",
                     result->fetched ? stapes__download_check_name(result->weakest) : "");
}

static void say_licence(cli *c, const stapes__registry_model *model) {
    char size[32];
    cli_note(c, "%s: %s (%s)", model->name, model->description,
             cli_size_text(model->bytes, size, sizeof size));
    cli_note(c, "licence: %s %s", model->licence, model->licence_url);
    cli_note(c, "source: %s", model->page);
}

static void say_done(cli *c, const stapes__registry_model *model,
                     const stapes__pull_result *result) {
    char size[32];
    cli_size_text(result->bytes, size, sizeof size);
    if (result->fetched == 0)
        cli_note(c, "%s is complete already; nothing was downloaded", model->name);
    else if (result->weakest == STAPES__CHECK_SIZE)
        cli_note(c, "%s: %s; the server gave no checksums, only the sizes were checked",
                 model->name, size);
    else
        cli_note(c, "%s: %s, checksums right. Use it with --model %s", model->name, size,
                 model->name);
}

static stapes_status pull_one(cli *c, const pull_args *args, const stapes__registry_model *model) {
    pull_state state = {c, NULL};
    const stapes__pull_options options = {
        .endpoint = args->mirror,
        .cache = args->dir,
        .force = args->force,
        .offline = args->offline || stapes__hub_offline(),
        .download = {.token = stapes__hub_token(),
                     .retries = args->retries,
                     .retry_wait = args->retry_wait,
                     .progress = on_progress,
                     .note = on_note,
                     .user = &state},
        .file = on_file,
    };
    stapes__pull_result result;
    stapes_error error = {0};
    say_licence(c, model);
    stapes_status status = stapes__pull(model, &options, &result, &error);
    cli_progress_close(state.bar);
    if (status != STAPES_OK) {
        cli_error(c, &error, NULL);
    } else {
        say_done(c, model, &result);
        if (c->common.json)
            cli_print_json(c, result_object(model, &result));
        else
            cli_printf(c, "%s\n", result.folder);
    }
    free(result.folder);
    return status;
}

/* The model of a name on the command line; prints what is wrong with the name. */
static const stapes__registry_model *find_model(cli *c, const stapes__registry *registry,
                                                const char *name) {
    const stapes__registry_model *model = stapes__registry_find(registry, name);
    if (model)
        return model;
    const stapes__registry_model *near = stapes__registry_suggest(registry, name);
    char hint[200] = "`stapes models` lists the names";
    if (near)
        snprintf(hint, sizeof hint, "Did you mean %s? `stapes models` lists the names", near->name);
    if (strcmp(name, "nano") == 0)
        snprintf(hint, sizeof hint, "nano is part of stapes and needs no download");
    cli_fail(c, STAPES_E_MODEL_MISSING, hint, "there is no model \"%s\" to pull", name);
    return NULL;
}

static int run_pull(cli *c, void *raw) {
    const pull_args *args = raw;
    stapes_error error = {0};
    if (args->list)
        return cli_list_models(c);
    stapes__registry *registry;
    if (stapes__registry_open(&registry, &error) != STAPES_OK)
        return cli_error(c, &error, NULL);
    if (c->inputs.count == 0) {
        int code = cli_usage(c, "name a model, for example: stapes pull %s",
                             stapes__registry_default(registry)->name);
        stapes__registry_close(&registry);
        return code;
    }
    stapes_status first = STAPES_OK;
    size_t failed = 0;
    for (size_t i = 0; i < c->inputs.count && first != STAPES_E_ABORTED; i++) {
        const stapes__registry_model *model = find_model(c, registry, c->inputs.items[i]);
        stapes_status status = model ? pull_one(c, args, model) : STAPES_E_MODEL_MISSING;
        if (status != STAPES_OK) {
            failed++;
            first = failed == 1 || status == STAPES_E_ABORTED ? status : first;
        }
    }
    stapes__registry_close(&registry);
    if (failed > 0 && failed < c->inputs.count && first != STAPES_E_ABORTED)
        first = STAPES_E_PARTIAL;
    return stapes_status_exit_code(first);
}

static void pull_defaults(void *raw) {
    pull_args *args = raw;
    args->retries = 5;
    args->retry_wait = 1;
}

static const cli_option pull_options[] = {
    {.name = "force",
     .type = CLI_FLAG,
     .offset = offsetof(pull_args, force),
     .help = "download again what is there already"},
    {.name = "offline",
     .type = CLI_FLAG,
     .offset = offsetof(pull_args, offline),
     .help = "touch no network; succeed only when the model is there"},
    {.name = "mirror",
     .type = CLI_TEXT,
     .offset = offsetof(pull_args, mirror),
     .argument = "URL",
     .help = "address of the hub or of a mirror with the same paths (also HF_ENDPOINT)",
     .fallback = STAPES__HUB_ENDPOINT},
    {.name = "dir",
     .type = CLI_TEXT,
     .offset = offsetof(pull_args, dir),
     .argument = "DIR",
     .help = "put the model's folder there instead of the cache"},
    {.name = "list",
     .type = CLI_FLAG,
     .offset = offsetof(pull_args, list),
     .help = "list the models instead"},
    {.name = "retries",
     .type = CLI_INT,
     .offset = offsetof(pull_args, retries),
     .argument = "N",
     .help = "attempts after one that brought nothing new",
     .fallback = "5",
     .min = 0,
     .max = 1000},
    {.name = "retry-wait",
     .type = CLI_NUMBER,
     .offset = offsetof(pull_args, retry_wait),
     .argument = "SECONDS",
     .help = "wait before the first of them; doubles up to 30",
     .fallback = "1",
     .min = 0,
     .max = 30},
};

static const cli_example pull_examples[] = {
    {"stapes pull parakeet-tdt-0.6b-v3", "25 European languages, 2.5 GB"},
    {"stapes pull --mirror https://hub.example.org v2", "from a mirror"},
    {"stapes transcribe -m v3 talk.mp3", "use it afterwards"},
};

const cli_command cli_command_pull = {
    .name = "pull",
    .aliases = "download",
    .summary = "download a published model",
    .usage = "[options] NAME...",
    .description =
        "Downloads models by name (`stapes models` lists them) into the cache: $STAPES_MODELS, "
        "else $XDG_CACHE_HOME/stapes/models, else ~/.cache/stapes/models. An interrupted download "
        "continues where it stopped. Sizes and SHA-256 are checked against the registry where it "
        "pins them, else against the hub's answer, and recorded beside the files.\n\n"
        "Environment: HF_ENDPOINT (mirror), HF_TOKEN or HUGGING_FACE_HUB_TOKEN (access token, sent "
        "to the hub alone), STAPES_OFFLINE=1, STAPES_REGISTRY=FILE (a registry of your own), and "
        "the usual proxy variables.\n\n"
        "Prints the folder of each model on standard output.",
    .options = pull_options,
    .n_options = CLI_COUNT_OF(pull_options),
    .examples = pull_examples,
    .n_examples = CLI_COUNT_OF(pull_examples),
    .args_size = sizeof(pull_args),
    .defaults = pull_defaults,
    .run = run_pull,
};
