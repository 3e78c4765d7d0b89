/* Whole numbers of any size as decimal strings, for turning number words into digits: "decillion"
 * does not fit a machine word. */
#ifndef STAPES_EVAL_NUMBERS_H
#define STAPES_EVAL_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

/* Digits and at most one point with digits on its left ("12", "3.50"); ASCII digits only. */
bool stapes__number_is_numeric(const char *text);

/* If text is a decimal ("12", "3.5", ".5", "5.") and text * 10^zeros is whole, sets out to that
 * whole number without leading zeros. Sets out->failed when memory is short. */
bool stapes__number_scale(const char *text, int zeros, stapes__buf *out);

/* A whole number's thousands stay, its rest below 1000 is multiplied by 10^zeros, both are added:
 * 2 -> 2000, 1002 -> 3000 for zeros = 3. Replaces `number`, which holds digits only. */
void stapes__number_multiply_rest(stapes__buf *number, int zeros);

/* True when the last `digits` digits are 0 ("0" itself included). */
bool stapes__number_ends_in_zeros(const char *number, size_t digits);

/* Writes `value` over the last digits of `number`, which are zeros; replaces "0" itself. */
void stapes__number_fill(stapes__buf *number, int value);

/* Replaces the contents by text. */
void stapes__buf_set(stapes__buf *buf, const char *text, size_t length);

#endif
