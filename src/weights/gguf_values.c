#include "weights/gguf_values.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/mem.h"

enum {
    TYPE_U8,
    TYPE_I8,
    TYPE_U16,
    TYPE_I16,
    TYPE_U32,
    TYPE_I32,
    TYPE_F32,
    TYPE_BOOL,
    TYPE_STRING,
    TYPE_ARRAY,
    TYPE_U64,
    TYPE_I64,
    TYPE_F64,
    N_TYPES
};

/* Bytes of a value at least; strings and arrays begin with their length. */
static const uint8_t widths[N_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};

typedef struct values {
    stapes__bytes *in;
    const char *key; /* of the item being read */
    uint64_t elements;
    stapes_error *err;
} values;

static bool is_utf8(const char *text, size_t length) {
    const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)text;
    while (length > 0) {
        utf8proc_int32_t code;
        utf8proc_ssize_t step = utf8proc_iterate(at, (utf8proc_ssize_t)length, &code);
        if (step <= 0)
            return false;
        at += step;
        length -= (size_t)step;
    }
    return true;
}

stapes_status stapes__gguf_string(stapes__bytes *in, uint64_t limit, const char *what,
                                  const char **text, size_t *length, stapes_error *err) {
    uint64_t count;
    if (!stapes__bytes_uint(in, 8, &count))
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED, "%.80s: the file ends at byte %zu", what,
                            in->size);
    if (count > limit || count > stapes__bytes_left(in))
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "%.80s: a string of %llu bytes, but %zu are left in the file (and "
                            "%llu allowed)",
                            what, (unsigned long long)count, stapes__bytes_left(in),
                            (unsigned long long)limit);
    *text = (const char *)stapes__bytes_take(in, count);
    *length = (size_t)count;
    if (!is_utf8(*text, *length))
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED, "%.80s: a string is not UTF-8", what);
    return STAPES_OK;
}

static stapes_status cut_short(values *v) {
    return stapes__fail(v->err, STAPES_E_MODEL_DAMAGED, "metadata %.80s: the file ends at byte %zu",
                        v->key, v->in->size);
}

static json_t *real_or_null(double value) {
    json_t *real = json_real(value);
    return real ? real : json_null();
}

static json_t *integer_of(uint64_t raw, int width, bool is_signed) {
    if (is_signed && width < 8 && raw >> (8 * width - 1))
        raw |= ~(uint64_t)0 << 8 * width;
    if (!is_signed && raw > INT64_MAX)
        return json_real((double)raw);
    return json_integer((json_int_t)raw);
}

static stapes_status read_number(values *v, uint64_t type, json_t **out) {
    uint64_t raw;
    if (!stapes__bytes_uint(v->in, widths[type], &raw))
        return cut_short(v);
    if (type == TYPE_F32) {
        uint32_t bits = (uint32_t)raw;
        float value;
        memcpy(&value, &bits, sizeof value);
        *out = real_or_null((double)value);
    } else if (type == TYPE_F64) {
        double value;
        memcpy(&value, &raw, sizeof value);
        *out = real_or_null(value);
    } else if (type == TYPE_BOOL) {
        if (raw > 1)
            return stapes__fail(v->err, STAPES_E_MODEL_DAMAGED,
                                "metadata %.80s: a truth value is %d, wanted 0 or 1", v->key,
                                (int)raw);
        *out = json_boolean(raw == 1);
    } else {
        bool is_signed =
            type == TYPE_I8 || type == TYPE_I16 || type == TYPE_I32 || type == TYPE_I64;
        *out = integer_of(raw, widths[type], is_signed);
    }
    return *out ? STAPES_OK : stapes__fail_memory(v->err, "the metadata");
}

static stapes_status read_value(values *v, uint64_t type, int depth, json_t **out);

static stapes_status read_array(values *v, int depth, json_t **out) {
    uint64_t type, count;
    if (!stapes__bytes_uint(v->in, 4, &type) || !stapes__bytes_uint(v->in, 8, &count))
        return cut_short(v);
    if (type >= N_TYPES)
        return stapes__fail(v->err, STAPES_E_MODEL_DAMAGED,
                            "metadata %.80s: an array of unknown type %llu", v->key,
                            (unsigned long long)type);
    if (depth >= STAPES__GGUF_MAX_DEPTH)
        return stapes__fail(v->err, STAPES_E_MODEL_DAMAGED,
                            "metadata %.80s is nested deeper than %d levels", v->key,
                            STAPES__GGUF_MAX_DEPTH);
    if (count > stapes__bytes_left(v->in) / widths[type] ||
        count > STAPES__GGUF_MAX_ELEMENTS - v->elements)
        return stapes__fail(v->err, STAPES_E_MODEL_DAMAGED,
                            "metadata %.80s: an array of %llu elements, but %zu bytes are left "
                            "in the file (and %llu elements allowed)",
                            v->key, (unsigned long long)count, stapes__bytes_left(v->in),
                            (unsigned long long)STAPES__GGUF_MAX_ELEMENTS);
    v->elements += count;
    json_t *array = json_array();
    stapes_status status = array ? STAPES_OK : stapes__fail_memory(v->err, "the metadata");
    for (uint64_t i = 0; status == STAPES_OK && i < count; i++) {
        json_t *element = NULL;
        status = read_value(v, type, depth + 1, &element);
        if (status == STAPES_OK && json_array_append_new(array, element) != 0)
            status = stapes__fail_memory(v->err, "the metadata");
    }
    if (status == STAPES_OK)
        *out = array;
    else
        json_decref(array);
    return status;
}

static stapes_status read_value(values *v, uint64_t type, int depth, json_t **out) {
    if (type == TYPE_ARRAY)
        return read_array(v, depth, out);
    if (type != TYPE_STRING)
        return read_number(v, type, out);
    const char *text;
    size_t length;
    stapes_status status =
        stapes__gguf_string(v->in, STAPES__GGUF_MAX_STRING, v->key, &text, &length, v->err);
    if (status != STAPES_OK)
        return status;
    *out = json_stringn(text, length);
    return *out ? STAPES_OK : stapes__fail_memory(v->err, "the metadata");
}

/* The value behind v->key, put into the object. */
static stapes_status read_item(values *v, json_t *object) {
    uint64_t type;
    json_t *value = NULL;
    if (!stapes__bytes_uint(v->in, 4, &type))
        return cut_short(v);
    if (type >= N_TYPES)
        return stapes__fail(v->err, STAPES_E_MODEL_DAMAGED, "metadata %.80s has unknown type %llu",
                            v->key, (unsigned long long)type);
    if (json_object_get(object, v->key))
        return stapes__fail(v->err, STAPES_E_MODEL_DAMAGED, "metadata %.80s is stored twice",
                            v->key);
    stapes_status status = read_value(v, type, 0, &value);
    if (status == STAPES_OK && json_object_set_new(object, v->key, value) != 0)
        status = stapes__fail_memory(v->err, "the metadata");
    return status;
}

stapes_status stapes__gguf_metadata(stapes__bytes *in, uint64_t count, json_t *object,
                                    stapes_status (*accept)(void *user, const char *key,
                                                            const json_t *value, stapes_error *err),
                                    void *user, stapes_error *err) {
    values v = {.in = in, .err = err};
    stapes_status status = STAPES_OK;
    for (uint64_t i = 0; status == STAPES_OK && i < count; i++) {
        const char *text;
        size_t length;
        status = stapes__gguf_string(in, STAPES__GGUF_MAX_KEY, "metadata key", &text, &length, err);
        if (status != STAPES_OK)
            break;
        if (length == 0 || memchr(text, 0, length))
            return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                                "metadata key %llu is empty or holds a NUL", (unsigned long long)i);
        char *key = stapes__strndup(text, length);
        if (!key)
            return stapes__fail_memory(err, "the metadata");
        v.key = key;
        status = read_item(&v, object);
        if (status == STAPES_OK)
            status = accept(user, key, json_object_get(object, key), err);
        free(key);
    }
    return status;
}
