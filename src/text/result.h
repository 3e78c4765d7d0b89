/* Making results. A result owns everything that hangs from it; stapes_result_free gives it back. */
#ifndef STAPES_TEXT_RESULT_H
#define STAPES_TEXT_RESULT_H

#include "base/error.h"
#include "stapes/result.h"

/* An empty result: no tokens, empty strings, zeros. */
stapes_status stapes__result_new(stapes_result **out, stapes_error *err);
/* Zeroed memory that lives as long as the result; NULL when memory is short. */
void *stapes__result_alloc(stapes_result *result, size_t count, size_t size);
/* A copy that lives as long as the result; NULL when memory is short. */
const char *stapes__result_text(stapes_result *result, const char *text, size_t length);
/* Appends a warning; code and message are copied. */
stapes_status stapes__result_warn(stapes_result *result, const char *code, const char *message,
                                  stapes_error *err);

#endif
