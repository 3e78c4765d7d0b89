/* Files through libsndfile: WAV, FLAC, Ogg Vorbis, Opus, AIFF, CAF, AU and, from 1.1 on, MP3. */
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audio/source.h"
#include "audio/wav.h"
#include "base/mem.h"

typedef struct sound {
    stapes__source source;
    stapes__input input;
    SNDFILE *file;
    uint64_t position; /* of the next byte that libsndfile reads */
    int64_t declared;  /* frames that the header promises, -1 unknown */
    uint64_t done;
    bool broken;
} sound;

/* libsndfile reads through these: given the descriptor itself, it closes it when it does not know
 * the format, and FFmpeg still wants it then. */
static sf_count_t io_length(void *user) {
    return (sf_count_t)((sound *)user)->input.file_size;
}

static sf_count_t io_seek(sf_count_t offset, int whence, void *user) {
    sound *s = user;
    sf_count_t to = offset;
    if (whence == SEEK_CUR)
        to += (sf_count_t)s->position;
    else if (whence == SEEK_END)
        to += io_length(user);
    if (to < 0 || !stapes__input_seek(&s->input, (uint64_t)to))
        return -1;
    s->position = (uint64_t)to;
    return to;
}

static sf_count_t io_read(void *out, sf_count_t count, void *user) {
    sound *s = user;
    uint64_t got = 0;
    if (count > 0)
        stapes__input_read_all(&s->input, out, (uint64_t)count, &got, NULL);
    s->position += got;
    return (sf_count_t)got;
}

static sf_count_t io_tell(void *user) {
    return (sf_count_t)((sound *)user)->position;
}

static const char *format_name(int format) {
    static const struct {
        int format;
        const char *name;
    } majors[] = {{SF_FORMAT_WAV, "wav"},      {SF_FORMAT_WAVEX, "wav"}, {SF_FORMAT_FLAC, "flac"},
                  {SF_FORMAT_OGG, "ogg"},      {SF_FORMAT_AIFF, "aiff"}, {SF_FORMAT_AU, "au"},
                  {SF_FORMAT_CAF, "caf"},      {SF_FORMAT_W64, "w64"},   {SF_FORMAT_RF64, "rf64"},
                  {0x230000 /* MPEG */, "mp3"}};
    if ((format & SF_FORMAT_TYPEMASK) == SF_FORMAT_OGG &&
        (format & SF_FORMAT_SUBMASK) == 0x64 /* SF_FORMAT_OPUS, new in 1.0.29 */)
        return "opus";
    for (size_t i = 0; i < sizeof majors / sizeof *majors; i++)
        if ((format & SF_FORMAT_TYPEMASK) == majors[i].format)
            return majors[i].name;
    return "other";
}

static stapes_status sound_read(stapes__source *source, float *out, size_t n, size_t *got,
                                stapes_error *err) {
    sound *s = (sound *)source;
    *got = 0;
    if (s->broken)
        return STAPES_OK;
    sf_count_t count = sf_readf_float(s->file, out, (sf_count_t)n);
    if (count > 0) {
        *got = (size_t)count;
        s->done += *got;
        return STAPES_OK;
    }
    bool short_of = s->declared >= 0 && s->done < (uint64_t)s->declared;
    if (!short_of && sf_error(s->file) == SF_ERR_NO_ERROR)
        return STAPES_OK;
    s->broken = true;
    return stapes__cut_off(err, s->done, s->declared, source->rate);
}

static bool sound_seek(stapes__source *source, uint64_t frame) {
    sound *s = (sound *)source;
    if (source->frames < 0 || frame > (uint64_t)source->frames ||
        sf_seek(s->file, (sf_count_t)frame, SEEK_SET) != (sf_count_t)frame)
        return false;
    s->done = frame;
    return true;
}

static void sound_close(stapes__source *source) {
    sound *s = (sound *)source;
    if (s->file)
        sf_close(s->file);
    stapes__input_close(&s->input);
    free(s);
}

/* Frames that a WAV header promises, where libsndfile tells only what the file still has; -1 for
 * everything else. */
static int64_t promised_by_wav(stapes__input *in) {
    stapes__wav wav;
    int64_t frames = -1;
    if (stapes__input_rewind(in) && stapes__wav_read_header(in, &wav, NULL) == STAPES_OK &&
        wav.data_bytes != STAPES__WAV_UNKNOWN && wav.data_bytes / wav.frame_bytes <= INT64_MAX)
        frames = (int64_t)(wav.data_bytes / wav.frame_bytes);
    stapes__input_rewind(in);
    return frames;
}

stapes_status stapes__sndfile_open(stapes__source **out, stapes__input *in, stapes_error *err) {
    *out = NULL;
    int64_t promised = promised_by_wav(in);
    SF_INFO info = {0};
    SF_VIRTUAL_IO io = {
        .get_filelen = io_length, .seek = io_seek, .read = io_read, .tell = io_tell};
    sound *s = stapes__calloc(1, sizeof *s);
    if (!s)
        return stapes__fail_memory(err, "the reader of the file");
    s->input = *in;
    s->file = sf_open_virtual(&io, SFM_READ, &info, s);
    if (!s->file || info.channels < 1 || info.channels > STAPES__MAX_CHANNELS) {
        stapes_status status =
            s->file ? stapes__fail(err, STAPES_E_UNSUPPORTED, "%d channels; 1 to %d are supported",
                                   info.channels, STAPES__MAX_CHANNELS)
                    : stapes__fail(err, STAPES_E_AUDIO, "libsndfile: %s", sf_strerror(NULL));
        s->input = (stapes__input){.fd = -1}; /* stays the caller's */
        sound_close(&s->source);
        return status;
    }
    bool known = info.frames >= 0 && info.frames < SF_COUNT_MAX;
    const char *name = format_name(info.format);
    /* Lossy codecs carry state from frame to frame: seeking gives other bits than reading. */
    bool plain = strcmp(name, "mp3") != 0 && strcmp(name, "ogg") != 0 && strcmp(name, "opus") != 0;
    s->source = (stapes__source){.rate = info.samplerate,
                                 .channels = info.channels,
                                 .frames = known ? (int64_t)info.frames : -1,
                                 .decoder = "sndfile",
                                 .read = sound_read,
                                 .seek = plain ? sound_seek : NULL,
                                 .close = sound_close};
    snprintf(s->source.format, sizeof s->source.format, "%s", name);
    s->declared = promised >= 0 ? promised : s->source.frames;
    *in = (stapes__input){.fd = -1};
    *out = &s->source;
    return STAPES_OK;
}
