/* What the container's readers share; nobody outside src/weights includes this. */
#ifndef STAPES_WEIGHTS_CONTAINER_INTERNAL_H
#define STAPES_WEIGHTS_CONTAINER_INTERNAL_H

#include "weights/container.h"
#include "weights/table.h"

/* Limits of the small files beside the weights. */
#define STAPES__CONFIG_LIMIT ((size_t)16 << 20)
#define STAPES__TOKENIZER_LIMIT ((size_t)64 << 20)

struct stapes__container {
    stapes__container_format format;
    char *path; /* as given to open */
    stapes__map *maps;
    size_t n_maps;
    void **blocks; /* tensors that had to be copied (not contiguous in the file) */
    size_t n_blocks;
    stapes__table table;
    json_t *config, *preprocessor, *generation;
    stapes__tokenizer_kind tokenizer_kind;
    char *tokenizer_owned; /* NULL when the bytes lie in a mapping */
    const char *tokenizer;
    size_t tokenizer_size;
    const uint8_t **tokens; /* n_tokens byte tokens in id order */
    size_t *token_lengths, n_tokens;
    uint8_t *tokens_owned; /* NULL when they lie in a mapping */
};

/* Takes over a mapping (also on failure, where it is closed). */
stapes_status stapes__container_take_map(stapes__container *c, stapes__map map, stapes_error *err);

/* Makes room for `count` byte tokens, empty so far; the tokenizer becomes STAPES__TOKENIZER_BYTES
 * (and stays what it is when count is 0). Once per container. */
stapes_status stapes__container_make_tokens(stapes__container *c, size_t count, stapes_error *err);

#endif
