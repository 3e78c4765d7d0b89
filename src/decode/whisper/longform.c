#include "decode/whisper/longform.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "decode/whisper/score.h"
#include "decode/whisper/word_times.h"

/* State from the first window to the last. */
typedef struct run {
    const stapes__whisper_windows *windows;
    const stapes__whisper_layout *layout;
    const stapes__tokenizer *tokenizer;
    const stapes__whisper_longform *params;
    int64_t content, seek;
    int32_t *tokens; /* initial prompt and everything decoded */
    size_t n_tokens, tokens_capacity;
    size_t prompt_from; /* earlier tokens are not prompt any more */
    int32_t *carried;   /* initial prompt and recent tokens, when it is carried along */
    double last_speech; /* end of the last word */
    double last_end;    /* for the guard */
    stapes__whisper_transcript *out;
} run;

/* One window on its way to segments. */
typedef struct window {
    int64_t seek, frames;
    double offset, duration, end; /* seconds; end: of 30 s, whatever the content */
    stapes__whisper_result result;
    bool single_ending; /* text and one timestamp at the end: nothing is said after it */
    bool cut;           /* pairs of timestamps cut it into segments */
    size_t first;       /* its segments in the transcript begin here */
} window;

stapes__whisper_longform stapes__whisper_default_longform(void) {
    static const double temperatures[] = {0.0, 0.2, 0.4, 0.6, 0.8, 1.0};
    return (stapes__whisper_longform){.options = stapes__whisper_default_options(),
                                      .temperatures = temperatures,
                                      .n_temperatures = sizeof temperatures / sizeof *temperatures,
                                      .compression_ratio_threshold = 2.4,
                                      .logprob_threshold = -1.0,
                                      .no_speech_threshold = 0.6,
                                      .condition_on_previous_text = true,
                                      .hallucination_silence = NAN,
                                      .guards = true};
}

static void segment_clear(stapes__whisper_segment *segment) {
    free(segment->text);
    free(segment->tokens);
    stapes__whisper_words_free(&segment->words);
    *segment = (stapes__whisper_segment){0};
}

void stapes__whisper_transcript_free(stapes__whisper_transcript *transcript) {
    for (size_t i = 0; i < transcript->count; i++)
        segment_clear(&transcript->segments[i]);
    free(transcript->segments);
    free(transcript->tokens);
    *transcript = (stapes__whisper_transcript){0};
}

stapes_status stapes__whisper_encode_prompt(const stapes__tokenizer *tokenizer, const char *text,
                                            int32_t **ids, size_t *count, stapes_error *err) {
    size_t length = strlen(text);
    const char *stripped = stapes__whisper_strip(text, &length);
    stapes__buf spaced = {0};
    stapes__buf_puts(&spaced, " ");
    stapes__buf_append(&spaced, stripped, length);
    *ids = NULL;
    *count = 0;
    stapes_status status = spaced.failed
                               ? stapes__fail_memory(err, "prompt")
                               : stapes__tokenizer_encode(tokenizer, spaced.data, ids, count, err);
    stapes__buf_free(&spaced);
    return status;
}

stapes_status stapes__whisper_text(const stapes__whisper_layout *layout,
                                   const stapes__tokenizer *tokenizer, const int32_t *tokens,
                                   size_t count, stapes__buf *out, stapes_error *err) {
    int32_t *text = stapes__calloc(count + 1, sizeof *text);
    if (!text)
        return stapes__fail_memory(err, "decoded text");
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (tokens[i] < layout->eot)
            text[n++] = tokens[i];
    stapes_status status =
        stapes__tokenizer_decode(tokenizer, text, n, STAPES__DECODE_PLAIN, out, err);
    free(text);
    return status;
}

static stapes_status append_tokens(run *r, const int32_t *tokens, size_t count, stapes_error *err) {
    if (count == 0)
        return STAPES_OK;
    if (r->n_tokens + count > r->tokens_capacity) {
        size_t capacity = 2 * (r->n_tokens + count) + 256;
        int32_t *all = stapes__realloc(r->tokens, capacity, sizeof *all);
        if (!all)
            return stapes__fail_memory(err, "tokens");
        r->tokens = all;
        r->tokens_capacity = capacity;
    }
    memcpy(r->tokens + r->n_tokens, tokens, count * sizeof *tokens);
    r->n_tokens += count;
    return STAPES_OK;
}

/* ---- one window: decoding ---- */

/* Tokens that come before the window. A carried prompt stays in front of the most recent ones. */
static void set_prompt(run *r, stapes__whisper_options *options) {
    const stapes__whisper_longform *p = r->params;
    size_t from = r->prompt_from, room = STAPES__WHISPER_PROMPT;
    options->prompt = r->tokens + from;
    options->prompt_count = r->n_tokens - from;
    if (!p->carry_initial_prompt || p->initial_prompt_count == 0)
        return;
    size_t initial = p->initial_prompt_count;
    if (from < initial)
        from = initial;
    room = initial < room ? room - initial : 0;
    size_t recent = r->n_tokens - from < room ? r->n_tokens - from : room;
    memcpy(r->carried, p->initial_prompt, initial * sizeof *r->carried);
    if (recent)
        memcpy(r->carried + initial, r->tokens + r->n_tokens - recent, recent * sizeof *r->carried);
    options->prompt = r->carried;
    options->prompt_count = initial + recent;
}

static bool has_pairs(const stapes__whisper_layout *layout, const stapes__whisper_result *result) {
    for (size_t i = 1; i < result->count; i++)
        if (result->tokens[i - 1] >= layout->timestamp_begin &&
            result->tokens[i] >= layout->timestamp_begin)
            return true;
    return false;
}

/* Comparisons with a threshold that is off (NAN) are false. */
static bool wants_retry(const run *r, const stapes__whisper_result *result) {
    const stapes__whisper_longform *p = r->params;
    bool retry = result->compression_ratio > p->compression_ratio_threshold ||
                 result->avg_logprob < p->logprob_threshold;
    if (p->guards)
        retry |= result->loops || (result->truncated && !has_pairs(r->layout, result));
    if (result->no_speech_prob > p->no_speech_threshold &&
        result->avg_logprob < p->logprob_threshold)
        retry = false; /* silence: no temperature helps */
    return retry;
}

static stapes_status decode_with_fallback(run *r, window *w, stapes_error *err) {
    const stapes__whisper_longform *p = r->params;
    for (size_t i = 0; i < p->n_temperatures; i++) {
        stapes__whisper_options options = p->options;
        options.temperature = p->temperatures[i];
        options.seed = p->options.seed * 0x9e3779b97f4a7c15U + (uint64_t)w->seek * 64 + i;
        if (options.temperature > 0)
            options.beam = 0;
        else
            options.best_of = 0;
        set_prompt(r, &options);
        stapes__whisper_result_free(&w->result);
        stapes_status status = r->windows->decode(r->windows->user, &options, &w->result, err);
        if (status != STAPES_OK)
            return status;
        if (!wants_retry(r, &w->result))
            break;
    }
    return STAPES_OK;
}

static bool is_silence(const run *r, const stapes__whisper_result *result) {
    return result->no_speech_prob > r->params->no_speech_threshold &&
           !(result->avg_logprob > r->params->logprob_threshold);
}

/* ---- one window: segments ---- */

static stapes_status add_segment(run *r, const window *w, double start, double end,
                                 const int32_t *tokens, size_t count, stapes_error *err) {
    stapes__whisper_transcript *out = r->out;
    if (out->count == out->capacity) {
        size_t capacity = 2 * out->capacity + 16;
        stapes__whisper_segment *segments =
            stapes__realloc(out->segments, capacity, sizeof *segments);
        if (!segments)
            return stapes__fail_memory(err, "segments");
        out->segments = segments;
        out->capacity = capacity;
    }
    stapes__buf text = {0};
    stapes_status status = stapes__whisper_text(r->layout, r->tokenizer, tokens, count, &text, err);
    stapes__whisper_segment segment = {.seek = w->seek,
                                       .start = start,
                                       .end = end,
                                       .text = text.data ? text.data : stapes__strdup(""),
                                       .tokens = stapes__calloc(count + 1, sizeof *tokens),
                                       .n_tokens = count,
                                       .temperature = w->result.temperature,
                                       .avg_logprob = w->result.avg_logprob,
                                       .compression_ratio = w->result.compression_ratio,
                                       .no_speech_prob = w->result.no_speech_prob};
    if (status == STAPES_OK && (!segment.text || !segment.tokens))
        status = stapes__fail_memory(err, "segments");
    if (status != STAPES_OK) {
        segment_clear(&segment);
        return status;
    }
    if (count)
        memcpy(segment.tokens, tokens, count * sizeof *tokens);
    out->segments[out->count++] = segment;
    return STAPES_OK;
}

static double step_seconds(int32_t steps) {
    return steps * 0.02;
}

/* The slice [from, to) lies between its own first and last timestamps. */
static stapes_status add_slice(run *r, const window *w, size_t from, size_t to, stapes_error *err) {
    const int32_t *tokens = w->result.tokens;
    int32_t begin = r->layout->timestamp_begin;
    return add_segment(r, w, w->offset + step_seconds(tokens[from] - begin),
                       w->offset + step_seconds(tokens[to - 1] - begin), tokens + from, to - from,
                       err);
}

static stapes_status cut_segments(run *r, window *w, stapes_error *err) {
    const int32_t *tokens = w->result.tokens;
    size_t count = w->result.count, last = 0;
    int32_t begin = r->layout->timestamp_begin;
    stapes_status status = STAPES_OK;
    w->single_ending = count >= 2 && tokens[count - 1] >= begin && tokens[count - 2] < begin;
    for (size_t i = 1; status == STAPES_OK && i < count; i++) {
        if (tokens[i - 1] < begin || tokens[i] < begin)
            continue;
        status = add_slice(r, w, last, i, err);
        last = i;
    }
    w->cut = last > 0;
    if (w->cut && w->single_ending && status == STAPES_OK)
        status = add_slice(r, w, last, count, err);
    r->seek = w->seek + w->frames;
    if (w->cut && !w->single_ending) /* the text after the last pair is heard again */
        r->seek = w->seek + (int64_t)(tokens[last - 1] - begin) * STAPES__WHISPER_STRIDE;
    if (w->cut || status != STAPES_OK)
        return status;
    double duration = w->duration;
    for (size_t i = count; i-- > 0;) {
        if (tokens[i] < begin)
            continue;
        if (tokens[i] != begin)
            duration = step_seconds(tokens[i] - begin);
        break;
    }
    return add_segment(r, w, w->offset, w->offset + duration, tokens, count, err);
}

/* ---- one window: words ---- */

static int64_t to_frames(double seconds) {
    return (int64_t)llrint(seconds * STAPES__WHISPER_FRAMES_PER_SECOND);
}

/* Aligns the text of the window's segments. */
static stapes_status align_window(run *r, const window *w, stapes__whisper_words *words,
                                  stapes_error *err) {
    int32_t *text = stapes__calloc(w->result.count + 1, sizeof *text);
    if (!text)
        return stapes__fail_memory(err, "words");
    size_t n = 0;
    for (size_t s = w->first; s < r->out->count; s++)
        for (size_t i = 0; i < r->out->segments[s].n_tokens; i++)
            if (r->out->segments[s].tokens[i] < r->layout->eot)
                text[n++] = r->out->segments[s].tokens[i];
    stapes_status status = STAPES_OK;
    if (n > 0)
        status = r->windows->align(r->windows->user, text, n, (size_t)w->frames, words, err);
    free(text);
    return status;
}

static stapes_status add_words(run *r, window *w, stapes_error *err) {
    const stapes__whisper_longform *p = r->params;
    stapes__whisper_segment *segments = r->out->segments + w->first;
    size_t count = r->out->count - w->first;
    stapes__whisper_words words = {0};
    stapes_status status = align_window(r, w, &words, err);
    if (status == STAPES_OK)
        status = stapes__whisper_place_words(segments, count, r->layout->eot, &words, w->offset,
                                             r->last_speech,
                                             p->prepend ? p->prepend : STAPES__WHISPER_PREPEND,
                                             p->append ? p->append : STAPES__WHISPER_APPEND, err);
    stapes__whisper_words_free(&words);
    double end;
    if (status == STAPES_OK && !w->single_ending &&
        stapes__whisper_last_end(segments, count, &end) && end > w->offset)
        r->seek = to_frames(end);
    return status;
}

/* Without word times, a text that the limit cut off is followed up where its last word ends. */
static stapes_status follow_up(run *r, const window *w, stapes_error *err) {
    stapes__whisper_words words = {0};
    stapes_status status = align_window(r, w, &words, err);
    if (status == STAPES_OK && words.count > 0) {
        double end = words.items[words.count - 1].end;
        int64_t frames = to_frames(end);
        if (frames > 0 && frames < w->frames) {
            r->seek = w->seek + frames;
            r->out->segments[w->first].end = w->offset + end;
        }
    }
    stapes__whisper_words_free(&words);
    return status;
}

static const stapes__whisper_segment *next_with_words(const stapes__whisper_segment *segments,
                                                      size_t from, size_t count) {
    for (size_t i = from; i < count; i++)
        if (segments[i].words.count > 0)
            return &segments[i];
    return NULL;
}

static void drop_segments(run *r, size_t from) {
    while (r->out->count > from)
        segment_clear(&r->out->segments[--r->out->count]);
}

/* Segment `s` of the window looks invented and stands in silence, or among others like it. */
static bool invented(const run *r, const window *w, size_t s, double last_end) {
    const stapes__whisper_segment *segments = r->out->segments;
    const stapes__whisper_segment *segment = &segments[s];
    double gap = r->params->hallucination_silence;
    if (!stapes__whisper_anomalous(segment))
        return false;
    const stapes__whisper_segment *next = next_with_words(segments, s + 1, r->out->count);
    double next_start = next ? next->words.items[0].start : w->offset + w->duration;
    bool before =
        segment->start - last_end > gap || segment->start < gap || segment->start - w->offset < 2.0;
    bool after = next_start - segment->end > gap || stapes__whisper_anomalous(next) ||
                 w->end - segment->end < 2.0;
    return before && after;
}

/* Skips silence around what looks invented. True when the window gives nothing at all and is to be
 * decoded again from r->seek. */
static bool skip_invented(run *r, const window *w) {
    double gap = r->params->hallucination_silence, end;
    const stapes__whisper_segment *segments = r->out->segments;
    if (!w->single_ending &&
        stapes__whisper_last_end(segments + w->first, r->out->count - w->first, &end) &&
        end > w->offset)
        r->seek = w->end - end > gap ? to_frames(end) : w->seek + w->frames;
    const stapes__whisper_segment *first = next_with_words(segments, w->first, r->out->count);
    if (stapes__whisper_anomalous(first) && first->start - w->offset > gap) {
        r->seek = w->seek + to_frames(first->start - w->offset);
        return true;
    }
    double last_end = r->last_speech;
    for (size_t s = w->first; s < r->out->count; s++) {
        if (segments[s].words.count == 0)
            continue;
        if (invented(r, w, s, last_end)) {
            r->seek = to_frames(fmax(w->offset + 1, segments[s].start));
            double content = (double)r->content / STAPES__WHISPER_FRAMES_PER_SECOND;
            if (content - segments[s].end < gap)
                r->seek = r->content;
            drop_segments(r, s);
            break;
        }
        last_end = segments[s].end;
    }
    return false;
}

/* ---- one window: keeping it ---- */

static bool is_blank(const stapes__whisper_segment *segment) {
    size_t length = strlen(segment->text);
    stapes__whisper_strip(segment->text, &length);
    return segment->start == segment->end || length == 0;
}

static stapes_status keep_window(run *r, const window *w, stapes_error *err) {
    stapes_status status = STAPES_OK;
    for (size_t s = w->first; status == STAPES_OK && s < r->out->count; s++) {
        stapes__whisper_segment *segment = &r->out->segments[s];
        if (is_blank(segment)) {
            segment->text[0] = 0;
            segment->n_tokens = 0;
            stapes__whisper_words_free(&segment->words);
        }
        status = append_tokens(r, segment->tokens, segment->n_tokens, err);
    }
    if (!r->params->condition_on_previous_text || w->result.temperature > 0.5)
        r->prompt_from = r->n_tokens;
    if (r->params->guards)
        stapes__whisper_order_times(r->out->segments + w->first, r->out->count - w->first,
                                    (double)r->content / STAPES__WHISPER_FRAMES_PER_SECOND,
                                    &r->last_end);
    return status;
}

static stapes_status finish_window(run *r, window *w, stapes_error *err) {
    const stapes__whisper_longform *p = r->params;
    stapes_status status = cut_segments(r, w, err);
    if (status == STAPES_OK && p->word_times)
        status = add_words(r, w, err);
    else if (status == STAPES_OK && p->guards && w->result.truncated && !w->result.loops && !w->cut)
        status = follow_up(r, w, err);
    if (status != STAPES_OK)
        return status;
    if (p->word_times) {
        if (p->hallucination_silence >= 0 && skip_invented(r, w)) {
            drop_segments(r, w->first);
            return STAPES_OK;
        }
        double end;
        if (stapes__whisper_last_end(r->out->segments + w->first, r->out->count - w->first, &end))
            r->last_speech = end;
    }
    return keep_window(r, w, err);
}

static stapes_status listen(run *r, window *w, stapes_error *err) {
    stapes_status status = r->windows->encode(r->windows->user, w->seek, (size_t)w->frames, err);
    if (status == STAPES_OK)
        status = decode_with_fallback(r, w, err);
    if (status != STAPES_OK)
        return status;
    if (!is_silence(r, &w->result))
        return finish_window(r, w, err);
    r->seek = w->seek + w->frames;
    return STAPES_OK;
}

static stapes_status run_window(run *r, int64_t clip_end, stapes_error *err) {
    const double per_second = STAPES__WHISPER_FRAMES_PER_SECOND;
    int64_t frames = r->content < clip_end ? r->content - r->seek : clip_end - r->seek;
    if (frames > STAPES__WHISPER_WINDOW)
        frames = STAPES__WHISPER_WINDOW;
    window w = {.seek = r->seek,
                .frames = frames,
                .offset = (double)r->seek / per_second,
                .duration = (double)frames / per_second,
                .end = (double)(r->seek + STAPES__WHISPER_WINDOW) / per_second,
                .first = r->out->count};
    stapes_status status = STAPES_OK;
    if (r->params->guards && r->windows->silent &&
        r->windows->silent(r->windows->user, w.seek, (size_t)frames))
        r->seek = w.seek + frames;
    else
        status = listen(r, &w, err);
    stapes__whisper_result_free(&w.result);
    if (status != STAPES_OK) {
        drop_segments(r, w.first);
        return status;
    }
    if (r->seek <= w.seek) /* a window that would repeat for ever */
        r->seek = w.seek + frames;
    int64_t done = r->seek < r->content ? r->seek : r->content;
    if (r->params->progress &&
        !r->params->progress(r->params->progress_user, r->out, done, r->content))
        return stapes__fail(err, STAPES_E_ABORTED, "stopped on request");
    return STAPES_OK;
}

/* ---- the recording ---- */

static stapes_status run_clips(run *r, stapes_error *err) {
    const stapes__whisper_longform *p = r->params;
    size_t pairs = p->n_clips ? (p->n_clips + 1) / 2 : 1;
    for (size_t i = 0; i < pairs; i++) {
        double start = p->n_clips ? p->clips[2 * i] : 0;
        bool open = 2 * i + 1 >= p->n_clips;
        double limit = (double)r->content / STAPES__WHISPER_FRAMES_PER_SECOND;
        double end = open || !(p->clips[2 * i + 1] < limit) ? limit : p->clips[2 * i + 1];
        if (!(start >= 0) || (!open && !(p->clips[2 * i + 1] >= start)))
            return stapes__fail(err, STAPES_E_ARGUMENT, "clip %zu: %g s to %g s", i + 1, start,
                                open ? limit : p->clips[2 * i + 1]);
        int64_t stop = to_frames(end);
        r->seek = start < limit ? to_frames(start) : r->content;
        if (i > 0 && start < p->clips[2 * i - 2])
            r->last_end = start; /* clips may be asked for in any order */
        while (r->seek < stop) {
            stapes_status status = run_window(r, stop, err);
            if (status != STAPES_OK)
                return status;
        }
    }
    return STAPES_OK;
}

stapes_status stapes__whisper_transcribe(const stapes__whisper_windows *windows,
                                         const stapes__whisper_layout *layout,
                                         const stapes__tokenizer *tokenizer,
                                         const stapes__whisper_longform *params, int64_t content,
                                         stapes__whisper_transcript *out, stapes_error *err) {
    *out = (stapes__whisper_transcript){0};
    if (params->n_temperatures == 0)
        return stapes__fail(err, STAPES_E_ARGUMENT, "no temperature is given");
    run r = {.windows = windows,
             .layout = layout,
             .tokenizer = tokenizer,
             .params = params,
             .content = content,
             .out = out};
    size_t initial = params->initial_prompt_count;
    r.carried = stapes__calloc(initial + STAPES__WHISPER_PROMPT, sizeof *r.carried);
    stapes_status status = r.carried ? STAPES_OK : stapes__fail_memory(err, "prompt");
    if (status == STAPES_OK)
        status = append_tokens(&r, params->initial_prompt, initial, err);
    if (status == STAPES_OK)
        status = run_clips(&r, err);
    free(r.carried);
    if (r.n_tokens > initial) {
        memmove(r.tokens, r.tokens + initial, (r.n_tokens - initial) * sizeof *r.tokens);
        out->tokens = r.tokens;
        out->n_tokens = r.n_tokens - initial;
    } else {
        free(r.tokens);
    }
    return status;
}
