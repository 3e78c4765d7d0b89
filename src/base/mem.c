#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

bool stapes__mul_size(size_t a, size_t b, size_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}

bool stapes__add_size(size_t a, size_t b, size_t *out) {
    return !__builtin_add_overflow(a, b, out);
}

void *stapes__calloc(size_t count, size_t size) {
    size_t bytes;
    if (!stapes__mul_size(count, size, &bytes))
        return NULL;
    return calloc(1, bytes ? bytes : 1);
}

void *stapes__realloc(void *block, size_t count, size_t size) {
    size_t bytes;
    if (!stapes__mul_size(count, size, &bytes))
        return NULL;
    return realloc(block, bytes ? bytes : 1);
}

char *stapes__strndup(const char *text, size_t length) {
    char *copy = malloc(length + 1);
    if (copy) {
        memcpy(copy, text, length);
        copy[length] = 0;
    }
    return copy;
}

char *stapes__strdup(const char *text) {
    return stapes__strndup(text, strlen(text));
}

enum { HUGE_FROM = 1 << 20, HUGE_PAGE = 2 << 20, ALIGN = 64 };

void *stapes__alloc_aligned(size_t bytes) {
    size_t align = bytes >= HUGE_FROM ? HUGE_PAGE : ALIGN;
    void *block = NULL;
    if (posix_memalign(&block, align, bytes ? bytes : 1) != 0)
        return NULL;
#ifdef MADV_HUGEPAGE
    if (bytes >= HUGE_FROM)
        madvise(block, bytes, MADV_HUGEPAGE);
#endif
    return block;
}

void stapes__free_aligned(void *block) {
    free(block);
}

/* ---- buffer ---- */

static bool buf_reserve(stapes__buf *buf, size_t more) {
    size_t need;
    if (buf->failed || !stapes__add_size(buf->length, more, &need) ||
        !stapes__add_size(need, 1, &need)) {
        buf->failed = true;
        return false;
    }
    if (need <= buf->capacity)
        return true;
    size_t capacity = buf->capacity ? buf->capacity : 64;
    while (capacity < need)
        capacity += capacity / 2 + 64;
    char *data = realloc(buf->data, capacity);
    if (!data) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

void stapes__buf_append(stapes__buf *buf, const void *bytes, size_t length) {
    if (!buf_reserve(buf, length))
        return;
    if (length)
        memcpy(buf->data + buf->length, bytes, length);
    buf->length += length;
    buf->data[buf->length] = 0;
}

void stapes__buf_puts(stapes__buf *buf, const char *text) {
    stapes__buf_append(buf, text, strlen(text));
}

void stapes__buf_printf(stapes__buf *buf, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0)
        buf->failed = true;
    else if (buf_reserve(buf, (size_t)length)) {
        vsnprintf(buf->data + buf->length, (size_t)length + 1, format, again);
        buf->length += (size_t)length;
    }
    va_end(again);
}

void stapes__buf_free(stapes__buf *buf) {
    free(buf->data);
    memset(buf, 0, sizeof *buf);
}

/* ---- arena ---- */

typedef struct chunk {
    char *data;
    size_t size;
} chunk;

struct stapes__arena {
    chunk *chunks;
    size_t count, capacity;
    size_t current, used; /* position: chunk index and bytes used in it */
    size_t peak;
};

enum { FIRST_CHUNK = 1 << 20 };

stapes__arena *stapes__arena_new(void) {
    return calloc(1, sizeof(stapes__arena));
}

void stapes__arena_free(stapes__arena *arena) {
    if (!arena)
        return;
    for (size_t i = 0; i < arena->count; i++)
        stapes__free_aligned(arena->chunks[i].data);
    free(arena->chunks);
    free(arena);
}

static bool arena_add_chunk(stapes__arena *arena, size_t bytes) {
    if (arena->count == arena->capacity) {
        size_t capacity = arena->capacity ? 2 * arena->capacity : 8;
        chunk *chunks = stapes__realloc(arena->chunks, capacity, sizeof *chunks);
        if (!chunks)
            return false;
        arena->chunks = chunks;
        arena->capacity = capacity;
    }
    size_t last = arena->count ? arena->chunks[arena->count - 1].size : FIRST_CHUNK / 2;
    size_t size = bytes > 2 * last ? bytes : 2 * last;
    if (size > ((size_t)64 << 20) && size > bytes)
        size = bytes > ((size_t)64 << 20) ? bytes : (size_t)64 << 20;
    char *data = stapes__alloc_aligned(size);
    if (!data)
        return false;
    arena->chunks[arena->count++] = (chunk){data, size};
    return true;
}

void *stapes__arena_alloc(stapes__arena *arena, size_t bytes) {
    if (bytes > SIZE_MAX - 64)
        return NULL;
    size_t rounded = (bytes + 63) & ~(size_t)63;
    while (arena->current < arena->count &&
           arena->chunks[arena->current].size - arena->used < rounded) {
        arena->current++;
        arena->used = 0;
    }
    if (arena->current == arena->count && !arena_add_chunk(arena, rounded))
        return NULL;
    void *block = arena->chunks[arena->current].data + arena->used;
    arena->used += rounded;
    size_t in_use = arena->used;
    for (size_t i = 0; i < arena->current; i++)
        in_use += arena->chunks[i].size;
    if (in_use > arena->peak)
        arena->peak = in_use;
    return block;
}

float *stapes__arena_floats(stapes__arena *arena, size_t count) {
    size_t bytes;
    return stapes__mul_size(count, sizeof(float), &bytes) ? stapes__arena_alloc(arena, bytes)
                                                          : NULL;
}

stapes__arena_mark stapes__arena_save(const stapes__arena *arena) {
    return (stapes__arena_mark){arena->current, arena->used};
}

void stapes__arena_restore(stapes__arena *arena, stapes__arena_mark mark) {
    arena->current = mark.chunk;
    arena->used = mark.used;
}

/* After a step that needed several chunks they are replaced by one of the whole size, so that the
 * following steps walk through one block. */
void stapes__arena_reset(stapes__arena *arena) {
    arena->current = 0;
    arena->used = 0;
    if (arena->count < 2)
        return;
    size_t total = 0;
    for (size_t i = 0; i < arena->count; i++)
        total += arena->chunks[i].size;
    for (size_t i = 0; i < arena->count; i++)
        stapes__free_aligned(arena->chunks[i].data);
    arena->count = 0;
    if (total > arena->peak + FIRST_CHUNK)
        total = arena->peak + FIRST_CHUNK;
    char *data = stapes__alloc_aligned(total);
    if (data)
        arena->chunks[arena->count++] = (chunk){data, total};
}

size_t stapes__arena_peak(const stapes__arena *arena) {
    return arena->peak;
}
