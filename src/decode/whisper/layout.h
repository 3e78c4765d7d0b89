/* Token ids of the three Whisper vocabularies, by their size, and the fixed sequences built from
 * them (spec/whisper 5, 8). */
#ifndef STAPES_DECODE_WHISPER_LAYOUT_H
#define STAPES_DECODE_WHISPER_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"

typedef struct stapes__whisper_layout {
    int32_t vocabulary; /* 51864, 51865 or 51866 */
    bool multilingual;
    int32_t eot, sot, first_language, languages; /* languages: 99 or 100 */
    int32_t translate, transcribe, startoflm, startofprev, nospeech, notimestamps;
    int32_t timestamp_begin; /* <|0.00|>; 1501 of them, 0.02 s apart, end the vocabulary */
} stapes__whisper_layout;

typedef enum stapes__whisper_task {
    STAPES__WHISPER_TRANSCRIBE,
    STAPES__WHISPER_TRANSLATE /* into English */
} stapes__whisper_task;

enum { STAPES__WHISPER_MAX_LANGUAGES = 100, STAPES__WHISPER_MAX_SOT = 4 };

/* The layout of a vocabulary of this size. UNSUPPORTED names the sizes that exist. */
stapes_status stapes__whisper_layout_of(size_t vocabulary, stapes__whisper_layout *out,
                                        stapes_error *err);

/* Code of the language with index 0 .. 99 in vocabulary order ("en", "zh", ...); NULL outside. */
const char *stapes__whisper_language_code(int index);
/* Index of a code ("de") or an English name ("German", any case), -1 when this layout has none. */
int stapes__whisper_language_index(const stapes__whisper_layout *layout, const char *language);

/* sot, language and task (sot alone for an English-only vocabulary) and, without timestamps,
 * notimestamps. Returns how many ids were written to out. language: index, ignored by
 * English-only vocabularies. */
size_t stapes__whisper_sot_sequence(const stapes__whisper_layout *layout, int language,
                                    stapes__whisper_task task, bool timestamps,
                                    int32_t out[STAPES__WHISPER_MAX_SOT]);

/* Appends the spelling of a special id: <|endoftext|>, <|de|>, <|1.08|>; nothing for ids below
 * eot. */
void stapes__whisper_special_text(const stapes__whisper_layout *layout, int32_t id,
                                  stapes__buf *out);

#endif
