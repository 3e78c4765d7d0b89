/* Vocabularies that are plain lists: pieces in memory, text files with a piece per line, raw byte
 * tokens, rank files. */
#include <stdlib.h>
#include <string.h>

#include "text/utf8.h"
#include "text/vocab.h"

/* Gives *out the vocabulary, or closes it after a failure. */
static stapes_status deliver(stapes__tokenizer **out, stapes__tokenizer *t, stapes_status status,
                             stapes_error *err) {
    if (status == STAPES_OK)
        status = stapes__vocab_finish(t, err);
    if (status == STAPES_OK)
        *out = t;
    else
        stapes__tokenizer_close(&t);
    return status;
}

stapes_status stapes__tokenizer_open_pieces(stapes__tokenizer **out, const char *const *pieces,
                                            size_t count, stapes_error *err) {
    *out = NULL;
    stapes__tokenizer *t = NULL;
    stapes_status status = stapes__vocab_new(&t, err);
    for (size_t i = 0; status == STAPES_OK && i < count; i++) {
        size_t length = strlen(pieces[i]);
        if (!stapes__utf8_valid(pieces[i], length))
            status =
                stapes__fail(err, STAPES_E_MODEL_DAMAGED, "vocabulary piece %zu is not UTF-8", i);
        else
            status = stapes__vocab_add(t, pieces[i], length, 0,
                                       stapes__vocab_guess(pieces[i], length), err);
    }
    return deliver(out, t, status, err);
}

/* ---- one piece per line ---- */

typedef struct line {
    const char *text;
    size_t length; /* of the piece */
    int64_t id;    /* of "piece id", -1 when the line is not of that form */
    float score;
    bool scored; /* of "piece<TAB>score" */
} line;

static void parse_line(line *l) {
    l->id = -1;
    const char *tab = memchr(l->text, '\t', l->length);
    if (tab) {
        char number[48];
        size_t n = l->length - (size_t)(tab + 1 - l->text);
        if (n == 0 || n >= sizeof number)
            return;
        memcpy(number, tab + 1, n);
        number[n] = 0;
        char *end;
        float score = strtof(number, &end);
        l->scored = *end == 0 && score > -1e30f && score < 1e30f;
        l->score = score;
        return;
    }
    size_t digits = 0;
    while (digits < l->length && l->text[l->length - 1 - digits] >= '0' &&
           l->text[l->length - 1 - digits] <= '9')
        digits++;
    if (digits == 0 || digits > 9 || digits + 2 > l->length ||
        l->text[l->length - 1 - digits] != ' ')
        return;
    l->id = 0;
    for (size_t i = l->length - digits; i < l->length; i++)
        l->id = l->id * 10 + (l->text[i] - '0');
}

static stapes_status split_lines(const char *data, size_t size, line **lines, size_t *count,
                                 stapes_error *err) {
    size_t capacity = 0, n = 0;
    line *list = NULL;
    for (size_t at = 0; at < size;) {
        const char *end = memchr(data + at, '\n', size - at);
        size_t length = end ? (size_t)(end - data) - at : size - at, next = at + length + 1;
        if (length && data[at + length - 1] == '\r')
            length--;
        if (n == capacity) {
            capacity = capacity ? 2 * capacity : 256;
            line *grown = stapes__realloc(list, capacity, sizeof *grown);
            if (!grown) {
                free(list);
                return stapes__fail_memory(err, "a vocabulary");
            }
            list = grown;
        }
        list[n] = (line){.text = data + at, .length = length};
        parse_line(&list[n++]);
        at = next;
    }
    while (n > 0 && list[n - 1].length == 0)
        n--;
    *lines = list;
    *count = n;
    return STAPES_OK;
}

static int compare_ids(const void *a, const void *b) {
    const line *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* True when every line is "piece id" and the ids are 0 .. n-1 in any order; then sorts them. */
static bool sort_numbered(line *lines, size_t count) {
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        if (lines[i].id < 0 || (size_t)lines[i].id >= count)
            return false;
        sum += (uint64_t)lines[i].id;
    }
    if (sum != (uint64_t)count * (count - 1) / 2)
        return false;
    qsort(lines, count, sizeof *lines, compare_ids);
    for (size_t i = 0; i < count; i++) {
        if (lines[i].id != (int64_t)i)
            return false;
        lines[i].length =
            (size_t)((const char *)memrchr(lines[i].text, ' ', lines[i].length) - lines[i].text);
    }
    return true;
}

/* True when every line is "piece<TAB>score"; then cuts the scores off. */
static bool cut_scores(line *lines, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!lines[i].scored)
            return false;
    for (size_t i = 0; i < count; i++)
        lines[i].length =
            (size_t)((const char *)memchr(lines[i].text, '\t', lines[i].length) - lines[i].text);
    return true;
}

stapes_status stapes__tokenizer_open_lines(stapes__tokenizer **out, const char *data, size_t size,
                                           stapes_error *err) {
    *out = NULL;
    if (size > STAPES__MAX_TOKENIZER)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED, "vocabulary of %zu bytes", size);
    line *lines = NULL;
    size_t count = 0;
    stapes_status status = split_lines(data, size, &lines, &count, err);
    if (status != STAPES_OK)
        return status;
    stapes__tokenizer *t = NULL;
    status = stapes__vocab_new(&t, err);
    bool scored = status == STAPES_OK && count && cut_scores(lines, count);
    if (status == STAPES_OK && count && !scored) {
        /* The ids are unique when the sort puts each in its place; a failed attempt may have
         * reordered the lines, so the plain form is parsed from the file again. */
        line *copy = stapes__calloc(count, sizeof *copy);
        if (!copy) {
            status = stapes__fail_memory(err, "a vocabulary");
        } else {
            memcpy(copy, lines, count * sizeof *copy);
            if (sort_numbered(copy, count)) {
                free(lines);
                lines = copy;
            } else {
                free(copy);
            }
        }
    }
    for (size_t i = 0; status == STAPES_OK && i < count; i++) {
        const line *l = &lines[i];
        if (memchr(l->text, 0, l->length) || !stapes__utf8_valid(l->text, l->length))
            status = stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                                  "vocabulary line %zu is not UTF-8 text", i + 1);
        else
            status = stapes__vocab_add(t, l->text, l->length, l->score,
                                       stapes__vocab_guess(l->text, l->length), err);
    }
    free(lines);
    if (scored && status == STAPES_OK)
        t->encoder = STAPES__ENCODER_BPE_SCORE;
    return deliver(out, t, status, err);
}

/* ---- byte tokens ---- */

stapes_status stapes__tokenizer_open_bytes(stapes__tokenizer **out, const uint8_t *const *tokens,
                                           const size_t *lengths, size_t count, stapes_error *err) {
    *out = NULL;
    stapes__tokenizer *t = NULL;
    stapes_status status = stapes__vocab_new(&t, err);
    if (status == STAPES_OK) {
        t->byte_level = true;
        t->add_prefix = false;
        t->encoder = STAPES__ENCODER_BPE_ID;
    }
    for (size_t i = 0; status == STAPES_OK && i < count; i++) {
        const char *bytes = (const char *)tokens[i];
        stapes__piece_type type = stapes__vocab_guess(bytes, lengths[i]);
        /* The spelling <0x41> means nothing here, and only <|...|> is a control token. */
        if (type != STAPES__PIECE_USER || bytes[1] != '|')
            type = STAPES__PIECE_NORMAL;
        status = stapes__vocab_add(t, bytes, lengths[i], 0, type, err);
    }
    return deliver(out, t, status, err);
}

static int base64_value(uint8_t c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes in place into `out` (room for 3/4 of length); false at anything but padded base64. */
static bool base64_decode(const char *text, size_t length, uint8_t *out, size_t *count) {
    *count = 0;
    if (length == 1 && *text == '=') /* Whisper's file spells an empty token this way */
        return true;
    if (length == 0 || length % 4 != 0)
        return false;
    size_t padding = text[length - 1] != '=' ? 0 : text[length - 2] != '=' ? 1 : 2, n = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < length; i++) {
        int value = i >= length - padding ? 0 : base64_value((uint8_t)text[i]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        if (i % 4 == 3) {
            out[n++] = (uint8_t)(bits >> 16);
            out[n++] = (uint8_t)(bits >> 8);
            out[n++] = (uint8_t)bits;
        }
    }
    *count = n - padding;
    return true;
}

/* The tokens of the lines into `bytes`, `tokens` and `lengths`; ranks are 0 .. count-1. */
static bool read_ranks(const line *lines, size_t count, uint8_t *bytes, const uint8_t **tokens,
                       size_t *lengths) {
    for (size_t i = 0; i < count; i++) {
        int64_t id = lines[i].id;
        if (id < 0 || (size_t)id >= count || tokens[id])
            return false;
        const char *space = memrchr(lines[i].text, ' ', lines[i].length);
        if (!base64_decode(lines[i].text, (size_t)(space - lines[i].text), bytes, &lengths[id]))
            return false;
        tokens[id] = bytes;
        bytes += lengths[id] + 2; /* padding writes up to two bytes more */
    }
    return true;
}

stapes_status stapes__tokenizer_open_tiktoken(stapes__tokenizer **out, const char *data,
                                              size_t size, stapes_error *err) {
    *out = NULL;
    if (size > STAPES__MAX_TOKENIZER)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED, "rank file of %zu bytes", size);
    line *lines = NULL;
    size_t count = 0;
    stapes_status status = split_lines(data, size, &lines, &count, err);
    if (status != STAPES_OK)
        return status;
    uint8_t *bytes = stapes__calloc(size + 4, 1);
    const uint8_t **tokens = stapes__calloc(count, sizeof *tokens);
    size_t *lengths = stapes__calloc(count, sizeof *lengths);
    if (!bytes || !tokens || !lengths)
        status = stapes__fail_memory(err, "a rank file");
    else if (!read_ranks(lines, count, bytes, tokens, lengths))
        status = stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                              "rank file: a line is not \"base64 rank\" with ranks from 0 on");
    if (status == STAPES_OK)
        status = stapes__tokenizer_open_bytes(out, tokens, lengths, count, err);
    free(bytes);
    free(tokens);
    free(lengths);
    free(lines);
    return status;
}
