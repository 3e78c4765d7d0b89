/* Configuration of Whisper networks (Radford et al. 2022, arXiv:2212.04356; spec/whisper 1), from
 * Hugging Face's config.json or from the "dims" of openai checkpoints and ggml files. */
#ifndef STAPES_MODELS_WHISPER_CONFIG_H
#define STAPES_MODELS_WHISPER_CONFIG_H

#include "weights/container.h"

typedef struct stapes__whisper_config {
    int n_mels;
    int n_audio_ctx; /* encoder positions of a full window; mel frames are twice as many */
    int n_text_ctx;  /* tokens that the decoder holds, prompt included */
    int vocabulary;
    int d_model;
    int audio_heads, audio_layers, audio_ff;
    int text_heads, text_layers, text_ff;
} stapes__whisper_config;

/* Whether the container's configuration is that of a Whisper model. */
bool stapes__whisper_recognised(const stapes__container *c);

/* Reads and checks. Errors: UNSUPPORTED for another architecture or an unknown variant of this one,
 * MODEL_DAMAGED for values that are absent, out of range or contradict each other. */
stapes_status stapes__whisper_config_read(stapes__whisper_config *config,
                                          const stapes__container *c, stapes_error *err);

/* The tensor that a container holds under this openai name ("encoder.blocks.0.attn.query.weight"),
 * whether it uses openai's names or Hugging Face's with or without the leading "model."; NULL when
 * absent (spec/whisper 14). */
const stapes__tensor *stapes__whisper_find(const stapes__container *c, const char *name);

#endif
