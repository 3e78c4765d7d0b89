/* The shortest way: one file in, its text out.    usage: file RECORDING [MODEL] */
#include <stapes/audio.h>
#include <stapes/stapes.h>
#include <stdio.h>

static int fail(const stapes_error *error) {
    fprintf(stderr, "%s. %s\n", error->message, error->hint);
    return stapes_status_exit_code(error->code);
}

/* Reads the recording piece by piece, so that its length does not matter. */
static stapes_status feed_file(stapes_session *session, const char *path, stapes_error *error) {
    stapes_audio *audio = NULL;
    float samples[16000];
    size_t count = 0;
    stapes_status status = stapes_audio_open(&audio, path, NULL, error);
    if (status != STAPES_OK)
        return status;
    do {
        status = stapes_audio_read(audio, samples, 16000, &count, error);
        if (status == STAPES_OK)
            status = stapes_feed(session, samples, count, 16000, error);
    } while (status == STAPES_OK && count > 0);
    stapes_audio_close(&audio);
    return status == STAPES_OK ? stapes_finish(session, error) : status;
}

int main(int argc, char **argv) {
    stapes_context *context = NULL;
    stapes_model *model = NULL;
    stapes_session *session = NULL;
    stapes_result *result = NULL;
    stapes_error error = {0};
    if (argc < 2) {
        fprintf(stderr, "usage: file RECORDING [MODEL]\n");
        return 2;
    }
    stapes_status status = stapes_context_open(&context, NULL, &error);
    if (status == STAPES_OK)
        status = stapes_model_open(&model, context, argc > 2 ? argv[2] : NULL, NULL, &error);
    if (status == STAPES_OK)
        status = stapes_session_open(&session, model, NULL, &error);
    if (status == STAPES_OK)
        status = feed_file(session, argv[1], &error);
    if (status == STAPES_OK)
        status = stapes_session_result(session, &result, &error);
    if (status == STAPES_OK) {
        printf("%s\n", result->text);
        for (size_t i = 0; i < result->n_words; i++)
            fprintf(stderr, "%8.2f %8.2f  %s\n", result->words[i].start, result->words[i].end,
                    result->words[i].text);
    }
    stapes_result_free(result);
    stapes_session_close(&session);
    stapes_model_close(&model);
    stapes_context_close(&context);
    return status == STAPES_OK ? 0 : fail(&error);
}
