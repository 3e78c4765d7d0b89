/* The inside of a tokenizer, shared by its readers (sentencepiece.c, tokenizer_json.c,
 * tokenizer_lists.c), its decoder and its encoder. Nothing outside these files includes it. */
#ifndef STAPES_TEXT_VOCAB_H
#define STAPES_TEXT_VOCAB_H

#include "text/tokenizer.h"

/* The word mark of SentencePiece, U+2581. */
#define STAPES__MARK "\xe2\x96\x81"
enum { STAPES__MARK_LENGTH = 3 };

enum {
    STAPES__MAX_PIECES = 1 << 20,     /* the largest published vocabulary is a quarter of it */
    STAPES__MAX_TOKENIZER = 64 << 20, /* bytes of a vocabulary file */
    STAPES__MAX_TEXT = 16 << 20       /* bytes of a text to encode */
};

typedef struct stapes__piece {
    const char *text; /* NUL-terminated copy; may hold NUL and broken UTF-8 when byte-level */
    uint32_t length;
    float score;
    uint8_t type; /* stapes__piece_type */
    uint8_t byte; /* BYTE pieces: the value */
    bool special, added;
} stapes__piece;

typedef struct stapes__merge {
    int32_t left, right; /* -1 = empty slot */
    uint32_t rank;
} stapes__merge;

typedef enum stapes__encoder {
    STAPES__ENCODER_BPE_SCORE, /* SentencePiece BPE: merge the pair whose piece scores highest */
    STAPES__ENCODER_UNIGRAM,   /* SentencePiece unigram: the best path */
    STAPES__ENCODER_BPE_RANK,  /* tokenizer.json: merges in their order */
    STAPES__ENCODER_BPE_ID,    /* rank files: the pair whose piece has the lowest id */
    STAPES__ENCODER_NONE       /* the file asks for something unknown; decoding only */
} stapes__encoder;

struct stapes__tokenizer {
    stapes__piece *pieces;
    size_t count, capacity;
    stapes__buf text;      /* all pieces, each with a NUL; offsets become pointers at the end */
    int32_t *index;        /* hash table over the pieces, -1 = empty */
    size_t index_size;     /* power of two */
    stapes__merge *merges; /* hash table over (left, right) */
    size_t merges_size, merges_count;
    uint32_t *punctuation; /* ascending */
    size_t punctuation_count;

    bool byte_level;  /* pieces are raw bytes */
    bool add_prefix;  /* encoding puts a mark before the text, decoding removes it */
    bool strip_all;   /* decoding drops every leading mark, not only the first */
    bool squeeze;     /* encoding trims the ends and folds runs of spaces */
    bool nfkc, lower; /* encoding normalises */
    bool byte_fallback;
    bool atomic_added; /* encoding finds added tokens in the raw text (tokenizer.json) */
    stapes__encoder encoder;
    int32_t unk;           /* -1 when there is none */
    int32_t byte_ids[256]; /* BYTE pieces, or single-byte pieces of a byte-level vocabulary */
    size_t longest;        /* bytes of the longest piece */
};

/* An empty vocabulary with the defaults of SentencePiece. */
stapes_status stapes__vocab_new(stapes__tokenizer **out, stapes_error *err);
/* Appends a piece with the next id. The bytes are copied. */
stapes_status stapes__vocab_add(stapes__tokenizer *t, const char *bytes, size_t length, float score,
                                stapes__piece_type type, stapes_error *err);
/* Classifies a piece by its spelling, for files that give no types: <unk>, <0x41>, <|en|>, <pad>
 * and the rest. */
stapes__piece_type stapes__vocab_guess(const char *bytes, size_t length);
/* A merge of tokenizer.json. Room for `count` merges must have been made before. */
stapes_status stapes__vocab_reserve_merges(stapes__tokenizer *t, size_t count, stapes_error *err);
void stapes__vocab_add_merge(stapes__tokenizer *t, int32_t left, int32_t right, uint32_t rank);
/* The rank of a merge; false when there is none. */
bool stapes__vocab_merge(const stapes__tokenizer *t, int32_t left, int32_t right, uint32_t *rank);
/* After the last piece: drops a trailing <blank>, builds the index, the byte table and the
 * punctuation. */
stapes_status stapes__vocab_finish(stapes__tokenizer *t, stapes_error *err);
/* Builds the index alone, for readers that must look pieces up before they can finish. */
stapes_status stapes__vocab_index(stapes__tokenizer *t, stapes_error *err);
/* -1 when there is no such piece. */
int32_t stapes__vocab_find(const stapes__tokenizer *t, const char *bytes, size_t length);

#endif
