/* The seek loop against openai-whisper with a scripted decoder: tests/vectors/whisper/longform, and
 * with word times whisper/decode (lab/make_whisper_vectors.py). Then the guards and the edges. */
#include <math.h>

#include "decode/whisper/longform.h"
#include "whisper_support.h"

/* Answers in order, the last one repeats; notes or checks what it was asked. */
typedef struct script {
    stapes__whisper_layout layout;
    stapes__tokenizer *tokenizer;
    json_t *answers, *want_calls; /* want_calls: NULL = not checked */
    const char *name;
    size_t calls, windows, alignments;
    int64_t encoded_to; /* end of the last window */
    int64_t heard_from;
} script;

static json_t *answer_of(const script *s, size_t call) {
    size_t last = json_array_size(s->answers) - 1;
    return json_array_get(s->answers, call < last ? call : last);
}

static double answer_number(json_t *answer, const char *name, double otherwise) {
    json_t *value = json_object_get(answer, name);
    return value ? json_number_value(value) : otherwise;
}

static stapes_status script_encode(void *user, int64_t seek, size_t frames, stapes_error *err) {
    (void)err;
    script *s = user;
    assert_true(seek >= 0 && frames >= 1 && frames <= STAPES__WHISPER_WINDOW);
    s->encoded_to = seek + (int64_t)frames;
    s->windows++;
    return STAPES_OK;
}

static void check_call(const script *s, const stapes__whisper_options *options) {
    json_t *want = json_array_get(s->want_calls, s->calls);
    if (!want)
        fail_msg("%s: more calls than %zu", s->name, s->calls);
    assert_ids(s->name, options->prompt, options->prompt_count, field(want, "prompt"));
    assert_near(s->name, options->temperature, number(want, "temperature"), 0);
    /* null counts as 0 */
    assert_int_equal(options->beam, whole(want, "beam_size"));
    assert_int_equal(options->best_of, whole(want, "best_of"));
}

static stapes_status script_decode(void *user, const stapes__whisper_options *options,
                                   stapes__whisper_result *result, stapes_error *err) {
    (void)err;
    script *s = user;
    if (s->want_calls)
        check_call(s, options);
    json_t *answer = answer_of(s, s->calls++);
    *result = (stapes__whisper_result){
        .avg_logprob = answer_number(answer, "avg_logprob", -0.3),
        .no_speech_prob = answer_number(answer, "no_speech_prob", 0.01),
        .compression_ratio = answer_number(answer, "compression_ratio", 1.2),
        .temperature = options->temperature,
        .loops = json_is_true(json_object_get(answer, "loops")),
        .truncated = json_is_true(json_object_get(answer, "truncated"))};
    result->tokens = ids_of(field(answer, "tokens"), &result->count);
    return STAPES_OK;
}

static stapes_status script_align(void *user, const int32_t *tokens, size_t count, size_t frames,
                                  stapes__whisper_words *words, stapes_error *err) {
    (void)frames;
    script *s = user;
    s->alignments++;
    assert_ok(stapes__whisper_split(&s->layout, s->tokenizer, tokens, count, false, words, err),
              *err);
    json_t *times = field(answer_of(s, s->calls - 1), "times");
    assert_true(words->count <= json_array_size(times));
    for (size_t i = 0; i < words->count; i++) {
        json_t *time = json_array_get(times, i);
        words->items[i].start = json_number_value(json_array_get(time, 0));
        words->items[i].end = json_number_value(json_array_get(time, 1));
        words->items[i].probability = json_number_value(json_array_get(time, 2));
    }
    return STAPES_OK;
}

/* Silent up to `heard_from`. */
static bool script_silent(void *user, int64_t seek, size_t frames) {
    const script *s = user;
    return seek + (int64_t)frames <= s->heard_from;
}

static script script_open(void) {
    return (script){.layout = layout_named("multi"), .tokenizer = vocabulary_of("multi")};
}

static stapes_status run_script(script *s, const stapes__whisper_longform *params, int64_t content,
                                stapes__whisper_transcript *out, stapes_error *err) {
    stapes__whisper_windows windows = {.user = s,
                                       .encode = script_encode,
                                       .decode = script_decode,
                                       .align = script_align,
                                       .silent = script_silent};
    return stapes__whisper_transcribe(&windows, &s->layout, s->tokenizer, params, content, out,
                                      err);
}

static void check_words(const stapes__whisper_segment *got, json_t *want) {
    size_t i;
    json_t *word;
    assert_int_equal(got->words.count, json_array_size(want));
    json_array_foreach(want, i, word) {
        const stapes__whisper_word *w = &got->words.items[i];
        assert_string_equal(w->text, json_string_value(json_array_get(word, 0)));
        assert_near(w->text, w->start, json_number_value(json_array_get(word, 1)), 1e-5);
        assert_near(w->text, w->end, json_number_value(json_array_get(word, 2)), 1e-5);
        assert_near(w->text, w->probability, json_number_value(json_array_get(word, 3)), 1e-9);
    }
}

static void check_transcript(const script *s, const stapes__whisper_transcript *got, json_t *c) {
    json_t *segments = field(c, "segments"), *want;
    size_t i;
    for (i = 0; i < got->count && i < json_array_size(segments); i++) {
        const stapes__whisper_segment *segment = &got->segments[i];
        want = json_array_get(segments, i);
        assert_int_equal(segment->seek, whole(want, "seek"));
        assert_near(s->name, segment->start, number(want, "start"), 1e-3);
        assert_near(s->name, segment->end, number(want, "end"), 1e-3);
        assert_string_equal(segment->text, string(want, "text"));
        assert_ids(s->name, segment->tokens, segment->n_tokens, field(want, "tokens"));
        if (json_object_get(want, "temperature"))
            assert_near(s->name, segment->temperature, number(want, "temperature"), 0);
        if (json_object_get(want, "words"))
            check_words(segment, field(want, "words"));
    }
    assert_int_equal(got->count, json_array_size(segments));
    stapes__buf text = {0};
    stapes_error err;
    assert_ok(
        stapes__whisper_text(&s->layout, s->tokenizer, got->tokens, got->n_tokens, &text, &err),
        err);
    assert_string_equal(text.data ? text.data : "", string(c, "text"));
    stapes__buf_free(&text);
}

static size_t clips_of(json_t *options, double *clips) {
    const char *text = json_string_value(json_object_get(options, "clip_timestamps"));
    size_t n = 0;
    for (char *end; text && *text; text = *end ? end + 1 : end)
        clips[n++] = strtod(text, &end);
    return n;
}

static void run_case(script *s, json_t *c) {
    json_t *o = field(c, "options"), *initial = json_object_get(o, "initial_prompt");
    stapes__whisper_longform params = stapes__whisper_default_longform();
    double clips[8];
    params.options.beam = 5;
    params.options.best_of = 5;
    params.guards = false;
    params.condition_on_previous_text =
        !json_is_false(json_object_get(o, "condition_on_previous_text"));
    params.carry_initial_prompt = json_is_true(json_object_get(o, "carry_initial_prompt"));
    params.clips = clips;
    params.n_clips = clips_of(o, clips);
    int32_t *prompt = NULL;
    stapes_error err;
    if (initial)
        assert_ok(stapes__whisper_encode_prompt(s->tokenizer, json_string_value(initial), &prompt,
                                                &params.initial_prompt_count, &err),
                  err);
    params.initial_prompt = prompt;
    s->name = string(c, "name");
    s->answers = field(c, "answers (the last one repeats)");
    s->want_calls = field(c, "calls");
    s->calls = 0;
    stapes__whisper_transcript out;
    assert_ok(run_script(s, &params, whole(c, "content_frames"), &out, &err), err);
    assert_int_equal(s->calls, json_array_size(s->want_calls));
    check_transcript(s, &out, c);
    stapes__whisper_transcript_free(&out);
    free(prompt);
}

static void test_cases(void **state) {
    (void)state;
    vectors v = vectors_open("whisper/longform");
    script s = script_open();
    size_t i;
    json_t *c;
    assert_int_equal(json_array_size(field(v.info, "cases")), 14);
    json_array_foreach(field(v.info, "cases"), i, c) run_case(&s, c);
    stapes__tokenizer_close(&s.tokenizer);
    vectors_close(&v);
}

static void test_word_cases(void **state) {
    (void)state;
    vectors v = vectors_open("whisper/decode");
    script s = script_open();
    size_t i;
    json_t *c;
    static const double zero[] = {0};
    json_array_foreach(field(v.info, "longform"), i, c) {
        stapes__whisper_longform params = stapes__whisper_default_longform();
        params.temperatures = zero;
        params.n_temperatures = 1;
        params.word_times = true;
        params.guards = false;
        json_t *gap = json_object_get(field(c, "options"), "hallucination_silence_threshold");
        if (gap)
            params.hallucination_silence = json_number_value(gap);
        s.name = string(c, "name");
        s.answers = field(c, "answers");
        s.calls = s.alignments = 0;
        stapes__whisper_transcript out;
        stapes_error err;
        assert_ok(run_script(&s, &params, whole(c, "content_frames"), &out, &err), err);
        assert_int_equal(s.calls, whole(c, "calls"));
        assert_int_equal(s.alignments, json_array_size(field(c, "alignments")));
        check_transcript(&s, &out, c);
        stapes__whisper_transcript_free(&out);
    }
    stapes__tokenizer_close(&s.tokenizer);
    vectors_close(&v);
}

/* ---- guards and edges ---- */

static stapes__whisper_transcript run_answers(script *s, const stapes__whisper_longform *params,
                                              int64_t content, const char *answers) {
    stapes__whisper_transcript out;
    stapes_error err;
    json_error_t error;
    s->answers = json_loads(answers, 0, &error);
    assert_non_null(s->answers);
    s->calls = s->windows = s->alignments = 0;
    assert_ok(run_script(s, params, content, &out, &err), err);
    json_decref(s->answers);
    return out;
}

static void test_short_audio(void **state) {
    (void)state;
    script s = script_open();
    stapes__whisper_longform params = stapes__whisper_default_longform();
    stapes__whisper_transcript out = run_answers(&s, &params, 0, "[{\"tokens\": [472]}]");
    assert_int_equal(out.count, 0);
    assert_int_equal(s.windows, 0);
    stapes__whisper_transcript_free(&out);
    /* 0.3 s: a text without a second timestamp lasts as long as the audio. */
    out = run_answers(&s, &params, 30, "[{\"tokens\": [50364, 472, 732]}]");
    assert_int_equal(out.count, 1);
    assert_int_equal(s.windows, 1);
    assert_int_equal(s.encoded_to, 30);
    assert_near("end", out.segments[0].end, 0.3, 1e-9);
    stapes__whisper_transcript_free(&out);
    /* A timestamp beyond the audio is held back by the guard. */
    out = run_answers(&s, &params, 30, "[{\"tokens\": [50364, 472, 732, 50564]}]");
    assert_near("end", out.segments[0].end, 0.3, 1e-9);
    stapes__whisper_transcript_free(&out);
    stapes__tokenizer_close(&s.tokenizer);
}

static void test_silence(void **state) {
    (void)state;
    script s = script_open();
    stapes__whisper_longform params = stapes__whisper_default_longform();
    const char *silent = "[{\"tokens\": [50364, 472, 50464], \"no_speech_prob\": 0.95, "
                         "\"avg_logprob\": -1.4}]";
    stapes__whisper_transcript out = run_answers(&s, &params, 10000, silent);
    assert_int_equal(out.count, 0);
    assert_int_equal(out.n_tokens, 0);
    assert_int_equal(s.calls, 4); /* no retry: silence cancels it */
    assert_int_equal(s.encoded_to, 10000);
    stapes__whisper_transcript_free(&out);
    /* Windows in which nothing is heard are not even encoded. */
    s.heard_from = 7000;
    out = run_answers(&s, &params, 10000, "[{\"tokens\": [50364, 472, 51764]}]");
    assert_int_equal(s.calls, 2);
    assert_int_equal(s.windows, 2);
    assert_int_equal(out.segments[0].seek, 6000);
    s.heard_from = 0;
    stapes__whisper_transcript_free(&out);
    params.no_speech_threshold = NAN; /* off: every temperature is tried, the text is kept */
    out = run_answers(&s, &params, 3000, silent);
    assert_int_equal(out.count, 1);
    assert_int_equal(s.calls, 6);
    stapes__whisper_transcript_free(&out);
    stapes__tokenizer_close(&s.tokenizer);
}

static void test_repetition(void **state) {
    (void)state;
    script s = script_open();
    stapes__whisper_longform params = stapes__whisper_default_longform();
    const char *answers = "[{\"tokens\": [50364, 472, 472, 472], \"loops\": true}, "
                          "{\"tokens\": [50364, 1451, 1732, 50664]}]";
    stapes__whisper_transcript out = run_answers(&s, &params, 1000, answers);
    assert_int_equal(s.calls, 2);
    assert_string_equal(out.segments[0].text, " four five");
    assert_near("temperature", out.segments[0].temperature, 0.2, 0);
    stapes__whisper_transcript_free(&out);
    params.guards = false;
    out = run_answers(&s, &params, 1000, answers);
    assert_int_equal(s.calls, 1);
    stapes__whisper_transcript_free(&out);
    stapes__tokenizer_close(&s.tokenizer);
}

/* A text that the limit cuts off without a timestamp is followed up from its last word on. */
static void test_tail(void **state) {
    (void)state;
    script s = script_open();
    stapes__whisper_longform params = stapes__whisper_default_longform();
    static const double zero[] = {0};
    params.temperatures = zero;
    params.n_temperatures = 1;
    stapes__whisper_transcript out =
        run_answers(&s, &params, 3000,
                    "[{\"tokens\": [50364, 472, 732], \"truncated\": true, "
                    "\"times\": [[0.1, 5.0, 0.9], [5.0, 12.34, 0.9]]}, "
                    "{\"tokens\": [50364, 1451, 50764]}]");
    assert_int_equal(s.calls, 2);
    assert_int_equal(s.alignments, 1);
    assert_int_equal(out.count, 2);
    assert_int_equal(out.segments[1].seek, 1234);
    assert_near("end", out.segments[0].end, 12.34, 1e-9);
    assert_int_equal(s.encoded_to, 3000);
    stapes__whisper_transcript_free(&out);
    stapes__tokenizer_close(&s.tokenizer);
}

static void check_order(const stapes__whisper_transcript *out, double duration) {
    double at = 0;
    for (size_t i = 0; i < out->count; i++) {
        const stapes__whisper_segment *segment = &out->segments[i];
        assert_true(segment->start >= at && segment->end >= segment->start);
        assert_true(segment->end <= duration);
        double inside = segment->start;
        for (size_t k = 0; k < segment->words.count; k++) {
            const stapes__whisper_word *word = &segment->words.items[k];
            assert_true(word->start >= inside && word->end >= word->start);
            inside = word->end;
        }
        assert_true(inside <= segment->end);
        at = segment->end;
    }
}

static void test_order(void **state) {
    (void)state;
    script s = script_open();
    stapes__whisper_longform params = stapes__whisper_default_longform();
    params.word_times = true;
    stapes__whisper_transcript out = run_answers(
        &s, &params, 3500,
        "[{\"tokens\": [50364, 472, 732, 50564, 50564, 1451, 1732, 2309, 51864], \"times\": "
        "[[2.0, 3.0, 0.9], [2.5, 2.2, 0.9], [2.9, 2.9, 0.9], [1.0, 9.0, 0.9], [8.0, 29.9, 0.9]]}, "
        "{\"tokens\": [50364, 472, 732, 51814], \"times\": [[0.0, 0.5, 0.9], [0.4, 25.0, 0.9]]}]");
    assert_int_equal(out.count, 3);
    check_order(&out, 35.0);
    stapes__whisper_transcript_free(&out);
    stapes__tokenizer_close(&s.tokenizer);
}

static void test_clips(void **state) {
    (void)state;
    script s = script_open();
    stapes__whisper_longform params = stapes__whisper_default_longform();
    const double beyond[] = {10, 9999}, late[] = {500}, wrong[] = {20, 10}, negative[] = {-1, 3};
    const double backwards[] = {20, 30, 0, 10};
    params.clips = beyond;
    params.n_clips = 2;
    const char *answers = "[{\"tokens\": [50364, 472, 732, 50564]}]";
    stapes__whisper_transcript out = run_answers(&s, &params, 3000, answers);
    assert_int_equal(out.count, 1); /* the end of the audio ends the clip */
    assert_int_equal(s.encoded_to, 3000);
    stapes__whisper_transcript_free(&out);
    params.clips = late;
    params.n_clips = 1;
    out = run_answers(&s, &params, 3000, answers);
    assert_int_equal(out.count, 0);
    stapes__whisper_transcript_free(&out);
    params.clips = backwards;
    params.n_clips = 4;
    out = run_answers(&s, &params, 3000, answers);
    assert_int_equal(out.count, 2);
    assert_near("end", out.segments[1].end, 4, 1e-9);
    stapes__whisper_transcript_free(&out);
    stapes_error err;
    params.n_clips = 2;
    params.clips = wrong;
    assert_int_equal(run_script(&s, &params, 3000, &out, &err), STAPES_E_ARGUMENT);
    params.clips = negative;
    assert_int_equal(run_script(&s, &params, 3000, &out, &err), STAPES_E_ARGUMENT);
    stapes__tokenizer_close(&s.tokenizer);
}

static bool stop_at_second(void *user, const stapes__whisper_transcript *so_far, int64_t seek,
                           int64_t content) {
    size_t *calls = user;
    assert_true(so_far->count > 0 && seek <= content);
    return ++*calls < 2;
}

static void test_stop(void **state) {
    (void)state;
    script s = script_open();
    stapes__whisper_longform params = stapes__whisper_default_longform();
    size_t calls = 0;
    params.progress = stop_at_second;
    params.progress_user = &calls;
    stapes__whisper_transcript out;
    stapes_error err;
    s.answers = json_pack("[{s:[i,i,i]}]", "tokens", 50364, 472, 51764);
    assert_int_equal(run_script(&s, &params, 20000, &out, &err), STAPES_E_ABORTED);
    assert_int_equal(out.count, 2); /* what was finished stays */
    stapes__whisper_transcript_free(&out);
    json_decref(s.answers);
    params.n_temperatures = 0;
    assert_int_equal(run_script(&s, &params, 20000, &out, &err), STAPES_E_ARGUMENT);
    stapes__tokenizer_close(&s.tokenizer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),       cmocka_unit_test(test_word_cases),
        cmocka_unit_test(test_short_audio), cmocka_unit_test(test_silence),
        cmocka_unit_test(test_repetition),  cmocka_unit_test(test_tail),
        cmocka_unit_test(test_order),       cmocka_unit_test(test_clips),
        cmocka_unit_test(test_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
