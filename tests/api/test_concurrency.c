/* Several threads on one model: the results are those of one thread alone. Also run under the
 * thread sanitizer, so the recordings are short. */
#include "speech.h"

#include <pthread.h>
#include <stdlib.h>

typedef struct worker {
    speech *f;
    pthread_t thread;
    stapes_result *result;
    size_t count;
} worker;

static void *work(void *arg) {
    worker *w = arg;
    stapes_error err;
    stapes_session *s = NULL;
    if (stapes_session_open(&s, w->f->model, NULL, &err) == STAPES_OK)
        stapes_transcribe(s, w->f->samples, w->count, 16000, &w->result, &err);
    stapes_session_close(&s);
    return NULL;
}

static void test_threads_on_one_model(void **state) {
    enum { N = 4 };
    speech *f = *state, fresh = {0};
    speech_open(&fresh, 2, "auto"); /* position tables grow while others read them */
    fresh.samples = f->samples;
    worker workers[N] = {{0}};
    for (int i = 0; i < N; i++) {
        workers[i].f = &fresh;
        workers[i].count = (size_t)(i + 1) * 16000;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    stapes_session *s = speech_session(f->model, NULL);
    for (int i = 0; i < N; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_non_null(workers[i].result);
        stapes_result *want = speech_transcribe(s, f->samples, workers[i].count, 16000);
        assert_same_result(want, workers[i].result);
        stapes_result_free(want);
        stapes_result_free(workers[i].result);
    }
    stapes_session_close(&s);
    fresh.samples = NULL; /* belong to the other */
    speech_close(&fresh);
}

/* The abort request may come from any thread while another computes. */
static void *abort_soon(void *arg) {
    stapes_session_abort(arg);
    return NULL;
}

static void test_abort_from_another_thread(void **state) {
    speech *f = *state;
    stapes_error err = {0};
    stapes_session *s = speech_session(f->model, NULL);
    assert_ok(stapes_feed(s, f->samples, 3 * 16000, 16000, &err), err);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, abort_soon, s), 0);
    stapes_status status = stapes_finish(s, &err);
    pthread_join(thread, NULL);
    assert_true(status == STAPES_OK || status == STAPES_E_ABORTED);
    stapes_session_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_on_one_model),
        cmocka_unit_test(test_abort_from_another_thread),
    };
    return cmocka_run_group_tests(tests, speech_setup, speech_teardown);
}
