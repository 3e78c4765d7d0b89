/* Element types of ggml by number. spec/file-formats.md 4.1. */
#ifndef STAPES_WEIGHTS_GGML_TYPES_H
#define STAPES_WEIGHTS_GGML_TYPES_H

#include "tensor/tensor.h"

/* The type behind a number of a ggml .bin or GGUF file. UNSUPPORTED names the tensor (`length`
 * bytes of `name`) and the type when it is not read. */
stapes_status stapes__ggml_type(uint64_t id, const char *name, size_t length, stapes__dtype *dtype,
                                stapes_error *err);

#endif
