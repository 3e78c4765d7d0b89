#include "eval/number_words.h"

#include <string.h>

static const struct entry {
    const char *text;
    stapes__number_word word;
} irregular[] = {
    {"o", {STAPES__NUM_ZERO, 0, ""}},
    {"oh", {STAPES__NUM_ZERO, 0, ""}},
    {"zero", {STAPES__NUM_ZERO, 0, ""}},
    {"sixes", {STAPES__NUM_ONE_SUFFIXED, 6, "s"}},
    {"zeroth", {STAPES__NUM_ONE_SUFFIXED, 0, "th"}},
    {"first", {STAPES__NUM_ONE_SUFFIXED, 1, "st"}},
    {"second", {STAPES__NUM_ONE_SUFFIXED, 2, "nd"}},
    {"third", {STAPES__NUM_ONE_SUFFIXED, 3, "rd"}},
    {"fifth", {STAPES__NUM_ONE_SUFFIXED, 5, "th"}},
    {"eighth", {STAPES__NUM_ONE_SUFFIXED, 8, "th"}},
    {"twelfth", {STAPES__NUM_ONE_SUFFIXED, 12, "th"}},
    {"minus", {STAPES__NUM_SIGN, 0, "-"}},
    {"negative", {STAPES__NUM_SIGN, 0, "-"}},
    {"plus", {STAPES__NUM_SIGN, 0, "+"}},
    {"positive", {STAPES__NUM_SIGN, 0, "+"}},
    {"pound", {STAPES__NUM_UNIT, 0, "\xc2\xa3"}},
    {"pounds", {STAPES__NUM_UNIT, 0, "\xc2\xa3"}},
    {"euro", {STAPES__NUM_UNIT, 0, "\xe2\x82\xac"}},
    {"euros", {STAPES__NUM_UNIT, 0, "\xe2\x82\xac"}},
    {"dollar", {STAPES__NUM_UNIT, 0, "$"}},
    {"dollars", {STAPES__NUM_UNIT, 0, "$"}},
    {"cent", {STAPES__NUM_UNIT, 0, "\xc2\xa2"}},
    {"cents", {STAPES__NUM_UNIT, 0, "\xc2\xa2"}},
    {"per", {STAPES__NUM_PER, 0, ""}},
    {"percent", {STAPES__NUM_PERCENT, 0, ""}},
    {"and", {STAPES__NUM_AND, 0, ""}},
    {"double", {STAPES__NUM_REPEAT, 2, ""}},
    {"triple", {STAPES__NUM_REPEAT, 3, ""}},
    {"point", {STAPES__NUM_POINT, 0, ""}},
};

static const char *const ones[] = {"one",     "two",       "three",    "four",     "five",
                                   "six",     "seven",     "eight",    "nine",     "ten",
                                   "eleven",  "twelve",    "thirteen", "fourteen", "fifteen",
                                   "sixteen", "seventeen", "eighteen", "nineteen"};
static const char *const tens[] = {"twent", "thirt",  "fort",  "fift",
                                   "sixt",  "sevent", "eight", "ninet"};
static const struct power {
    const char *text;
    int zeros;
} powers[] = {{"hundred", 2},     {"thousand", 3},     {"million", 6},      {"billion", 9},
              {"trillion", 12},   {"quadrillion", 15}, {"quintillion", 18}, {"sextillion", 21},
              {"septillion", 24}, {"octillion", 27},   {"nonillion", 30},   {"decillion", 33}};

/* Four to nineteen form their ordinals by rule, except those listed above. */
static bool ordinal_by_rule(int value) {
    return value > 3 && value != 5 && value != 8 && value != 12;
}

const char *stapes__text_after(const char *text, const char *stem) {
    size_t length = strlen(stem);
    return strncmp(text, stem, length) == 0 ? text + length : NULL;
}

static stapes__number_word look_up_one(const char *text) {
    for (int i = 0; i < (int)(sizeof ones / sizeof *ones); i++) {
        const char *rest = stapes__text_after(text, ones[i]);
        int value = i + 1;
        if (!rest)
            continue;
        if (*rest == 0)
            return (stapes__number_word){STAPES__NUM_ONE, value, ""};
        if (strcmp(rest, "s") == 0 && value != 6)
            return (stapes__number_word){STAPES__NUM_ONE_SUFFIXED, value, "s"};
        if (strcmp(rest, "th") == 0 && ordinal_by_rule(value))
            return (stapes__number_word){STAPES__NUM_ONE_SUFFIXED, value, "th"};
    }
    return (stapes__number_word){STAPES__NUM_NONE, 0, ""};
}

stapes__number_word stapes__number_look_up(const char *text) {
    for (size_t i = 0; i < sizeof irregular / sizeof *irregular; i++)
        if (strcmp(text, irregular[i].text) == 0)
            return irregular[i].word;
    stapes__number_word found = look_up_one(text);
    if (found.kind != STAPES__NUM_NONE)
        return found;
    for (int i = 0; i < (int)(sizeof tens / sizeof *tens); i++) {
        const char *rest = stapes__text_after(text, tens[i]);
        int value = 10 * (i + 2);
        if (rest && strcmp(rest, "y") == 0)
            return (stapes__number_word){STAPES__NUM_TEN, value, ""};
        if (rest && strcmp(rest, "ies") == 0)
            return (stapes__number_word){STAPES__NUM_TEN_SUFFIXED, value, "s"};
        if (rest && strcmp(rest, "ieth") == 0)
            return (stapes__number_word){STAPES__NUM_TEN_SUFFIXED, value, "th"};
    }
    for (size_t i = 0; i < sizeof powers / sizeof *powers; i++) {
        const char *rest = stapes__text_after(text, powers[i].text);
        if (rest && *rest == 0)
            return (stapes__number_word){STAPES__NUM_POWER, powers[i].zeros, ""};
        if (rest && strcmp(rest, "s") == 0)
            return (stapes__number_word){STAPES__NUM_POWER_SUFFIXED, powers[i].zeros, "s"};
        if (rest && strcmp(rest, "th") == 0)
            return (stapes__number_word){STAPES__NUM_POWER_SUFFIXED, powers[i].zeros, "th"};
    }
    return found;
}

bool stapes__number_is_decimal(stapes__number_word w) {
    return w.kind == STAPES__NUM_ZERO || w.kind == STAPES__NUM_ONE || w.kind == STAPES__NUM_TEN;
}
