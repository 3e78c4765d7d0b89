/* Any bytes as a torch checkpoint: zip directory, data.pkl, gathering of tensors. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "weights/torch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    stapes__container *c = calloc(1, sizeof *c);
    if (!c)
        return 0;
    json_t *extra = NULL;
    stapes_error err;
    if (stapes__torch_read(c, data, size, &extra, &err) == STAPES_OK &&
        stapes__table_finish(&c->table, &err) == STAPES_OK) {
        volatile uint8_t sum = 0;
        for (size_t i = 0; i < c->table.count; i++) {
            const uint8_t *bytes = c->table.tensors[i].data;
            for (size_t k = 0; k < c->table.tensors[i].bytes; k++)
                sum = (uint8_t)(sum + bytes[k]);
        }
    }
    json_decref(extra);
    stapes__container_close(&c);
    return 0;
}
