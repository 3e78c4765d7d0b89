/* Outline of the English normaliser: lower case; bracketed text and fillers out; contractions and
 * titles written out, each rule one pass in this order; commas inside numbers and full stops
 * outside them removed; symbols and accents removed; number words to digits; British to American
 * spelling; stray currency and percent signs removed; spaces collapsed. */
#include <stdlib.h>
#include <string.h>

#include "eval/normalize_parts.h"

static void take(stapes__runes *text, stapes__runes *result) {
    result->failed |= text->failed;
    stapes__runes_free(text);
    *text = *result;
}

/* A rule matches its literal up to the end of a word, and from the start of one unless the literal
 * begins inside a word ("n't") or with the apostrophe. */
typedef struct rule {
    const char *literal, *replacement;
    bool whole;
} rule;

static const rule rules[] = {
    /* contractions that have their own form */
    {"won't", "will not", true},
    {"can't", "can not", true},
    {"let's", "let us", true},
    {"ain't", "aint", true},
    {"y'all", "you all", true},
    {"wanna", "want to", true},
    {"gotta", "got to", true},
    {"gonna", "going to", true},
    {"i'ma", "i am going to", true},
    {"imma", "i am going to", true},
    {"woulda", "would have", true},
    {"coulda", "could have", true},
    {"shoulda", "should have", true},
    {"ma'am", "madam", true},
    /* titles, with a space that separates a joined abbreviation */
    {"mr", "mister ", true},
    {"mrs", "missus ", true},
    {"st", "saint ", true},
    {"dr", "doctor ", true},
    {"prof", "professor ", true},
    {"capt", "captain ", true},
    {"gov", "governor ", true},
    {"ald", "alderman ", true},
    {"gen", "general ", true},
    {"sen", "senator ", true},
    {"rep", "representative ", true},
    {"pres", "president ", true},
    {"rev", "reverend ", true},
    {"hon", "honorable ", true},
    {"asst", "assistant ", true},
    {"assoc", "associate ", true},
    {"lt", "lieutenant ", true},
    {"col", "colonel ", true},
    {"jr", "junior ", true},
    {"sr", "senior ", true},
    {"esq", "esquire ", true},
    /* perfect tenses, before the general reading of 'd and 's */
    {"'d been", " had been", false},
    {"'s been", " has been", false},
    {"'d gone", " had gone", false},
    {"'s gone", " has gone", false},
    {"'d done", " had done", false},
    {"'s got", " has got", false},
    /* the other contractions */
    {"n't", " not", false},
    {"'re", " are", false},
    {"'s", " is", false},
    {"'d", " would", false},
    {"'ll", " will", false},
    {"'t", " not", false},
    {"'ve", " have", false},
    {"'m", " am", false},
};

static const rule fillers[] = {
    {"hmm", "", true}, {"mm", "", true}, {"mhm", "", true},
    {"mmm", "", true}, {"uh", "", true}, {"um", "", true},
};

static bool matches(const stapes__runes *text, size_t at, const rule *wanted) {
    return stapes__runes_match(text, at, wanted->literal) &&
           (!wanted->whole || stapes__runes_boundary(text, at)) &&
           stapes__runes_boundary(text, at + strlen(wanted->literal));
}

/* The first place from `at` where one of `count` alternatives matches, and which; length if none.
 */
static size_t find(const stapes__runes *text, size_t at, const rule *alternatives, size_t count,
                   const rule **found) {
    for (; at < text->length; at++)
        for (size_t k = 0; k < count; k++)
            if (text->at[at] == (unsigned char)alternatives[k].literal[0] &&
                matches(text, at, &alternatives[k])) {
                *found = &alternatives[k];
                return at;
            }
    return text->length;
}

/* One pass in which the first of `count` alternatives that matches at a place is replaced. */
static void replace(stapes__runes *text, const rule *alternatives, size_t count) {
    const rule *found = NULL;
    size_t start = 0, at = find(text, 0, alternatives, count, &found);
    if (at == text->length)
        return; /* most rules do not occur */
    stapes__runes out = {0};
    while (at < text->length) {
        stapes__runes_append(&out, text->at + start, at - start);
        stapes__runes_from_utf8(&out, found->replacement, strlen(found->replacement));
        start = at + strlen(found->literal);
        at = find(text, start, alternatives, count, &found);
    }
    stapes__runes_append(&out, text->at + start, text->length - start);
    take(text, &out);
}

/* \s+' : an apostrophe joins the word before it. */
static void join_apostrophes(stapes__runes *text) {
    stapes__runes out = {0};
    for (size_t i = 0; i < text->length;) {
        size_t end = i;
        while (end < text->length && stapes__rune_is_space(text->at[end]))
            end++;
        if (end == i)
            end++;
        else if (end < text->length && text->at[end] == '\'')
            i = end++;
        stapes__runes_append(&out, text->at + i, end - i);
        i = end;
    }
    take(text, &out);
}

/* (\d),(\d) : the second digit cannot be the first of another match. */
static void drop_commas_in_numbers(stapes__runes *text) {
    stapes__runes out = {0};
    for (size_t i = 0; i < text->length; i++) {
        stapes__runes_push(&out, text->at[i]);
        if (i + 2 < text->length && stapes__rune_is_digit(text->at[i]) && text->at[i + 1] == ',' &&
            stapes__rune_is_digit(text->at[i + 2])) {
            stapes__runes_push(&out, text->at[i + 2]);
            i += 2;
        }
    }
    take(text, &out);
}

static bool ascii_digit(uint32_t rune) {
    return rune >= '0' && rune <= '9';
}

/* \.([^0-9]|$) : a full stop becomes a space; what follows it is taken along unread. */
static void drop_full_stops(stapes__runes *text) {
    stapes__runes out = {0};
    for (size_t i = 0; i < text->length; i++) {
        bool last = i + 1 == text->length;
        if (text->at[i] != '.' || (!last && ascii_digit(text->at[i + 1]))) {
            stapes__runes_push(&out, text->at[i]);
            continue;
        }
        stapes__runes_push(&out, ' ');
        if (!last)
            stapes__runes_push(&out, text->at[++i]);
    }
    take(text, &out);
}

static bool is_prefix_sign(uint32_t rune) {
    return rune == '.' || rune == '$' || rune == 0xa2 || rune == 0x20ac || rune == 0xa3;
}

/* [.$...]([^0-9]) : a sign in front of anything but a digit becomes a space. */
static void drop_stray_prefixes(stapes__runes *text) {
    stapes__runes out = {0};
    for (size_t i = 0; i < text->length; i++) {
        bool stray =
            is_prefix_sign(text->at[i]) && i + 1 < text->length && !ascii_digit(text->at[i + 1]);
        stapes__runes_push(&out, stray ? ' ' : text->at[i]);
        if (stray)
            stapes__runes_push(&out, text->at[++i]);
    }
    take(text, &out);
}

/* ([^0-9])% : a percent sign after anything but a digit becomes a space. */
static void drop_stray_percents(stapes__runes *text) {
    stapes__runes out = {0};
    for (size_t i = 0; i < text->length; i++) {
        stapes__runes_push(&out, text->at[i]);
        if (i + 1 < text->length && !ascii_digit(text->at[i]) && text->at[i + 1] == '%') {
            stapes__runes_push(&out, ' ');
            i++;
        }
    }
    take(text, &out);
}

/* British and American forms, sorted by the British one. */
static const struct spelling {
    const char *british, *american;
} spellings[] = {
#include "eval/spelling.inc"
};

static int by_british(const void *key, const void *entry) {
    return strcmp(key, ((const struct spelling *)entry)->british);
}

/* Appends the American spelling of a word, or the word. */
static void append_spelling(stapes__runes *out, const uint32_t *word, size_t length) {
    stapes__buf text = {0};
    stapes__runes_to_utf8(word, length, &text);
    const struct spelling *found = NULL;
    if (text.data)
        found = bsearch(text.data, spellings, sizeof spellings / sizeof *spellings,
                        sizeof *spellings, by_british);
    if (found)
        stapes__runes_from_utf8(out, found->american, strlen(found->american));
    else
        stapes__runes_append(out, word, length);
    out->failed |= text.failed;
    stapes__buf_free(&text);
}

static void americanize(stapes__runes *text) {
    stapes__runes out = {0};
    for (size_t i = 0; i < text->length;) {
        size_t end = i;
        while (end < text->length && !stapes__rune_is_space(text->at[end]))
            end++;
        if (end > i) {
            if (out.length)
                stapes__runes_push(&out, ' ');
            append_spelling(&out, text->at + i, end - i);
        }
        i = end + 1;
    }
    take(text, &out);
}

void stapes__normalize_english(stapes__runes *text) {
    stapes__runes_lower(text);
    stapes__remove_brackets(text);
    replace(text, fillers, sizeof fillers / sizeof *fillers);
    join_apostrophes(text);
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        replace(text, &rules[i], 1);
    drop_commas_in_numbers(text);
    drop_full_stops(text);
    stapes__symbols_and_accents(text, ".%$\xc2\xa2\xe2\x82\xac\xc2\xa3");
    stapes__normalize_numbers(text);
    americanize(text);
    drop_stray_prefixes(text);
    drop_stray_percents(text);
    stapes__collapse_spaces(text);
}
