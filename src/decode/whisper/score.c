#include "decode/whisper/score.h"

#include <stdlib.h>
#include <zlib.h>

#include "base/mem.h"
#include "text/utf8.h"

stapes_status stapes__whisper_compression_ratio(const char *text, size_t length, double *ratio,
                                                stapes_error *err) {
    *ratio = 0;
    if (length == 0)
        return STAPES_OK;
    uLongf packed = compressBound((uLong)length);
    Bytef *bytes = malloc(packed);
    if (!bytes)
        return stapes__fail_memory(err, "compression ratio");
    int code = compress(bytes, &packed, (const Bytef *)text, (uLong)length);
    free(bytes);
    if (code != Z_OK)
        return stapes__fail(err, STAPES_E_INTERNAL, "zlib failed with code %d", code);
    *ratio = (double)length / (double)packed;
    return STAPES_OK;
}

const char *stapes__whisper_strip(const char *text, size_t *length) {
    size_t start = 0, end = 0;
    bool begun = false;
    for (size_t i = 0; i < *length;) {
        stapes__utf8 c = stapes__utf8_next(text + i, *length - i);
        bool space = c.valid && (stapes__unicode_space(c.cp) || (c.cp >= 0x1c && c.cp <= 0x1f));
        if (!space && !begun) {
            start = i;
            begun = true;
        }
        i += c.length;
        if (!space)
            end = i;
    }
    *length = begun ? end - start : 0;
    return text + start;
}

enum { MAX_PERIOD = 32, MIN_REPEATS = 5, MIN_TOKENS = 24 };

/* The text token before position *at; -1 at the beginning. */
static int32_t previous_text(const int32_t *tokens, size_t *at, int32_t eot) {
    while (*at > 0) {
        int32_t id = tokens[--*at];
        if (id < eot)
            return id;
    }
    return -1;
}

bool stapes__whisper_loops(const int32_t *tokens, size_t count, int32_t eot) {
    for (size_t period = 1; period <= MAX_PERIOD; period++) {
        size_t ahead = count, behind = count, run = 0;
        for (size_t i = 0; i < period; i++)
            previous_text(tokens, &behind, eot);
        for (;;) {
            int32_t a = previous_text(tokens, &ahead, eot);
            int32_t b = previous_text(tokens, &behind, eot);
            if (b < 0 || a != b)
                break;
            run++;
        }
        /* `run` equal pairs at this distance: run + period tokens of one phrase. */
        size_t covered = run + period;
        if (run > 0 && covered >= MIN_REPEATS * period && covered >= MIN_TOKENS)
            return true;
    }
    return false;
}
