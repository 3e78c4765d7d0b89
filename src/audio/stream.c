/* WAV and raw samples from a stream. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audio/pcm.h"
#include "audio/resample.h"
#include "audio/source.h"
#include "audio/wav.h"
#include "base/mem.h"

#define BUFFER_BYTES 65536

typedef struct stream {
    stapes__source source;
    stapes__input input;
    stapes__pcm format;
    size_t frame_bytes;
    uint64_t left; /* bytes of data to come, or STAPES__WAV_UNKNOWN */
    uint64_t done; /* frames handed out */
    size_t held;   /* bytes in the buffer: the beginning of a frame */
    uint8_t buffer[BUFFER_BYTES];
} stream;

static stapes_status stream_read(stapes__source *source, float *out, size_t n, size_t *got,
                                 stapes_error *err) {
    stream *s = (stream *)source;
    size_t most = BUFFER_BYTES / s->frame_bytes;
    *got = 0;
    if (n > most)
        n = most;
    while (*got == 0) {
        uint64_t want = n * s->frame_bytes - s->held;
        size_t part = 0;
        if (want > s->left)
            want = s->left;
        if (want > 0) {
            stapes_status status =
                stapes__input_read(&s->input, s->buffer + s->held, (size_t)want, &part, err);
            if (status != STAPES_OK)
                return status;
        }
        if (part == 0 && s->left > 0 && s->left != STAPES__WAV_UNKNOWN) {
            s->left = 0; /* said once */
            return stapes__cut_off(err, s->done, source->frames, source->rate);
        }
        if (part == 0)
            return STAPES_OK;
        if (s->left != STAPES__WAV_UNKNOWN)
            s->left -= part;
        s->held += part;
        *got = s->held / s->frame_bytes;
    }
    size_t used = *got * s->frame_bytes;
    stapes__pcm_to_float(s->format, s->buffer, *got * (size_t)source->channels, out);
    memmove(s->buffer, s->buffer + used, s->held - used);
    s->held -= used;
    s->done += *got;
    return STAPES_OK;
}

static void stream_close(stapes__source *source) {
    stream *s = (stream *)source;
    stapes__input_close(&s->input);
    free(s);
}

static stapes_status make(stapes__source **out, stapes__input *in, const stapes__wav *wav,
                          const char *format, stapes_error *err) {
    stream *s = stapes__calloc(1, sizeof *s);
    if (!s)
        return stapes__fail_memory(err, "the reader of the stream");
    bool known = wav->data_bytes != STAPES__WAV_UNKNOWN;
    uint64_t frames = wav->data_bytes / wav->frame_bytes;
    s->source = (stapes__source){.rate = wav->rate,
                                 .channels = wav->channels,
                                 .frames = known && frames <= INT64_MAX ? (int64_t)frames : -1,
                                 .decoder = "stream",
                                 .read = stream_read,
                                 .close = stream_close};
    snprintf(s->source.format, sizeof s->source.format, "%s", format);
    s->format = wav->format;
    s->frame_bytes = wav->frame_bytes;
    s->left = wav->data_bytes;
    stapes__input_commit(in);
    s->input = *in;
    *in = (stapes__input){.fd = -1};
    *out = &s->source;
    return STAPES_OK;
}

stapes_status stapes__wav_open(stapes__source **out, stapes__input *in, stapes_error *err) {
    stapes__wav wav;
    *out = NULL;
    stapes_status status = stapes__wav_read_header(in, &wav, err);
    return status == STAPES_OK ? make(out, in, &wav, "wav", err) : status;
}

stapes_status stapes__raw_open(stapes__source **out, stapes__input *in,
                               const stapes_audio_params *params, stapes_error *err) {
    stapes__wav wav = {.rate = params->raw_rate,
                       .channels = params->raw_channels,
                       .data_bytes = STAPES__WAV_UNKNOWN};
    *out = NULL;
    if (!stapes__pcm_parse(params->raw_format, &wav.format)) {
        stapes__fail(err, STAPES_E_ARGUMENT, "raw format \"%s\" is not known", params->raw_format);
        stapes__hint(err, "use s16le, s8, u8, s24le, s32le, f32le, f64le, alaw or ulaw");
        return STAPES_E_ARGUMENT;
    }
    if (params->raw_channels < 1 || params->raw_channels > STAPES__MAX_CHANNELS)
        return stapes__fail(err, STAPES_E_ARGUMENT, "raw audio with %d channels; 1 to %d work",
                            params->raw_channels, STAPES__MAX_CHANNELS);
    wav.frame_bytes = (uint32_t)(stapes__pcm_size(wav.format) * (size_t)wav.channels);
    return make(out, in, &wav, "raw", err);
}
