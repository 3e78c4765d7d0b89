/* A cursor over little-endian bytes in memory that never passes their end. */
#ifndef STAPES_WEIGHTS_BYTES_H
#define STAPES_WEIGHTS_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct stapes__bytes {
    const uint8_t *data;
    size_t size, at; /* at <= size */
} stapes__bytes;

static inline size_t stapes__bytes_left(const stapes__bytes *b) {
    return b->size - b->at;
}

/* The next `count` bytes; NULL, and nothing moves, when fewer are left. */
static inline const uint8_t *stapes__bytes_take(stapes__bytes *b, uint64_t count) {
    if (count > stapes__bytes_left(b))
        return NULL;
    const uint8_t *at = b->data + b->at;
    b->at += (size_t)count;
    return at;
}

/* An unsigned integer of `width` (1 to 8) bytes; false when fewer are left. */
static inline bool stapes__bytes_uint(stapes__bytes *b, int width, uint64_t *value) {
    const uint8_t *at = stapes__bytes_take(b, (uint64_t)width);
    *value = 0;
    for (int i = width - 1; at && i >= 0; i--)
        *value = *value << 8 | at[i];
    return at != NULL;
}

static inline bool stapes__bytes_i32(stapes__bytes *b, int32_t *value) {
    uint64_t raw;
    bool ok = stapes__bytes_uint(b, 4, &raw);
    *value = (int32_t)(uint32_t)raw;
    return ok;
}

#endif
