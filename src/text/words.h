/* From tokens to words and segments (spec/transducer-and-ctc 9, 10, 15). Incremental: tokens are
 * pushed as they are decoded; finished segments never change. */
#ifndef STAPES_TEXT_WORDS_H
#define STAPES_TEXT_WORDS_H

#include "stapes/result.h"
#include "text/tokenizer.h"

/* A decoded token before it has a text. Frames count from the start of the recording. */
typedef struct stapes__raw_token {
    int32_t id, frame, duration;
    float logit, logprob, confidence;
} stapes__raw_token;

typedef enum stapes__head_kind {
    STAPES__HEAD_TDT,
    STAPES__HEAD_RNNT,
    STAPES__HEAD_CTC
} stapes__head_kind;

typedef struct stapes__words_params {
    const stapes__tokenizer *tokenizer; /* kept, not owned */
    stapes__head_kind head;             /* punctuation refinement is TDT's */
    double frame_seconds;               /* 0.08 */
    double segment_gap;                 /* seconds; 0 = punctuation alone ends a segment */
    bool nemo_text;
    int32_t channel;      /* -1 = mixed */
    double max_word_tail; /* a word's end is at most this many seconds after its last
                             token's start (durations on a blank tail swallow
                             silence); raw times are kept. 0 = no trimming */
} stapes__words_params;

typedef struct stapes__words stapes__words;

stapes_status stapes__words_open(stapes__words **out, const stapes__words_params *params,
                                 stapes_error *err);
void stapes__words_close(stapes__words **words);
void stapes__words_reset(stapes__words *words);

/* Adds decoded tokens. Special tokens are kept in the token list and left out of the text. */
stapes_status stapes__words_push(stapes__words *words, const stapes__raw_token *tokens,
                                 size_t count, stapes_error *err);
/* The recording ends here: words after this call do not reach beyond (a duration predicted on the
 * last frame may). Forgotten by reset. */
void stapes__words_set_end(stapes__words *words, double seconds);
/* No more tokens: closes the open segment. */
stapes_status stapes__words_finish(stapes__words *words, stapes_error *err);

/* Segments complete so far; a segment is complete when the next one has begun or after finish.
 * Pointers stay valid until the next push, finish or reset. */
size_t stapes__words_segments(const stapes__words *words);
const stapes_segment *stapes__words_segment(stapes__words *words, size_t index);
/* Text of the segment in progress, "" when there is none; start and end in seconds. */
const char *stapes__words_partial(stapes__words *words, double *start, double *end);

/* Deep copy of everything into a fresh result (tokens, words, segments, text; the rest zero). The
 * open segment counts as one. Freed by stapes_result_free. */
stapes_status stapes__words_result(const stapes__words *words, stapes_result **out,
                                   stapes_error *err);
#endif
