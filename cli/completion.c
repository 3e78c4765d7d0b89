/* Shell completions, from the tables. Every shell gets the options of each command with their
 * choices; positionals complete as files where the command takes files. Without a command word
 * the options of transcribe are offered, as the program itself does. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

typedef void (*option_fn)(cli *c, const cli_option *option);

static void each_in(cli *c, const cli_option *options, size_t count, option_fn fn) {
    for (size_t i = 0; i < count; i++) {
        if (options[i].name && !options[i].hidden)
            fn(c, &options[i]);
    }
}

static void each_option(cli *c, const cli_command *command, option_fn fn) {
    size_t count;
    each_in(c, command->options, command->n_options, fn);
    const cli_option *common = cli_common_options(&count);
    each_in(c, common, count, fn);
    if (command->groups & CLI_GROUP_ENGINE) {
        const cli_option *engine = cli_engine_options(&count);
        each_in(c, engine, count, fn);
    }
}

static void command_names(cli *c, const char *between) {
    const char *before = "";
    for (const cli_command *const *at = cli_commands(); *at; at++) {
        if (!(*at)->hidden) {
            cli_printf(c, "%s%s", before, (*at)->name);
            before = between;
        }
    }
}

/* Positional words: the table's, or the commands for `help`. */
static void positional_words(cli *c, const cli_command *command) {
    if (strcmp(command->name, "help") == 0)
        command_names(c, " ");
    else
        cli_printf(c, "%s", command->words ? command->words : "");
}

/* ---- bash --------------------------------------------------------------------------------- */

static void bash_word(cli *c, const cli_option *option) {
    cli_printf(c, " --%s", option->name);
    if (option->letter)
        cli_printf(c, " -%c", option->letter);
}

static void bash_value(cli *c, const cli_option *option) {
    if (option->type == CLI_FLAG)
        return;
    cli_printf(c, "            --%s", option->name);
    if (option->letter)
        cli_printf(c, "|-%c", option->letter);
    if (option->choices)
        cli_printf(c, ") COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return ;;\n", option->choices);
    else
        cli_printf(c, ") COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n");
}

static void bash_command(cli *c, const cli_command *command) {
    bool first = strcmp(command->name, "transcribe") == 0;
    cli_printf(c, "    %s%s)\n        case $prev in\n", command->name, first ? "|''" : "");
    each_option(c, command, bash_value);
    cli_printf(c, "        esac\n        words='");
    positional_words(c, command);
    cli_printf(c, "'\n        options='");
    each_option(c, command, bash_word);
    cli_printf(c, "'\n        files=%s ;;\n", command->files ? "yes" : "");
}

static void print_bash(cli *c) {
    cli_printf(c, "# bash completion of stapes; made by: stapes completion bash\n"
                  "_stapes() {\n"
                  "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
                  "    local command= words= options= files= i\n"
                  "    COMPREPLY=()\n"
                  "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                  "        case ${COMP_WORDS[i]} in\n        ");
    command_names(c, "|");
    cli_printf(c, ") command=${COMP_WORDS[i]}; break ;;\n        esac\n    done\n"
                  "    case $command in\n");
    for (const cli_command *const *at = cli_commands(); *at; at++) {
        if (!(*at)->hidden)
            bash_command(c, *at);
    }
    cli_printf(c, "    esac\n"
                  "    if [[ $cur == -* ]]; then\n"
                  "        COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
                  "        return\n"
                  "    fi\n"
                  "    [[ -z $command ]] && words='");
    command_names(c, " ");
    cli_printf(c, "'\n"
                  "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
                  "    [[ $files ]] && COMPREPLY+=($(compgen -f -- \"$cur\"))\n"
                  "}\n"
                  "complete -o filenames -F _stapes stapes\n");
}

/* ---- zsh ---------------------------------------------------------------------------------- */

/* Help text inside '...[...]': quotes, brackets, colons and backslashes escaped. */
static void zsh_text(cli *c, const char *text) {
    for (; *text; text++) {
        if (*text == '\'')
            cli_printf(c, "'\\''");
        else
            cli_printf(c, "%s%c", strchr("[]:\\", *text) ? "\\" : "", *text);
    }
}

static void zsh_spec(cli *c, const cli_option *option, const char *dashes, const char *name) {
    bool repeats = option->type == CLI_LIST || option->type == CLI_CHOICES;
    cli_printf(c, "            '%s%s%s[", repeats ? "*" : "", dashes, name);
    zsh_text(c, option->help);
    cli_printf(c, "]");
    if (option->type != CLI_FLAG) {
        cli_printf(c, ":");
        zsh_text(c, option->argument ? option->argument : "value");
        if (option->choices)
            cli_printf(c, ":(%s)", option->choices);
        else
            cli_printf(c, ":_files");
    }
    cli_printf(c, "' \\\n");
}

static void zsh_option(cli *c, const cli_option *option) {
    char letter[2] = {option->letter, 0};
    zsh_spec(c, option, "--", option->name);
    if (option->letter)
        zsh_spec(c, option, "-", letter);
}

static void zsh_command(cli *c, const cli_command *command) {
    bool first = strcmp(command->name, "transcribe") == 0;
    cli_printf(c, "    %s%s)\n        _arguments \\\n", first ? "*" : command->name, "");
    each_option(c, command, zsh_option);
    if (command->files) {
        cli_printf(c, "            '*:file:_files' ;;\n");
    } else {
        cli_printf(c, "            '*: :(");
        positional_words(c, command);
        cli_printf(c, ")' ;;\n");
    }
}

static void print_zsh(cli *c) {
    cli_printf(c, "#compdef stapes\n# zsh completion of stapes; made by: stapes completion zsh\n"
                  "_stapes() {\n    local -a commands\n    commands=(\n");
    for (const cli_command *const *at = cli_commands(); *at; at++) {
        if ((*at)->hidden)
            continue;
        cli_printf(c, "        '%s:", (*at)->name);
        zsh_text(c, (*at)->summary);
        cli_printf(c, "'\n");
    }
    cli_printf(c, "    )\n"
                  "    if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then\n"
                  "        _describe command commands\n"
                  "        _files\n"
                  "        return\n"
                  "    fi\n"
                  "    case $words[2] in\n");
    for (const cli_command *const *at = cli_commands(); *at; at++) {
        if (!(*at)->hidden && strcmp((*at)->name, "transcribe") != 0)
            zsh_command(c, *at);
    }
    zsh_command(c, cli_find_command("transcribe")); /* the pattern *, so the last */
    cli_printf(c, "    esac\n}\nif [[ $funcstack[1] == _stapes ]]; then\n    _stapes \"$@\"\nelse\n"
                  "    compdef _stapes stapes\nfi\n");
}

/* ---- fish --------------------------------------------------------------------------------- */

static void fish_text(cli *c, const char *text) {
    for (; *text; text++)
        cli_printf(c, "%s%c", *text == '\'' || *text == '\\' ? "\\" : "", *text);
}

static void fish_option(cli *c, const cli_option *option) {
    cli_printf(c, "complete -c stapes -n \"$when\" -l %s", option->name);
    if (option->letter)
        cli_printf(c, " -s %c", option->letter);
    if (option->choices)
        cli_printf(c, " -x -a '%s'", option->choices);
    else if (option->type != CLI_FLAG)
        cli_printf(c, " -r");
    cli_printf(c, " -d '");
    fish_text(c, option->help);
    cli_printf(c, "'\n");
}

static void print_fish(cli *c) {
    cli_printf(c, "# fish completion of stapes; made by: stapes completion fish\nset -l commands ");
    command_names(c, " ");
    cli_printf(c, "\nset -l none \"not __fish_seen_subcommand_from $commands\"\n");
    for (const cli_command *const *at = cli_commands(); *at; at++) {
        if ((*at)->hidden)
            continue;
        bool first = strcmp((*at)->name, "transcribe") == 0;
        cli_printf(c, "complete -c stapes -n \"$none\" -a %s -d '", (*at)->name);
        fish_text(c, (*at)->summary);
        cli_printf(c, "'\nset -l when \"__fish_seen_subcommand_from %s%s\"\n", (*at)->name,
                   first ? "; or $none" : "");
        each_option(c, *at, fish_option);
        if ((*at)->files)
            continue;
        cli_printf(c, "complete -c stapes -n \"$when\" -f -a '");
        positional_words(c, *at);
        cli_printf(c, "'\n");
    }
}

bool cli_print_completion(cli *c, const char *shell) {
    if (strcmp(shell, "bash") == 0)
        print_bash(c);
    else if (strcmp(shell, "zsh") == 0)
        print_zsh(c);
    else if (strcmp(shell, "fish") == 0)
        print_fish(c);
    else
        return false;
    return true;
}
