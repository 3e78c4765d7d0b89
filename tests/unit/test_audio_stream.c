/* Reading from pipes: WAV headers of every kind, raw samples, compressed formats. */
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audio/pcm.h"
#include "audio/source.h"
#include "audio/wav.h"
#include "stapes/audio.h"
#include "support.h"

#define FIXTURES STAPES_TEST_SOURCE "/tests/unit/audio/"
#define SAMPLES STAPES_TEST_SOURCE "/samples/"

typedef struct bytes {
    uint8_t *data;
    size_t size;
} bytes;

typedef struct result {
    float *samples;
    size_t count;
    stapes_status status;
    stapes_error err;
    double duration;
    int rate, channels;
    char format[16], decoder[16];
} result;

typedef struct writer {
    int fd;
    bytes content;
    size_t piece;
} writer;

static void *write_all(void *arg) {
    writer *w = arg;
    for (size_t at = 0; at < w->content.size;) {
        size_t n = w->content.size - at < w->piece ? w->content.size - at : w->piece;
        ssize_t done = write(w->fd, w->content.data + at, n);
        if (done <= 0)
            break;
        at += (size_t)done;
    }
    close(w->fd);
    return NULL;
}

/* Standard input as a pipe that brings `content` in pieces. */
static result read_pipe(bytes content, size_t piece, const stapes_audio_params *params) {
    int ends[2], saved = dup(STDIN_FILENO);
    result r = {.samples = calloc(1U << 21, sizeof(float))};
    assert_non_null(r.samples);
    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[0], STDIN_FILENO) >= 0);
    close(ends[0]);
    writer w = {ends[1], content, piece};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_all, &w), 0);
    stapes_audio *audio;
    r.status = stapes_audio_open(&audio, "-", params, &r.err);
    if (r.status == STAPES_OK) {
        stapes_audio_info info;
        stapes_audio_get_info(audio, &info);
        r.duration = info.duration;
        r.rate = info.rate;
        r.channels = info.channels;
        snprintf(r.format, sizeof r.format, "%s", info.format);
        snprintf(r.decoder, sizeof r.decoder, "%s", info.decoder);
        for (size_t got = 1; r.status == STAPES_OK && got > 0; r.count += got)
            r.status =
                stapes_audio_read(audio, r.samples + r.count, (1U << 21) - r.count, &got, &r.err);
        stapes_audio_close(&audio);
    }
    if (saved >= 0) { /* also ends the writer, when not all was read */
        dup2(saved, STDIN_FILENO);
        close(saved);
    } else {
        close(STDIN_FILENO);
    }
    pthread_join(thread, NULL);
    return r;
}

static bytes load(const char *path) {
    FILE *file = fopen(path, "rb");
    bytes b = {0};
    if (!file)
        fail_msg("cannot open %s", path);
    fseek(file, 0, SEEK_END);
    b.size = (size_t)ftell(file);
    rewind(file);
    b.data = malloc(b.size + 1);
    assert_non_null(b.data);
    assert_int_equal(fread(b.data, 1, b.size, file), b.size);
    fclose(file);
    return b;
}

static void put(bytes *b, const void *data, size_t size) {
    b->data = realloc(b->data, b->size + size + 1);
    assert_non_null(b->data);
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

static void put_int(bytes *b, uint64_t value, int size) {
    uint8_t little[8];
    for (int i = 0; i < 8; i++)
        little[i] = (uint8_t)(value >> (8 * i));
    put(b, little, (size_t)size);
}

/* A WAV header, 12 + 24 + 8 bytes with plain tags; size is what the data chunk claims. */
static bytes header(int tag, int channels, int rate, int bits, uint32_t riff, uint32_t size) {
    bytes b = {0};
    put(&b, "RIFF", 4);
    put_int(&b, riff, 4);
    put(&b, "WAVEfmt ", 8);
    put_int(&b, tag == 0xfffe ? 40 : 16, 4);
    put_int(&b, (uint64_t)tag, 2);
    put_int(&b, (uint64_t)channels, 2);
    put_int(&b, (uint64_t)rate, 4);
    put_int(&b, (uint64_t)(rate * channels * (bits / 8)), 4);
    put_int(&b, (uint64_t)(channels * (bits / 8)), 2);
    put_int(&b, (uint64_t)bits, 2);
    if (tag == 0xfffe) { /* extensible, holding PCM */
        put_int(&b, 22, 2);
        put_int(&b, (uint64_t)bits, 2);
        put_int(&b, 0, 4);
        put(&b, "\1\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71", 16);
    }
    put(&b, "data", 4);
    put_int(&b, size, 4);
    return b;
}

static int16_t tone16(int i) {
    return (int16_t)lrint(12000 * sin(0.03 * i));
}

static void sizes_that_lie(void **state) {
    (void)state;
    static const struct {
        uint32_t riff, size;
        bool known;
    } cases[] = {
        {36 + 4000, 4000, true}, {UINT32_MAX, UINT32_MAX, false}, {0, 0, false},
        {36, 0, false},          {0x7ffff024, 0x7ffff000, false}, {UINT32_MAX, 0x80000000, false}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        bytes b = header(1, 1, 16000, 16, cases[k].riff, cases[k].size);
        for (int i = 0; i < 2000; i++)
            put_int(&b, (uint16_t)tone16(i), 2);
        for (size_t piece = 1; piece < 5000; piece = piece * 7 + 4) {
            result r = read_pipe(b, piece, NULL);
            assert_ok(r.status, r.err);
            assert_string_equal(r.decoder, "stream");
            assert_true(cases[k].known ? r.duration == 0.125 : r.duration == -1);
            assert_int_equal(r.count, 2000);
            for (int i = 0; i < 2000; i++)
                assert_true(r.samples[i] == (float)tone16(i) / 32768);
            free(r.samples);
        }
        free(b.data);
    }
}

static void header_forms(void **state) {
    (void)state;
    static const struct {
        int tag, bits;
    } cases[] = {{1, 8}, {1, 16}, {1, 24}, {1, 32}, {3, 32}, {3, 64}, {6, 8}, {7, 8}, {0xfffe, 24}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        int size = cases[k].bits / 8;
        bytes b = header(cases[k].tag, 2, 16000, cases[k].bits, UINT32_MAX, UINT32_MAX);
        for (int i = 0; i < 500; i++) { /* left a constant of about a quarter, right zero */
            double quarter = 0.25;
            float quarter_f = 0.25F;
            uint64_t word = 0, zero = 0;
            if (cases[k].tag == 3 && size == 8)
                memcpy(&word, &quarter, 8);
            else if (cases[k].tag == 3)
                memcpy(&word, &quarter_f, 4);
            else if (cases[k].tag == 6)
                word = 0x8a, zero = 0xd5; /* G.711: 8064 of 32768 and 8 of 32768 */
            else if (cases[k].tag == 7)
                word = 0x9f, zero = 0xff; /* 7932 of 32768 and 0 */
            else
                word = (uint64_t)1 << (cases[k].bits - 3);
            if (cases[k].tag == 1 && size == 1)
                word += 128, zero = 128;
            put_int(&b, word, size);
            put_int(&b, zero, size);
        }
        result r = read_pipe(b, 333, NULL);
        assert_ok(r.status, r.err);
        assert_int_equal(r.channels, 2);
        assert_int_equal(r.count, 500);
        double law = cases[k].tag == 6 || cases[k].tag == 7 ? 0.005 : 0;
        for (int i = 0; i < 500; i++)
            if (!(fabs(r.samples[i] - 0.125) <= law))
                fail_msg("tag %d, %d bits: %g", cases[k].tag, cases[k].bits, r.samples[i]);
        free(r.samples);
        free(b.data);
    }
}

/* Known values of G.711, both signs. */
static void companded(void **state) {
    (void)state;
    static const struct {
        stapes__pcm format;
        uint8_t byte;
        int value;
    } cases[] = {{STAPES__PCM_ULAW, 0x00, -32124}, {STAPES__PCM_ULAW, 0x80, 32124},
                 {STAPES__PCM_ULAW, 0xff, 0},      {STAPES__PCM_ULAW, 0x7f, 0},
                 {STAPES__PCM_ULAW, 0xef, 132},    {STAPES__PCM_ULAW, 0xfe, 8},
                 {STAPES__PCM_ALAW, 0xd5, 8},      {STAPES__PCM_ALAW, 0x55, -8},
                 {STAPES__PCM_ALAW, 0xaa, 32256},  {STAPES__PCM_ALAW, 0x2a, -32256},
                 {STAPES__PCM_ALAW, 0xc5, 264},    {STAPES__PCM_ALAW, 0xf5, 528}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        float got;
        stapes__pcm_to_float(cases[k].format, &cases[k].byte, 1, &got);
        if (got * 32768 != (float)cases[k].value)
            fail_msg("%s 0x%02x: %g, wanted %d",
                     cases[k].format == STAPES__PCM_ALAW ? "A-law" : "mu-law", cases[k].byte,
                     got * 32768, cases[k].value);
    }
}

static void chunks_and_damage(void **state) {
    (void)state;
    bytes b = {0}, plain = header(1, 1, 16000, 16, 5000, 2000), junk = {0};
    for (int i = 0; i < 1000; i++)
        put_int(&plain, (uint16_t)tone16(i), 2);
    put(&plain, "LIST\4\0\0\0abcd", 12); /* after the data: not samples */
    put(&b, plain.data, 12);
    put(&b, "junk", 4);
    put_int(&b, 70001, 4); /* odd: one byte of padding follows */
    junk.data = calloc(1, 70002);
    assert_non_null(junk.data);
    put(&b, junk.data, 70002);
    put(&b, plain.data + 12, plain.size - 12);
    result r = read_pipe(b, 1000, NULL);
    assert_ok(r.status, r.err);
    assert_int_equal(r.count, 1000);
    assert_true(r.samples[500] == (float)tone16(500) / 32768);
    free(r.samples);
    bytes cut = {plain.data, 44 + 1001}; /* ends within a sample, 499 before the promised end */
    r = read_pipe(cut, 1000, NULL);
    assert_int_equal(r.status, STAPES_E_AUDIO);
    assert_non_null(strstr(r.err.message, "standard input: broken or cut off at 0.03 s of 0.06 s"));
    assert_int_equal(r.count, 500);
    free(r.samples);
    for (size_t size = 0; size < 44; size += 11) { /* within the header */
        r = read_pipe((bytes){plain.data, size}, 1000, NULL);
        assert_int_equal(r.status, STAPES_E_AUDIO);
        free(r.samples);
    }
    bytes wrong = header(1, 0, 16000, 16, 0, 0);
    r = read_pipe(wrong, 1000, NULL);
    assert_int_equal(r.status, STAPES_E_AUDIO);
    free(r.samples);
    free(wrong.data);
    free(junk.data);
    free(plain.data);
    free(b.data);
}

static void raw_samples(void **state) {
    (void)state;
    stapes_audio_params params;
    stapes_audio_params_default(&params);
    bytes b = {0};
    for (int i = 0; i < 8000; i++) {
        put_int(&b, (uint16_t)tone16(i), 2);
        put_int(&b, (uint16_t)-tone16(i), 2);
    }
    params.raw_format = "s16le";
    params.raw_channels = 2;
    params.channel = 1;
    params.offset = 0.1;
    params.duration = 0.2;
    for (size_t piece = 1; piece < 40000; piece = piece * 11 + 2) {
        result r = read_pipe(b, piece, &params);
        assert_ok(r.status, r.err);
        assert_string_equal(r.format, "raw");
        assert_int_equal(r.count, 3200);
        for (int i = 0; i < 3200; i++)
            assert_true(r.samples[i] == (float)-tone16(1600 + i) / 32768);
        free(r.samples);
    }
    params.raw_rate = 8000;
    result r = read_pipe(b, 4096, &params);
    assert_ok(r.status, r.err);
    assert_int_equal(r.count, 3200);
    free(r.samples);
    params.raw_format = "s17";
    r = read_pipe(b, 4096, &params);
    assert_int_equal(r.status, STAPES_E_ARGUMENT);
    assert_non_null(strstr(r.err.hint, "s16le"));
    free(r.samples);
    params.raw_format = "f32le";
    params.raw_rate = 4000;
    r = read_pipe(b, 4096, &params);
    assert_int_equal(r.status, STAPES_E_UNSUPPORTED);
    free(r.samples);
    params.raw_rate = 16000;
    params.raw_channels = 0;
    r = read_pipe(b, 4096, &params);
    assert_int_equal(r.status, STAPES_E_ARGUMENT);
    free(r.samples);
    free(b.data);
}

/* Compressed formats come through a pipe too, as they do from a file. */
static void compressed(void **state) {
    (void)state;
    static const struct {
        const char *path;
        double seconds;
        bool needs_ffmpeg;
    } cases[] = {{SAMPLES "stapes.flac", 6.7095, false},
                 {SAMPLES "dialogue.ogg", 36.0561, false},
                 {SAMPLES "lecture.mp3", 89.7202, false},
                 {FIXTURES "tone.webm", 1, true},
                 {FIXTURES "tone-faststart.mp4", 1, true}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        if (cases[k].needs_ffmpeg && !stapes__ffmpeg_built())
            continue;
        bytes b = load(cases[k].path);
        result r = read_pipe(b, 10000, NULL);
        assert_ok(r.status, r.err);
        if (!(fabs((double)r.count / 16000 - cases[k].seconds) < 0.06))
            fail_msg("%s: %zu samples", cases[k].path, r.count);
        free(r.samples);
        free(b.data);
    }
    bytes text = load(SAMPLES "README.md");
    result r = read_pipe(text, 100, NULL);
    assert_int_equal(r.status, STAPES_E_AUDIO);
    assert_non_null(strstr(r.err.message, "standard input: "));
    free(r.samples);
    free(text.data);
}

/* A file as standard input is a file. */
static void redirected_file(void **state) {
    (void)state;
    int saved = dup(STDIN_FILENO);
    FILE *file = fopen(FIXTURES "tone.m4a", "rb"); /* its index is at the end */
    assert_non_null(file);
    assert_true(dup2(fileno(file), STDIN_FILENO) >= 0);
    fclose(file);
    stapes_audio *audio;
    stapes_error err;
    stapes_status status = stapes_audio_open(&audio, "-", NULL, &err);
    if (stapes__ffmpeg_built())
        assert_ok(status, err);
    else
        assert_int_equal(status, STAPES_E_AUDIO);
    stapes_audio_close(&audio);
    if (saved >= 0) {
        dup2(saved, STDIN_FILENO);
        close(saved);
    }
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_that_lie),  cmocka_unit_test(header_forms),
        cmocka_unit_test(companded),       cmocka_unit_test(chunks_and_damage),
        cmocka_unit_test(raw_samples),     cmocka_unit_test(compressed),
        cmocka_unit_test(redirected_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
