/* What is checked about the options before and after the model is known. */
#include "transcribe.h"

#include <string.h>
#include <strings.h>

static int check_channel(cli *c, transcribe_args *args) {
    long number;
    args->channel_index = STAPES_CHANNEL_MIX;
    if (strcasecmp(args->channel, "mix") == 0)
        return 0;
    if (strcasecmp(args->channel, "split") == 0) {
        args->channel_index = CHANNEL_SPLIT;
        return 0;
    }
    if (!cli_parse_int(args->channel, &number) || number < 0 || number > 1023)
        return cli_usage(c, "--channel: '%s' is none of: mix, split, a number from 0.",
                         args->channel);
    args->channel_index = (int)number;
    return 0;
}

static int check_window(cli *c, transcribe_args *args) {
    if (!args->window)
        return 0;
    if (!cli_parse_window(args->window, &args->left, &args->chunk, &args->right))
        return cli_usage(c, "--window: '%s' is not of the form LEFT-CHUNK-RIGHT, as in 10-20-5.",
                         args->window);
    if (strcmp(args->attention, "auto") == 0)
        args->attention = "window";
    return 0;
}

static int check_formats(cli *c, transcribe_args *args) {
    static const char *const every[] = {"txt", "json", "srt", "vtt", "tsv", "csv", "lrc", "ctm"};
    cli_list chosen = {0};
    bool ok = true,
         to_stdout = !args->output_dir && (!args->output || strcmp(args->output, "-") == 0);
    if (c->common.json && to_stdout && args->formats.count > 0)
        return cli_usage(c, "--json prints JSON: --format needs --output or --output-dir with it.");
    if (args->formats.count == 0) {
        ok = cli_list_add(&chosen, c->common.json ? (to_stdout ? "jsonl" : "json") : "txt");
    }
    for (size_t i = 0; i < args->formats.count; i++) {
        bool all = strcmp(args->formats.items[i], "all") == 0;
        for (size_t k = 0; k < (all ? CLI_COUNT_OF(every) : 1); k++) {
            const char *format = all ? every[k] : args->formats.items[i];
            bool there = false;
            for (size_t n = 0; n < chosen.count; n++)
                there = there || strcmp(chosen.items[n], format) == 0;
            ok = ok && (there || cli_list_add(&chosen, format));
        }
    }
    cli_list_free(&args->formats);
    args->formats = chosen;
    return ok ? 0 : cli_fail(c, STAPES_E_MEMORY, NULL, "not enough memory for the command line");
}

int transcribe_check(cli *c, transcribe_args *args, size_t n_inputs) {
    if (n_inputs == 0)
        return cli_usage(c, "no input: name a recording, a folder, or - for standard input.");
    if (args->output && args->output_dir)
        return cli_usage(c, "--output and --output-dir cannot be used together.");
    if (!args->raw && (cli_given(c, "rate") || cli_given(c, "channels")))
        return cli_usage(c, "--rate and --channels describe raw PCM: name its format with --raw.");
    if (args->skip_existing && !args->output && !args->output_dir)
        return cli_usage(c, "--skip-existing needs --output or --output-dir.");
    if (args->words_word)
        args->words = strcmp(args->words_word, "true") == 0;
    int code = cli_engine_check(c);
    if (code == 0)
        code = check_channel(c, args);
    if (code == 0)
        code = check_window(c, args);
    return code ? code : check_formats(c, args);
}

static int no_effect(cli *c, const stapes_model_info *info, const char *name) {
    if (c->common.lenient) {
        cli_warn(c, "--%s has no effect with %s (%s)", name, info->name, info->architecture);
        return 0;
    }
    return cli_fail(c, STAPES_E_UNSUPPORTED, "Leave it out, or add --lenient.",
                    "--%s has no effect with %s (%s)", name, info->name, info->architecture);
}

static bool foreign_matters(const cli *c, const transcribe_args *args, const cli_option *option) {
    if (!option->hidden || !option->name || strcmp(option->name, "word-timestamps") == 0 ||
        !cli_given(c, option->name))
        return false;
    const char *value;
    if (option->type == CLI_FLAG)
        return *(const bool *)(const void *)((const char *)args + option->offset);
    memcpy(&value, (const char *)args + option->offset, sizeof(value));
    double number, neutral;
    if (cli_parse_number(value, &number) && cli_parse_number(option->fallback, &neutral))
        return number != neutral;
    return strcasecmp(value, option->fallback) != 0;
}

int transcribe_check_model(cli *c, const transcribe_args *args, const stapes_model_info *info) {
    bool ctc = strcmp(args->decoder, "ctc") == 0 ||
               (strcmp(args->decoder, "auto") == 0 && strstr(info->architecture, "-ctc"));
    int code = 0;
    for (size_t i = 0; i < c->command->n_options && code == 0; i++) {
        if (foreign_matters(c, args, &c->command->options[i]))
            code = no_effect(c, info, c->command->options[i].name);
    }
    if (code == 0 && ctc && args->max_symbols > 0)
        code = no_effect(c, info, "max-symbols");
    return code;
}
