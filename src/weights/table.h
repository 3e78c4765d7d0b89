/* The directory of a container: tensors in file order, found by their own name or by the
 * canonical (NeMo) one through sorted indexes, so that no crafted set of names makes look-ups
 * slow. Owns the names, not the data. */
#ifndef STAPES_WEIGHTS_TABLE_H
#define STAPES_WEIGHTS_TABLE_H

#include "tensor/tensor.h"

#define STAPES__MAX_NAME 512

typedef struct stapes__table_key {
    const char *name;
    uint32_t index; /* into tensors */
} stapes__table_key;

typedef struct stapes__table {
    stapes__tensor *tensors;
    size_t count, capacity;
    stapes__table_key *by_name;      /* sorted; made by stapes__table_finish */
    stapes__table_key *by_canonical; /* sorted by canonical name, then by name downwards */
    char **canonical;                /* owned, per tensor; NULL = same as its name */
} stapes__table;

/* Adds a view. `tensor->name` need not be terminated: `length` bytes of it are copied. Refuses
 * (MODEL_DAMAGED) names that are empty, longer than 512 bytes, not UTF-8 or hold control
 * characters, more than 8 dimensions, and bytes != elements x size. */
stapes_status stapes__table_add(stapes__table *table, const stapes__tensor *tensor, size_t length,
                                stapes_error *err);

/* Sorts the indexes; MODEL_DAMAGED when a name occurs twice. Call once, after the last add. */
stapes_status stapes__table_finish(stapes__table *table, stapes_error *err);
void stapes__table_free(stapes__table *table);

/* By the name that the file uses; NULL when absent. */
const stapes__tensor *stapes__table_find(const stapes__table *table, const char *name);
/* By canonical name (see naming.h); of several the one with the greatest own name. */
const stapes__tensor *stapes__table_find_canonical(const stapes__table *table, const char *name);
/* The canonical name of a tensor of this table. */
const char *stapes__table_canonical(const stapes__table *table, size_t index);

#endif
