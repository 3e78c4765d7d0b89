/* Metadata of a GGUF file as a JSON object. spec/file-formats.md 4. */
#ifndef STAPES_WEIGHTS_GGUF_VALUES_H
#define STAPES_WEIGHTS_GGUF_VALUES_H

#include <jansson.h>

#include "base/error.h"
#include "weights/bytes.h"

#define STAPES__GGUF_MAX_DEPTH 64
#define STAPES__GGUF_MAX_ELEMENTS ((uint64_t)1 << 22) /* of all arrays together */
#define STAPES__GGUF_MAX_STRING ((uint64_t)16 << 20)
#define STAPES__GGUF_MAX_KEY 65535

/* Reads a string (u64 length, bytes) as a view. MODEL_DAMAGED names `what`. */
stapes_status stapes__gguf_string(stapes__bytes *in, uint64_t limit, const char *what,
                                  const char **text, size_t *length, stapes_error *err);

/* Reads `count` items into the object, under their keys. Integers above 2^63 become reals, reals
 * that are not finite become null. `accept` (with `user`) sees every item before the next is read
 * and may refuse. MODEL_DAMAGED for unknown types, broken UTF-8, duplicate keys, arrays nested
 * deeper than 64 or with more than 4 million elements in all. */
stapes_status stapes__gguf_metadata(stapes__bytes *in, uint64_t count, json_t *object,
                                    stapes_status (*accept)(void *user, const char *key,
                                                            const json_t *value, stapes_error *err),
                                    void *user, stapes_error *err);

#endif
