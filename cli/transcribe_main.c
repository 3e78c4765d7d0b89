/* stapes transcribe: from the options to the exit code. */
#include "transcribe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A marker in the cache folder; true when it was made now. */
static bool first_time(void) {
    char path[4096];
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n = cache && cache[0] == '/' ? snprintf(path, sizeof(path), "%s", cache)
            : home && *home          ? snprintf(path, sizeof(path), "%s/.cache", home)
                                     : -1;
    if (n < 0 || (size_t)n + 32 > sizeof(path))
        return false;
    mkdir(path, 0700);
    snprintf(path + n, sizeof(path) - (size_t)n, "/stapes");
    mkdir(path, 0777);
    snprintf(path + n, sizeof(path) - (size_t)n, "/stapes/models-hint-shown");
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return false;
    close(fd);
    return true;
}

static void tell_better_models(cli *c) {
    if (c->engine.model || c->common.quiet || c->common.json || !first_time())
        return;
    cli_note(c, "this used the small model that comes with stapes; for better text: stapes pull "
                "parakeet-tdt-0.6b-v3 (25 languages) or parakeet-tdt-0.6b-v2 (English), then "
                "--model NAME. This is said once.");
}

static void session_params(const transcribe_args *args, stapes_session_params *params) {
    stapes_session_params_default(params);
    params->language = args->language;
    params->decoder = args->decoder;
    params->confidence = args->confidence;
    params->max_symbols = args->max_symbols;
    params->attention = args->attention;
    params->full_seconds = args->full_seconds;
    params->window_left = args->left;
    params->window_chunk = args->chunk;
    params->window_right = args->right;
    params->nemo_text = args->nemo_text;
    params->segment_gap = args->segment_gap;
}

/* With --lenient a language that the model does not know is left out. */
static stapes_status run_all(const writing *w, stapes_model *model, inputs *list, totals *sum,
                             stapes_error *err) {
    stapes_session_params params;
    session_params(w->args, &params);
    stapes_status status = transcribe_all(w, model, &params, list, sum, err);
    if (status != STAPES_E_UNSUPPORTED || !w->c->common.lenient ||
        strcmp(params.language, "auto") == 0)
        return status;
    cli_warn(w->c, "%s; --language is ignored", err->message);
    params.language = "auto";
    return transcribe_all(w, model, &params, list, sum, err);
}

static int exit_code(cli *c, const inputs *list, const totals *sum) {
    if (cli_stopping(c)) {
        if (list->count > 1)
            cli_note(c, "interrupted: %zu of %zu inputs done", sum->done, list->count);
        return stapes_status_exit_code(STAPES_E_ABORTED);
    }
    if (sum->failed == 0)
        return 0;
    if (list->count == 1)
        return stapes_status_exit_code(list->items[0].error.code);
    return stapes_status_exit_code(STAPES_E_PARTIAL);
}

static int recognise(cli *c, const transcribe_args *args, inputs *list) {
    stapes_context *context = NULL;
    stapes_model *model = NULL;
    stapes_model_info info;
    stapes_error err = {0};
    totals sum = {0};
    int code = cli_engine_open(c, &context, &model);
    if (code == 0) {
        stapes_model_get_info(model, &info);
        cli_detail(c, "%s: %s, %.1f M parameters, %s, %s on %d thread%s", info.path,
                   info.architecture, (double)info.parameters / 1e6, info.precision, info.isa,
                   (int)info.threads, info.threads == 1 ? "" : "s");
        code = transcribe_check_model(c, args, &info);
    }
    if (code == 0) {
        writing w = {.c = c, .args = args, .model = &info};
        if (run_all(&w, model, list, &sum, &err) != STAPES_OK)
            code = cli_error(c, &err, NULL);
        else
            code = exit_code(c, list, &sum);
        if (sum.done > 0)
            tell_better_models(c);
    }
    stapes_model_close(&model);
    stapes_context_close(&context);
    return code;
}

/* When no input can be read there is no use in loading a model. */
static int report_unreadable(cli *c, const inputs *list) {
    int code = 0;
    for (size_t i = 0; i < list->count; i++)
        code = cli_error(c, &list->items[i].error, list->items[i].path);
    return list->count == 1 ? code : stapes_status_exit_code(STAPES_E_PARTIAL);
}

static int with_inputs(cli *c, transcribe_args *args, inputs *list) {
    bool readable = false;
    stapes_status status = transcribe_find_inputs(list, &args->files, args->recursive);
    if (status == STAPES_OK)
        status = transcribe_find_inputs(list, &c->inputs, args->recursive);
    if (status == STAPES_OK && args->output && list->count > 1)
        return cli_usage(c, "--output names one file, but there are %zu inputs: use --output-dir.",
                         list->count);
    if (status == STAPES_OK)
        status = transcribe_choose_targets(list, args);
    if (status != STAPES_OK)
        return cli_fail(c, status, NULL, "not enough memory for the list of inputs");
    for (size_t i = 0; i < list->count; i++)
        readable = readable || list->items[i].error.code == STAPES_OK;
    return readable ? recognise(c, args, list) : report_unreadable(c, list);
}

int transcribe_run(cli *c, void *user) {
    transcribe_args *args = user;
    inputs list = {0};
    int code = transcribe_check(c, args, args->files.count + c->inputs.count);
    if (code == 0)
        code = with_inputs(c, args, &list);
    transcribe_free_inputs(&list);
    cli_list_free(&args->files);
    cli_list_free(&args->formats);
    return code;
}
