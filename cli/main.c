/* stapes: the program. Chooses the command, reads its options, runs it, and makes sure that what
 * was printed has arrived. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool wants_json(int count, char **words) {
    for (int i = 1; i < count && strcmp(words[i], "--") != 0; i++) {
        if (strcmp(words[i], "--json") == 0)
            return true;
    }
    return false;
}

static bool exists(const char *path) {
    struct stat info;
    return stat(path, &info) == 0;
}

/* A word with a slash or a dot was meant as a file, whether it exists or not. */
static bool looks_like_file(const char *word) {
    return strchr(word, '/') || strchr(word, '.') || exists(word);
}

static int unknown_command(cli *c, const char *word) {
    char near[64] = "";
    int best = cli_near_limit(word);
    for (const cli_command *const *at = cli_commands(); *at; at++) {
        if (!(*at)->hidden)
            cli_nearest(word, (*at)->name, near, sizeof(near), &best);
    }
    if (near[0])
        return cli_usage(c, "'%s' is neither a command nor a file. Did you mean '%s'?", word, near);
    return cli_usage(c, "'%s' is neither a command nor a file.", word);
}

static void finish_colors(cli *c) {
    const char *none = getenv("NO_COLOR"), *term = getenv("TERM");
    bool plain = (none && *none) || (term && strcmp(term, "dumb") == 0);
    c->color_err = strcmp(c->common.color, "always") == 0 ||
                   (strcmp(c->common.color, "auto") == 0 && c->tty_err && !plain);
}

static int run_command(cli *c, int count, char **words) {
    void *args = calloc(1, c->command->args_size ? c->command->args_size : 1);
    if (!args)
        return cli_fail(c, STAPES_E_MEMORY, NULL, "not enough memory to start");
    if (c->command->defaults)
        c->command->defaults(args);
    int code = cli_parse(c, c->command, args, count, words);
    finish_colors(c);
    if (code == 0 && c->common.help)
        cli_print_help(c, c->command);
    else if (code == 0)
        code = c->command->run(c, args);
    free(args);
    return code;
}

/* General options that take no value may stand before the command, as in `stapes --json models`.
 * Returns the position of the command's word among words, 0 when there is none: then everything
 * belongs to transcribe. */
static int find_word(int count, char **words) {
    static const char leading[] = "--json --quiet -q -np --verbose -v --lenient";
    int at = 1;
    while (at < count && cli_has_word(leading, words[at]))
        at++;
    return at < count && cli_find_command(words[at]) ? at : 0;
}

static int dispatch(cli *c, int count, char **words) {
    if (count < 2) {
        cli_print_overview(c);
        return 2;
    }
    if (strcmp(words[1], "--help") == 0 || strcmp(words[1], "-h") == 0) {
        cli_print_overview(c);
        return 0;
    }
    if (strcmp(words[1], "--version") == 0 || strcmp(words[1], "-V") == 0) {
        cli_printf(c, "stapes %s\n", stapes_version());
        return 0;
    }
    int at = find_word(count, words);
    if (at > 0) {
        c->command = cli_find_command(words[at]);
        for (int i = at; i > 1; i--) /* the leading options move behind the command's name */
            words[i] = words[i - 1];
        return run_command(c, count - 2, words + 2);
    }
    if (words[1][0] != '-' && !looks_like_file(words[1]))
        return unknown_command(c, words[1]);
    c->command = cli_find_command("transcribe");
    return run_command(c, count - 1, words + 1);
}

int main(int argc, char **argv) {
    cli c = {.common = {.progress = "auto", .color = "auto"},
             .engine = {.cpu = "auto", .precision = "auto", .device = "auto"}};
    c.tty_out = isatty(STDOUT_FILENO);
    c.tty_err = isatty(STDERR_FILENO);
    c.common.json = wants_json(argc, argv);
    finish_colors(&c);
    c.stop = cli_stop_open(&c);
    if (!c.stop)
        return cli_fail(&c, STAPES_E_MEMORY, NULL, "not enough memory to start");
    int code = cli_out_finish(&c, dispatch(&c, argc, argv));
    cli_stop_close(c.stop);
    for (size_t i = 0; i < c.kept.count; i++)
        free((void *)(size_t)c.kept.items[i]);
    cli_list_free(&c.kept);
    cli_list_free(&c.inputs);
    cli_list_free(&c.given);
    return code;
}
