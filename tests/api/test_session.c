/* The public interface with the shipped model on a bundled recording: the text does not depend on
 * feeds, threads, batches or instruction sets; odd audio has defined results. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "speech.h"

/* Small windows, so that a few seconds already take several. */
static stapes_session_params windowed(void) {
    stapes_session_params p;
    stapes_session_params_default(&p);
    p.full_seconds = 2;
    p.window_left = 2;
    p.window_chunk = 1.2;
    p.window_right = 0.8;
    return p;
}

static stapes_result *feed_pieces(stapes_session *s, const float *x, size_t n, size_t piece,
                                  int rate) {
    stapes_error err = {0};
    stapes_result *r;
    stapes_session_reset(s);
    for (size_t at = 0; at < n; at += piece)
        assert_ok(stapes_feed(s, x + at, n - at < piece ? n - at : piece, rate, &err), err);
    assert_ok(stapes_finish(s, &err), err);
    assert_ok(stapes_session_result(s, &r, &err), err);
    return r;
}

static void test_speech_has_text(void **state) {
    speech *f = *state;
    stapes_session *s = speech_session(f->model, NULL);
    stapes_result *r = speech_transcribe(s, f->samples, f->count, 16000);
    print_message("%s\n", r->text);
    assert_true(r->n_words >= 12);
    assert_non_null(strstr(r->text, "every word that you hear"));
    assert_int_equal(r->windows, 1);
    double before = 0;
    for (size_t i = 0; i < r->n_words; i++) {
        const stapes_word *w = &r->words[i];
        assert_true(w->start >= before && w->end >= w->start && w->end <= r->duration + 0.1);
        assert_true(w->confidence >= 0 && w->confidence <= 1);
        before = w->end;
    }
    stapes_result_free(r);
    stapes_session_close(&s);
}

static void test_feed_sizes(void **state) {
    static const size_t pieces[] = {1, 160, 1280, 8000, 112000};
    speech *f = *state;
    stapes_session_params params = windowed();
    for (int mode = 0; mode < 2; mode++) {
        stapes_session *s = speech_session(f->model, mode ? &params : NULL);
        stapes_result *whole = speech_transcribe(s, f->samples, f->count, 16000);
        assert_true(mode ? whole->windows > 2 : whole->windows == 1);
        for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
            stapes_result *r = feed_pieces(s, f->samples, f->count, pieces[i], 16000);
            assert_same_result(whole, r);
            stapes_result_free(r);
        }
        stapes_result_free(whole);
        stapes_session_close(&s);
    }
}

/* Lengths around the places where a window is complete. */
static void test_window_borders(void **state) {
    speech *f = *state;
    stapes_session_params params = windowed();
    stapes_session *s = speech_session(f->model, &params);
    for (int64_t delta = -1; delta <= 1; delta++) {
        for (size_t n = 32000; n <= 51200; n += 19200) {
            size_t count = (size_t)((int64_t)n + delta);
            stapes_result *whole = speech_transcribe(s, f->samples, count, 16000);
            stapes_result *pieces = feed_pieces(s, f->samples, count, 1280, 16000);
            assert_same_result(whole, pieces);
            assert_int_equal(whole->windows, pieces->windows);
            stapes_result_free(whole);
            stapes_result_free(pieces);
        }
    }
    stapes_session_close(&s);
}

static void test_other_rate(void **state) {
    speech *f = *state;
    stapes_session *s = speech_session(f->model, NULL);
    size_t n = f->count * 3; /* crude, but a valid 48 kHz signal */
    float *x = malloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = f->samples[i / 3];
    stapes_result *whole = speech_transcribe(s, x, n, 48000);
    assert_true(whole->n_words >= 8);
    assert_true(fabs(whole->duration - (double)f->count / 16000) < 0.001);
    stapes_result *pieces = feed_pieces(s, x, n, 977, 48000);
    assert_same_result(whole, pieces);
    stapes_result_free(whole);
    stapes_result_free(pieces);
    free(x);
    stapes_session_close(&s);
}

static void test_threads_and_levels(void **state) {
    static const char *const levels[] = {"none", "avx2", "avx512", "neon"};
    speech *f = *state;
    size_t n = 3 * 16000;
    stapes_session *s = speech_session(f->model, NULL);
    stapes_result *want = speech_transcribe(s, f->samples, n, 16000);
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        stapes_context *probe;
        stapes_context_params params;
        stapes_context_params_default(&params);
        params.cpu = levels[i];
        if (stapes_context_open(&probe, &params, NULL) != STAPES_OK)
            continue; /* not on this processor; plain C always is */
        stapes_context_close(&probe);
        stapes_result *got[2];
        for (int threads = 1; threads <= 2; threads++) {
            speech other = {0};
            speech_open(&other, threads, levels[i]);
            stapes_session *t = speech_session(other.model, NULL);
            got[threads - 1] = speech_transcribe(t, f->samples, n, 16000);
            stapes_session_close(&t);
            stapes_model_close(&other.model);
            stapes_context_close(&other.context);
        }
        assert_same_result(got[0], got[1]);            /* threads: bit for bit */
        assert_string_equal(want->text, got[0]->text); /* levels: the same decisions */
        stapes_result_free(got[0]);
        stapes_result_free(got[1]);
    }
    stapes_result_free(want);
    stapes_session_close(&s);
}

static void test_batch(void **state) {
    enum { N = 4 };
    speech *f = *state;
    stapes_error err = {0};
    stapes_session_params params = windowed();
    for (int mode = 0; mode < 2; mode++) {
        stapes_session *sessions[N];
        const float *samples[N] = {f->samples, f->samples + 16000, f->samples, f->samples + 8000};
        size_t counts[N] = {f->count, 3 * 16000, 0, 5 * 16000};
        stapes_result *single[N], *out[N];
        stapes_status status[N];
        for (int i = 0; i < N; i++) {
            sessions[i] = speech_session(f->model, mode ? &params : NULL);
            single[i] = speech_transcribe(sessions[i], samples[i], counts[i], 16000);
        }
        assert_ok(stapes_transcribe_batch(sessions, N, samples, counts, out, status, &err), err);
        for (int i = 0; i < N; i++) {
            assert_int_equal(status[i], STAPES_OK);
            assert_same_result(single[i], out[i]);
            stapes_result_free(single[i]);
            stapes_result_free(out[i]);
            stapes_session_close(&sessions[i]);
        }
    }
}

static void test_batch_with_bad_item(void **state) {
    speech *f = *state;
    stapes_error err = {0};
    float bad[400] = {0};
    bad[399] = NAN;
    stapes_session *sessions[2] = {speech_session(f->model, NULL), speech_session(f->model, NULL)};
    const float *samples[2] = {bad, f->samples};
    size_t counts[2] = {400, 2 * 16000};
    stapes_result *out[2];
    stapes_status status[2];
    assert_int_equal(stapes_transcribe_batch(sessions, 2, samples, counts, out, status, &err),
                     STAPES_E_PARTIAL);
    assert_int_equal(status[0], STAPES_E_AUDIO_VALUE);
    assert_int_equal(status[1], STAPES_OK);
    assert_null(out[0]);
    stapes_result_free(out[1]);
    stapes_session_close(&sessions[0]);
    stapes_session_close(&sessions[1]);
}

static bool has_warning(const stapes_result *r, const char *code) {
    for (size_t i = 0; i < r->n_warnings; i++)
        if (strcmp(r->warnings[i].code, code) == 0)
            return true;
    return false;
}

static void test_odd_audio(void **state) {
    speech *f = *state;
    stapes_session *s = speech_session(f->model, NULL);
    float *x = calloc(2 * 16000, sizeof *x);
    static const size_t lengths[] = {0, 1, 159, 160, 319, 320, 800, 1279, 1281};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        stapes_result *r = speech_transcribe(s, x, lengths[i], 16000);
        assert_string_equal(r->text, "");
        assert_int_equal(r->n_words, 0);
        stapes_result_free(r);
    }
    stapes_result *silent = speech_transcribe(s, x, 2 * 16000, 16000);
    assert_string_equal(silent->text, "");
    assert_true(has_warning(silent, "audio_silent"));
    stapes_result_free(silent);
    for (size_t i = 0; i < 2 * 16000; i++)
        x[i] = f->samples[i] > 0 ? 1.0f : -1.0f;
    stapes_result *clipped = speech_transcribe(s, x, 2 * 16000, 16000);
    assert_true(has_warning(clipped, "audio_clipped"));
    assert_true(clipped->clipped == 2 * 16000);
    stapes_result_free(clipped);
    free(x);
    stapes_session_close(&s);
}

static void test_bad_arguments(void **state) {
    speech *f = *state;
    stapes_error err = {0};
    stapes_result *r;
    stapes_session *s = speech_session(f->model, NULL), *none;
    float x[4] = {0, 0, INFINITY, 0};
    assert_int_equal(stapes_feed(s, x, 4, 16000, &err), STAPES_E_AUDIO_VALUE);
    assert_non_null(strstr(err.message, "sample 2"));
    assert_int_equal(stapes_feed(s, x, 2, 4000, &err), STAPES_E_ARGUMENT);
    assert_int_equal(stapes_transcribe(s, x, 4, 16000, &r, &err), STAPES_E_AUDIO_VALUE);
    stapes_session_reset(s);
    assert_ok(stapes_feed(s, x, 2, 16000, &err), err);
    assert_int_equal(stapes_feed(s, x, 2, 8000, &err), STAPES_E_ARGUMENT);
    assert_ok(stapes_finish(s, &err), err);
    assert_int_equal(stapes_feed(s, x, 2, 16000, &err), STAPES_E_ARGUMENT);
    stapes_session_close(&s);

    stapes_session_params p;
    stapes_session_params_default(&p);
    p.language = "xx";
    assert_int_equal(stapes_session_open(&none, f->model, &p, &err), STAPES_E_ARGUMENT);
    stapes_session_params_default(&p);
    p.decoder = "ctc";
    assert_int_equal(stapes_session_open(&none, f->model, &p, &err), STAPES_E_UNSUPPORTED);
    p.decoder = "beam";
    assert_int_equal(stapes_session_open(&none, f->model, &p, &err), STAPES_E_ARGUMENT);
    stapes_session_params_default(&p);
    p.attention = "band:4";
    assert_int_equal(stapes_session_open(&none, f->model, &p, &err), STAPES_E_ARGUMENT);
    stapes_session_params_default(&p);
    p.confidence = "luck";
    assert_int_equal(stapes_session_open(&none, f->model, &p, &err), STAPES_E_ARGUMENT);
    stapes_model_params mp;
    stapes_model *m;
    stapes_model_params_default(&mp);
    mp.precision = "int3";
    assert_int_equal(
        stapes_model_open(&m, f->context, STAPES_TEST_SOURCE "/models/nano", &mp, &err),
        STAPES_E_UNSUPPORTED);
    assert_null(m);
    assert_int_equal(stapes_model_open(&m, f->context, "/no/such/model", NULL, &err),
                     STAPES_E_MODEL_MISSING);
}

static void test_events(void **state) {
    speech *f = *state;
    stapes_error err = {0};
    stapes_session_params params = windowed();
    stapes_session *s = speech_session(f->model, &params);
    stapes_event e;
    assert_int_equal(stapes_next_event(s, &e), STAPES_AGAIN);
    int64_t id = -1;
    size_t segments = 0, partials = 0, finals = 0;
    stapes_event_kind last = STAPES_EVENT_PARTIAL;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t at = 0; at <= f->count; at += 8000) {
            size_t n = f->count - at < 8000 ? f->count - at : 8000;
            assert_ok(stapes_feed(s, f->samples + at, n, 16000, &err), err);
            if (n < 8000)
                assert_ok(stapes_finish(s, &err), err);
            while (stapes_next_event(s, &e) == STAPES_OK) {
                assert_true(e.id > id);
                id = e.id;
                last = e.kind;
                segments += e.kind == STAPES_EVENT_SEGMENT;
                partials += e.kind == STAPES_EVENT_PARTIAL;
                finals += e.kind == STAPES_EVENT_FINAL;
                if (e.kind == STAPES_EVENT_SEGMENT)
                    assert_string_equal(e.text, e.segment->text);
            }
        }
        assert_int_equal(last, STAPES_EVENT_FINAL);
        stapes_session_reset(s);
    }
    assert_true(segments >= 2 && partials >= 2);
    assert_int_equal(finals, 2);
    stapes_session_close(&s);
}

static bool stop_at_once(void *user, double done, const char *stage) {
    (void)stage;
    *(double *)user = done;
    return false;
}

static void test_abort(void **state) {
    speech *f = *state;
    stapes_error err = {0};
    stapes_result *r;
    double done = -1;
    stapes_session_params p;
    stapes_session_params_default(&p);
    p.progress = stop_at_once;
    p.progress_user = &done;
    stapes_session *s = speech_session(f->model, &p);
    assert_int_equal(stapes_transcribe(s, f->samples, f->count, 16000, &r, &err), STAPES_E_ABORTED);
    assert_true(done > 0 && done <= 1);
    stapes_session_close(&s);
    s = speech_session(f->model, NULL);
    assert_ok(stapes_feed(s, f->samples, f->count, 16000, &err), err);
    stapes_session_abort(s);
    assert_int_equal(stapes_finish(s, &err), STAPES_E_ABORTED);
    stapes_result *again =
        speech_transcribe(s, f->samples, f->count, 16000); /* usable afterwards */
    assert_true(again->n_words > 0);
    stapes_result_free(again);
    stapes_session_close(&s);
}

static void test_language_restricts(void **state) {
    speech *f = *state;
    stapes_session_params p;
    stapes_session_params_default(&p);
    p.language = "ru"; /* no Latin letter may come out */
    stapes_session *s = speech_session(f->model, &p);
    stapes_result *r = speech_transcribe(s, f->samples, 3 * 16000, 16000);
    for (const char *c = r->text; *c; c++)
        assert_false((*c | 0x20) >= 'a' && (*c | 0x20) <= 'z');
    assert_string_equal(r->language, "ru");
    stapes_result_free(r);
    stapes_session_close(&s);
    p.language = "en";
    s = speech_session(f->model, &p);
    stapes_session *plain = speech_session(f->model, NULL);
    stapes_result *a = speech_transcribe(s, f->samples, 3 * 16000, 16000);
    stapes_result *b = speech_transcribe(plain, f->samples, 3 * 16000, 16000);
    assert_string_equal(a->text, b->text);
    stapes_result_free(a);
    stapes_result_free(b);
    stapes_session_close(&s);
    stapes_session_close(&plain);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_speech_has_text),
        cmocka_unit_test(test_feed_sizes),
        cmocka_unit_test(test_window_borders),
        cmocka_unit_test(test_other_rate),
        cmocka_unit_test(test_threads_and_levels),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_batch_with_bad_item),
        cmocka_unit_test(test_odd_audio),
        cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_language_restricts),
    };
    return cmocka_run_group_tests(tests, speech_setup, speech_teardown);
}
