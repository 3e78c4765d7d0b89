#include "tensor/tensor.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

size_t stapes__dtype_size(stapes__dtype dtype) {
    static const size_t sizes[STAPES__DTYPE_COUNT] = {4, 2, 2, 8, 8, 4, 2, 1, 1, 1};
    return dtype < STAPES__DTYPE_COUNT ? sizes[dtype] : 0;
}

const char *stapes__dtype_name(stapes__dtype dtype) {
    static const char *const names[STAPES__DTYPE_COUNT] = {"F32", "F16", "BF16", "F64", "I64",
                                                           "I32", "I16", "I8",   "U8",  "BOOL"};
    return dtype < STAPES__DTYPE_COUNT ? names[dtype] : "?";
}

bool stapes__shape_elements(int n_dims, const int64_t *shape, size_t *count) {
    size_t n = 1;
    for (int i = 0; i < n_dims; i++) {
        if (shape[i] < 0 || !stapes__mul_size(n, (size_t)shape[i], &n) || n > (size_t)1 << 40)
            return false;
    }
    *count = n;
    return true;
}

void stapes__shape_text(const stapes__tensor *tensor, char *text, size_t capacity) {
    size_t at = 0;
    for (int i = 0; i < tensor->n_dims && at < capacity; i++) {
        int put = snprintf(text + at, capacity - at, "%s%lld", i ? ", " : "[",
                           (long long)tensor->shape[i]);
        at += put > 0 ? (size_t)put : 0;
    }
    if (at < capacity)
        snprintf(text + at, capacity - at, "%s", tensor->n_dims ? "]" : "[]");
}

float stapes__half_to_float(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = (half >> 10) & 0x1f, mantissa = half & 0x3ff, bits;
    if (exponent == 0x1f) {
        bits = sign | 0x7f800000 | mantissa << 13;
    } else if (exponent != 0) {
        bits = sign | (exponent + 112) << 23 | mantissa << 13;
    } else if (mantissa != 0) { /* subnormal half: normal float */
        exponent = 113;
        while (!(mantissa & 0x400)) {
            mantissa <<= 1;
            exponent--;
        }
        bits = sign | exponent << 23 | (mantissa & 0x3ff) << 13;
    } else {
        bits = sign;
    }
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

#define CONVERT(type, expression)                                                                  \
    for (size_t i = 0; i < count; i++) {                                                           \
        type value;                                                                                \
        memcpy(&value, bytes + i * sizeof value, sizeof value);                                    \
        out[i] = (expression);                                                                     \
    }                                                                                              \
    break

static float bfloat_to_float(uint16_t value) {
    uint32_t bits = (uint32_t)value << 16;
    float out;
    memcpy(&out, &bits, 4);
    return out;
}

void stapes__to_f32(const stapes__tensor *tensor, size_t first, size_t count, float *out) {
    const unsigned char *bytes = tensor->data;
    bytes += first * stapes__dtype_size(tensor->dtype);
    switch (tensor->dtype) {
    case STAPES__F32:
        memcpy(out, bytes, count * sizeof *out);
        break;
    case STAPES__F16:
        CONVERT(uint16_t, stapes__half_to_float(value));
    case STAPES__BF16:
        CONVERT(uint16_t, bfloat_to_float(value));
    case STAPES__F64:
        CONVERT(double, (float)value);
    case STAPES__I64:
        CONVERT(int64_t, (float)value);
    case STAPES__I32:
        CONVERT(int32_t, (float)value);
    case STAPES__I16:
        CONVERT(int16_t, (float)value);
    case STAPES__I8:
        CONVERT(int8_t, (float)value);
    case STAPES__U8:
    case STAPES__BOOL:
        CONVERT(uint8_t, (float)value);
    case STAPES__DTYPE_COUNT:
        break;
    }
}
