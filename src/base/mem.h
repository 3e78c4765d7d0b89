/* Memory: overflow-checked allocation, aligned blocks, growing buffers, step arenas. */
#ifndef STAPES_BASE_MEM_H
#define STAPES_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* count * size zeroed bytes; NULL on overflow or when memory is short. free() releases. */
void *stapes__calloc(size_t count, size_t size);

/* reallocates to count * size; NULL on overflow or shortage, the old block stays valid. */
void *stapes__realloc(void *block, size_t count, size_t size);

char *stapes__strdup(const char *text);
char *stapes__strndup(const char *text, size_t length);

/* 64-byte aligned, not zeroed; stapes__free_aligned releases. Blocks of 1 MB and more ask the
 * kernel for huge pages. */
void *stapes__alloc_aligned(size_t bytes);
void stapes__free_aligned(void *block);

/* A byte buffer that grows. Zero-initialise; `failed` stays true after a failed growth and later
 * appends do nothing, so one check at the end is enough. data is always NUL-terminated. */
typedef struct stapes__buf {
    char *data;
    size_t length, capacity;
    bool failed;
} stapes__buf;

void stapes__buf_append(stapes__buf *buf, const void *bytes, size_t length);
void stapes__buf_puts(stapes__buf *buf, const char *text);
void stapes__buf_printf(stapes__buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void stapes__buf_free(stapes__buf *buf);

/* A step arena: blocks of 64-byte aligned scratch that are all given back by one reset. Grows in
 * chunks while a first step finds out what it needs; afterwards a step allocates nothing. */
typedef struct stapes__arena stapes__arena;

stapes__arena *stapes__arena_new(void);
void stapes__arena_free(stapes__arena *arena);
/* NULL when memory is short. Not zeroed. */
void *stapes__arena_alloc(stapes__arena *arena, size_t bytes);
float *stapes__arena_floats(stapes__arena *arena, size_t count);
/* A position to return to, for scratch of an inner step. */
typedef struct stapes__arena_mark {
    size_t chunk, used;
} stapes__arena_mark;
stapes__arena_mark stapes__arena_save(const stapes__arena *arena);
void stapes__arena_restore(stapes__arena *arena, stapes__arena_mark mark);
void stapes__arena_reset(stapes__arena *arena);
/* Highest number of bytes in use so far. */
size_t stapes__arena_peak(const stapes__arena *arena);

/* a * b into *out; false on overflow. */
bool stapes__mul_size(size_t a, size_t b, size_t *out);
bool stapes__add_size(size_t a, size_t b, size_t *out);

#endif
