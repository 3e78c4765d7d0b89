#include "weights/pickle_vm.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* A model needs about 25 values per tensor. */
enum { MAX_VALUES = 1 << 20, MAX_MEMO = 1 << 20 };

enum opcode {
    OP_MARK = '(',
    OP_STOP = '.',
    OP_EMPTY_TUPLE = ')',
    OP_BINFLOAT = 'G',
    OP_BININT = 'J',
    OP_BININT1 = 'K',
    OP_BININT2 = 'M',
    OP_NONE = 'N',
    OP_BINPERSID = 'Q',
    OP_REDUCE = 'R',
    OP_BINUNICODE = 'X',
    OP_EMPTY_LIST = ']',
    OP_APPEND = 'a',
    OP_BUILD = 'b',
    OP_GLOBAL = 'c',
    OP_APPENDS = 'e',
    OP_BINGET = 'h',
    OP_LONG_BINGET = 'j',
    OP_BINPUT = 'q',
    OP_LONG_BINPUT = 'r',
    OP_SETITEM = 's',
    OP_TUPLE = 't',
    OP_SETITEMS = 'u',
    OP_EMPTY_DICT = '}',
    OP_PROTO = 0x80,
    OP_TUPLE1 = 0x85,
    OP_TUPLE2 = 0x86,
    OP_TUPLE3 = 0x87,
    OP_NEWTRUE = 0x88,
    OP_NEWFALSE = 0x89,
    OP_LONG1 = 0x8a,
    OP_SHORT_BINUNICODE = 0x8c,
    OP_STACK_GLOBAL = 0x93,
    OP_MEMOIZE = 0x94,
    OP_FRAME = 0x95
};

stapes_status stapes__pickle_fail(stapes__pickle_vm *vm, const char *what) {
    return stapes__fail(vm->err, STAPES_E_MODEL_DAMAGED, "the checkpoint's data.pkl, byte %zu: %s",
                        vm->at, what);
}

static stapes_status no_memory(stapes__pickle_vm *vm) {
    return stapes__fail_memory(vm->err, "the checkpoint's data.pkl");
}

void *stapes__pickle_grow(void *array, size_t count, size_t *room, size_t element) {
    if (count < *room)
        return array;
    size_t wanted = *room ? *room * 2 : 16;
    void *grown = stapes__realloc(array, wanted, element);
    if (grown)
        *room = wanted;
    return grown;
}

bool stapes__pickle_new(stapes__pickle_vm *vm, stapes__pickle_value value, uint32_t *id) {
    if (vm->n_values >= MAX_VALUES)
        return false;
    stapes__pickle_value *values =
        stapes__pickle_grow(vm->values, vm->n_values, &vm->values_room, sizeof *values);
    if (!values)
        return false;
    vm->values = values;
    vm->values[vm->n_values] = value;
    *id = (uint32_t)vm->n_values++;
    return true;
}

static stapes_status push(stapes__pickle_vm *vm, uint32_t id) {
    uint32_t *stack = stapes__pickle_grow(vm->stack, vm->n_stack, &vm->stack_room, sizeof *stack);
    if (!stack)
        return no_memory(vm);
    vm->stack = stack;
    vm->stack[vm->n_stack++] = id;
    return STAPES_OK;
}

static stapes_status push_new(stapes__pickle_vm *vm, stapes__pickle_value value) {
    uint32_t id;
    if (!stapes__pickle_new(vm, value, &id))
        return stapes__pickle_fail(vm, "too many values");
    return push(vm, id);
}

static stapes_status push_integer(stapes__pickle_vm *vm, stapes__pickle_kind kind, int64_t value) {
    return push_new(vm, (stapes__pickle_value){.kind = kind, .as.integer = value});
}

/* Height below which nothing may be taken: the last mark. */
static size_t floor_of(const stapes__pickle_vm *vm) {
    return vm->n_marks ? vm->marks[vm->n_marks - 1] : 0;
}

static bool pop(stapes__pickle_vm *vm, uint32_t *id) {
    if (vm->n_stack <= floor_of(vm))
        return false;
    *id = vm->stack[--vm->n_stack];
    return true;
}

static bool take(stapes__pickle_vm *vm, size_t count, const uint8_t **bytes) {
    if (count > vm->size - vm->at)
        return false;
    *bytes = vm->data + vm->at;
    vm->at += count;
    return true;
}

static uint64_t little(const uint8_t *bytes, size_t count) {
    uint64_t value = 0;
    for (size_t i = count; i-- > 0;)
        value = value << 8 | bytes[i];
    return value;
}

/* ---- atoms ---- */

static stapes_status on_text(stapes__pickle_vm *vm, size_t length_bytes) {
    const uint8_t *bytes;
    if (!take(vm, length_bytes, &bytes))
        return stapes__pickle_fail(vm, "ends inside a text");
    size_t length = (size_t)little(bytes, length_bytes);
    if (!take(vm, length, &bytes))
        return stapes__pickle_fail(vm, "ends inside a text");
    return push_new(vm, (stapes__pickle_value){.kind = STAPES__PICKLE_TEXT,
                                               .as.text = {(const char *)bytes, length}});
}

static stapes_status on_number(stapes__pickle_vm *vm, int op) {
    const uint8_t *bytes;
    size_t length = op == OP_BINFLOAT ? 8 : op == OP_BININT ? 4 : op == OP_BININT2 ? 2 : 1;
    if (!take(vm, length, &bytes))
        return stapes__pickle_fail(vm, "ends inside a number");
    if (op == OP_BININT)
        return push_integer(vm, STAPES__PICKLE_INT, (int32_t)(uint32_t)little(bytes, 4));
    if (op == OP_BINFLOAT) { /* big-endian, alone among all */
        uint64_t bits = 0;
        for (int i = 0; i < 8; i++)
            bits = bits << 8 | bytes[i];
        stapes__pickle_value value = {.kind = STAPES__PICKLE_REAL};
        memcpy(&value.as.real, &bits, sizeof bits);
        return push_new(vm, value);
    }
    if (op != OP_LONG1)
        return push_integer(vm, STAPES__PICKLE_INT, (int64_t)little(bytes, length));
    length = bytes[0];
    if (length > 8)
        return stapes__pickle_fail(vm, "an integer of more than 64 bits");
    if (!take(vm, length, &bytes))
        return stapes__pickle_fail(vm, "ends inside a number");
    uint64_t value = little(bytes, length);
    if (length > 0 && length < 8 && (bytes[length - 1] & 0x80))
        value |= UINT64_MAX << 8 * length;
    int64_t number;
    memcpy(&number, &value, sizeof number);
    return push_integer(vm, STAPES__PICKLE_INT, number);
}

/* ---- containers ---- */

static stapes_status on_mark(stapes__pickle_vm *vm) {
    uint32_t *marks = stapes__pickle_grow(vm->marks, vm->n_marks, &vm->marks_room, sizeof *marks);
    if (!marks)
        return no_memory(vm);
    vm->marks = marks;
    vm->marks[vm->n_marks++] = (uint32_t)vm->n_stack;
    return STAPES_OK;
}

/* The values above the last mark, which goes away with them. They stay readable in the stack's
 * memory until the next push. */
static bool pop_mark(stapes__pickle_vm *vm, const uint32_t **ids, size_t *count) {
    if (vm->n_marks == 0)
        return false;
    size_t height = vm->marks[--vm->n_marks];
    *ids = vm->stack ? vm->stack + height : NULL;
    *count = vm->n_stack - height;
    vm->n_stack = height;
    return true;
}

/* Counts stay below the pickle's length, and so far below 2^32. */
static bool append(stapes__pickle_items *items, const uint32_t *ids, size_t count) {
    if (items->count + count > items->capacity) {
        size_t capacity = items->capacity ? items->capacity : 4;
        while (capacity < items->count + count)
            capacity *= 2;
        uint32_t *grown = stapes__realloc(items->ids, capacity, sizeof *grown);
        if (!grown)
            return false;
        items->ids = grown;
        items->capacity = (uint32_t)capacity;
    }
    if (count > 0)
        memcpy(items->ids + items->count, ids, count * sizeof *ids);
    items->count += (uint32_t)count;
    return true;
}

static stapes_status make_tuple(stapes__pickle_vm *vm, const uint32_t *ids, size_t count) {
    stapes__pickle_value value = {.kind = STAPES__PICKLE_TUPLE};
    if (count > 0 && ids) {
        value.as.items.ids = stapes__calloc(count, sizeof *ids);
        if (!value.as.items.ids)
            return no_memory(vm);
        memcpy(value.as.items.ids, ids, count * sizeof *ids);
        value.as.items.count = value.as.items.capacity = (uint32_t)count;
    }
    uint32_t id;
    if (!stapes__pickle_new(vm, value, &id)) {
        free(value.as.items.ids);
        return stapes__pickle_fail(vm, "too many values");
    }
    return push(vm, id);
}

static stapes_status on_tuple(stapes__pickle_vm *vm, int op) {
    const uint32_t *ids;
    size_t count;
    if (op == OP_TUPLE) {
        if (!pop_mark(vm, &ids, &count))
            return stapes__pickle_fail(vm, "a tuple without a mark");
        return make_tuple(vm, ids, count);
    }
    count = op == OP_EMPTY_TUPLE ? 0 : (size_t)(op - OP_TUPLE1 + 1);
    if (vm->n_stack - floor_of(vm) < count)
        return stapes__pickle_fail(vm, "the stack is empty");
    vm->n_stack -= count;
    return make_tuple(vm, vm->stack ? vm->stack + vm->n_stack : NULL, count);
}

/* APPEND, APPENDS, SETITEM, SETITEMS. */
static stapes_status on_items(stapes__pickle_vm *vm, int op) {
    bool dict = op == OP_SETITEM || op == OP_SETITEMS;
    const uint32_t *ids;
    size_t count;
    if (op == OP_APPENDS || op == OP_SETITEMS) {
        if (!pop_mark(vm, &ids, &count))
            return stapes__pickle_fail(vm, "items without a mark");
    } else {
        count = dict ? 2 : 1;
        if (vm->n_stack - floor_of(vm) < count)
            return stapes__pickle_fail(vm, "the stack is empty");
        vm->n_stack -= count;
        ids = vm->stack + vm->n_stack;
    }
    if (vm->n_stack <= floor_of(vm))
        return stapes__pickle_fail(vm, "the stack is empty");
    stapes__pickle_value *target = &vm->values[vm->stack[vm->n_stack - 1]];
    if (target->kind != (dict ? STAPES__PICKLE_DICT : STAPES__PICKLE_LIST) ||
        (dict && count % 2 != 0))
        return stapes__pickle_fail(vm, "items for a value that cannot hold them");
    return append(&target->as.items, ids, count) ? STAPES_OK : no_memory(vm);
}

/* ---- memo ---- */

static stapes_status on_put(stapes__pickle_vm *vm, size_t index) {
    if (vm->n_stack <= floor_of(vm))
        return stapes__pickle_fail(vm, "the stack is empty");
    if (index >= MAX_MEMO)
        return stapes__pickle_fail(vm, "an impossible memo number");
    while (vm->n_memo <= index) {
        uint32_t *memo = stapes__pickle_grow(vm->memo, vm->n_memo, &vm->memo_room, sizeof *memo);
        if (!memo)
            return no_memory(vm);
        vm->memo = memo;
        vm->memo[vm->n_memo++] = 0;
    }
    vm->memo[index] = vm->stack[vm->n_stack - 1] + 1;
    return STAPES_OK;
}

static stapes_status on_memo(stapes__pickle_vm *vm, int op) {
    size_t length = op == OP_LONG_BINGET || op == OP_LONG_BINPUT ? 4 : 1;
    const uint8_t *bytes;
    if (op == OP_MEMOIZE)
        return on_put(vm, vm->n_memo);
    if (!take(vm, length, &bytes))
        return stapes__pickle_fail(vm, "ends inside a memo number");
    size_t index = (size_t)little(bytes, length);
    if (op == OP_BINPUT || op == OP_LONG_BINPUT)
        return on_put(vm, index);
    if (index >= vm->n_memo || vm->memo[index] == 0)
        return stapes__pickle_fail(vm, "a memo number that was never set");
    return push(vm, vm->memo[index] - 1);
}

/* ---- objects ---- */

static bool take_line(stapes__pickle_vm *vm, stapes__pickle_text *line) {
    const uint8_t *begin = vm->data + vm->at;
    const uint8_t *end = memchr(begin, '\n', vm->size - vm->at);
    if (!end)
        return false;
    *line = (stapes__pickle_text){(const char *)begin, (size_t)(end - begin)};
    vm->at += line->length + 1;
    return true;
}

static stapes_status on_global(stapes__pickle_vm *vm, int op) {
    stapes__pickle_text module, name;
    uint32_t id, ids[2];
    if (op == OP_GLOBAL) {
        if (!take_line(vm, &module) || !take_line(vm, &name))
            return stapes__pickle_fail(vm, "ends inside a class name");
    } else {
        if (!pop(vm, &ids[1]) || !pop(vm, &ids[0]) ||
            vm->values[ids[0]].kind != STAPES__PICKLE_TEXT ||
            vm->values[ids[1]].kind != STAPES__PICKLE_TEXT)
            return stapes__pickle_fail(vm, "a class whose name is no text");
        module = vm->values[ids[0]].as.text;
        name = vm->values[ids[1]].as.text;
    }
    stapes_status status = stapes__pickle_global(vm, module, name, &id);
    return status == STAPES_OK ? push(vm, id) : status;
}

static stapes_status on_object(stapes__pickle_vm *vm, int op) {
    uint32_t first = 0, second = 0, id = 0;
    if (op == OP_BINPERSID) {
        if (!pop(vm, &first))
            return stapes__pickle_fail(vm, "the stack is empty");
        stapes_status status = stapes__pickle_storage(vm, first, &id);
        return status == STAPES_OK ? push(vm, id) : status;
    }
    if (!pop(vm, &second) || vm->n_stack <= floor_of(vm))
        return stapes__pickle_fail(vm, "the stack is empty");
    if (op == OP_BUILD) { /* a dictionary's attributes (_metadata): not needed */
        if (vm->values[vm->stack[vm->n_stack - 1]].kind != STAPES__PICKLE_DICT)
            return stapes__pickle_fail(vm, "attributes for something else than a dictionary");
        return STAPES_OK;
    }
    pop(vm, &first);
    stapes_status status = stapes__pickle_reduce(vm, first, second, &id);
    return status == STAPES_OK ? push(vm, id) : status;
}

static stapes_status on_proto(stapes__pickle_vm *vm, int op) {
    const uint8_t *bytes;
    if (!take(vm, op == OP_PROTO ? 1 : 8, &bytes))
        return stapes__pickle_fail(vm, "ends inside its head");
    if (op == OP_PROTO && (bytes[0] < 2 || bytes[0] > 5))
        return stapes__pickle_fail(vm, "an unknown protocol version");
    if (op == OP_FRAME && little(bytes, 8) > vm->size - vm->at)
        return stapes__pickle_fail(vm, "a frame that is longer than the file");
    return STAPES_OK;
}

static stapes_status step(stapes__pickle_vm *vm, int op) {
    switch (op) {
    case OP_PROTO:
    case OP_FRAME:
        return on_proto(vm, op);
    case OP_NONE:
        return push_integer(vm, STAPES__PICKLE_NONE, 0);
    case OP_NEWTRUE:
    case OP_NEWFALSE:
        return push_integer(vm, STAPES__PICKLE_BOOL, op == OP_NEWTRUE);
    case OP_BININT:
    case OP_BININT1:
    case OP_BININT2:
    case OP_LONG1:
    case OP_BINFLOAT:
        return on_number(vm, op);
    case OP_BINUNICODE:
        return on_text(vm, 4);
    case OP_SHORT_BINUNICODE:
        return on_text(vm, 1);
    case OP_EMPTY_DICT:
        return push_new(vm, (stapes__pickle_value){.kind = STAPES__PICKLE_DICT});
    case OP_EMPTY_LIST:
        return push_new(vm, (stapes__pickle_value){.kind = STAPES__PICKLE_LIST});
    case OP_MARK:
        return on_mark(vm);
    case OP_EMPTY_TUPLE:
    case OP_TUPLE:
    case OP_TUPLE1:
    case OP_TUPLE2:
    case OP_TUPLE3:
        return on_tuple(vm, op);
    case OP_APPEND:
    case OP_APPENDS:
    case OP_SETITEM:
    case OP_SETITEMS:
        return on_items(vm, op);
    case OP_BINPUT:
    case OP_LONG_BINPUT:
    case OP_MEMOIZE:
    case OP_BINGET:
    case OP_LONG_BINGET:
        return on_memo(vm, op);
    case OP_GLOBAL:
    case OP_STACK_GLOBAL:
        return on_global(vm, op);
    case OP_REDUCE:
    case OP_BUILD:
    case OP_BINPERSID:
        return on_object(vm, op);
    default:
        return stapes__fail(vm->err, STAPES_E_UNSUPPORTED,
                            "the checkpoint's data.pkl, byte %zu: operation 0x%02x is not among "
                            "those of a list of tensors",
                            vm->at - 1, (unsigned)op);
    }
}

stapes_status stapes__pickle_run(stapes__pickle_vm *vm, uint32_t *result) {
    for (;;) {
        const uint8_t *op;
        if (!take(vm, 1, &op))
            return stapes__pickle_fail(vm, "ends without its last operation");
        if (*op == OP_STOP)
            break;
        stapes_status status = step(vm, *op);
        if (status != STAPES_OK)
            return status;
    }
    if (vm->n_stack != 1 || vm->n_marks != 0)
        return stapes__pickle_fail(vm, "ends with something else than one value");
    *result = vm->stack[0];
    return STAPES_OK;
}

void stapes__pickle_vm_free(stapes__pickle_vm *vm) {
    for (size_t i = 0; i < vm->n_values; i++) {
        stapes__pickle_kind kind = vm->values[i].kind;
        if (kind == STAPES__PICKLE_TUPLE || kind == STAPES__PICKLE_LIST ||
            kind == STAPES__PICKLE_DICT)
            free(vm->values[i].as.items.ids);
    }
    free(vm->values);
    free(vm->stack);
    free(vm->marks);
    free(vm->memo);
    free(vm->tensors);
    *vm = (stapes__pickle_vm){0};
}
