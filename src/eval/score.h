/* Scores of single utterances and of a whole test set. */
#ifndef STAPES_EVAL_SCORE_H
#define STAPES_EVAL_SCORE_H

#include <stdbool.h>

#include "eval/normalize.h"
#include "eval/wer.h"

/* Things that a word error rate hides. */
typedef enum stapes__alarm {
    STAPES__ALARM_EMPTY,       /* no text at all where the reference has words */
    STAPES__ALARM_PUNCTUATION, /* text, but not one word in it */
    STAPES__ALARM_HEAD,        /* the first reference word was not heard */
    STAPES__ALARM_TAIL,        /* the last one was not */
    STAPES__ALARM_REPETITION,  /* 1 to 8 words four times in a row, which the reference has not */
    STAPES__ALARMS
} stapes__alarm;

/* "empty", "punctuation_only", "lost_head", "lost_tail", "repetition". */
const char *stapes__alarm_name(stapes__alarm alarm);

typedef struct stapes__score {
    stapes__word_counts words;
    int64_t char_errors, chars; /* of the normalised texts */
    bool alarms[STAPES__ALARMS];
} stapes__score;

/* Normalises both texts, aligns them and looks for alarms. */
stapes_status stapes__score_text(stapes__normalizer normalizer, const char *reference,
                                 const char *hypothesis, stapes__score *out, stapes_error *err);

typedef struct stapes__corpus_score {
    stapes__word_counts words;
    int64_t char_errors, chars;
    size_t utterances, alarms[STAPES__ALARMS];
    double wer, low, high; /* 95 % bootstrap interval over the utterances */
} stapes__corpus_score;

/* Sums n scores; resamples = 0 leaves low = high = wer. */
stapes_status stapes__score_corpus(const stapes__score *scores, size_t n, size_t resamples,
                                   uint64_t seed, stapes__corpus_score *out, stapes_error *err);

/* True when an alarm is raised for more utterances than it may be: one for STAPES__ALARM_EMPTY and
 * STAPES__ALARM_REPETITION, more than one in a hundred for the others. */
bool stapes__alarm_raised(const stapes__corpus_score *score, stapes__alarm alarm);

#endif
