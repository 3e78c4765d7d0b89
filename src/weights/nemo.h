/* NeMo archives: a tar (before NeMo 1.7 inside gzip) of model_config.yaml, model_weights.ckpt and
 * the tokenizer. spec/file-formats.md 3. */
#ifndef STAPES_WEIGHTS_NEMO_H
#define STAPES_WEIGHTS_NEMO_H

#include "weights/container_internal.h"

/* Opens an archive into the container: tensors are views into the mapping, the configuration is
 * the YAML as a tree, the tokenizer the member that tokenizer.model_path names (its vocab.txt is
 * in display form and never used). A gzip archive is unpacked into a nameless temporary file below
 * $TMPDIR (or /var/tmp, /tmp) and mapped from there; DISK_FULL when that does not fit. */
stapes_status stapes__nemo_open_file(stapes__container *c, const char *path, bool gzip,
                                     stapes_error *err);

/* The same from bytes that outlive the container. */
stapes_status stapes__nemo_read(stapes__container *c, const uint8_t *data, size_t size,
                                stapes_error *err);

#endif
