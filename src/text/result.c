#include "text/result.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/blocks.h"

/* The public struct comes first, so that its address is that of the whole. */
typedef struct owner {
    stapes_result result;
    stapes__blocks blocks;
} owner;

stapes_status stapes__result_new(stapes_result **out, stapes_error *err) {
    owner *o = stapes__calloc(1, sizeof *o);
    if (!o)
        return stapes__fail_memory(err, "a result");
    o->result.text = "";
    o->result.language = "";
    *out = &o->result;
    return STAPES_OK;
}

void *stapes__result_alloc(stapes_result *result, size_t count, size_t size) {
    return stapes__blocks_alloc(&((owner *)result)->blocks, count, size);
}

const char *stapes__result_text(stapes_result *result, const char *text, size_t length) {
    return stapes__blocks_text(&((owner *)result)->blocks, text, length);
}

stapes_status stapes__result_warn(stapes_result *result, const char *code, const char *message,
                                  stapes_error *err) {
    size_t n = result->n_warnings;
    stapes_warning *list = stapes__result_alloc(result, n + 1, sizeof *list);
    const char *code_copy = stapes__result_text(result, code, strlen(code));
    const char *text = stapes__result_text(result, message, strlen(message));
    if (!list || !code_copy || !text)
        return stapes__fail_memory(err, "a warning");
    if (n)
        memcpy(list, result->warnings, n * sizeof *list);
    list[n] = (stapes_warning){code_copy, text};
    result->warnings = list;
    result->n_warnings = n + 1;
    return STAPES_OK;
}

void stapes_result_free(stapes_result *result) {
    if (!result)
        return;
    stapes__blocks_free(&((owner *)result)->blocks);
    free(result);
}
