/* The progress bar: percent, speed, time left. Drawn on standard error, on one line that is wiped
 * before anything else is printed. */
#include "cli.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { BAR_CELLS = 24, LABEL_BYTES = 256 };

struct cli_progress {
    cli *c;
    cli_unit unit;
    bool bar;   /* otherwise plain lines */
    bool drawn; /* something is on the screen */
    double start, last, interval;
    char label[LABEL_BYTES];
    pthread_mutex_t lock;
};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void set_label(cli_progress *p, const char *label) {
    snprintf(p->label, sizeof(p->label), "%s", label ? label : "");
    for (char *at = p->label; *at; at++)
        *at = (unsigned char)*at < 0x20 || *at == 0x7F ? '?' : *at;
}

cli_progress *cli_progress_open(cli *c, cli_unit unit, const char *label) {
    bool plain = strcmp(c->common.progress, "plain") == 0;
    bool shown = plain || (strcmp(c->common.progress, "auto") == 0 && c->tty_err);
    if (!shown || c->common.quiet || c->bar)
        return NULL;
    cli_progress *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->c = c;
    p->unit = unit;
    p->bar = !plain;
    p->start = now();
    p->last = p->start;
    p->interval = plain ? 3.0 : 0.1;
    set_label(p, label);
    pthread_mutex_init(&p->lock, NULL);
    c->bar = p;
    return p;
}

static int terminal_columns(void) {
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

static void amount(cli_unit unit, double value, char *out, size_t capacity) {
    if (unit == CLI_UNIT_AUDIO)
        cli_clock(value, out, capacity);
    else if (unit == CLI_UNIT_BYTES)
        snprintf(out, capacity, "%.1f MB", value / 1e6);
    else
        snprintf(out, capacity, "%.0f", value);
}

static void speed(cli_unit unit, double rate, char *out, size_t capacity) {
    if (unit == CLI_UNIT_AUDIO)
        snprintf(out, capacity, "%.1fx real time", rate);
    else if (unit == CLI_UNIT_BYTES)
        snprintf(out, capacity, "%.1f MB/s", rate / 1e6);
    else
        snprintf(out, capacity, "%.1f/s", rate);
}

/* Prints at most `columns` characters (not bytes) of a UTF-8 text. */
static void put_columns(const char *text, int columns) {
    for (; *text; text++) {
        if (((unsigned char)*text & 0xC0) != 0x80 && columns-- <= 0)
            return;
        fputc(*text, stderr);
    }
}

static void put_bar(double part) {
    int full = (int)(part * BAR_CELLS + 0.5);
    fputc('[', stderr);
    for (int i = 0; i < BAR_CELLS; i++)
        fputc(i < full ? '#' : '.', stderr);
    fputs("] ", stderr);
}

static void draw(cli_progress *p, double done, double total, double time) {
    char have[32], all[32], rate[40], left[32], numbers[160];
    double elapsed = time - p->start, part = total > 0 ? done / total : -1;
    double per_second = elapsed > 0 ? done / elapsed : 0;
    part = part > 1 ? 1 : part;
    amount(p->unit, done, have, sizeof(have));
    speed(p->unit, per_second, rate, sizeof(rate));
    if (part >= 0) {
        double rest = per_second > 0 ? (total - done) / per_second : 0;
        amount(p->unit, total, all, sizeof(all));
        cli_clock(rest > 0 ? rest : 0, left, sizeof(left));
        snprintf(numbers, sizeof(numbers), "%3.0f%%  %s of %s  %s  %s left", 100 * part, have, all,
                 rate, left);
    } else {
        snprintf(numbers, sizeof(numbers), "%s  %s", have, rate);
    }
    if (p->bar) {
        int columns = terminal_columns(), room = columns - 1 - (int)strlen(numbers);
        fputs("\r\033[K", stderr);
        if (part >= 0 && room >= BAR_CELLS + 3) {
            put_bar(part);
            room -= BAR_CELLS + 3;
        }
        put_columns(numbers, columns - 1);
        if (room > 6) {
            fputs("  ", stderr);
            put_columns(p->label, room - 2);
        }
        fflush(stderr);
    } else {
        fprintf(stderr, "%s%s%s\n", p->label, p->label[0] ? ": " : "", numbers);
    }
    p->drawn = true;
}

void cli_progress_update(cli_progress *p, double done, double total) {
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    double time = now();
    if (time - p->last >= p->interval) {
        p->last = time;
        draw(p, done, total, time);
    }
    pthread_mutex_unlock(&p->lock);
}

void cli_progress_label(cli_progress *p, const char *label) {
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    set_label(p, label);
    pthread_mutex_unlock(&p->lock);
}

void cli_progress_restart(cli_progress *p, const char *label) {
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    set_label(p, label);
    p->start = now();
    pthread_mutex_unlock(&p->lock);
}

void cli_progress_clear(cli_progress *p) {
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    if (p->bar && p->drawn) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
        p->drawn = false;
    }
    pthread_mutex_unlock(&p->lock);
}

void cli_progress_close(cli_progress *p) {
    if (!p)
        return;
    cli_progress_clear(p);
    p->c->bar = NULL;
    pthread_mutex_destroy(&p->lock);
    free(p);
}
