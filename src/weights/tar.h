/* Tar archives in memory: ustar, pax (path, size), GNU long names and base-256 sizes.
 * spec/file-formats.md 3.1. */
#ifndef STAPES_WEIGHTS_TAR_H
#define STAPES_WEIGHTS_TAR_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct stapes__tar_entry {
    char *name; /* without a leading "./" */
    size_t offset, size;
} stapes__tar_entry;

/* The regular files of an archive in their order. Zero-initialise. */
typedef struct stapes__tar {
    stapes__tar_entry *entries;
    size_t count, capacity;
} stapes__tar;

/* Reads the directory; data stay where they are. Every header's checksum and every size is
 * checked. Folders, links and devices are passed over. The archive may end without its two empty
 * blocks. MODEL_DAMAGED with the place; UNSUPPORTED for sparse files. On failure the directory is
 * empty. */
stapes_status stapes__tar_read(stapes__tar *tar, const uint8_t *data, size_t size,
                               stapes_error *err);
void stapes__tar_free(stapes__tar *tar);

/* The last member (as unpacking would leave it) whose name is `name` or ends with "/name". */
const stapes__tar_entry *stapes__tar_find(const stapes__tar *tar, const char *name);

#endif
