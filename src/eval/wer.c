/* Outline: words become numbers (equal words, equal numbers), the equal ends of both texts are cut
 * off, and a table of edit distances is filled row by row of the hypothesis. Only two bits of each
 * cell are kept, which is all that the way back asks for: whether the distance rises or falls by
 * one with one more reference word. Ties on the way back: deletion first, then insertion, then the
 * diagonal, as in rapidfuzz. */
#include "eval/wer.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "eval/runes.h"

/* ---- texts as numbers ---- */

typedef struct sequence {
    uint32_t *at;
    size_t length;
} sequence;

typedef struct span {
    const uint32_t *at;
    size_t length;
} span;

/* Open addressing; slots hold index + 1 into `words`. */
typedef struct vocabulary {
    span *words;
    size_t count;
    uint32_t *slots;
    size_t n_slots;
} vocabulary;

static uint64_t hash_of(span word) {
    uint64_t hash = 1469598103934665603u; /* FNV-1a */
    for (size_t i = 0; i < word.length; i++)
        hash = (hash ^ word.at[i]) * 1099511628211u;
    return hash ^ hash >> 29;
}

static uint32_t number_of(vocabulary *v, span word) {
    size_t slot = (size_t)hash_of(word) & (v->n_slots - 1);
    for (; v->slots[slot]; slot = (slot + 1) & (v->n_slots - 1)) {
        span known = v->words[v->slots[slot] - 1];
        if (known.length == word.length &&
            memcmp(known.at, word.at, word.length * sizeof *word.at) == 0)
            return v->slots[slot];
    }
    v->words[v->count++] = word;
    v->slots[slot] = (uint32_t)v->count;
    return (uint32_t)v->count;
}

/* The next word at or after *at; length 0 at the end. */
static span next_word(const stapes__runes *text, size_t *at) {
    while (*at < text->length && stapes__rune_is_space(text->at[*at]))
        ++*at;
    size_t start = *at;
    while (*at < text->length && !stapes__rune_is_space(text->at[*at]))
        ++*at;
    return (span){text->at + start, *at - start};
}

static size_t count_words(const stapes__runes *text) {
    size_t at = 0, count = 0;
    while (next_word(text, &at).length)
        count++;
    return count;
}

static bool number_words(vocabulary *v, const stapes__runes *text, sequence *out) {
    out->at = stapes__calloc(count_words(text) + 1, sizeof *out->at);
    if (!out->at)
        return false;
    size_t at = 0;
    for (span word; (word = next_word(text, &at)).length;)
        out->at[out->length++] = number_of(v, word);
    return true;
}

/* Both texts as word numbers; free both ->at, on failure too. */
static bool words_of(const char *reference, const char *hypothesis, sequence *ref, sequence *hyp) {
    stapes__runes a = {0}, b = {0};
    vocabulary v = {0};
    stapes__runes_from_utf8(&a, reference, strlen(reference));
    stapes__runes_from_utf8(&b, hypothesis, strlen(hypothesis));
    size_t words = count_words(&a) + count_words(&b);
    for (v.n_slots = 16; v.n_slots < 2 * words;)
        v.n_slots *= 2;
    v.words = stapes__calloc(words + 1, sizeof *v.words);
    v.slots = stapes__calloc(v.n_slots, sizeof *v.slots);
    bool done = !a.failed && !b.failed && v.words && v.slots && number_words(&v, &a, ref) &&
                number_words(&v, &b, hyp);
    free(v.words);
    free(v.slots);
    stapes__runes_free(&a);
    stapes__runes_free(&b);
    return done;
}

/* ---- alignment ---- */

/* Length of the equal starts, then of the equal ends of what is left. */
static void common_ends(const sequence *ref, const sequence *hyp, size_t *prefix, size_t *suffix) {
    size_t shorter = ref->length < hyp->length ? ref->length : hyp->length;
    *prefix = *suffix = 0;
    while (*prefix < shorter && ref->at[*prefix] == hyp->at[*prefix])
        ++*prefix;
    while (*suffix < shorter - *prefix &&
           ref->at[ref->length - 1 - *suffix] == hyp->at[hyp->length - 1 - *suffix])
        ++*suffix;
}

/* Two bit tables of (hyp words) x (ref words): with one more reference word, the distance rises
 * (`up`) or falls (`down`) by one. */
typedef struct table {
    uint8_t *up, *down;
    size_t width;
} table;

static bool bit(const uint8_t *bits, size_t at) {
    return bits[at / 8] >> at % 8 & 1;
}

static void fill_table(table *t, span ref, span hyp, uint32_t *row) {
    for (size_t i = 0; i <= ref.length; i++)
        row[i] = (uint32_t)i;
    for (size_t j = 0; j < hyp.length; j++) {
        uint32_t diagonal = row[0];
        row[0] = (uint32_t)j + 1;
        for (size_t i = 0; i < ref.length; i++) {
            uint32_t best = diagonal + (ref.at[i] != hyp.at[j]);
            diagonal = row[i + 1];
            if (row[i] + 1 < best)
                best = row[i] + 1;
            if (diagonal + 1 < best)
                best = diagonal + 1;
            row[i + 1] = best;
            size_t cell = j * t->width + i;
            if (best > row[i])
                t->up[cell / 8] |= (uint8_t)(1u << cell % 8);
            else if (best < row[i])
                t->down[cell / 8] |= (uint8_t)(1u << cell % 8);
        }
    }
}

/* Edits from the last word to the first, one byte each, into `edits`; returns how many. */
static size_t walk_back(const table *t, span ref, span hyp, uint8_t *edits) {
    size_t i = ref.length, j = hyp.length, n = 0;
    while (i && j) {
        if (bit(t->up, (j - 1) * t->width + i - 1)) {
            edits[n++] = STAPES__EDIT_DELETE;
            i--;
            continue;
        }
        j--;
        if (j && bit(t->down, (j - 1) * t->width + i - 1)) {
            edits[n++] = STAPES__EDIT_INSERT;
        } else {
            i--;
            edits[n++] = ref.at[i] == hyp.at[j] ? STAPES__EDIT_EQUAL : STAPES__EDIT_SUBSTITUTE;
        }
    }
    for (; i; i--)
        edits[n++] = STAPES__EDIT_DELETE;
    for (; j; j--)
        edits[n++] = STAPES__EDIT_INSERT;
    return n;
}

/* Appends `count` edits of one type as a run, joined to an equal run before. */
static void add_run(stapes__alignment *out, stapes__edit_type type, size_t count) {
    if (!count)
        return;
    stapes__edit *last = out->n_edits ? &out->edits[out->n_edits - 1] : NULL;
    if (!last || last->type != type) {
        size_t ref = last ? last->ref_end : 0, hyp = last ? last->hyp_end : 0;
        last = &out->edits[out->n_edits++];
        *last = (stapes__edit){type, ref, ref, hyp, hyp};
    }
    last->ref_end += type == STAPES__EDIT_INSERT ? 0 : count;
    last->hyp_end += type == STAPES__EDIT_DELETE ? 0 : count;
    int64_t *const counts[] = {&out->counts.hits, &out->counts.substitutions,
                               &out->counts.deletions, &out->counts.insertions};
    *counts[type] += (int64_t)count;
}

static stapes_status align(const sequence *a, const sequence *b, stapes__alignment *out,
                           stapes_error *err) {
    size_t prefix, suffix;
    common_ends(a, b, &prefix, &suffix);
    span ref = {a->at + prefix, a->length - prefix - suffix};
    span hyp = {b->at + prefix, b->length - prefix - suffix};
    size_t cells;
    if (!stapes__mul_size(ref.length, hyp.length, &cells) || cells >> 32)
        return stapes__fail(err, STAPES_E_UNSUPPORTED,
                            "texts of %zu and %zu words are too long to align", a->length,
                            b->length);
    size_t edges = ref.length + hyp.length;
    table t = {stapes__calloc(cells / 8 + 1, 1), stapes__calloc(cells / 8 + 1, 1), ref.length};
    uint32_t *row = stapes__calloc(ref.length + 1, sizeof *row);
    uint8_t *edits = stapes__calloc(edges + 1, 1);
    out->edits = stapes__calloc(edges + 2, sizeof *out->edits);
    bool memory = t.up && t.down && row && edits && out->edits;
    if (memory) {
        fill_table(&t, ref, hyp, row);
        size_t n = walk_back(&t, ref, hyp, edits);
        add_run(out, STAPES__EDIT_EQUAL, prefix);
        while (n > 0)
            add_run(out, (stapes__edit_type)edits[--n], 1);
        add_run(out, STAPES__EDIT_EQUAL, suffix);
    }
    free(t.up);
    free(t.down);
    free(row);
    free(edits);
    return memory ? STAPES_OK : stapes__fail_memory(err, "word alignment");
}

stapes_status stapes__align_words(const char *reference, const char *hypothesis,
                                  stapes__alignment *out, stapes_error *err) {
    sequence ref = {0}, hyp = {0};
    memset(out, 0, sizeof *out);
    stapes_status status = words_of(reference, hypothesis, &ref, &hyp)
                               ? align(&ref, &hyp, out, err)
                               : stapes__fail_memory(err, "words of a text");
    free(ref.at);
    free(hyp.at);
    return status;
}

void stapes__alignment_free(stapes__alignment *alignment) {
    free(alignment->edits);
    memset(alignment, 0, sizeof *alignment);
}

/* ---- characters ---- */

/* Distance within a band of `limit` around the diagonal; a result above `limit` means "more". Row
 * holds hyp.length + 1 distances. */
static size_t banded_distance(span ref, span hyp, size_t limit, uint32_t *row) {
    const uint32_t beyond = UINT32_MAX / 2;
    for (size_t j = 0; j <= hyp.length; j++)
        row[j] = j <= limit ? (uint32_t)j : beyond;
    for (size_t i = 1; i <= ref.length; i++) {
        size_t first = i > limit ? i - limit : 1;
        size_t last = limit < hyp.length && i < hyp.length - limit ? i + limit : hyp.length;
        uint32_t diagonal = row[first - 1];
        row[first - 1] = first == 1 && i <= limit ? (uint32_t)i : beyond;
        for (size_t j = first; j <= last; j++) {
            uint32_t best = diagonal + (ref.at[i - 1] != hyp.at[j - 1]);
            diagonal = row[j];
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (diagonal + 1 < best)
                best = diagonal + 1;
            row[j] = best;
        }
    }
    return row[hyp.length];
}

static span without_space_ends(const stapes__runes *text) {
    size_t start = 0, end = text->length;
    while (start < end && stapes__rune_is_space(text->at[start]))
        start++;
    while (end > start && stapes__rune_is_space(text->at[end - 1]))
        end--;
    return (span){text->at + start, end - start};
}

stapes_status stapes__align_characters(const char *reference, const char *hypothesis,
                                       int64_t *distance, int64_t *length, stapes_error *err) {
    stapes__runes a = {0}, b = {0};
    stapes__runes_from_utf8(&a, reference, strlen(reference));
    stapes__runes_from_utf8(&b, hypothesis, strlen(hypothesis));
    span ref = without_space_ends(&a), hyp = without_space_ends(&b);
    uint32_t *row = stapes__calloc(hyp.length + 1, sizeof *row);
    bool memory = row && !a.failed && !b.failed;
    if (memory) {
        size_t gap = ref.length > hyp.length ? ref.length - hyp.length : hyp.length - ref.length;
        size_t limit = gap + 32, found;
        while ((found = banded_distance(ref, hyp, limit, row)) > limit)
            limit *= 2; /* a path longer than the band may have left it: look again, wider */
        *distance = (int64_t)found;
        *length = (int64_t)ref.length;
    }
    free(row);
    stapes__runes_free(&a);
    stapes__runes_free(&b);
    return memory ? STAPES_OK : stapes__fail_memory(err, "character alignment");
}

/* ---- rates ---- */

void stapes__word_counts_add(stapes__word_counts *sum, const stapes__word_counts *counts) {
    sum->hits += counts->hits;
    sum->substitutions += counts->substitutions;
    sum->deletions += counts->deletions;
    sum->insertions += counts->insertions;
}

int64_t stapes__word_errors(const stapes__word_counts *counts) {
    return counts->substitutions + counts->deletions + counts->insertions;
}

int64_t stapes__reference_words(const stapes__word_counts *counts) {
    return counts->hits + counts->substitutions + counts->deletions;
}

double stapes__word_error_rate(const stapes__word_counts *counts) {
    int64_t words = stapes__reference_words(counts);
    return (double)stapes__word_errors(counts) / (double)(words ? words : 1);
}

double stapes__match_error_rate(const stapes__word_counts *counts) {
    int64_t errors = stapes__word_errors(counts), all = errors + counts->hits;
    return all ? (double)errors / (double)all : 0;
}

double stapes__word_information_lost(const stapes__word_counts *counts) {
    int64_t ref = stapes__reference_words(counts);
    int64_t hyp = counts->hits + counts->substitutions + counts->insertions;
    if (!ref && !hyp)
        return 0;
    if (!ref || !hyp)
        return 1;
    return 1 - (double)counts->hits / (double)ref * ((double)counts->hits / (double)hyp);
}

/* ---- bootstrap ---- */

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* In [0, n) by the high part of a product; the bias below 2^-32 does not matter here. */
static size_t random_below(uint64_t *state, size_t n) {
    uint64_t high = next_random(state) >> 32;
    return (size_t)(high * n >> 32);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Linear interpolation between the sorted values, as numpy.percentile. */
static double percentile(const double *sorted, size_t n, double fraction) {
    double place = fraction * (double)(n - 1);
    size_t below = (size_t)place;
    size_t above = below + 1 < n ? below + 1 : below;
    return sorted[below] + (place - (double)below) * (sorted[above] - sorted[below]);
}

stapes_status stapes__bootstrap_wer(const stapes__word_counts *utterances, size_t n,
                                    size_t resamples, uint64_t seed, double *low, double *high,
                                    stapes_error *err) {
    *low = *high = 0;
    if (n == 0 || resamples == 0)
        return STAPES_OK;
    if (n >> 32)
        return stapes__fail(err, STAPES_E_ARGUMENT, "%zu utterances are too many to resample", n);
    double *rates = stapes__calloc(resamples, sizeof *rates);
    if (!rates)
        return stapes__fail_memory(err, "bootstrap samples");
    for (size_t r = 0; r < resamples; r++) {
        stapes__word_counts sum = {0};
        for (size_t i = 0; i < n; i++)
            stapes__word_counts_add(&sum, &utterances[random_below(&seed, n)]);
        rates[r] = stapes__word_error_rate(&sum);
    }
    qsort(rates, resamples, sizeof *rates, by_value);
    *low = percentile(rates, resamples, 0.025);
    *high = percentile(rates, resamples, 0.975);
    free(rates);
    return STAPES_OK;
}
