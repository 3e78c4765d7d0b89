#include "text/language.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

typedef enum script { LATIN, CYRILLIC, GREEK } script;

typedef struct language {
    const char *code;
    script script;
    const char *letters; /* lower case, beyond the 26 of basic Latin (Latin script), or all */
} language;

/* The 25 languages of parakeet-tdt-0.6b-v3. Letters of loanwords that ordinary spelling keeps
 * (French accents in English or Dutch, for example) are included. */
static const language languages[] = {
    {"bg", CYRILLIC, "абвгдежзийклмнопрстуфхцчшщъьюяѝ"},
    {"cs", LATIN, "áčďéěíňóřšťúůýž"},
    {"da", LATIN, "æøåéüöä"},
    {"de", LATIN, "äöüßéèàêç"},
    {"el", GREEK, "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ"},
    {"en", LATIN, "éèêëàâçïîôöûüñ"},
    {"es", LATIN, "áéíóúüñ"},
    {"et", LATIN, "äöõüšž"},
    {"fi", LATIN, "äöåšž"},
    {"fr", LATIN, "àâæçéèêëîïôœùûüÿñ"},
    {"hr", LATIN, "čćđšž"},
    {"hu", LATIN, "áéíóöőúüű"},
    {"it", LATIN, "àèéìíîòóùú"},
    {"lt", LATIN, "ąčęėįšųūž"},
    {"lv", LATIN, "āčēģīķļņšūž"},
    {"mt", LATIN, "ċġħżàèìòù"},
    {"nl", LATIN, "áéíóúàèëïöüçêô"},
    {"pl", LATIN, "ąćęłńóśźż"},
    {"pt", LATIN, "áâãàçéêíóôõúü"},
    {"ro", LATIN, "ăâîșțşţ"},
    {"ru", CYRILLIC, "абвгдеёжзийклмнопрстуфхцчшщъыьэюя"},
    {"sk", LATIN, "áäčďéíĺľňóôŕšťúýž"},
    {"sl", LATIN, "čšžćđ"},
    {"sv", LATIN, "åäöéüà"},
    {"uk", CYRILLIC, "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя"},
};
enum { COUNT = sizeof languages / sizeof *languages };

void stapes__languages_of(const stapes__tokenizer *t, stapes__buf *out) {
    for (size_t i = 0; i < COUNT; i++) {
        char tag[16];
        snprintf(tag, sizeof tag, "<|%s|>", languages[i].code);
        if (stapes__tokenizer_find(t, tag) < 0)
            continue;
        stapes__buf_printf(out, "%s%s", out->length ? "," : "", languages[i].code);
    }
}

static bool in_letters(const char *letters, utf8proc_int32_t want) {
    const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)letters;
    utf8proc_ssize_t left = (utf8proc_ssize_t)strlen(letters), step;
    utf8proc_int32_t cp;
    for (; left > 0 && (step = utf8proc_iterate(at, left, &cp)) > 0; at += step, left -= step)
        if (cp == want)
            return true;
    return false;
}

static bool letter_fits(const language *l, utf8proc_int32_t cp) {
    utf8proc_int32_t lower = utf8proc_tolower(cp);
    if (l->script == LATIN && lower >= 'a' && lower <= 'z')
        return true;
    return in_letters(l->letters, lower);
}

static bool piece_fits(const language *l, const char *piece) {
    const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)piece;
    utf8proc_ssize_t left = (utf8proc_ssize_t)strlen(piece), step;
    utf8proc_int32_t cp;
    for (; left > 0 && (step = utf8proc_iterate(at, left, &cp)) > 0; at += step, left -= step) {
        switch (utf8proc_category(cp)) {
        case UTF8PROC_CATEGORY_LU:
        case UTF8PROC_CATEGORY_LL:
        case UTF8PROC_CATEGORY_LT:
        case UTF8PROC_CATEGORY_LM:
        case UTF8PROC_CATEGORY_LO:
        case UTF8PROC_CATEGORY_MN:
        case UTF8PROC_CATEGORY_MC:
            if (!letter_fits(l, cp))
                return false;
            break;
        default:
            break;
        }
    }
    return true;
}

/* "en-US" and "EN" name "en". */
static const language *find_language(const char *code) {
    size_t length = strcspn(code, "-_");
    for (size_t i = 0; i < COUNT; i++) {
        const char *known = languages[i].code;
        if (length == 2 && (code[0] | 0x20) == known[0] && (code[1] | 0x20) == known[1])
            return &languages[i];
    }
    return NULL;
}

stapes_status stapes__language_mask(const stapes__tokenizer *t, size_t count, const char *code,
                                    unsigned char **allow, stapes_error *err) {
    const language *l = find_language(code);
    if (!l) {
        stapes__fail(err, STAPES_E_ARGUMENT, "language \"%s\" is not known", code);
        stapes__hint(err, "Known: auto bg cs da de el en es et fi fr hr hu it lt lv mt nl pl pt ro "
                          "ru sk sl sv uk.");
        return STAPES_E_ARGUMENT;
    }
    *allow = stapes__calloc(count, 1);
    if (!*allow)
        return stapes__fail_memory(err, "the language mask");
    for (size_t i = 0; i < count; i++) {
        const char *piece = stapes__tokenizer_piece(t, (int32_t)i);
        bool special = stapes__tokenizer_special(t, (int32_t)i);
        (*allow)[i] = special || !piece || piece_fits(l, piece);
    }
    return STAPES_OK;
}
