/* What the number pass needs done to the text before and after it. */
#include <stdio.h>
#include <string.h>

#include "eval/normalize_parts.h"
#include "eval/number_words.h"

static bool is_letter(uint32_t rune) {
    return rune >= 'a' && rune <= 'z';
}

static bool is_digit(uint32_t rune) {
    return rune >= '0' && rune <= '9';
}

size_t stapes__skip_spaces(const stapes__runes *text, size_t at) {
    while (at < text->length && stapes__rune_is_space(text->at[at]))
        at++;
    return at;
}

/* Length of \band\s+a\s+half\b at a place, 0 when it is not there. */
static size_t match_half(const stapes__runes *text, size_t at) {
    static const char *const parts[] = {"and", "a", "half"};
    size_t end = at;
    if (!stapes__runes_boundary(text, at))
        return 0;
    for (int i = 0; i < 3; i++) {
        size_t start = i ? stapes__skip_spaces(text, end) : end;
        if ((i && start == end) || !stapes__runes_match(text, start, parts[i]))
            return 0;
        end = start + strlen(parts[i]);
    }
    return stapes__runes_boundary(text, end) ? end - at : 0;
}

/* Whether the last word of [start, end) is a number that "and a half" can follow. */
static bool ends_in_number(const stapes__runes *text, size_t start, size_t end) {
    while (end > start && stapes__rune_is_space(text->at[end - 1]))
        end--;
    size_t first = end;
    while (first > start && !stapes__rune_is_space(text->at[first - 1]))
        first--;
    stapes__buf last = {0};
    stapes__runes_to_utf8(text->at + first, end - first, &last);
    stapes__number_word w = last.data ? stapes__number_look_up(last.data)
                                      : (stapes__number_word){STAPES__NUM_NONE, 0, ""};
    stapes__buf_free(&last);
    return stapes__number_is_decimal(w) || w.kind == STAPES__NUM_POWER;
}

static void append_part(stapes__runes *out, const stapes__runes *text, size_t start, size_t end,
                        const char *ending) {
    if (stapes__skip_spaces(text, start) >= end)
        return; /* nothing but white space before the phrase: the phrase goes too */
    if (out->length)
        stapes__runes_push(out, ' ');
    stapes__runes_append(out, text->at + start, end - start);
    stapes__runes_from_utf8(out, ending, strlen(ending));
}

static void halves_to_points(stapes__runes *text) {
    stapes__runes out = {0};
    size_t start = 0;
    for (size_t i = 0; i < text->length; i++) {
        size_t length = match_half(text, i);
        if (!length)
            continue;
        bool number = ends_in_number(text, start, i);
        append_part(&out, text, start, i, number ? " point five" : " and a half");
        start = i + length;
        i = start - 1;
    }
    append_part(&out, text, start, text->length, "");
    out.failed |= text->failed;
    stapes__runes_free(text);
    *text = out;
}

/* Length of a suffix that belongs to the digits before it ("th" as a whole word), or 0. */
static size_t match_suffix(const stapes__runes *text, size_t at) {
    static const char *const suffixes[] = {"st", "nd", "rd", "th", "s"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (stapes__runes_match(text, at, suffixes[i]) &&
            stapes__runes_boundary(text, at + strlen(suffixes[i])))
            return strlen(suffixes[i]);
    return 0;
}

/* Splits letters from digits, then joins ordinal endings to the digits again. */
static void split_digits(stapes__runes *text) {
    stapes__runes split = {0}, out = {0};
    for (size_t i = 0; i < text->length; i++) {
        uint32_t last = i ? text->at[i - 1] : 0, rune = text->at[i];
        if ((is_letter(last) && is_digit(rune)) || (is_digit(last) && is_letter(rune)))
            stapes__runes_push(&split, ' ');
        stapes__runes_push(&split, rune);
    }
    for (size_t i = 0; i < split.length; i++) {
        size_t next = stapes__skip_spaces(&split, i);
        bool joins = next > i && i > 0 && is_digit(split.at[i - 1]) && match_suffix(&split, next);
        if (joins)
            i = next;
        stapes__runes_push(&out, split.at[i]);
    }
    out.failed |= split.failed || text->failed;
    stapes__runes_free(&split);
    stapes__runes_free(text);
    *text = out;
}

static bool is_currency(uint32_t rune) {
    return rune == 0x20ac || rune == 0xa3 || rune == '$';
}

/* [0-9]{1,2}\b : one or two digits that end a word; their count or 0. */
static size_t match_cents(const stapes__runes *text, size_t at) {
    size_t count = 0;
    while (count < 2 && at + count < text->length && is_digit(text->at[at + count]))
        count++;
    return count && stapes__runes_boundary(text, at + count) ? count : 0;
}

static int cents_at(const stapes__runes *text, size_t at, size_t count) {
    int value = (int)text->at[at] - '0';
    return count == 2 ? value * 10 + (int)text->at[at + 1] - '0' : value;
}

static void push_ascii(stapes__runes *out, const char *text) {
    stapes__runes_from_utf8(out, text, strlen(text));
}

/* "$2 and ¢7" becomes "$2.07". */
static void join_cents(stapes__runes *text) {
    stapes__runes out = {0};
    for (size_t i = 0; i < text->length; i++) {
        size_t end = i + 1, cents = 0;
        while (is_currency(text->at[i]) && end < text->length && is_digit(text->at[end]))
            end++;
        size_t at = end;
        if (end > i + 1 && stapes__runes_match(text, at, " ")) {
            at += stapes__runes_match(text, at, " and ") ? 5 : 1;
            if (at < text->length && text->at[at] == 0xa2)
                cents = match_cents(text, at + 1);
        }
        if (!cents) {
            stapes__runes_push(&out, text->at[i]);
            continue;
        }
        char ending[16];
        snprintf(ending, sizeof ending, ".%02d", cents_at(text, at + 1, cents));
        stapes__runes_append(&out, text->at + i, end - i);
        push_ascii(&out, ending);
        i = at + cents;
    }
    out.failed |= text->failed;
    stapes__runes_free(text);
    *text = out;
}

/* "$0.07" becomes "¢7", and "1" and "1s" as words become "one" and "ones". */
static void finish_numbers(stapes__runes *text) {
    stapes__runes out = {0}, done = {0};
    for (size_t i = 0; i < text->length; i++) {
        bool zero = is_currency(text->at[i]) && i + 3 < text->length && text->at[i + 1] == '0' &&
                    text->at[i + 2] != '\n';
        size_t cents = zero ? match_cents(text, i + 3) : 0;
        if (!cents) {
            stapes__runes_push(&out, text->at[i]);
            continue;
        }
        char ending[16];
        snprintf(ending, sizeof ending, "%d", cents_at(text, i + 3, cents));
        stapes__runes_push(&out, 0xa2);
        push_ascii(&out, ending);
        i += 2 + cents;
    }
    for (size_t i = 0; i < out.length; i++) {
        size_t end = i + 1 + (i + 1 < out.length && out.at[i + 1] == 's');
        bool one = out.at[i] == '1' && stapes__runes_boundary(&out, i);
        if (one && (stapes__runes_boundary(&out, end) || stapes__runes_boundary(&out, i + 1)))
            push_ascii(&done, "one");
        else
            stapes__runes_push(&done, out.at[i]);
    }
    done.failed |= out.failed || text->failed;
    stapes__runes_free(&out);
    stapes__runes_free(text);
    *text = done;
}

void stapes__numbers_before(stapes__runes *text) {
    halves_to_points(text);
    split_digits(text);
}

void stapes__numbers_after(stapes__runes *text) {
    join_cents(text);
    finish_numbers(text);
}
