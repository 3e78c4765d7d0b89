/* A decoder of audio: interleaved float frames at the source's own rate. Three kinds: libsndfile,
 * FFmpeg, and the own reader of WAV and raw samples for streams. */
#ifndef STAPES_AUDIO_SOURCE_H
#define STAPES_AUDIO_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audio/input.h"
#include "base/error.h"
#include "stapes/audio.h"

#define STAPES__MAX_CHANNELS 64

typedef struct stapes__source stapes__source;

struct stapes__source {
    int rate, channels;
    int64_t frames; /* -1: the source does not say */
    char format[16];
    const char *decoder;
    /* Up to n frames; *got is 0 at the end only. A damaged source gives what it can, then AUDIO
     * with the time at which it broke. */
    stapes_status (*read)(stapes__source *source, float *out, size_t n, size_t *got,
                          stapes_error *err);
    /* To an exact frame, from the start. NULL or false: read up to it instead. */
    bool (*seek)(stapes__source *source, uint64_t frame);
    void (*close)(stapes__source *source);
};

/* Each takes the input over on success (and empties *in), leaves it to the caller on failure.
 * Messages carry no file name. Errors: AUDIO when it is not for this decoder or damaged,
 * UNSUPPORTED, MEMORY. */
stapes_status stapes__sndfile_open(stapes__source **out, stapes__input *in, stapes_error *err);
stapes_status stapes__ffmpeg_open(stapes__source **out, stapes__input *in, const char *name,
                                  stapes_error *err);
stapes_status stapes__wav_open(stapes__source **out, stapes__input *in, stapes_error *err);
stapes_status stapes__raw_open(stapes__source **out, stapes__input *in,
                               const stapes_audio_params *params, stapes_error *err);

/* false in a build without FFmpeg. */
bool stapes__ffmpeg_built(void);

/* AUDIO: "broken or cut off at 3.20 s of 6.00 s". frames -1 = unknown length. */
stapes_status stapes__cut_off(stapes_error *err, uint64_t at, int64_t frames, int rate);

#endif
