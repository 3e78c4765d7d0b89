/* Everything else through FFmpeg's libraries: m4a, mp4, webm, mkv, wma, amr, and compressed audio
 * from a pipe. All reading goes through our own input, so that no container can make FFmpeg open
 * another file or address. Works with FFmpeg 4.4 to 7. */
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audio/source.h"
#include "base/mem.h"

#define IO_BYTES 32768
/* A container's duration counts padding that decoders drop. */
#define DURATION_SLACK 0.25
/* FFmpeg calls less than this a probable misdetection: random bytes often look like MP3. */
#define LEAST_SCORE AVPROBE_SCORE_RETRY

#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 24, 100)
#define FRAME_CHANNELS(frame) ((frame)->ch_layout.nb_channels)
#else
#define FRAME_CHANNELS(frame) ((frame)->channels)
#endif

typedef struct movie {
    stapes__source source;
    stapes__input input;
    uint64_t position; /* of the next byte that FFmpeg reads */
    AVFormatContext *format;
    AVIOContext *io;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    int stream;
    int at;          /* samples of the frame already handed out */
    bool have_frame; /* the frame holds samples */
    bool draining;   /* the container has ended */
    bool io_failed;  /* it ended with an error */
    bool guessed;    /* the length follows from the bit rate */
    bool finished, broken;
    uint64_t done; /* samples handed out */
} movie;

bool stapes__ffmpeg_built(void) {
    return true;
}

static int io_read(void *opaque, uint8_t *buffer, int size) {
    movie *m = opaque;
    size_t got;
    if (stapes__input_read(&m->input, buffer, (size_t)size, &got, NULL) != STAPES_OK)
        return AVERROR(EIO);
    m->position += got;
    return got > 0 ? (int)got : AVERROR_EOF;
}

static int64_t io_seek(void *opaque, int64_t offset, int whence) {
    movie *m = opaque;
    int64_t size = (int64_t)m->input.file_size, to = offset;
    whence &= ~AVSEEK_FORCE;
    if (whence == AVSEEK_SIZE)
        return size;
    if (whence == SEEK_CUR)
        to = (int64_t)m->position + offset;
    else if (whence == SEEK_END)
        to = size + offset;
    if (to < 0 || !stapes__input_seek(&m->input, (uint64_t)to))
        return AVERROR(EINVAL);
    m->position = (uint64_t)to;
    return to;
}

static stapes_status fail_av(stapes_error *err, const char *what, int code) {
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(code, text, sizeof text);
    return stapes__fail(err, code == AVERROR(ENOMEM) ? STAPES_E_MEMORY : STAPES_E_AUDIO,
                        "FFmpeg: %s%s", what, text);
}

/* Opens the container and picks the stream. */
static stapes_status open_container(movie *m, const char *name, stapes_error *err) {
    uint8_t *buffer = av_malloc(IO_BYTES);
    if (buffer)
        m->io = avio_alloc_context(buffer, IO_BYTES, 0, m, io_read, NULL,
                                   m->input.seekable ? io_seek : NULL);
    m->format = avformat_alloc_context();
    if (!m->io || !m->format) {
        if (!m->io)
            av_free(buffer);
        return stapes__fail_memory(err, "FFmpeg");
    }
    m->format->pb = m->io;
    m->format->flags |= AVFMT_FLAG_CUSTOM_IO;
    AVDictionary *options = NULL;
    av_dict_set(&options, "protocol_whitelist", "none", 0);
    int code = avformat_open_input(&m->format, name, NULL, &options);
    av_dict_free(&options);
    if (code < 0)
        return fail_av(err, "", code);
    if (m->format->probe_score < LEAST_SCORE)
        return stapes__fail(err, STAPES_E_AUDIO, "FFmpeg: no format that is known");
    code = avformat_find_stream_info(m->format, NULL);
    if (code < 0)
        return fail_av(err, "", code);
    m->stream = av_find_best_stream(m->format, AVMEDIA_TYPE_AUDIO, -1, -1, NULL, 0);
    if (m->stream < 0)
        return stapes__fail(err, STAPES_E_AUDIO, "there is no audio in it");
    for (unsigned i = 0; i < m->format->nb_streams; i++)
        if ((int)i != m->stream)
            m->format->streams[i]->discard = AVDISCARD_ALL;
    return STAPES_OK;
}

static stapes_status open_codec(movie *m, stapes_error *err) {
    const AVCodecParameters *wanted = m->format->streams[m->stream]->codecpar;
    const AVCodec *decoder = avcodec_find_decoder(wanted->codec_id);
    if (!decoder)
        return stapes__fail(err, STAPES_E_UNSUPPORTED, "FFmpeg has no decoder for %s",
                            avcodec_get_name(wanted->codec_id));
    m->codec = avcodec_alloc_context3(decoder);
    m->packet = av_packet_alloc();
    m->frame = av_frame_alloc();
    if (!m->codec || !m->packet || !m->frame)
        return stapes__fail_memory(err, "FFmpeg");
    int code = avcodec_parameters_to_context(m->codec, wanted);
    m->codec->pkt_timebase = m->format->streams[m->stream]->time_base;
    if (code >= 0)
        code = avcodec_open2(m->codec, decoder, NULL);
    return code < 0 ? fail_av(err, "", code) : STAPES_OK;
}

/* The next packet of our stream to the decoder, or the end. A damaged packet is passed over, as
 * players do. Negative: out of memory. */
static int feed(movie *m) {
    for (;;) {
        int code = av_read_frame(m->format, m->packet);
        if (code < 0) {
            m->draining = true;
            m->io_failed = code != AVERROR_EOF;
            code = avcodec_send_packet(m->codec, NULL);
            return code == AVERROR(ENOMEM) ? code : 0;
        }
        if (m->packet->stream_index == m->stream)
            code = avcodec_send_packet(m->codec, m->packet);
        else
            code = AVERROR_INVALIDDATA;
        av_packet_unref(m->packet);
        if (code >= 0 || code == AVERROR(ENOMEM))
            return code;
    }
}

/* Makes have_frame true, or finished at the end. */
static stapes_status next_frame(movie *m, stapes_error *err) {
    while (!m->have_frame && !m->finished) {
        int code = avcodec_receive_frame(m->codec, m->frame);
        if (code >= 0) {
            m->at = 0;
            m->have_frame = m->frame->nb_samples > 0;
        } else if (code == AVERROR(ENOMEM)) {
            return stapes__fail_memory(err, "FFmpeg");
        } else if (m->draining && code != AVERROR_INVALIDDATA) {
            m->finished = true;
        } else if (!m->draining && feed(m) < 0) {
            return stapes__fail_memory(err, "FFmpeg");
        }
    }
    return STAPES_OK;
}

static float sample(enum AVSampleFormat packed, const uint8_t *data, int i) {
    switch (packed) {
    case AV_SAMPLE_FMT_U8:
        return (float)(data[i] - 128) / 128;
    case AV_SAMPLE_FMT_S16:
        return (float)((const int16_t *)(const void *)data)[i] / 32768;
    case AV_SAMPLE_FMT_S32:
        return (float)(((const int32_t *)(const void *)data)[i] / 2147483648.0);
    case AV_SAMPLE_FMT_S64:
        return (float)((double)((const int64_t *)(const void *)data)[i] / 9223372036854775808.0);
    case AV_SAMPLE_FMT_FLT:
        return ((const float *)(const void *)data)[i];
    case AV_SAMPLE_FMT_DBL:
        return (float)((const double *)(const void *)data)[i];
    default:
        return 0;
    }
}

/* n samples of every channel from the frame, interleaved. */
static void convert(const AVFrame *frame, int from, int n, int channels, float *out) {
    enum AVSampleFormat format = (enum AVSampleFormat)frame->format;
    enum AVSampleFormat packed = av_get_packed_sample_fmt(format);
    bool planar = av_sample_fmt_is_planar(format);
    for (int i = 0; i < n; i++)
        for (int c = 0; c < channels; c++)
            out[(size_t)i * (size_t)channels + (size_t)c] =
                planar ? sample(packed, frame->extended_data[c], from + i)
                       : sample(packed, frame->extended_data[0], (from + i) * channels + c);
}

/* AUDIO when the container promised more than came. */
static stapes_status check_end(movie *m, stapes_error *err) {
    int64_t promised = m->source.frames;
    double missing = (double)(promised - (int64_t)m->done) / m->source.rate;
    m->broken = true; /* said once */
    if (m->io_failed || (promised >= 0 && !m->guessed && missing > DURATION_SLACK))
        return stapes__cut_off(err, m->done, missing > 0 ? promised : -1, m->source.rate);
    return STAPES_OK;
}

static stapes_status movie_read(stapes__source *source, float *out, size_t n, size_t *got,
                                stapes_error *err) {
    movie *m = (movie *)source;
    *got = 0;
    if (m->broken)
        return STAPES_OK;
    stapes_status status = next_frame(m, err);
    if (status != STAPES_OK)
        return status;
    if (m->finished)
        return check_end(m, err);
    if (m->frame->sample_rate != source->rate || FRAME_CHANNELS(m->frame) != source->channels) {
        m->broken = true;
        return stapes__fail(
            err, STAPES_E_AUDIO, "the audio changes to %d Hz, %d channels at %.2f s",
            m->frame->sample_rate, FRAME_CHANNELS(m->frame), (double)m->done / source->rate);
    }
    int left = m->frame->nb_samples - m->at;
    int take = n < (size_t)left ? (int)n : left;
    convert(m->frame, m->at, take, source->channels, out);
    m->at += take;
    m->done += (uint64_t)take;
    if (m->at == m->frame->nb_samples) {
        av_frame_unref(m->frame);
        m->have_frame = false;
    }
    *got = (size_t)take;
    return STAPES_OK;
}

static void movie_close(stapes__source *source) {
    movie *m = (movie *)source;
    av_frame_free(&m->frame);
    av_packet_free(&m->packet);
    avcodec_free_context(&m->codec);
    avformat_close_input(&m->format);
    if (m->io) {
        av_freep(&m->io->buffer);
        avio_context_free(&m->io);
    }
    stapes__input_close(&m->input);
    free(m);
}

/* Length in samples by the stream's own duration, or by the container's when nothing else is in
 * it; -1 when neither is told. */
static int64_t length_of(const movie *m, int rate) {
    const AVStream *stream = m->format->streams[m->stream];
    double seconds = -1;
    if (stream->duration != AV_NOPTS_VALUE)
        seconds = (double)stream->duration * av_q2d(stream->time_base);
    else if (m->format->nb_streams == 1 && m->format->duration != AV_NOPTS_VALUE)
        seconds = (double)m->format->duration / AV_TIME_BASE;
    return seconds >= 0 && seconds < 1e9 ? (int64_t)(seconds * rate + 0.5) : -1;
}

static void describe(movie *m) {
    const char *name = m->format->iformat->name;
    stapes__source *source = &m->source;
    if (strncmp(name, "mov,", 4) == 0)
        name = "mp4";
    else if (strncmp(name, "matroska,", 9) == 0)
        name = "mkv";
    snprintf(source->format, sizeof source->format, "%.*s", (int)strcspn(name, ","), name);
    source->rate = m->frame->sample_rate;
    source->channels = FRAME_CHANNELS(m->frame);
    source->frames = length_of(m, source->rate);
    m->guessed =
        source->frames >= 0 && m->format->duration_estimation_method == AVFMT_DURATION_FROM_BITRATE;
    source->decoder = "ffmpeg";
    source->read = movie_read;
    source->close = movie_close;
}

stapes_status stapes__ffmpeg_open(stapes__source **out, stapes__input *in, const char *name,
                                  stapes_error *err) {
    *out = NULL;
    /* FFmpeg's messages go to stderr unless told otherwise; a program that has set its own level
     * keeps it. */
    if (av_log_get_level() == AV_LOG_INFO)
        av_log_set_level(AV_LOG_QUIET);
    movie *m = stapes__calloc(1, sizeof *m);
    if (!m)
        return stapes__fail_memory(err, "the reader of the file");
    m->input = *in;
    stapes_status status = open_container(m, name, err);
    stapes__input_commit(&m->input);
    if (status == STAPES_OK)
        status = open_codec(m, err);
    if (status == STAPES_OK)
        status = next_frame(m, err); /* rate and channels are sure only after decoding */
    if (status == STAPES_OK && m->finished)
        status = stapes__fail(err, STAPES_E_AUDIO, "FFmpeg: not one sample could be decoded");
    if (status == STAPES_OK &&
        (FRAME_CHANNELS(m->frame) < 1 || FRAME_CHANNELS(m->frame) > STAPES__MAX_CHANNELS))
        status = stapes__fail(err, STAPES_E_UNSUPPORTED, "%d channels; 1 to %d are supported",
                              FRAME_CHANNELS(m->frame), STAPES__MAX_CHANNELS);
    if (status != STAPES_OK) {
        *in = m->input; /* stays the caller's */
        m->input = (stapes__input){.fd = -1};
        movie_close(&m->source);
        return status;
    }
    describe(m);
    *in = (stapes__input){.fd = -1};
    *out = &m->source;
    return STAPES_OK;
}
