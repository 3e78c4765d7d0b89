/* Messages on standard error and checked writing to standard output. */
#include "cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void escape_char(unsigned char ch, stapes_write_fn write, void *user) {
    static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";
    const char *at = ch ? strchr(from, ch) : NULL;
    char text[8];
    int length = at ? snprintf(text, sizeof(text), "\\%c", to[at - from])
                    : snprintf(text, sizeof(text), "\\u%04x", ch);
    write(user, text, (size_t)length);
}

/* Length of the well-formed UTF-8 sequence at s, 0 when it is none. Surrogates, overlong forms
 * and values above U+10FFFF are none. */
static size_t utf8_length(const unsigned char *s) {
    size_t n = s[0] < 0x80 ? 1 : s[0] < 0xC2 ? 0 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
    if (s[0] > 0xF4)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    }
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) ||
        (s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F))
        return 0;
    return n;
}

void cli_json_escape(const char *text, stapes_write_fn write, void *user) {
    const unsigned char *at = (const unsigned char *)text;
    while (*at) {
        size_t n = utf8_length(at);
        if (n == 0) { /* a file name may hold any bytes: U+FFFD for what is not UTF-8 */
            write(user, "\xEF\xBF\xBD", 3);
            n = 1;
        } else if (n == 1 && (*at < 0x20 || *at == '"' || *at == '\\' || *at == 0x7F)) {
            escape_char(*at, write, user);
        } else {
            write(user, (const char *)at, n);
        }
        at += n;
    }
}

static bool to_stream(void *user, const char *bytes, size_t count) {
    return fwrite(bytes, 1, count, user) == count;
}

static void field(const char *name, const char *text, const char *after) {
    fprintf(stderr, "\"%s\":", name);
    if (text) {
        fputc('"', stderr);
        cli_json_escape(text, to_stream, stderr);
        fputc('"', stderr);
    } else {
        fputs("null", stderr);
    }
    fputs(after, stderr);
}

static void error_object(const stapes_error *error, const char *file) {
    fprintf(stderr, "{\"error\":{\"code\":%d,", (int)error->code);
    field("name", stapes_status_name(error->code), ",");
    field("message", error->message, ",");
    field("hint", error->hint, ",");
    field("file", file, "}}\n");
}

/* Control characters, which a file name may hold, would move the cursor or start an escape. */
static void put_line(const char *text) {
    for (const char *at = text; *at; at++)
        fputc((unsigned char)*at < 0x20 || *at == 0x7F ? '?' : *at, stderr);
}

static bool ends_sentence(const char *text) {
    size_t length = strlen(text);
    return length && strchr(".!?", text[length - 1]);
}

static const char *paint(const cli *c, const char *code) {
    return c->color_err ? code : "";
}

int cli_error(cli *c, const stapes_error *error, const char *file) {
    const char *message = error->message[0] ? error->message : stapes_status_name(error->code);
    cli_progress_clear(c->bar);
    flockfile(stderr);
    if (c->common.json) {
        error_object(error, file);
    } else {
        fprintf(stderr, "%sstapes:%s ", paint(c, "\033[1;31m"), paint(c, "\033[0m"));
        if (file && !strstr(message, file)) {
            put_line(file);
            fputs(": ", stderr);
        }
        put_line(message);
        if (!ends_sentence(message))
            fputc('.', stderr);
        if (error->hint[0]) {
            fputc(' ', stderr);
            put_line(error->hint);
            if (!ends_sentence(error->hint))
                fputc('.', stderr);
        }
        fputc('\n', stderr);
    }
    funlockfile(stderr);
    return stapes_status_exit_code(error->code);
}

int cli_fail(cli *c, stapes_status code, const char *hint, const char *format, ...) {
    stapes_error error = {.code = code};
    va_list list;
    va_start(list, format);
    vsnprintf(error.message, sizeof(error.message), format, list);
    va_end(list);
    if (hint)
        snprintf(error.hint, sizeof(error.hint), "%s", hint);
    return cli_error(c, &error, NULL);
}

int cli_usage(cli *c, const char *format, ...) {
    stapes_error error = {.code = STAPES_E_USAGE};
    va_list list;
    va_start(list, format);
    vsnprintf(error.message, sizeof(error.message), format, list);
    va_end(list);
    if (c->command)
        snprintf(error.hint, sizeof(error.hint), "See: stapes help %s", c->command->name);
    else
        snprintf(error.hint, sizeof(error.hint), "See: stapes help");
    return cli_error(c, &error, NULL);
}

static void say(cli *c, const char *color, const char *word, const char *format, va_list list) {
    char text[2048];
    vsnprintf(text, sizeof(text), format, list);
    cli_progress_clear(c->bar);
    flockfile(stderr);
    fprintf(stderr, "%sstapes:%s %s", paint(c, color), paint(c, "\033[0m"), word);
    put_line(text);
    fputc('\n', stderr);
    funlockfile(stderr);
}

void cli_warn(cli *c, const char *format, ...) {
    va_list list;
    va_start(list, format);
    if (!c->common.quiet)
        say(c, "\033[1;33m", "warning: ", format, list);
    va_end(list);
}

void cli_note(cli *c, const char *format, ...) {
    va_list list;
    va_start(list, format);
    if (!c->common.quiet)
        say(c, "\033[1m", "", format, list);
    va_end(list);
}

void cli_detail(cli *c, const char *format, ...) {
    va_list list;
    va_start(list, format);
    if (c->common.verbose && !c->common.quiet)
        say(c, "\033[2m", "", format, list);
    va_end(list);
}

void cli_log(void *user, stapes_log_level level, const char *line) {
    cli *c = user;
    if (level <= STAPES_LOG_WARNING)
        cli_warn(c, "%s", line);
    else
        cli_detail(c, "%s", line);
}

static bool out_failed(cli *c, int errnum) {
    if (errnum == EPIPE)
        c->out_broken = true;
    else if (!c->out_error)
        c->out_error = errnum == ENOSPC || errnum == EDQUOT ? STAPES_E_DISK_FULL : STAPES_E_IO;
    return false;
}

static bool out_usable(const cli *c) {
    return !c->out_broken && !c->out_error;
}

bool cli_write(void *user, const char *bytes, size_t count) {
    cli *c = user;
    if (!out_usable(c))
        return false;
    if (c->bar && c->tty_out)
        cli_progress_clear(c->bar);
    errno = 0;
    if (fwrite(bytes, 1, count, stdout) != count)
        return out_failed(c, errno);
    return true;
}

bool cli_printf(cli *c, const char *format, ...) {
    va_list list;
    if (!out_usable(c))
        return false;
    va_start(list, format);
    errno = 0;
    int written = vfprintf(stdout, format, list);
    va_end(list);
    return written >= 0 ? true : out_failed(c, errno);
}

bool cli_flush(cli *c) {
    if (!out_usable(c))
        return false;
    errno = 0;
    return fflush(stdout) == 0 ? true : out_failed(c, errno);
}

int cli_out_finish(cli *c, int code) {
    cli_flush(c);
    if (c->out_broken || !c->out_error)
        return code;
    stapes_error error = {.code = c->out_error};
    bool full = c->out_error == STAPES_E_DISK_FULL;
    snprintf(error.message, sizeof(error.message), "standard output: %s",
             full ? "the disk is full, the output is incomplete" : "writing failed");
    snprintf(error.hint, sizeof(error.hint), "%s",
             full ? "Free some space or write elsewhere" : "Check where the output goes");
    int mine = cli_error(c, &error, NULL);
    return code ? code : mine;
}
