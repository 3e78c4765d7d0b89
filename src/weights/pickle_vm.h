/* The machine behind pickle.h: values in a flat array that refer to each other by number, so that
 * neither cycles nor depth matter. */
#ifndef STAPES_WEIGHTS_PICKLE_VM_H
#define STAPES_WEIGHTS_PICKLE_VM_H

#include "weights/pickle.h"

typedef enum stapes__pickle_kind {
    STAPES__PICKLE_NONE,
    STAPES__PICKLE_BOOL,
    STAPES__PICKLE_INT,
    STAPES__PICKLE_REAL,
    STAPES__PICKLE_TEXT,
    STAPES__PICKLE_TUPLE,
    STAPES__PICKLE_LIST,
    STAPES__PICKLE_DICT, /* items: key, value, key, value ... */
    STAPES__PICKLE_GLOBAL,
    STAPES__PICKLE_STORAGE,
    STAPES__PICKLE_TENSOR
} stapes__pickle_kind;

typedef struct stapes__pickle_text {
    const char *at;
    size_t length;
} stapes__pickle_text;

typedef struct stapes__pickle_items {
    uint32_t *ids;
    uint32_t count, capacity;
} stapes__pickle_items;

typedef struct stapes__pickle_value {
    stapes__pickle_kind kind;
    union {
        int64_t integer; /* also of BOOL, and the number of a GLOBAL */
        double real;
        stapes__pickle_text text;
        stapes__pickle_items items;
        size_t tensor; /* also of STORAGE: into vm->tensors, of which only the storage is set */
    } as;
} stapes__pickle_value;

/* Zero-initialise. */
typedef struct stapes__pickle_vm {
    const uint8_t *data;
    size_t size, at;
    stapes__pickle_value *values;
    size_t n_values, values_room;
    uint32_t *stack;
    size_t n_stack, stack_room;
    uint32_t *marks; /* heights of the stack */
    size_t n_marks, marks_room;
    uint32_t *memo; /* value + 1; 0 = empty */
    size_t n_memo, memo_room;
    stapes__pickle_tensor *tensors;
    size_t n_tensors, tensors_room;
    stapes_error *err;
} stapes__pickle_vm;

/* Runs to STOP; *result is the value left on the stack. */
stapes_status stapes__pickle_run(stapes__pickle_vm *vm, uint32_t *result);
void stapes__pickle_vm_free(stapes__pickle_vm *vm);

/* Room for one more element in an array that doubles; NULL when memory is short. */
void *stapes__pickle_grow(void *array, size_t count, size_t *room, size_t element);
/* A new value; false when memory is short or there are too many. */
bool stapes__pickle_new(stapes__pickle_vm *vm, stapes__pickle_value value, uint32_t *id);
/* MODEL_DAMAGED naming the place. */
stapes_status stapes__pickle_fail(stapes__pickle_vm *vm, const char *what);

/* GLOBAL: the number of a listed class or function as a value; UNSUPPORTED for any other. */
stapes_status stapes__pickle_global(stapes__pickle_vm *vm, stapes__pickle_text module,
                                    stapes__pickle_text name, uint32_t *id);
/* BINPERSID: a storage from ("storage", type, key, device, count). */
stapes_status stapes__pickle_storage(stapes__pickle_vm *vm, uint32_t persistent, uint32_t *id);
/* REDUCE: what calling a listed function with this tuple would give. */
stapes_status stapes__pickle_reduce(stapes__pickle_vm *vm, uint32_t function, uint32_t arguments,
                                    uint32_t *id);

#endif
