#include "text/blocks.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct stapes__block {
    struct stapes__block *next;
    size_t used, size;
    alignas(max_align_t) char data[];
};

enum { BLOCK_SIZE = 16 << 10, ALIGN = alignof(max_align_t) };

void *stapes__blocks_alloc(stapes__blocks *blocks, size_t count, size_t size) {
    size_t bytes;
    if (!stapes__mul_size(count, size, &bytes) || bytes > SIZE_MAX / 2)
        return NULL;
    bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    struct stapes__block *b = blocks->first;
    if (!b || b->size - b->used < bytes) {
        size_t room = bytes > BLOCK_SIZE ? bytes : BLOCK_SIZE;
        b = stapes__calloc(1, sizeof *b + room);
        if (!b)
            return NULL;
        b->size = room;
        b->next = blocks->first;
        blocks->first = b;
    }
    void *out = b->data + b->used;
    b->used += bytes;
    return out;
}

const char *stapes__blocks_text(stapes__blocks *blocks, const char *text, size_t length) {
    char *copy = length < SIZE_MAX ? stapes__blocks_alloc(blocks, length + 1, 1) : NULL;
    if (copy && length)
        memcpy(copy, text, length);
    return copy;
}

void stapes__blocks_free(stapes__blocks *blocks) {
    for (struct stapes__block *b = blocks->first; b;) {
        struct stapes__block *next = b->next;
        free(b);
        b = next;
    }
    blocks->first = NULL;
}
