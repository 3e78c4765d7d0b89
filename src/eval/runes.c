#include "eval/runes.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static bool reserve(stapes__runes *runes, size_t more) {
    size_t need;
    if (runes->failed || !stapes__add_size(runes->length, more, &need)) {
        runes->failed = true;
        return false;
    }
    if (need <= runes->capacity)
        return true;
    size_t capacity = runes->capacity ? runes->capacity : 64;
    while (capacity < need)
        capacity += capacity / 2;
    uint32_t *at = stapes__realloc(runes->at, capacity, sizeof *at);
    if (!at) {
        runes->failed = true;
        return false;
    }
    runes->at = at;
    runes->capacity = capacity;
    return true;
}

void stapes__runes_push(stapes__runes *runes, uint32_t rune) {
    if (reserve(runes, 1))
        runes->at[runes->length++] = rune;
}

void stapes__runes_append(stapes__runes *runes, const uint32_t *from, size_t count) {
    if (!count || !reserve(runes, count))
        return;
    memcpy(runes->at + runes->length, from, count * sizeof *from);
    runes->length += count;
}

void stapes__runes_from_utf8(stapes__runes *runes, const char *text, size_t length) {
    const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)text;
    while (length > 0) {
        utf8proc_int32_t rune;
        utf8proc_ssize_t used = utf8proc_iterate(at, (utf8proc_ssize_t)length, &rune);
        if (used <= 0) {
            used = 1;
            rune = 0xfffd;
        }
        stapes__runes_push(runes, (uint32_t)rune);
        at += used;
        length -= (size_t)used;
    }
}

void stapes__runes_to_utf8(const uint32_t *runes, size_t count, stapes__buf *out) {
    for (size_t i = 0; i < count; i++) {
        utf8proc_uint8_t bytes[4];
        utf8proc_ssize_t length = utf8proc_encode_char((utf8proc_int32_t)runes[i], bytes);
        stapes__buf_append(out, bytes, length > 0 ? (size_t)length : 0);
    }
}

void stapes__runes_clear(stapes__runes *runes) {
    runes->length = 0;
}

void stapes__runes_free(stapes__runes *runes) {
    free(runes->at);
    memset(runes, 0, sizeof *runes);
}

static utf8proc_category_t category(uint32_t rune) {
    return utf8proc_category((utf8proc_int32_t)rune);
}

static bool is_letter(uint32_t rune) {
    utf8proc_category_t c = category(rune);
    return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
}

bool stapes__rune_is_word(uint32_t rune) {
    utf8proc_category_t c = category(rune);
    return rune == '_' || is_letter(rune) ||
           (c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO);
}

bool stapes__rune_is_space(uint32_t rune) {
    if ((rune >= 0x09 && rune <= 0x0d) || (rune >= 0x1c && rune <= 0x20) || rune == 0x85)
        return true;
    utf8proc_category_t c = category(rune);
    return c >= UTF8PROC_CATEGORY_ZS && c <= UTF8PROC_CATEGORY_ZP;
}

bool stapes__rune_is_digit(uint32_t rune) {
    return category(rune) == UTF8PROC_CATEGORY_ND;
}

bool stapes__rune_is_symbol(uint32_t rune) {
    utf8proc_category_t c = category(rune);
    return (c >= UTF8PROC_CATEGORY_MN && c <= UTF8PROC_CATEGORY_ME) ||
           (c >= UTF8PROC_CATEGORY_PC && c <= UTF8PROC_CATEGORY_SO);
}

bool stapes__rune_is_accent(uint32_t rune) {
    return category(rune) == UTF8PROC_CATEGORY_MN;
}

bool stapes__runes_boundary(const stapes__runes *runes, size_t at) {
    bool before = at > 0 && stapes__rune_is_word(runes->at[at - 1]);
    bool after = at < runes->length && stapes__rune_is_word(runes->at[at]);
    return before != after;
}

bool stapes__runes_match(const stapes__runes *runes, size_t at, const char *literal) {
    for (; *literal; literal++, at++)
        if (at >= runes->length || runes->at[at] != (unsigned char)*literal)
            return false;
    return true;
}

/* ---- lower case ---- */

static bool is_cased(uint32_t rune) {
    utf8proc_category_t c = category(rune);
    return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LT;
}

/* Runes that the rule for the final sigma looks past. */
static bool is_case_ignorable(uint32_t rune) {
    switch (category(rune)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
        return true;
    default:
        return rune == '\'' || rune == '.' || rune == ':' || rune == 0xb7 || rune == 0x2019;
    }
}

/* A capital sigma is final when a cased letter stands before it and none after it. */
static bool is_final_sigma(const uint32_t *at, size_t length, size_t i) {
    size_t before = i, after = i + 1;
    while (before > 0 && is_case_ignorable(at[before - 1]))
        before--;
    if (before == 0 || !is_cased(at[before - 1]))
        return false;
    while (after < length && is_case_ignorable(at[after]))
        after++;
    return after == length || !is_cased(at[after]);
}

void stapes__runes_lower(stapes__runes *runes) {
    stapes__runes out = {.failed = runes->failed};
    for (size_t i = 0; i < runes->length; i++) {
        uint32_t rune = runes->at[i];
        if (rune == 0x130) {
            stapes__runes_push(&out, 'i');
            stapes__runes_push(&out, 0x307);
        } else if (rune == 0x3a3 && is_final_sigma(runes->at, runes->length, i)) {
            stapes__runes_push(&out, 0x3c2);
        } else {
            stapes__runes_push(&out, (uint32_t)utf8proc_tolower((utf8proc_int32_t)rune));
        }
    }
    stapes__runes_free(runes);
    *runes = out;
}

void stapes__runes_normalize(stapes__runes *runes, stapes__normal_form form) {
    stapes__buf text = {0};
    stapes__runes_to_utf8(runes->at, runes->length, &text);
    bool failed = runes->failed || text.failed;
    stapes__runes_free(runes);
    runes->failed = failed;
    if (failed || !text.length) {
        stapes__buf_free(&text);
        return;
    }
    utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPAT |
                                (form == STAPES__NFKC ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE);
    utf8proc_uint8_t *mapped = NULL;
    utf8proc_ssize_t length = utf8proc_map((const utf8proc_uint8_t *)text.data,
                                           (utf8proc_ssize_t)text.length, &mapped, options);
    if (length < 0)
        runes->failed = true;
    else
        stapes__runes_from_utf8(runes, (const char *)mapped, (size_t)length);
    free(mapped);
    stapes__buf_free(&text);
}
