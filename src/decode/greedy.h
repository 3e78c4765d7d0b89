/* Greedy decoding of TDT, RNN-T and CTC models over stages (spec/transducer-and-ctc 3-6). The
 * state is carried from one piece of audio to the next, so that text is never stitched. */
#ifndef STAPES_DECODE_GREEDY_H
#define STAPES_DECODE_GREEDY_H

#include "stages/stages.h"
#include "text/confidence.h"
#include "text/words.h"

typedef struct stapes__greedy stapes__greedy;

typedef struct stapes__greedy_params {
    stapes__head_kind head;
    int max_symbols;               /* labels per frame before a forced advance */
    size_t prompt;                 /* for models conditioned on one */
    const unsigned char *allow;    /* [vocabulary]: 0 = never emitted; NULL = all. Kept */
    stapes__confidence confidence; /* the measure, with its default exponent */
} stapes__greedy_params;

/* One evaluation of the joint, for traces. */
typedef struct stapes__greedy_step {
    int64_t t;        /* frame from the start of the recording */
    size_t u;         /* labels emitted before */
    int32_t token;    /* blank = vocabulary */
    int32_t duration; /* predicted; 0 for RNN-T */
    int32_t advance;  /* what the time index moved */
    int32_t second;   /* runner-up token */
    float logit, second_logit;
    float duration_margin; /* best minus second duration logit; 0 for RNN-T */
    bool forced;           /* the advance came from the max-symbols guard */
} stapes__greedy_step;
typedef void (*stapes__greedy_trace_fn)(void *user, const stapes__greedy_step *step,
                                        const float *logits);

/* A growing list of decoded tokens. */
typedef struct stapes__token_list {
    stapes__raw_token *items;
    size_t count, capacity;
} stapes__token_list;
void stapes__token_list_free(stapes__token_list *list);

/* stages is kept. */
stapes_status stapes__greedy_open(stapes__greedy **out, stapes__stages *stages,
                                  const stapes__greedy_params *params, stapes_error *err);
void stapes__greedy_close(stapes__greedy **greedy);
/* Start of a new recording: all state zero. */
void stapes__greedy_reset(stapes__greedy *greedy);
void stapes__greedy_set_trace(stapes__greedy *greedy, stapes__greedy_trace_fn trace, void *user);

/* Decodes `count` encoder frames [count, d_model] that follow the frames decoded before, and
 * appends to `tokens`. Errors: NUMERIC for NaN or infinite logits (names the frame), MEMORY. */
stapes_status stapes__greedy_run(stapes__greedy *greedy, const float *frames, size_t count,
                                 stapes__token_list *tokens, stapes__arena *scratch,
                                 stapes_error *err);

/* Frames advanced by the guard since the reset. */
int32_t stapes__greedy_forced(const stapes__greedy *greedy);
/* Frames decoded since the reset, and the carried overshoot into the next piece. */
int64_t stapes__greedy_frames(const stapes__greedy *greedy);
int64_t stapes__greedy_overshoot(const stapes__greedy *greedy);

#endif
