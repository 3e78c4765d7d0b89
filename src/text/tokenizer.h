/* Vocabularies: SentencePiece models, tokenizer.json, piece lists; byte-level BPE (Whisper).
 * A tokenizer is read-only after opening and may be shared by threads. */
#ifndef STAPES_TEXT_TOKENIZER_H
#define STAPES_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"

typedef struct stapes__tokenizer stapes__tokenizer;

typedef enum stapes__piece_type {
    STAPES__PIECE_NORMAL,
    STAPES__PIECE_UNKNOWN,
    STAPES__PIECE_CONTROL,
    STAPES__PIECE_USER, /* user-defined: atomic when encoding */
    STAPES__PIECE_UNUSED,
    STAPES__PIECE_BYTE /* <0xE6> */
} stapes__piece_type;

/* Parses a SentencePiece model (protobuf). */
stapes_status stapes__tokenizer_open_sentencepiece(stapes__tokenizer **out, const void *data,
                                                   size_t size, stapes_error *err);
/* Parses tokenizer.json: BPE with Metaspace (SentencePiece form) or ByteLevel (Whisper). */
stapes_status stapes__tokenizer_open_json(stapes__tokenizer **out, const char *data, size_t size,
                                          stapes_error *err);
/* One piece per line, "piece id" lines, or "piece<TAB>score". CR stripped. */
stapes_status stapes__tokenizer_open_lines(stapes__tokenizer **out, const char *data, size_t size,
                                           stapes_error *err);
/* From a list of pieces in id order (NeMo `labels`, embedded vocabularies). */
stapes_status stapes__tokenizer_open_pieces(stapes__tokenizer **out, const char *const *pieces,
                                            size_t count, stapes_error *err);
/* Byte-level tokens: raw bytes of each id in order (Whisper ggml vocabulary, *.tiktoken ranks). */
stapes_status stapes__tokenizer_open_bytes(stapes__tokenizer **out, const uint8_t *const *tokens,
                                           const size_t *lengths, size_t count, stapes_error *err);
/* "base64 rank" lines. */
stapes_status stapes__tokenizer_open_tiktoken(stapes__tokenizer **out, const char *data,
                                              size_t size, stapes_error *err);
void stapes__tokenizer_close(stapes__tokenizer **tokenizer);

size_t stapes__tokenizer_size(const stapes__tokenizer *t); /* pieces, without blank */
/* NULL when id is outside. A byte-level piece may break off inside a character, and one that holds
 * a NUL ends there; see _bytes. */
const char *stapes__tokenizer_piece(const stapes__tokenizer *t, int32_t id);
/* The bytes of a piece, not their text form; NULL when id is outside. */
const char *stapes__tokenizer_bytes(const stapes__tokenizer *t, int32_t id, size_t *length);
stapes__piece_type stapes__tokenizer_type(const stapes__tokenizer *t, int32_t id);
/* -1 when there is no such piece. */
int32_t stapes__tokenizer_find(const stapes__tokenizer *t, const char *piece);
bool stapes__tokenizer_byte_level(const stapes__tokenizer *t);
/* The piece is <|...|> or another control piece: kept in the token list, not in the text. */
bool stapes__tokenizer_special(const stapes__tokenizer *t, int32_t id);

typedef enum stapes__decode_flags {
    STAPES__DECODE_PLAIN = 0,
    STAPES__DECODE_SPECIALS = 1,   /* print <|...|> pieces; otherwise they are dropped */
    STAPES__DECODE_NEMO_SPACE = 2, /* NeMo's rule: no space before punctuation of the vocabulary */
    STAPES__DECODE_UNKNOWN = 4     /* print <unk> as U+2047 between spaces; otherwise it is dropped.
                                      SPECIALS prints it too */
} stapes__decode_flags;

/* Appends the text of ids; ids outside the vocabulary are dropped. Always valid UTF-8 (U+FFFD for
 * broken bytes). */
stapes_status stapes__tokenizer_decode(const stapes__tokenizer *t, const int32_t *ids, size_t count,
                                       unsigned flags, stapes__buf *out, stapes_error *err);
/* Longest prefix of the decoded text that later ids cannot change: an incomplete UTF-8 tail of
 * byte pieces is held back. */
stapes_status stapes__tokenizer_decode_stable(const stapes__tokenizer *t, const int32_t *ids,
                                              size_t count, unsigned flags, stapes__buf *out,
                                              stapes_error *err);
/* Encodes UTF-8 text. *ids is malloc'ed. */
stapes_status stapes__tokenizer_encode(const stapes__tokenizer *t, const char *text, int32_t **ids,
                                       size_t *count, stapes_error *err);
/* True when `cp` is one of the vocabulary's punctuation characters (Unicode P*, from pieces not
 * starting with U+2581, '<', "##" or '['). */
bool stapes__tokenizer_punctuation(const stapes__tokenizer *t, uint32_t cp);
/* NeMo's rule as text to text: one white space before each punctuation character of the vocabulary
 * is removed (NeMo PR 13353). `text` is valid UTF-8. */
void stapes__tokenizer_nemo_space(const stapes__tokenizer *t, const char *text, size_t length,
                                  stapes__buf *out);

#endif
