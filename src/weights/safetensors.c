#include "weights/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "weights/json.h"

enum { MAX_HEADER = 100 * 1000 * 1000, LENGTH_BYTES = 8, MAX_SHARDS = 1000 };

static const char single_name[] = "model.safetensors";
static const char index_name[] = "model.safetensors.index.json";

typedef struct entry {
    stapes__tensor tensor; /* name points into the JSON tree, data still NULL */
    size_t begin, end;
} entry;

static uint64_t read_u64(const uint8_t *bytes) {
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | bytes[i];
    return value;
}

static stapes_status read_dtype(const char *name, const json_t *text, stapes__dtype *dtype,
                                stapes_error *err) {
    const char *spelled = json_string_value(text);
    if (!spelled)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED, "tensor %s has no dtype", name);
    for (int i = 0; i <= STAPES__BOOL; i++) { /* block types are not safetensors' */
        if (strcmp(spelled, stapes__dtype_name((stapes__dtype)i)) == 0) {
            *dtype = (stapes__dtype)i;
            return STAPES_OK;
        }
    }
    stapes__fail(err, STAPES_E_UNSUPPORTED, "tensor %s has element type %.32s, which is not read",
                 name, spelled);
    stapes__hint(err, "use a copy of the model in F32, F16 or BF16");
    return STAPES_E_UNSUPPORTED;
}

/* A non-negative integer of a JSON array. */
static bool array_size(const json_t *array, size_t index, size_t *value) {
    const json_t *item = json_array_get(array, index);
    if (!json_is_integer(item) || json_integer_value(item) < 0)
        return false;
    *value = (size_t)json_integer_value(item);
    return true;
}

static stapes_status read_entry(const char *name, const json_t *object, size_t data_size, entry *e,
                                stapes_error *err) {
    *e = (entry){.tensor = {.name = name}};
    stapes_status status =
        read_dtype(name, json_object_get(object, "dtype"), &e->tensor.dtype, err);
    if (status != STAPES_OK)
        return status;
    const json_t *shape = json_object_get(object, "shape");
    const json_t *offsets = json_object_get(object, "data_offsets");
    if (!json_is_array(shape) || json_array_size(shape) > STAPES__MAX_DIMS)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "tensor %s: shape is no list of at most %d sizes", name,
                            STAPES__MAX_DIMS);
    e->tensor.n_dims = (int)json_array_size(shape);
    for (int i = 0; i < e->tensor.n_dims; i++) {
        size_t value;
        if (!array_size(shape, (size_t)i, &value))
            return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                                "tensor %s: shape holds something else than sizes", name);
        e->tensor.shape[i] = (int64_t)value;
    }
    if (!json_is_array(offsets) || json_array_size(offsets) != 2 ||
        !array_size(offsets, 0, &e->begin) || !array_size(offsets, 1, &e->end) || e->begin > e->end)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "tensor %s: data_offsets is not [begin, end]", name);
    if (e->end > data_size) {
        stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                     "tensor %s ends at byte %zu of the data, but only %zu bytes are there", name,
                     e->end, data_size);
        stapes__hint(err, "the file is cut short: download it again");
        return STAPES_E_MODEL_DAMAGED;
    }
    e->tensor.bytes = e->end - e->begin;
    return STAPES_OK;
}

static int compare_entries(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return strcmp(x->tensor.name, y->tensor.name);
}

static stapes_status add_entries(stapes__table *table, json_t *header, const uint8_t *data,
                                 size_t data_size, entry *entries, stapes_error *err) {
    size_t count = 0;
    const char *name;
    json_t *object;
    json_object_foreach(header, name, object) {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        stapes_status status = read_entry(name, object, data_size, &entries[count++], err);
        if (status != STAPES_OK)
            return status;
    }
    qsort(entries, count, sizeof *entries, compare_entries);
    for (size_t i = 0; i < count; i++) {
        entry *e = &entries[i];
        if (i > 0 && e->begin < e[-1].end)
            return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                                "tensors %s and %s overlap in the data", e[-1].tensor.name,
                                e->tensor.name);
        e->tensor.data = data + e->begin;
        stapes_status status = stapes__table_add(table, &e->tensor, strlen(e->tensor.name), err);
        if (status != STAPES_OK)
            return status;
    }
    return STAPES_OK;
}

stapes_status stapes__safetensors_read(stapes__table *table, const uint8_t *data, size_t size,
                                       stapes_error *err) {
    if (size < LENGTH_BYTES + 2)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "%zu bytes are too few for a safetensors file", size);
    uint64_t length = read_u64(data);
    if (length > MAX_HEADER || length > size - LENGTH_BYTES) {
        stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                     "its header is said to have %llu bytes, but the file has %zu (and a header "
                     "at most %d)",
                     (unsigned long long)length, size, MAX_HEADER);
        stapes__hint(err, "the file is cut short or no safetensors file: download it again");
        return STAPES_E_MODEL_DAMAGED;
    }
    const char *text = (const char *)data + LENGTH_BYTES;
    if (length < 2 || text[0] != '{')
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED, "its header is no JSON object");
    json_t *header;
    stapes_status status = stapes__json_parse(&header, text, (size_t)length, "its header", err);
    if (status != STAPES_OK)
        return status;
    entry *entries = stapes__calloc(json_object_size(header), sizeof *entries);
    size_t base = LENGTH_BYTES + (size_t)length;
    if (!entries)
        status = stapes__fail_memory(err, "the tensor directory");
    else
        status = add_entries(table, header, data + base, size - base, entries, err);
    free(entries);
    json_decref(header);
    return status;
}

stapes_status stapes__safetensors_open_file(stapes__container *c, const char *path,
                                            stapes_error *err) {
    stapes__map map;
    stapes_status status = stapes__map_open(&map, path, err);
    if (status != STAPES_OK)
        return status;
    status = stapes__container_take_map(c, map, err);
    if (status == STAPES_OK)
        status = stapes__safetensors_read(&c->table, map.data, map.size, err);
    if (status != STAPES_OK)
        stapes__prefix(err, "%s", path);
    return status;
}

/* ---- several files ---- */

static bool shard_name_allowed(const char *name) {
    return name && name[0] && strlen(name) <= 255 && !strpbrk(name, "/\\") && !strstr(name, "..");
}

static int compare_text(const void *a, const void *b) {
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

/* Distinct file names of the map, sorted. */
static stapes_status list_shards(const json_t *map, const char **names, size_t *count,
                                 stapes_error *err) {
    size_t n = 0;
    const char *tensor;
    json_t *file;
    json_object_foreach((json_t *)(uintptr_t)map, tensor, file) {
        const char *name = json_string_value(file);
        if (!shard_name_allowed(name))
            return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                                "the file named for tensor %.200s is not a plain file name",
                                tensor);
        names[n++] = name;
    }
    qsort(names, n, sizeof *names, compare_text);
    size_t distinct = 0;
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(names[i], names[distinct - 1]) != 0)
            names[distinct++] = names[i];
    if (distinct == 0 || distinct > MAX_SHARDS)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED, "it names %zu weight files", distinct);
    *count = distinct;
    return STAPES_OK;
}

static int compare_tensor_names(const void *a, const void *b) {
    const stapes__tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* Every tensor that the map puts into `file` is among those that the file added. */
static stapes_status check_shard(const stapes__container *c, size_t first, const json_t *map,
                                 const char *file, stapes_error *err) {
    size_t count = c->table.count - first;
    const stapes__tensor **sorted = stapes__calloc(count, sizeof *sorted);
    if (!sorted)
        return stapes__fail_memory(err, "the tensor directory");
    for (size_t i = 0; i < count; i++)
        sorted[i] = &c->table.tensors[first + i];
    qsort(sorted, count, sizeof *sorted, compare_tensor_names);
    stapes_status status = STAPES_OK;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)map, name, value) {
        if (strcmp(json_string_value(value), file) != 0)
            continue;
        stapes__tensor wanted = {.name = name};
        const stapes__tensor *key = &wanted;
        if (!bsearch(&key, sorted, count, sizeof *sorted, compare_tensor_names)) {
            status = stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                                  "tensor %.200s is missing: %s says it is in %s", name, index_name,
                                  file);
            break;
        }
    }
    free(sorted);
    return status;
}

static stapes_status open_shards(stapes__container *c, const char *folder, const json_t *map,
                                 stapes_error *err) {
    const char **names = stapes__calloc(json_object_size(map), sizeof *names);
    if (!names)
        return stapes__fail_memory(err, "the list of weight files");
    size_t count = 0;
    stapes_status status = list_shards(map, names, &count, err);
    if (status != STAPES_OK)
        stapes__prefix(err, "%s/%s", folder, index_name);
    for (size_t i = 0; i < count && status == STAPES_OK; i++) {
        char *path = stapes__path_join(folder, names[i]);
        size_t first = c->table.count;
        if (!path) {
            status = stapes__fail_memory(err, names[i]);
        } else if (!stapes__is_file(path)) {
            status = stapes__fail(err, STAPES_E_MODEL_DAMAGED, "%s: is missing (named in %s)", path,
                                  index_name);
            stapes__hint(err, "download the whole folder again");
        } else {
            status = stapes__safetensors_open_file(c, path, err);
            if (status == STAPES_OK)
                status = check_shard(c, first, map, names[i], err);
        }
        free(path);
    }
    free(names);
    return status;
}

bool stapes__safetensors_in_folder(const char *folder) {
    char *single = stapes__path_join(folder, single_name);
    char *sharded = stapes__path_join(folder, index_name);
    bool found = single && sharded && (stapes__is_file(single) || stapes__is_file(sharded));
    free(single);
    free(sharded);
    return found;
}

stapes_status stapes__safetensors_open_folder(stapes__container *c, const char *folder,
                                              stapes_error *err) {
    char *single = stapes__path_join(folder, single_name);
    char *sharded = stapes__path_join(folder, index_name);
    stapes_status status;
    json_t *index = NULL;
    if (!single || !sharded) {
        status = stapes__fail_memory(err, folder);
    } else if (stapes__is_file(single)) {
        status = stapes__safetensors_open_file(c, single, err);
    } else {
        status = stapes__json_read_file(&index, sharded, STAPES__TOKENIZER_LIMIT, err);
        const json_t *map = json_object_get(index, "weight_map");
        if (status != STAPES_OK)
            stapes__prefix(err, "%s", folder);
        else if (!json_is_object(map))
            status = stapes__fail(err, STAPES_E_MODEL_DAMAGED, "%s: has no weight_map", sharded);
        else
            status = open_shards(c, folder, map, err);
    }
    json_decref(index);
    free(single);
    free(sharded);
    return status;
}
