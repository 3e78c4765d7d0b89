/* JSON of foreign origin: checked for nesting before the parser sees it, duplicates refused. */
#ifndef STAPES_WEIGHTS_JSON_H
#define STAPES_WEIGHTS_JSON_H

#include <jansson.h>
#include <stddef.h>

#include "base/error.h"

#define STAPES__JSON_MAX_DEPTH 64

/* Parses `size` bytes of UTF-8. `what` names the text in reports ("config.json"). The result is
 * released with json_decref. MODEL_DAMAGED for text that is no JSON, has duplicate keys or is
 * nested deeper than 64; *out is NULL then. */
stapes_status stapes__json_parse(json_t **out, const char *data, size_t size, const char *what,
                                 stapes_error *err);

/* Reads and parses a file of at most `limit` bytes. */
stapes_status stapes__json_read_file(json_t **out, const char *path, size_t limit,
                                     stapes_error *err);

#endif
