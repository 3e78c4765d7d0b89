#include "weights/pickle.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "weights/pickle_vm.h"

/* Plain values beside the state dictionary: Whisper's dims are 10 numbers. The limits keep a few
 * bytes that refer to one long list again and again from costing much. */
enum { MAX_TENSORS = 1 << 16, MAX_EXTRA = 64, MAX_EXTRA_ITEMS = 4096 };

typedef enum global {
    GLOBAL_ORDERED_DICT,
    GLOBAL_TENSOR,
    GLOBAL_PARAMETER,
    GLOBAL_STORAGE /* + dtype */
} global;

typedef struct listed {
    const char *module, *name;
    int number;
} listed;

static const listed whitelist[] = {
    {"collections", "OrderedDict", GLOBAL_ORDERED_DICT},
    {"torch._utils", "_rebuild_tensor_v2", GLOBAL_TENSOR},
    {"torch._utils", "_rebuild_parameter", GLOBAL_PARAMETER},
    {"torch", "FloatStorage", GLOBAL_STORAGE + STAPES__F32},
    {"torch", "HalfStorage", GLOBAL_STORAGE + STAPES__F16},
    {"torch", "BFloat16Storage", GLOBAL_STORAGE + STAPES__BF16},
    {"torch", "DoubleStorage", GLOBAL_STORAGE + STAPES__F64},
    {"torch", "LongStorage", GLOBAL_STORAGE + STAPES__I64},
    {"torch", "IntStorage", GLOBAL_STORAGE + STAPES__I32},
    {"torch", "ShortStorage", GLOBAL_STORAGE + STAPES__I16},
    {"torch", "CharStorage", GLOBAL_STORAGE + STAPES__I8},
    {"torch", "ByteStorage", GLOBAL_STORAGE + STAPES__U8},
    {"torch", "BoolStorage", GLOBAL_STORAGE + STAPES__BOOL},
};

static bool same(stapes__pickle_text text, const char *wanted) {
    return text.length == strlen(wanted) && memcmp(text.at, wanted, text.length) == 0;
}

stapes_status stapes__pickle_global(stapes__pickle_vm *vm, stapes__pickle_text module,
                                    stapes__pickle_text name, uint32_t *id) {
    for (size_t i = 0; i < sizeof whitelist / sizeof *whitelist; i++) {
        if (!same(module, whitelist[i].module) || !same(name, whitelist[i].name))
            continue;
        stapes__pickle_value value = {.kind = STAPES__PICKLE_GLOBAL,
                                      .as.integer = whitelist[i].number};
        return stapes__pickle_new(vm, value, id) ? STAPES_OK
                                                 : stapes__pickle_fail(vm, "too many values");
    }
    stapes__fail(vm->err, STAPES_E_UNSUPPORTED,
                 "the checkpoint refers to %.*s.%.*s, which is not among the classes of a list of "
                 "tensors",
                 module.length > 100 ? 100 : (int)module.length, module.at,
                 name.length > 100 ? 100 : (int)name.length, name.at);
    stapes__hint(vm->err, "nothing of the file was run; save its state_dict alone, or use "
                          "safetensors");
    return STAPES_E_UNSUPPORTED;
}

/* Item `index` of a tuple when it has this kind, else NULL. */
static const stapes__pickle_value *item(const stapes__pickle_vm *vm, uint32_t tuple, size_t index,
                                        stapes__pickle_kind kind) {
    const stapes__pickle_value *value = &vm->values[tuple];
    if (value->kind != STAPES__PICKLE_TUPLE || index >= value->as.items.count)
        return NULL;
    const stapes__pickle_value *found = &vm->values[value->as.items.ids[index]];
    return found->kind == kind ? found : NULL;
}

static stapes_status add_tensor(stapes__pickle_vm *vm, stapes__pickle_kind kind,
                                stapes__pickle_tensor tensor, uint32_t *id) {
    stapes__pickle_tensor *grown =
        stapes__pickle_grow(vm->tensors, vm->n_tensors, &vm->tensors_room, sizeof *grown);
    if (!grown)
        return stapes__fail_memory(vm->err, "the checkpoint's tensors");
    vm->tensors = grown;
    vm->tensors[vm->n_tensors] = tensor;
    stapes__pickle_value value = {.kind = kind, .as.tensor = vm->n_tensors++};
    return stapes__pickle_new(vm, value, id) ? STAPES_OK
                                             : stapes__pickle_fail(vm, "too many values");
}

stapes_status stapes__pickle_storage(stapes__pickle_vm *vm, uint32_t persistent, uint32_t *id) {
    const stapes__pickle_value *word = item(vm, persistent, 0, STAPES__PICKLE_TEXT);
    const stapes__pickle_value *type = item(vm, persistent, 1, STAPES__PICKLE_GLOBAL);
    const stapes__pickle_value *key = item(vm, persistent, 2, STAPES__PICKLE_TEXT);
    const stapes__pickle_value *count = item(vm, persistent, 4, STAPES__PICKLE_INT);
    if (!word || !same(word->as.text, "storage") || !type || type->as.integer < GLOBAL_STORAGE ||
        !key || !count || count->as.integer < 0)
        return stapes__pickle_fail(vm, "a storage that is not described as torch does");
    stapes__pickle_tensor storage = {.key = key->as.text.at,
                                     .key_length = key->as.text.length,
                                     .dtype = (stapes__dtype)(type->as.integer - GLOBAL_STORAGE),
                                     .storage_count = (size_t)count->as.integer};
    return add_tensor(vm, STAPES__PICKLE_STORAGE, storage, id);
}

/* A tuple of at most 8 non-negative integers. */
static bool read_sizes(const stapes__pickle_vm *vm, const stapes__pickle_value *tuple,
                       int64_t *sizes, int *count) {
    if (!tuple || tuple->as.items.count > STAPES__MAX_DIMS)
        return false;
    *count = (int)tuple->as.items.count;
    for (int i = 0; i < *count; i++) {
        const stapes__pickle_value *size = &vm->values[tuple->as.items.ids[i]];
        if (size->kind != STAPES__PICKLE_INT || size->as.integer < 0)
            return false;
        sizes[i] = size->as.integer;
    }
    return true;
}

/* Every element lies inside the storage. */
static bool inside(const stapes__pickle_tensor *tensor) {
    size_t elements, last = tensor->offset, step;
    if (!stapes__shape_elements(tensor->n_dims, tensor->shape, &elements))
        return false;
    if (elements == 0)
        return true;
    for (int i = 0; i < tensor->n_dims; i++)
        if (!stapes__mul_size((size_t)(tensor->shape[i] - 1), (size_t)tensor->stride[i], &step) ||
            !stapes__add_size(last, step, &last))
            return false;
    return last < tensor->storage_count;
}

static stapes_status rebuild_tensor(stapes__pickle_vm *vm, uint32_t arguments, uint32_t *id) {
    const stapes__pickle_value *storage = item(vm, arguments, 0, STAPES__PICKLE_STORAGE);
    const stapes__pickle_value *offset = item(vm, arguments, 1, STAPES__PICKLE_INT);
    if (!storage || !offset || offset->as.integer < 0)
        return stapes__pickle_fail(vm, "a tensor that is not described as torch does");
    stapes__pickle_tensor tensor = vm->tensors[storage->as.tensor];
    tensor.offset = (size_t)offset->as.integer;
    int strides = 0;
    if (!read_sizes(vm, item(vm, arguments, 2, STAPES__PICKLE_TUPLE), tensor.shape,
                    &tensor.n_dims) ||
        !read_sizes(vm, item(vm, arguments, 3, STAPES__PICKLE_TUPLE), tensor.stride, &strides) ||
        strides != tensor.n_dims)
        return stapes__pickle_fail(vm, "a tensor with an impossible shape or stride");
    if (!inside(&tensor))
        return stapes__pickle_fail(vm, "a tensor that reaches beyond its storage");
    return add_tensor(vm, STAPES__PICKLE_TENSOR, tensor, id);
}

stapes_status stapes__pickle_reduce(stapes__pickle_vm *vm, uint32_t function, uint32_t arguments,
                                    uint32_t *id) {
    const stapes__pickle_value *f = &vm->values[function], *a = &vm->values[arguments];
    if (f->kind != STAPES__PICKLE_GLOBAL || a->kind != STAPES__PICKLE_TUPLE)
        return stapes__pickle_fail(vm, "a call of something else than a function");
    if (f->as.integer == GLOBAL_TENSOR)
        return rebuild_tensor(vm, arguments, id);
    if (f->as.integer == GLOBAL_PARAMETER) {
        if (!item(vm, arguments, 0, STAPES__PICKLE_TENSOR))
            return stapes__pickle_fail(vm, "a parameter without a tensor");
        *id = a->as.items.ids[0];
        return STAPES_OK;
    }
    if (f->as.integer == GLOBAL_ORDERED_DICT && a->as.items.count == 0) {
        stapes__pickle_value value = {.kind = STAPES__PICKLE_DICT};
        return stapes__pickle_new(vm, value, id) ? STAPES_OK
                                                 : stapes__pickle_fail(vm, "too many values");
    }
    return stapes__pickle_fail(vm, "a call that a list of tensors does not need");
}

/* ---- the result ---- */

static json_t *scalar_json(const stapes__pickle_value *value) {
    switch (value->kind) {
    case STAPES__PICKLE_NONE:
        return json_null();
    case STAPES__PICKLE_BOOL:
        return json_boolean(value->as.integer != 0);
    case STAPES__PICKLE_INT:
        return json_integer(value->as.integer);
    case STAPES__PICKLE_REAL:
        return isfinite(value->as.real) ? json_real(value->as.real) : NULL;
    case STAPES__PICKLE_TEXT:
        return memchr(value->as.text.at, 0, value->as.text.length)
                   ? NULL
                   : json_stringn(value->as.text.at, value->as.text.length);
    default:
        return NULL;
    }
}

/* Sets a member; a key or value that JSON cannot hold is passed over. Takes `value` over. */
static void set_member(json_t *object, const stapes__pickle_value *key, json_t *value) {
    json_t *name = key->kind == STAPES__PICKLE_TEXT ? scalar_json(key) : NULL;
    if (name && value)
        json_object_set(object, json_string_value(name), value);
    json_decref(name);
    json_decref(value);
}

/* A scalar, or a dictionary, list or tuple of scalars; NULL for anything else and for very long
 * ones. Deeper levels are left out, so that shared values cannot multiply. */
static json_t *plain_json(const stapes__pickle_vm *vm, const stapes__pickle_value *value) {
    bool holds = value->kind == STAPES__PICKLE_DICT || value->kind == STAPES__PICKLE_LIST ||
                 value->kind == STAPES__PICKLE_TUPLE;
    if (holds && value->as.items.count > MAX_EXTRA_ITEMS)
        return NULL;
    if (value->kind == STAPES__PICKLE_DICT) {
        json_t *object = json_object();
        for (uint32_t i = 0; object && i < value->as.items.count; i += 2)
            set_member(object, &vm->values[value->as.items.ids[i]],
                       scalar_json(&vm->values[value->as.items.ids[i + 1]]));
        return object;
    }
    if (holds) {
        json_t *array = json_array();
        for (uint32_t i = 0; array && i < value->as.items.count; i++) {
            json_t *element = scalar_json(&vm->values[value->as.items.ids[i]]);
            json_array_append_new(array, element ? element : json_null());
        }
        return array;
    }
    return scalar_json(value);
}

static size_t count_tensors(const stapes__pickle_vm *vm, const stapes__pickle_value *dict) {
    size_t count = 0;
    for (uint32_t i = 1; i < dict->as.items.count; i += 2)
        count += vm->values[dict->as.items.ids[i]].kind == STAPES__PICKLE_TENSOR;
    return count;
}

/* The state dictionary: the top one when it holds tensors, else one of its two known members. */
static const stapes__pickle_value *find_state(const stapes__pickle_vm *vm,
                                              const stapes__pickle_value *top) {
    if (top->kind != STAPES__PICKLE_DICT || count_tensors(vm, top) > 0)
        return top->kind == STAPES__PICKLE_DICT ? top : NULL;
    for (uint32_t i = 0; i < top->as.items.count; i += 2) {
        const stapes__pickle_value *key = &vm->values[top->as.items.ids[i]];
        const stapes__pickle_value *value = &vm->values[top->as.items.ids[i + 1]];
        if (key->kind == STAPES__PICKLE_TEXT && value->kind == STAPES__PICKLE_DICT &&
            (same(key->as.text, "state_dict") || same(key->as.text, "model_state_dict")))
            return value;
    }
    return NULL;
}

static stapes_status collect(stapes__pickle *pickle, const stapes__pickle_vm *vm, uint32_t result,
                             stapes_error *err) {
    const stapes__pickle_value *top = &vm->values[result], *state = find_state(vm, top);
    size_t count = state ? count_tensors(vm, state) : 0;
    if (count == 0)
        return stapes__fail(err, STAPES_E_UNSUPPORTED,
                            "the checkpoint's data.pkl holds no dictionary of tensors");
    if (count > MAX_TENSORS)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED, "the checkpoint holds %zu tensors", count);
    pickle->tensors = stapes__calloc(count, sizeof *pickle->tensors);
    pickle->extra = json_object();
    if (!pickle->tensors || !pickle->extra)
        return stapes__fail_memory(err, "the checkpoint's tensors");
    for (uint32_t i = 0; i < state->as.items.count; i += 2) {
        const stapes__pickle_value *key = &vm->values[state->as.items.ids[i]];
        const stapes__pickle_value *value = &vm->values[state->as.items.ids[i + 1]];
        if (value->kind != STAPES__PICKLE_TENSOR)
            continue;
        if (key->kind != STAPES__PICKLE_TEXT)
            return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                                "the checkpoint holds a tensor whose name is no text");
        stapes__pickle_tensor *tensor = &pickle->tensors[pickle->count++];
        *tensor = vm->tensors[value->as.tensor];
        tensor->name = key->as.text.at;
        tensor->name_length = key->as.text.length;
    }
    uint32_t members = top->as.items.count < 2 * MAX_EXTRA ? top->as.items.count : 2 * MAX_EXTRA;
    for (uint32_t i = 0; state != top && i < members; i += 2) {
        const stapes__pickle_value *value = &vm->values[top->as.items.ids[i + 1]];
        if (value != state)
            set_member(pickle->extra, &vm->values[top->as.items.ids[i]], plain_json(vm, value));
    }
    return STAPES_OK;
}

stapes_status stapes__pickle_read(stapes__pickle *pickle, const uint8_t *data, size_t size,
                                  stapes_error *err) {
    if (size > STAPES__PICKLE_LIMIT)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "the checkpoint's data.pkl has %zu bytes, more than the allowed %zu",
                            size, STAPES__PICKLE_LIMIT);
    stapes__pickle_vm vm = {.data = data, .size = size, .err = err};
    uint32_t result = 0;
    stapes_status status = stapes__pickle_run(&vm, &result);
    if (status == STAPES_OK)
        status = collect(pickle, &vm, result, err);
    stapes__pickle_vm_free(&vm);
    if (status != STAPES_OK)
        stapes__pickle_free(pickle);
    return status;
}

void stapes__pickle_free(stapes__pickle *pickle) {
    free(pickle->tensors);
    json_decref(pickle->extra);
    *pickle = (stapes__pickle){0};
}
