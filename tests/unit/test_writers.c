/* The output formats against golden strings; JSON is parsed back. */
#include <math.h>
#include <string.h>

#include "support.h"

#include "base/mem.h"
#include "stapes/stapes.h"

static bool collect(void *user, const char *bytes, size_t count) {
    stapes__buf *out = user;
    stapes__buf_append(out, bytes, count);
    return true;
}

static bool refuse(void *user, const char *bytes, size_t count) {
    (void)bytes;
    *(size_t *)user += count;
    return false;
}

/* Two segments, the second past one hour, times that carry when rounded. */
static const stapes_token TOKENS[] = {
    {7, 0, 1, 9.5f, 0.75f, 0, 0.08, "<|en|>"},
    {3, 2, 2, 12.25f, 0.5f, 0.16, 0.32, "\xe2\x96\x81the"},
    {4, 5, 1, NAN, INFINITY, 0.4, 0.48, "\xe6\x97"},
};
static const stapes_word WORDS[] = {
    {"Tom", 0.9996, 1.2, 0.96, 1.28, 0.875f, 0, 1, 1},
    {"&", 1.24, 1.6, 1.24, 1.6, 0.5f, 0, 2, 1},
    {"\"<3\"?", 1.7004, 1.9, 1.7, 2.0, NAN, 0, 2, 1},
    {"caf\xc3\xa9", 3599.9996, 3661.25, 3599.9996, 3661.25, 1.0f, 1, 2, 1},
};
static const stapes_segment SEGMENTS[] = {
    {0, "Tom & \"<3\"?", 0.9996, 1.9, 0.7f, -0.25f, 0, -1, 0, 3, 0, 2},
    {1, "caf\xc3\xa9", 3599.9996, 3661.25, 1.0f, -0.125f, 0, -1, 3, 1, 2, 1},
};
static const stapes_warning WARNINGS[] = {{"audio_clipped", "12 samples\nare clipped"}};

static stapes_result full(void) {
    return (stapes_result){.text = "Tom & \"<3\"? caf\xc3\xa9",
                           .language = "en",
                           .duration = 3700.5,
                           .peak = 0.5f,
                           .clipped = 12,
                           .n_tokens = 3,
                           .n_words = 4,
                           .n_segments = 2,
                           .n_warnings = 1,
                           .tokens = TOKENS,
                           .words = WORDS,
                           .segments = SEGMENTS,
                           .warnings = WARNINGS,
                           .timing = {0.5, 0.25, 1, 20, 4, 37.005, 3700.5},
                           .windows = 3,
                           .forced_blanks = 1};
}

static char *render(const stapes_result *r, const char *format, const stapes_write_params *params) {
    static char text[1 << 16];
    stapes__buf out = {0};
    stapes_error err = {0};
    assert_ok(stapes_result_write(r, format, params, collect, &out, &err), err);
    assert_true(out.length < sizeof text);
    memcpy(text, out.data ? out.data : "", out.length + 1);
    assert_int_equal(strlen(text), out.length);
    stapes__buf_free(&out);
    return text;
}

static void writes_lines(void **state) {
    (void)state;
    stapes_result r = full();
    stapes_write_params p = {.struct_size = sizeof p};
    assert_string_equal(render(&r, "txt", NULL), "Tom & \"<3\"?\ncaf\xc3\xa9\n");
    p.paragraph = true;
    assert_string_equal(render(&r, "txt", &p), "Tom & \"<3\"? caf\xc3\xa9\n");
    p.timestamps = true;
    assert_string_equal(render(&r, "txt", &p), "[00:00:01.000 --> 00:00:01.900]  Tom & \"<3\"?\n"
                                               "[01:00:00.000 --> 01:01:01.250]  caf\xc3\xa9\n");
    assert_string_equal(render(&r, "tsv", NULL), "start\tend\ttext\n"
                                                 "1000\t1900\tTom & \"<3\"?\n"
                                                 "3600000\t3661250\tcaf\xc3\xa9\n");
    assert_string_equal(render(&r, "csv", NULL), "start,end,text\n"
                                                 "1000,1900,\"Tom & \"\"<3\"\"?\"\n"
                                                 "3600000,3661250,\"caf\xc3\xa9\"\n");
    assert_string_equal(render(&r, "lrc", NULL), "[00:01.00]Tom & \"<3\"?\n"
                                                 "[60:00.00]caf\xc3\xa9\n");
    p.source = "a talk.wav";
    assert_string_equal(render(&r, "ctm", &p), "a_talk.wav 1 1.000 0.200 Tom 0.8750\n"
                                               "a_talk.wav 1 1.240 0.360 & 0.5000\n"
                                               "a_talk.wav 1 1.700 0.200 \"<3\"? 0.0000\n"
                                               "a_talk.wav 1 3600.000 61.250 caf\xc3\xa9 1.0000\n");
}

static void writes_channels(void **state) {
    (void)state;
    stapes_result r = full();
    stapes_segment segments[] = {SEGMENTS[0], SEGMENTS[1]};
    segments[0].channel = 0;
    segments[0].text = "one\ttwo\nthree";
    segments[1].channel = 1;
    r.segments = segments;
    assert_string_equal(render(&r, "csv", NULL), "start,end,speaker,text\n"
                                                 "1000,1900,0,\"one\ttwo\nthree\"\n"
                                                 "3600000,3661250,1,\"caf\xc3\xa9\"\n");
    assert_string_equal(render(&r, "tsv", NULL), "start\tend\ttext\n"
                                                 "1000\t1900\tone two three\n"
                                                 "3600000\t3661250\tcaf\xc3\xa9\n");
    r.words = WORDS + 3;
    r.n_words = 1;
    assert_string_equal(render(&r, "ctm", NULL), "- 2 3600.000 61.250 caf\xc3\xa9 1.0000\n");
}

static void writes_cues(void **state) {
    (void)state;
    stapes_result r = full();
    stapes_write_params p = {.struct_size = sizeof p, .first_number = 7};
    assert_string_equal(render(&r, "srt", NULL),
                        "1\n00:00:01,000 --> 00:00:01,900\nTom & \"<3\"?\n\n"
                        "2\n01:00:00,000 --> 01:01:01,250\ncaf\xc3\xa9\n\n");
    assert_string_equal(render(&r, "vtt", NULL),
                        "WEBVTT\n\n"
                        "00:00:01.000 --> 00:00:01.900\nTom &amp; \"&lt;3\"?\n\n"
                        "01:00:00.000 --> 01:01:01.250\ncaf\xc3\xa9\n\n");
    p.words = true;
    assert_string_equal(render(&r, "srt", &p),
                        "7\n00:00:01,000 --> 00:00:01,200\nTom\n\n"
                        "8\n00:00:01,240 --> 00:00:01,600\n&\n\n"
                        "9\n00:00:01,700 --> 00:00:01,900\n\"<3\"?\n\n"
                        "10\n01:00:00,000 --> 01:01:01,250\ncaf\xc3\xa9\n\n");
    assert_string_equal(render(&r, "vtt", &p),
                        "WEBVTT\n\n"
                        "00:00:01.000 --> 00:00:01.900\n"
                        "Tom <00:00:01.240>&amp; <00:00:01.700>\"&lt;3\"?\n\n"
                        "01:00:00.000 --> 01:01:01.250\ncaf\xc3\xa9\n\n");
    p.max_line = 5;
    assert_string_equal(render(&r, "vtt", &p),
                        "WEBVTT\n\n"
                        "00:00:01.000 --> 00:00:01.900\n"
                        "Tom <00:00:01.240>&amp;\n<00:00:01.700>\"&lt;3\"?\n\n"
                        "01:00:00.000 --> 01:01:01.250\ncaf\xc3\xa9\n\n");
}

static void wraps_lines(void **state) {
    (void)state;
    stapes_result r = full();
    stapes_segment segment = SEGMENTS[0];
    segment.text = "e\xcc\x81t\xc3\xa9 and  a-->b\nunbreakable x";
    r.segments = &segment;
    r.n_segments = 1;
    stapes_write_params p = {.struct_size = sizeof p, .max_line = 7};
    assert_string_equal(render(&r, "srt", &p), "1\n00:00:01,000 --> 00:00:01,900\n"
                                               "e\xcc\x81t\xc3\xa9 and\na\xe2\x86\x92"
                                               "b\nunbreak\nable x\n\n");
    /* 100 hours need a third digit; a cue never ends before it starts */
    segment.text = "late";
    segment.start = 360000.0004;
    segment.end = 12;
    assert_string_equal(render(&r, "srt", NULL), "1\n100:00:00,000 --> 100:00:00,000\nlate\n\n");
    segment.start = -1;
    segment.end = NAN;
    assert_string_equal(render(&r, "srt", NULL), "1\n00:00:00,000 --> 00:00:00,000\nlate\n\n");
    segment.start = 59.9995;
    segment.end = 59.996;
    assert_string_equal(render(&r, "lrc", NULL), "[01:00.00]late\n");
}

static json_t *parse(const char *text) {
    json_error_t error;
    json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!o)
        fail_msg("line %d: %s", error.line, error.text);
    return o;
}

static double real_at(const json_t *o, const char *a, const char *b) {
    json_t *value = json_object_get(json_object_get(o, a), b);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static const char *string_at(const json_t *o, const char *a, const char *b) {
    json_t *value = json_object_get(b ? json_object_get(o, a) : o, b ? b : a);
    assert_true(json_is_string(value));
    return json_string_value(value);
}

static void writes_json(void **state) {
    (void)state;
    stapes_result r = full();
    stapes_model_info info = {.name = "nano",
                              .architecture = "fastconformer-tdt",
                              .identity = "abc",
                              .precision = "f32",
                              .backend = "native",
                              .isa = "avx2",
                              .threads = 2,
                              .parameters = 1234};
    stapes_write_params p = {.struct_size = sizeof p, .source = "bad \xff name", .model = &info};
    char *text = render(&r, "json", &p);
    assert_null(strstr(text, ": nan"));
    assert_null(strstr(text, ": inf"));
    assert_null(strstr(text, "3599.99")); /* rounded to milliseconds */
    json_t *o = parse(text);
    static const char *const keys[] = {"engine",   "model",    "audio",   "text",
                                       "language", "segments", "words",   "tokens",
                                       "warnings", "timing",   "windows", "forced_blanks"};
    size_t k = 0;
    const char *key;
    json_t *value;
    json_object_foreach(o, key, value) {
        assert_string_equal(key, keys[k++]);
    }
    assert_int_equal(k, sizeof keys / sizeof *keys);
    assert_string_equal(string_at(o, "engine", "name"), "stapes");
    assert_string_equal(string_at(o, "engine", "version"), STAPES_VERSION_STRING);
    assert_string_equal(string_at(o, "engine", "isa"), "avx2");
    assert_string_equal(string_at(o, "model", "id"), "nano");
    assert_string_equal(string_at(o, "model", "sha256"), "abc");
    assert_string_equal(string_at(o, "audio", "source"), "bad \xef\xbf\xbd name");
    assert_true(fabs(real_at(o, "audio", "peak_dbfs") + 6.0206) < 1e-9);
    assert_true(real_at(o, "audio", "duration") == 3700.5);
    assert_string_equal(string_at(o, "text", NULL), r.text);
    assert_string_equal(string_at(o, "language", "code"), "en");
    assert_true(fabs(real_at(o, "timing", "rtf") - 0.01) < 1e-12);
    assert_true(fabs(real_at(o, "timing", "speed") - 100) < 1e-9);
    json_t *segments = json_object_get(o, "segments"), *words = json_object_get(o, "words");
    assert_int_equal(json_array_size(segments), 2);
    assert_int_equal(json_array_size(words), 4);
    assert_int_equal(json_array_size(json_object_get(json_array_get(segments, 0), "words")), 3);
    assert_true(json_is_null(json_object_get(json_array_get(words, 2), "conf")));
    assert_true(json_number_value(json_object_get(json_array_get(words, 3), "start")) == 3600.0);
    json_t *tokens = json_object_get(o, "tokens");
    assert_string_equal(string_at(json_array_get(tokens, 2), "piece", NULL), "\xef\xbf\xbd");
    assert_true(json_is_null(json_object_get(json_array_get(tokens, 2), "logit")));
    assert_string_equal(
        string_at(json_array_get(json_object_get(o, "warnings"), 0), "message", NULL),
        "12 samples\nare clipped");
    json_decref(o);
    text = render(&r, "jsonl", &p);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    o = parse(text);
    assert_null(json_object_get(o, "tokens"));
    assert_int_equal(json_array_size(json_object_get(o, "words")), 4);
    json_decref(o);
}

static void writes_empty_results(void **state) {
    (void)state;
    stapes_result r = {.text = "", .language = ""};
    static const char *const want[][2] = {
        {"txt", ""},
        {"srt", ""},
        {"vtt", "WEBVTT\n\n"},
        {"tsv", "start\tend\ttext\n"},
        {"csv", "start,end,text\n"},
        {"lrc", ""},
        {"ctm", ""},
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        assert_string_equal(render(&r, want[i][0], NULL), want[i][1]);
    for (int i = 0; i < 2; i++) {
        json_t *o = parse(render(&r, i ? "jsonl" : "json", NULL));
        assert_int_equal(json_array_size(json_object_get(o, "segments")), 0);
        assert_true(json_is_null(json_object_get(o, "language")));
        assert_true(json_is_null(json_object_get(o, "model")));
        assert_true(json_is_null(json_object_get(json_object_get(o, "timing"), "rtf")));
        assert_true(json_is_null(json_object_get(json_object_get(o, "audio"), "peak_dbfs")));
        json_decref(o);
    }
}

static void reports_failures(void **state) {
    (void)state;
    stapes_result r = full();
    stapes_error err = {0};
    size_t count = 0;
    static const char *const formats[] = {"txt", "json", "vtt", "ctm"};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(stapes_result_write(&r, formats[i], NULL, refuse, &count, &err),
                         STAPES_E_IO);
    assert_true(count > 0);
    assert_int_equal(stapes_result_write(&r, "docx", NULL, collect, NULL, &err),
                     STAPES_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, "docx"));
    assert_non_null(strstr(err.hint, "srt"));
    assert_int_equal(stapes_result_write(NULL, "txt", NULL, collect, NULL, &err),
                     STAPES_E_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_lines),     cmocka_unit_test(writes_channels),
        cmocka_unit_test(writes_cues),      cmocka_unit_test(wraps_lines),
        cmocka_unit_test(writes_json),      cmocka_unit_test(writes_empty_results),
        cmocka_unit_test(reports_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
