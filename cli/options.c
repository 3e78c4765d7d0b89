/* Reading a command line by the tables of cli.h. Accepted spellings: --name value, --name=value,
 * --no-flag, underscores for hyphens, -x value, -xvalue, -xyz for flags, and the aliases of a
 * table, which may be single-dash words (-otxt) or carry a value of their own. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const cli_option common_options[] = {
    {.help = "General"},
    {.name = "quiet",
     .letter = 'q',
     .type = CLI_FLAG,
     .offset = offsetof(cli_common, quiet),
     .help = "print results and errors only",
     .aliases = "-np --no-prints"},
    {.name = "verbose",
     .letter = 'v',
     .type = CLI_FLAG,
     .offset = offsetof(cli_common, verbose),
     .help = "say more about what is done, on standard error"},
    {.name = "json",
     .type = CLI_FLAG,
     .offset = offsetof(cli_common, json),
     .help = "results as JSON on standard output, errors as JSON on standard error"},
    {.name = "progress",
     .type = CLI_CHOICE,
     .offset = offsetof(cli_common, progress),
     .argument = "WHEN",
     .choices = "auto plain none",
     .fallback = "auto",
     .help = "a bar on a terminal (auto), a line every few seconds (plain), or nothing",
     .aliases = "-pp=plain --print-progress=plain --no-progress=none"},
    {.name = "color",
     .type = CLI_CHOICE,
     .offset = offsetof(cli_common, color),
     .argument = "WHEN",
     .choices = "auto always never",
     .fallback = "auto",
     .help = "colours on standard error; auto: on a terminal, unless NO_COLOR is set",
     .aliases = "--colour --no-color=never"},
    {.name = "lenient",
     .type = CLI_FLAG,
     .offset = offsetof(cli_common, lenient),
     .help = "warn about an option that has no effect instead of refusing it"},
    {.name = "help",
     .letter = 'h',
     .type = CLI_FLAG,
     .offset = offsetof(cli_common, help),
     .help = "show this help"},
};

static const cli_option engine_options[] = {
    {.help = "Model and machine"},
    {.name = "model",
     .letter = 'm',
     .type = CLI_TEXT,
     .offset = offsetof(cli_engine, model),
     .argument = "NAME|PATH",
     .fallback = "nano, which comes with the program",
     .help = "a name known to `stapes models`, or a model folder or .nemo file",
     .aliases = "--model-dir"},
    {.name = "threads",
     .letter = 't',
     .type = CLI_INT,
     .offset = offsetof(cli_engine, threads),
     .argument = "N",
     .min = 0,
     .max = 1024,
     .fallback = "all usable cores",
     .help = "computing threads; the text does not depend on it"},
    {.name = "cpu",
     .type = CLI_CHOICE,
     .offset = offsetof(cli_engine, cpu),
     .argument = "LEVEL",
     .choices = "auto none avx2 avx512 neon",
     .fallback = "auto",
     .help = "highest instruction set to use; none is plain C"},
    {.name = "precision",
     .type = CLI_CHOICE,
     .offset = offsetof(cli_engine, precision),
     .argument = "TYPE",
     .choices = "auto f32 fp32 float32 bf16 f16 fp16 float16 int8",
     .fallback = "auto",
     .help = "what the weights are computed in; auto and f32 are available",
     .aliases = "--compute-type"},
    {.name = "device",
     .type = CLI_CHOICE,
     .offset = offsetof(cli_engine, device),
     .argument = "NAME",
     .choices = "auto cpu cuda",
     .fallback = "auto",
     .help = "where to compute; this version has the CPU",
     .aliases = "-dev -ng=cpu --no-gpu=cpu --cpu-only=cpu"},
};

const cli_option *cli_common_options(size_t *count) {
    *count = CLI_COUNT_OF(common_options);
    return common_options;
}

const cli_option *cli_engine_options(size_t *count) {
    *count = CLI_COUNT_OF(engine_options);
    return engine_options;
}

bool cli_list_add(cli_list *list, const char *item) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 16;
        const char **items = realloc(list->items, capacity * sizeof(*items));
        if (!items)
            return false;
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = item;
    return true;
}

void cli_list_free(cli_list *list) {
    free(list->items);
    *list = (cli_list){0};
}

bool cli_given(const cli *c, const char *name) {
    for (size_t i = 0; i < c->given.count; i++) {
        if (strcmp(c->given.items[i], name) == 0)
            return true;
    }
    return false;
}

/* The tables in force while one command line is read, with the structs that they write into. */
enum { MAX_TABLES = 3 };
typedef struct tables {
    cli *c;
    const cli_command *command;
    struct {
        const cli_option *options;
        size_t count;
        char *base;
    } table[MAX_TABLES];
    int n;
} tables;

typedef struct found {
    const cli_option *option;
    char *base;
    const char *value; /* of the spelling itself, or NULL */
    size_t value_length;
    bool negated;
} found;

/* Compares a typed long name with a table's, '_' and '-' being equal. */
static bool same_name(const char *typed, size_t length, const char *name) {
    for (size_t i = 0; i < length; i++) {
        char ch = typed[i] == '_' ? '-' : typed[i];
        if (!name[i] || name[i] != ch)
            return false;
    }
    return name[length] == 0;
}

typedef struct alias_search {
    const char *typed;
    size_t length;
    found *out;
    bool hit;
} alias_search;

static void check_alias(void *user, const char *word, size_t length) {
    alias_search *search = user;
    const char *equals = memchr(word, '=', length);
    size_t name = equals ? (size_t)(equals - word) : length;
    if (search->hit || name != search->length)
        return;
    for (size_t i = 0; i < name; i++) {
        char ch = i >= 2 && search->typed[i] == '_' ? '-' : search->typed[i];
        if (ch != word[i])
            return;
    }
    search->hit = true;
    search->out->value = equals ? equals + 1 : NULL;
    search->out->value_length = equals ? length - name - 1 : 0;
}

/* Finds what `typed` (with its dashes, without "=value") stands for. */
static bool find_option(const tables *t, const char *typed, size_t length, found *out) {
    bool is_long = length > 2 && typed[0] == '-' && typed[1] == '-';
    *out = (found){0};
    for (int k = 0; k < t->n; k++) {
        for (size_t i = 0; i < t->table[k].count; i++) {
            const cli_option *option = &t->table[k].options[i];
            if (!option->name)
                continue;
            alias_search search = {typed, length, out, false};
            out->option = option;
            out->base = t->table[k].base;
            if (is_long && same_name(typed + 2, length - 2, option->name))
                return true;
            if (length == 2 && option->letter && typed[1] == option->letter)
                return true;
            cli_each_word(option->aliases, check_alias, &search);
            if (search.hit)
                return true;
            out->negated = option->type == CLI_FLAG && is_long && length > 5 &&
                           strncmp(typed + 2, "no", 2) == 0 &&
                           (typed[4] == '-' || typed[4] == '_') &&
                           same_name(typed + 5, length - 5, option->name);
            if (out->negated)
                return true;
        }
    }
    return false;
}

static int bad_option(const tables *t, const char *typed, size_t length) {
    char near[80] = "", word[80];
    if (length >= sizeof(word))
        length = sizeof(word) - 1;
    memcpy(word, typed, length);
    word[length] = 0;
    for (char *at = word; *at; at++)
        *at = *at == '_' ? '-' : *at;
    int best = cli_near_limit(word);
    for (int k = 0; length > 2 && k < t->n; k++) {
        for (size_t i = 0; i < t->table[k].count; i++) {
            const cli_option *option = &t->table[k].options[i];
            char name[80];
            if (!option->name || option->hidden)
                continue;
            snprintf(name, sizeof(name), "--%s", option->name);
            cli_nearest(word, name, near, sizeof(near), &best);
        }
    }
    if (near[0])
        return cli_usage(t->c, "unknown option '%.*s'. Did you mean '%s'?", (int)length, typed,
                         near);
    return cli_usage(t->c, "unknown option '%.*s'.", (int)length, typed);
}

/* The table's spelling of a choice, or NULL. Letter case does not matter. The table's words are
 * not terminated: the address of the word is returned and its length in *length. */
static const char *find_choice(const char *choices, const char *value, size_t n, size_t *length) {
    while (*choices) {
        choices += strspn(choices, " ");
        *length = strcspn(choices, " ");
        if (*length == n && strncasecmp(choices, value, n) == 0)
            return choices;
        choices += *length;
    }
    return NULL;
}

static int bad_choice(const tables *t, const char *as, const cli_option *option, const char *value,
                      size_t length) {
    char near[64] = "", word[64];
    snprintf(word, sizeof(word), "%.*s", (int)length, value);
    int best = cli_near_limit(word);
    cli_nearest(word, option->choices, near, sizeof(near), &best);
    if (near[0])
        return cli_usage(t->c, "%s: '%s' is none of: %s. Did you mean '%s'?", as, word,
                         option->choices, near);
    return cli_usage(t->c, "%s: '%s' is none of: %s.", as, word, option->choices);
}

static int no_memory(const tables *t) {
    return cli_fail(t->c, STAPES_E_MEMORY, NULL, "not enough memory for the command line");
}

/* A terminated copy of a word of a table, kept by the list `kept` of the program. */
static const char *keep_word(cli *c, const char *word, size_t length) {
    char *copy = strndup(word, length);
    if (!copy || !cli_list_add(&c->kept, copy)) {
        free(copy);
        return NULL;
    }
    return copy;
}

static int set_choices(const tables *t, const found *f, const char *as, const char *value) {
    const cli_option *option = f->option;
    cli_list *list = (cli_list *)(void *)(f->base + option->offset);
    if (!*value)
        return bad_choice(t, as, option, value, 0);
    while (*value) {
        size_t n = strcspn(value, ","), length;
        const char *choice = find_choice(option->choices, value, n, &length);
        if (!choice)
            return bad_choice(t, as, option, value, n);
        const char *word = keep_word(t->c, choice, length);
        if (!word || !cli_list_add(list, word))
            return no_memory(t);
        value += n + (value[n] == ',');
    }
    return 0;
}

static int set_number(const tables *t, const found *f, const char *as, const char *value) {
    const cli_option *option = f->option;
    char *target = f->base + option->offset;
    double number = 0;
    long integer = 0;
    bool ok, is_time = option->type == CLI_TIME;
    if (option->type == CLI_INT)
        ok = cli_parse_int(value, &integer);
    else if (is_time)
        ok = cli_parse_time(value, &number);
    else
        ok = cli_parse_number(value, &number);
    if (!ok)
        return cli_usage(t->c, "%s: '%s' is not %s.", as, value,
                         option->type == CLI_INT ? "a whole number"
                         : is_time               ? "a time such as 90, 1:30 or 00:01:30.5"
                                                 : "a number");
    if (option->type == CLI_INT)
        number = (double)integer;
    if (option->type == CLI_TIME_MS)
        number /= 1000;
    if (option->min < option->max && (number < option->min || number > option->max))
        return cli_usage(t->c, "%s: %s is outside %g to %g.", as, value, option->min, option->max);
    if (option->type != CLI_INT && option->type != CLI_NUMBER && number < 0)
        return cli_usage(t->c, "%s: a time cannot be negative.", as);
    if (option->type == CLI_INT)
        *(int *)(void *)target = (int)number;
    else
        *(double *)(void *)target = number;
    return 0;
}

static int set_value(const tables *t, const found *f, const char *as, const char *value) {
    const cli_option *option = f->option;
    char *target = f->base + option->offset;
    size_t length;
    const char *choice;
    if (!cli_list_add(&t->c->given, option->name))
        return no_memory(t);
    switch (option->type) {
    case CLI_FLAG:
        *(bool *)(void *)target = !f->negated && strcmp(value, "no") != 0;
        return 0;
    case CLI_TEXT:
        *(const char **)(void *)target = value;
        return 0;
    case CLI_LIST:
        return cli_list_add((cli_list *)(void *)target, value) ? 0 : no_memory(t);
    case CLI_CHOICES:
        return set_choices(t, f, as, value);
    case CLI_CHOICE:
        choice = find_choice(option->choices, value, strlen(value), &length);
        if (!choice)
            return bad_choice(t, as, option, value, strlen(value));
        choice = keep_word(t->c, choice, length);
        *(const char **)(void *)target = choice;
        return choice ? 0 : no_memory(t);
    default:
        return set_number(t, f, as, value);
    }
}

/* Takes the value of an option from the spelling, from "=value", or from the next word. */
static int take(const tables *t, const found *f, const char *as, size_t as_length,
                const char *attached, int *at, int count, char **words) {
    char name[80];
    snprintf(name, sizeof(name), "%.*s", (int)as_length, as);
    if (f->value || f->option->type == CLI_FLAG) {
        if (attached)
            return cli_usage(t->c, "%s takes no value.", name);
        const char *own = f->value ? keep_word(t->c, f->value, f->value_length) : "";
        /* kept by the cli and freed with it; NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        return own ? set_value(t, f, name, own) : no_memory(t);
    }
    if (!attached) {
        found other;
        if (*at + 1 >= count)
            return cli_usage(t->c, "%s needs a value (%s).", name, f->option->argument);
        attached = words[*at + 1];
        if (strncmp(attached, "--", 2) == 0 &&
            find_option(t, attached, strcspn(attached, "="), &other))
            return cli_usage(t->c, "%s needs a value (%s), but %s follows.", name,
                             f->option->argument, attached);
        (*at)++;
    }
    return set_value(t, f, name, attached);
}

/* -x, -xVALUE, -xyz; the whole word was not found as an alias. */
static int parse_letters(const tables *t, int *at, int count, char **words) {
    const char *word = words[*at];
    for (size_t i = 1; word[i]; i++) {
        char typed[3] = {'-', word[i], 0};
        found f;
        if (!find_option(t, typed, 2, &f) || (i > 1 && f.option->type != CLI_FLAG))
            return bad_option(t, word, strlen(word));
        const char *attached = NULL;
        if (f.option->type != CLI_FLAG && word[i + 1])
            attached = word + i + 1 + (word[i + 1] == '=');
        int code = take(t, &f, typed, 2, attached, at, count, words);
        if (code || f.option->type != CLI_FLAG)
            return code;
    }
    return 0;
}

static int parse_word(const tables *t, int *at, int count, char **words) {
    const char *word = words[*at];
    const char *equals = strchr(word, '=');
    size_t length = equals ? (size_t)(equals - word) : strlen(word);
    found f;
    if (find_option(t, word, length, &f))
        return take(t, &f, word, length, equals ? equals + 1 : NULL, at, count, words);
    if (word[1] != '-')
        return parse_letters(t, at, count, words);
    return bad_option(t, word, length);
}

int cli_parse(cli *c, const cli_command *command, void *args, int count, char **words) {
    tables t = {.c = c, .command = command};
    t.table[t.n].options = command->options;
    t.table[t.n].count = command->n_options;
    t.table[t.n++].base = args;
    if (command->groups & CLI_GROUP_ENGINE) {
        t.table[t.n].options = cli_engine_options(&t.table[t.n].count);
        t.table[t.n++].base = (char *)&c->engine;
    }
    t.table[t.n].options = cli_common_options(&t.table[t.n].count);
    t.table[t.n++].base = (char *)&c->common;
    bool options = true;
    for (int at = 0; at < count; at++) {
        const char *word = words[at];
        int code = 0;
        if (options && strcmp(word, "--") == 0)
            options = false;
        else if (options && word[0] == '-' && word[1])
            code = parse_word(&t, &at, count, words);
        else if (!cli_list_add(&c->inputs, word))
            code = no_memory(&t);
        if (code)
            return code;
    }
    return 0;
}
