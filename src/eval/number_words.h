/* The English words that numbers are spoken with. */
#ifndef STAPES_EVAL_NUMBER_WORDS_H
#define STAPES_EVAL_NUMBER_WORDS_H

#include <stdbool.h>

typedef enum stapes__number_kind {
    STAPES__NUM_NONE,
    STAPES__NUM_ZERO,         /* o, oh, zero */
    STAPES__NUM_ONE,          /* one .. nineteen */
    STAPES__NUM_ONE_SUFFIXED, /* ones, first */
    STAPES__NUM_TEN,          /* twenty .. ninety */
    STAPES__NUM_TEN_SUFFIXED, /* twenties, twentieth */
    STAPES__NUM_POWER,        /* hundred .. decillion: value is the exponent of ten */
    STAPES__NUM_POWER_SUFFIXED,
    STAPES__NUM_SIGN, /* minus: applies to the number that follows */
    STAPES__NUM_UNIT, /* dollars: applies to the number before */
    STAPES__NUM_PER,
    STAPES__NUM_PERCENT,
    STAPES__NUM_AND,
    STAPES__NUM_REPEAT, /* double, triple: value is the count */
    STAPES__NUM_POINT
} stapes__number_kind;

typedef struct stapes__number_word {
    stapes__number_kind kind;
    int value;
    const char *suffix; /* "st", or the sign of STAPES__NUM_SIGN and STAPES__NUM_UNIT */
} stapes__number_word;

/* The reading of one lower-case word; kind STAPES__NUM_NONE when it is not part of numbers. */
stapes__number_word stapes__number_look_up(const char *text);

/* "one" .. "nineteen", "twenty" .., "o": may follow a point. */
bool stapes__number_is_decimal(stapes__number_word w);

/* The part of text after `stem`, or NULL when text does not begin with it. */
const char *stapes__text_after(const char *text, const char *stem);

#endif
