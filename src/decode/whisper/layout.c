#include "decode/whisper/layout.h"

#include <string.h>
#include <strings.h>

typedef struct language_row {
    char code[4];
    const char *name;
} language_row;

/* In vocabulary order; ids count up from first_language. */
static const language_row languages[] = {
    {"en", "english"},        {"zh", "chinese"},     {"de", "german"},        {"es", "spanish"},
    {"ru", "russian"},        {"ko", "korean"},      {"fr", "french"},        {"ja", "japanese"},
    {"pt", "portuguese"},     {"tr", "turkish"},     {"pl", "polish"},        {"ca", "catalan"},
    {"nl", "dutch"},          {"ar", "arabic"},      {"sv", "swedish"},       {"it", "italian"},
    {"id", "indonesian"},     {"hi", "hindi"},       {"fi", "finnish"},       {"vi", "vietnamese"},
    {"he", "hebrew"},         {"uk", "ukrainian"},   {"el", "greek"},         {"ms", "malay"},
    {"cs", "czech"},          {"ro", "romanian"},    {"da", "danish"},        {"hu", "hungarian"},
    {"ta", "tamil"},          {"no", "norwegian"},   {"th", "thai"},          {"ur", "urdu"},
    {"hr", "croatian"},       {"bg", "bulgarian"},   {"lt", "lithuanian"},    {"la", "latin"},
    {"mi", "maori"},          {"ml", "malayalam"},   {"cy", "welsh"},         {"sk", "slovak"},
    {"te", "telugu"},         {"fa", "persian"},     {"lv", "latvian"},       {"bn", "bengali"},
    {"sr", "serbian"},        {"az", "azerbaijani"}, {"sl", "slovenian"},     {"kn", "kannada"},
    {"et", "estonian"},       {"mk", "macedonian"},  {"br", "breton"},        {"eu", "basque"},
    {"is", "icelandic"},      {"hy", "armenian"},    {"ne", "nepali"},        {"mn", "mongolian"},
    {"bs", "bosnian"},        {"kk", "kazakh"},      {"sq", "albanian"},      {"sw", "swahili"},
    {"gl", "galician"},       {"mr", "marathi"},     {"pa", "punjabi"},       {"si", "sinhala"},
    {"km", "khmer"},          {"sn", "shona"},       {"yo", "yoruba"},        {"so", "somali"},
    {"af", "afrikaans"},      {"oc", "occitan"},     {"ka", "georgian"},      {"be", "belarusian"},
    {"tg", "tajik"},          {"sd", "sindhi"},      {"gu", "gujarati"},      {"am", "amharic"},
    {"yi", "yiddish"},        {"lo", "lao"},         {"uz", "uzbek"},         {"fo", "faroese"},
    {"ht", "haitian creole"}, {"ps", "pashto"},      {"tk", "turkmen"},       {"nn", "nynorsk"},
    {"mt", "maltese"},        {"sa", "sanskrit"},    {"lb", "luxembourgish"}, {"my", "myanmar"},
    {"bo", "tibetan"},        {"tl", "tagalog"},     {"mg", "malagasy"},      {"as", "assamese"},
    {"tt", "tatar"},          {"haw", "hawaiian"},   {"ln", "lingala"},       {"ha", "hausa"},
    {"ba", "bashkir"},        {"jw", "javanese"},    {"su", "sundanese"},     {"yue", "cantonese"},
};
_Static_assert(sizeof languages / sizeof *languages == STAPES__WHISPER_MAX_LANGUAGES,
               "one row per language");

stapes_status stapes__whisper_layout_of(size_t vocabulary, stapes__whisper_layout *out,
                                        stapes_error *err) {
    if (vocabulary < 51864 || vocabulary > 51866) {
        stapes__fail(err, STAPES_E_UNSUPPORTED, "a Whisper vocabulary of %zu tokens is not known",
                     vocabulary);
        stapes__hint(err, "Whisper models have 51864 (English), 51865 or 51866 (large-v3) tokens.");
        return STAPES_E_UNSUPPORTED;
    }
    bool multilingual = vocabulary > 51864;
    int32_t eot = multilingual ? 50257 : 50256;
    int32_t count = vocabulary == 51866 ? 100 : 99;
    int32_t after = eot + 2 + count;
    *out = (stapes__whisper_layout){.vocabulary = (int32_t)vocabulary,
                                    .multilingual = multilingual,
                                    .eot = eot,
                                    .sot = eot + 1,
                                    .first_language = eot + 2,
                                    .languages = count,
                                    .translate = after,
                                    .transcribe = after + 1,
                                    .startoflm = after + 2,
                                    .startofprev = after + 3,
                                    .nospeech = after + 4,
                                    .notimestamps = after + 5,
                                    .timestamp_begin = after + 6};
    return STAPES_OK;
}

const char *stapes__whisper_language_code(int index) {
    return index >= 0 && index < STAPES__WHISPER_MAX_LANGUAGES ? languages[index].code : NULL;
}

int stapes__whisper_language_index(const stapes__whisper_layout *layout, const char *language) {
    for (int i = 0; i < layout->languages; i++)
        if (strcasecmp(language, languages[i].code) == 0 ||
            strcasecmp(language, languages[i].name) == 0)
            return i;
    return -1;
}

size_t stapes__whisper_sot_sequence(const stapes__whisper_layout *layout, int language,
                                    stapes__whisper_task task, bool timestamps,
                                    int32_t out[STAPES__WHISPER_MAX_SOT]) {
    size_t n = 0;
    out[n++] = layout->sot;
    if (layout->multilingual) {
        out[n++] = layout->first_language + language;
        out[n++] = task == STAPES__WHISPER_TRANSLATE ? layout->translate : layout->transcribe;
    }
    if (!timestamps)
        out[n++] = layout->notimestamps;
    return n;
}

void stapes__whisper_special_text(const stapes__whisper_layout *layout, int32_t id,
                                  stapes__buf *out) {
    static const char *const names[] = {"translate",   "transcribe", "startoflm",
                                        "startofprev", "nospeech",   "notimestamps"};
    if (id < layout->eot || id >= layout->vocabulary)
        return;
    if (id == layout->eot)
        stapes__buf_puts(out, "<|endoftext|>");
    else if (id == layout->sot)
        stapes__buf_puts(out, "<|startoftranscript|>");
    else if (id < layout->translate)
        stapes__buf_printf(out, "<|%s|>", languages[id - layout->first_language].code);
    else if (id < layout->timestamp_begin)
        stapes__buf_printf(out, "<|%s|>", names[id - layout->translate]);
    else
        stapes__buf_printf(out, "<|%.2f|>", (id - layout->timestamp_begin) * 0.02);
}
