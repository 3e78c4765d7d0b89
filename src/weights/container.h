/* Model containers: a checked directory of tensors over a mapped file, the configuration as a
 * JSON tree, and the tokenizer's raw bytes, whatever the format. Readers treat files as hostile
 * (spec: every count, offset and product checked before use; nothing is executed). */
#ifndef STAPES_WEIGHTS_CONTAINER_H
#define STAPES_WEIGHTS_CONTAINER_H

#include <jansson.h>

#include "base/file.h"
#include "base/log.h"
#include "tensor/tensor.h"

typedef enum stapes__container_format {
    STAPES__CONTAINER_SAFETENSORS, /* Hugging Face folder or one file */
    STAPES__CONTAINER_NEMO,        /* .nemo: tar of YAML, torch checkpoint, tokenizer */
    STAPES__CONTAINER_TORCH,       /* a torch checkpoint by itself (.pt) */
    STAPES__CONTAINER_GGML,        /* whisper.cpp's .bin */
    STAPES__CONTAINER_GGUF
} stapes__container_format;

typedef enum stapes__tokenizer_kind {
    STAPES__TOKENIZER_NONE,
    STAPES__TOKENIZER_SENTENCEPIECE, /* tokenizer.model, protobuf */
    STAPES__TOKENIZER_JSON,          /* tokenizer.json */
    STAPES__TOKENIZER_VOCAB_TXT,     /* one piece per line, or "piece id" */
    STAPES__TOKENIZER_BYTES          /* raw bytes of each token: stapes__container_tokens */
} stapes__tokenizer_kind;

typedef struct stapes__container stapes__container;

/* Opens a file or folder; the format is found by content (spec/file-formats 11). On failure
 * *out is NULL and the report names the file and the damage. */
stapes_status stapes__container_open(stapes__container **out, const char *path,
                                     const stapes__log *log, stapes_error *err);
void stapes__container_close(stapes__container **container);

stapes__container_format stapes__container_get_format(const stapes__container *c);
/* "safetensors", "nemo", "torch", "ggml", "gguf" */
const char *stapes__container_format_name(const stapes__container *c);
const char *stapes__container_path(const stapes__container *c);

/* Tensors in file order, under the names the file uses. */
size_t stapes__container_count(const stapes__container *c);
const stapes__tensor *stapes__container_at(const stapes__container *c, size_t index);
/* NULL when absent. Hashed: cheap. */
const stapes__tensor *stapes__container_find(const stapes__container *c, const char *name);
/* Tells the kernel that the tensor's pages are not needed any more (after packing). */
void stapes__container_release(const stapes__container *c, const stapes__tensor *tensor);

/* config.json as it stands; the sizes of a ggml .bin (ggml_bin.h) or the metadata of a GGUF file
 * (gguf.h); or model_config.yaml turned into the same kind of tree (YAML scalars
 * resolved: null, booleans, integers, reals, strings). NULL when the container has none. Owned by
 * the container. */
const json_t *stapes__container_config(const stapes__container *c);
/* preprocessor_config.json / generation_config.json of Hugging Face folders; NULL when absent. */
const json_t *stapes__container_preprocessor(const stapes__container *c);
const json_t *stapes__container_generation(const stapes__container *c);

/* The best tokenizer found: SentencePiece before tokenizer.json before vocab.txt (but the plain
 * vocab.txt of a .nemo is in display form and never used). Bytes owned by the container. */
stapes__tokenizer_kind stapes__container_tokenizer(const stapes__container *c, const char **data,
                                                   size_t *size);
/* The byte tokens of STAPES__TOKENIZER_BYTES in id order, as stapes__tokenizer_open_bytes wants
 * them: the ordinary ones only, special ids follow from the size of the vocabulary. 0 when the
 * container has none; owned by the container. */
size_t stapes__container_tokens(const stapes__container *c, const uint8_t *const **tokens,
                                const size_t **lengths);

/* The identity of the weights as 64 hex digits, the same for every container of the same weights.
 * SHA-256 over all tensors in the byte order of their canonical (NeMo) names, for each: the name
 * and its NUL, the dtype's name as safetensors spells it and its NUL, the number of dimensions and
 * every size as little-endian u64, the bytes. Left out, because not every container has them:
 * "preprocessor.*" and "mel_filters" (window and filter bank, computed) and
 * "*.num_batches_tracked". Reads everything once. INTERNAL when libcrypto fails. */
stapes_status stapes__container_identity(const stapes__container *c, char hex[65],
                                         stapes_error *err);
#endif
