#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"

/* ---- one encoder call ---- */

typedef struct batch {
    stapes_session *const *sessions;
    const stapes__window *windows;
    size_t n;
    stapes__span *mel_spans, *spans;
    float *mel, *frames;
    stapes_error *err;
} batch;

static const float *window_samples(const stapes_session *s, const stapes__window *w) {
    return s->samples + (w->start - s->base);
}

static stapes_status extract_features(batch *b, stapes__arena *scratch) {
    const stapes_model *m = b->sessions[0]->model;
    size_t rows = 0, mels = (size_t)m->config.n_mels;
    for (size_t i = 0; i < b->n; i++) {
        b->mel_spans[i].first = rows;
        b->mel_spans[i].count =
            stapes__logmel_frames(m->mel, (size_t)(b->windows[i].end - b->windows[i].start));
        rows += b->mel_spans[i].count;
    }
    b->mel = stapes__arena_floats(scratch, rows * mels);
    if (!b->mel)
        return stapes__fail_memory(b->err, "log-mel features");
    for (size_t i = 0; i < b->n; i++) {
        double began = stapes__now();
        const stapes__window *w = &b->windows[i];
        stapes_status status = stapes__logmel_run(
            m->mel, m->context->pool, window_samples(b->sessions[i], w),
            (size_t)(w->end - w->start), b->mel + b->mel_spans[i].first * mels, b->err);
        b->sessions[i]->timing.mel += stapes__now() - began;
        if (status != STAPES_OK)
            return status;
    }
    return STAPES_OK;
}

/* Between layers: abort requests and progress of whole-buffer transcription. */
static bool tick(void *user, double done) {
    const batch *b = user;
    for (size_t i = 0; i < b->n; i++) {
        stapes_session *s = b->sessions[i];
        if (atomic_load_explicit(&s->abort, memory_order_relaxed))
            return false;
        if (!s->params.progress || s->progress_total <= 0)
            continue;
        const stapes__window *w = &b->windows[i];
        double samples = (double)w->chunk_start + done * (double)(w->chunk_end - w->chunk_start);
        if (!s->params.progress(s->params.progress_user, samples / 16000.0 / s->progress_total,
                                "transcribe"))
            return false;
    }
    return true;
}

static stapes_status encode(batch *b, stapes__arena *scratch) {
    stapes_session *s = b->sessions[0];
    stapes__stages *stages = s->model->stages;
    double began = stapes__now();
    stapes__encode_request request = {.mel = b->mel,
                                      .spans = b->mel_spans,
                                      .n_spans = b->n,
                                      .mask = s->mask,
                                      .tick = tick,
                                      .tick_user = b};
    stapes_status status =
        stages->table->encode(stages, &request, scratch, &b->frames, b->spans, b->err);
    double spent = stapes__now() - began, all = 0;
    for (size_t i = 0; i < b->n; i++)
        all += (double)b->spans[i].count;
    for (size_t i = 0; i < b->n; i++) /* a batch's time is shared out by length */
        b->sessions[i]->timing.encode += all > 0 ? spent * (double)b->spans[i].count / all : 0;
    return status;
}

/* Control pieces are no text; a language tag such as <|en|> or <en-US> is expected. */
static int32_t count_specials(const stapes_session *s) {
    int32_t count = 0;
    for (size_t i = 0; i < s->tokens.count; i++) {
        const char *piece = stapes__tokenizer_piece(s->model->tokenizer, s->tokens.items[i].id);
        bool tag = piece && strlen(piece) <= 7 && piece[0] == '<';
        count += stapes__tokenizer_special(s->model->tokenizer, s->tokens.items[i].id) && !tag;
    }
    return count;
}

/* Decodes the chunk's frames of one session and hands the tokens on. */
static stapes_status decode(batch *b, size_t i, stapes__arena *scratch) {
    stapes_session *s = b->sessions[i];
    const stapes__window *w = &b->windows[i];
    const stapes__stages_info *info = &s->model->stages->info;
    size_t frame = 160 * info->mel_factor, have = b->spans[i].count;
    size_t skip = (size_t)(w->chunk_start - w->start) / frame;
    if (skip > have)
        skip = have;
    size_t count = have - skip;
    if (!w->last && (size_t)(w->chunk_end - w->chunk_start) / frame < count)
        count = (size_t)(w->chunk_end - w->chunk_start) / frame;
    double began = stapes__now();
    s->tokens.count = 0;
    stapes_status status =
        stapes__greedy_run(s->greedy, b->frames + (b->spans[i].first + skip) * info->d_model, count,
                           &s->tokens, scratch, b->err);
    if (status == STAPES_OK && s->tokens.count > 0)
        status = stapes__words_push(s->words, s->tokens.items, s->tokens.count, b->err);
    s->specials += count_specials(s);
    s->timing.decode += stapes__now() - began;
    return status;
}

/* The audio before the next window's left context is not needed any more. */
static void forget_audio(stapes_session *s) {
    int64_t keep = s->next_chunk - s->windows.left;
    if (keep <= s->base)
        return;
    size_t drop = (size_t)(keep - s->base);
    if (drop > s->count)
        drop = s->count;
    s->count -= drop;
    memmove(s->samples, s->samples + drop, s->count * sizeof *s->samples);
    s->base += (int64_t)drop;
}

/* After its frames are decoded a session forgets what it needs no more and tells its events. */
static stapes_status settle(stapes_session *s, const stapes__window *w, stapes_error *err) {
    s->next_chunk = w->chunk_end;
    s->windowed = s->windowed || !w->last || w->start > 0;
    s->n_windows++;
    forget_audio(s);
    return stapes__events_after_window(s, w->last, err);
}

void stapes__run_windows(stapes_session *const *sessions, const stapes__window *windows, size_t n,
                         stapes_status *status, stapes_error *err) {
    stapes__arena *scratch = sessions[0]->scratch;
    stapes__arena_reset(scratch);
    batch b = {.sessions = sessions, .windows = windows, .n = n, .err = err};
    b.mel_spans = stapes__arena_alloc(scratch, n * sizeof *b.mel_spans);
    b.spans = stapes__arena_alloc(scratch, n * sizeof *b.spans);
    stapes_status shared = b.mel_spans && b.spans ? STAPES_OK : stapes__fail_memory(err, "a batch");
    if (shared == STAPES_OK)
        shared = extract_features(&b, scratch);
    if (shared == STAPES_OK)
        shared = encode(&b, scratch);
    for (size_t i = 0; i < n; i++) {
        status[i] = shared;
        if (status[i] == STAPES_OK)
            status[i] = decode(&b, i, scratch);
        if (status[i] == STAPES_OK)
            status[i] = settle(sessions[i], &windows[i], err);
    }
}

stapes_status stapes__session_advance(stapes_session *s, bool at_end, stapes_error *err) {
    stapes__window w;
    while (stapes__windows_next(s, at_end, &w)) {
        if (atomic_load(&s->abort))
            return stapes__fail(err, STAPES_E_ABORTED, "stopped on request");
        stapes_status status;
        stapes__run_windows(&s, &w, 1, &status, err);
        if (status != STAPES_OK)
            return status;
    }
    return STAPES_OK;
}

/* ---- audio in ---- */

stapes_status stapes__session_take(stapes_session *s, const float *samples, size_t count,
                                   stapes_error *err) {
    if (count == 0)
        return STAPES_OK;
    if (s->capacity - s->count < count) {
        size_t capacity = s->count + count + s->count / 2 + 16000;
        float *grown = stapes__realloc(s->samples, capacity, sizeof *grown);
        if (!grown)
            return stapes__fail_memory(err, "audio");
        s->samples = grown;
        s->capacity = capacity;
    }
    memcpy(s->samples + s->count, samples, count * sizeof *samples);
    s->count += count;
    for (size_t i = 0; i < count; i++) {
        float level = fabsf(samples[i]);
        s->peak = level > s->peak ? level : s->peak;
        s->clipped += level >= 1.0f;
    }
    return STAPES_OK;
}

enum { RESAMPLED_BLOCK = 4096 };

stapes_status stapes__session_push(stapes_session *s, const float *samples, size_t count,
                                   int32_t rate, stapes_error *err) {
    if (rate == STAPES__RATE)
        return stapes__session_take(s, samples, count, err);
    stapes_status status = STAPES_OK;
    if (!s->resampler)
        status = stapes__resampler_open(&s->resampler, rate, err);
    float block[RESAMPLED_BLOCK];
    for (size_t made = RESAMPLED_BLOCK;
         status == STAPES_OK && (count > 0 || made == RESAMPLED_BLOCK);) {
        size_t used = 0;
        status = stapes__resampler_process(s->resampler, samples, count, &used, block,
                                           RESAMPLED_BLOCK, &made, err);
        if (status == STAPES_OK)
            status = stapes__session_take(s, block, made, err);
        samples += used;
        count -= used;
    }
    return status;
}

stapes_status stapes__session_drain(stapes_session *s, stapes_error *err) {
    float block[RESAMPLED_BLOCK];
    stapes_status status = STAPES_OK;
    for (size_t made = s->resampler ? 1 : 0; status == STAPES_OK && made > 0;) {
        status = stapes__resampler_flush(s->resampler, block, RESAMPLED_BLOCK, &made, err);
        if (status == STAPES_OK)
            status = stapes__session_take(s, block, made, err);
    }
    return status;
}
