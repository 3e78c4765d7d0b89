/* Languages of a vocabulary: which ones it names, and which pieces a language can be written
 * with. */
#ifndef STAPES_TEXT_LANGUAGE_H
#define STAPES_TEXT_LANGUAGE_H

#include "text/tokenizer.h"

/* Appends the codes of the known languages whose tag <|xx|> is in the vocabulary, comma-separated;
 * nothing for vocabularies without tags. */
void stapes__languages_of(const stapes__tokenizer *t, stapes__buf *out);

/* allow[i] = 1 when piece i of the first `count` can occur in text of the language: every letter
 * belongs to its alphabet; digits, punctuation and symbols always may. Upper and lower case are
 * alike. *allow is malloc'ed. ARGUMENT for a code that is not in the table (lists the known
 * ones). */
stapes_status stapes__language_mask(const stapes__tokenizer *t, size_t count, const char *code,
                                    unsigned char **allow, stapes_error *err);

#endif
