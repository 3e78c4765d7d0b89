/* Text to ids: BPE by score (SentencePiece), by order of merges (tokenizer.json) or by id (rank
 * files), and the best path of a unigram model. Encoding serves phrase lists; it follows the
 * reference implementations on ordinary text, and approximates SentencePiece's compiled
 * normalisation table by NFKC. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "text/utf8.h"
#include "text/vocab.h"

typedef struct symbol {
    uint32_t start, length; /* bytes of the text; length 0 = merged away */
    int32_t previous, next; /* -1 at the ends */
    int32_t id;             /* -1 = no such piece */
    bool frozen;            /* user-defined: takes part in no merge */
} symbol;

typedef struct candidate {
    double key; /* the lowest is merged first */
    int32_t left, right;
    uint32_t length; /* of both together when it was found: tells stale entries */
    int32_t id;
} candidate;

typedef struct encoding {
    const stapes__tokenizer *t;
    const char *text;
    symbol *symbols;
    size_t count;
    candidate *heap;
    size_t heap_count, heap_capacity;
    bool failed;
} encoding;

/* ids as a growing list */
typedef struct id_list {
    stapes__buf bytes;
} id_list;

static void push_id(id_list *list, int32_t id) {
    stapes__buf_append(&list->bytes, &id, sizeof id);
}

/* ---- merging ---- */

static bool before(const candidate *a, const candidate *b) {
    return a->key != b->key ? a->key < b->key : a->left < b->left;
}

static void heap_push(encoding *e, candidate c) {
    if (e->heap_count == e->heap_capacity) {
        size_t capacity = e->heap_capacity ? 2 * e->heap_capacity : 64;
        candidate *heap = stapes__realloc(e->heap, capacity, sizeof *heap);
        if (!heap) {
            e->failed = true;
            return;
        }
        e->heap = heap;
        e->heap_capacity = capacity;
    }
    size_t at = e->heap_count++;
    while (at > 0 && before(&c, &e->heap[(at - 1) / 2])) {
        e->heap[at] = e->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    e->heap[at] = c;
}

static candidate heap_pop(encoding *e) {
    candidate top = e->heap[0], last = e->heap[--e->heap_count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= e->heap_count)
            break;
        if (child + 1 < e->heap_count && before(&e->heap[child + 1], &e->heap[child]))
            child++;
        if (!before(&e->heap[child], &last))
            break;
        e->heap[at] = e->heap[child];
        at = child;
    }
    e->heap[at] = last;
    return top;
}

/* Offers the pair that starts at symbol `left`. */
static void offer(encoding *e, int32_t left) {
    if (left < 0 || e->symbols[left].next < 0)
        return;
    const symbol *a = &e->symbols[left], *b = &e->symbols[a->next];
    if (a->frozen || b->frozen)
        return;
    candidate c = {0, left, a->next, a->length + b->length, -1};
    c.id = stapes__vocab_find(e->t, e->text + a->start, c.length);
    if (c.id < 0)
        return;
    const stapes__piece *p = &e->t->pieces[c.id];
    uint32_t rank;
    if (e->t->encoder == STAPES__ENCODER_BPE_RANK) {
        if (!stapes__vocab_merge(e->t, a->id, b->id, &rank))
            return;
        c.key = rank;
    } else if (p->type != STAPES__PIECE_NORMAL) {
        return;
    } else {
        c.key = e->t->encoder == STAPES__ENCODER_BPE_ID ? c.id : -(double)p->score;
    }
    heap_push(e, c);
}

static void merge_all(encoding *e) {
    for (size_t i = 0; i + 1 < e->count; i++)
        offer(e, (int32_t)i);
    while (e->heap_count && !e->failed) {
        candidate c = heap_pop(e);
        symbol *a = &e->symbols[c.left], *b = &e->symbols[c.right];
        if (a->length == 0 || b->length == 0 || a->next != c.right ||
            a->length + b->length != c.length)
            continue;
        a->length = c.length;
        a->id = c.id;
        a->next = b->next;
        b->length = 0;
        if (a->next >= 0)
            e->symbols[a->next].previous = c.left;
        offer(e, a->previous);
        offer(e, c.left);
    }
}

/* ---- symbols ---- */

/* Bytes of the longest user-defined piece that the text begins with, 0 when there is none. */
static size_t user_prefix(const stapes__tokenizer *t, const char *text, size_t length) {
    size_t most = length < t->longest ? length : t->longest;
    for (size_t n = most; n > 0; n--) {
        int32_t id = stapes__vocab_find(t, text, n);
        if (id >= 0 && t->pieces[id].type == STAPES__PIECE_USER)
            return n;
    }
    return 0;
}

static bool has_user_pieces(const stapes__tokenizer *t) {
    for (size_t i = 0; i < t->count; i++)
        if (t->pieces[i].type == STAPES__PIECE_USER)
            return true;
    return false;
}

/* Cuts the text into characters (bytes when byte-level); user-defined pieces stay whole. */
static bool cut_symbols(encoding *e, size_t length) {
    const stapes__tokenizer *t = e->t;
    bool user = !t->byte_level && !t->atomic_added && has_user_pieces(t);
    e->symbols = stapes__calloc(length, sizeof *e->symbols);
    if (!e->symbols)
        return false;
    for (size_t at = 0; at < length;) {
        size_t n = user ? user_prefix(t, e->text + at, length - at) : 0;
        symbol *s = &e->symbols[e->count];
        s->frozen = n > 0;
        if (n == 0)
            n = t->byte_level ? 1 : stapes__utf8_next(e->text + at, length - at).length;
        s->start = (uint32_t)at;
        s->length = (uint32_t)n;
        s->previous = (int32_t)e->count - 1;
        s->next = (int32_t)e->count + 1;
        s->id = stapes__vocab_find(t, e->text + at, n);
        at += n;
        e->count++;
    }
    if (e->count)
        e->symbols[e->count - 1].next = -1;
    return true;
}

/* A stretch without a piece: byte pieces, else one <unk> for the whole run. */
static bool push_unknown(const stapes__tokenizer *t, const char *text, size_t length,
                         bool after_unknown, id_list *out) {
    if (t->byte_fallback) {
        bool all = true;
        for (size_t i = 0; i < length; i++)
            all = all && t->byte_ids[(uint8_t)text[i]] >= 0;
        for (size_t i = 0; all && i < length; i++)
            push_id(out, t->byte_ids[(uint8_t)text[i]]);
        if (all)
            return false;
    }
    if (!after_unknown && t->unk >= 0)
        push_id(out, t->unk);
    return true;
}

static stapes_status encode_bpe(const stapes__tokenizer *t, const char *text, size_t length,
                                id_list *out, stapes_error *err) {
    encoding e = {.t = t, .text = text};
    bool ok = cut_symbols(&e, length);
    if (ok)
        merge_all(&e);
    bool unknown = false;
    for (int32_t i = ok && e.count ? 0 : -1; i >= 0; i = e.symbols[i].next) {
        const symbol *s = &e.symbols[i];
        stapes__piece_type type = stapes__tokenizer_type(t, s->id);
        if (s->id >= 0 && (type == STAPES__PIECE_NORMAL || type == STAPES__PIECE_USER)) {
            push_id(out, s->id);
            unknown = false;
        } else {
            unknown = push_unknown(t, text + s->start, s->length, unknown, out);
        }
    }
    ok = ok && !e.failed && !out->bytes.failed;
    free(e.symbols);
    free(e.heap);
    return ok ? STAPES_OK : stapes__fail_memory(err, "encoding a text");
}

/* ---- unigram ---- */

typedef struct node {
    double score;
    uint32_t length; /* of the piece that ends here */
    int32_t id;      /* -1 = unknown character */
} node;

/* The path of the highest sum of scores; an unknown character costs 10 more than the worst piece,
 * a user-defined piece beats any split of its characters (both as SentencePiece does). */
static stapes_status encode_unigram(const stapes__tokenizer *t, const char *text, size_t length,
                                    id_list *out, stapes_error *err) {
    double lowest = 0, highest = 0;
    for (size_t i = 0; i < t->count; i++)
        if (t->pieces[i].type == STAPES__PIECE_NORMAL) {
            lowest = fmin(lowest, t->pieces[i].score);
            highest = fmax(highest, t->pieces[i].score);
        }
    node *best = stapes__calloc(length + 1, sizeof *best);
    uint32_t *path = stapes__calloc(length + 1, sizeof *path);
    if (!best || !path) {
        free(best);
        free(path);
        return stapes__fail_memory(err, "encoding a text");
    }
    for (size_t at = 0; at < length;) {
        size_t first = stapes__utf8_next(text + at, length - at).length;
        size_t most = length - at < t->longest ? length - at : t->longest;
        bool single = false;
        for (size_t n = 1; n <= most; n++) {
            int32_t id = stapes__vocab_find(t, text + at, n);
            const stapes__piece *p = id >= 0 ? &t->pieces[id] : NULL;
            if (!p || (p->type != STAPES__PIECE_NORMAL && p->type != STAPES__PIECE_USER))
                continue;
            double score = p->type == STAPES__PIECE_USER ? (double)n * highest - 0.1 : p->score;
            node *end = &best[at + n];
            if (end->length == 0 || best[at].score + score > end->score)
                *end = (node){best[at].score + score, (uint32_t)n, id};
            single = single || n == first;
        }
        node *end = &best[at + first];
        double score = best[at].score + lowest - 10;
        if (!single && (end->length == 0 || score > end->score))
            *end = (node){score, (uint32_t)first, -1};
        at += first;
    }
    size_t steps = 0;
    for (size_t at = length; at > 0; at -= best[at].length)
        path[steps++] = (uint32_t)at;
    bool unknown = false;
    while (steps-- > 0) {
        const node *n = &best[path[steps]];
        if (n->id >= 0)
            push_id(out, n->id);
        unknown =
            n->id < 0 && push_unknown(t, text + path[steps] - n->length, n->length, unknown, out);
    }
    free(best);
    free(path);
    return out->bytes.failed ? stapes__fail_memory(err, "encoding a text") : STAPES_OK;
}

/* ---- byte-level: GPT-2's cut into words, numbers, signs and spaces ---- */

typedef enum kind { KIND_SPACE, KIND_LETTER, KIND_NUMBER, KIND_OTHER } kind;

static kind kind_at(const char *text, size_t length, size_t at, size_t *size) {
    stapes__utf8 c = stapes__utf8_next(text + at, length - at);
    *size = c.length;
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c.cp);
    if (stapes__unicode_space(c.cp))
        return KIND_SPACE;
    if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO)
        return KIND_LETTER;
    if (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO)
        return KIND_NUMBER;
    return KIND_OTHER;
}

/* Bytes of the next chunk of
 * 's|'t|'re|'ve|'m|'ll|'d| ?letters+| ?numbers+| ?others+|spaces not before a non-space|spaces. */
static size_t next_chunk(const char *text, size_t length) {
    static const char *const endings[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t n = strlen(endings[i]);
        if (n <= length && memcmp(text, endings[i], n) == 0)
            return n;
    }
    size_t size, at = 0, last = 0;
    kind first = kind_at(text, length, 0, &size);
    if (first == KIND_SPACE) {
        while (at < length && kind_at(text, length, at, &size) == KIND_SPACE) {
            last = at;
            at += size;
        }
        if (at == length)
            return at;
        if (last > 0)
            return last; /* the last space goes with what follows */
        if (text[0] != ' ')
            return at;
        first = kind_at(text, length, at, &size);
    }
    while (at < length && kind_at(text, length, at, &size) == first)
        at += size;
    return at;
}

static stapes_status encode_bytes(const stapes__tokenizer *t, const char *text, size_t length,
                                  id_list *out, stapes_error *err) {
    stapes_status status = STAPES_OK;
    while (length > 0 && status == STAPES_OK) {
        size_t n = next_chunk(text, length);
        int32_t whole = t->encoder == STAPES__ENCODER_BPE_ID ? stapes__vocab_find(t, text, n) : -1;
        if (whole >= 0 && t->pieces[whole].type == STAPES__PIECE_NORMAL)
            push_id(out, whole);
        else
            status = encode_bpe(t, text, n, out, err);
        text += n;
        length -= n;
    }
    return status;
}

/* ---- normalisation and the frame ---- */

/* NFKC, lower case, folded spaces, marks for spaces, the leading mark. */
static stapes_status normalise(const stapes__tokenizer *t, const char *text, size_t length,
                               stapes__buf *out, stapes_error *err) {
    char *mapped = NULL;
    if (t->nfkc || t->lower) {
        int options = UTF8PROC_STABLE | (t->nfkc ? UTF8PROC_COMPOSE | UTF8PROC_COMPAT : 0) |
                      (t->lower ? UTF8PROC_CASEFOLD : 0);
        utf8proc_uint8_t *bytes = NULL;
        utf8proc_ssize_t n =
            utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)length, &bytes, options);
        if (n < 0)
            return stapes__fail(err, STAPES_E_ARGUMENT, "the text cannot be normalised: %s",
                                utf8proc_errmsg(n));
        mapped = (char *)bytes;
        text = mapped;
        length = (size_t)n;
        for (size_t i = 0; t->squeeze && i < length; i++) /* nmt_nfkc: tabs and line ends too */
            if (mapped[i] >= '\t' && mapped[i] <= '\r')
                mapped[i] = ' ';
    }
    size_t at = 0, end = length;
    if (t->squeeze) {
        while (at < end && text[at] == ' ')
            at++;
        while (end > at && text[end - 1] == ' ')
            end--;
    }
    bool marked = end - at >= STAPES__MARK_LENGTH && !t->squeeze &&
                  (text[at] == ' ' || memcmp(text + at, STAPES__MARK, STAPES__MARK_LENGTH) == 0);
    /* tokenizer.json adds the mark only where there is none; SentencePiece always. */
    if (t->add_prefix && at < end && !(t->atomic_added && (marked || text[at] == ' ')))
        stapes__buf_puts(out, STAPES__MARK);
    for (; at < end; at++) {
        if (text[at] != ' ')
            stapes__buf_append(out, text + at, 1);
        else if (!t->squeeze || text[at + 1] != ' ')
            stapes__buf_puts(out, STAPES__MARK);
    }
    free(mapped);
    return out->failed ? stapes__fail_memory(err, "encoding a text") : STAPES_OK;
}

static stapes_status encode_stretch(const stapes__tokenizer *t, const char *text, size_t length,
                                    id_list *out, stapes_error *err) {
    if (length == 0)
        return STAPES_OK;
    if (t->byte_level)
        return encode_bytes(t, text, length, out, err);
    stapes__buf normal = {0};
    stapes_status status = normalise(t, text, length, &normal, err);
    if (status == STAPES_OK && normal.length)
        status = t->encoder == STAPES__ENCODER_UNIGRAM
                     ? encode_unigram(t, normal.data, normal.length, out, err)
                     : encode_bpe(t, normal.data, normal.length, out, err);
    stapes__buf_free(&normal);
    return status;
}

/* tokenizer.json: added tokens are found in the raw text and split it. */
static stapes_status encode_around_added(const stapes__tokenizer *t, const char *text,
                                         size_t length, id_list *out, stapes_error *err) {
    bool any = has_user_pieces(t);
    size_t from = 0;
    stapes_status status = STAPES_OK;
    for (size_t at = 0; any && at < length && status == STAPES_OK;) {
        size_t n = user_prefix(t, text + at, length - at);
        int32_t id = n ? stapes__vocab_find(t, text + at, n) : -1;
        if (id < 0 || !t->pieces[id].added) {
            at++;
            continue;
        }
        status = encode_stretch(t, text + from, at - from, out, err);
        push_id(out, id);
        at += n;
        from = at;
    }
    return status == STAPES_OK ? encode_stretch(t, text + from, length - from, out, err) : status;
}

stapes_status stapes__tokenizer_encode(const stapes__tokenizer *t, const char *text, int32_t **ids,
                                       size_t *count, stapes_error *err) {
    size_t length = strlen(text);
    *ids = NULL;
    *count = 0;
    if (t->encoder == STAPES__ENCODER_NONE)
        return stapes__fail(err, STAPES_E_UNSUPPORTED,
                            "this vocabulary has no rules for encoding text");
    if (length > STAPES__MAX_TEXT || !stapes__utf8_valid(text, length))
        return stapes__fail(err, STAPES_E_ARGUMENT,
                            "the text to encode is not UTF-8 or longer than 16 MiB");
    id_list list = {{0}};
    stapes_status status = t->atomic_added ? encode_around_added(t, text, length, &list, err)
                                           : encode_stretch(t, text, length, &list, err);
    if (status == STAPES_OK && list.bytes.failed)
        status = stapes__fail_memory(err, "encoding a text");
    if (status != STAPES_OK) {
        stapes__buf_free(&list.bytes);
        return status;
    }
    *count = list.bytes.length / sizeof(int32_t);
    *ids = list.bytes.data ? (int32_t *)(void *)list.bytes.data : malloc(1);
    return *ids ? STAPES_OK : stapes__fail_memory(err, "encoding a text");
}
