/* stapes doctor: what this machine offers, what is missing, and what to do about it. */
#include "doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "models.h"

typedef struct doctor_args {
    bool online;
} doctor_args;

static const char *const state_words[] = {"ok", "note", "bad"};

void doctor_add(doctor *d, const char *check, doctor_state state, const char *advice,
                const char *format, ...) {
    char finding[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(finding, sizeof finding, format, list);
    va_end(list);
    if (state > d->worst)
        d->worst = state;
    /* a name from the file system need not be UTF-8, which JSON demands */
    json_t *text = json_string(finding), *advised = json_string(advice ? advice : "");
    json_t *row = json_pack("{s:s, s:s, s:o, s:o}", "check", check, "state", state_words[state],
                            "finding", text ? text : json_string("(not printable)"), "advice",
                            advised ? advised : json_string(""));
    if (!row || json_array_append_new(d->findings, row) != 0)
        d->failed = true;
}

static void print_finding(cli *c, const json_t *row) {
    const char *state = json_string_value(json_object_get(row, "state"));
    const char *advice = json_string_value(json_object_get(row, "advice"));
    cli_printf(c, "%-5s %-18s %s\n", state, json_string_value(json_object_get(row, "check")),
               json_string_value(json_object_get(row, "finding")));
    if (*advice)
        cli_printf(c, "%24s -> %s\n", "", advice);
}

static int run_doctor(cli *c, void *raw) {
    const doctor_args *args = raw;
    if (c->inputs.count > 0)
        return cli_usage(c, "takes no arguments");
    doctor d = {.c = c, .findings = json_array()};
    if (!d.findings)
        return cli_fail(c, STAPES_E_MEMORY, NULL, "not enough memory for the report");
    void (*const checks[])(doctor *) = {doctor_machine, doctor_libraries, doctor_decode,
                                        doctor_models};
    for (size_t i = 0; i < CLI_COUNT_OF(checks) && !cli_stopping(c); i++)
        checks[i](&d);
    if (args->online && !cli_stopping(c))
        doctor_online(&d);
    bool good = d.worst != DOCTOR_BAD;
    int code = good ? 0 : 1;
    if (d.failed) {
        code = cli_fail(c, STAPES_E_MEMORY, NULL, "not enough memory for the report");
    } else if (c->common.json) {
        cli_print_json(c, json_pack("{s:s, s:b, s:O}", "version", stapes_version(), "ok", good,
                                    "findings", d.findings));
    } else {
        for (size_t i = 0; i < json_array_size(d.findings); i++)
            print_finding(c, json_array_get(d.findings, i));
        cli_printf(c, "%s\n", good ? "everything that is needed works" : "something is wrong");
    }
    json_decref(d.findings);
    return cli_stopping(c) ? stapes_status_exit_code(STAPES_E_ABORTED) : code;
}

static const cli_option doctor_options[] = {
    {.name = "online",
     .type = CLI_FLAG,
     .offset = offsetof(doctor_args, online),
     .help = "also see whether the hub answers; without it no network is used"},
};

static const cli_example doctor_examples[] = {
    {"stapes doctor", "the report"},
    {"stapes doctor --json", "the same for a script; exit code 0 when all is well"},
};

const cli_command cli_command_doctor = {
    .name = "doctor",
    .summary = "check this machine and installation",
    .usage = "[options]",
    .description =
        "Reports the processor and its instruction sets, memory, the libraries with their audio "
        "formats, the embedded model with one test decode, the model cache and the downloaded "
        "models, and says what to do about anything that is missing. Exit code 0 when what is "
        "needed works, 1 otherwise. No network is used without --online.",
    .groups = CLI_GROUP_ENGINE,
    .options = doctor_options,
    .n_options = CLI_COUNT_OF(doctor_options),
    .examples = doctor_examples,
    .n_examples = CLI_COUNT_OF(doctor_examples),
    .args_size = sizeof(doctor_args),
    .run = run_doctor,
};
