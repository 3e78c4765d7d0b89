/* The commands that print what the tables say: help, completion, man. */
#include "cli.h"

#include <string.h>

static int run_help(cli *c, void *args) {
    (void)args;
    if (c->inputs.count == 0)
        cli_print_overview(c);
    for (size_t i = 0; i < c->inputs.count; i++) {
        const char *name = c->inputs.items[i];
        const cli_command *command = cli_find_command(name);
        char near[64] = "";
        int best = cli_near_limit(name);
        if (command) {
            cli_print_help(c, command);
            continue;
        }
        for (const cli_command *const *at = cli_commands(); *at; at++) {
            if (!(*at)->hidden)
                cli_nearest(name, (*at)->name, near, sizeof(near), &best);
        }
        if (near[0])
            return cli_usage(c, "there is no command '%s'. Did you mean '%s'?", name, near);
        return cli_usage(c, "there is no command '%s'.", name);
    }
    return 0;
}

const cli_command cli_command_help = {
    .name = "help",
    .summary = "explain a command",
    .usage = "[COMMAND]",
    .description = "Prints the list of commands, or the options and examples of one.",
    .run = run_help,
};

static int run_completion(cli *c, void *args) {
    (void)args;
    if (c->inputs.count != 1 || !cli_print_completion(c, c->inputs.items[0]))
        return cli_usage(c, "name one shell: bash, zsh or fish.");
    return 0;
}

static const cli_example completion_examples[] = {
    {"source <(stapes completion bash)", "for this shell"},
    {"stapes completion fish > ~/.config/fish/completions/stapes.fish", "for good, in fish"},
};

const cli_command cli_command_completion = {
    .name = "completion",
    .summary = "print completions for bash, zsh or fish",
    .usage = "bash|zsh|fish",
    .description = "Prints a script that teaches the shell the commands and options of this "
                   "version of the program. An installed stapes has brought them along.",
    .words = "bash zsh fish",
    .examples = completion_examples,
    .n_examples = CLI_COUNT_OF(completion_examples),
    .run = run_completion,
};

static int run_man(cli *c, void *args) {
    (void)args;
    cli_print_man(c);
    return 0;
}

const cli_command cli_command_man = {
    .name = "man",
    .summary = "print the manual page",
    .usage = "",
    .description = "Prints the manual page in the man macros; read it with: stapes man | man -l -",
    .hidden = true,
    .run = run_man,
};
