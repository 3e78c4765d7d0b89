/* Steps that the normalisers share, each one pass over the text like the regular expression of the
 * reference that it names: matches are found from left to right, do not overlap, and see the text
 * as it was before the pass. All set `failed` in their output when memory is short. */
#ifndef STAPES_EVAL_NORMALIZE_PARTS_H
#define STAPES_EVAL_NORMALIZE_PARTS_H

#include "eval/runes.h"

/* Removes <...> and [...] (any mixture of the two kinds), then (...). */
void stapes__remove_brackets(stapes__runes *text);
/* NFKC; marks, symbols and punctuation become spaces. */
void stapes__symbols_to_spaces(stapes__runes *text);
/* NFKD; accents dropped, letters such as o with stroke spelled in ASCII, the rest of marks, symbols
 * and punctuation become spaces, except the runes of the UTF-8 string `keep`. */
void stapes__symbols_and_accents(stapes__runes *text, const char *keep);
/* Runs of white space become one space. */
void stapes__collapse_spaces(stapes__runes *text);
/* Replaces by the whole English pipeline; the text is lower-cased inside. */
void stapes__normalize_english(stapes__runes *text);
/* English number words to digits, with currency signs, ordinals and "percent". */
void stapes__normalize_numbers(stapes__runes *text);
/* Around it: "and a half" to "point five", digits and letters split; then cents joined to dollars
 * and a lone 1 spelled out. */
void stapes__numbers_before(stapes__runes *text);
void stapes__numbers_after(stapes__runes *text);
/* The first position from `at` that is not white space. */
size_t stapes__skip_spaces(const stapes__runes *text, size_t at);

#endif
