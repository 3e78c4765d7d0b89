/* The frame that every command of the program hangs in. A command is one table (cli_command):
 * name, description, options, examples, run function. Parsing, --help, the manual page and the
 * shell completions are all made from that table, so that they cannot disagree.
 *
 * A new command: cli/cmd_NAME.c with `const cli_command cli_command_NAME = {...}` and one line in
 * cli/commands.c. Results go to standard output, everything else to standard error. */
#ifndef STAPES_CLI_CLI_H
#define STAPES_CLI_CLI_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "stapes/stapes.h"

#define CLI_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* ---- options ------------------------------------------------------------------------------ */

/* A growing list of strings that are not owned (they point into argv or into tables). */
typedef struct cli_list {
    const char **items;
    size_t count, capacity;
} cli_list;

typedef enum cli_type {
    CLI_FLAG,    /* bool; --no-NAME clears it */
    CLI_TEXT,    /* const char * */
    CLI_CHOICE,  /* const char *, one of `choices` (the table's spelling is stored) */
    CLI_LIST,    /* cli_list, one item for each use */
    CLI_CHOICES, /* cli_list, comma-separated or repeated, each one of `choices` */
    CLI_INT,     /* int, min..max */
    CLI_NUMBER,  /* double, min..max */
    CLI_TIME,    /* double, seconds: "90", "1:30", "00:01:30.5" */
    CLI_TIME_MS  /* double, seconds, written in milliseconds */
} cli_type;

/* One option. name == NULL makes a heading in the help; its text is `help`. */
typedef struct cli_option {
    const char *name; /* long name without dashes, hyphens inside ("output-dir") */
    char letter;      /* 'm' for -m, or 0 */
    cli_type type;
    size_t offset;        /* of the value in the command's (or group's) struct */
    const char *argument; /* its name in the help ("FILE"); NULL for flags */
    const char *help;
    const char *fallback; /* default shown in the help, NULL = none worth saying */
    const char *choices;  /* space-separated; also offered by the completions */
    const char *aliases;  /* space-separated, as typed with dashes; "-otxt=txt" stands for the
                             option with the value txt and takes no argument; "-nt=no"
                             clears a flag */
    double min, max;      /* CLI_INT, CLI_NUMBER, CLI_TIME: checked when min < max */
    bool hidden;          /* understood, left out of the help */
} cli_option;

/* Options of every command. */
typedef struct cli_common {
    bool help, json, quiet, verbose, lenient;
    const char *progress; /* "auto", "plain", "none" */
    const char *color;    /* "auto", "always", "never" */
} cli_common;

/* Options of the commands that compute (CLI_GROUP_ENGINE). */
typedef struct cli_engine {
    const char *model; /* NULL = the embedded one */
    int threads;       /* 0 = all usable cores */
    const char *cpu, *precision, *device;
} cli_engine;

enum { CLI_GROUP_ENGINE = 1 };

typedef struct cli_example {
    const char *command, *what;
} cli_example;

typedef struct cli cli;

typedef struct cli_command {
    const char *name;
    const char *aliases;     /* other names, space-separated, or NULL */
    const char *summary;     /* one line, no full stop */
    const char *usage;       /* what follows "stapes NAME", for example "[options] FILE|DIR|-..." */
    const char *description; /* paragraphs separated by an empty line */
    const char *words;       /* fixed positional words for the completions, or NULL */
    bool files;              /* positionals are files: completed as such */
    bool hidden;             /* left out of the list of commands */
    unsigned groups;         /* CLI_GROUP_* */
    const cli_option *options;
    size_t n_options;
    const cli_example *examples;
    size_t n_examples;
    size_t args_size;             /* of the struct that the options write into; zeroed */
    void (*defaults)(void *args); /* sets what is not zero, NULL = nothing */
    /* args is the filled struct; positionals are in cli->inputs. Returns the exit code. */
    int (*run)(cli *c, void *args);
} cli_command;

/* ---- the running program ------------------------------------------------------------------ */

typedef struct cli_stop cli_stop;

struct cli {
    const cli_command *command; /* NULL before one is chosen */
    cli_common common;
    cli_engine engine;
    cli_list inputs;         /* positional arguments in order */
    cli_list given;          /* names of the options that were given */
    cli_list kept;           /* strings made while parsing, freed at the end */
    bool out_broken;         /* the reader of standard output has gone */
    stapes_status out_error; /* first failure of standard output */
    bool color_err;          /* colours on standard error */
    bool tty_out, tty_err;
    struct cli_progress *bar; /* the bar on the screen, if any; set by cli_progress_open */
    cli_stop *stop;
};

/* All commands, in the order of the help; NULL ends the list. */
const cli_command *const *cli_commands(void);
/* A command by name or alias, NULL when there is none. */
const cli_command *cli_find_command(const char *name);

/* Fills c, its groups and args from the words after the command. On failure prints the error and
 * returns the exit code, otherwise 0. args has command->args_size zeroed bytes. */
int cli_parse(cli *c, const cli_command *command, void *args, int count, char **words);
/* Whether an option (long name) was on the command line. */
bool cli_given(const cli *c, const char *name);
/* Option tables of the groups, for whoever prints them. */
const cli_option *cli_common_options(size_t *count);
const cli_option *cli_engine_options(size_t *count);

/* false when memory is short. */
bool cli_list_add(cli_list *list, const char *item);
void cli_list_free(cli_list *list);

/* ---- model ------------------------------------------------------------------------------ */

/* Refuses what no build of this version can do (--precision, --device). Returns the exit code. */
int cli_engine_check(cli *c);
/* Opens a context and the model that c->engine names; the caller closes both. On failure prints
 * the error, leaves both NULL and returns the exit code. */
int cli_engine_open(cli *c, stapes_context **context, stapes_model **model);

/* ---- values ------------------------------------------------------------------------------- */

/* Each reads the whole string or fails; '.' is the decimal point in every locale. */
bool cli_parse_number(const char *text, double *value);
bool cli_parse_int(const char *text, long *value);
/* "90", "90.5", "90s", "1:30", "00:01:30.5", and "2m30s" / "1h" forms; seconds. */
bool cli_parse_time(const char *text, double *seconds);
/* "10-20-5" (also with commas): left context, chunk and right context in any form of a time; the
 * chunk must be positive. */
bool cli_parse_window(const char *text, double *left, double *chunk, double *right);
/* "Did you mean": looks for the word of a space-separated list whose edit distance to `word` is
 * below *best; writes it to out and lowers *best. Start with out empty and *best =
 * cli_near_limit(word); may be called for several lists in turn. */
int cli_near_limit(const char *word);
void cli_nearest(const char *word, const char *list, char *out, size_t capacity, int *best);
/* Calls fn for each word of a space-separated list (NULL = empty list). */
typedef void (*cli_word_fn)(void *user, const char *word, size_t length);
void cli_each_word(const char *list, cli_word_fn fn, void *user);
/* Whether a space-separated list holds a word. */
bool cli_has_word(const char *list, const char *word);
/* Seconds as "1:02:03" or "2:03". Returns out. */
char *cli_clock(double seconds, char *out, size_t capacity);

/* ---- messages ----------------------------------------------------------------------------- */

/* Prints an error: one line "stapes: FILE: message. hint" or, with --json, one object
 * {"error":{"code","name","message","hint","file"}}. file may be NULL and is left out of the line
 * when the message names it already. Returns the exit code of error->code. */
int cli_error(cli *c, const stapes_error *error, const char *file);
/* The same from parts; hint may be NULL. */
int cli_fail(cli *c, stapes_status code, const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* A wrong command line: like cli_fail(STAPES_E_USAGE), naming `stapes help COMMAND`. */
int cli_usage(cli *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A line on standard error: warnings always unless --quiet, notes unless --quiet, details only
 * with --verbose. */
void cli_warn(cli *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cli_note(cli *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cli_detail(cli *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A log sink for stapes_context_params that writes to standard error; user is the cli. */
void cli_log(void *user, stapes_log_level level, const char *line);

/* Standard output. cli_write has the form of stapes_write_fn with the cli as user; false after
 * the reader has gone (nothing more need be done: cli_out_finish returns 0) or the disk is full
 * (cli_out_finish prints it). */
bool cli_write(void *user, const char *bytes, size_t count);
bool cli_printf(cli *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool cli_flush(cli *c);
/* Flushes; prints what went wrong with standard output, if anything. Returns the exit code to
 * end with: `code` unless that was 0 and the output failed. */
int cli_out_finish(cli *c, int code);
/* Writes text as the inside of a JSON string (without the quotes) to stream-like `write`. */
void cli_json_escape(const char *text, stapes_write_fn write, void *user);

/* ---- stopping ----------------------------------------------------------------------------- */

/* SIGINT and SIGTERM: the first asks to stop, the second ends the program. */
bool cli_stopping(const cli *c);
/* fn(user) is called once from another thread at the first signal, or at once when it has come
 * already. One at a time; NULL takes it away. fn may not be running when this returns. */
void cli_on_stop(cli *c, void (*fn)(void *user), void *user);
/* Makes a blocked reader of standard input see its end when the program is asked to stop, where
 * standard input is a pipe or a terminal: then true. Call before the first read. */
bool cli_guard_stdin(cli *c);
/* Used by main alone. */
cli_stop *cli_stop_open(cli *c);
void cli_stop_close(cli_stop *stop);

/* ---- progress ----------------------------------------------------------------------------- */

typedef enum cli_unit {
    CLI_UNIT_AUDIO, /* seconds of audio; speed as x real time */
    CLI_UNIT_BYTES, /* speed as MB/s */
    CLI_UNIT_ITEMS  /* speed as items/s */
} cli_unit;

typedef struct cli_progress cli_progress;

/* On a terminal (or --progress plain) shows how far a long task is; otherwise does nothing.
 * Returns NULL when nothing is shown: all functions accept NULL. */
cli_progress *cli_progress_open(cli *c, cli_unit unit, const char *label);
/* total <= 0 = not known. Any thread; drawn at most ten times a second. */
void cli_progress_update(cli_progress *p, double done, double total);
void cli_progress_label(cli_progress *p, const char *label);
/* Another label, and the clock starts again: the next of several tasks. */
void cli_progress_restart(cli_progress *p, const char *label);
/* Takes the bar off the screen so that a line can be written; the next update draws it again. */
void cli_progress_clear(cli_progress *p);
void cli_progress_close(cli_progress *p);

/* ---- documentation from the tables -------------------------------------------------------- */

void cli_print_overview(cli *c);
void cli_print_help(cli *c, const cli_command *command);
void cli_print_man(cli *c); /* one page for the program and all commands, in man's language */
/* shell: "bash", "zsh" or "fish"; false for any other. */
bool cli_print_completion(cli *c, const char *shell);

#endif
