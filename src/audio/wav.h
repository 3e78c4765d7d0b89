/* Header of a WAV stream, read forward only: RIFF and RF64, chunks of any order before the data,
 * sizes that a writer to a pipe could not know. */
#ifndef STAPES_AUDIO_WAV_H
#define STAPES_AUDIO_WAV_H

#include <stdbool.h>
#include <stdint.h>

#include "audio/input.h"
#include "audio/pcm.h"
#include "base/error.h"

#define STAPES__WAV_UNKNOWN UINT64_MAX /* data up to the end of the stream */

typedef struct stapes__wav {
    stapes__pcm format;
    int rate, channels;
    uint32_t frame_bytes;
    uint64_t data_bytes; /* a multiple of nothing in particular, or STAPES__WAV_UNKNOWN */
} stapes__wav;

/* Reads up to the first sample. Errors: AUDIO when it is no WAV or damaged, UNSUPPORTED for a codec
 * other than PCM, float, A-law and mu-law, IO, MEMORY. */
stapes_status stapes__wav_read_header(stapes__input *in, stapes__wav *wav, stapes_error *err);

#endif
