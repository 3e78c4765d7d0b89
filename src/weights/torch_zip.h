/* The zip archives that torch.save writes: stored members, zip64. spec/file-formats.md 3.3. */
#ifndef STAPES_WEIGHTS_TORCH_ZIP_H
#define STAPES_WEIGHTS_TORCH_ZIP_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct stapes__zip_entry {
    const char *name; /* in the archive, not terminated */
    size_t name_length, offset, size;
} stapes__zip_entry;

/* Zero-initialise. */
typedef struct stapes__zip {
    stapes__zip_entry *entries; /* sorted by name */
    size_t count;
    const char *top; /* the folder that holds data.pkl, with its slash; not terminated */
    size_t top_length;
} stapes__zip;

/* Reads the central directory and every member's local header. Refuses (MODEL_DAMAGED) sizes and
 * places outside the archive, duplicate names, a local header that names another file, members
 * that are compressed or encrypted (UNSUPPORTED), archives without exactly one data.pkl, and a
 * byteorder other than little. On failure the directory is empty. Views into `data`. */
stapes_status stapes__zip_read(stapes__zip *zip, const uint8_t *data, size_t size,
                               stapes_error *err);
void stapes__zip_free(stapes__zip *zip);

/* The member "<top>/<folder><name>", for example ("data/", "17"); NULL when absent. */
const stapes__zip_entry *stapes__zip_find(const stapes__zip *zip, const char *folder,
                                          const char *name, size_t name_length);

#endif
