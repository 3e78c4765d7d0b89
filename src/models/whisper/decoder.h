/* The Whisper decoder with explicit ownership of its key and value caches, written once over
 * compute/ops.h (spec/whisper 3 and 4).
 *
 * A cache belongs to the caller and holds one window: keys and values of the encoder's positions,
 * computed once, and keys and values of the tokens fed so far, appended in place. Several
 * hypotheses share the second: an index names for each of them the rows of its tokens, so that
 * reordering and forking copy indexes only, and rows that no hypothesis names any more are used
 * again. The length of the cache is the number of tokens fed; every layer is checked for it.
 *
 * Feeding tokens one by one or together gives the same logits, bit by bit. */
#ifndef STAPES_MODELS_WHISPER_DECODER_H
#define STAPES_MODELS_WHISPER_DECODER_H

#include "models/loader.h"
#include "models/whisper/config.h"

typedef struct stapes__whisper_decoder stapes__whisper_decoder;
typedef struct stapes__whisper_cache stapes__whisper_cache;

/* Loads the decoder's weights; problems are left in the loader. config, ops and the container
 * (whose token embedding is read in place) are kept. NULL when memory is short. */
stapes__whisper_decoder *stapes__whisper_decoder_load(const stapes__whisper_config *config,
                                                      stapes__loader *loader);
void stapes__whisper_decoder_free(stapes__whisper_decoder *decoder);

/* For up to `hypotheses` hypotheses. NULL when memory is short. free accepts NULL. */
stapes__whisper_cache *stapes__whisper_cache_new(const stapes__whisper_decoder *decoder,
                                                 size_t hypotheses);
void stapes__whisper_cache_free(stapes__whisper_cache *cache);

/* Tokens fed, hypotheses alive, encoder positions of the window (0 before the first). */
size_t stapes__whisper_cache_length(const stapes__whisper_cache *cache);
size_t stapes__whisper_cache_hypotheses(const stapes__whisper_cache *cache);
size_t stapes__whisper_cache_positions(const stapes__whisper_cache *cache);
/* Keys and values of one token of one hypothesis, or of one encoder position: [d_model] each. */
void stapes__whisper_cache_self(const stapes__whisper_cache *cache, size_t layer, size_t hypothesis,
                                size_t token, float *k, float *v);
void stapes__whisper_cache_cross(const stapes__whisper_cache *cache, size_t layer, size_t position,
                                 float *k, float *v);

/* Begins a window: takes the encoder's frames [positions, d_model], 1 to n_audio_ctx of them, and
 * leaves one hypothesis without tokens. ARGUMENT for another number of positions. */
stapes_status stapes__whisper_window(stapes__whisper_cache *cache, const float *frames,
                                     size_t positions, stapes__arena *scratch, stapes_error *err);

typedef struct stapes__whisper_step {
    const int32_t *tokens; /* [hypotheses, n_tokens] */
    size_t n_tokens;       /* the same for all, at least 1 */
    /* Which of the n_tokens places are wanted: logits [hypotheses, n_wanted, vocabulary], raw. */
    const size_t *wanted;
    size_t n_wanted;
    float *logits;
    /* Cross-attention probabilities of some heads, given as pairs of layer and head:
     * [n_heads, hypotheses * n_tokens, positions]. */
    const int (*heads)[2];
    size_t n_heads;
    float *attention;
} stapes__whisper_step;

/* Feeds n_tokens to every hypothesis. ARGUMENT for tokens, places or heads out of range and when
 * the context is exceeded; after any failure the cache is as before the call. */
stapes_status stapes__whisper_decode(stapes__whisper_cache *cache, const stapes__whisper_step *step,
                                     stapes__arena *scratch, stapes_error *err);

/* Hypothesis i continues parents[i], for i below n; a parent may go on several times or not at all.
 * ARGUMENT when n is 0 or more than the cache was made for, or a parent does not exist. */
stapes_status stapes__whisper_reorder(stapes__whisper_cache *cache, const uint32_t *parents,
                                      size_t n, stapes_error *err);
/* Forgets all but the first `length` tokens; length 0 also leaves one hypothesis. */
void stapes__whisper_rewind(stapes__whisper_cache *cache, size_t length);

#endif
