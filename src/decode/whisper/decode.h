/* One Whisper window from encoded audio to tokens (spec/whisper 7, 8), and the language of a
 * window. */
#ifndef STAPES_DECODE_WHISPER_DECODE_H
#define STAPES_DECODE_WHISPER_DECODE_H

#include "decode/whisper/filters.h"
#include "decode/whisper/net.h"
#include "decode/whisper/search.h"

typedef struct stapes__whisper_options {
    double temperature;    /* 0 = greedy or beam */
    size_t best_of;        /* samples at temperature > 0; 0 = 1. Ignored at 0 */
    size_t beam;           /* width at temperature 0; 0 = greedy. Ignored above 0 */
    double patience;       /* of the beam; <= 0 = 1 */
    double length_penalty; /* 0 .. 1; < 0 = divide by the length */
    size_t sample_len;     /* most tokens to sample; 0 = half the context */
    const int32_t *prompt; /* tokens before this window; the last context / 2 - 1 are used */
    size_t prompt_count;
    const int32_t *prefix; /* the text begins with these */
    size_t prefix_count;
    int language; /* index; English-only models ignore it */
    stapes__whisper_task task;
    bool timestamps;
    bool suppress_blank;
    double max_initial_timestamp;        /* seconds; <= 0 = no limit */
    const stapes__whisper_ids *suppress; /* kept; NULL = none */
    uint64_t seed;
} stapes__whisper_options;

/* openai-whisper's: greedy, timestamps, blank suppressed, first timestamp at most 1 s. */
stapes__whisper_options stapes__whisper_default_options(void);

/* The tokens exclude the initial ones and eot. */
typedef struct stapes__whisper_result {
    int32_t *tokens;
    size_t count;
    double avg_logprob, no_speech_prob, compression_ratio, temperature;
    bool truncated; /* stopped by the limit, not by eot */
    bool loops;     /* ends in a repetition, see stapes__whisper_loops */
} stapes__whisper_result;

void stapes__whisper_result_free(stapes__whisper_result *result);

typedef struct stapes__whisper_sampler stapes__whisper_sampler;

/* net and tokenizer are kept. */
stapes_status stapes__whisper_sampler_open(stapes__whisper_sampler **out, stapes__whisper_net *net,
                                           const stapes__tokenizer *tokenizer, stapes_error *err);
void stapes__whisper_sampler_close(stapes__whisper_sampler **decoder);
const stapes__whisper_layout *stapes__whisper_sampler_layout(const stapes__whisper_sampler *d);

/* startofprev and prompt, sot sequence, prefix. *out is malloc'ed; *sot is the position of sot.
 * Errors: ARGUMENT when prefix and prompt leave no room for a token. */
stapes_status stapes__whisper_initial_tokens(const stapes__whisper_layout *layout, size_t context,
                                             const stapes__whisper_options *options, int32_t **out,
                                             size_t *count, size_t *sot, stapes_error *err);

/* Decodes the window that the net has encoded. Errors: NUMERIC for NaN logits, MEMORY, ARGUMENT,
 * those of the net. */
stapes_status stapes__whisper_decode_window(stapes__whisper_sampler *decoder,
                                            const stapes__whisper_options *options,
                                            stapes__whisper_result *result, stapes_error *err);

/* Probabilities of the languages for the window that the net has encoded, 0 beyond the layout's;
 * *best is the most probable one. allowed: NULL, or [languages] with 0 for those left out. ARGUMENT
 * for English-only models or when nothing is allowed. */
stapes_status stapes__whisper_detect_language(stapes__whisper_sampler *decoder, const bool *allowed,
                                              float probabilities[STAPES__WHISPER_MAX_LANGUAGES],
                                              int *best, stapes_error *err);

#endif
