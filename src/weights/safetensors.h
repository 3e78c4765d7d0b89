/* safetensors: u64 length, JSON header, data. spec/file-formats.md 2. */
#ifndef STAPES_WEIGHTS_SAFETENSORS_H
#define STAPES_WEIGHTS_SAFETENSORS_H

#include "weights/container_internal.h"

/* Adds every tensor of a file in memory to `table`, in order of its position, as views into
 * `data`. Checks: header length, JSON (nesting, duplicates), dtype x shape = bytes, begin <= end
 * <= data size, no overlaps (gaps are tolerated). MODEL_DAMAGED names the tensor;
 * UNSUPPORTED for element types that no model of ours uses. */
stapes_status stapes__safetensors_read(stapes__table *table, const uint8_t *data, size_t size,
                                       stapes_error *err);

/* Opens one file into the container (mapped). */
stapes_status stapes__safetensors_open_file(stapes__container *c, const char *path,
                                            stapes_error *err);

/* Opens the weights of a Hugging Face folder: model.safetensors, or the files named by
 * model.safetensors.index.json (names without '/', '\\' and ".."; every tensor of its weight_map
 * must be in the file that it names). */
stapes_status stapes__safetensors_open_folder(stapes__container *c, const char *folder,
                                              stapes_error *err);

/* True when the folder holds weights in one of these two forms. */
bool stapes__safetensors_in_folder(const char *folder);

#endif
