#include "speech.h"

#include <stdlib.h>
#include <string.h>

#include "stapes/audio.h"

void speech_open(speech *s, int threads, const char *cpu) {
    stapes_error err = {0};
    stapes_context_params params;
    stapes_context_params_default(&params);
    params.threads = threads;
    params.cpu = cpu;
    assert_ok(stapes_context_open(&s->context, &params, &err), err);
    assert_ok(
        stapes_model_open(&s->model, s->context, STAPES_TEST_SOURCE "/models/nano", NULL, &err),
        err);
}

void speech_load_sample(speech *s) {
    stapes_error err = {0};
    stapes_audio *audio;
    assert_ok(stapes_audio_open(&audio, STAPES_TEST_SOURCE "/samples/stapes.flac", NULL, &err),
              err);
    s->samples = malloc(20 * 16000 * sizeof *s->samples);
    assert_non_null(s->samples);
    s->count = 0;
    for (size_t got = 1; got > 0; s->count += got)
        assert_ok(stapes_audio_read(audio, s->samples + s->count, 4096, &got, &err), err);
    stapes_audio_close(&audio);
    assert_in_range(s->count, 6 * 16000, 8 * 16000);
}

void speech_close(speech *s) {
    stapes_model_close(&s->model);
    stapes_context_close(&s->context);
    free(s->samples);
}

int speech_setup(void **state) {
    speech *s = calloc(1, sizeof *s);
    speech_open(s, 2, "auto");
    speech_load_sample(s);
    *state = s;
    return 0;
}

int speech_teardown(void **state) {
    speech_close(*state);
    free(*state);
    return 0;
}

stapes_session *speech_session(stapes_model *model, const stapes_session_params *params) {
    stapes_error err = {0};
    stapes_session *s;
    assert_ok(stapes_session_open(&s, model, params, &err), err);
    return s;
}

stapes_result *speech_transcribe(stapes_session *s, const float *x, size_t n, int rate) {
    stapes_error err = {0};
    stapes_result *r;
    assert_ok(stapes_transcribe(s, x, n, rate, &r, &err), err);
    return r;
}

void assert_same_result(const stapes_result *a, const stapes_result *b) {
    assert_string_equal(a->text, b->text);
    assert_int_equal(a->n_tokens, b->n_tokens);
    for (size_t i = 0; i < a->n_tokens; i++) {
        assert_int_equal(a->tokens[i].id, b->tokens[i].id);
        assert_int_equal(a->tokens[i].frame, b->tokens[i].frame);
        assert_int_equal(a->tokens[i].duration, b->tokens[i].duration);
        assert_memory_equal(&a->tokens[i].logit, &b->tokens[i].logit, sizeof(float));
    }
    assert_int_equal(a->n_words, b->n_words);
    for (size_t i = 0; i < a->n_words; i++)
        assert_true(a->words[i].start == b->words[i].start && a->words[i].end == b->words[i].end);
}
