/* Outline: every normaliser decodes the text once, runs its passes over code points and encodes the
 * result. The Whisper pair follows whisper/normalizers/{basic,english}.py of openai-whisper
 * 20250625 (MIT), whose results tests/vectors/wer pins. */
#include "eval/normalize.h"

#include <string.h>
#include <utf8proc.h>

#include "eval/normalize_parts.h"

static const char *const names[] = {"none", "plain", "basic", "letters", "whisper"};

bool stapes__normalizer_from_name(const char *name, stapes__normalizer *out) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (stapes__normalizer)i;
            return true;
        }
    return false;
}

const char *stapes__normalizer_name(stapes__normalizer normalizer) {
    return names[normalizer];
}

/* Puts the result of a pass in the place of its input. */
static void take(stapes__runes *text, stapes__runes *result) {
    result->failed |= text->failed;
    stapes__runes_free(text);
    *text = *result;
}

/* [<\[][^>\]]*[>\]] */
static void remove_angles(stapes__runes *text) {
    stapes__runes out = {0};
    for (size_t i = 0; i < text->length; i++) {
        size_t close = i;
        if (text->at[i] == '<' || text->at[i] == '[')
            for (close = i + 1; close < text->length; close++)
                if (text->at[close] == '>' || text->at[close] == ']')
                    break;
        if (close == i || close == text->length)
            stapes__runes_push(&out, text->at[i]);
        else
            i = close;
    }
    take(text, &out);
}

/* \(([^)]+?)\) : at least one character between. */
static void remove_parentheses(stapes__runes *text) {
    stapes__runes out = {0};
    for (size_t i = 0; i < text->length; i++) {
        size_t close = i;
        if (text->at[i] == '(' && i + 1 < text->length && text->at[i + 1] != ')')
            for (close = i + 2; close < text->length && text->at[close] != ')'; close++)
                ;
        if (close == i || close >= text->length)
            stapes__runes_push(&out, text->at[i]);
        else
            i = close;
    }
    take(text, &out);
}

void stapes__remove_brackets(stapes__runes *text) {
    remove_angles(text);
    remove_parentheses(text);
}

void stapes__symbols_to_spaces(stapes__runes *text) {
    stapes__runes_normalize(text, STAPES__NFKC);
    for (size_t i = 0; i < text->length; i++)
        if (stapes__rune_is_symbol(text->at[i]))
            text->at[i] = ' ';
}

/* Letters that no normal form splits into a base and an accent. */
static const char *ascii_of(uint32_t rune) {
    switch (rune) {
    case 0x153:
        return "oe";
    case 0x152:
        return "OE";
    case 0xf8:
        return "o";
    case 0xd8:
        return "O";
    case 0xe6:
        return "ae";
    case 0xc6:
        return "AE";
    case 0xdf:
        return "ss";
    case 0x1e9e:
        return "SS";
    case 0x111:
    case 0xf0:
        return "d";
    case 0x110:
    case 0xd0:
        return "D";
    case 0xfe:
    case 0xde:
        return "th";
    case 0x142:
        return "l";
    case 0x141:
        return "L";
    default:
        return NULL;
    }
}

static bool holds(const stapes__runes *set, uint32_t rune) {
    for (size_t i = 0; i < set->length; i++)
        if (set->at[i] == rune)
            return true;
    return false;
}

void stapes__symbols_and_accents(stapes__runes *text, const char *keep) {
    stapes__runes out = {0}, kept = {0};
    stapes__runes_from_utf8(&kept, keep, strlen(keep));
    stapes__runes_normalize(text, STAPES__NFKD);
    for (size_t i = 0; i < text->length; i++) {
        uint32_t rune = text->at[i];
        const char *ascii = ascii_of(rune);
        if (holds(&kept, rune))
            stapes__runes_push(&out, rune);
        else if (ascii)
            stapes__runes_from_utf8(&out, ascii, strlen(ascii));
        else if (!stapes__rune_is_accent(rune))
            stapes__runes_push(&out, stapes__rune_is_symbol(rune) ? ' ' : rune);
    }
    out.failed |= kept.failed;
    stapes__runes_free(&kept);
    take(text, &out);
}

void stapes__collapse_spaces(stapes__runes *text) {
    size_t length = 0;
    for (size_t i = 0; i < text->length; i++) {
        bool space = stapes__rune_is_space(text->at[i]);
        if (!space)
            text->at[length++] = text->at[i];
        else if (i == 0 || !stapes__rune_is_space(text->at[i - 1]))
            text->at[length++] = ' ';
    }
    text->length = length;
}

/* A space between grapheme clusters. */
static void split_letters(stapes__runes *text) {
    stapes__runes out = {0};
    utf8proc_int32_t state = 0;
    for (size_t i = 0; i < text->length; i++) {
        if (i > 0 && utf8proc_grapheme_break_stateful((utf8proc_int32_t)text->at[i - 1],
                                                      (utf8proc_int32_t)text->at[i], &state))
            stapes__runes_push(&out, ' ');
        stapes__runes_push(&out, text->at[i]);
    }
    take(text, &out);
}

static void normalize_basic(stapes__runes *text, bool letters) {
    stapes__runes_lower(text);
    stapes__remove_brackets(text);
    if (letters)
        stapes__symbols_and_accents(text, "");
    else
        stapes__symbols_to_spaces(text);
    stapes__runes_lower(text);
    if (letters)
        split_letters(text);
    stapes__collapse_spaces(text);
}

static void normalize_plain(stapes__runes *text) {
    stapes__runes_normalize(text, STAPES__NFKC);
    stapes__runes_lower(text);
    size_t length = 0;
    for (size_t i = 0; i < text->length; i++)
        if (!stapes__rune_is_symbol(text->at[i]) || stapes__rune_is_accent(text->at[i]))
            text->at[length++] = text->at[i];
    text->length = length;
    stapes__collapse_spaces(text);
    if (text->length && text->at[text->length - 1] == ' ')
        text->length--;
    if (text->length && text->at[0] == ' ')
        memmove(text->at, text->at + 1, --text->length * sizeof *text->at);
}

stapes_status stapes__normalize(stapes__normalizer normalizer, const char *text, stapes__buf *out,
                                stapes_error *err) {
    if (normalizer == STAPES__NORMALIZE_NONE) {
        stapes__buf_puts(out, text);
        return out->failed ? stapes__fail_memory(err, "normalised text") : STAPES_OK;
    }
    stapes__runes runes = {0};
    stapes__runes_from_utf8(&runes, text, strlen(text));
    if (normalizer == STAPES__NORMALIZE_PLAIN)
        normalize_plain(&runes);
    else if (normalizer == STAPES__NORMALIZE_ENGLISH)
        stapes__normalize_english(&runes);
    else
        normalize_basic(&runes, normalizer == STAPES__NORMALIZE_BASIC_LETTERS);
    stapes__runes_to_utf8(runes.at, runes.length, out);
    stapes__buf_append(out, "", 0); /* out->data is a string even when nothing was appended */
    bool failed = runes.failed || out->failed;
    stapes__runes_free(&runes);
    return failed ? stapes__fail_memory(err, "normalised text") : STAPES_OK;
}
