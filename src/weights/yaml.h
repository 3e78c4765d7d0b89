/* YAML configurations as JSON trees. spec/file-formats.md 3.2. */
#ifndef STAPES_WEIGHTS_YAML_H
#define STAPES_WEIGHTS_YAML_H

#include <jansson.h>
#include <stddef.h>

#include "base/error.h"

#define STAPES__YAML_MAX_DEPTH 64

/* Parses one document of UTF-8 text into objects, arrays and scalars. Plain scalars follow the
 * core schema of YAML 1.2 (null, booleans, integers, reals); quoted ones are strings; .inf and
 * .nan, which JSON lacks, stay strings; integers beyond 64 bits become reals. Keys are their
 * text. Anchors, aliases, tags, merge keys, keys that are no scalars, duplicate keys, a second
 * document and nesting beyond 64 are refused. Time and memory are linear in the length.
 * MODEL_DAMAGED or UNSUPPORTED with the line; release the result with json_decref. */
stapes_status stapes__yaml_parse(json_t **out, const char *data, size_t size, stapes_error *err);

#endif
