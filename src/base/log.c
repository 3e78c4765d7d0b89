#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

void stapes__logf(const stapes__log *log, stapes_log_level level, const char *format, ...) {
    if (!log || !log->fn || level > log->level)
        return;
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    log->fn(log->user, level, line);
}
