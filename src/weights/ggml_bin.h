/* whisper.cpp's ggml .bin: header, mel filters, vocabulary, tensors until the end of the file.
 * spec/file-formats.md 5.1. */
#ifndef STAPES_WEIGHTS_GGML_BIN_H
#define STAPES_WEIGHTS_GGML_BIN_H

#include "weights/container_internal.h"

/* Reads a file in memory into an empty container: views into `data` under OpenAI's names, the
 * filter bank as "mel_filters" [n_mels, 201], the vocabulary as raw bytes, and a configuration
 * with model_type "whisper_ggml", OpenAI's ten sizes (n_mels, n_vocab, n_audio_ctx, n_audio_state,
 * n_audio_head, n_audio_layer, n_text_ctx, n_text_state, n_text_head, n_text_layer) and ftype
 * (without the version). The format has no count of tensors, so the one that these sizes ask for
 * is the check against cut-off files.
 *
 * MODEL_DAMAGED says where; UNSUPPORTED for the Parakeet variant, unknown kinds of files and block
 * layouts of before version 2. */
stapes_status stapes__ggml_bin_read(stapes__container *c, const uint8_t *data, size_t size,
                                    stapes_error *err);

/* The same for a file (mapped). */
stapes_status stapes__ggml_bin_open_file(stapes__container *c, const char *path, stapes_error *err);

#endif
