#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One line, printable: file names and tensor names may hold anything. */
static void clean_line(char *text) {
    for (unsigned char *c = (unsigned char *)text; *c; c++)
        if (*c < 0x20 || *c == 0x7f)
            *c = '?';
}

/* Cuts an incomplete UTF-8 sequence that a full buffer may have left at the end. */
static void trim_utf8(char *text) {
    size_t length = strlen(text), tail = length;
    while (tail > 0 && length - tail < 4 && ((unsigned char)text[tail - 1] & 0xc0) == 0x80)
        tail--;
    if (tail == 0)
        return;
    unsigned char lead = (unsigned char)text[tail - 1];
    size_t want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    if (length - (tail - 1) < want)
        text[tail - 1] = 0;
}

stapes_status(stapes__fail)(stapes_error *err, stapes_status code, const char *format, ...) {
    if (!err)
        return code;
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    clean_line(err->message);
    trim_utf8(err->message);
    err->code = code;
    err->hint[0] = 0;
    return code;
}

void stapes__hint(stapes_error *err, const char *format, ...) {
    if (!err)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(err->hint, sizeof err->hint, format, args);
    va_end(args);
    clean_line(err->hint);
    trim_utf8(err->hint);
}

void stapes__prefix(stapes_error *err, const char *format, ...) {
    if (!err)
        return;
    char rest[sizeof err->message];
    memcpy(rest, err->message, sizeof rest);
    va_list args;
    va_start(args, format);
    int written = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    size_t at = written < 0 ? 0 : (size_t)written;
    if (at + 3 < sizeof err->message) { /* the tail of a long message is cut */
        size_t room = sizeof err->message - at - 3, length = strlen(rest);
        memcpy(err->message + at, ": ", 2);
        memcpy(err->message + at + 2, rest, length < room ? length : room);
        err->message[at + 2 + (length < room ? length : room)] = 0;
    }
    clean_line(err->message);
    trim_utf8(err->message);
}

stapes_status stapes__fail_errno(stapes_error *err, int errnum, const char *what,
                                 const char *path) {
    char buffer[128];
    const char *text = strerror_r(errnum, buffer, sizeof buffer); /* the GNU form */
    stapes_status code = STAPES_E_IO;
    if (errnum == ENOSPC || errnum == EDQUOT)
        code = STAPES_E_DISK_FULL;
    return stapes__fail(err, code, "%s: cannot %s: %s", path, what, text);
}
