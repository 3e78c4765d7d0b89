/* What may be sampled next: suppressed ids and the timestamp rules, applied to one row of raw
 * logits (spec/whisper 6, 9). */
#ifndef STAPES_DECODE_WHISPER_FILTERS_H
#define STAPES_DECODE_WHISPER_FILTERS_H

#include "decode/whisper/layout.h"
#include "text/tokenizer.h"

/* A set of ids, ascending, without repeats. */
typedef struct stapes__whisper_ids {
    int32_t *items;
    size_t count;
} stapes__whisper_ids;

void stapes__whisper_ids_free(stapes__whisper_ids *ids);

/* The ids that openai-whisper never samples: `wanted` (-1 in it stands for the non-speech symbols
 * of the vocabulary, found by encoding them) and the special ids before the timestamps, languages
 * excepted. Released by stapes__whisper_ids_free. Errors: MEMORY, or the tokenizer's. */
stapes_status stapes__whisper_suppressed(const stapes__whisper_layout *layout,
                                         const stapes__tokenizer *tokenizer, const int32_t *wanted,
                                         size_t count, stapes__whisper_ids *out, stapes_error *err);

/* eot and the token of a single space, which may not come first. */
stapes_status stapes__whisper_blank(const stapes__whisper_layout *layout,
                                    const stapes__tokenizer *tokenizer, stapes__whisper_ids *out,
                                    stapes_error *err);

typedef struct stapes__whisper_filters {
    const stapes__whisper_layout *layout;
    const stapes__whisper_ids *blank;    /* first sampled position only; NULL = none */
    const stapes__whisper_ids *suppress; /* NULL = none */
    bool timestamps;                     /* apply the timestamp rules */
    int max_initial;                     /* highest first timestamp index; < 0 = any */
} stapes__whisper_filters;

/* Sets what may not follow the tokens sampled so far to -infinity. sampled [count]: without the
 * initial tokens. logits [vocabulary]. */
void stapes__whisper_filter(const stapes__whisper_filters *filters, const int32_t *sampled,
                            size_t count, float *logits);

/* log(sum(exp(x))); -infinity for nothing or only -infinity. */
double stapes__whisper_logsumexp(const float *x, size_t count);

#endif
