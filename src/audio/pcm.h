/* Plain sample formats: names, widths, conversion to float. Integers are scaled by 2^(bits - 1);
 * values outside [-1, 1] and NaN of the float formats pass. */
#ifndef STAPES_AUDIO_PCM_H
#define STAPES_AUDIO_PCM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum stapes__pcm {
    STAPES__PCM_U8,
    STAPES__PCM_S8,
    STAPES__PCM_S16,
    STAPES__PCM_S24,
    STAPES__PCM_S32,
    STAPES__PCM_F32,
    STAPES__PCM_F64,
    STAPES__PCM_ALAW,
    STAPES__PCM_ULAW
} stapes__pcm;

/* "s16le", "f32le", "s8", "u8", "s24le", "s32le", "f64le", "alaw", "ulaw" (the "le" may be left
 * out); false for another name. */
bool stapes__pcm_parse(const char *name, stapes__pcm *format);

/* Bytes of one sample. */
size_t stapes__pcm_size(stapes__pcm format);

/* `count` little-endian samples to float. */
void stapes__pcm_to_float(stapes__pcm format, const uint8_t *bytes, size_t count, float *out);

#endif
