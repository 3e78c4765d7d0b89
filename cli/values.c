/* Reading numbers and times, and guessing what a mistyped word was meant to be. The program never
 * calls setlocale, so that strtod reads '.' everywhere. */
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool cli_parse_number(const char *text, double *value) {
    char *end = NULL;
    if (!*text || isspace((unsigned char)*text))
        return false;
    double number = strtod(text, &end);
    if (end == text || *end || !isfinite(number))
        return false;
    *value = number;
    return true;
}

bool cli_parse_int(const char *text, long *value) {
    char *end = NULL;
    if (!*text || isspace((unsigned char)*text))
        return false;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (end == text || *end || errno)
        return false;
    *value = number;
    return true;
}

/* An unsigned decimal number at *text, without sign, exponent or hexadecimal form. */
static bool plain_number(const char **text, double *value) {
    size_t length = strspn(*text, "0123456789.");
    char digits[32];
    if (length == 0 || length >= sizeof(digits))
        return false;
    memcpy(digits, *text, length);
    digits[length] = 0;
    *text += length;
    return cli_parse_number(digits, value);
}

/* "1:30", "00:01:30.5": parts below the first are under 60. */
static bool clock_time(const char *text, double *seconds) {
    double total = 0;
    for (int part = 0; part < 3; part++) {
        double value;
        if (!plain_number(&text, &value) || (part > 0 && value >= 60))
            return false;
        total = total * 60 + value;
        if (!*text) {
            *seconds = total;
            return true;
        }
        if (*text != ':')
            return false;
        text++;
    }
    return false;
}

/* "2m30s", "1h", "90s", "250ms". */
static bool unit_time(const char *text, double *seconds) {
    double total = 0, last = INFINITY;
    while (*text) {
        double value, unit;
        if (!plain_number(&text, &value))
            return false;
        if (strncmp(text, "ms", 2) == 0) {
            unit = 1e-3;
            text += 2;
        } else if (*text == 'h' || *text == 'm' || *text == 's') {
            unit = *text == 'h' ? 3600 : *text == 'm' ? 60 : 1;
            text++;
        } else {
            return false;
        }
        if (unit >= last)
            return false;
        last = unit;
        total += value * unit;
    }
    *seconds = total;
    return true;
}

bool cli_parse_time(const char *text, double *seconds) {
    if (!*text)
        return false;
    return clock_time(text, seconds) || unit_time(text, seconds);
}

void cli_each_word(const char *list, cli_word_fn fn, void *user) {
    if (!list)
        return;
    for (;;) {
        list += strspn(list, " ");
        size_t length = strcspn(list, " ");
        if (length == 0)
            return;
        fn(user, list, length);
        list += length;
    }
}

bool cli_has_word(const char *list, const char *word) {
    size_t length = strlen(word);
    if (!list || length == 0)
        return false;
    for (;;) {
        list += strspn(list, " ");
        size_t here = strcspn(list, " ");
        if (here == 0)
            return false;
        if (here == length && memcmp(list, word, length) == 0)
            return true;
        list += here;
    }
}

enum { LONGEST_WORD = 63 };

/* Edit distance with swaps of neighbours counted as one (optimal string alignment). */
static int edit_distance(const char *a, size_t na, const char *b, size_t nb) {
    int rows[3][LONGEST_WORD + 1];
    if (na > LONGEST_WORD || nb > LONGEST_WORD)
        return LONGEST_WORD;
    for (size_t j = 0; j <= nb; j++)
        rows[0][j] = (int)j;
    for (size_t i = 1; i <= na; i++) {
        int *row = rows[i % 3], *above = rows[(i - 1) % 3], *before = rows[(i + 1) % 3];
        row[0] = (int)i;
        for (size_t j = 1; j <= nb; j++) {
            int best = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[na % 3][nb];
}

typedef struct nearest {
    const char *word;
    char *out;
    size_t capacity;
    int *best;
} nearest;

static void nearest_word(void *user, const char *word, size_t length) {
    nearest *n = user;
    int distance = edit_distance(n->word, strlen(n->word), word, length);
    if (distance < *n->best && length < n->capacity) {
        *n->best = distance;
        memcpy(n->out, word, length);
        n->out[length] = 0;
    }
}

bool cli_parse_window(const char *text, double *left, double *chunk, double *right) {
    double *const parts[] = {left, chunk, right};
    char copy[64], *at = copy;
    if (strlen(text) >= sizeof(copy))
        return false;
    memcpy(copy, text, strlen(text) + 1);
    for (size_t i = 0; i < CLI_COUNT_OF(parts); i++) {
        char *end = at + strcspn(at, "-,");
        bool more = *end != 0;
        *end = 0;
        if (more != (i + 1 < CLI_COUNT_OF(parts)) || !cli_parse_time(at, parts[i]))
            return false;
        at = end + 1;
    }
    return *chunk > 0;
}

int cli_near_limit(const char *word) {
    size_t limit = strlen(word) / 3 + 2;
    return limit < 4 ? (int)limit : 4;
}

void cli_nearest(const char *word, const char *list, char *out, size_t capacity, int *best) {
    nearest n = {word, out, capacity, best};
    cli_each_word(list, nearest_word, &n);
}

char *cli_clock(double seconds, char *out, size_t capacity) {
    long total = seconds > 0 && seconds < 1e9 ? lround(seconds) : 0;
    if (total >= 3600)
        snprintf(out, capacity, "%ld:%02ld:%02ld", total / 3600, total / 60 % 60, total % 60);
    else
        snprintf(out, capacity, "%ld:%02ld", total / 60, total % 60);
    return out;
}
