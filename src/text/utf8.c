#include "text/utf8.h"

#include <utf8proc.h>

/* Ranges of the second byte by lead byte (Unicode 15, table 3-7); the rest are 0x80..0xBF. */
static bool second_byte_ok(uint8_t lead, uint8_t second) {
    switch (lead) {
    case 0xe0:
        return second >= 0xa0 && second <= 0xbf;
    case 0xed:
        return second >= 0x80 && second <= 0x9f;
    case 0xf0:
        return second >= 0x90 && second <= 0xbf;
    case 0xf4:
        return second >= 0x80 && second <= 0x8f;
    default:
        return second >= 0x80 && second <= 0xbf;
    }
}

stapes__utf8 stapes__utf8_next(const char *bytes, size_t count) {
    const uint8_t *b = (const uint8_t *)bytes;
    stapes__utf8 bad = {0xfffd, 1, false, false};
    if (b[0] < 0x80)
        return (stapes__utf8){b[0], 1, true, false};
    uint8_t want = b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : 2;
    if (b[0] < 0xc2 || b[0] > 0xf4)
        return bad;
    uint32_t cp = b[0] & (0xffu >> (want + 1));
    for (uint8_t i = 1; i < want; i++) {
        bad.length = i;
        if (i >= count) {
            bad.incomplete = true;
            return bad;
        }
        if (i == 1 ? !second_byte_ok(b[0], b[1]) : (b[i] & 0xc0) != 0x80)
            return bad;
        cp = cp << 6 | (b[i] & 0x3fu);
    }
    return (stapes__utf8){cp, want, true, false};
}

void stapes__utf8_put(stapes__buf *out, uint32_t cp) {
    utf8proc_uint8_t bytes[4];
    utf8proc_ssize_t length = utf8proc_encode_char((utf8proc_int32_t)cp, bytes);
    stapes__buf_append(out, bytes, length > 0 ? (size_t)length : 0);
}

void stapes__utf8_clean(stapes__buf *out, const char *bytes, size_t count, bool per_byte) {
    size_t done = 0; /* start of the valid stretch not yet appended */
    for (size_t i = 0; i < count;) {
        stapes__utf8 c = stapes__utf8_next(bytes + i, count - i);
        if (!c.valid) {
            stapes__buf_append(out, bytes + done, i - done);
            for (size_t k = 0; k < (per_byte ? c.length : 1u); k++)
                stapes__buf_puts(out, "\xef\xbf\xbd");
            done = i + c.length;
        }
        i += c.length;
    }
    if (done < count)
        stapes__buf_append(out, bytes + done, count - done);
}

size_t stapes__utf8_tail(const char *bytes, size_t count) {
    for (size_t back = 1; back <= 3 && back <= count; back++) {
        stapes__utf8 c = stapes__utf8_next(bytes + count - back, back);
        if (c.incomplete && c.length == back)
            return back;
        if (((uint8_t)bytes[count - back] & 0xc0) != 0x80)
            return 0;
    }
    return 0;
}

bool stapes__utf8_valid(const char *bytes, size_t count) {
    for (size_t i = 0; i < count;) {
        stapes__utf8 c = stapes__utf8_next(bytes + i, count - i);
        if (!c.valid)
            return false;
        i += c.length;
    }
    return true;
}

bool stapes__unicode_space(uint32_t cp) {
    if ((cp >= 0x09 && cp <= 0x0d) || (cp >= 0x1c && cp <= 0x1f) || cp == 0x85)
        return true;
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    return c == UTF8PROC_CATEGORY_ZS || c == UTF8PROC_CATEGORY_ZL || c == UTF8PROC_CATEGORY_ZP;
}

bool stapes__unicode_punctuation(uint32_t cp) {
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    return c >= UTF8PROC_CATEGORY_PC && c <= UTF8PROC_CATEGORY_PO;
}

bool stapes__unicode_opening(uint32_t cp) {
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    return c == UTF8PROC_CATEGORY_PS || c == UTF8PROC_CATEGORY_PI || cp == 0xa1 || cp == 0xbf;
}
