/* Filling error reports. Every internal fallible function takes a stapes_error * (may be NULL)
 * and returns the code, so that `return stapes__fail(err, ...)` is the usual form. */
#ifndef STAPES_BASE_ERROR_H
#define STAPES_BASE_ERROR_H

#include "stapes/status.h"

#if defined(__GNUC__)
#define STAPES__PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#else
#define STAPES__PRINTF(fmt, first)
#endif

/* Writes code and message (printf form, control characters replaced), clears the hint; returns
 * `code`. */
stapes_status stapes__fail(stapes_error *err, stapes_status code, const char *format, ...)
    STAPES__PRINTF(3, 4);

#ifdef __clang_analyzer__ /* it cannot see that the result is `code` */
#define stapes__fail(err, code, ...) ((stapes__fail)(err, code, __VA_ARGS__), (code))
#endif

/* Sets the hint of the last report. */
void stapes__hint(stapes_error *err, const char *format, ...) STAPES__PRINTF(2, 3);

/* Puts "prefix: " before the message, for naming the file that a lower layer did not know. */
void stapes__prefix(stapes_error *err, const char *format, ...) STAPES__PRINTF(2, 3);

/* OUT_OF_MEMORY naming what was wanted. */
static inline stapes_status stapes__fail_memory(stapes_error *err, const char *what) {
    stapes__fail(err, STAPES_E_MEMORY, "out of memory for %s", what);
    return STAPES_E_MEMORY; /* said here, so that static analysis knows it is a failure */
}

/* DISK_FULL for ENOSPC/EDQUOT, otherwise IO, with the system's words for `errnum`. */
stapes_status stapes__fail_errno(stapes_error *err, int errnum, const char *what, const char *path);

#endif
