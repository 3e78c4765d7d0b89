/* Live text: 16-bit mono PCM from standard input, events as they happen.
 *   arecord -q -f S16_LE -r 16000 -c 1 | stream [RATE]                                       */
#include <stapes/stapes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void print_events(stapes_session *session) {
    stapes_event event;
    while (stapes_next_event(session, &event) == STAPES_OK) {
        switch (event.kind) {
        case STAPES_EVENT_SEGMENT:
            printf("%8.2f %8.2f  %s\n", event.start, event.end, event.text);
            break;
        case STAPES_EVENT_PARTIAL:
            printf("     ...           %s\n", event.text);
            break;
        case STAPES_EVENT_WARNING:
            fprintf(stderr, "warning: %s (%s)\n", event.text, event.code);
            break;
        case STAPES_EVENT_FINAL:
            printf("     end           %s\n", event.text);
            break;
        }
    }
    fflush(stdout);
}

/* Feeds whatever has arrived, a tenth of a second at most, so that nothing waits. */
static stapes_status feed_input(stapes_session *session, int rate, stapes_error *error) {
    short pcm[1600];
    float samples[1600];
    size_t have = 0; /* bytes; a sample may arrive in two pieces */
    ssize_t got;
    stapes_status status = STAPES_OK;
    while (status == STAPES_OK &&
           (got = read(STDIN_FILENO, (char *)pcm + have, sizeof(pcm) - have)) > 0) {
        have += (size_t)got;
        for (size_t i = 0; i < have / 2; i++)
            samples[i] = (float)pcm[i] / 32768.0f;
        status = stapes_feed(session, samples, have / 2, rate, error);
        pcm[0] = pcm[have / 2 < 1600 ? have / 2 : 0];
        have %= 2;
        print_events(session);
    }
    return status == STAPES_OK ? stapes_finish(session, error) : status;
}

int main(int argc, char **argv) {
    stapes_context *context = NULL;
    stapes_model *model = NULL;
    stapes_session *session = NULL;
    stapes_session_params params;
    stapes_error error = {0};
    stapes_session_params_default(&params);
    params.attention = "window"; /* text while the audio is still coming */
    params.window_chunk = 2;
    params.window_right = 2;
    stapes_status status = stapes_context_open(&context, NULL, &error);
    if (status == STAPES_OK)
        status = stapes_model_open(&model, context, NULL, NULL, &error);
    if (status == STAPES_OK)
        status = stapes_session_open(&session, model, &params, &error);
    if (status == STAPES_OK)
        status = feed_input(session, argc > 1 ? atoi(argv[1]) : 16000, &error);
    if (status == STAPES_OK)
        print_events(session);
    else
        fprintf(stderr, "%s. %s\n", error.message, error.hint);
    stapes_session_close(&session);
    stapes_model_close(&model);
    stapes_context_close(&context);
    return stapes_status_exit_code(status);
}
