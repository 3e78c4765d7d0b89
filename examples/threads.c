/* One model, several threads: weights are shared and read-only, each thread has its session.
 *   usage: threads RECORDING...                                                              */
#include <pthread.h>
#include <stapes/audio.h>
#include <stapes/stapes.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct task {
    pthread_t thread;
    stapes_model *model;
    const char *path;
    stapes_result *result;
    stapes_error error;
    stapes_status status;
} task;

static stapes_status feed_file(stapes_session *session, const char *path, stapes_error *error) {
    stapes_audio *audio = NULL;
    float samples[4096];
    size_t count = 0;
    stapes_status status = stapes_audio_open(&audio, path, NULL, error);
    if (status != STAPES_OK)
        return status;
    do {
        status = stapes_audio_read(audio, samples, 4096, &count, error);
        if (status == STAPES_OK)
            status = stapes_feed(session, samples, count, 16000, error);
    } while (status == STAPES_OK && count > 0);
    stapes_audio_close(&audio);
    return status == STAPES_OK ? stapes_finish(session, error) : status;
}

static void *run(void *user) {
    task *t = user;
    stapes_session *session = NULL;
    t->status = stapes_session_open(&session, t->model, NULL, &t->error);
    if (t->status == STAPES_OK)
        t->status = feed_file(session, t->path, &t->error);
    if (t->status == STAPES_OK)
        t->status = stapes_session_result(session, &t->result, &t->error);
    stapes_session_close(&session);
    return NULL;
}

int main(int argc, char **argv) {
    stapes_context *context = NULL;
    stapes_model *model = NULL;
    stapes_error error = {0};
    int n = argc - 1, started = 0;
    task *tasks = calloc((size_t)n + 1, sizeof(task));
    stapes_status status = tasks ? stapes_context_open(&context, NULL, &error) : STAPES_E_MEMORY;
    if (status == STAPES_OK)
        status = stapes_model_open(&model, context, NULL, NULL, &error);
    if (status != STAPES_OK)
        fprintf(stderr, "%s. %s\n", error.message, error.hint);
    for (; status == STAPES_OK && started < n; started++) {
        tasks[started].model = model;
        tasks[started].path = argv[started + 1];
        if (pthread_create(&tasks[started].thread, NULL, run, &tasks[started]) != 0)
            break;
    }
    for (int i = 0; i < started; i++) {
        pthread_join(tasks[i].thread, NULL);
        if (tasks[i].status != STAPES_OK)
            status = tasks[i].status;
        printf("%s: %s\n", tasks[i].path,
               tasks[i].result ? tasks[i].result->text : tasks[i].error.message);
        stapes_result_free(tasks[i].result);
    }
    stapes_model_close(&model);
    stapes_context_close(&context);
    free(tasks);
    return started < n && status == STAPES_OK ? 1 : stapes_status_exit_code(status);
}
