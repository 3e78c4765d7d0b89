#include "weights/json.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/file.h"

/* Brackets outside strings, so that hostile nesting never reaches a recursive parser. */
static bool depth_allowed(const char *data, size_t size) {
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < size; i++) {
        char c = data[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > STAPES__JSON_MAX_DEPTH)
                return false;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return true;
}

stapes_status stapes__json_parse(json_t **out, const char *data, size_t size, const char *what,
                                 stapes_error *err) {
    *out = NULL;
    if (!depth_allowed(data, size))
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED, "%s is nested deeper than %d levels", what,
                            STAPES__JSON_MAX_DEPTH);
    json_error_t where;
    *out = json_loadb(data, size, JSON_REJECT_DUPLICATES, &where);
    if (*out)
        return STAPES_OK;
    if (json_error_code(&where) == json_error_out_of_memory)
        return stapes__fail_memory(err, what);
    return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                        "%s is not valid JSON (line %d, column %d): %s", what, where.line,
                        where.column, where.text);
}

stapes_status stapes__json_read_file(json_t **out, const char *path, size_t limit,
                                     stapes_error *err) {
    *out = NULL;
    char *data = NULL;
    size_t size = 0;
    stapes_status status = stapes__read_file(path, limit, &data, &size, err);
    if (status != STAPES_OK)
        return status;
    status = stapes__json_parse(out, data, size, stapes__path_base(path), err);
    free(data);
    return status;
}
