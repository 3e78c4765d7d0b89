/* Recognising: one session for each file at a time, audio in blocks, results in input order. */
#include "transcribe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { RATE = 16000, BLOCK = RATE / 2, MAX_CHANNELS = 64 };

typedef struct run run;

/* One thread's means. */
typedef struct worker {
    run *run;
    stapes_session *session;
    pthread_t thread;
    bool started;
    atomic_bool live; /* reads a live standard input: stopping means its end, not an abort */
    float block[BLOCK];
} worker;

struct run {
    const writing *w;
    inputs *list;
    worker *workers;
    int n_workers;
    bool stream;
    cli_progress *progress;
    pthread_mutex_t lock;
    pthread_cond_t finished;
    size_t next; /* under lock: first input that nobody has taken */
};

/* What one channel of one input is read and recognised with. */
typedef struct hearing {
    worker *worker;
    input *in;
    const char *path;
    int channel;
    double length; /* seconds expected, 0 = unknown */
    double read_seconds;
    int64_t fed;
    bool streamed;
} hearing;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void set_abort(stapes_error *err) {
    *err = (stapes_error){.code = STAPES_E_ABORTED};
    snprintf(err->message, sizeof(err->message), "stopped on request");
}

static void set_memory(stapes_error *err) {
    *err = (stapes_error){.code = STAPES_E_MEMORY};
    snprintf(err->message, sizeof(err->message), "not enough memory");
}

static bool must_stop(const hearing *h) {
    const cli *c = h->worker->run->w->c;
    return c->out_broken || c->out_error || (cli_stopping(c) && !atomic_load(&h->worker->live));
}

static void drain_events(hearing *h) {
    run *r = h->worker->run;
    stapes_event event;
    while (stapes_next_event(h->worker->session, &event) == STAPES_OK) {
        if (!r->stream || event.kind != STAPES_EVENT_SEGMENT)
            continue;
        transcribe_stream_segment(r->w, event.segment);
        h->streamed = true;
    }
}

/* Reads to the end and feeds. A failure in the middle leaves what came before it in the session. */
static stapes_status feed_all(hearing *h, stapes_audio *audio, stapes_error *err) {
    worker *w = h->worker;
    for (;;) {
        size_t count = 0;
        if (must_stop(h)) {
            set_abort(err);
            return STAPES_E_ABORTED;
        }
        double began = now();
        stapes_status status = stapes_audio_read(audio, w->block, BLOCK, &count, err);
        h->read_seconds += now() - began;
        if (status != STAPES_OK)
            return status;
        if (count == 0)
            return STAPES_OK;
        status = stapes_feed(w->session, w->block, count, RATE, err);
        if (status != STAPES_OK)
            return status;
        h->fed += (int64_t)count;
        if (w->run->n_workers == 1)
            cli_progress_update(w->run->progress, (double)h->fed / RATE, h->length);
        drain_events(h);
    }
}

static double expected_length(const transcribe_args *args, const stapes_audio_info *info) {
    double length = info->duration > args->offset ? info->duration - args->offset : 0;
    if (args->duration > 0 && (length <= 0 || length > args->duration))
        length = args->duration;
    return length;
}

static stapes_status open_audio(const hearing *h, stapes_audio **audio, stapes_error *err) {
    const transcribe_args *args = h->worker->run->w->args;
    stapes_audio_params params;
    stapes_audio_params_default(&params);
    params.channel = h->channel;
    params.offset = args->offset;
    params.duration = args->duration;
    params.raw_format = args->raw;
    params.raw_rate = args->rate;
    params.raw_channels = args->channels;
    return stapes_audio_open(audio, h->path, &params, err);
}

/* One channel of one input. *out is set whenever there is something to write, also beside a
 * failure: a file that breaks off in the middle, an interruption. */
static stapes_status hear(hearing *h, stapes_result **out, stapes_error *err) {
    stapes_session *session = h->worker->session;
    stapes_audio *audio = NULL;
    stapes_audio_info info;
    stapes_error later;
    double began = now();
    *out = NULL;
    stapes_session_reset(session);
    stapes_status status = open_audio(h, &audio, err);
    if (status != STAPES_OK)
        return status;
    stapes_audio_get_info(audio, &info);
    h->length = expected_length(h->worker->run->w->args, &info);
    cli_detail(h->worker->run->w->c, "%s: %s, %d Hz, %d channel%s, read by %s", h->path,
               info.format, (int)info.rate, (int)info.channels, info.channels == 1 ? "" : "s",
               info.decoder);
    status = feed_all(h, audio, err);
    stapes_audio_close(&audio);
    bool broken = status == STAPES_E_AUDIO || status == STAPES_E_AUDIO_VALUE;
    if (status == STAPES_OK)
        status = stapes_finish(session, err);
    else if (broken && h->fed > 0)
        stapes_finish(session, &later);
    drain_events(h);
    bool worth = status == STAPES_OK || ((broken || status == STAPES_E_ABORTED) && h->fed > 0);
    if (worth && stapes_session_result(session, out, &later) != STAPES_OK && status == STAPES_OK) {
        *err = later;
        status = later.code;
    }
    if (*out) {
        (*out)->timing.read = h->read_seconds;
        (*out)->timing.total = now() - began;
        (*out)->timing.audio = (*out)->duration;
    }
    return status;
}

/* Standard input cannot be read once for each channel: it is kept in a nameless file. */
static stapes_status spool_stdin(char *path, size_t capacity, FILE **spool, stapes_error *err) {
    char bytes[65536];
    size_t got;
    *spool = tmpfile();
    bool ok = *spool != NULL;
    while (ok && (got = fread(bytes, 1, sizeof(bytes), stdin)) > 0)
        ok = fwrite(bytes, 1, got, *spool) == got;
    if (!ok || ferror(stdin) || fflush(*spool) != 0) {
        *err = (stapes_error){.code = STAPES_E_IO};
        snprintf(err->message, sizeof(err->message),
                 "standard input: it could not be kept in a temporary file");
        snprintf(err->hint, sizeof(err->hint), "Check TMPDIR or save it to a file first");
        return err->code;
    }
    snprintf(path, capacity, "/proc/self/fd/%d", fileno(*spool));
    return STAPES_OK;
}

static stapes_status count_channels(hearing *h, int *channels, stapes_error *err) {
    stapes_audio *audio = NULL;
    stapes_audio_info info;
    h->channel = STAPES_CHANNEL_MIX;
    stapes_status status = open_audio(h, &audio, err);
    if (status != STAPES_OK)
        return status;
    stapes_audio_get_info(audio, &info);
    stapes_audio_close(&audio);
    *channels = info.channels < MAX_CHANNELS ? info.channels : MAX_CHANNELS;
    return STAPES_OK;
}

/* Every channel after the other; a failure ends it, what was heard so far is kept. */
static stapes_status hear_split(worker *w, input *in, stapes_result **parts, size_t *n,
                                stapes_error *err) {
    char spooled[64];
    FILE *spool = NULL;
    hearing h = {.worker = w, .in = in, .path = in->path};
    stapes_status status = STAPES_OK;
    int channels = 0;
    if (strcmp(in->path, "-") == 0) {
        status = spool_stdin(spooled, sizeof(spooled), &spool, err);
        h.path = spooled;
    }
    if (status == STAPES_OK)
        status = count_channels(&h, &channels, err);
    for (int channel = 0; channel < channels && status == STAPES_OK; channel++) {
        h = (hearing){.worker = w, .in = in, .path = h.path, .channel = channel};
        status = hear(&h, &parts[*n], err);
        *n += parts[*n] != NULL;
    }
    if (spool)
        fclose(spool);
    return status;
}

static void recognise(worker *w, input *in) {
    const transcribe_args *args = w->run->w->args;
    stapes_result *parts[MAX_CHANNELS] = {NULL};
    size_t n = 0;
    stapes_status status;
    bool split = args->channel_index == CHANNEL_SPLIT, streamed = false;
    bool is_stdin = strcmp(in->path, "-") == 0;
    bool live = is_stdin && cli_guard_stdin(w->run->w->c);
    atomic_store(&w->live, live);
    if (split) {
        status = hear_split(w, in, parts, &n, &in->error);
    } else {
        hearing h = {.worker = w, .in = in, .path = in->path, .channel = args->channel_index};
        status = hear(&h, &parts[0], &in->error);
        n = parts[0] != NULL;
        streamed = h.streamed;
    }
    atomic_store(&w->live, false);
    if (status == STAPES_OK) /* a success may leave the report of what was tried first */
        in->error = (stapes_error){0};
    if (n == 0)
        return;
    in->result = transcribe_merge(parts, n, args->offset, split);
    if (!in->result)
        set_memory(&in->error);
    else
        in->result->streamed = streamed;
}

/* ---- output, in order, by one thread ---- */

static void print_timing(cli *c, const char *name, const stapes_timing *t, double seconds) {
    double total = seconds > 0 ? seconds : 1e-9, audio = t->audio > 0 ? t->audio : 0;
    cli_progress_clear(c->bar);
    fprintf(stderr,
            "stapes: %s: %.2f s of audio in %.2f s, %.1fx real time (RTF %.4f); read %.3f, mel "
            "%.3f, encode %.3f, decode %.3f s\n",
            name, audio, seconds, audio / total, audio > 0 ? total / audio : 0, t->read, t->mel,
            t->encode, t->decode);
}

static void add_totals(totals *sum, const stapes_timing *t) {
    sum->timing.read += t->read;
    sum->timing.mel += t->mel;
    sum->timing.encode += t->encode;
    sum->timing.decode += t->decode;
    sum->timing.total += t->total;
    sum->timing.audio += t->audio;
}

static void emit(run *r, input *in, totals *sum) {
    cli *c = r->w->c;
    const char *name = strcmp(in->path, "-") == 0 ? "standard input" : in->path;
    bool stopped = in->error.code == STAPES_E_ABORTED;
    if (in->result && !(stopped && in->target)) { /* no files of half a recording */
        stapes_error err = {0};
        for (size_t i = 0; i < in->result->view.n_warnings; i++)
            cli_warn(c, "%s: %s", name, in->result->view.warnings[i].message);
        if (transcribe_write(r->w, in, &err) != STAPES_OK && in->error.code == STAPES_OK)
            in->error = err;
        cli_flush(c);
        add_totals(sum, &in->result->view.timing);
        if (r->w->args->timings)
            print_timing(c, name, &in->result->view.timing, in->result->view.timing.total);
    }
    if (in->error.code == STAPES_OK) {
        sum->done++;
    } else if (!stopped) {
        cli_error(c, &in->error, name);
        sum->failed++;
    }
    transcribe_free_transcript(&in->result);
    if (r->n_workers > 1)
        cli_progress_update(r->progress, (double)(sum->done + sum->failed), (double)r->list->count);
}

static void process(worker *w, input *in) {
    run *r = w->run;
    char label[300];
    if (in->error.code != STAPES_OK)
        return;
    if (r->n_workers == 1 && r->list->count > 1) {
        snprintf(label, sizeof(label), "%zu/%zu %s", (size_t)(in - r->list->items) + 1,
                 r->list->count, in->inside);
        cli_progress_restart(r->progress, label);
    }
    if (r->w->args->skip_existing && transcribe_outputs_exist(r->w, in)) {
        cli_note(r->w->c, "%s: skipped, its outputs are there", in->path);
        return;
    }
    recognise(w, in);
}

static bool run_over(const run *r) {
    const cli *c = r->w->c;
    return cli_stopping(c) || c->out_broken || c->out_error;
}

static void *work(void *user) {
    worker *w = user;
    run *r = w->run;
    for (;;) {
        pthread_mutex_lock(&r->lock);
        size_t index = r->next < r->list->count ? r->next++ : r->list->count;
        pthread_mutex_unlock(&r->lock);
        if (index == r->list->count)
            return NULL;
        input *in = &r->list->items[index];
        if (run_over(r) && in->error.code == STAPES_OK)
            set_abort(&in->error);
        process(w, in);
        pthread_mutex_lock(&r->lock);
        in->done = true;
        pthread_cond_broadcast(&r->finished);
        pthread_mutex_unlock(&r->lock);
    }
}

static void run_threads(run *r, totals *sum) {
    int started = 0;
    for (int i = 0; i < r->n_workers; i++) {
        worker *w = &r->workers[i];
        w->started = pthread_create(&w->thread, NULL, work, w) == 0;
        started += w->started;
    }
    if (started == 0) /* no thread to be had: do it here */
        work(&r->workers[0]);
    for (size_t i = 0; i < r->list->count; i++) {
        input *in = &r->list->items[i];
        pthread_mutex_lock(&r->lock);
        while (!in->done)
            pthread_cond_wait(&r->finished, &r->lock);
        pthread_mutex_unlock(&r->lock);
        emit(r, in, sum);
    }
    for (int i = 0; i < r->n_workers; i++) {
        if (r->workers[i].started)
            pthread_join(r->workers[i].thread, NULL);
    }
}

static void run_here(run *r, totals *sum) {
    for (size_t i = 0; i < r->list->count; i++) {
        input *in = &r->list->items[i];
        if (run_over(r) && in->error.code == STAPES_OK)
            set_abort(&in->error);
        process(&r->workers[0], in);
        emit(r, in, sum);
    }
}

/* Called by the waiting thread at the first signal. */
static void stop_workers(void *user) {
    run *r = user;
    for (int i = 0; i < r->n_workers; i++) {
        if (!atomic_load(&r->workers[i].live))
            stapes_session_abort(r->workers[i].session);
    }
}

static stapes_status open_workers(run *r, stapes_model *model, const stapes_session_params *params,
                                  stapes_error *err) {
    r->workers = calloc((size_t)r->n_workers, sizeof(*r->workers));
    if (!r->workers) {
        r->n_workers = 0;
        set_memory(err);
        return err->code;
    }
    for (int i = 0; i < r->n_workers; i++) {
        worker *w = &r->workers[i];
        w->run = r;
        atomic_init(&w->live, false);
        stapes_status status = stapes_session_open(&w->session, model, params, err);
        if (status != STAPES_OK)
            return status;
    }
    return STAPES_OK;
}

stapes_status transcribe_all(const writing *w, stapes_model *model,
                             const stapes_session_params *params, inputs *list, totals *sum,
                             stapes_error *err) {
    size_t jobs = (size_t)w->args->jobs < list->count ? (size_t)w->args->jobs : list->count;
    run r = {.w = w, .list = list, .n_workers = jobs > 1 ? (int)jobs : 1};
    double began = now();
    pthread_mutex_init(&r.lock, NULL);
    pthread_cond_init(&r.finished, NULL);
    stapes_status status = open_workers(&r, model, params, err);
    if (status == STAPES_OK) {
        r.stream = r.n_workers == 1 && transcribe_can_stream(w, list);
        r.progress = cli_progress_open(w->c, r.n_workers > 1 ? CLI_UNIT_ITEMS : CLI_UNIT_AUDIO,
                                       list->items[0].inside);
        cli_on_stop(w->c, stop_workers, &r);
        if (r.n_workers > 1)
            run_threads(&r, sum);
        else
            run_here(&r, sum);
        cli_on_stop(w->c, NULL, NULL);
        cli_progress_close(r.progress);
    }
    sum->wall = now() - began;
    if (status == STAPES_OK && w->args->timings && list->count > 1)
        print_timing(w->c, "all", &sum->timing, sum->wall);
    for (int i = 0; i < r.n_workers; i++)
        stapes_session_close(&r.workers[i].session);
    free(r.workers);
    pthread_cond_destroy(&r.finished);
    pthread_mutex_destroy(&r.lock);
    return status;
}
