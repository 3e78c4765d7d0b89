/* Files: UTF-8 paths, read-only maps, whole reads, atomic writes, folders. */
#ifndef STAPES_BASE_FILE_H
#define STAPES_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* A read-only mapping of a whole file. data is NULL for an empty file. */
typedef struct stapes__map {
    const uint8_t *data;
    size_t size;
} stapes__map;

stapes_status stapes__map_open(stapes__map *map, const char *path, stapes_error *err);
void stapes__map_close(stapes__map *map);
/* Tells the kernel that [offset, offset + length) is no longer needed, so that loading weights
 * does not hold the file and the packed copy in memory together. Only a hint. */
void stapes__map_release(const stapes__map *map, size_t offset, size_t length);

/* Reads a whole file of at most `limit` bytes, NUL-terminated for text. free(*data). */
stapes_status stapes__read_file(const char *path, size_t limit, char **data, size_t *size,
                                stapes_error *err);

/* Writes to a temporary name beside `path`, flushes, then renames: the old file or the whole new
 * one, never a part. */
stapes_status stapes__write_file(const char *path, const void *data, size_t size,
                                 stapes_error *err);

bool stapes__is_dir(const char *path);
bool stapes__is_file(const char *path);
/* Creates a folder and its parents. */
stapes_status stapes__make_dirs(const char *path, stapes_error *err);
/* "folder/name"; free() the result; NULL when memory is short. */
char *stapes__path_join(const char *folder, const char *name);
/* The part after the last slash. */
const char *stapes__path_base(const char *path);

#endif
