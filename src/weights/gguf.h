/* GGUF files, versions 2 and 3. spec/file-formats.md 4. */
#ifndef STAPES_WEIGHTS_GGUF_H
#define STAPES_WEIGHTS_GGUF_H

#include "weights/container_internal.h"

/* Reads a file in memory into an empty container: views into `data` with row-major shapes, and a
 * configuration { "model_type": "whisper_gguf" or "asr_gguf", "gguf": every metadata item under
 * its dotted key }. Whisper's also has those of OpenAI's sizes (see ggml_bin.h) that the keys
 * whisper.* give; n_vocab is whisper.vocab_size, otherwise the rows of the token embedding.
 *
 * Tokenizers: byte tokens from Whisper's tokenizer.ggml.tokens (byte-level characters, up to
 * <|endoftext|>), a SentencePiece model from NVIDIA's asr.tokenizer.spm_model (base64).
 *
 * NVIDIA's "tensor_planar_v1" (asr.encoder.q8_layout: the encoder's Q8_0 tensors hold every value,
 * then every scale) becomes STAPES__Q8_0_PLANAR; other layouts are refused.
 *
 * MODEL_DAMAGED says where; UNSUPPORTED for other versions, element types, and every other
 * general.architecture (named in the report, before anything behind it is read). */
stapes_status stapes__gguf_read(stapes__container *c, const uint8_t *data, size_t size,
                                stapes_error *err);

/* The same for a file (mapped). */
stapes_status stapes__gguf_open_file(stapes__container *c, const char *path, stapes_error *err);

#endif
