/* From the options of CLI_GROUP_ENGINE to an open model. */
#include "cli.h"

#include <string.h>

int cli_engine_check(cli *c) {
    const char *precision = c->engine.precision;
    if (cli_has_word("f32 fp32 float32", precision)) {
        c->engine.precision = "f32";
    } else if (strcmp(precision, "auto") != 0) {
        return cli_fail(c, STAPES_E_UNSUPPORTED, "Use --precision auto or f32.",
                        "--precision %s: this version computes in f32 only", precision);
    }
    if (strcmp(c->engine.device, "cuda") == 0)
        return cli_fail(c, STAPES_E_UNSUPPORTED, "Leave --device out.",
                        "--device cuda: this version computes on the CPU only");
    return 0;
}

static bool report_load(void *user, double done, const char *stage) {
    (void)done;
    (void)stage;
    return !cli_stopping(user);
}

int cli_engine_open(cli *c, stapes_context **context, stapes_model **model) {
    stapes_error err = {0};
    stapes_context_params params;
    stapes_model_params model_params;
    *context = NULL;
    *model = NULL;
    stapes_context_params_default(&params);
    params.threads = c->engine.threads;
    params.cpu = c->engine.cpu;
    params.log = cli_log;
    params.log_user = c;
    params.log_level = c->common.verbose ? STAPES_LOG_INFO : STAPES_LOG_WARNING;
    if (stapes_context_open(context, &params, &err) != STAPES_OK)
        return cli_error(c, &err, NULL);
    stapes_model_params_default(&model_params);
    model_params.precision = c->engine.precision;
    model_params.progress = report_load;
    model_params.progress_user = c;
    if (stapes_model_open(model, *context, c->engine.model, &model_params, &err) == STAPES_OK)
        return 0;
    stapes_context_close(context);
    return err.code == STAPES_E_ABORTED ? stapes_status_exit_code(err.code)
                                        : cli_error(c, &err, NULL);
}
