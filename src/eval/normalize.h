/* Text normalisation before scoring, so that spelling, case and punctuation do not count as
 * recognition errors. */
#ifndef STAPES_EVAL_NORMALIZE_H
#define STAPES_EVAL_NORMALIZE_H

#include "base/error.h"
#include "base/mem.h"

typedef enum stapes__normalizer {
    /* The text as it is. */
    STAPES__NORMALIZE_NONE,
    /* Lower case; marks, symbols and punctuation taken out without a trace ("quilter's" gives
     * "quilters"); accents kept; white space collapsed to single spaces and trimmed. */
    STAPES__NORMALIZE_PLAIN,
    /* OpenAI Whisper's normaliser for any language: lower case, bracketed text removed, marks,
     * symbols and punctuation to spaces, spaces collapsed (one may stay at either end). */
    STAPES__NORMALIZE_BASIC,
    /* The same with accents taken off and a space between all characters. */
    STAPES__NORMALIZE_BASIC_LETTERS,
    /* OpenAI Whisper's English normaliser: bracketed text and fillers removed, contractions and
     * titles written out, numbers as digits with currency and ordinals, American spelling. */
    STAPES__NORMALIZE_ENGLISH
} stapes__normalizer;

/* "none", "plain", "basic", "letters" or "whisper" into *out; false for any other name. */
bool stapes__normalizer_from_name(const char *name, stapes__normalizer *out);
const char *stapes__normalizer_name(stapes__normalizer normalizer);

/* Appends the normalised form of UTF-8 `text` to out. Broken UTF-8 reads as U+FFFD. Fails only when
 * memory is short; out is then unchanged or longer. */
stapes_status stapes__normalize(stapes__normalizer normalizer, const char *text, stapes__buf *out,
                                stapes_error *err);

#endif
