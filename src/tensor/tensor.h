/* Tensor views: dtype, shape, bytes. No arithmetic and no ownership: a view points into a mapped
 * file or a block that somebody else holds. Row-major, last index fastest. */
#ifndef STAPES_TENSOR_TENSOR_H
#define STAPES_TENSOR_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define STAPES__MAX_DIMS 8

typedef enum stapes__dtype {
    STAPES__F32,
    STAPES__F16,
    STAPES__BF16,
    STAPES__F64,
    STAPES__I64,
    STAPES__I32,
    STAPES__I16,
    STAPES__I8,
    STAPES__U8,
    STAPES__BOOL,
    /* Block types of ggml (blocks.h): a row is a whole number of blocks. */
    STAPES__Q4_0,
    STAPES__Q4_1,
    STAPES__Q5_0,
    STAPES__Q5_1,
    STAPES__Q8_0,
    STAPES__Q8_0_PLANAR, /* every value of the tensor, then every scale */
    STAPES__Q2_K,
    STAPES__Q3_K,
    STAPES__Q4_K,
    STAPES__Q5_K,
    STAPES__Q6_K,
    STAPES__DTYPE_COUNT
} stapes__dtype;

typedef struct stapes__tensor {
    const char *name;
    stapes__dtype dtype;
    int n_dims; /* 0 = scalar */
    int64_t shape[STAPES__MAX_DIMS];
    const void *data; /* may be unaligned */
    size_t bytes;
} stapes__tensor;

/* Elements that are stored together (1 except for block types), and the bytes that they take. */
size_t stapes__dtype_block(stapes__dtype dtype);
size_t stapes__dtype_size(stapes__dtype dtype);
const char *stapes__dtype_name(stapes__dtype dtype); /* "F32", as safetensors spells it */
/* True for the types of weights: floating ones and block types. */
bool stapes__dtype_is_real(stapes__dtype dtype);
#define STAPES__MAX_BLOCK 256

/* Number of elements; false on overflow, negative sizes, or more than 2^40. */
bool stapes__shape_elements(int n_dims, const int64_t *shape, size_t *count);
/* Bytes of a tensor; false where stapes__shape_elements is, on overflow, and when the last
 * dimension of a block type is no whole number of blocks. */
bool stapes__shape_bytes(stapes__dtype dtype, int n_dims, const int64_t *shape, size_t *bytes);
/* "[24, 1024]" into text. */
void stapes__shape_text(const stapes__tensor *tensor, char *text, size_t capacity);

/* Converts `count` elements from `first` to float. Of block types whole blocks only: both are
 * multiples of stapes__dtype_block. */
void stapes__to_f32(const stapes__tensor *tensor, size_t first, size_t count, float *out);
float stapes__half_to_float(uint16_t half);

#endif
