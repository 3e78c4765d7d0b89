#include "decode/whisper/word_times.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median of the non-zero durations, at most 0.7 s; false when all are zero. */
static stapes_status median_duration(const stapes__whisper_words *words, double *median, bool *any,
                                     stapes_error *err) {
    *any = false;
    *median = 0;
    double *durations = stapes__calloc(words->count + 1, sizeof *durations);
    if (!durations)
        return stapes__fail_memory(err, "words");
    size_t n = 0;
    for (size_t i = 0; i < words->count; i++) {
        double duration = words->items[i].end - words->items[i].start;
        if (duration != 0)
            durations[n++] = duration;
    }
    qsort(durations, n, sizeof *durations, by_value);
    *any = n > 0;
    *median = n == 0 ? 0 : n % 2 ? durations[n / 2] : (durations[n / 2 - 1] + durations[n / 2]) / 2;
    if (*median > 0.7)
        *median = 0.7;
    free(durations);
    return STAPES_OK;
}

/* Words beside a sentence mark swallow the pause there. */
static void clip_at_sentences(stapes__whisper_words *words, double longest) {
    static const char marks[] = ".。!！?？";
    for (size_t i = 1; i < words->count; i++) {
        stapes__whisper_word *word = &words->items[i];
        if (!(word->end - word->start > longest))
            continue;
        if (strstr(marks, word->text))
            word->end = word->start + longest;
        else if (strstr(marks, words->items[i - 1].text))
            word->start = word->end - longest;
    }
}

/* Hundredths of a second; halves to even, as the reference's arrays round. */
static double hundredths(double seconds) {
    return rint(seconds * 100) / 100;
}

/* The first words after a pause swallow it too; then the ends of segment and words are matched. */
static void reconcile(stapes__whisper_segment *segment, double median, double last_speech) {
    double longest = median * 2;
    stapes__whisper_word *w = segment->words.items;
    size_t n = segment->words.count;
    if (w[0].end - last_speech > median * 4 &&
        (w[0].end - w[0].start > longest || (n > 1 && w[1].end - w[0].start > longest * 2))) {
        if (n > 1 && w[1].end - w[1].start > longest)
            w[0].end = w[1].start = fmax(w[1].end / 2, w[1].end - longest);
        w[0].start = fmax(0, w[0].end - longest);
    }
    if (segment->start < w[0].end && segment->start - 0.5 > w[0].start)
        w[0].start = fmax(0, fmin(w[0].end - median, segment->start));
    else
        segment->start = w[0].start;
    if (segment->end > w[n - 1].start && segment->end + 0.5 < w[n - 1].end)
        w[n - 1].end = fmax(w[n - 1].start + median, segment->end);
    else
        segment->end = w[n - 1].end;
}

stapes_status stapes__whisper_place_words(stapes__whisper_segment *segments, size_t count,
                                          int32_t eot, stapes__whisper_words *alignment,
                                          double offset, double last_speech, const char *prepend,
                                          const char *append, stapes_error *err) {
    double median = 0;
    bool any = false;
    stapes_status status = median_duration(alignment, &median, &any, err);
    if (status != STAPES_OK)
        return status;
    if (any)
        clip_at_sentences(alignment, median * 2);
    status = stapes__whisper_merge(alignment, prepend, append, err);
    size_t next = 0, base = 0;
    for (size_t s = 0; status == STAPES_OK && s < count; s++) {
        stapes__whisper_segment *segment = &segments[s];
        size_t text = 0, placed = 0;
        for (size_t i = 0; i < segment->n_tokens; i++)
            text += segment->tokens[i] < eot;
        for (; status == STAPES_OK && next < alignment->count && placed < text; next++) {
            const stapes__whisper_word *word = &alignment->items[next];
            placed += word->count;
            if (!word->text[0])
                continue;
            size_t first = word->first > base ? word->first - base : 0;
            status = stapes__whisper_words_add(&segment->words, word->text, strlen(word->text),
                                               first, word->count, err);
            if (status != STAPES_OK)
                break;
            stapes__whisper_word *last = &segment->words.items[segment->words.count - 1];
            last->start = hundredths(offset + word->start);
            last->end = hundredths(offset + word->end);
            last->probability = word->probability;
        }
        base += text;
        if (segment->words.count > 0) {
            reconcile(segment, median, last_speech);
            last_speech = segment->end;
        }
    }
    return status;
}

bool stapes__whisper_last_end(const stapes__whisper_segment *segments, size_t count, double *end) {
    if (count == 0)
        return false;
    *end = segments[count - 1].end;
    for (size_t s = count; s-- > 0;) {
        const stapes__whisper_words *words = &segments[s].words;
        if (words->count > 0) {
            *end = words->items[words->count - 1].end;
            break;
        }
    }
    return true;
}

static double anomaly(const stapes__whisper_word *word) {
    double duration = word->end - word->start, score = 0;
    if (word->probability < 0.15)
        score += 1;
    if (duration < 0.133)
        score += (0.133 - duration) * 15;
    if (duration > 2)
        score += duration - 2;
    return score;
}

bool stapes__whisper_anomalous(const stapes__whisper_segment *segment) {
    static const char punctuation[] = STAPES__WHISPER_PREPEND STAPES__WHISPER_APPEND;
    if (!segment || segment->words.count == 0)
        return false;
    double score = 0;
    size_t n = 0;
    for (size_t i = 0; i < segment->words.count && n < 8; i++) {
        if (strstr(punctuation, segment->words.items[i].text))
            continue;
        score += anomaly(&segment->words.items[i]);
        n++;
    }
    return score >= 3 || score + 0.01 >= (double)n;
}

static double between(double x, double low, double high) {
    return x < low ? low : x > high ? high : x;
}

void stapes__whisper_order_times(stapes__whisper_segment *segments, size_t count, double duration,
                                 double *last_end) {
    for (size_t s = 0; s < count; s++) {
        stapes__whisper_segment *segment = &segments[s];
        if (!segment->text[0])
            continue;
        double top = fmax(duration, *last_end);
        segment->start = between(segment->start, *last_end, top);
        segment->end = between(segment->end, segment->start, top);
        double at = segment->start;
        for (size_t i = 0; i < segment->words.count; i++) {
            stapes__whisper_word *word = &segment->words.items[i];
            word->start = between(word->start, at, segment->end);
            word->end = between(word->end, word->start, segment->end);
            at = word->end;
        }
        *last_end = segment->end;
    }
}
