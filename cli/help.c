/* --help, from the tables. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

enum { WIDTH = 80, COLUMN = 28 };

/* Wraps text at WIDTH, starting at column `at`, later lines indented by `indent`. */
static void wrap(cli *c, const char *text, int at, int indent) {
    bool first = true;
    while (*text) {
        text += strspn(text, " ");
        int length = (int)strcspn(text, " \n");
        if (!first && at + 1 + length > WIDTH) {
            cli_printf(c, "\n%*s", indent, "");
            at = indent;
            first = true;
        }
        if (length > 0) {
            cli_printf(c, "%s%.*s", first ? "" : " ", length, text);
            at += length + !first;
            first = false;
        }
        text += length;
        if (*text == '\n') {
            cli_printf(c, "\n%*s", text[1] == '\n' ? 0 : indent, "");
            at = indent;
            first = true;
            text++;
        }
    }
    cli_printf(c, "\n");
}

typedef struct alias_print {
    cli *c;
    char *out;
    size_t capacity, length;
} alias_print;

static void add_alias(void *user, const char *word, size_t length) {
    alias_print *p = user;
    if (p->length + length + 3 >= p->capacity)
        return;
    p->length += (size_t)snprintf(p->out + p->length, p->capacity - p->length, "%s%.*s",
                                  p->length ? ", " : "", (int)strcspn(word, " ="), word);
}

static void print_option(cli *c, const cli_option *option) {
    char left[96], text[900], aliases[256] = "";
    int n = option->letter
                ? snprintf(left, sizeof(left), "  -%c, --%s", option->letter, option->name)
                : snprintf(left, sizeof(left), "      --%s", option->name);
    if (option->argument && n > 0 && (size_t)n < sizeof(left))
        n += snprintf(left + n, sizeof(left) - (size_t)n, " %s", option->argument);
    alias_print print = {c, aliases, sizeof(aliases), 0};
    cli_each_word(option->aliases, add_alias, &print);
    snprintf(text, sizeof(text), "%s%s%s%s%s%s%s%s%s%s", option->help,
             option->choices ? " (one of: " : "", option->choices ? option->choices : "",
             option->choices ? ")" : "", option->fallback ? " [default: " : "",
             option->fallback ? option->fallback : "", option->fallback ? "]" : "",
             aliases[0] ? " [also: " : "", aliases, aliases[0] ? "]" : "");
    cli_printf(c, "%s", left);
    if (n >= COLUMN - 1)
        cli_printf(c, "\n%*s", COLUMN, "");
    else
        cli_printf(c, "%*s", COLUMN - n, "");
    wrap(c, text, COLUMN, COLUMN);
}

static void print_options(cli *c, const cli_option *options, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (options[i].hidden)
            continue;
        if (options[i].name)
            print_option(c, &options[i]);
        else
            cli_printf(c, "\n%s:\n", options[i].help);
    }
}

void cli_print_help(cli *c, const cli_command *command) {
    size_t count;
    cli_printf(c, "stapes %s: %s\n\nusage: stapes %s %s\n\n", command->name, command->summary,
               command->name, command->usage);
    wrap(c, command->description, 0, 0);
    print_options(c, command->options, command->n_options);
    if (command->groups & CLI_GROUP_ENGINE) {
        const cli_option *engine = cli_engine_options(&count);
        print_options(c, engine, count);
    }
    const cli_option *common = cli_common_options(&count);
    print_options(c, common, count);
    if (command->n_examples > 0)
        cli_printf(c, "\nExamples:\n");
    for (size_t i = 0; i < command->n_examples; i++) {
        cli_printf(c, "  %s\n      ", command->examples[i].command);
        wrap(c, command->examples[i].what, 6, 6);
    }
}

void cli_print_overview(cli *c) {
    cli_printf(c,
               "stapes %s: speech in, text out\n\n"
               "usage: stapes FILE...             the same as stapes transcribe FILE...\n"
               "       stapes COMMAND [options]\n"
               "       stapes help COMMAND\n\nCommands:\n",
               stapes_version());
    for (const cli_command *const *at = cli_commands(); *at; at++) {
        if (!(*at)->hidden)
            cli_printf(c, "  %-12s %s\n", (*at)->name, (*at)->summary);
    }
    cli_printf(c,
               "\nExit codes: 0 ok, 1 failure at run time, 2 wrong command line, 3 model missing "
               "or\ndamaged, 4 not supported, 5 some inputs failed, 6 audio unreadable, 130 "
               "interrupted.\n");
}
