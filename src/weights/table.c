#include "weights/table.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/mem.h"
#include "weights/naming.h"

/* Far beyond any model (a 42-layer encoder has about 1,500) and small enough for 32-bit indexes. */
enum { MAX_TENSORS = 1 << 20 };

static bool name_allowed(const char *name, size_t length) {
    if (length == 0 || length > STAPES__MAX_NAME)
        return false;
    const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)name;
    for (size_t left = length; left > 0;) {
        utf8proc_int32_t code;
        utf8proc_ssize_t step = utf8proc_iterate(at, (utf8proc_ssize_t)left, &code);
        if (step <= 0 || code < 0x20 || code == 0x7f)
            return false;
        at += step;
        left -= (size_t)step;
    }
    return true;
}

static stapes_status check(const stapes__tensor *tensor, size_t length, stapes_error *err) {
    int shown = length > 80 ? 80 : (int)length;
    if (!name_allowed(tensor->name, length))
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "tensor name '%.*s' is empty, longer than %d bytes or no plain text",
                            shown, tensor->name, STAPES__MAX_NAME);
    size_t elements, bytes, block = stapes__dtype_block(tensor->dtype);
    if (tensor->n_dims < 0 || tensor->n_dims > STAPES__MAX_DIMS ||
        !stapes__shape_elements(tensor->n_dims, tensor->shape, &elements))
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED, "tensor %.*s has an impossible shape",
                            (int)length, tensor->name);
    if (!stapes__shape_bytes(tensor->dtype, tensor->n_dims, tensor->shape, &bytes))
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "tensor %.*s: its rows are no whole number of blocks of %zu (%s)",
                            (int)length, tensor->name, block, stapes__dtype_name(tensor->dtype));
    if (bytes != tensor->bytes)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "tensor %.*s: %zu elements of %s need %zu bytes, but %zu are stored",
                            (int)length, tensor->name, elements, stapes__dtype_name(tensor->dtype),
                            bytes, tensor->bytes);
    return STAPES_OK;
}

stapes_status stapes__table_add(stapes__table *table, const stapes__tensor *tensor, size_t length,
                                stapes_error *err) {
    stapes_status status = check(tensor, length, err);
    if (status != STAPES_OK)
        return status;
    if (table->count >= MAX_TENSORS)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED, "more than %d tensors", MAX_TENSORS);
    if (table->count == table->capacity) {
        size_t capacity = table->capacity ? table->capacity * 2 : 64;
        stapes__tensor *grown = stapes__realloc(table->tensors, capacity, sizeof *grown);
        if (!grown)
            return stapes__fail_memory(err, "the tensor directory");
        table->tensors = grown;
        table->capacity = capacity;
    }
    char *name = stapes__strndup(tensor->name, length);
    if (!name)
        return stapes__fail_memory(err, "the tensor directory");
    table->tensors[table->count] = *tensor;
    table->tensors[table->count++].name = name;
    return STAPES_OK;
}

static int compare_keys(const void *a, const void *b) {
    const stapes__table_key *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

/* One entry of the canonical index while it is sorted: the tie-break needs both names. */
typedef struct pair {
    const char *canonical, *name;
    uint32_t index;
} pair;

static int compare_pairs(const void *a, const void *b) {
    const pair *x = a, *y = b;
    int order = strcmp(x->canonical, y->canonical);
    return order ? order : strcmp(y->name, x->name);
}

static stapes_status index_names(stapes__table *table, stapes_error *err) {
    table->by_name = stapes__calloc(table->count, sizeof *table->by_name);
    if (!table->by_name)
        return stapes__fail_memory(err, "the tensor directory");
    for (size_t i = 0; i < table->count; i++)
        table->by_name[i] = (stapes__table_key){table->tensors[i].name, (uint32_t)i};
    qsort(table->by_name, table->count, sizeof *table->by_name, compare_keys);
    for (size_t i = 1; i < table->count; i++)
        if (strcmp(table->by_name[i - 1].name, table->by_name[i].name) == 0)
            return stapes__fail(err, STAPES_E_MODEL_DAMAGED, "tensor %s is stored twice",
                                table->by_name[i].name);
    return STAPES_OK;
}

static stapes_status index_canonical(stapes__table *table, stapes_error *err) {
    table->canonical = stapes__calloc(table->count, sizeof *table->canonical);
    table->by_canonical = stapes__calloc(table->count, sizeof *table->by_canonical);
    pair *pairs = stapes__calloc(table->count, sizeof *pairs);
    bool ok = table->canonical && table->by_canonical && pairs;
    for (size_t i = 0; ok && i < table->count; i++) {
        const char *name = table->tensors[i].name;
        char other[STAPES__NAME_SPACE];
        if (stapes__name_canonical(name, other, sizeof other)) {
            table->canonical[i] = stapes__strdup(other);
            ok = table->canonical[i] != NULL;
        }
        pairs[i] = (pair){table->canonical[i] ? table->canonical[i] : name, name, (uint32_t)i};
    }
    if (ok) {
        qsort(pairs, table->count, sizeof *pairs, compare_pairs);
        for (size_t i = 0; i < table->count; i++)
            table->by_canonical[i] = (stapes__table_key){pairs[i].canonical, pairs[i].index};
    }
    free(pairs);
    return ok ? STAPES_OK : stapes__fail_memory(err, "the tensor directory");
}

stapes_status stapes__table_finish(stapes__table *table, stapes_error *err) {
    stapes_status status = index_names(table, err);
    return status == STAPES_OK ? index_canonical(table, err) : status;
}

void stapes__table_free(stapes__table *table) {
    for (size_t i = 0; i < table->count; i++) {
        free((char *)(uintptr_t)table->tensors[i].name);
        if (table->canonical)
            free(table->canonical[i]);
    }
    free(table->tensors);
    free(table->canonical);
    free(table->by_name);
    free(table->by_canonical);
    *table = (stapes__table){0};
}

/* The first entry that is not smaller than `name`, when it is equal. */
static const stapes__tensor *search(const stapes__table *table, const stapes__table_key *keys,
                                    const char *name) {
    size_t low = 0, high = keys ? table->count : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(keys[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (!keys || low >= table->count || strcmp(keys[low].name, name) != 0)
        return NULL;
    return &table->tensors[keys[low].index];
}

const stapes__tensor *stapes__table_find(const stapes__table *table, const char *name) {
    return search(table, table->by_name, name);
}

const stapes__tensor *stapes__table_find_canonical(const stapes__table *table, const char *name) {
    return search(table, table->by_canonical, name);
}

const char *stapes__table_canonical(const stapes__table *table, size_t index) {
    const char *other = table->canonical ? table->canonical[index] : NULL;
    return other ? other : table->tensors[index].name;
}
