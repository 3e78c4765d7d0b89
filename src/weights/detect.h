/* What a file is, from its first bytes. spec/file-formats.md 11. */
#ifndef STAPES_WEIGHTS_DETECT_H
#define STAPES_WEIGHTS_DETECT_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef enum stapes__file_kind {
    STAPES__FILE_UNKNOWN,
    STAPES__FILE_EMPTY,
    STAPES__FILE_SAFETENSORS,
    STAPES__FILE_TAR,
    STAPES__FILE_GZIP,
    STAPES__FILE_ZIP,
    STAPES__FILE_PICKLE, /* a torch file of before version 1.6 */
    STAPES__FILE_GGUF,
    STAPES__FILE_GGML,
    STAPES__FILE_ONNX,
    STAPES__FILE_NPY,
    STAPES__FILE_HTML,       /* a web page saved in place of the weights */
    STAPES__FILE_LFS_POINTER /* the text that git keeps in place of a large file */
} stapes__file_kind;

/* Needs the beginning of the file, 512 bytes or more where it has them; `file_size` is the whole
 * length. Never reads beyond `size`. */
stapes__file_kind stapes__detect(const uint8_t *data, size_t size, size_t file_size);

/* The report for a kind that is not opened: UNSUPPORTED for other model formats, MODEL_DAMAGED
 * for pages, pointers and empty files; with what to do. */
stapes_status stapes__detect_refuse(stapes__file_kind kind, const char *path, stapes_error *err);

#endif
