/* From the results of the channels of a file to the one that is written. */
#include "transcribe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A segment and the channel that it comes from. */
typedef struct place {
    size_t part, index;
    double start;
} place;

static int by_start(const void *a, const void *b) {
    const place *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    if (x->part != y->part)
        return x->part < y->part ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Zeroed memory that lives as long as the transcript; NULL when memory is short. */
static void *block(transcript *t, size_t count, size_t size) {
    void *memory = calloc(count ? count : 1, size);
    if (memory)
        t->blocks[t->n_blocks++] = memory;
    return memory;
}

static void add_timing(stapes_timing *sum, const stapes_timing *part) {
    sum->load = part->load > sum->load ? part->load : sum->load; /* the model's, loaded once */
    sum->read += part->read;
    sum->mel += part->mel;
    sum->encode += part->encode;
    sum->decode += part->decode;
    sum->total += part->total;
    sum->audio += part->audio;
}

static void add_levels(transcript *t) {
    stapes_result *view = &t->view;
    for (size_t i = 1; i < t->n_parts; i++) {
        const stapes_result *part = t->parts[i];
        view->duration = part->duration > view->duration ? part->duration : view->duration;
        view->peak = part->peak > view->peak ? part->peak : view->peak;
        view->clipped += part->clipped;
        view->windows += part->windows;
        view->forced_blanks += part->forced_blanks;
        add_timing(&view->timing, &part->timing);
    }
}

typedef struct counts {
    size_t tokens, words, segments, warnings, text;
} counts;

static counts count_all(const transcript *t) {
    counts n = {0};
    for (size_t i = 0; i < t->n_parts; i++) {
        n.tokens += t->parts[i]->n_tokens;
        n.words += t->parts[i]->n_words;
        n.segments += t->parts[i]->n_segments;
        n.warnings += t->parts[i]->n_warnings;
        n.text += strlen(t->parts[i]->text) + 1;
    }
    return n;
}

static void sort_segments(const transcript *t, place *places) {
    size_t n = 0;
    for (size_t i = 0; i < t->n_parts; i++) {
        for (size_t k = 0; k < t->parts[i]->n_segments; k++)
            places[n++] = (place){i, k, t->parts[i]->segments[k].start};
    }
    qsort(places, n, sizeof(*places), by_start);
}

/* Copies one segment with its words and tokens to the end of the view's arrays. */
static void append_segment(transcript *t, const place *at, double shift, bool split,
                           stapes_segment *segments, stapes_word *words, stapes_token *tokens) {
    const stapes_result *part = t->parts[at->part];
    stapes_result *view = &t->view;
    stapes_segment *segment = &segments[view->n_segments];
    *segment = part->segments[at->index];
    int32_t token_base = (int32_t)view->n_tokens - segment->first_token;
    for (int32_t i = 0; i < segment->n_tokens; i++) {
        stapes_token *token = &tokens[view->n_tokens++];
        *token = part->tokens[segment->first_token + i];
        token->start += shift;
        token->end += shift;
    }
    int32_t first_word = (int32_t)view->n_words;
    for (int32_t i = 0; i < segment->n_words; i++) {
        stapes_word *word = &words[view->n_words++];
        *word = part->words[segment->first_word + i];
        word->start += shift;
        word->end += shift;
        word->raw_start += shift;
        word->raw_end += shift;
        word->segment = (int32_t)view->n_segments;
        word->first_token += token_base;
    }
    segment->id = (int32_t)view->n_segments;
    segment->start += shift;
    segment->end += shift;
    segment->first_token += token_base;
    segment->first_word = first_word;
    if (split)
        segment->channel = (int32_t)at->part;
    view->n_segments++;
}

static bool join_texts(transcript *t, size_t capacity) {
    char *text = block(t, capacity + 1, 1);
    size_t length = 0;
    if (!text)
        return false;
    for (size_t i = 0; i < t->view.n_segments; i++) {
        const char *piece = t->view.segments[i].text;
        size_t n = strlen(piece);
        if (n == 0 || length + n + 1 > capacity)
            continue;
        if (length > 0)
            text[length++] = ' ';
        memcpy(text + length, piece, n);
        length += n;
    }
    t->view.text = text;
    return true;
}

/* "(channel 0) text" for the formats that have no field for the channel. */
static bool label_segments(transcript *t) {
    size_t bytes = 0, n = t->view.n_segments;
    for (size_t i = 0; i < n; i++)
        bytes += strlen(t->view.segments[i].text) + 32;
    t->labelled = block(t, n, sizeof(*t->labelled));
    char *at = block(t, bytes, 1);
    if (!t->labelled || !at)
        return false;
    for (size_t i = 0; i < n; i++) {
        t->labelled[i] = t->view.segments[i];
        t->labelled[i].text = at;
        at += 1 +
              sprintf(at, "(channel %d) %s", (int)t->labelled[i].channel, t->view.segments[i].text);
    }
    return true;
}

static bool join_warnings(transcript *t, size_t count) {
    stapes_warning *warnings = block(t, count, sizeof(*warnings));
    size_t n = 0;
    if (!warnings)
        return false;
    for (size_t i = 0; i < t->n_parts; i++) {
        for (size_t k = 0; k < t->parts[i]->n_warnings; k++)
            warnings[n++] = t->parts[i]->warnings[k];
    }
    t->view.warnings = warnings;
    t->view.n_warnings = n;
    return true;
}

static bool rebuild(transcript *t, double shift, bool split) {
    counts n = count_all(t);
    place *places = calloc(n.segments ? n.segments : 1, sizeof(*places));
    stapes_segment *segments = block(t, n.segments, sizeof(*segments));
    stapes_word *words = block(t, n.words, sizeof(*words));
    stapes_token *tokens = block(t, n.tokens, sizeof(*tokens));
    bool ok = places && segments && words && tokens;
    t->view.n_segments = t->view.n_words = t->view.n_tokens = 0;
    if (ok) {
        sort_segments(t, places);
        for (size_t i = 0; i < n.segments; i++)
            append_segment(t, &places[i], shift, split, segments, words, tokens);
        t->view.segments = segments;
        t->view.words = words;
        t->view.tokens = tokens;
    }
    free(places);
    ok = ok && join_texts(t, n.text) && join_warnings(t, n.warnings);
    if (ok && split)
        ok = label_segments(t);
    add_levels(t);
    return ok;
}

transcript *transcribe_merge(stapes_result **parts, size_t n_parts, double shift, bool split) {
    transcript *t = calloc(1, sizeof(*t));
    bool ok = t != NULL;
    if (ok) {
        t->parts = calloc(n_parts, sizeof(stapes_result *));
        ok = t->parts != NULL;
    }
    if (!ok) {
        for (size_t i = 0; i < n_parts; i++)
            stapes_result_free(parts[i]);
        free(t);
        return NULL;
    }
    memcpy(t->parts, parts, n_parts * sizeof(stapes_result *));
    t->n_parts = n_parts;
    t->view = *parts[0];
    if ((shift > 0 || split) && !rebuild(t, shift, split))
        transcribe_free_transcript(&t);
    return t;
}

void transcribe_free_transcript(transcript **t) {
    if (!*t)
        return;
    for (size_t i = 0; i < (*t)->n_parts; i++)
        stapes_result_free((*t)->parts[i]);
    for (size_t i = 0; i < (*t)->n_blocks; i++)
        free((*t)->blocks[i]);
    free((*t)->parts);
    free(*t);
    *t = NULL;
}
