#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"

/* Sessions of one model go through the encoder together: each round takes the next window of
 * every session that has one. A session that fails drops out and the rest go on alone. */
typedef struct round_job {
    stapes_session **sessions;
    stapes__window *windows;
    stapes_status *status;
    size_t *index; /* of the caller's arrays */
    size_t count;
} round_job;

static void gather(round_job *job, stapes_session *const *sessions, const stapes_status *status,
                   size_t n) {
    job->count = 0;
    for (size_t i = 0; i < n; i++) {
        stapes__window w;
        if (status[i] != STAPES_OK || !stapes__windows_next(sessions[i], true, &w))
            continue;
        job->sessions[job->count] = sessions[i];
        job->windows[job->count] = w;
        job->index[job->count++] = i;
    }
}

static void run_rounds(round_job *job, stapes_session *const *sessions, stapes_status *status,
                       size_t n, stapes_error *error) {
    for (gather(job, sessions, status, n); job->count > 0; gather(job, sessions, status, n)) {
        double began = stapes__now();
        stapes__run_windows(job->sessions, job->windows, job->count, job->status, error);
        double share = (stapes__now() - began) / (double)job->count;
        for (size_t i = 0; i < job->count; i++) {
            job->sessions[i]->timing.total += share;
            status[job->index[i]] = job->status[i];
        }
    }
}

static stapes_status start(stapes_session *s, const float *samples, size_t count,
                           stapes_error *error) {
    stapes_session_reset(s);
    s->rate = 16000;
    for (size_t i = 0; i < count; i++)
        if (!(samples[i] - samples[i] == 0))
            return stapes__fail(error, STAPES_E_AUDIO_VALUE,
                                "sample %zu (%.3f s) is not a finite number", i, (double)i / 16000);
    return stapes__session_take(s, samples, count, error);
}

stapes_status stapes_transcribe_batch(stapes_session *const *sessions, size_t n,
                                      const float *const *samples, const size_t *counts,
                                      stapes_result **out, stapes_status *status,
                                      stapes_error *error) {
    if (n == 0)
        return STAPES_OK;
    for (size_t i = 0; i < n; i++) {
        out[i] = NULL;
        if (sessions[i]->model != sessions[0]->model)
            return stapes__fail(error, STAPES_E_ARGUMENT,
                                "the sessions of a batch must belong to one model");
    }
    round_job job = {.sessions = stapes__calloc(n, sizeof *job.sessions),
                     .windows = stapes__calloc(n, sizeof *job.windows),
                     .status = stapes__calloc(n, sizeof *job.status),
                     .index = stapes__calloc(n, sizeof *job.index)};
    stapes_status result = STAPES_OK;
    if (!job.sessions || !job.windows || !job.status || !job.index)
        result = stapes__fail_memory(error, "a batch");
    for (size_t i = 0; i < n && result == STAPES_OK; i++)
        status[i] = start(sessions[i], samples[i], counts[i], error);
    if (result == STAPES_OK)
        run_rounds(&job, sessions, status, n, error);
    bool failed = false;
    for (size_t i = 0; i < n && result == STAPES_OK; i++) {
        if (status[i] == STAPES_OK)
            status[i] = stapes_finish(sessions[i], error);
        if (status[i] == STAPES_OK)
            status[i] = stapes_session_result(sessions[i], &out[i], error);
        failed = failed || status[i] != STAPES_OK;
    }
    free(job.sessions);
    free(job.windows);
    free(job.status);
    free(job.index);
    return result == STAPES_OK && failed ? STAPES_E_PARTIAL : result;
}
