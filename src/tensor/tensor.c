#include "tensor/tensor.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tensor/blocks.h"

typedef struct dtype_info {
    const char *name;
    uint16_t block, size;
} dtype_info;

static const dtype_info infos[STAPES__DTYPE_COUNT] = {
    [STAPES__F32] = {"F32", 1, 4},       [STAPES__F16] = {"F16", 1, 2},
    [STAPES__BF16] = {"BF16", 1, 2},     [STAPES__F64] = {"F64", 1, 8},
    [STAPES__I64] = {"I64", 1, 8},       [STAPES__I32] = {"I32", 1, 4},
    [STAPES__I16] = {"I16", 1, 2},       [STAPES__I8] = {"I8", 1, 1},
    [STAPES__U8] = {"U8", 1, 1},         [STAPES__BOOL] = {"BOOL", 1, 1},
    [STAPES__Q4_0] = {"Q4_0", 32, 18},   [STAPES__Q4_1] = {"Q4_1", 32, 20},
    [STAPES__Q5_0] = {"Q5_0", 32, 22},   [STAPES__Q5_1] = {"Q5_1", 32, 24},
    [STAPES__Q8_0] = {"Q8_0", 32, 34},   [STAPES__Q8_0_PLANAR] = {"Q8_0_PLANAR", 32, 34},
    [STAPES__Q2_K] = {"Q2_K", 256, 84},  [STAPES__Q3_K] = {"Q3_K", 256, 110},
    [STAPES__Q4_K] = {"Q4_K", 256, 144}, [STAPES__Q5_K] = {"Q5_K", 256, 176},
    [STAPES__Q6_K] = {"Q6_K", 256, 210},
};

size_t stapes__dtype_block(stapes__dtype dtype) {
    return dtype < STAPES__DTYPE_COUNT ? infos[dtype].block : 1;
}

size_t stapes__dtype_size(stapes__dtype dtype) {
    return dtype < STAPES__DTYPE_COUNT ? infos[dtype].size : 0;
}

const char *stapes__dtype_name(stapes__dtype dtype) {
    return dtype < STAPES__DTYPE_COUNT ? infos[dtype].name : "?";
}

bool stapes__dtype_is_real(stapes__dtype dtype) {
    return dtype <= STAPES__F64 || (dtype >= STAPES__Q4_0 && dtype < STAPES__DTYPE_COUNT);
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

bool stapes__shape_bytes(stapes__dtype dtype, int n_dims, const int64_t *shape, size_t *bytes) {
    size_t elements, block = stapes__dtype_block(dtype);
    if (!stapes__shape_elements(n_dims, shape, &elements))
        return false;
    if (block > 1 && (n_dims == 0 || (size_t)shape[n_dims - 1] % block != 0))
        return false;
    return stapes__mul_size(elements / block, stapes__dtype_size(dtype), bytes);
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
    if (stapes__dtype_block(tensor->dtype) > 1) {
        stapes__blocks_to_f32(tensor, first, count, out);
        return;
    }
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
    default: /* block types are done above */
        break;
    }
}
