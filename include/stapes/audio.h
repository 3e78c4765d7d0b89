/* stapes: reading audio files. Any format of libsndfile or FFmpeg, WAV or raw PCM from a stream;
 * any rate and channel count; output is mono (or one channel) at 16 kHz, in blocks. */
#ifndef STAPES_AUDIO_H
#define STAPES_AUDIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stapes/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct stapes_audio stapes_audio;

#define STAPES_CHANNEL_MIX (-1) /* mean of all channels */

typedef struct stapes_audio_params {
    size_t struct_size;
    int32_t channel;        /* STAPES_CHANNEL_MIX or a channel from 0. Default MIX */
    double offset;          /* seconds to skip. Default 0 */
    double duration;        /* seconds to read; 0 = to the end. Default 0 */
    const char *raw_format; /* raw PCM instead of a file format: "s16le", "f32le", "s8", "u8",
                               "s24le", "s32le", "f64le", "alaw", "ulaw"; NULL = detect. NULL */
    int32_t raw_rate;       /* of raw PCM. Default 16000 */
    int32_t raw_channels;   /* of raw PCM. Default 1 */
} stapes_audio_params;

typedef struct stapes_audio_info {
    int32_t rate, channels; /* of the source */
    double duration;        /* seconds, -1 when the source does not say */
    const char *format;     /* "wav", "mp3", ...; lives as long as the handle */
    const char *decoder;    /* "sndfile", "ffmpeg", "stream" */
} stapes_audio_info;

/* Fills the defaults named in the struct. */
STAPES_API void stapes_audio_params_default(stapes_audio_params *params);

/* Opens a file (UTF-8 path) or standard input ("-"). params may be NULL. On failure *out is NULL.
 * Errors: AUDIO (missing, unreadable, not audio, truncated beyond use), UNSUPPORTED, MEMORY. */
STAPES_API stapes_status stapes_audio_open(stapes_audio **out, const char *path,
                                           const stapes_audio_params *params, stapes_error *error);

/* Fills `info`; its strings live as long as the handle. */
STAPES_API void stapes_audio_get_info(const stapes_audio *audio, stapes_audio_info *info);

/* Reads up to `capacity` samples of 16 kHz mono; *count = 0 at the end. A file cut off in the
 * middle yields what could be decoded, then STAPES_E_AUDIO once. */
STAPES_API stapes_status stapes_audio_read(stapes_audio *audio, float *samples, size_t capacity,
                                           size_t *count, stapes_error *error);

/* Closes it and sets the pointer to NULL. */
STAPES_API void stapes_audio_close(stapes_audio **audio);

#ifdef __cplusplus
}
#endif
#endif
