/* Text as an array of Unicode code points, with the character classes that text normalisation
 * speaks of. Classes follow Unicode's general categories as utf8proc knows them, so that "word
 * character", "space" and "digit" mean the same here as in the reference normalisers. */
#ifndef STAPES_EVAL_RUNES_H
#define STAPES_EVAL_RUNES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

/* Zero-initialise; `failed` stays true after a failed growth and later appends do nothing. */
typedef struct stapes__runes {
    uint32_t *at;
    size_t length, capacity;
    bool failed;
} stapes__runes;

void stapes__runes_push(stapes__runes *runes, uint32_t rune);
void stapes__runes_append(stapes__runes *runes, const uint32_t *from, size_t count);
/* Appends UTF-8 of `length` bytes; every byte that is not part of a valid sequence gives one
 * U+FFFD. */
void stapes__runes_from_utf8(stapes__runes *runes, const char *text, size_t length);
/* Appends the UTF-8 of `count` runes to out. */
void stapes__runes_to_utf8(const uint32_t *runes, size_t count, stapes__buf *out);
/* Empties it, keeping the allocation and the `failed` mark. */
void stapes__runes_clear(stapes__runes *runes);
void stapes__runes_free(stapes__runes *runes);

/* Letters, numbers of every kind and the underscore. */
bool stapes__rune_is_word(uint32_t rune);
/* White space, no-break spaces and the separators U+001C to U+001F included. */
bool stapes__rune_is_space(uint32_t rune);
/* Decimal digits of any script (category Nd). */
bool stapes__rune_is_digit(uint32_t rune);
/* Marks, symbols and punctuation (categories M*, S*, P*). */
bool stapes__rune_is_symbol(uint32_t rune);
/* Non-spacing marks (category Mn). */
bool stapes__rune_is_accent(uint32_t rune);

/* True when the position `at` lies between a word character and something else (or an end). */
bool stapes__runes_boundary(const stapes__runes *runes, size_t at);
/* True when the ASCII text `literal` stands at position `at`. */
bool stapes__runes_match(const stapes__runes *runes, size_t at, const char *literal);

/* Replaces the contents by lower case: the simple mapping of each rune, U+0130 as "i" with a dot
 * above, and the final form of sigma at the end of a word. */
void stapes__runes_lower(stapes__runes *runes);

typedef enum stapes__normal_form {
    STAPES__NFKC, /* compatibility decomposition, then composition */
    STAPES__NFKD  /* compatibility decomposition */
} stapes__normal_form;

/* Replaces the contents by a normal form; sets `failed` when memory is short. */
void stapes__runes_normalize(stapes__runes *runes, stapes__normal_form form);

#endif
