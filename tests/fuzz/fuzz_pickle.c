/* Any bytes as the data.pkl of a checkpoint; what is accepted lies inside its storages. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "weights/pickle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    stapes__pickle pickle = {0};
    stapes_error err;
    if (stapes__pickle_read(&pickle, data, size, &err) == STAPES_OK) {
        for (size_t i = 0; i < pickle.count; i++) {
            const stapes__pickle_tensor *t = &pickle.tensors[i];
            size_t last = t->offset, elements;
            if (!stapes__shape_elements(t->n_dims, t->shape, &elements))
                abort();
            for (int k = 0; k < t->n_dims && elements > 0; k++)
                last += (size_t)(t->shape[k] - 1) * (size_t)t->stride[k];
            if (elements > 0 && last >= t->storage_count)
                abort();
        }
    }
    stapes__pickle_free(&pickle);
    return 0;
}
