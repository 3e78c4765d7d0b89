/* Unpacking a gzip file that has to be mapped. */
#ifndef STAPES_WEIGHTS_GUNZIP_H
#define STAPES_WEIGHTS_GUNZIP_H

#include "base/file.h"

/* Inflates a gzip file in memory into a temporary file without a name and maps that; the space is
 * given back when the mapping is closed. At most 64 GiB. MODEL_DAMAGED for broken or cut data,
 * DISK_FULL or IO naming the temporary folder. */
stapes_status stapes__gunzip_map(stapes__map *map, const uint8_t *data, size_t size,
                                 stapes_error *err);

#endif
