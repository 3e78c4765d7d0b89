/* Ids to text (spec/transducer-and-ctc 15). SentencePiece pieces: the mark becomes a space, the
 * leading one goes; byte pieces are gathered and read as UTF-8. Byte-level vocabularies: all bytes
 * first, then UTF-8 once. */
#include <string.h>

#include "text/utf8.h"
#include "text/vocab.h"

typedef struct decoding {
    const stapes__tokenizer *t;
    unsigned flags;
    stapes__buf text;  /* finished text */
    stapes__buf bytes; /* a run of byte pieces, or everything of a byte-level vocabulary */
    bool started;      /* the leading space is gone */
} decoding;

/* A run of byte pieces ends: SentencePiece shows one U+FFFD per broken byte. */
static void flush_bytes(decoding *d) {
    if (d->bytes.length == 0)
        return;
    stapes__utf8_clean(&d->text, d->bytes.data, d->bytes.length, !d->t->byte_level);
    d->bytes.length = 0;
    d->started = true;
}

static void put_marked(decoding *d, const stapes__piece *p) {
    const char *text = p->text;
    size_t left = p->length;
    if (!d->started && (d->t->add_prefix || d->t->strip_all) && left >= STAPES__MARK_LENGTH &&
        memcmp(text, STAPES__MARK, STAPES__MARK_LENGTH) == 0) {
        text += STAPES__MARK_LENGTH;
        left -= STAPES__MARK_LENGTH;
        d->started = !d->t->strip_all;
    }
    size_t before = d->text.length;
    while (left > 0) {
        const char *mark = memmem(text, left, STAPES__MARK, STAPES__MARK_LENGTH);
        size_t plain = mark ? (size_t)(mark - text) : left;
        stapes__utf8_clean(&d->text, text, plain, false);
        if (!mark)
            break;
        stapes__buf_append(&d->text, " ", 1);
        text += plain + STAPES__MARK_LENGTH;
        left -= plain + STAPES__MARK_LENGTH;
    }
    if (d->text.length > before)
        d->started = true;
}

static void put_piece(decoding *d, const stapes__piece *p) {
    bool specials = d->flags & STAPES__DECODE_SPECIALS;
    if (p->special && !specials)
        return;
    if (d->t->byte_level) {
        stapes__buf_append(&d->bytes, p->text, p->length);
        return;
    }
    if (p->type == STAPES__PIECE_BYTE) {
        stapes__buf_append(&d->bytes, &p->byte, 1);
        return;
    }
    if (p->type == STAPES__PIECE_UNKNOWN) {
        if (!specials && !(d->flags & STAPES__DECODE_UNKNOWN))
            return;
        flush_bytes(d);
        stapes__buf_puts(&d->text, " \xe2\x81\x87 ");
        d->started = true;
        return;
    }
    flush_bytes(d);
    if (p->type != STAPES__PIECE_CONTROL)
        put_marked(d, p);
}

void stapes__tokenizer_nemo_space(const stapes__tokenizer *t, const char *text, size_t length,
                                  stapes__buf *out) {
    for (size_t i = 0; i < length;) {
        stapes__utf8 c = stapes__utf8_next(text + i, length - i);
        size_t next = i + c.length;
        if (c.valid && stapes__unicode_space(c.cp) && next < length) {
            stapes__utf8 after = stapes__utf8_next(text + next, length - next);
            if (after.valid && stapes__tokenizer_punctuation(t, after.cp)) {
                stapes__buf_append(out, text + next, after.length);
                i = next + after.length;
                continue;
            }
        }
        stapes__buf_append(out, text + i, c.length);
        i = next;
    }
}

/* Bytes of one white-space character at the end of valid UTF-8, 0 when there is none. */
static size_t trailing_space(const char *text, size_t length) {
    size_t at = length;
    while (at > 0 && ((uint8_t)text[at - 1] & 0xc0) == 0x80)
        at--;
    if (at == 0)
        return 0;
    stapes__utf8 c = stapes__utf8_next(text + at - 1, length - at + 1);
    return c.valid && stapes__unicode_space(c.cp) ? length - at + 1 : 0;
}

static stapes_status decode(const stapes__tokenizer *t, const int32_t *ids, size_t count,
                            unsigned flags, bool stable, stapes__buf *out, stapes_error *err) {
    decoding d = {.t = t, .flags = flags};
    for (size_t i = 0; i < count; i++)
        if (ids[i] >= 0 && (size_t)ids[i] < t->count)
            put_piece(&d, &t->pieces[ids[i]]);
    if (stable && d.bytes.length)
        d.bytes.length -= stapes__utf8_tail(d.bytes.data, d.bytes.length);
    flush_bytes(&d);
    if (flags & STAPES__DECODE_NEMO_SPACE) {
        size_t length = d.text.length;
        /* Punctuation that follows would still remove it. */
        if (stable)
            length -= trailing_space(d.text.data, length);
        stapes__tokenizer_nemo_space(t, d.text.data, length, out);
    } else {
        stapes__buf_append(out, d.text.data, d.text.length);
    }
    bool failed = d.text.failed || d.bytes.failed || out->failed;
    stapes__buf_free(&d.text);
    stapes__buf_free(&d.bytes);
    return failed ? stapes__fail_memory(err, "decoded text") : STAPES_OK;
}

stapes_status stapes__tokenizer_decode(const stapes__tokenizer *t, const int32_t *ids, size_t count,
                                       unsigned flags, stapes__buf *out, stapes_error *err) {
    return decode(t, ids, count, flags, false, out, err);
}

stapes_status stapes__tokenizer_decode_stable(const stapes__tokenizer *t, const int32_t *ids,
                                              size_t count, unsigned flags, stapes__buf *out,
                                              stapes_error *err) {
    return decode(t, ids, count, flags, true, out, err);
}
