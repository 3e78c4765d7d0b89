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

size_t stapes__dtype_size(stapes__dtype dtype);
const char *stapes__dtype_name(stapes__dtype dtype); /* "F32", as safetensors spells it */

/* Number of elements; false on overflow, negative sizes, or more than 2^40. */
bool stapes__shape_elements(int n_dims, const int64_t *shape, size_t *count);
/* "[24, 1024]" into text. */
void stapes__shape_text(const stapes__tensor *tensor, char *text, size_t capacity);

/* Converts `count` elements from `first` to float. Floating and integer types. */
void stapes__to_f32(const stapes__tensor *tensor, size_t first, size_t count, float *out);
float stapes__half_to_float(uint16_t half);

#endif
