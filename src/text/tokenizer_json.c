/* Reader of tokenizer.json (spec/file-formats 8): BPE and Unigram models, Metaspace or ByteLevel,
 * added tokens, merges as strings or pairs. jansson parses; nothing is trusted before checked. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "text/utf8.h"
#include "text/vocab.h"

enum { MAX_DEPTH = 64 };

static stapes_status bad(stapes_error *err, const char *what) {
    return stapes__fail(err, STAPES_E_MODEL_DAMAGED, "tokenizer.json: %s", what);
}

/* jansson parses nested values by recursion; this keeps hostile nesting away from it. */
static bool too_deep(const char *data, size_t size) {
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        char c = data[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '[' || c == '{') {
            if (++depth > MAX_DEPTH)
                return true;
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
    return false;
}

/* ---- byte-level spelling (GPT-2's table) ---- */

/* The byte that a code point stands for: printable characters of Latin-1 stand for themselves, the
 * other bytes (0..32, 127..160, 173) are counted up from U+0100. -1 outside the table. */
static int byte_of(uint32_t cp) {
    if ((cp >= 33 && cp <= 126) || (cp >= 161 && cp <= 172) || (cp >= 174 && cp <= 255))
        return (int)cp;
    if (cp < 256 || cp > 256 + 67)
        return -1;
    uint32_t n = cp - 256;
    return n <= 32 ? (int)n : n <= 66 ? (int)(127 + n - 33) : 173;
}

/* Back from the spelling to bytes; false when a character is outside the table. */
static bool byte_spelling(const char *text, size_t length, stapes__buf *out) {
    for (size_t i = 0; i < length;) {
        stapes__utf8 c = stapes__utf8_next(text + i, length - i);
        int b = byte_of(c.cp);
        if (b < 0)
            return false;
        uint8_t byte = (uint8_t)b;
        stapes__buf_append(out, &byte, 1);
        i += c.length;
    }
    return true;
}

/* ---- the pieces ---- */

typedef struct slot {
    const char *text; /* borrowed from the JSON; NULL = no such id */
    size_t length;
    double score;
    bool added, special;
} slot;

typedef struct slots {
    slot *list;
    size_t count, capacity;
} slots;

static stapes_status put_slot(slots *s, json_int_t id, const char *text, double score,
                              stapes_error *err) {
    if (id < 0 || id >= STAPES__MAX_PIECES)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "tokenizer.json: id %lld is outside 0 .. %d", (long long)id,
                            STAPES__MAX_PIECES - 1);
    if ((size_t)id >= s->capacity) {
        size_t capacity = s->capacity ? s->capacity : 256;
        while (capacity <= (size_t)id)
            capacity *= 2;
        slot *list = stapes__realloc(s->list, capacity, sizeof *list);
        if (!list)
            return stapes__fail_memory(err, "a vocabulary");
        memset(list + s->capacity, 0, (capacity - s->capacity) * sizeof *list);
        s->list = list;
        s->capacity = capacity;
    }
    slot *at = &s->list[id];
    if (at->text && strcmp(at->text, text) != 0)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "tokenizer.json: id %lld stands for two pieces", (long long)id);
    at->text = text;
    at->length = strlen(text);
    at->score = score;
    if ((size_t)id >= s->count)
        s->count = (size_t)id + 1;
    return STAPES_OK;
}

/* model.vocab: an object piece -> id (BPE) or a list of [piece, score] (Unigram). */
static stapes_status read_vocab(slots *s, json_t *vocab, stapes_error *err) {
    stapes_status status = STAPES_OK;
    if (json_is_object(vocab)) {
        for (void *it = json_object_iter(vocab); it; it = json_object_iter_next(vocab, it)) {
            json_t *id = json_object_iter_value(it);
            if (!json_is_integer(id))
                return bad(err, "model.vocab must map pieces to numbers");
            status = put_slot(s, json_integer_value(id), json_object_iter_key(it), 0, err);
            if (status != STAPES_OK)
                return status;
        }
        return STAPES_OK;
    }
    for (size_t i = 0; i < json_array_size(vocab) && status == STAPES_OK; i++) {
        json_t *pair = json_array_get(vocab, i);
        json_t *text = json_array_get(pair, 0), *score = json_array_get(pair, 1);
        if (!json_is_string(text) || !json_is_number(score))
            return bad(err, "model.vocab must hold [piece, score] pairs");
        status = put_slot(s, (json_int_t)i, json_string_value(text), json_number_value(score), err);
    }
    return status;
}

static stapes_status read_added(slots *s, json_t *added, stapes_error *err) {
    for (size_t i = 0; i < json_array_size(added); i++) {
        json_t *token = json_array_get(added, i);
        json_t *id = json_object_get(token, "id"), *text = json_object_get(token, "content");
        if (!json_is_integer(id) || !json_is_string(text))
            return bad(err, "an added token has no id or no content");
        stapes_status status = put_slot(s, json_integer_value(id), json_string_value(text), 0, err);
        if (status != STAPES_OK)
            return status;
        if (!s->list) /* never: put_slot has made room. Said for static analysis */
            return STAPES_E_INTERNAL;
        slot *at = &s->list[json_integer_value(id)];
        at->added = true;
        at->special = json_is_true(json_object_get(token, "special"));
    }
    return STAPES_OK;
}

static stapes_status add_slot(stapes__tokenizer *t, const slot *s, const char *unk,
                              stapes__buf *scratch, stapes_error *err) {
    if (!s->text)
        return stapes__vocab_add(t, "", 0, 0, STAPES__PIECE_UNUSED, err);
    const char *text = s->text;
    size_t length = s->length;
    stapes__piece_type type = stapes__vocab_guess(text, length);
    if (t->byte_level) {
        if (type != STAPES__PIECE_USER)
            type = STAPES__PIECE_NORMAL;
        scratch->length = 0;
        if (!s->added && byte_spelling(text, length, scratch)) {
            text = scratch->data ? scratch->data : "";
            length = scratch->length;
        }
    } else if (unk) {
        if (strcmp(text, unk) == 0)
            type = STAPES__PIECE_UNKNOWN;
        else if (type == STAPES__PIECE_UNKNOWN)
            type = STAPES__PIECE_USER;
    }
    if (s->added && type == STAPES__PIECE_NORMAL)
        type = STAPES__PIECE_USER;
    stapes_status status = stapes__vocab_add(t, text, length, (float)s->score, type, err);
    if (status != STAPES_OK)
        return status;
    stapes__piece *p = &t->pieces[t->count - 1];
    p->added = s->added;
    if (type == STAPES__PIECE_USER && s->special)
        p->special = true;
    return STAPES_OK;
}

static stapes_status build_pieces(stapes__tokenizer *t, json_t *root, json_t *model,
                                  stapes_error *err) {
    slots s = {0};
    stapes__buf scratch = {0};
    json_t *unk_id = json_object_get(model, "unk_id");
    const char *unk = json_string_value(json_object_get(model, "unk_token"));
    stapes_status status = read_vocab(&s, json_object_get(model, "vocab"), err);
    if (status == STAPES_OK)
        status = read_added(&s, json_object_get(root, "added_tokens"), err);
    if (status == STAPES_OK && json_is_integer(unk_id) && json_integer_value(unk_id) >= 0 &&
        (size_t)json_integer_value(unk_id) < s.count)
        unk = s.list[json_integer_value(unk_id)].text;
    for (size_t i = 0; status == STAPES_OK && i < s.count; i++)
        status = add_slot(t, &s.list[i], unk, &scratch, err);
    if (status == STAPES_OK && scratch.failed)
        status = stapes__fail_memory(err, "a vocabulary");
    stapes__buf_free(&scratch);
    free(s.list);
    return status;
}

/* ---- merges ---- */

/* The id of one side of a merge, in the spelling of the file. */
static int32_t find_spelled(const stapes__tokenizer *t, const char *text, size_t length,
                            stapes__buf *scratch) {
    if (!t->byte_level)
        return stapes__vocab_find(t, text, length);
    scratch->length = 0;
    if (!byte_spelling(text, length, scratch))
        return -1;
    return scratch->data ? stapes__vocab_find(t, scratch->data, scratch->length) : -1;
}

static bool split_merge(const json_t *merge, const char **left, size_t *left_length,
                        const char **right, size_t *right_length) {
    if (json_is_string(merge)) {
        const char *text = json_string_value(merge);
        size_t length = json_string_length(merge);
        const char *space = length > 1 ? memchr(text + 1, ' ', length - 1) : NULL;
        if (!space)
            return false;
        *left = text;
        *left_length = (size_t)(space - text);
        *right = space + 1;
        *right_length = length - *left_length - 1;
        return *right_length > 0;
    }
    json_t *a = json_array_get(merge, 0), *b = json_array_get(merge, 1);
    if (json_array_size(merge) != 2 || !json_is_string(a) || !json_is_string(b))
        return false;
    *left = json_string_value(a);
    *left_length = json_string_length(a);
    *right = json_string_value(b);
    *right_length = json_string_length(b);
    return true;
}

static stapes_status build_merges(stapes__tokenizer *t, json_t *merges, stapes_error *err) {
    size_t count = json_array_size(merges);
    stapes__buf scratch = {0};
    stapes_status status = stapes__vocab_reserve_merges(t, count, err);
    for (size_t i = 0; status == STAPES_OK && i < count; i++) {
        const char *left, *right;
        size_t nl, nr;
        if (!split_merge(json_array_get(merges, i), &left, &nl, &right, &nr)) {
            status = stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                                  "tokenizer.json: merge %zu is not a pair of pieces", i);
            break;
        }
        int32_t a = find_spelled(t, left, nl, &scratch);
        int32_t b = find_spelled(t, right, nr, &scratch);
        if (a < 0 || b < 0)
            status = stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                                  "tokenizer.json: merge %zu names a piece outside model.vocab", i);
        else
            stapes__vocab_add_merge(t, a, b, (uint32_t)i);
    }
    if (status == STAPES_OK && scratch.failed)
        status = stapes__fail_memory(err, "the merges of a vocabulary");
    stapes__buf_free(&scratch);
    return status;
}

/* ---- the rules around the model ---- */

static bool has_type(const json_t *node, const char *type) {
    const char *name = json_string_value(json_object_get(node, "type"));
    return name && strcmp(name, type) == 0;
}

/* The steps of a node: those of a Sequence, or the node itself. *count 0 for null. */
static json_t *step(json_t *node, const char *list, size_t index, size_t *count) {
    if (!json_is_object(node)) {
        *count = 0;
        return NULL;
    }
    if (!has_type(node, "Sequence")) {
        *count = 1;
        return node;
    }
    json_t *steps = json_object_get(node, list);
    *count = json_array_size(steps);
    return json_array_get(steps, index);
}

static bool prefix_wanted(const json_t *node) {
    const char *scheme = json_string_value(json_object_get(node, "prepend_scheme"));
    if (scheme)
        return strcmp(scheme, "never") != 0;
    return !json_is_false(json_object_get(node, "add_prefix_space"));
}

static stapes_status read_decoder(stapes__tokenizer *t, json_t *root, stapes_error *err) {
    json_t *node = json_object_get(root, "decoder");
    static const char *const known[] = {"Metaspace",    "ByteLevel", "Replace",
                                        "ByteFallback", "Fuse",      "Strip"};
    size_t count = 1;
    bool strip = false, any = false;
    for (size_t i = 0; i < count; i++) {
        json_t *s = step(node, "decoders", i, &count);
        bool found = s == NULL;
        for (size_t k = 0; s && k < sizeof known / sizeof *known; k++)
            found = found || has_type(s, known[k]);
        if (!found) {
            const char *name = json_string_value(json_object_get(s, "type"));
            stapes__fail(err, STAPES_E_UNSUPPORTED, "tokenizer.json: decoder \"%s\"",
                         name ? name : "");
            stapes__hint(err, "known are Metaspace, ByteLevel and the byte-fallback sequence");
            return STAPES_E_UNSUPPORTED;
        }
        any = any || s;
        t->byte_level = t->byte_level || has_type(s, "ByteLevel");
        strip = strip || has_type(s, "Strip") || (has_type(s, "Metaspace") && prefix_wanted(s));
    }
    t->add_prefix = !t->byte_level && (strip || !any);
    return STAPES_OK;
}

/* What encoding needs; an unknown rule leaves decoding usable. */
static bool read_normalizer_step(stapes__tokenizer *t, json_t *s) {
    if (has_type(s, "NFKC") || has_type(s, "NFC") || has_type(s, "Precompiled"))
        t->nfkc = true; /* a compiled table is in practice SentencePiece's nmt_nfkc */
    else if (has_type(s, "Lowercase"))
        t->lower = true;
    else if (has_type(s, "Prepend"))
        t->add_prefix = true;
    else if (has_type(s, "Replace")) {
        json_t *pattern = json_object_get(s, "pattern");
        const char *regex = json_string_value(json_object_get(pattern, "Regex"));
        const char *plain = json_string_value(json_object_get(pattern, "String"));
        if (regex && strcmp(regex, " {2,}") == 0)
            t->squeeze = true;
        else if (!plain || strcmp(plain, " ") != 0)
            return false;
    } else if (!has_type(s, "Strip"))
        return false;
    return true;
}

static void read_encoder(stapes__tokenizer *t, json_t *root, json_t *model) {
    bool known = true;
    size_t count = 1;
    json_t *node = json_object_get(root, "normalizer");
    for (size_t i = 0; i < count && known; i++) {
        json_t *s = step(node, "normalizers", i, &count);
        known = !s || read_normalizer_step(t, s);
    }
    node = json_object_get(root, "pre_tokenizer");
    count = 1;
    for (size_t i = 0; i < count && known; i++) {
        json_t *s = step(node, "pretokenizers", i, &count);
        known = !s || has_type(s, t->byte_level ? "ByteLevel" : "Metaspace");
        if (has_type(s, "Metaspace"))
            t->add_prefix = prefix_wanted(s);
    }
    t->byte_fallback = json_is_true(json_object_get(model, "byte_fallback"));
    t->atomic_added = true;
    t->encoder = !known                       ? STAPES__ENCODER_NONE
                 : has_type(model, "Unigram") ? STAPES__ENCODER_UNIGRAM
                                              : STAPES__ENCODER_BPE_RANK;
}

static stapes_status build(stapes__tokenizer *t, json_t *root, stapes_error *err) {
    json_t *model = json_object_get(root, "model");
    if (!json_is_object(model))
        return bad(err, "there is no \"model\" object");
    json_t *type = json_object_get(model, "type");
    const char *name = json_string_value(type);
    /* Old files leave the type out; merges then show that it is BPE. */
    bool bpe = name ? strcmp(name, "BPE") == 0 : json_is_array(json_object_get(model, "merges"));
    if (!bpe && !(name && strcmp(name, "Unigram") == 0))
        return stapes__fail(err, STAPES_E_UNSUPPORTED,
                            "tokenizer.json: model type \"%s\", known are BPE and Unigram",
                            name ? name : "");
    stapes_status status = read_decoder(t, root, err);
    if (status == STAPES_OK)
        status = build_pieces(t, root, model, err);
    if (status == STAPES_OK)
        status = stapes__vocab_index(t, err);
    if (status == STAPES_OK && bpe)
        status = build_merges(t, json_object_get(model, "merges"), err);
    if (status == STAPES_OK)
        read_encoder(t, root, model);
    return status == STAPES_OK ? stapes__vocab_finish(t, err) : status;
}

stapes_status stapes__tokenizer_open_json(stapes__tokenizer **out, const char *data, size_t size,
                                          stapes_error *err) {
    *out = NULL;
    if (size > STAPES__MAX_TOKENIZER || too_deep(data, size))
        return bad(err, "larger than 64 MiB or nested deeper than 64 levels");
    json_error_t parse;
    json_t *root = json_loadb(data, size, JSON_REJECT_DUPLICATES, &parse);
    if (!root)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED, "tokenizer.json: line %d: %s", parse.line,
                            parse.text);
    stapes__tokenizer *t = NULL;
    stapes_status status = stapes__vocab_new(&t, err);
    if (status == STAPES_OK)
        status = build(t, root, err);
    json_decref(root);
    if (status != STAPES_OK) {
        stapes__tokenizer_close(&t);
        return status;
    }
    *out = t;
    return STAPES_OK;
}
