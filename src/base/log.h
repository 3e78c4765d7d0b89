/* The log sink of a context, passed down explicitly. */
#ifndef STAPES_BASE_LOG_H
#define STAPES_BASE_LOG_H

#include "stapes/stapes.h"

typedef struct stapes__log {
    stapes_log_fn fn;
    void *user;
    stapes_log_level level;
} stapes__log;

/* log may be NULL. */
void stapes__logf(const stapes__log *log, stapes_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
