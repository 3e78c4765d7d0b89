#include "audio/pcm.h"

#include <string.h>

bool stapes__pcm_parse(const char *name, stapes__pcm *format) {
    static const struct {
        const char *name;
        stapes__pcm format;
    } names[] = {
        {"u8", STAPES__PCM_U8},     {"s8", STAPES__PCM_S8},     {"s16le", STAPES__PCM_S16},
        {"s16", STAPES__PCM_S16},   {"s24le", STAPES__PCM_S24}, {"s24", STAPES__PCM_S24},
        {"s32le", STAPES__PCM_S32}, {"s32", STAPES__PCM_S32},   {"f32le", STAPES__PCM_F32},
        {"f32", STAPES__PCM_F32},   {"f64le", STAPES__PCM_F64}, {"f64", STAPES__PCM_F64},
        {"alaw", STAPES__PCM_ALAW}, {"ulaw", STAPES__PCM_ULAW}, {"mulaw", STAPES__PCM_ULAW}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i].name) == 0) {
            *format = names[i].format;
            return true;
        }
    }
    return false;
}

size_t stapes__pcm_size(stapes__pcm format) {
    switch (format) {
    case STAPES__PCM_S16:
        return 2;
    case STAPES__PCM_S24:
        return 3;
    case STAPES__PCM_S32:
    case STAPES__PCM_F32:
        return 4;
    case STAPES__PCM_F64:
        return 8;
    default:
        return 1;
    }
}

/* ITU-T G.711: sign, three bits of exponent, four of mantissa. On a scale of 2^15. */
static float alaw(uint8_t byte) {
    int value = byte ^ 0x55, exponent = (value >> 4) & 7;
    int magnitude = ((value & 15) << 4) + 8;
    if (exponent > 0)
        magnitude = (magnitude + 0x100) << (exponent - 1);
    return (float)(value & 0x80 ? magnitude : -magnitude) / 32768;
}

static float ulaw(uint8_t byte) {
    int value = ~byte & 0xff, exponent = (value >> 4) & 7;
    int magnitude = ((((value & 15) << 3) + 0x84) << exponent) - 0x84;
    return (float)(value & 0x80 ? -magnitude : magnitude) / 32768;
}

static uint32_t load32(const uint8_t *b) {
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static float one(stapes__pcm format, const uint8_t *b) {
    uint32_t word;
    uint64_t wide;
    float f;
    double d;
    switch (format) {
    case STAPES__PCM_U8:
        return (float)(b[0] - 128) / 128;
    case STAPES__PCM_S8:
        return (float)(int8_t)b[0] / 128;
    case STAPES__PCM_S16:
        return (float)(int16_t)(uint16_t)(b[0] | b[1] << 8) / 32768;
    case STAPES__PCM_S24:
        word = (uint32_t)b[0] << 8 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 24;
        return (float)((double)(int32_t)word / 2147483648.0);
    case STAPES__PCM_S32:
        return (float)((double)(int32_t)load32(b) / 2147483648.0);
    case STAPES__PCM_F32:
        word = load32(b);
        memcpy(&f, &word, sizeof f);
        return f;
    case STAPES__PCM_F64:
        wide = load32(b) | (uint64_t)load32(b + 4) << 32;
        memcpy(&d, &wide, sizeof d);
        return (float)d;
    case STAPES__PCM_ALAW:
        return alaw(b[0]);
    case STAPES__PCM_ULAW:
        return ulaw(b[0]);
    }
    return 0;
}

void stapes__pcm_to_float(stapes__pcm format, const uint8_t *bytes, size_t count, float *out) {
    size_t size = stapes__pcm_size(format);
    for (size_t i = 0; i < count; i++)
        out[i] = one(format, bytes + i * size);
}
