/* Block types of ggml: groups of 32 or 256 small integers that share a scale (and a minimum).
 * Layouts: spec/file-formats.md 4.1; values as PyPI's gguf computes them, bit for bit. Plain C:
 * weights are converted once, when they are packed. */
#ifndef STAPES_TENSOR_BLOCKS_H
#define STAPES_TENSOR_BLOCKS_H

#include "tensor/tensor.h"

/* `count` elements from `first` (both whole blocks) of a tensor of a block type. The data may be
 * unaligned. For Q8_0_PLANAR tensor->bytes is that of the whole tensor: it says where the scales
 * begin. */
void stapes__blocks_to_f32(const stapes__tensor *tensor, size_t first, size_t count, float *out);

#endif
