/* The shipped model and a bundled recording, for tests that recognise speech. */
#ifndef STAPES_TEST_SPEECH_H
#define STAPES_TEST_SPEECH_H

#include "stapes/stapes.h"
#include "support.h"

typedef struct speech {
    stapes_context *context;
    stapes_model *model;
    float *samples; /* 16 kHz */
    size_t count;
} speech;

/* Opens the model alone; speech_close closes it and frees the samples. */
void speech_open(speech *s, int threads, const char *cpu);
void speech_load_sample(speech *s);
void speech_close(speech *s);
/* cmocka set-up and tear-down: 2 threads, model and recording in *state. */
int speech_setup(void **state);
int speech_teardown(void **state);

/* params may be NULL. */
stapes_session *speech_session(stapes_model *model, const stapes_session_params *params);
stapes_result *speech_transcribe(stapes_session *s, const float *x, size_t n, int rate);
/* Ids, frames, durations, scores and times must be the same to the bit. */
void assert_same_result(const stapes_result *a, const stapes_result *b);

#endif
