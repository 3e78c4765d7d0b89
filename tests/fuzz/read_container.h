/* Reads bytes as a container and touches everything that the reader says is there. */
#ifndef STAPES_FUZZ_READ_CONTAINER_H
#define STAPES_FUZZ_READ_CONTAINER_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "weights/container_internal.h"

typedef stapes_status (*container_reader)(stapes__container *c, const uint8_t *data, size_t size,
                                          stapes_error *err);

static inline int read_container(container_reader read, const uint8_t *data, size_t size) {
    stapes__container *c = calloc(1, sizeof *c);
    if (!c)
        return 0;
    stapes_error err;
    if (read(c, data, size, &err) == STAPES_OK &&
        stapes__table_finish(&c->table, &err) == STAPES_OK) {
        volatile float sum = 0.0f;
        for (size_t i = 0; i < c->table.count; i++) { /* every view, block by block */
            const stapes__tensor *t = &c->table.tensors[i];
            size_t block = stapes__dtype_block(t->dtype), count = 0;
            float values[STAPES__MAX_BLOCK];
            stapes__shape_elements(t->n_dims, t->shape, &count);
            for (size_t k = 0; k < count; k += block) {
                stapes__to_f32(t, k, block, values);
                sum = sum + values[block - 1];
            }
        }
        volatile uint8_t last = 0;
        for (size_t i = 0; i < c->n_tokens; i++)
            for (size_t k = 0; k < c->token_lengths[i]; k++)
                last = c->tokens[i][k];
        (void)last;
    }
    stapes__container_close(&c);
    return 0;
}

#endif
