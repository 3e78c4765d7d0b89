/* Language prompts of nemotron-3.5: the encoder's frames, each with a one-hot vector of the prompt
 * behind it, go through two linear layers before the joint (spec/transducer-and-ctc 8). */
#ifndef STAPES_MODELS_PROMPT_PROMPT_H
#define STAPES_MODELS_PROMPT_PROMPT_H

#include "models/loader.h"

typedef struct stapes__prompt stapes__prompt;

/* d: width of the frames. Problems are left in the loader. */
stapes__prompt *stapes__prompt_load(size_t d, size_t n_prompts, size_t hidden,
                                    stapes__loader *loader);
void stapes__prompt_free(stapes__prompt *prompt);

/* out [rows, d] = projector(frames [rows, d], one-hot `id`). false when memory is short. */
bool stapes__prompt_apply(const stapes__prompt *prompt, const float *frames, size_t rows, size_t id,
                          float *out, stapes__arena *scratch);

/* The prompt of a language ("de", "pt-BR", "auto"), or -1: the published dictionary. */
int stapes__prompt_find(const char *language);

#endif
