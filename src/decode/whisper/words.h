/* Words of a token sequence and their times from cross-attention (spec/whisper 13). */
#ifndef STAPES_DECODE_WHISPER_WORDS_H
#define STAPES_DECODE_WHISPER_WORDS_H

#include "decode/whisper/layout.h"
#include "decode/whisper/net.h"
#include "text/tokenizer.h"

/* Tokens first .. first + count of the sequence that was split. */
typedef struct stapes__whisper_word {
    char *text; /* "" once merged into a neighbour */
    size_t first, count;
    double start, end, probability; /* seconds from the start of the window */
} stapes__whisper_word;

typedef struct stapes__whisper_words {
    stapes__whisper_word *items;
    size_t count, capacity;
} stapes__whisper_words;

void stapes__whisper_words_free(stapes__whisper_words *words);
/* Appends a word with a copy of the text. */
stapes_status stapes__whisper_words_add(stapes__whisper_words *words, const char *text,
                                        size_t length, size_t first, size_t count,
                                        stapes_error *err);

/* True for languages written without spaces: every complete group of characters is a word. */
bool stapes__whisper_unspaced(const char *language_code);

/* Splits tokens into words: at spaces, punctuation and special ids, or at every complete group of
 * characters when `unspaced`. Times and probabilities stay 0. `words` must be empty. */
stapes_status stapes__whisper_split(const stapes__whisper_layout *layout,
                                    const stapes__tokenizer *tokenizer, const int32_t *tokens,
                                    size_t count, bool unspaced, stapes__whisper_words *words,
                                    stapes_error *err);

#define STAPES__WHISPER_PREPEND "\"'“¿([{-"
#define STAPES__WHISPER_APPEND "\"'.。,，!！?？:：”)]}、"

/* Merges words made of characters of `prepended` (after a space) into the next word and those of
 * `appended` into the one before. Merged words stay in the list with empty text and no tokens;
 * times are not touched. */
stapes_status stapes__whisper_merge(stapes__whisper_words *words, const char *prepended,
                                    const char *appended, stapes_error *err);

/* Median of 7 along each row of x [rows][columns] in place, edges reflected; rows of at most 3
 * columns are left alone. scratch: columns + 6 floats. */
void stapes__whisper_median(float *x, size_t rows, size_t columns, float *scratch);

/* Dynamic time warping of cost [n][m] (m >= 1): jumps[i] is the first column of row i on the
 * cheapest path. path_rows and path_columns, when not NULL, receive the path ([n + m] each) and
 * *path_length its length. */
stapes_status stapes__whisper_dtw(const float *cost, size_t n, size_t m, size_t *jumps,
                                  int32_t *path_rows, int32_t *path_columns, size_t *path_length,
                                  stapes_error *err);

/* Attention [heads][tokens][frames] (changed) to its mean over the heads, normalised and filtered,
 * negated: the cost of rows `from` .. to, [to - from][frames]. */
stapes_status stapes__whisper_attention_cost(float *attention, size_t heads, size_t tokens,
                                             size_t frames, size_t from, size_t to, float *cost,
                                             stapes_error *err);

/* Aligns text tokens (ids below eot) with the window that the net has encoded. mel_frames: content
 * of the window. `words` must be empty; it stays empty for no tokens. Errors: MEMORY, NUMERIC,
 * those of the net; ARGUMENT when the tokens do not fit into the context. */
stapes_status stapes__whisper_align(stapes__whisper_net *net, const stapes__whisper_layout *layout,
                                    const stapes__tokenizer *tokenizer, int language,
                                    stapes__whisper_task task, const int32_t *tokens, size_t count,
                                    size_t mel_frames, stapes__whisper_words *words,
                                    stapes_error *err);

/* Alignment heads of a model into out: by name ("tiny.en", "large-v3-turbo", a leading "whisper-"
 * or "openai/" is ignored; NULL or unknown = by its sizes), otherwise all heads of the last half of
 * the layers. Returns how many there are; at most `capacity` are written. large-v1 and -v2 have
 * equal sizes: without a name, v2's heads are taken. */
size_t stapes__whisper_alignment_heads(const char *name, size_t layers, size_t heads,
                                       size_t vocabulary, stapes__whisper_head *out,
                                       size_t capacity);

#endif
