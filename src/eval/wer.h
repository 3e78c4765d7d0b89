/* Word and character error counts and their statistics. */
#ifndef STAPES_EVAL_WER_H
#define STAPES_EVAL_WER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Counts of one alignment, or sums over many. Reference words = hits + substitutions + deletions;
 * hypothesis words = hits + substitutions + insertions. */
typedef struct stapes__word_counts {
    int64_t hits, substitutions, deletions, insertions;
} stapes__word_counts;

typedef enum stapes__edit_type {
    STAPES__EDIT_EQUAL,
    STAPES__EDIT_SUBSTITUTE,
    STAPES__EDIT_DELETE, /* a reference word without a counterpart */
    STAPES__EDIT_INSERT  /* a hypothesis word without a counterpart */
} stapes__edit_type;

/* A run of equal edits over reference words [ref_start, ref_end) and hypothesis words
 * [hyp_start, hyp_end). */
typedef struct stapes__edit {
    stapes__edit_type type;
    size_t ref_start, ref_end, hyp_start, hyp_end;
} stapes__edit;

typedef struct stapes__alignment {
    stapes__word_counts counts;
    stapes__edit *edits; /* runs in order, covering both texts */
    size_t n_edits;
} stapes__alignment;

/* Aligns the words of two texts (split at white space, case counts) with the fewest edits. Among
 * several such alignments the one of rapidfuzz and jiwer is taken, so that the three kinds of error
 * agree with theirs. Free with stapes__alignment_free, on failure too. UNSUPPORTED for texts so
 * long that the table would take over a gigabyte. */
stapes_status stapes__align_words(const char *reference, const char *hypothesis,
                                  stapes__alignment *out, stapes_error *err);
void stapes__alignment_free(stapes__alignment *alignment);

/* The fewest edits between the characters (code points) of two texts, both without white space at
 * the ends; *length is the reference's length. Character error rate = distance / length. */
stapes_status stapes__align_characters(const char *reference, const char *hypothesis,
                                       int64_t *distance, int64_t *length, stapes_error *err);

void stapes__word_counts_add(stapes__word_counts *sum, const stapes__word_counts *counts);
int64_t stapes__word_errors(const stapes__word_counts *counts);
int64_t stapes__reference_words(const stapes__word_counts *counts);

/* Rates as fractions. A reference without words gives 0 when the hypothesis has none either,
 * otherwise 1 (WER: the number of words inserted). */
double stapes__word_error_rate(const stapes__word_counts *counts);  /* errors / reference words */
double stapes__match_error_rate(const stapes__word_counts *counts); /* errors / alignment length */
double stapes__word_information_lost(const stapes__word_counts *counts); /* 1 - H/N_ref * H/N_hyp */

/* Percentile bootstrap of the corpus WER: `resamples` times n utterances are drawn with
 * replacement, *low and *high are the 2.5 and 97.5 percentiles. The same numbers for the same
 * input and seed on every machine. n = 0 gives 0 and 0. */
stapes_status stapes__bootstrap_wer(const stapes__word_counts *utterances, size_t n,
                                    size_t resamples, uint64_t seed, double *low, double *high,
                                    stapes_error *err);

#endif
