/* The manual page, from the tables, in the man macros of troff. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

/* Text of the tables as troff: hyphens and backslashes escaped, a leading dot or quote made
 * harmless, an empty line as a paragraph. */
static void text(cli *c, const char *from) {
    bool line_start = true;
    for (; *from; from++) {
        if (*from == '\n') {
            if (from[1] == '\n') {
                cli_printf(c, "\n.PP\n");
                from++;
            } else {
                cli_printf(c, "\n");
            }
            line_start = true;
            continue;
        }
        if (line_start && (*from == '.' || *from == '\''))
            cli_printf(c, "\\&");
        if (*from == '\\')
            cli_printf(c, "\\e");
        else if (*from == '-')
            cli_printf(c, "\\-");
        else
            cli_printf(c, "%c", *from);
        line_start = false;
    }
}

static void print_alias(void *user, const char *word, size_t length) {
    char copy[80];
    snprintf(copy, sizeof(copy), "%.*s", (int)strcspn(word, " ="), word);
    (void)length;
    cli_printf(user, " \\fB");
    text(user, copy);
    cli_printf(user, "\\fR");
}

static void print_options(cli *c, const cli_option *options, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const cli_option *option = &options[i];
        if (option->hidden)
            continue;
        if (!option->name) {
            cli_printf(c, ".PP\n\\fI%s\\fR\n", option->help);
            continue;
        }
        cli_printf(c, ".TP\n");
        if (option->letter)
            cli_printf(c, "\\fB\\-%c\\fR, ", option->letter);
        cli_printf(c, "\\fB\\-\\-");
        text(c, option->name);
        cli_printf(c, "\\fR");
        if (option->argument)
            cli_printf(c, " \\fI%s\\fR", option->argument);
        cli_printf(c, "\n");
        text(c, option->help);
        if (option->choices) {
            cli_printf(c, ".\nOne of: ");
            text(c, option->choices);
        }
        if (option->fallback) {
            cli_printf(c, ".\nDefault: ");
            text(c, option->fallback);
        }
        cli_printf(c, ".\n");
        if (option->aliases) {
            cli_printf(c, "Also:");
            cli_each_word(option->aliases, print_alias, c);
            cli_printf(c, ".\n");
        }
    }
}

static void print_command(cli *c, const cli_command *command) {
    cli_printf(c, ".SS \"stapes %s ", command->name);
    text(c, command->usage);
    cli_printf(c, "\"\n");
    text(c, command->description);
    cli_printf(c, "\n");
    print_options(c, command->options, command->n_options);
    if (command->groups & CLI_GROUP_ENGINE)
        cli_printf(c, ".PP\nAlso takes the options on model and machine below.\n");
    for (size_t i = 0; i < command->n_examples; i++) {
        cli_printf(c, ".PP\n.EX\n");
        text(c, command->examples[i].command);
        cli_printf(c, "\n.EE\n");
        text(c, command->examples[i].what);
        cli_printf(c, "\n");
    }
}

static void print_codes(cli *c) {
    static const char *const codes[][2] = {
        {"0", "everything was done"},
        {"1", "a failure at run time: memory, reading or writing, a full disk"},
        {"2", "the command line was not understood"},
        {"3", "the model is missing or damaged"},
        {"4", "the model, format or option is not supported"},
        {"5", "some of several inputs failed; the others are done"},
        {"6", "the audio could not be read"},
        {"130", "stopped by Ctrl-C or SIGTERM"},
    };
    cli_printf(c, ".SH EXIT STATUS\n");
    for (size_t i = 0; i < CLI_COUNT_OF(codes); i++)
        cli_printf(c, ".TP\n%s\n%s.\n", codes[i][0], codes[i][1]);
}

static void print_environment(cli *c) {
    static const char *const names[][2] = {
        {"STAPES_MODELS", "Folder of downloaded models."},
        {"XDG_CACHE_HOME", "Downloaded models are in stapes/models below it (default ~/.cache)."},
        {"NO_COLOR", "When set and not empty, no colours."},
    };
    cli_printf(c, ".SH ENVIRONMENT\n");
    for (size_t i = 0; i < CLI_COUNT_OF(names); i++)
        cli_printf(c, ".TP\n.B %s\n%s\n", names[i][0], names[i][1]);
}

void cli_print_man(cli *c) {
    size_t count;
    cli_printf(c, ".TH STAPES 1 \"\" \"stapes %s\" \"User Commands\"\n", stapes_version());
    cli_printf(c, ".SH NAME\nstapes \\- speech in, text out\n.SH SYNOPSIS\n"
                  ".B stapes\n.I FILE\\fR...\n.br\n.B stapes\n.I COMMAND\n[options]\n"
                  ".SH DESCRIPTION\n"
                  "stapes turns recorded speech into text on the local machine. It comes with a "
                  "small model and uses larger ones when they are there. Results go to standard "
                  "output, everything else to standard error.\n.SH COMMANDS\n");
    for (const cli_command *const *at = cli_commands(); *at; at++) {
        if (!(*at)->hidden)
            print_command(c, *at);
    }
    cli_printf(c, ".SH COMMON OPTIONS\n");
    const cli_option *engine = cli_engine_options(&count);
    print_options(c, engine, count);
    const cli_option *common = cli_common_options(&count);
    print_options(c, common, count);
    print_codes(c);
    print_environment(c);
}
