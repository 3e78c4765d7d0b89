/* How sure a decoder was of a token, from the scores of its frame (spec/transducer-and-ctc 11; the
 * measures and their names are NeMo's). 0 for a flat distribution, 1 for a certain one; Gibbs with
 * an exponent below 1 dips under 0 for some rows in between, which is cut off here. */
#ifndef STAPES_TEXT_CONFIDENCE_H
#define STAPES_TEXT_CONFIDENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum stapes__confidence {
    STAPES__CONFIDENCE_MAX_PROB,
    STAPES__CONFIDENCE_GIBBS_LIN,
    STAPES__CONFIDENCE_GIBBS_EXP,
    STAPES__CONFIDENCE_TSALLIS_LIN,
    STAPES__CONFIDENCE_TSALLIS_EXP, /* NeMo's default */
    STAPES__CONFIDENCE_RENYI_LIN,
    STAPES__CONFIDENCE_RENYI_EXP
} stapes__confidence;

/* NeMo's exponent. 1 turns the entropies into Shannon's. */
#define STAPES__CONFIDENCE_ALPHA 0.33

/* NeMo's names ("entropy_tsallis_exp"), and short ones: "tsallis", "renyi", "entropy" (the
 * exponential forms) and "max_prob". NULL, "" and "auto" mean the default. false: unknown name. */
bool stapes__confidence_find(const char *name, stapes__confidence *method);
/* NeMo's name. */
const char *stapes__confidence_name(stapes__confidence method);
/* The known names as "a, b, c" for error messages. */
const char *stapes__confidence_list(void);

/* Value in [0, 1] for logits[count]: the token part with blank, never the durations. Sums are in
 * double. logprob (may be NULL) receives the log-probability of `token`, -INFINITY when it is
 * outside. A row that is not finite gives 0. */
double stapes__confidence_value(stapes__confidence method, double alpha, const float *logits,
                                size_t count, int32_t token, double *logprob);

#endif
