/* Outline: "<number> and a half" becomes "<number> point five"; digits and letters are split; then
 * one pass over the words builds numbers. A number under construction is either whole (it still
 * adds: "twenty" + "one" = 21) or a chain of digits (it only grows: "twenty" "twenty" = 2020). A
 * word that cannot go on with it writes it out. Last, dollars and cents are joined. The rules are
 * those of EnglishNumberNormalizer in openai-whisper 20250625 (MIT), oddities included, because
 * published word error rates rest on them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval/normalize_parts.h"
#include "eval/number_words.h"
#include "eval/numbers.h"

/* ---- the number under construction ---- */

typedef struct builder {
    stapes__buf value;
    bool has_value, whole; /* whole: digits only, still adds; otherwise a chain that only grows */
    char prefix[8];        /* sign waiting for the next output */
    stapes__buf *out;
} builder;

/* Writes text + suffix as one word, with the waiting sign, and forgets the number. */
static void output(builder *b, const char *text, const char *suffix) {
    if (b->out->length)
        stapes__buf_puts(b->out, " ");
    stapes__buf_puts(b->out, b->prefix);
    stapes__buf_puts(b->out, text);
    stapes__buf_puts(b->out, suffix);
    b->prefix[0] = 0;
    b->has_value = false;
}

static void output_value(builder *b, const char *suffix) {
    output(b, b->has_value ? b->value.data : "", suffix);
}

/* Writes the number, if there is one, then the word itself. */
static void output_both(builder *b, const char *text) {
    if (b->has_value)
        output_value(b, "");
    output(b, text, "");
}

static void set_prefix(builder *b, const char *sign) {
    snprintf(b->prefix, sizeof b->prefix, "%s", sign);
}

static void set_value(builder *b, int value) {
    char text[16];
    int length = snprintf(text, sizeof text, "%d", value);
    stapes__buf_set(&b->value, text, (size_t)length);
    b->has_value = b->whole = true;
}

static void set_power(builder *b, int zeros) {
    stapes__buf_set(&b->value, "1", 1);
    for (int i = 0; i < zeros; i++)
        stapes__buf_puts(&b->value, "0");
    b->has_value = b->whole = true;
}

/* Appends to the digits; a whole 0 counts as nothing when `drop_zero`. */
static void chain(builder *b, const char *text, bool drop_zero) {
    if (!b->has_value || (drop_zero && b->whole && strcmp(b->value.data, "0") == 0))
        stapes__buf_set(&b->value, "", 0);
    stapes__buf_puts(&b->value, text);
    b->has_value = true;
    b->whole = false;
}

static void chain_int(builder *b, int value) {
    char text[16];
    snprintf(text, sizeof text, "%d", value);
    chain(b, text, false);
}

/* ---- one rule per kind of word ---- */

/* Digits, maybe with a currency sign in front and decimals. */
static void add_digits(builder *b, const char *text, const char *digits) {
    if (b->has_value && !b->whole && b->value.length && b->value.data[b->value.length - 1] == '.') {
        stapes__buf_puts(&b->value, text);
        return;
    }
    if (b->has_value)
        output_value(b, "");
    if (digits > text) {
        memcpy(b->prefix, text, (size_t)(digits - text));
        b->prefix[digits - text] = 0;
    }
    b->whole = stapes__number_scale(digits, 0, &b->value);
    if (!b->whole)
        stapes__buf_set(&b->value, digits, strlen(digits));
    b->has_value = true;
}

/* True when the digits of `value` go into zeros at the end of the number: twenty + one, one hundred
 * + eleven, a chain that ends in "twenty" + one. */
static bool fits(const builder *b, stapes__number_word prev, int value) {
    if (!b->whole || prev.kind == STAPES__NUM_ONE)
        return prev.kind == STAPES__NUM_TEN && value < 10;
    return stapes__number_ends_in_zeros(b->value.data, value < 10 ? 1 : 2);
}

static void add_one(builder *b, stapes__number_word prev, stapes__number_word w) {
    if (!b->has_value) {
        set_value(b, w.value);
    } else if (fits(b, prev, w.value)) {
        stapes__number_fill(&b->value, w.value);
    } else {
        chain_int(b, w.value);
    }
}

static void add_ten(builder *b, stapes__number_word w) {
    if (!b->has_value)
        set_value(b, w.value);
    else if (b->whole && stapes__number_ends_in_zeros(b->value.data, 2))
        stapes__number_fill(&b->value, w.value);
    else
        chain_int(b, w.value);
}

static void add_power(builder *b, stapes__number_word w) {
    if (!b->has_value) {
        set_power(b, w.value);
    } else if (b->whole && strcmp(b->value.data, "0") != 0) {
        stapes__number_multiply_rest(&b->value, w.value);
    } else {
        stapes__buf scaled = {0};
        if (stapes__number_scale(b->value.data, w.value, &scaled)) {
            stapes__buf_set(&b->value, scaled.data, scaled.length);
            b->whole = true;
        } else {
            output_value(b, "");
            set_power(b, w.value);
        }
        b->value.failed |= scaled.failed;
        stapes__buf_free(&scaled);
    }
}

static void add_power_suffixed(builder *b, stapes__number_word w) {
    if (b->has_value && b->whole) {
        stapes__number_multiply_rest(&b->value, w.value);
    } else if (b->has_value) {
        stapes__buf scaled = {0};
        if (stapes__number_scale(b->value.data, w.value, &scaled)) {
            stapes__buf_set(&b->value, scaled.data, scaled.length);
        } else {
            output_value(b, "");
            set_power(b, w.value);
        }
        b->value.failed |= scaled.failed;
        stapes__buf_free(&scaled);
    } else {
        set_power(b, w.value);
    }
    output_value(b, w.suffix);
}

/* ---- the pass over the words ---- */

typedef struct neighbours {
    const char *text, *next_text; /* next_text is NULL at the end */
    stapes__number_word prev, current, next;
    bool next_is_number; /* a word of the vocabulary or digits */
    bool next_is_numeric;
} neighbours;

static void add_repeat(builder *b, const neighbours *n, bool *skip) {
    if (n->next.kind != STAPES__NUM_ONE && n->next.kind != STAPES__NUM_ZERO) {
        output_both(b, n->text);
        return;
    }
    for (int i = 0; i < n->current.value; i++) {
        char digits[16];
        snprintf(digits, sizeof digits, "%d", n->next.value);
        chain(b, digits, i == 0);
    }
    *skip = true;
}

static void add_special(builder *b, const neighbours *n, bool *skip) {
    if (!n->next_is_number)
        output_both(b, n->text);
    else if (n->current.kind == STAPES__NUM_REPEAT)
        add_repeat(b, n, skip);
    else if (n->current.kind == STAPES__NUM_AND && n->prev.kind != STAPES__NUM_POWER)
        output_both(b, n->text);
    else if (n->current.kind == STAPES__NUM_POINT &&
             (stapes__number_is_decimal(n->next) || n->next_is_numeric))
        chain(b, ".", true);
}

static void add_per(builder *b, const neighbours *n, bool *skip) {
    if (b->has_value && n->next_text && strcmp(n->next_text, "cent") == 0) {
        output_value(b, "%");
        *skip = true;
    } else {
        output_both(b, n->text);
    }
}

static void add_sign(builder *b, const neighbours *n) {
    if (b->has_value)
        output_value(b, "");
    if (n->next_is_number)
        set_prefix(b, n->current.suffix);
    else
        output(b, n->text, "");
}

static void add_unit(builder *b, const neighbours *n) {
    if (b->has_value) {
        set_prefix(b, n->current.suffix);
        output_value(b, "");
    } else {
        output(b, n->text, "");
    }
}

static void add_word(builder *b, const neighbours *n, bool *skip) {
    switch (n->current.kind) {
    case STAPES__NUM_ZERO:
        chain(b, "0", true);
        break;
    case STAPES__NUM_ONE:
        add_one(b, n->prev, n->current);
        break;
    case STAPES__NUM_ONE_SUFFIXED:
        add_one(b, n->prev, n->current);
        output_value(b, n->current.suffix);
        break;
    case STAPES__NUM_TEN:
        add_ten(b, n->current);
        break;
    case STAPES__NUM_TEN_SUFFIXED:
        add_ten(b, n->current);
        output_value(b, n->current.suffix);
        break;
    case STAPES__NUM_POWER:
        add_power(b, n->current);
        break;
    case STAPES__NUM_POWER_SUFFIXED:
        add_power_suffixed(b, n->current);
        break;
    case STAPES__NUM_SIGN:
        add_sign(b, n);
        break;
    case STAPES__NUM_UNIT:
        add_unit(b, n);
        break;
    case STAPES__NUM_PER:
        add_per(b, n, skip);
        break;
    case STAPES__NUM_PERCENT:
        if (b->has_value)
            output_value(b, "%");
        else
            output(b, n->text, "");
        break;
    case STAPES__NUM_AND:
    case STAPES__NUM_REPEAT:
    case STAPES__NUM_POINT:
        add_special(b, n, skip);
        break;
    case STAPES__NUM_NONE:
        output_both(b, n->text);
        break;
    }
}

/* The text behind a currency sign at its start. */
static const char *without_sign(const char *text) {
    static const char *const signs[] = {"-", "+", "$", "\xc2\xa3", "\xe2\x82\xac", "\xc2\xa2"};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        const char *rest = stapes__text_after(text, signs[i]);
        if (rest)
            return rest;
    }
    return text;
}

static void process_words(char *const *words, size_t count, stapes__buf *out) {
    const stapes__number_word none = {STAPES__NUM_NONE, 0, ""};
    builder b = {.out = out};
    bool skip = false;
    for (size_t i = 0; i < count && !b.value.failed; i++) {
        if (skip) {
            skip = false;
            continue;
        }
        const char *next = i + 1 < count ? words[i + 1] : NULL;
        const char *digits = without_sign(words[i]);
        if (stapes__number_is_numeric(digits)) {
            add_digits(&b, words[i], digits);
            continue;
        }
        neighbours n = {
            .text = words[i], .next_text = next, .current = stapes__number_look_up(words[i])};
        n.prev = i ? stapes__number_look_up(words[i - 1]) : none;
        n.next = next ? stapes__number_look_up(next) : none;
        n.next_is_numeric = next && stapes__number_is_numeric(next);
        n.next_is_number = n.next.kind != STAPES__NUM_NONE || n.next_is_numeric;
        add_word(&b, &n, &skip);
    }
    if (b.has_value)
        output_value(&b, "");
    out->failed |= b.value.failed;
    stapes__buf_free(&b.value);
}

/* Words of a text as UTF-8 strings in one block, split at white space. */
static char **split_words(const stapes__runes *text, stapes__buf *block, size_t *count) {
    *count = 0;
    for (size_t i = stapes__skip_spaces(text, 0); i < text->length;
         i = stapes__skip_spaces(text, i)) {
        size_t start = i;
        while (i < text->length && !stapes__rune_is_space(text->at[i]))
            i++;
        stapes__runes_to_utf8(text->at + start, i - start, block);
        stapes__buf_append(block, "", 1);
        ++*count;
    }
    char **words = stapes__calloc(*count + 1, sizeof *words);
    if (!words || block->failed) {
        free(words);
        return NULL;
    }
    size_t at = 0;
    for (size_t i = 0; i < *count; i++) {
        words[i] = block->data + at;
        at += strlen(words[i]) + 1;
    }
    return words;
}

void stapes__normalize_numbers(stapes__runes *text) {
    stapes__numbers_before(text);
    stapes__buf block = {0}, joined = {0};
    size_t count;
    char **words = split_words(text, &block, &count);
    if (words)
        process_words(words, count, &joined);
    bool failed = !words || joined.failed || text->failed;
    free(words);
    stapes__runes_clear(text);
    if (joined.data)
        stapes__runes_from_utf8(text, joined.data, joined.length);
    text->failed |= failed;
    stapes__buf_free(&block);
    stapes__buf_free(&joined);
    stapes__numbers_after(text);
}
