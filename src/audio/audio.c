/* The public reader: finds a decoder, mixes or picks channels, cuts, resamples. */
#include "stapes/audio.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audio/mp3.h"
#include "audio/resample.h"
#include "audio/source.h"
#include "base/mem.h"

#define BLOCK 4096 /* frames of the source at a time */

struct stapes_audio {
    stapes__source *source;
    stapes__resampler *resampler;
    char *name;
    int channel;
    uint64_t skip; /* source frames to leave out */
    uint64_t left; /* source frames to read, UINT64_MAX = all */
    float *frames; /* [BLOCK, channels] */
    float mono[BLOCK];
    size_t mono_at, mono_count;
    bool ended, flushed;
    stapes_error pending; /* reported after everything that was decoded */
};

void stapes_audio_params_default(stapes_audio_params *params) {
    *params = (stapes_audio_params){.struct_size = sizeof *params,
                                    .channel = STAPES_CHANNEL_MIX,
                                    .raw_rate = STAPES__RATE,
                                    .raw_channels = 1};
}

stapes_status stapes__cut_off(stapes_error *err, uint64_t at, int64_t frames, int rate) {
    double seconds = (double)at / rate;
    if (frames > 0)
        return stapes__fail(err, STAPES_E_AUDIO, "broken or cut off at %.2f s of %.2f s", seconds,
                            (double)frames / rate);
    return stapes__fail(err, STAPES_E_AUDIO, "broken or cut off at %.2f s", seconds);
}

/* An MP3 file that is much shorter or longer than its own header says was cut off or put together
 * from several. libsndfile's decoder writes warnings about these to stderr and trusts the header;
 * FFmpeg does not when it cannot see the end either. */
static bool odd_mp3(stapes__input *in, stapes__mp3_said *said) {
    uint8_t head[STAPES__MP3_HEAD];
    uint64_t got = 0, tag = 0;
    bool odd = false;
    if (!stapes__ffmpeg_built() || !stapes__input_rewind(in))
        return false;
    if (stapes__input_read_all(in, head, sizeof head, &got, NULL) == STAPES_OK)
        tag = stapes__id3_size(head, (size_t)got);
    if (tag > 0 && (!stapes__input_seek(in, tag) ||
                    stapes__input_read_all(in, head, sizeof head, &got, NULL) != STAPES_OK))
        got = 0;
    if (stapes__mp3_said_size(head, (size_t)got, said) && in->file_size >= tag) {
        uint64_t size = in->file_size - tag;
        bool cut_off = size < said->bytes;
        odd = (cut_off ? said->bytes - size : size - said->bytes) > said->bytes / 100;
        said->samples = cut_off ? said->samples : -1;
    }
    stapes__input_rewind(in);
    return odd;
}

static stapes_status open_odd_mp3(stapes_audio *audio, stapes__input *in,
                                  const stapes__mp3_said *said, stapes_error *err) {
    in->seekable = false;
    stapes_status status = stapes__ffmpeg_open(&audio->source, in, audio->name, err);
    if (status == STAPES_OK && said->samples >= 0)
        audio->source->frames = said->samples;
    return status;
}

/* Regular files: libsndfile first, FFmpeg for what it does not know. */
static stapes_status open_file(stapes_audio *audio, stapes__input *in, stapes_error *err) {
    stapes_error first = {0};
    stapes__mp3_said said;
    if (odd_mp3(in, &said))
        return open_odd_mp3(audio, in, &said, err);
    stapes_status status = stapes__sndfile_open(&audio->source, in, &first);
    if (status == STAPES_OK)
        return STAPES_OK;
    if (status == STAPES_E_AUDIO && stapes__input_rewind(in))
        status = stapes__ffmpeg_open(&audio->source, in, audio->name, err);
    else if (err)
        *err = first;
    if (status != STAPES_E_AUDIO || !err)
        return status;
    stapes_error second = *err;
    stapes__fail(err, STAPES_E_AUDIO, "no audio that can be read (%s; %s)", first.message,
                 second.message);
    stapes__hint(err, "%s", second.hint);
    return status;
}

/* Pipes: our own WAV reader, then FFmpeg, or libsndfile over a copy where there is no FFmpeg. */
static stapes_status open_stream(stapes_audio *audio, stapes__input *in, stapes_error *err) {
    stapes_status status = stapes__wav_open(&audio->source, in, err);
    if (status != STAPES_E_AUDIO && status != STAPES_E_UNSUPPORTED)
        return status;
    if (in->kept.length == 0)
        return stapes__fail(err, STAPES_E_AUDIO, "the input is empty");
    if (!stapes__ffmpeg_built()) {
        status = stapes__input_spool(in, err);
        return status == STAPES_OK ? open_file(audio, in, err) : status;
    }
    if (!stapes__input_rewind(in))
        return status;
    status = stapes__ffmpeg_open(&audio->source, in, audio->name, err);
    if (status == STAPES_E_AUDIO)
        stapes__hint(err, "raw samples need their format named; mp4 files with the index at the "
                          "end cannot come from a pipe");
    return status;
}

static stapes_status open_source(stapes_audio *audio, const stapes_audio_params *params,
                                 stapes_error *err) {
    stapes__input in;
    stapes_status status = stapes__input_open(&in, audio->name, err);
    if (status != STAPES_OK)
        return status;
    if (params->raw_format)
        status = stapes__raw_open(&audio->source, &in, params, err);
    else if (in.seekable)
        status = open_file(audio, &in, err);
    else
        status = open_stream(audio, &in, err);
    stapes__input_close(&in);
    return status;
}

/* Checks what was asked for against what was found; both are known now. */
static stapes_status prepare(stapes_audio *audio, const stapes_audio_params *params,
                             stapes_error *err) {
    const stapes__source *source = audio->source;
    audio->channel = params->channel;
    if (params->channel >= source->channels)
        return stapes__fail(err, STAPES_E_ARGUMENT,
                            "channel %d was asked for, but there are %d (counted from 0)",
                            params->channel, source->channels);
    audio->skip = (uint64_t)(params->offset * source->rate + 0.5);
    audio->left = UINT64_MAX;
    if (params->duration > 0)
        audio->left = (uint64_t)(params->duration * source->rate + 0.5);
    audio->frames = stapes__calloc((size_t)BLOCK * (size_t)source->channels, sizeof *audio->frames);
    if (!audio->frames)
        return stapes__fail_memory(err, "audio samples");
    return stapes__resampler_open(&audio->resampler, source->rate, err);
}

stapes_status stapes_audio_open(stapes_audio **out, const char *path,
                                const stapes_audio_params *params, stapes_error *error) {
    stapes_audio_params all;
    stapes_audio_params_default(&all);
    if (params)
        memcpy(&all, params, params->struct_size < sizeof all ? params->struct_size : sizeof all);
    *out = NULL;
    if (!path || !*path)
        return stapes__fail(error, STAPES_E_ARGUMENT, "no audio file is named");
    if (!(all.offset >= 0 && all.offset < 1e9 && all.duration >= 0 && all.duration < 1e9) ||
        all.channel < STAPES_CHANNEL_MIX)
        return stapes__fail(error, STAPES_E_ARGUMENT,
                            "%s: offset, duration or channel is out of range", path);
    stapes_audio *audio = stapes__calloc(1, sizeof *audio);
    if (audio)
        audio->name = stapes__strdup(path);
    if (!audio || !audio->name) {
        free(audio);
        return stapes__fail_memory(error, "the audio reader");
    }
    stapes_status status = open_source(audio, &all, error);
    if (status == STAPES_OK)
        status = prepare(audio, &all, error);
    if (status != STAPES_OK) {
        stapes__prefix(error, "%s", strcmp(path, "-") == 0 ? "standard input" : path);
        stapes_audio_close(&audio);
    } else if (error) {
        *error = (stapes_error){0}; /* a reader that was tried first may have left its report */
    }
    *out = audio;
    return status;
}

void stapes_audio_get_info(const stapes_audio *audio, stapes_audio_info *info) {
    const stapes__source *source = audio->source;
    *info = (stapes_audio_info){.rate = source->rate,
                                .channels = source->channels,
                                .duration = -1,
                                .format = source->format,
                                .decoder = source->decoder};
    if (source->frames >= 0)
        info->duration = (double)source->frames / source->rate;
}

/* One channel, or the mean of all, in double. */
static void to_mono(const float *frames, size_t n, int channels, int channel, float *out) {
    for (size_t i = 0; i < n; i++) {
        const float *frame = frames + i * (size_t)channels;
        double sum = 0;
        if (channel >= 0 || channels == 1) {
            out[i] = frame[channel > 0 ? channel : 0];
            continue;
        }
        for (int c = 0; c < channels; c++)
            sum += frame[c];
        out[i] = (float)(sum / channels);
    }
}

/* Leaves the offset out, once. false: the source ended or broke on the way. */
static bool pass_over(stapes_audio *audio) {
    stapes__source *source = audio->source;
    if (audio->skip > 0 && source->seek && source->seek(source, audio->skip))
        audio->skip = 0;
    while (audio->skip > 0) {
        size_t got, n = audio->skip < BLOCK ? (size_t)audio->skip : BLOCK;
        audio->pending.code = source->read(source, audio->frames, n, &got, &audio->pending);
        if (audio->pending.code != STAPES_OK || got == 0)
            return false;
        audio->skip -= got;
    }
    return true;
}

/* The next block of the source into `mono`; sets `ended` at the end, and `pending` when it came
 * too early. */
static void fill(stapes_audio *audio) {
    stapes__source *source = audio->source;
    size_t got = 0, n = audio->left < BLOCK ? (size_t)audio->left : BLOCK;
    if (pass_over(audio) && n > 0)
        audio->pending.code = source->read(source, audio->frames, n, &got, &audio->pending);
    audio->ended = got == 0;
    if (audio->left != UINT64_MAX)
        audio->left -= got;
    to_mono(audio->frames, got, source->channels, audio->channel, audio->mono);
    audio->mono_at = 0;
    audio->mono_count = got;
}

stapes_status stapes_audio_read(stapes_audio *audio, float *samples, size_t capacity, size_t *count,
                                stapes_error *error) {
    *count = 0;
    if (capacity == 0)
        return stapes__fail(error, STAPES_E_ARGUMENT, "no room for samples");
    while (*count == 0 && !audio->flushed) {
        stapes_status status;
        size_t used;
        if (audio->mono_at < audio->mono_count) {
            status = stapes__resampler_process(audio->resampler, audio->mono + audio->mono_at,
                                               audio->mono_count - audio->mono_at, &used, samples,
                                               capacity, count, error);
            audio->mono_at += used;
        } else if (!audio->ended) {
            status = STAPES_OK;
            fill(audio);
        } else {
            status = stapes__resampler_flush(audio->resampler, samples, capacity, count, error);
            audio->flushed = *count == 0;
        }
        if (status != STAPES_OK)
            return status;
    }
    if (*count == 0 && audio->pending.code != STAPES_OK) {
        stapes_status status = audio->pending.code;
        stapes__prefix(&audio->pending, "%s",
                       strcmp(audio->name, "-") == 0 ? "standard input" : audio->name);
        if (error)
            *error = audio->pending;
        audio->pending.code = STAPES_OK;
        return status;
    }
    return STAPES_OK;
}

void stapes_audio_close(stapes_audio **audio) {
    if (!audio || !*audio)
        return;
    stapes_audio *a = *audio;
    if (a->source)
        a->source->close(a->source);
    stapes__resampler_close(&a->resampler);
    free(a->frames);
    free(a->name);
    free(a);
    *audio = NULL;
}
