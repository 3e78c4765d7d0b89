/* UTF-8 taken apart byte by byte, with the shape of what is broken, as text assembled from byte
 * pieces needs it. */
#ifndef STAPES_TEXT_UTF8_H
#define STAPES_TEXT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

typedef struct stapes__utf8 {
    uint32_t cp;    /* the code point; U+FFFD when not valid */
    uint8_t length; /* bytes: of the character, or of the longest broken prefix (1..3) */
    bool valid;
    bool incomplete; /* not valid, but the bytes to come could complete it */
} stapes__utf8;

/* The first character of bytes[0, count), count > 0. Overlong forms, surrogates and values above
 * U+10FFFF are not valid. */
stapes__utf8 stapes__utf8_next(const char *bytes, size_t count);

/* Appends a code point. */
void stapes__utf8_put(stapes__buf *out, uint32_t cp);

/* Appends bytes with U+FFFD for what is broken: one per broken byte, or one per longest broken
 * prefix (the way of Python's "replace" and of browsers). */
void stapes__utf8_clean(stapes__buf *out, const char *bytes, size_t count, bool per_byte);

/* Number of bytes at the end that begin a character without finishing it, 0..3. */
size_t stapes__utf8_tail(const char *bytes, size_t count);

/* All of bytes[0, count) is valid. */
bool stapes__utf8_valid(const char *bytes, size_t count);

/* What Python's \s matches: the white space of Unicode. */
bool stapes__unicode_space(uint32_t cp);
/* General category P* of Unicode. */
bool stapes__unicode_punctuation(uint32_t cp);
/* Opening brackets and quotes (Ps, Pi) and the Spanish opening marks. */
bool stapes__unicode_opening(uint32_t cp);

#endif
