/* Measures of a decoded text that tell whether to believe it (spec/whisper 10, 11). */
#ifndef STAPES_DECODE_WHISPER_SCORE_H
#define STAPES_DECODE_WHISPER_SCORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Bytes of the text over bytes of its zlib stream (default level); 0 for an empty text. */
stapes_status stapes__whisper_compression_ratio(const char *text, size_t length, double *ratio,
                                                stapes_error *err);

/* The text without white space at its ends, as Python's strip() has it. */
const char *stapes__whisper_strip(const char *text, size_t *length);

/* True when the text tokens (ids below eot; others are skipped) end in a loop: a phrase of at most
 * 32 tokens repeated back to back at least 5 times and over at least 24 tokens. Catches loops that
 * a long healthy beginning hides from the compression ratio. */
bool stapes__whisper_loops(const int32_t *tokens, size_t count, int32_t eot);

#endif
