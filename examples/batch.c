/* Several recordings in one call: they share the encoder's work, and each text is the same as
 * when it is done alone.    usage: batch RECORDING... (16 at most, each of a few minutes) */
#include <stapes/audio.h>
#include <stapes/stapes.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST = 16 };

/* The whole recording as 16 kHz mono; free() the samples. */
static stapes_status read_all(const char *path, float **samples, size_t *count,
                              stapes_error *error) {
    stapes_audio *audio = NULL;
    size_t capacity = 0, got = 1;
    stapes_status status = stapes_audio_open(&audio, path, NULL, error);
    while (status == STAPES_OK && got > 0) {
        if (capacity - *count < 16000) {
            capacity = 2 * capacity + 16000;
            float *grown = realloc(*samples, capacity * sizeof(float));
            if (!grown) {
                status = STAPES_E_MEMORY;
                break;
            }
            *samples = grown;
        }
        status = stapes_audio_read(audio, *samples + *count, capacity - *count, &got, error);
        *count += got;
    }
    stapes_audio_close(&audio);
    return status;
}

int main(int argc, char **argv) {
    stapes_context *context = NULL;
    stapes_model *model = NULL;
    stapes_session *sessions[MOST] = {NULL};
    float *samples[MOST] = {NULL};
    size_t counts[MOST] = {0}, n = argc - 1 < MOST ? (size_t)(argc - 1) : MOST;
    stapes_result *results[MOST] = {NULL};
    stapes_status each[MOST] = {STAPES_OK};
    stapes_error error = {0};
    stapes_status status = stapes_context_open(&context, NULL, &error);
    if (status == STAPES_OK)
        status = stapes_model_open(&model, context, NULL, NULL, &error);
    for (size_t i = 0; i < n && status == STAPES_OK; i++) {
        status = stapes_session_open(&sessions[i], model, NULL, &error);
        if (status == STAPES_OK)
            status = read_all(argv[i + 1], &samples[i], &counts[i], &error);
    }
    if (status == STAPES_OK && n > 0)
        status = stapes_transcribe_batch(sessions, n, (const float *const *)samples, counts,
                                         results, each, &error);
    for (size_t i = 0; i < n; i++) {
        if (results[i])
            printf("%s: %s\n", argv[i + 1], results[i]->text);
        else
            fprintf(stderr, "%s: %s\n", argv[i + 1], stapes_status_name(each[i]));
    }
    if (status != STAPES_OK)
        fprintf(stderr, "%s. %s\n", error.message, error.hint);
    for (size_t i = 0; i < n; i++) {
        stapes_result_free(results[i]);
        stapes_session_close(&sessions[i]);
        free(samples[i]);
    }
    stapes_model_close(&model);
    stapes_context_close(&context);
    return stapes_status_exit_code(status);
}
