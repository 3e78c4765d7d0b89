#include "weights/torch.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "weights/pickle.h"
#include "weights/torch_zip.h"

typedef struct reader {
    stapes__container *c;
    const uint8_t *data;
    size_t copied, copy_limit;
    stapes_error *err;
} reader;

/* Row-major without holes: sizes of 1 may have any stride. */
static bool contiguous(const stapes__pickle_tensor *t) {
    int64_t expected = 1;
    for (int i = t->n_dims - 1; i >= 0; i--) {
        if (t->shape[i] != 1 && t->stride[i] != expected)
            return false;
        expected *= t->shape[i];
    }
    return true;
}

/* Gathers the elements in row-major order; both sides were checked to be inside their memory. */
static void gather(const stapes__pickle_tensor *t, const uint8_t *storage, uint8_t *out,
                   size_t elements) {
    size_t unit = stapes__dtype_size(t->dtype), at = t->offset;
    int64_t index[STAPES__MAX_DIMS] = {0};
    for (size_t n = 0; n < elements; n++) {
        memcpy(out + n * unit, storage + at * unit, unit);
        for (int i = t->n_dims - 1; i >= 0; i--) {
            at += (size_t)t->stride[i];
            if (++index[i] < t->shape[i])
                break;
            at -= (size_t)t->stride[i] * (size_t)t->shape[i];
            index[i] = 0;
        }
    }
}

static stapes_status copy_tensor(reader *r, const stapes__pickle_tensor *t, const uint8_t *storage,
                                 size_t elements, stapes__tensor *view) {
    stapes__container *c = r->c;
    if (view->bytes > r->copy_limit - r->copied)
        return stapes__fail(r->err, STAPES_E_MODEL_DAMAGED,
                            "checkpoint tensor %.*s: the tensors that are not stored in order "
                            "have more bytes than the file",
                            t->name_length > 200 ? 200 : (int)t->name_length, t->name);
    void **blocks = stapes__realloc(c->blocks, c->n_blocks + 1, sizeof *blocks);
    if (!blocks)
        return stapes__fail_memory(r->err, "the checkpoint's tensors");
    c->blocks = blocks;
    uint8_t *block = stapes__calloc(elements, stapes__dtype_size(t->dtype));
    if (!block)
        return stapes__fail_memory(r->err, "the checkpoint's tensors");
    c->blocks[c->n_blocks++] = block;
    gather(t, storage, block, elements);
    r->copied += view->bytes;
    view->data = block;
    return STAPES_OK;
}

static stapes_status add_tensor(reader *r, const stapes__zip *zip, const stapes__pickle_tensor *t) {
    int shown = t->name_length > 200 ? 200 : (int)t->name_length;
    const stapes__zip_entry *storage = stapes__zip_find(zip, "data/", t->key, t->key_length);
    size_t unit = stapes__dtype_size(t->dtype), elements, bytes;
    if (!storage)
        return stapes__fail(r->err, STAPES_E_MODEL_DAMAGED,
                            "checkpoint tensor %.*s: its storage data/%.*s is missing", shown,
                            t->name, t->key_length > 100 ? 100 : (int)t->key_length, t->key);
    if (!stapes__mul_size(t->storage_count, unit, &bytes) || bytes > storage->size)
        return stapes__fail(r->err, STAPES_E_MODEL_DAMAGED,
                            "checkpoint tensor %.*s: its storage should have %zu elements of %s, "
                            "but has %zu bytes",
                            shown, t->name, t->storage_count, stapes__dtype_name(t->dtype),
                            storage->size);
    stapes__tensor view = {.name = t->name, .dtype = t->dtype, .n_dims = t->n_dims};
    memcpy(view.shape, t->shape, sizeof view.shape);
    if (!stapes__shape_elements(t->n_dims, t->shape, &elements))
        return stapes__fail(r->err, STAPES_E_INTERNAL, "checkpoint tensor %.*s: unchecked shape",
                            shown, t->name);
    const uint8_t *base = r->data + storage->offset;
    view.bytes = elements * unit; /* at most 2^43 */
    view.data = elements ? base + t->offset * unit : base;
    if (elements > 0 && !contiguous(t)) {
        stapes_status status = copy_tensor(r, t, base, elements, &view);
        if (status != STAPES_OK)
            return status;
    }
    return stapes__table_add(&r->c->table, &view, t->name_length, r->err);
}

stapes_status stapes__torch_read(stapes__container *c, const uint8_t *data, size_t size,
                                 json_t **extra, stapes_error *err) {
    stapes__zip zip = {0};
    stapes_status status = stapes__zip_read(&zip, data, size, err);
    if (status != STAPES_OK)
        return status;
    stapes__pickle pickle = {0};
    const stapes__zip_entry *list = stapes__zip_find(&zip, "", "data.pkl", 8);
    if (!list)
        status = stapes__fail(err, STAPES_E_MODEL_DAMAGED, "the checkpoint has no data.pkl");
    else
        status = stapes__pickle_read(&pickle, data + list->offset, list->size, err);
    reader r = {.c = c, .data = data, .copy_limit = size, .err = err};
    for (size_t i = 0; status == STAPES_OK && i < pickle.count; i++)
        status = add_tensor(&r, &zip, &pickle.tensors[i]);
    if (status == STAPES_OK && extra)
        *extra = json_incref(pickle.extra);
    stapes__pickle_free(&pickle);
    stapes__zip_free(&zip);
    return status;
}

stapes_status stapes__torch_open_file(stapes__container *c, const char *path, stapes_error *err) {
    stapes__map map;
    stapes_status status = stapes__map_open(&map, path, err);
    if (status != STAPES_OK)
        return status;
    status = stapes__container_take_map(c, map, err);
    if (status == STAPES_OK)
        status = stapes__torch_read(c, map.data, map.size, &c->config, err);
    if (status != STAPES_OK)
        stapes__prefix(err, "%s", path);
    return status;
}
