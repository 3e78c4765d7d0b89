/* Reader of SentencePiece models: the protobuf wire format of the few fields that matter
 * (spec/file-formats 7). Everything else is skipped by its wire type. */
#include <string.h>

#include "text/utf8.h"
#include "text/vocab.h"

/* A stretch of the file still to read. */
typedef struct wire {
    const uint8_t *at, *end;
} wire;

typedef struct field {
    uint32_t number;
    uint32_t type;  /* 0 varint, 1 64-bit, 2 bytes, 5 32-bit */
    uint64_t value; /* varint, or the raw bits of types 1 and 5 */
    wire bytes;     /* type 2 */
} field;

static bool read_varint(wire *w, uint64_t *value) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (w->at == w->end)
            return false;
        uint8_t b = *w->at++;
        if (shift == 63 && b > 1)
            return false;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) {
            *value = v;
            return true;
        }
    }
    return false;
}

static bool read_fixed(wire *w, size_t count, uint64_t *value) {
    if ((size_t)(w->end - w->at) < count)
        return false;
    uint64_t v = 0;
    for (size_t i = 0; i < count; i++)
        v |= (uint64_t)w->at[i] << (8 * i);
    w->at += count;
    *value = v;
    return true;
}

/* The next field of a message; false at broken bytes. Groups (types 3, 4) are not used by this
 * format and count as broken. */
static bool read_field(wire *w, field *f) {
    uint64_t key;
    if (!read_varint(w, &key) || key >> 3 == 0 || key >> 3 > 0x1fffffff)
        return false;
    *f = (field){.number = (uint32_t)(key >> 3), .type = (uint32_t)(key & 7)};
    switch (f->type) {
    case 0:
        return read_varint(w, &f->value);
    case 1:
        return read_fixed(w, 8, &f->value);
    case 5:
        return read_fixed(w, 4, &f->value);
    case 2:
        if (!read_varint(w, &f->value) || f->value > (uint64_t)(w->end - w->at))
            return false;
        f->bytes = (wire){w->at, w->at + f->value};
        w->at += f->value;
        return true;
    default:
        return false;
    }
}

static stapes_status damaged(stapes_error *err, const char *where) {
    stapes_status status = stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                                        "SentencePiece model: broken or truncated %s", where);
    stapes__hint(err, "fetch the file again; tokenizer.model is a binary file");
    return status;
}

static stapes_status read_piece(stapes__tokenizer *t, wire w, stapes_error *err) {
    const char *text = NULL;
    size_t length = 0;
    float score = 0;
    uint64_t type = 1;
    field f;
    while (w.at < w.end) {
        if (!read_field(&w, &f))
            return damaged(err, "piece");
        if (f.number == 1 && f.type == 2) {
            text = (const char *)f.bytes.at;
            length = (size_t)(f.bytes.end - f.bytes.at);
        } else if (f.number == 2 && f.type == 5) {
            uint32_t bits = (uint32_t)f.value;
            memcpy(&score, &bits, sizeof score);
        } else if (f.number == 3 && f.type == 0) {
            type = f.value;
        }
    }
    static const stapes__piece_type types[] = {
        STAPES__PIECE_NORMAL, STAPES__PIECE_NORMAL, STAPES__PIECE_UNKNOWN, STAPES__PIECE_CONTROL,
        STAPES__PIECE_USER,   STAPES__PIECE_UNUSED, STAPES__PIECE_BYTE};
    if (type == 0 || type > 6)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "SentencePiece model: piece %zu has type %llu, known are 1 to 6",
                            t->count, (unsigned long long)type);
    if (length == 0 || memchr(text, 0, length) || !stapes__utf8_valid(text, length))
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "SentencePiece model: piece %zu is empty or not UTF-8", t->count);
    if (!(score > -1e30f && score < 1e30f))
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "SentencePiece model: the score of piece %zu is not finite", t->count);
    return stapes__vocab_add(t, text, length, score, types[type], err);
}

static stapes_status read_trainer(stapes__tokenizer *t, wire w, stapes_error *err) {
    uint64_t kind = 1; /* the format's default: unigram */
    field f;
    while (w.at < w.end) {
        if (!read_field(&w, &f))
            return damaged(err, "trainer specification");
        if (f.number == 3 && f.type == 0)
            kind = f.value;
        else if (f.number == 35 && f.type == 0)
            t->byte_fallback = f.value != 0;
    }
    t->encoder = kind == 1   ? STAPES__ENCODER_UNIGRAM
                 : kind == 2 ? STAPES__ENCODER_BPE_SCORE
                             : STAPES__ENCODER_NONE; /* word and char models: decoding only */
    return STAPES_OK;
}

static stapes_status read_normalizer(stapes__tokenizer *t, wire w, stapes_error *err) {
    field f;
    while (w.at < w.end) {
        if (!read_field(&w, &f))
            return damaged(err, "normalizer specification");
        if (f.number == 1 && f.type == 2) {
            const char *name = (const char *)f.bytes.at;
            size_t length = (size_t)(f.bytes.end - f.bytes.at);
            t->nfkc = memmem(name, length, "nfkc", 4) != NULL;
            t->lower = length >= 3 && memcmp(name + length - 3, "_cf", 3) == 0;
        } else if (f.number == 3 && f.type == 0) {
            t->add_prefix = f.value != 0;
        } else if (f.number == 4 && f.type == 0) {
            t->strip_all = t->squeeze = f.value != 0;
        }
    }
    return STAPES_OK;
}

static stapes_status read_model(stapes__tokenizer *t, wire w, stapes_error *err) {
    field f;
    stapes_status status = STAPES_OK;
    while (status == STAPES_OK && w.at < w.end) {
        if (!read_field(&w, &f))
            return damaged(err, "message");
        if (f.type != 2)
            continue;
        if (f.number == 1)
            status = read_piece(t, f.bytes, err);
        else if (f.number == 2)
            status = read_trainer(t, f.bytes, err);
        else if (f.number == 3)
            status = read_normalizer(t, f.bytes, err);
    }
    return status;
}

stapes_status stapes__tokenizer_open_sentencepiece(stapes__tokenizer **out, const void *data,
                                                   size_t size, stapes_error *err) {
    *out = NULL;
    if (size > STAPES__MAX_TOKENIZER)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED, "SentencePiece model of %zu bytes", size);
    stapes__tokenizer *t = NULL;
    stapes_status status = stapes__vocab_new(&t, err);
    if (status != STAPES_OK)
        return status;
    t->encoder = STAPES__ENCODER_UNIGRAM;
    t->strip_all = t->squeeze = true;
    wire all = {data, (const uint8_t *)data + size};
    if (size)
        status = read_model(t, all, err);
    if (status == STAPES_OK)
        status = stapes__vocab_finish(t, err);
    if (status != STAPES_OK) {
        stapes__tokenizer_close(&t);
        return status;
    }
    *out = t;
    return STAPES_OK;
}
