#include "decode/whisper/filters.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void stapes__whisper_ids_free(stapes__whisper_ids *ids) {
    free(ids->items);
    *ids = (stapes__whisper_ids){0};
}

static int by_value(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static void sort_unique(stapes__whisper_ids *ids) {
    qsort(ids->items, ids->count, sizeof *ids->items, by_value);
    size_t kept = 0;
    for (size_t i = 0; i < ids->count; i++)
        if (kept == 0 || ids->items[i] != ids->items[kept - 1])
            ids->items[kept++] = ids->items[i];
    ids->count = kept;
}

/* Signs that stand for sounds, speakers or layout and not for speech. */
static const char *const symbols[] = {
    "\"",  "#",  "(",  ")",   "*",   "+",   "/",   ":",  ";",   "<",  "=",   ">",
    "@",   "[",  "\\", "]",   "^",   "_",   "`",   "{",  "|",   "}",  "~",   "「",
    "」",  "『", "』", "<<",  ">>",  "<<<", ">>>", "--", "---", "-(", "-[",  "('",
    "(\"", "((", "))", "(((", ")))", "[[",  "]]",  "{{", "}}",  "♪♪", "♪♪♪",
};
/* Music signs: their first token is suppressed even when it is not the whole sign. */
static const char *const music[] = {"♩", "♪", "♫", "♬", "♭", "♮", "♯"};
enum { N_SYMBOLS = sizeof symbols / sizeof *symbols, N_MUSIC = sizeof music / sizeof *music };
/* Every sign with and without a space before it, and " -" and " '". */
enum { N_NON_SPEECH = 2 * (N_SYMBOLS + N_MUSIC) + 2, N_SPECIALS = 6 };

/* Adds the first token of the text; only if it is the whole text unless `first_of_many`. */
static stapes_status add_text(const stapes__tokenizer *tokenizer, const char *text,
                              bool first_of_many, stapes__whisper_ids *out, stapes_error *err) {
    int32_t *ids = NULL;
    size_t count = 0;
    stapes_status status = stapes__tokenizer_encode(tokenizer, text, &ids, &count, err);
    if (status == STAPES_OK && count > 0 && (count == 1 || first_of_many))
        out->items[out->count++] = ids[0];
    free(ids);
    return status;
}

static stapes_status add_sign(const stapes__tokenizer *tokenizer, const char *sign,
                              bool first_of_many, stapes__whisper_ids *out, stapes_error *err) {
    char spaced[16] = " ";
    strncat(spaced, sign, sizeof spaced - 2);
    stapes_status status = add_text(tokenizer, sign, first_of_many, out, err);
    return status != STAPES_OK ? status : add_text(tokenizer, spaced, first_of_many, out, err);
}

static stapes_status add_non_speech(const stapes__tokenizer *tokenizer, stapes__whisper_ids *out,
                                    stapes_error *err) {
    /* Hyphen and apostrophe stay possible inside words. */
    stapes_status status = add_text(tokenizer, " -", true, out, err);
    if (status == STAPES_OK)
        status = add_text(tokenizer, " '", true, out, err);
    for (size_t i = 0; status == STAPES_OK && i < N_SYMBOLS; i++)
        status = add_sign(tokenizer, symbols[i], false, out, err);
    for (size_t i = 0; status == STAPES_OK && i < N_MUSIC; i++)
        status = add_sign(tokenizer, music[i], true, out, err);
    return status;
}

stapes_status stapes__whisper_suppressed(const stapes__whisper_layout *layout,
                                         const stapes__tokenizer *tokenizer, const int32_t *wanted,
                                         size_t count, stapes__whisper_ids *out,
                                         stapes_error *err) {
    *out = (stapes__whisper_ids){0};
    size_t room;
    if (stapes__add_size(count, N_NON_SPEECH + N_SPECIALS, &room))
        out->items = stapes__calloc(room, sizeof *out->items);
    if (!out->items)
        return stapes__fail_memory(err, "suppressed tokens");
    bool non_speech = false;
    for (size_t i = 0; i < count; i++) {
        non_speech |= wanted[i] == -1;
        if (wanted[i] >= 0 && wanted[i] < layout->vocabulary)
            out->items[out->count++] = wanted[i];
    }
    const int32_t specials[N_SPECIALS] = {layout->transcribe,  layout->translate, layout->sot,
                                          layout->startofprev, layout->startoflm, layout->nospeech};
    for (size_t i = 0; i < N_SPECIALS; i++)
        out->items[out->count++] = specials[i];
    stapes_status status = non_speech ? add_non_speech(tokenizer, out, err) : STAPES_OK;
    if (status != STAPES_OK) {
        stapes__whisper_ids_free(out);
        return status;
    }
    sort_unique(out);
    return STAPES_OK;
}

stapes_status stapes__whisper_blank(const stapes__whisper_layout *layout,
                                    const stapes__tokenizer *tokenizer, stapes__whisper_ids *out,
                                    stapes_error *err) {
    *out = (stapes__whisper_ids){.items = stapes__calloc(2, sizeof *out->items)};
    if (!out->items)
        return stapes__fail_memory(err, "suppressed tokens");
    stapes_status status = add_text(tokenizer, " ", false, out, err);
    if (status != STAPES_OK) {
        stapes__whisper_ids_free(out);
        return status;
    }
    out->items[out->count++] = layout->eot;
    sort_unique(out);
    return STAPES_OK;
}

/* exp(x) for x <= 0, relative error below 2e-7, without a branch or a call so that compilers turn
 * the loop around it into vector code: 2^k * p(f), x = (k + f) ln 2, |f| <= 1/2. */
static inline float exp_small(float x) {
    float y = x > -87.0F ? x * 1.44269504F : -87.0F * 1.44269504F;
    int32_t k = (int32_t)(y - 0.5F);
    float f = (x > -87.0F ? x : -87.0F) - (float)k * 0.693359375F + (float)k * 2.12194440e-4F;
    float p = 1.9875691500e-4F;
    p = p * f + 1.3981999507e-3F;
    p = p * f + 8.3334519073e-3F;
    p = p * f + 4.1665795894e-2F;
    p = p * f + 1.6666665459e-1F;
    p = p * f + 5.0000001201e-1F;
    p = p * f * f + f + 1.0F;
    union {
        int32_t i;
        float f;
    } scale = {.i = (k + 127) * (1 << 23)};
    return p * scale.f;
}

static float highest(const float *x, size_t count) {
    enum { LANES = 16 };
    float lane[LANES], best = -INFINITY;
    for (size_t k = 0; k < LANES; k++)
        lane[k] = -INFINITY;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            lane[k] = x[i + k] > lane[k] ? x[i + k] : lane[k];
    for (; i < count; i++)
        best = x[i] > best ? x[i] : best;
    for (size_t k = 0; k < LANES; k++)
        best = lane[k] > best ? lane[k] : best;
    return best;
}

double stapes__whisper_logsumexp(const float *x, size_t count) {
    enum { LANES = 16, BLOCK = 1024 };
    float max = highest(x, count);
    if (!(max > -INFINITY))
        return -INFINITY;
    double sum = 0;
    for (size_t at = 0; at < count; at += BLOCK) {
        size_t n = count - at < BLOCK ? count - at : BLOCK, i = 0;
        float lane[LANES] = {0};
        for (; i + LANES <= n; i += LANES)
            for (size_t k = 0; k < LANES; k++)
                lane[k] += exp_small(x[at + i + k] - max);
        for (; i < n; i++)
            sum += (double)exp_small(x[at + i] - max);
        for (size_t k = 0; k < LANES; k++)
            sum += (double)lane[k];
    }
    return (double)max + log(sum);
}

static void forbid(float *logits, int32_t from, int32_t to) {
    for (int32_t i = from; i < to; i++)
        logits[i] = -INFINITY;
}

static void forbid_ids(float *logits, const stapes__whisper_ids *ids) {
    for (size_t i = 0; ids && i < ids->count; i++)
        logits[ids->items[i]] = -INFINITY;
}

/* Timestamps come in pairs, grow, and open every window. */
static void timestamp_rules(const stapes__whisper_filters *filters, const int32_t *sampled,
                            size_t count, float *logits) {
    const stapes__whisper_layout *layout = filters->layout;
    int32_t begin = layout->timestamp_begin, end = layout->vocabulary;
    logits[layout->notimestamps] = -INFINITY;
    bool last = count >= 1 && sampled[count - 1] >= begin;
    bool before = count < 2 || sampled[count - 2] >= begin;
    if (last && before)
        forbid(logits, begin, end);
    else if (last)
        forbid(logits, 0, layout->eot);
    for (size_t i = count; i-- > 0;) {
        if (sampled[i] < begin)
            continue;
        forbid(logits, begin, last && !before ? sampled[i] : sampled[i] + 1);
        break;
    }
    if (count == 0) {
        forbid(logits, 0, begin);
        if (filters->max_initial >= 0 && filters->max_initial < end - begin)
            forbid(logits, begin + filters->max_initial + 1, end);
    }
    /* The normaliser is the same on both sides, so raw sums compare like probabilities. */
    double timestamps = stapes__whisper_logsumexp(logits + begin, (size_t)(end - begin));
    if (timestamps > (double)highest(logits, (size_t)begin))
        forbid(logits, 0, begin);
}

void stapes__whisper_filter(const stapes__whisper_filters *filters, const int32_t *sampled,
                            size_t count, float *logits) {
    if (count == 0)
        forbid_ids(logits, filters->blank);
    forbid_ids(logits, filters->suppress);
    if (filters->timestamps)
        timestamp_rules(filters, sampled, count, logits);
}
