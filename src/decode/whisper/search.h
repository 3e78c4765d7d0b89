/* Choosing tokens from filtered logits: greedy, sampling, beam, and the choice among finished
 * sequences (spec/whisper 10). Sequences here hold sampled tokens only. */
#ifndef STAPES_DECODE_WHISPER_SEARCH_H
#define STAPES_DECODE_WHISPER_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Sequences of one length that grow together. */
typedef struct stapes__whisper_group {
    size_t n, max, length, room; /* room: tokens that fit in a sequence */
    int32_t *tokens;             /* [max][room] */
    double *sums;                /* [max] sum of log-probabilities, the eot's included */
} stapes__whisper_group;

stapes_status stapes__whisper_group_open(stapes__whisper_group *group, size_t max, size_t room,
                                         stapes_error *err);
void stapes__whisper_group_close(stapes__whisper_group *group);

/* splitmix64, so that a seed gives the same text everywhere. */
typedef struct stapes__whisper_random {
    uint64_t state;
} stapes__whisper_random;
/* Uniform in [0, 1), 53 bits. */
double stapes__whisper_uniform(stapes__whisper_random *random);

/* The first largest of x; a sample of softmax(x / temperature) when temperature > 0. */
int32_t stapes__whisper_pick(const float *x, size_t count, double temperature,
                             stapes__whisper_random *random);

/* Appends one token to every sequence: rows[i] [vocabulary] are its filtered logits, not read for
 * a sequence that has ended (it repeats eot and adds nothing). True when all have ended. There
 * must be room. */
bool stapes__whisper_greedy(stapes__whisper_group *group, const float *const *rows,
                            size_t vocabulary, int32_t eot, double temperature,
                            stapes__whisper_random *random);

typedef struct stapes__whisper_beam {
    size_t width, limit; /* limit: finished sequences wanted, round(width * patience) */
    int32_t eot;
    stapes__whisper_group finished; /* up to `limit`, or `width` after finish; see lengths */
    size_t *lengths;                /* [limit or width] tokens of each, the eot not counted */
    size_t *sources;                /* [width] of the last update */
    int32_t *kept;                  /* scratch [width][room] */
    struct stapes__whisper_candidate *candidates;
} stapes__whisper_beam;

/* width >= 1; patience <= 0 means 1. room as the group's. */
stapes_status stapes__whisper_beam_open(stapes__whisper_beam *beam, size_t width, double patience,
                                        int32_t eot, size_t room, stapes_error *err);
void stapes__whisper_beam_close(stapes__whisper_beam *beam);
void stapes__whisper_beam_reset(stapes__whisper_beam *beam);
/* One step: the group's n sequences (1 or width, at most width) become the best `width` that go
 * on; those that end move to `finished`; beam->sources[i] is the row that sequence i continues.
 * True when enough have finished. */
bool stapes__whisper_beam_update(stapes__whisper_beam *beam, stapes__whisper_group *group,
                                 const float *const *rows, size_t vocabulary);
/* No more steps: fills `finished` up to the width with the best of the unfinished. */
void stapes__whisper_beam_finish(stapes__whisper_beam *beam, const stapes__whisper_group *group);

/* Index of the best sequence: sum / length, or sum / ((5 + length) / 6)^penalty when
 * penalty >= 0. The first of equals. */
size_t stapes__whisper_rank(const double *sums, const size_t *lengths, size_t n, double penalty);

#endif
