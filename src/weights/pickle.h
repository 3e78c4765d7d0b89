/* The data.pkl of a torch checkpoint. A stack machine that knows a dozen kinds of value and
 * executes nothing: classes and functions are accepted by name from a short list and have the
 * meaning given here (spec/file-formats.md 3.3). */
#ifndef STAPES_WEIGHTS_PICKLE_H
#define STAPES_WEIGHTS_PICKLE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "tensor/tensor.h"

/* Far above the 0.2 MB of a model with 1,500 tensors; bounds what hostile input can cost. */
#define STAPES__PICKLE_LIMIT ((size_t)16 << 20)

/* A tensor of the state dictionary as torch describes it: a window into a storage. Texts are views
 * into the pickle and not terminated. Checked: sizes and strides are not negative, the element
 * count is at most 2^40, and every element lies inside `storage_count`. */
typedef struct stapes__pickle_tensor {
    const char *name;
    size_t name_length;
    const char *key; /* the storage's member name below data/ */
    size_t key_length;
    stapes__dtype dtype;
    size_t storage_count; /* elements */
    size_t offset;        /* of the first element, in elements */
    int n_dims;
    int64_t shape[STAPES__MAX_DIMS], stride[STAPES__MAX_DIMS];
} stapes__pickle_tensor;

/* Zero-initialise. */
typedef struct stapes__pickle {
    stapes__pickle_tensor *tensors; /* in the order of the state dictionary */
    size_t count;
    json_t *extra; /* the rest of the top dictionary, as far as it is plain values; an object */
} stapes__pickle;

/* Reads a pickle whose value is a state dictionary (name -> tensor), or a dictionary that holds
 * one under "state_dict" or "model_state_dict". Entries of the state dictionary that are no
 * tensors are passed over. In `extra`: "dims": {...} of Whisper files and the like. MODEL_DAMAGED
 * or UNSUPPORTED names the place and what was met, for example a class outside the list; the
 * result is empty then. Memory is bounded by a multiple of `size`. */
stapes_status stapes__pickle_read(stapes__pickle *pickle, const uint8_t *data, size_t size,
                                  stapes_error *err);
void stapes__pickle_free(stapes__pickle *pickle);

#endif
