/* The state machine from tokens to words to segments. NeMo's rules (get_words_offsets,
 * get_segment_offsets, the TDT refinement of punctuation) give the raw times; the times for users
 * are made from them when a word is closed. */
#include "text/words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text/blocks.h"
#include "text/result.h"
#include "text/utf8.h"

typedef enum token_kind {
    KIND_NORMAL,
    KIND_MARK,    /* a lone word mark: what follows decides */
    KIND_SIGN,    /* one punctuation character of the vocabulary: never starts a word */
    KIND_OPENING, /* a bracket or quote: starts a word after a space, outside NeMo's mode */
    KIND_UNKNOWN, /* <unk>: a word of its own */
    KIND_SPECIAL
} token_kind;

typedef struct token_note {
    float logprob;
    uint8_t kind;
    bool marked; /* begins with a word mark */
    bool signs;  /* only punctuation: does not stretch its word */
} token_note;

/* A word in progress. Token indexes; last is included. */
typedef struct open_word {
    bool open;
    bool closed_to_letters; /* after <unk>: the next letters start a word */
    size_t first, last;
    double start; /* seconds, for users */
} open_word;

struct stapes__words {
    stapes__words_params params;
    stapes_token *tokens;
    token_note *notes;
    int32_t *ids; /* of the tokens, as the decoder wants them */
    size_t n_tokens, tokens_capacity;
    stapes_word *words;
    size_t n_words, words_capacity;
    stapes_segment *segments;
    size_t n_segments, segments_capacity;
    stapes__blocks texts;

    double end; /* of the recording, INFINITY while it goes on */
    open_word word;
    size_t mark;                        /* index + 1 of a lone mark not yet decided, 0 = none */
    size_t segment_token, segment_word; /* where the segment in progress begins */

    stapes__buf partial, scratch;
    size_t partial_tokens, partial_segments; /* what partial was made from */
    char language[3];
};

stapes_status stapes__words_open(stapes__words **out, const stapes__words_params *params,
                                 stapes_error *err) {
    stapes__words *w = stapes__calloc(1, sizeof *w);
    *out = w;
    if (!w)
        return stapes__fail_memory(err, "the word builder");
    w->params = *params;
    w->end = INFINITY;
    return STAPES_OK;
}

void stapes__words_set_end(stapes__words *w, double seconds) {
    w->end = seconds;
}

void stapes__words_close(stapes__words **words) {
    stapes__words *w = words ? *words : NULL;
    if (!w)
        return;
    free(w->tokens);
    free(w->notes);
    free(w->ids);
    free(w->words);
    free(w->segments);
    stapes__blocks_free(&w->texts);
    stapes__buf_free(&w->partial);
    stapes__buf_free(&w->scratch);
    free(w);
    *words = NULL;
}

void stapes__words_reset(stapes__words *w) {
    stapes__blocks_free(&w->texts);
    w->n_tokens = w->n_words = w->n_segments = 0;
    w->word = (open_word){0};
    w->mark = w->segment_token = w->segment_word = 0;
    w->partial.length = 0;
    w->partial_tokens = w->partial_segments = 0;
    w->language[0] = 0;
    w->end = INFINITY;
}

/* Room for one more element; *list may move. */
static bool grow(void **list, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity)
        return true;
    size_t more = *capacity ? 2 * *capacity : 64;
    void *grown = stapes__realloc(*list, more, size);
    if (!grown)
        return false;
    *list = grown;
    *capacity = more;
    return true;
}

/* ---- tokens ---- */

static token_note classify(const stapes__words *w, int32_t id) {
    const stapes__tokenizer *t = w->params.tokenizer;
    token_note note = {.kind = KIND_NORMAL};
    size_t length = 0;
    const char *text = stapes__tokenizer_bytes(t, id, &length);
    if (!text || stapes__tokenizer_special(t, id)) {
        note.kind = KIND_SPECIAL;
        return note;
    }
    if (stapes__tokenizer_type(t, id) == STAPES__PIECE_UNKNOWN) {
        note.kind = KIND_UNKNOWN;
        return note;
    }
    if (stapes__tokenizer_type(t, id) == STAPES__PIECE_BYTE)
        return note;
    static const char mark[] = "\xe2\x96\x81";
    bool bytes = stapes__tokenizer_byte_level(t);
    size_t mark_length = bytes ? 1 : 3;
    while (length >= mark_length && memcmp(text, bytes ? " " : mark, mark_length) == 0) {
        note.marked = true;
        text += mark_length;
        length -= mark_length;
    }
    if (length == 0) {
        note.kind = KIND_MARK;
        return note;
    }
    stapes__utf8 first = stapes__utf8_next(text, length);
    if (first.valid && first.length == length && stapes__tokenizer_punctuation(t, first.cp))
        note.kind = stapes__unicode_opening(first.cp) || first.cp == '"' || first.cp == '\''
                        ? KIND_OPENING
                        : KIND_SIGN;
    note.signs = true;
    for (size_t at = 0; at < length && note.signs;) {
        stapes__utf8 c = stapes__utf8_next(text + at, length - at);
        note.signs = c.valid && stapes__unicode_punctuation(c.cp);
        at += c.length;
    }
    return note;
}

/* <|en|> and <|en-US|> name a language; other special tokens do not. */
static void note_language(stapes__words *w, int32_t id) {
    const char *p = stapes__tokenizer_piece(w->params.tokenizer, id);
    if (!p || strncmp(p, "<|", 2) != 0 || p[2] < 'a' || p[2] > 'z' || p[3] < 'a' || p[3] > 'z')
        return;
    if (strcmp(p + 4, "|>") == 0 || p[4] == '-') {
        w->language[0] = p[2];
        w->language[1] = p[3];
        w->language[2] = 0;
    }
}

static bool add_token(stapes__words *w, const stapes__raw_token *raw) {
    size_t capacity = w->tokens_capacity, same = capacity, too = capacity;
    if (!grow((void **)&w->tokens, w->n_tokens, &capacity, sizeof *w->tokens) ||
        !grow((void **)&w->notes, w->n_tokens, &same, sizeof *w->notes) ||
        !grow((void **)&w->ids, w->n_tokens, &too, sizeof *w->ids))
        return false;
    w->tokens_capacity = capacity;
    token_note note = classify(w, raw->id);
    note.logprob = raw->logprob;
    const char *piece = stapes__tokenizer_piece(w->params.tokenizer, raw->id);
    double unit = w->params.frame_seconds;
    stapes_token token = {
        .id = raw->id,
        .frame = raw->frame,
        .duration = raw->duration,
        .logit = raw->logit,
        .confidence = raw->confidence,
        .start = fmax(0, raw->frame * unit),
        .end = fmax(0, ((double)raw->frame + raw->duration) * unit),
        .piece = piece ? piece : "",
    };
    bool sign = note.kind == KIND_SIGN || note.kind == KIND_OPENING;
    if (w->params.head == STAPES__HEAD_TDT && sign && w->n_tokens > 0)
        token.start = token.end = w->tokens[w->n_tokens - 1].end;
    if (token.end < token.start)
        token.end = token.start;
    if (note.kind == KIND_SPECIAL)
        note_language(w, raw->id);
    w->tokens[w->n_tokens] = token;
    w->notes[w->n_tokens] = note;
    w->ids[w->n_tokens++] = raw->id;
    return true;
}

/* ---- words ---- */

/* Decodes tokens [first, end) into scratch and cuts the white space off both ends. */
static stapes_status text_of(const stapes__words *w, size_t first, size_t end, unsigned flags,
                             stapes__buf *out, const char **text, size_t *length,
                             stapes_error *err) {
    out->length = 0;
    stapes_status status =
        stapes__tokenizer_decode(w->params.tokenizer, w->ids + first, end - first, flags, out, err);
    const char *from = out->data ? out->data : "";
    size_t n = status == STAPES_OK ? out->length : 0;
    for (size_t i = 0; i < n; i++) /* the byte piece <0x00>; texts are C strings */
        if (out->data && out->data[i] == 0)
            out->data[i] = ' ';
    while (n > 0 && *from == ' ') {
        from++;
        n--;
    }
    while (n > 0 && from[n - 1] == ' ')
        n--;
    *text = from;
    *length = n;
    return status;
}

/* The open word as it stands. `limit` is the start of what follows, INFINITY when nothing does. */
static stapes_word word_times(const stapes__words *w, double limit) {
    const open_word *o = &w->word;
    double unit = w->params.frame_seconds, tail = w->params.max_word_tail;
    stapes_word word = {.start = o->start,
                        .raw_start = w->tokens[o->first].start,
                        .raw_end = w->tokens[o->last].end,
                        .confidence = 1,
                        .segment = (int32_t)w->n_segments,
                        .first_token = (int32_t)o->first,
                        .n_tokens = (int32_t)(o->last - o->first + 1)};
    const stapes_token *spoken = NULL, *shown = NULL;
    for (size_t i = o->first; i <= o->last; i++) {
        const token_note *note = &w->notes[i];
        if (note->kind == KIND_SPECIAL)
            continue;
        word.confidence = fminf(word.confidence, w->tokens[i].confidence);
        shown = &w->tokens[i];
        if (!note->signs && note->kind != KIND_MARK)
            spoken = &w->tokens[i];
    }
    const stapes_token *last = spoken ? spoken : shown ? shown : &w->tokens[o->last];
    word.end = last->end;
    if (tail > 0)
        word.end = fmin(word.end, last->start + tail);
    /* A token of duration 0 still has a frame to be heard in, where there is room. */
    limit = fmin(limit, w->end);
    word.end = fmin(fmax(word.end, word.start + unit), fmax(limit, word.start));
    return word;
}

static stapes_status close_word(stapes__words *w, double limit, stapes_error *err) {
    if (!w->word.open)
        return STAPES_OK;
    const char *text;
    size_t length;
    stapes_status status = text_of(w, w->word.first, w->word.last + 1,
                                   STAPES__DECODE_UNKNOWN | STAPES__DECODE_NEMO_SPACE, &w->scratch,
                                   &text, &length, err);
    if (status != STAPES_OK)
        return status;
    if (length > 0) {
        stapes_word word = word_times(w, limit);
        word.text = stapes__blocks_text(&w->texts, text, length);
        if (!word.text ||
            !grow((void **)&w->words, w->n_words, &w->words_capacity, sizeof *w->words))
            return stapes__fail_memory(err, "words");
        w->words[w->n_words++] = word;
    }
    w->word.open = false;
    return STAPES_OK;
}

/* ---- segments ---- */

/* The segment in progress, of the closed words and tokens [segment_token, end_token). */
static stapes_status make_segment(const stapes__words *w, const stapes_word *words, size_t n_words,
                                  size_t end_token, stapes__buf *scratch, stapes_segment *out,
                                  const char **text, size_t *length, stapes_error *err) {
    const stapes_word *first = &words[w->segment_word], *last = &words[n_words - 1];
    stapes_segment s = {.id = (int32_t)w->n_segments,
                        .start = first->start,
                        .end = last->end,
                        .channel = w->params.channel,
                        .first_word = (int32_t)w->segment_word,
                        .n_words = (int32_t)(n_words - w->segment_word),
                        .first_token = (int32_t)w->segment_token,
                        .n_tokens = (int32_t)(end_token - w->segment_token)};
    double confidence = 0, logprob = 0;
    for (const stapes_word *word = first; word <= last; word++)
        confidence += word->confidence;
    for (size_t i = w->segment_token; i < end_token; i++)
        logprob += w->notes[i].logprob;
    s.confidence = (float)(confidence / s.n_words);
    s.avg_logprob = s.n_tokens ? (float)(logprob / s.n_tokens) : 0;
    *out = s;
    unsigned flags = STAPES__DECODE_UNKNOWN;
    if (w->params.nemo_text)
        flags |= STAPES__DECODE_NEMO_SPACE;
    return text_of(w, w->segment_token, end_token, flags, scratch, text, length, err);
}

/* Closes the segment in progress before token `end_token`; nothing when it has no words. */
static stapes_status close_segment(stapes__words *w, size_t end_token, stapes_error *err) {
    if (w->n_words == w->segment_word)
        return STAPES_OK;
    stapes_segment segment;
    const char *text;
    size_t length;
    stapes_status status = make_segment(w, w->words, w->n_words, end_token, &w->scratch, &segment,
                                        &text, &length, err);
    if (status != STAPES_OK)
        return status;
    segment.text = stapes__blocks_text(&w->texts, text, length);
    if (!segment.text ||
        !grow((void **)&w->segments, w->n_segments, &w->segments_capacity, sizeof *w->segments))
        return stapes__fail_memory(err, "segments");
    w->segments[w->n_segments++] = segment;
    w->segment_token = end_token;
    w->segment_word = w->n_words;
    return STAPES_OK;
}

/* NeMo's separators, or a pause. */
static bool segment_ends(const stapes__words *w, double next_start) {
    if (w->n_words == w->segment_word)
        return false;
    const stapes_word *last = &w->words[w->n_words - 1];
    char end = last->text[strlen(last->text) - 1];
    return end == '.' || end == '?' || end == '!' ||
           (w->params.segment_gap > 0 && next_start - last->end >= w->params.segment_gap);
}

static stapes_status start_word(stapes__words *w, size_t first, size_t last, stapes_error *err) {
    double start = w->tokens[first].start;
    stapes_status status = close_word(w, start, err);
    if (status == STAPES_OK && segment_ends(w, start))
        status = close_segment(w, first, err);
    if (status != STAPES_OK)
        return status;
    if (w->n_words > 0) /* windows may overlap by a frame: times never go back */
        start = fmax(start, w->words[w->n_words - 1].end);
    w->word = (open_word){.open = true,
                          .closed_to_letters = w->notes[last].kind == KIND_UNKNOWN,
                          .first = first,
                          .last = last,
                          .start = start};
    w->mark = 0;
    return STAPES_OK;
}

/* Files token i, the newest, under a word. */
static stapes_status place(stapes__words *w, size_t i, stapes_error *err) {
    const token_note *note = &w->notes[i];
    bool open = w->word.open, spaced = note->marked || w->mark, start = false;
    switch ((token_kind)note->kind) {
    case KIND_SPECIAL:
        /* NeMo counts it to the word before; the times for users and the text do not. */
        if (open && !w->mark)
            w->word.last = i;
        return STAPES_OK;
    case KIND_MARK:
        w->mark = i + 1;
        return STAPES_OK;
    case KIND_UNKNOWN:
        start = true;
        break;
    case KIND_OPENING:
        start = !open || (spaced && !w->params.nemo_text);
        break;
    case KIND_SIGN:
        start = !open;
        break;
    case KIND_NORMAL:
        start = !open || spaced || w->word.closed_to_letters;
        break;
    }
    if (start)
        return start_word(w, w->mark && !note->marked ? w->mark - 1 : i, i, err);
    w->word.last = i;
    w->mark = 0;
    return STAPES_OK;
}

stapes_status stapes__words_push(stapes__words *w, const stapes__raw_token *tokens, size_t count,
                                 stapes_error *err) {
    for (size_t i = 0; i < count; i++) {
        if (!add_token(w, &tokens[i]))
            return stapes__fail_memory(err, "tokens");
        stapes_status status = place(w, w->n_tokens - 1, err);
        if (status != STAPES_OK)
            return status;
    }
    return STAPES_OK;
}

stapes_status stapes__words_finish(stapes__words *w, stapes_error *err) {
    stapes_status status = close_word(w, INFINITY, err);
    if (status == STAPES_OK)
        status = close_segment(w, w->n_tokens, err);
    w->mark = 0;
    return status;
}

/* ---- what can be asked ---- */

size_t stapes__words_segments(const stapes__words *w) {
    return w->n_segments;
}

const stapes_segment *stapes__words_segment(stapes__words *w, size_t index) {
    return index < w->n_segments ? &w->segments[index] : NULL;
}

const char *stapes__words_partial(stapes__words *w, double *start, double *end) {
    *start = *end = 0;
    if (!w->word.open && w->n_words == w->segment_word)
        return "";
    bool closed = w->n_words > w->segment_word;
    *start = closed ? w->words[w->segment_word].start : w->word.start;
    *end = w->word.open ? word_times(w, INFINITY).end : w->words[w->n_words - 1].end;
    if (w->partial_tokens != w->n_tokens || w->partial_segments != w->n_segments) {
        unsigned flags = STAPES__DECODE_UNKNOWN;
        if (w->params.nemo_text)
            flags |= STAPES__DECODE_NEMO_SPACE;
        w->partial.length = 0;
        stapes_status status = stapes__tokenizer_decode_stable(
            w->params.tokenizer, w->ids + w->segment_token, w->n_tokens - w->segment_token, flags,
            &w->partial, NULL);
        if (status != STAPES_OK || !w->partial.data)
            return "";
        while (w->partial.length > 0 && w->partial.data[w->partial.length - 1] == ' ')
            w->partial.length--;
        w->partial.data[w->partial.length] = 0;
        w->partial_tokens = w->n_tokens;
        w->partial_segments = w->n_segments;
    }
    const char *text = w->partial.data ? w->partial.data : "";
    return text + strspn(text, " ");
}

/* ---- the result ---- */

/* Copies of the tokens, words and segments; pieces and texts are copied once more so that the
 * result outlives the session. */
static bool copy_lists(const stapes__words *w, stapes_result *r) {
    stapes_token *tokens = stapes__result_alloc(r, w->n_tokens + 1, sizeof *tokens);
    stapes_word *words = stapes__result_alloc(r, w->n_words + 1, sizeof *words);
    stapes_segment *segments = stapes__result_alloc(r, w->n_segments + 1, sizeof *segments);
    if (!tokens || !words || !segments)
        return false;
    for (size_t i = 0; i < w->n_tokens; i++) {
        tokens[i] = w->tokens[i];
        tokens[i].piece = stapes__result_text(r, tokens[i].piece, strlen(tokens[i].piece));
        if (!tokens[i].piece)
            return false;
    }
    for (size_t i = 0; i < w->n_words; i++) {
        words[i] = w->words[i];
        words[i].text = stapes__result_text(r, words[i].text, strlen(words[i].text));
        if (!words[i].text)
            return false;
    }
    for (size_t i = 0; i < w->n_segments; i++) {
        segments[i] = w->segments[i];
        segments[i].text = stapes__result_text(r, segments[i].text, strlen(segments[i].text));
        if (!segments[i].text)
            return false;
    }
    r->tokens = tokens;
    r->words = words;
    r->segments = segments;
    r->n_tokens = w->n_tokens;
    r->n_words = w->n_words;
    r->n_segments = w->n_segments;
    return true;
}

/* The word and the segment in progress, into the room that copy_lists left at the ends. */
static stapes_status add_open(const stapes__words *w, stapes_result *r, stapes__buf *scratch,
                              stapes_error *err) {
    const char *text;
    size_t length;
    stapes_status status;
    if (w->word.open) {
        status = text_of(w, w->word.first, w->word.last + 1,
                         STAPES__DECODE_UNKNOWN | STAPES__DECODE_NEMO_SPACE, scratch, &text,
                         &length, err);
        if (status != STAPES_OK)
            return status;
        if (length > 0) {
            stapes_word word = word_times(w, INFINITY);
            word.text = stapes__result_text(r, text, length);
            if (!word.text)
                return stapes__fail_memory(err, "a result");
            ((stapes_word *)r->words)[r->n_words++] = word;
        }
    }
    if (r->n_words == w->segment_word)
        return STAPES_OK;
    stapes_segment segment;
    status =
        make_segment(w, r->words, r->n_words, w->n_tokens, scratch, &segment, &text, &length, err);
    if (status != STAPES_OK)
        return status;
    segment.text = stapes__result_text(r, text, length);
    if (!segment.text)
        return stapes__fail_memory(err, "a result");
    ((stapes_segment *)r->segments)[r->n_segments++] = segment;
    return STAPES_OK;
}

static bool join_text(stapes_result *r, stapes__buf *scratch) {
    scratch->length = 0;
    for (size_t i = 0; i < r->n_segments; i++) {
        if (scratch->length && *r->segments[i].text)
            stapes__buf_append(scratch, " ", 1);
        stapes__buf_puts(scratch, r->segments[i].text);
    }
    r->text = scratch->length ? stapes__result_text(r, scratch->data, scratch->length) : "";
    return r->text && !scratch->failed;
}

stapes_status stapes__words_result(const stapes__words *w, stapes_result **out, stapes_error *err) {
    *out = NULL;
    stapes_result *r = NULL;
    stapes__buf scratch = {0};
    stapes_status status = stapes__result_new(&r, err);
    if (status != STAPES_OK)
        return status;
    r->language = stapes__result_text(r, w->language, strlen(w->language));
    if (!r->language || !copy_lists(w, r))
        status = stapes__fail_memory(err, "a result");
    if (status == STAPES_OK)
        status = add_open(w, r, &scratch, err);
    if (status == STAPES_OK && !join_text(r, &scratch))
        status = stapes__fail_memory(err, "a result");
    stapes__buf_free(&scratch);
    if (status != STAPES_OK)
        stapes_result_free(r);
    else
        *out = r;
    return status;
}
