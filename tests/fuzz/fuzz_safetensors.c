/* Any bytes as a safetensors file. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "weights/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    stapes__table table = {0};
    stapes_error err;
    if (stapes__safetensors_read(&table, data, size, &err) == STAPES_OK &&
        stapes__table_finish(&table, &err) == STAPES_OK) {
        for (size_t i = 0; i < table.count; i++) {
            const stapes__tensor *t = &table.tensors[i];
            if (t->bytes > 0) { /* both ends of every view are inside the input */
                const uint8_t *bytes = t->data;
                if (bytes < data || bytes + t->bytes > data + size)
                    abort();
            }
            if (stapes__table_find(&table, t->name) != t)
                abort();
        }
    }
    stapes__table_free(&table);
    return 0;
}
