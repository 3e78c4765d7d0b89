/* The piece table: building it, its index, and what can be asked of a piece. */
#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "text/utf8.h"
#include "text/vocab.h"

stapes_status stapes__vocab_new(stapes__tokenizer **out, stapes_error *err) {
    stapes__tokenizer *t = stapes__calloc(1, sizeof *t);
    if (!t)
        return stapes__fail_memory(err, "a vocabulary");
    t->add_prefix = true;
    t->encoder = STAPES__ENCODER_NONE;
    t->unk = -1;
    *out = t;
    return STAPES_OK;
}

void stapes__tokenizer_close(stapes__tokenizer **tokenizer) {
    stapes__tokenizer *t = tokenizer ? *tokenizer : NULL;
    if (!t)
        return;
    free(t->pieces);
    stapes__buf_free(&t->text);
    free(t->index);
    free(t->merges);
    free(t->punctuation);
    free(t);
    *tokenizer = NULL;
}

static bool equals(const char *bytes, size_t length, const char *word) {
    return length == strlen(word) && memcmp(bytes, word, length) == 0;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "<0x41>" -> 0x41, otherwise -1. */
static int byte_piece(const char *b, size_t n) {
    if (n != 6 || memcmp(b, "<0x", 3) != 0 || b[5] != '>')
        return -1;
    int high = hex_digit(b[3]), low = hex_digit(b[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* <|...|>, or a name between angle brackets: <pad>, <s>, </s>, <EOU>, <extra_id_0>. */
static bool special_spelling(const char *b, size_t n) {
    if (n < 3 || b[0] != '<' || b[n - 1] != '>')
        return false;
    if (b[1] == '|')
        return n >= 5 && b[n - 2] == '|';
    size_t i = b[1] == '/' ? 2 : 1;
    if (i >= n - 1 || !(((b[i] | 0x20) >= 'a' && (b[i] | 0x20) <= 'z')))
        return false;
    for (; i < n - 1; i++) {
        char c = b[i], lower = (char)(c | 0x20);
        if (!(lower >= 'a' && lower <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '-')
            return false;
    }
    return true;
}

stapes__piece_type stapes__vocab_guess(const char *bytes, size_t length) {
    if (equals(bytes, length, "<unk>") || equals(bytes, length, "[UNK]"))
        return STAPES__PIECE_UNKNOWN;
    if (byte_piece(bytes, length) >= 0)
        return STAPES__PIECE_BYTE;
    return special_spelling(bytes, length) ? STAPES__PIECE_USER : STAPES__PIECE_NORMAL;
}

stapes_status stapes__vocab_add(stapes__tokenizer *t, const char *bytes, size_t length, float score,
                                stapes__piece_type type, stapes_error *err) {
    if (t->count >= STAPES__MAX_PIECES)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED, "vocabulary of more than %d pieces",
                            STAPES__MAX_PIECES);
    if (length > STAPES__MAX_TEXT)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED, "vocabulary piece %zu is %zu bytes long",
                            t->count, length);
    if (t->count == t->capacity) {
        size_t capacity = t->capacity ? 2 * t->capacity : 256;
        stapes__piece *pieces = stapes__realloc(t->pieces, capacity, sizeof *pieces);
        if (!pieces)
            return stapes__fail_memory(err, "a vocabulary");
        t->pieces = pieces;
        t->capacity = capacity;
    }
    int byte = type == STAPES__PIECE_BYTE ? byte_piece(bytes, length) : -1;
    if (type == STAPES__PIECE_BYTE && byte < 0)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "vocabulary piece %zu is a byte piece but not spelled <0x..>",
                            t->count);
    bool special = type == STAPES__PIECE_CONTROL ||
                   (type == STAPES__PIECE_USER && special_spelling(bytes, length));
    t->pieces[t->count++] = (stapes__piece){NULL,          (uint32_t)length, score, (uint8_t)type,
                                            (uint8_t)byte, special,          false};
    stapes__buf_append(&t->text, bytes, length);
    stapes__buf_append(&t->text, "", 1);
    if (t->text.failed)
        return stapes__fail_memory(err, "a vocabulary");
    return STAPES_OK;
}

/* FNV-1a. */
static uint64_t hash_bytes(const char *bytes, size_t length) {
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < length; i++)
        h = (h ^ (uint8_t)bytes[i]) * 0x100000001b3u;
    return h ^ h >> 29;
}

int32_t stapes__vocab_find(const stapes__tokenizer *t, const char *bytes, size_t length) {
    if (length > t->longest || t->index_size == 0)
        return -1;
    size_t mask = t->index_size - 1;
    for (size_t at = hash_bytes(bytes, length) & mask; t->index[at] >= 0; at = (at + 1) & mask) {
        const stapes__piece *p = &t->pieces[t->index[at]];
        if (p->length == length && memcmp(p->text, bytes, length) == 0)
            return t->index[at];
    }
    return -1;
}

static size_t table_size(size_t count) {
    size_t size = 16;
    while (size < 2 * count)
        size *= 2;
    return size;
}

stapes_status stapes__vocab_index(stapes__tokenizer *t, stapes_error *err) {
    size_t size = table_size(t->count), offset = 0;
    int32_t *index = stapes__realloc(t->index, size, sizeof *index);
    if (!index)
        return stapes__fail_memory(err, "a vocabulary");
    for (size_t i = 0; i < size; i++)
        index[i] = -1;
    t->index = index;
    t->index_size = size;
    t->longest = 0;
    for (size_t i = 0; i < t->count; i++) {
        stapes__piece *p = &t->pieces[i];
        p->text = t->text.data + offset;
        offset += (size_t)p->length + 1;
        if (p->length > t->longest)
            t->longest = p->length;
        /* A piece that occurs twice is found under its first id, as SentencePiece does. */
        if (p->length == 0 || stapes__vocab_find(t, p->text, p->length) >= 0)
            continue;
        size_t at = hash_bytes(p->text, p->length) & (size - 1);
        while (index[at] >= 0)
            at = (at + 1) & (size - 1);
        index[at] = (int32_t)i;
    }
    return STAPES_OK;
}

/* ---- merges ---- */

static size_t merge_slot(const stapes__tokenizer *t, int32_t left, int32_t right) {
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    key *= 0x9e3779b97f4a7c15u;
    size_t at = (key ^ key >> 31) & (t->merges_size - 1);
    while (t->merges[at].left >= 0 && (t->merges[at].left != left || t->merges[at].right != right))
        at = (at + 1) & (t->merges_size - 1);
    return at;
}

stapes_status stapes__vocab_reserve_merges(stapes__tokenizer *t, size_t count, stapes_error *err) {
    t->merges_size = table_size(count);
    t->merges = stapes__calloc(t->merges_size, sizeof *t->merges);
    if (!t->merges)
        return stapes__fail_memory(err, "the merges of a vocabulary");
    for (size_t i = 0; i < t->merges_size; i++)
        t->merges[i].left = -1;
    return STAPES_OK;
}

void stapes__vocab_add_merge(stapes__tokenizer *t, int32_t left, int32_t right, uint32_t rank) {
    stapes__merge *m = &t->merges[merge_slot(t, left, right)];
    if (m->left < 0)
        *m = (stapes__merge){left, right, rank};
}

bool stapes__vocab_merge(const stapes__tokenizer *t, int32_t left, int32_t right, uint32_t *rank) {
    if (t->merges_size == 0 || left < 0 || right < 0)
        return false;
    const stapes__merge *m = &t->merges[merge_slot(t, left, right)];
    *rank = m->rank;
    return m->left >= 0;
}

/* ---- finishing ---- */

static int compare_cp(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* NeMo's extraction: the P* characters of pieces that are not special forms and do not begin a
 * word. */
static stapes_status collect_punctuation(stapes__tokenizer *t, stapes_error *err) {
    stapes__buf list = {0};
    for (size_t i = 0; i < t->count; i++) {
        const stapes__piece *p = &t->pieces[i];
        if (p->length >= STAPES__MARK_LENGTH && memcmp(p->text, STAPES__MARK, 3) == 0)
            continue;
        if (p->length == 0 || p->text[0] == '<' || p->text[0] == '[' ||
            (p->length >= 2 && p->text[0] == '#' && p->text[1] == '#'))
            continue;
        for (size_t at = 0; at < p->length;) {
            stapes__utf8 c = stapes__utf8_next(p->text + at, p->length - at);
            if (c.valid && stapes__unicode_punctuation(c.cp))
                stapes__buf_append(&list, &c.cp, sizeof c.cp);
            at += c.length;
        }
    }
    size_t count = list.length / sizeof(uint32_t), kept = 0;
    uint32_t *cps = stapes__calloc(count, sizeof *cps);
    if (!cps || list.failed) {
        free(cps);
        stapes__buf_free(&list);
        return stapes__fail_memory(err, "a vocabulary");
    }
    if (count)
        memcpy(cps, list.data, list.length);
    stapes__buf_free(&list);
    qsort(cps, count, sizeof *cps, compare_cp);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || cps[kept - 1] != cps[i])
            cps[kept++] = cps[i];
    t->punctuation = cps;
    t->punctuation_count = kept;
    return STAPES_OK;
}

stapes_status stapes__vocab_finish(stapes__tokenizer *t, stapes_error *err) {
    if (t->count == 0)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED, "the vocabulary has no pieces");
    stapes_status status = stapes__vocab_index(t, err);
    if (status != STAPES_OK)
        return status;
    const stapes__piece *last = &t->pieces[t->count - 1];
    if (equals(last->text, last->length, "<blank>") || equals(last->text, last->length, "<blk>")) {
        t->count--;
        status = stapes__vocab_index(t, err);
        if (status != STAPES_OK)
            return status;
    }
    for (size_t i = 0; i < 256; i++)
        t->byte_ids[i] = -1;
    for (size_t i = t->count; i-- > 0;) {
        const stapes__piece *p = &t->pieces[i];
        if (p->type == STAPES__PIECE_UNKNOWN && !t->byte_level)
            t->unk = (int32_t)i;
        if (p->type == STAPES__PIECE_BYTE)
            t->byte_ids[p->byte] = (int32_t)i;
        else if (t->byte_level && p->length == 1)
            t->byte_ids[(uint8_t)p->text[0]] = (int32_t)i;
    }
    return collect_punctuation(t, err);
}

/* ---- questions ---- */

size_t stapes__tokenizer_size(const stapes__tokenizer *t) {
    return t->count;
}

static const stapes__piece *piece_at(const stapes__tokenizer *t, int32_t id) {
    return id >= 0 && (size_t)id < t->count ? &t->pieces[id] : NULL;
}

const char *stapes__tokenizer_piece(const stapes__tokenizer *t, int32_t id) {
    const stapes__piece *p = piece_at(t, id);
    return p ? p->text : NULL;
}

const char *stapes__tokenizer_bytes(const stapes__tokenizer *t, int32_t id, size_t *length) {
    const stapes__piece *p = piece_at(t, id);
    *length = p ? p->length : 0;
    return p ? p->text : NULL;
}

stapes__piece_type stapes__tokenizer_type(const stapes__tokenizer *t, int32_t id) {
    const stapes__piece *p = piece_at(t, id);
    return p ? (stapes__piece_type)p->type : STAPES__PIECE_UNUSED;
}

int32_t stapes__tokenizer_find(const stapes__tokenizer *t, const char *piece) {
    return stapes__vocab_find(t, piece, strlen(piece));
}

bool stapes__tokenizer_byte_level(const stapes__tokenizer *t) {
    return t->byte_level;
}

bool stapes__tokenizer_special(const stapes__tokenizer *t, int32_t id) {
    const stapes__piece *p = piece_at(t, id);
    return p && p->special;
}

bool stapes__tokenizer_punctuation(const stapes__tokenizer *t, uint32_t cp) {
    return t->punctuation_count && bsearch(&cp, t->punctuation, t->punctuation_count,
                                           sizeof *t->punctuation, compare_cp) != NULL;
}
