#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"

static stapes__event_item *add_event(stapes_session *s, stapes_event_kind kind) {
    if (s->event_head > 0 && s->event_head == s->event_count)
        s->event_head = s->event_count = 0;
    if (s->event_count == s->event_capacity) {
        size_t capacity = s->event_capacity ? 2 * s->event_capacity : 32;
        stapes__event_item *items = stapes__realloc(s->events, capacity, sizeof *items);
        if (!items)
            return NULL;
        s->events = items;
        s->event_capacity = capacity;
    }
    stapes__event_item *item = &s->events[s->event_count++];
    *item = (stapes__event_item){.kind = kind};
    return item;
}

/* A partial text that nobody has taken is out of date once more was decoded. */
static void drop_stale_partial(stapes_session *s) {
    size_t kept = s->event_head;
    for (size_t i = s->event_head; i < s->event_count; i++)
        if (s->events[i].kind != STAPES_EVENT_PARTIAL)
            s->events[kept++] = s->events[i];
    s->event_count = kept;
}

stapes_status stapes__events_after_window(stapes_session *s, bool last, stapes_error *err) {
    if (last) {
        stapes__words_set_end(s->words, (double)(s->base + (int64_t)s->count) / 16000.0);
        stapes_status status = stapes__words_finish(s->words, err);
        if (status != STAPES_OK)
            return status;
    }
    drop_stale_partial(s);
    bool stored = true;
    size_t segments = stapes__words_segments(s->words);
    for (; stored && s->segments_told < segments; s->segments_told++) {
        stapes__event_item *item = add_event(s, STAPES_EVENT_SEGMENT);
        stored = item != NULL;
        if (item)
            item->segment = s->segments_told;
    }
    double start = 0, end = 0;
    if (stored && !last && *stapes__words_partial(s->words, &start, &end)) {
        stapes__event_item *item = add_event(s, STAPES_EVENT_PARTIAL);
        stored = item != NULL;
        if (item) {
            item->start = start;
            item->end = end;
        }
    }
    return stored ? STAPES_OK : stapes__fail_memory(err, "events");
}

void stapes__session_warn(stapes_session *s, const char *code, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    stapes__warning_item *items = stapes__realloc(s->warnings, s->n_warnings + 1, sizeof *items);
    char *message = stapes__strdup(text);
    if (items)
        s->warnings = items;
    stapes__event_item *event = items && message ? add_event(s, STAPES_EVENT_WARNING) : NULL;
    if (!event) {
        free(message);
        return;
    }
    event->warning = s->n_warnings;
    s->warnings[s->n_warnings++] = (stapes__warning_item){code, message};
}

/* Called once at the end of a recording: explains what a user would wonder about. */
void stapes__session_conclude(stapes_session *s) {
    double seconds = (double)(s->base + (int64_t)s->count) / 16000.0;
    double decibel = s->peak > 0 ? 20 * log10((double)s->peak) : -120;
    double start, end;
    bool empty = stapes__words_segments(s->words) == 0 &&
                 *stapes__words_partial(s->words, &start, &end) == 0;
    if (s->clipped > 0 && (double)s->clipped > 1e-4 * seconds * 16000)
        stapes__session_warn(s, "audio_clipped", "%lld samples are at or over full scale",
                             (long long)s->clipped);
    if (s->peak > 2)
        stapes__session_warn(s, "audio_too_loud",
                             "the peak is %.1f times full scale; is the format right?",
                             (double)s->peak);
    int32_t forced = stapes__greedy_forced(s->greedy);
    if (forced > 0)
        stapes__session_warn(s, "forced_advance",
                             "the decoder was moved on %d time%s after too many labels on one "
                             "frame",
                             forced, forced == 1 ? "" : "s");
    if (s->specials > 0)
        stapes__session_warn(s, "special_tokens",
                             "%d control token%s left out of the text; the token list has them",
                             s->specials, s->specials == 1 ? " was" : "s were");
    if (!empty)
        return;
    if (seconds < 0.02)
        stapes__session_warn(s, "no_audio", "no text: the audio is %.0f ms long", 1000 * seconds);
    else if (decibel < -60)
        stapes__session_warn(s, "audio_silent", "no text: the audio's peak is %.0f dBFS", decibel);
    else
        stapes__session_warn(s, "no_speech", "no text: no speech was recognised (peak %.0f dBFS)",
                             decibel);
}

void stapes__events_clear(stapes_session *s) {
    for (size_t i = 0; i < s->n_warnings; i++)
        free(s->warnings[i].message);
    s->n_warnings = 0;
    s->event_head = s->event_count = 0;
    s->segments_told = 0;
    free(s->event_text);
    s->event_text = NULL;
}

static const char *keep_text(stapes_session *s, char *text) {
    free(s->event_text);
    s->event_text = text;
    return text ? text : "";
}

static void fill_segment(stapes_session *s, const stapes__event_item *item, stapes_event *event) {
    event->segment = stapes__words_segment(s->words, item->segment);
    event->text = event->segment->text;
    event->start = event->segment->start;
    event->end = event->segment->end;
}

static void fill_final(stapes_session *s, stapes_event *event) {
    stapes_result *result = NULL;
    stapes_status status = stapes__words_result(s->words, &result, NULL);
    event->text = keep_text(s, status == STAPES_OK ? stapes__strdup(result->text) : NULL);
    event->end = (double)(s->base + (int64_t)s->count) / 16000.0;
    stapes_result_free(result);
}

stapes_status stapes_next_event(stapes_session *s, stapes_event *event) {
    *event = (stapes_event){.text = "", .code = ""};
    if (s->event_head == s->event_count) {
        if (!s->finished || s->final_told)
            return STAPES_AGAIN;
        s->final_told = true;
        event->kind = STAPES_EVENT_FINAL;
        event->id = s->next_event_id++;
        fill_final(s, event);
        return STAPES_OK;
    }
    const stapes__event_item *item = &s->events[s->event_head++];
    event->kind = item->kind;
    event->id = s->next_event_id++;
    switch (item->kind) {
    case STAPES_EVENT_SEGMENT:
        fill_segment(s, item, event);
        break;
    case STAPES_EVENT_PARTIAL:
        event->text = keep_text(
            s, stapes__strdup(stapes__words_partial(s->words, &event->start, &event->end)));
        break;
    case STAPES_EVENT_WARNING:
        event->text = s->warnings[item->warning].message;
        event->code = s->warnings[item->warning].code;
        break;
    case STAPES_EVENT_FINAL:
        break;
    }
    return STAPES_OK;
}
