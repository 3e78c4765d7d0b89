/* Tokenizers inside the metadata of GGUF files. */
#ifndef STAPES_WEIGHTS_GGUF_VOCAB_H
#define STAPES_WEIGHTS_GGUF_VOCAB_H

#include "weights/container_internal.h"

/* Fills the container's tokenizer from the metadata, see gguf.h; leaves it empty when there is
 * none. MODEL_DAMAGED for tokens that are no byte-level text and for broken base64. */
stapes_status stapes__gguf_vocab(stapes__container *c, const json_t *metadata, stapes_error *err);

#endif
