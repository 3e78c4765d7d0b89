/* Reading files: formats, rates, channels, cuts, damage. Pipes are in test_audio_stream.c. */
#include <math.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "audio/source.h"
#include "stapes/audio.h"
#include "support.h"

#define FIXTURES STAPES_TEST_SOURCE "/tests/unit/audio/"
#define SAMPLES STAPES_TEST_SOURCE "/samples/"

typedef struct sound {
    float *samples;
    size_t count;
    stapes_status status; /* of opening or of the last read */
    stapes_error err;
    bool opened;
    int rate, channels;
    double duration;
    char format[16], decoder[16];
} sound;

static sound read_with(const char *path, const stapes_audio_params *params, size_t block) {
    sound s = {0};
    stapes_audio *audio;
    s.status = stapes_audio_open(&audio, path, params, &s.err);
    if (s.status != STAPES_OK) {
        assert_null(audio);
        return s;
    }
    stapes_audio_info info;
    stapes_audio_get_info(audio, &info);
    s.opened = true;
    s.rate = info.rate;
    s.channels = info.channels;
    s.duration = info.duration;
    snprintf(s.format, sizeof s.format, "%s", info.format);
    snprintf(s.decoder, sizeof s.decoder, "%s", info.decoder);
    size_t capacity = 0, got = 1;
    while (s.status == STAPES_OK && got > 0) {
        if (s.count + block > capacity) {
            capacity = (s.count + block) * 2;
            s.samples = realloc(s.samples, capacity * sizeof *s.samples);
            assert_non_null(s.samples);
        }
        s.status = stapes_audio_read(audio, s.samples + s.count, block, &got, &s.err);
        s.count += got;
    }
    if (s.status != STAPES_OK) { /* said once, then the end */
        float more;
        assert_ok(stapes_audio_read(audio, &more, 1, &got, &s.err), s.err);
        assert_int_equal(got, 0);
    }
    stapes_audio_close(&audio);
    assert_null(audio);
    return s;
}

static sound read_file(const char *path) {
    return read_with(path, NULL, 8192);
}

static void drop(sound *s) {
    free(s->samples);
    memset(s, 0, sizeof *s);
}

static char *in(const char *folder, const char *name) {
    char *path = malloc(4096);
    assert_non_null(path);
    snprintf(path, 4096, "%s/%s", folder, name);
    return path;
}

/* Channel c holds a tone of 200 (c + 1) Hz, amplitude 0.4. */
static float tone_at(size_t i, int c, int rate) {
    return (float)(0.4 * sin(2 * M_PI * 200 * (c + 1) * (double)i / rate));
}

static bool write_tone(const char *path, int format, int rate, int channels, size_t frames) {
    SF_INFO info = {.samplerate = rate, .channels = channels, .format = format};
    SNDFILE *file = sf_open(path, SFM_WRITE, &info);
    if (!file)
        return false;
    float frame[64];
    for (size_t i = 0; i < frames; i++) {
        for (int c = 0; c < channels; c++)
            frame[c] = tone_at(i, c, rate);
        assert_int_equal(sf_writef_float(file, frame, 1), 1);
    }
    sf_close(file);
    return true;
}

static void copy_part(const char *from, const char *to, size_t bytes) {
    FILE *a = fopen(from, "rb"), *b = fopen(to, "wb");
    assert_non_null(a);
    assert_non_null(b);
    for (int c; bytes > 0 && (c = fgetc(a)) != EOF; bytes--)
        fputc(c, b);
    fclose(a);
    fclose(b);
}

static void sample_formats(void **state) {
    (void)state;
    static const struct {
        const char *name, *format;
        int code;
        double error;
    } cases[] = {{"u8.wav", "wav", SF_FORMAT_WAV | SF_FORMAT_PCM_U8, 1.0 / 127},
                 {"16.wav", "wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 1.0 / 32767},
                 {"24.wav", "wav", SF_FORMAT_WAV | SF_FORMAT_PCM_24, 2e-7},
                 {"32.wav", "wav", SF_FORMAT_WAV | SF_FORMAT_PCM_32, 6e-8},
                 {"f32.wav", "wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 0},
                 {"f64.wav", "wav", SF_FORMAT_WAV | SF_FORMAT_DOUBLE, 0},
                 {"a.wav", "wav", SF_FORMAT_WAV | SF_FORMAT_ALAW, 0.02},
                 {"u.wav", "wav", SF_FORMAT_WAV | SF_FORMAT_ULAW, 0.02},
                 {"x.wav", "wav", SF_FORMAT_WAVEX | SF_FORMAT_PCM_16, 1.0 / 32767},
                 {"ima.wav", "wav", SF_FORMAT_WAV | SF_FORMAT_IMA_ADPCM, 0.05},
                 {"s8.aiff", "aiff", SF_FORMAT_AIFF | SF_FORMAT_PCM_S8, 1.0 / 127},
                 {"16.aiff", "aiff", SF_FORMAT_AIFF | SF_FORMAT_PCM_16, 1.0 / 32767},
                 {"16.au", "au", SF_FORMAT_AU | SF_FORMAT_PCM_16, 1.0 / 32767},
                 {"16.caf", "caf", SF_FORMAT_CAF | SF_FORMAT_PCM_16, 1.0 / 32767},
                 {"16.rf64", "rf64", SF_FORMAT_RF64 | SF_FORMAT_PCM_16, 1.0 / 32767},
                 {"16.flac", "flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 1.0 / 32767},
                 {"24.flac", "flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_24, 2e-7}};
    char *folder = temp_dir();
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char *path = in(folder, cases[k].name);
        assert_true(write_tone(path, cases[k].code, 16000, 1, 8080));
        sound s = read_file(path);
        assert_ok(s.status, s.err);
        assert_string_equal(s.format, cases[k].format);
        assert_string_equal(s.decoder, "sndfile");
        assert_true(s.count >= 8080 && s.count < 8080 + 2048); /* ADPCM fills its block */
        size_t settled = strcmp(cases[k].name, "ima.wav") == 0 ? 200 : 0; /* ADPCM adapts */
        for (size_t i = settled; i < 8080; i++)
            if (!(fabsf(s.samples[i] - tone_at(i, 0, 16000)) <= cases[k].error))
                fail_msg("%s: sample %zu is %.9g, wanted %.9g", cases[k].name, i, s.samples[i],
                         tone_at(i, 0, 16000));
        drop(&s);
        free(path);
    }
    temp_dir_remove(folder);
}

/* A tone written at a rate comes out at 16 kHz with the right length, place and level. */
static void check_tone(const sound *s, double seconds, double slack, double error) {
    assert_ok(s->status, s->err);
    if (fabs((double)s->count / 16000 - seconds) > slack)
        fail_msg("%s: %zu samples, wanted %.4f s", s->format, s->count, seconds);
    for (size_t i = 1600; i + 1600 < s->count; i++) {
        float want = tone_at(i, 0, 16000);
        if (!(fabsf(s->samples[i] - want) <= error))
            fail_msg("%s %d Hz: sample %zu is %g, wanted %g", s->format, s->rate, i, s->samples[i],
                     want);
    }
}

static void rates(void **state) {
    (void)state;
    static const int good[] = {8000,  11025, 12000, 16000, 22050,  24000,
                               32000, 44100, 48000, 96000, 176400, 192000};
    char *folder = temp_dir(), *path = in(folder, "rate.wav");
    for (size_t k = 0; k < sizeof good / sizeof *good; k++) {
        assert_true(
            write_tone(path, SF_FORMAT_WAV | SF_FORMAT_FLOAT, good[k], 1, (size_t)good[k] + 3));
        sound s = read_file(path);
        assert_int_equal(s.rate, good[k]);
        assert_true(fabs(s.duration - (good[k] + 3.0) / good[k]) < 1e-9);
        check_tone(&s, (good[k] + 3.0) / good[k], 1.01 / 16000, 1e-5);
        drop(&s);
    }
    for (int rate = 7999; rate <= 192001; rate += 192001 - 7999) {
        assert_true(write_tone(path, SF_FORMAT_WAV | SF_FORMAT_PCM_16, rate, 1, 100));
        sound s = read_file(path);
        assert_int_equal(s.status, STAPES_E_UNSUPPORTED);
        assert_non_null(strstr(s.err.message, "rate.wav"));
        assert_non_null(strstr(s.err.message, "8000 to 192000"));
    }
    free(path);
    temp_dir_remove(folder);
}

static void channels(void **state) {
    (void)state;
    char *folder = temp_dir(), *path = in(folder, "channels.flac");
    for (int n = 1; n <= 6; n += n == 1 ? 1 : 4) {
        assert_true(write_tone(path, SF_FORMAT_FLAC | SF_FORMAT_PCM_24, 16000, n, 4000));
        for (int pick = STAPES_CHANNEL_MIX; pick <= n; pick++) {
            stapes_audio_params params;
            stapes_audio_params_default(&params);
            params.channel = pick;
            sound s = read_with(path, &params, 1000);
            if (pick == n) {
                assert_int_equal(s.status, STAPES_E_ARGUMENT);
                continue;
            }
            assert_ok(s.status, s.err);
            assert_int_equal(s.channels, n);
            assert_int_equal(s.count, 4000);
            for (size_t i = 0; i < 4000; i++) {
                double sum = 0;
                for (int c = 0; c < n; c++)
                    sum += tone_at(i, c, 16000);
                double want = pick < 0 ? sum / n : tone_at(i, pick, 16000);
                assert_true(fabs(s.samples[i] - want) < 3e-7);
            }
            drop(&s);
        }
    }
    free(path);
    temp_dir_remove(folder);
}

static void lossy(void **state) {
    (void)state;
    char *folder = temp_dir(), *path = in(folder, "tone.ogg");
    assert_true(write_tone(path, SF_FORMAT_OGG | SF_FORMAT_VORBIS, 44100, 1, 88200));
    sound s = read_file(path);
    assert_string_equal(s.format, "ogg");
    check_tone(&s, 2, 1.01 / 16000, 0.05);
    drop(&s);
    assert_true(write_tone(path, SF_FORMAT_OGG | 0x64 /* Opus */, 48000, 1, 96000));
    s = read_file(path);
    assert_string_equal(s.format, "opus");
    check_tone(&s, 2, 0.021, 0.05);
    drop(&s);
    free(path);
    path = in(folder, "tone.mp3");
    if (write_tone(path, 0x230082 /* MPEG layer III */, 44100, 1, 88200)) { /* libsndfile 1.1 on */
        s = read_file(path);
        assert_string_equal(s.format, "mp3");
        check_tone(&s, 2, 0.06, 0.1);
        drop(&s);
    }
    free(path);
    temp_dir_remove(folder);
}

static void samples_shipped(void **state) {
    (void)state;
    static const struct {
        const char *path, *format;
        int rate, channels;
        double seconds;
    } files[] = {{SAMPLES "stapes.flac", "flac", 22050, 1, 6.7095},
                 {SAMPLES "rain.flac", "flac", 16000, 1, 20},
                 {SAMPLES "dialogue.ogg", "ogg", 44100, 2, 36.0561},
                 {SAMPLES "lecture.mp3", "mp3", 22050, 1, 89.7202}};
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        sound s = read_file(files[k].path);
        assert_ok(s.status, s.err);
        assert_string_equal(s.format, files[k].format);
        assert_int_equal(s.rate, files[k].rate);
        assert_int_equal(s.channels, files[k].channels);
        assert_true(fabs((double)s.count / 16000 - files[k].seconds) < 0.06);
        drop(&s);
    }
}

/* m4a, mp4, webm, mkv: a second of 440 Hz; in m4a the right channel is the left one turned over. */
static void containers(void **state) {
    (void)state;
    static const struct {
        const char *path, *format;
        int rate, channels;
    } files[] = {{FIXTURES "tone.m4a", "mp4", 44100, 2},
                 {FIXTURES "tone-faststart.mp4", "mp4", 48000, 1},
                 {FIXTURES "tone.webm", "mkv", 48000, 1},
                 {FIXTURES "tone.mka", "mkv", 32000, 1}};
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        stapes_audio_params params;
        stapes_audio_params_default(&params);
        params.channel = 0;
        sound s = read_with(files[k].path, &params, 5000);
        if (!stapes__ffmpeg_built()) {
            assert_int_equal(s.status, STAPES_E_AUDIO);
            assert_true(s.err.hint[0] != 0);
            continue;
        }
        assert_ok(s.status, s.err);
        assert_string_equal(s.format, files[k].format);
        assert_string_equal(s.decoder, "ffmpeg");
        assert_int_equal(s.rate, files[k].rate);
        assert_int_equal(s.channels, files[k].channels);
        assert_true(fabs((double)s.count / 16000 - 1.03) < 0.05);
        double power = 0;
        for (size_t i = 4000; i < 12000; i++)
            power += (double)s.samples[i] * s.samples[i] / 8000;
        assert_true(fabs(sqrt(2 * power) - 0.5) < 0.02);
        drop(&s);
    }
    if (stapes__ffmpeg_built()) {
        sound s = read_file(FIXTURES "tone.m4a");
        for (size_t i = 0; i < s.count; i++)
            assert_true(fabsf(s.samples[i]) < 0.01);
        drop(&s);
    }
}

/* Offset and duration count samples of the source: the part alone gives the same bits. */
static void cuts(void **state) {
    (void)state;
    char *folder = temp_dir(), *whole = in(folder, "whole.wav"), *part = in(folder, "part.wav");
    char *flac = in(folder, "whole.flac");
    SF_INFO info = {.samplerate = 44100, .channels = 1, .format = SF_FORMAT_WAV | SF_FORMAT_PCM_16};
    assert_true(write_tone(whole, info.format, 44100, 1, 50000));
    assert_true(write_tone(flac, SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 44100, 1, 50000));
    short *pcm = malloc(50000 * sizeof *pcm);
    SNDFILE *file = sf_open(whole, SFM_READ, &info);
    assert_int_equal(sf_readf_short(file, pcm, 50000), 50000);
    sf_close(file);
    file = sf_open(part, SFM_WRITE, &info);
    assert_int_equal(sf_writef_short(file, pcm + 5427, 20001), 20001);
    sf_close(file);
    stapes_audio_params params;
    stapes_audio_params_default(&params);
    params.offset = 5427.0 / 44100;
    params.duration = 20001.0 / 44100;
    sound a = read_with(whole, &params, 777), b = read_file(part), c = read_with(flac, &params, 9);
    assert_ok(a.status, a.err);
    assert_ok(c.status, c.err);
    assert_int_equal(a.count, b.count);
    assert_int_equal(c.count, b.count);
    assert_memory_equal(a.samples, b.samples, a.count * sizeof *a.samples);
    assert_memory_equal(c.samples, b.samples, a.count * sizeof *a.samples);
    drop(&a);
    drop(&b);
    drop(&c);
    params.offset = 100; /* past the end: nothing, and no error */
    a = read_with(whole, &params, 777);
    assert_ok(a.status, a.err);
    assert_int_equal(a.count, 0);
    drop(&a);
    /* A lossy file cannot be entered in the middle: the same samples as by reading up to there. */
    params.offset = 3;
    params.duration = 1;
    a = read_file(SAMPLES "dialogue.ogg");
    b = read_with(SAMPLES "dialogue.ogg", &params, 4096);
    assert_int_equal(b.count, 16000);
    for (size_t i = 1000; i < 15000; i++)
        assert_true(fabsf(a.samples[48000 + i] - b.samples[i]) < 1e-4);
    drop(&a);
    drop(&b);
    free(pcm);
    free(whole);
    free(part);
    free(flac);
    temp_dir_remove(folder);
}

/* However much is asked for at a time, the bits are the same. */
static void block_sizes(void **state) {
    (void)state;
    sound whole = read_file(SAMPLES "stapes.flac");
    static const size_t blocks[] = {1, 7, 1000, 200000};
    for (size_t k = 0; k < sizeof blocks / sizeof *blocks; k++) {
        sound s = read_with(SAMPLES "stapes.flac", NULL, blocks[k]);
        assert_int_equal(s.count, whole.count);
        assert_memory_equal(s.samples, whole.samples, s.count * sizeof *s.samples);
        drop(&s);
    }
    drop(&whole);
}

static void cut_off_files(void **state) {
    (void)state;
    static const struct {
        const char *from, *name;
        size_t bytes;
        double least, most; /* seconds that still come out */
        const char *says;
        bool ffmpeg;
    } cases[] = {{SAMPLES "stapes.flac", "cut.flac", 60000, 2.5, 3, "s of 6.71 s", false},
                 {STAPES_TEST_VECTORS "/audio/clip_a.wav", "cut.wav", 50000, 1.5, 1.6,
                  "1.56 s of 5.61 s", false},
                 {SAMPLES "lecture.mp3", "cut.mp3", 100000, 19, 21, "s of 89.7", true},
                 {FIXTURES "tone-faststart.mp4", "cut.mp4", 5500, 0.2, 0.7, "s of 1.00 s", true},
                 {FIXTURES "tone.mka", "cut.mka", 5000, 0.2, 0.7, "s of 1.03 s", true}};
    char *folder = temp_dir();
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        if (cases[k].ffmpeg && !stapes__ffmpeg_built())
            continue;
        char *path = in(folder, cases[k].name);
        copy_part(cases[k].from, path, cases[k].bytes);
        sound s = read_file(path);
        double seconds = (double)s.count / 16000;
        if (s.status != STAPES_E_AUDIO || !strstr(s.err.message, cases[k].says))
            fail_msg("%s: status %d, %s", cases[k].name, s.status, s.err.message);
        assert_non_null(strstr(s.err.message, cases[k].name));
        assert_true(seconds > cases[k].least && seconds < cases[k].most);
        drop(&s);
        free(path);
    }
    temp_dir_remove(folder);
}

static stapes_status status_of(const char *path) {
    sound s = read_file(path);
    if (s.status != STAPES_OK) {
        assert_true(s.err.message[0] != 0);
        assert_null(strchr(s.err.message, '\n'));
    }
    stapes_status status = s.status;
    drop(&s);
    return status;
}

static void what_is_not_audio(void **state) {
    (void)state;
    char *folder = temp_dir(), *path = in(folder, "garbage.wav");
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    uint32_t seed = 99;
    for (int i = 0; i < 100000; i++) {
        seed = seed * 1664525U + 1013904223U;
        fputc((int)(seed >> 24), file);
    }
    fclose(file);
    assert_int_equal(status_of(path), STAPES_E_AUDIO);
    file = fopen(path, "wb");
    fputs("RIFF\x10\0\0\0WAVE", file);
    fclose(file);
    assert_int_equal(status_of(path), STAPES_E_AUDIO);
    fclose(fopen(path, "wb"));
    sound s = read_file(path);
    assert_int_equal(s.status, STAPES_E_AUDIO);
    assert_non_null(strstr(s.err.message, "the file is empty"));
    assert_int_equal(status_of(SAMPLES "README.md"), STAPES_E_AUDIO);
    assert_int_equal(status_of(folder), STAPES_E_AUDIO);
    assert_int_equal(status_of("/no/such/file.wav"), STAPES_E_AUDIO);
    assert_int_equal(status_of(""), STAPES_E_ARGUMENT);
    /* Without permission; root may read everything, so a child gives up its rights. */
    assert_true(write_tone(path, SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1, 100));
    assert_int_equal(chmod(path, 0), 0);
    assert_int_equal(chmod(folder, 0755), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        stapes_audio *audio;
        stapes_error err;
        if (geteuid() == 0 && setuid(65534) != 0)
            _exit(9);
        stapes_status status = stapes_audio_open(&audio, path, NULL, &err);
        _exit(status == STAPES_E_AUDIO && strstr(err.message, "ermission") ? 0 : 1);
    }
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    free(path);
    temp_dir_remove(folder);
}

/* NaN, infinity and loud samples reach the caller; a name in any script works. */
static void odd_values_and_names(void **state) {
    (void)state;
    char *folder = temp_dir(),
         *path = in(folder, "r\xc3\xa9sum\xc3\xa9 \xe9\x9f\xb3\xe5\xa3\xb0.wav");
    float values[] = {0, NAN, INFINITY, -INFINITY, 3.5F, -2.25F};
    SF_INFO info = {.samplerate = 16000, .channels = 1, .format = SF_FORMAT_WAV | SF_FORMAT_FLOAT};
    SNDFILE *file = sf_open(path, SFM_WRITE, &info);
    assert_non_null(file);
    assert_int_equal(sf_writef_float(file, values, 6), 6);
    sf_close(file);
    sound s = read_file(path);
    assert_ok(s.status, s.err);
    assert_int_equal(s.count, 6);
    assert_true(isnan(s.samples[1]) && isinf(s.samples[2]) && s.samples[3] < 0);
    assert_true(s.samples[4] == 3.5F && s.samples[5] == -2.25F);
    drop(&s);
    free(path);
    temp_dir_remove(folder);
}

static void parameters(void **state) {
    (void)state;
    stapes_audio_params params;
    stapes_audio_params_default(&params);
    assert_int_equal(params.struct_size, sizeof params);
    assert_int_equal(params.channel, STAPES_CHANNEL_MIX);
    params.offset = NAN;
    assert_int_equal(read_with(SAMPLES "rain.flac", &params, 100).status, STAPES_E_ARGUMENT);
    params.offset = -1;
    assert_int_equal(read_with(SAMPLES "rain.flac", &params, 100).status, STAPES_E_ARGUMENT);
    params.struct_size = offsetof(stapes_audio_params, offset); /* an older caller's */
    params.channel = 0;
    sound s = read_with(SAMPLES "rain.flac", &params, 1 << 16);
    assert_ok(s.status, s.err);
    assert_int_equal(s.count, 320000);
    drop(&s);
    stapes_audio *audio = NULL;
    stapes_audio_close(&audio);
    stapes_audio_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sample_formats),
        cmocka_unit_test(rates),
        cmocka_unit_test(channels),
        cmocka_unit_test(lossy),
        cmocka_unit_test(samples_shipped),
        cmocka_unit_test(containers),
        cmocka_unit_test(cuts),
        cmocka_unit_test(block_sizes),
        cmocka_unit_test(cut_off_files),
        cmocka_unit_test(what_is_not_audio),
        cmocka_unit_test(odd_values_and_names),
        cmocka_unit_test(parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
