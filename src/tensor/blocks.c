#include "tensor/blocks.h"

#include <string.h>

enum { SMALL = 32, SUPER = 256 };

static float half_at(const uint8_t *bytes) {
    return stapes__half_to_float((uint16_t)(bytes[0] | bytes[1] << 8));
}

static uint32_t u32_at(const uint8_t *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

/* ---- 32 values: f16 scale [f16 minimum] [u32 fifth bits] nibbles ---- */

static void block_q4_0(const uint8_t *b, float *out) {
    float d = half_at(b);
    for (int j = 0; j < SMALL / 2; j++) {
        out[j] = d * (float)((b[2 + j] & 15) - 8);
        out[j + SMALL / 2] = d * (float)((b[2 + j] >> 4) - 8);
    }
}

static void block_q4_1(const uint8_t *b, float *out) {
    float d = half_at(b), m = half_at(b + 2);
    for (int j = 0; j < SMALL / 2; j++) {
        out[j] = d * (float)(b[4 + j] & 15) + m;
        out[j + SMALL / 2] = d * (float)(b[4 + j] >> 4) + m;
    }
}

/* Element j of 32 five-bit values. */
static int five_bits(uint32_t high, const uint8_t *low, int j) {
    int nibble = j < SMALL / 2 ? low[j] & 15 : low[j - SMALL / 2] >> 4;
    return nibble | (int)(high >> j & 1) << 4;
}

static void block_q5_0(const uint8_t *b, float *out) {
    float d = half_at(b);
    uint32_t high = u32_at(b + 2);
    for (int j = 0; j < SMALL; j++)
        out[j] = d * (float)(five_bits(high, b + 6, j) - 16);
}

static void block_q5_1(const uint8_t *b, float *out) {
    float d = half_at(b), m = half_at(b + 2);
    uint32_t high = u32_at(b + 4);
    for (int j = 0; j < SMALL; j++)
        out[j] = d * (float)five_bits(high, b + 8, j) + m;
}

static void scaled_bytes(float d, const uint8_t *values, float *out) {
    for (int j = 0; j < SMALL; j++)
        out[j] = d * (float)(int8_t)values[j];
}

static void block_q8_0(const uint8_t *b, float *out) {
    scaled_bytes(half_at(b), b + 2, out);
}

/* ---- 256 values ---- */

/* 16 bytes of (scale, minimum) nibbles for groups of 16, 64 bytes of 2-bit values, d, dmin. Values
 * 32 s .. 32 s + 31 of each half are the bit pair s of its 32 bytes. */
static void block_q2_k(const uint8_t *b, float *out) {
    float d = half_at(b + 80), dmin = half_at(b + 82);
    for (int i = 0; i < SUPER; i++) {
        int half = i / 128, pair = i % 128 / 32, lane = i % 32;
        uint8_t group = b[i / 16];
        int q = b[16 + half * 32 + lane] >> 2 * pair & 3;
        out[i] = d * (float)(group & 15) * (float)q - dmin * (float)(group >> 4);
    }
}

/* Sixteen 6-bit scales in 12 bytes: low nibbles in the first 8, high pairs in the last 4. */
static int scale_q3_k(const uint8_t *b, int group) {
    int low = group < 8 ? b[group] & 15 : b[group - 8] >> 4;
    int high = b[8 + group % 4] >> 2 * (group / 4) & 3;
    return (low | high << 4) - 32;
}

/* 32 bytes of high bits (bit 4 half + pair, set = not minus 4), 64 bytes of 2-bit values as in
 * Q2_K, scales, d. */
static void block_q3_k(const uint8_t *b, float *out) {
    float d = half_at(b + 108);
    for (int i = 0; i < SUPER; i++) {
        int half = i / 128, pair = i % 128 / 32, lane = i % 32;
        int q = b[32 + half * 32 + lane] >> 2 * pair & 3;
        if (!(b[lane] >> (half * 4 + pair) & 1))
            q -= 4;
        out[i] = d * (float)scale_q3_k(b + 96, i / 16) * (float)q;
    }
}

/* Eight 6-bit scales and minima in 12 bytes: the first four whole in bytes 0-3 and 4-7, whose top
 * pairs are the top of the last four, with low nibbles in bytes 8-11. */
static void scale_min_k4(const uint8_t *b, int group, int *scale, int *minimum) {
    if (group < 4) {
        *scale = b[group] & 63;
        *minimum = b[group + 4] & 63;
    } else {
        *scale = (b[group + 4] & 15) | (b[group - 4] >> 6) << 4;
        *minimum = b[group + 4] >> 4 | (b[group] >> 6) << 4;
    }
}

/* d, dmin, scales; values in groups of 32: two groups share 32 bytes, low nibbles then high.
 * `high` is NULL for Q4_K or Q5_K's 32 bytes, whose bit g is the fifth of group g. */
static void block_k4(const uint8_t *b, const uint8_t *high, const uint8_t *low, float *out) {
    float d = half_at(b), dmin = half_at(b + 2);
    for (int group = 0; group < 8; group++) {
        int scale, minimum;
        scale_min_k4(b + 4, group, &scale, &minimum);
        float step = d * (float)scale, base = dmin * (float)minimum;
        for (int j = 0; j < 32; j++) {
            int q = low[group / 2 * 32 + j] >> (group % 2 ? 4 : 0) & 15;
            if (high)
                q |= (high[j] >> group & 1) << 4;
            out[group * 32 + j] = step * (float)q - base;
        }
    }
}

static void block_q4_k(const uint8_t *b, float *out) {
    block_k4(b, NULL, b + 16, out);
}

static void block_q5_k(const uint8_t *b, float *out) {
    block_k4(b, b + 16, b + 48, out);
}

/* 128 bytes of low nibbles, 64 of high pairs, 16 int8 scales, d. Each half of 128 values: nibbles
 * of 64 bytes (low ones are the first 64 values), pairs of 32 bytes in order. */
static void block_q6_k(const uint8_t *b, float *out) {
    float d = half_at(b + 208);
    for (int i = 0; i < SUPER; i++) {
        int half = i / 128, within = i % 128, lane = i % 32;
        int low = b[half * 64 + within % 64] >> (within < 64 ? 0 : 4) & 15;
        int high = b[128 + half * 32 + lane] >> 2 * (within / 32) & 3;
        out[i] = d * (float)(int8_t)b[192 + i / 16] * (float)((low | high << 4) - 32);
    }
}

/* ---- tensors ---- */

static void planar_q8_0(const stapes__tensor *t, size_t first, size_t count, float *out) {
    const uint8_t *values = t->data;
    const uint8_t *scales = values + t->bytes / stapes__dtype_size(t->dtype) * SMALL;
    for (size_t b = first / SMALL; b < (first + count) / SMALL; b++, out += SMALL)
        scaled_bytes(half_at(scales + 2 * b), values + b * SMALL, out);
}

void stapes__blocks_to_f32(const stapes__tensor *tensor, size_t first, size_t count, float *out) {
    static void (*const kinds[STAPES__DTYPE_COUNT])(const uint8_t *, float *) = {
        [STAPES__Q4_0] = block_q4_0, [STAPES__Q4_1] = block_q4_1, [STAPES__Q5_0] = block_q5_0,
        [STAPES__Q5_1] = block_q5_1, [STAPES__Q8_0] = block_q8_0, [STAPES__Q2_K] = block_q2_k,
        [STAPES__Q3_K] = block_q3_k, [STAPES__Q4_K] = block_q4_k, [STAPES__Q5_K] = block_q5_k,
        [STAPES__Q6_K] = block_q6_k,
    };
    size_t block = stapes__dtype_block(tensor->dtype), size = stapes__dtype_size(tensor->dtype);
    if (tensor->dtype == STAPES__Q8_0_PLANAR) {
        planar_q8_0(tensor, first, count, out);
        return;
    }
    const uint8_t *bytes = (const uint8_t *)tensor->data + first / block * size;
    for (size_t done = 0; done < count; done += block, bytes += size, out += block)
        kinds[tensor->dtype](bytes, out);
}
