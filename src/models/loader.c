#include "models/loader.h"

#include <string.h>

enum { LISTED_PROBLEMS = 6 };

static void note(stapes__loader *loader, const char *name, const char *wanted, const char *found) {
    if (loader->n_problems++ >= LISTED_PROBLEMS)
        return;
    stapes__buf_printf(&loader->problems, "%s%s: wanted %s, found %s",
                       loader->n_problems > 1 ? "; " : "", name, wanted, found);
}

static bool shape_fits(const stapes__tensor *t, const size_t *dims, int n_dims) {
    int have = t->n_dims, want = n_dims;
    while (have > 0 && t->shape[have - 1] == 1)
        have--;
    while (want > 0 && dims[want - 1] == 1)
        want--;
    if (have != want)
        return false;
    for (int i = 0; i < want; i++)
        if (t->shape[i] != (int64_t)dims[i])
            return false;
    return true;
}

const stapes__tensor *stapes__loader_tensor(stapes__loader *loader, const char *name, size_t d0,
                                            size_t d1, size_t d2, size_t d3) {
    size_t dims[4] = {d0, d1, d2, d3};
    int n_dims = 0;
    stapes__tensor wanted = {0};
    while (n_dims < 4 && dims[n_dims] > 0) {
        wanted.shape[n_dims] = (int64_t)dims[n_dims];
        n_dims++;
    }
    wanted.n_dims = n_dims;
    const stapes__tensor *tensor = loader->find(loader->container, name);
    char want[128], have[128];
    stapes__shape_text(&wanted, want, sizeof want);
    if (!tensor) {
        note(loader, name, want, "no such tensor");
        return NULL;
    }
    if (!shape_fits(tensor, dims, n_dims)) {
        stapes__shape_text(tensor, have, sizeof have);
        note(loader, name, want, have);
        return NULL;
    }
    if (!stapes__dtype_is_real(tensor->dtype)) {
        note(loader, name, "a floating or block type", stapes__dtype_name(tensor->dtype));
        return NULL;
    }
    return tensor;
}

bool stapes__loader_has(const stapes__loader *loader, const char *name) {
    return loader->find(loader->container, name) != NULL;
}

static bool going_on(const stapes__loader *loader) {
    return loader->n_problems == 0 && loader->status == STAPES_OK;
}

static size_t elements(const stapes__tensor *tensor) {
    size_t count = 0;
    stapes__shape_elements(tensor->n_dims, tensor->shape, &count);
    return count;
}

void stapes__loader_release(stapes__loader *loader, const stapes__tensor *tensor) {
    stapes__container_release(loader->container, tensor);
    loader->bytes_done += tensor->bytes;
    loader->parameters += (int64_t)elements(tensor);
    if (loader->progress && loader->status == STAPES_OK &&
        !loader->progress(loader->progress_user, loader->bytes_done))
        loader->status = stapes__fail(loader->err, STAPES_E_ABORTED, "loading was stopped");
}

float *stapes__loader_floats(stapes__loader *loader, const char *name, size_t count, float scale) {
    const stapes__tensor *tensor = loader->find(loader->container, name);
    if (!tensor || elements(tensor) != count) /* notes the problem with the wanted length */
        tensor = stapes__loader_tensor(loader, name, count, 0, 0, 0);
    else if (!stapes__dtype_is_real(tensor->dtype))
        note(loader, name, "a floating or block type", stapes__dtype_name(tensor->dtype));
    if (!tensor || !going_on(loader))
        return NULL;
    float *out = stapes__arena_floats(loader->arena, count);
    if (!out) {
        loader->status = stapes__fail_memory(loader->err, name);
        return NULL;
    }
    stapes__to_f32(tensor, 0, count, out);
    for (size_t i = 0; scale != 1.0f && i < count; i++)
        out[i] *= scale;
    stapes__loader_release(loader, tensor);
    return out;
}

stapes__weight *stapes__loader_stack(stapes__loader *loader, const char *const *names,
                                     size_t n_parts, size_t n, size_t k) {
    stapes__tensor parts[4];
    if (n_parts > 4) {
        loader->status = stapes__fail(loader->err, STAPES_E_INTERNAL, "too many stacked weights");
        return NULL;
    }
    const stapes__tensor *sources[4];
    for (size_t i = 0; i < n_parts; i++) {
        sources[i] = stapes__loader_tensor(loader, names[i], n, k, 0, 0);
        if (sources[i])
            parts[i] = *sources[i];
    }
    if (!going_on(loader))
        return NULL;
    stapes__pack_params params = {.parts = parts, .n_parts = n_parts, .n = n * n_parts, .k = k};
    stapes__weight *weight = NULL;
    loader->status = loader->ops->pack(loader->ops, &params, &weight, loader->err);
    if (loader->status != STAPES_OK)
        return NULL;
    loader->packed_bytes += loader->ops->weight_bytes(weight);
    for (size_t i = 0; i < n_parts && sources[i]; i++)
        stapes__loader_release(loader, sources[i]);
    return weight;
}

stapes__weight *stapes__loader_weight(stapes__loader *loader, const char *name, size_t n, size_t k,
                                      const size_t *column) {
    const stapes__tensor *tensor = stapes__loader_tensor(loader, name, n, k, 0, 0);
    if (!tensor || !going_on(loader))
        return NULL;
    stapes__pack_params params = {.parts = tensor, .n_parts = 1, .n = n, .k = k, .column = column};
    stapes__weight *weight = NULL;
    loader->status = loader->ops->pack(loader->ops, &params, &weight, loader->err);
    if (loader->status != STAPES_OK)
        return NULL;
    loader->packed_bytes += loader->ops->weight_bytes(weight);
    stapes__loader_release(loader, tensor);
    return weight;
}

stapes_status stapes__loader_finish(stapes__loader *loader) {
    stapes_status status = loader->status;
    if (status == STAPES_OK && loader->n_problems > 0) {
        status =
            stapes__fail(loader->err, STAPES_E_MODEL_DAMAGED, "%d tensor%s not as configured: %s%s",
                         loader->n_problems, loader->n_problems == 1 ? " is" : "s are",
                         loader->problems.data ? loader->problems.data : "",
                         loader->n_problems > LISTED_PROBLEMS ? "; and more" : "");
        stapes__hint(loader->err, "The file may be cut off or belong to another configuration; "
                                  "fetch it again.");
    }
    stapes__buf_free(&loader->problems);
    return status;
}
