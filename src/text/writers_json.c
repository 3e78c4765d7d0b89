/* JSON: everything that is known about a recognition, keys in a fixed order, times rounded to
 * milliseconds, null for what is not a number. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "text/utf8.h"
#include "text/writers.h"

enum { TIME_DIGITS = 3, SCORE_DIGITS = 4 };

/* Rounded to some decimals; null when not finite. */
static json_t *number(double value, int digits) {
    double unit = digits == TIME_DIGITS ? 1e3 : 1e4;
    double rounded = round(value * unit) / unit;
    return isfinite(rounded) ? json_real(rounded == 0 ? 0 : rounded) : json_null();
}

/* A string; broken UTF-8 (a piece that ends inside a character, a file name) shows U+FFFD. */
static json_t *string(const char *text) {
    stapes__buf clean = {0};
    if (!text)
        text = "";
    stapes__utf8_clean(&clean, text, strlen(text), false);
    json_t *out = clean.failed ? NULL : json_stringn(clean.data ? clean.data : "", clean.length);
    stapes__buf_free(&clean);
    return out;
}

/* An object being filled: `ok` turns false when any step fails and is asked once at the end. */
typedef struct filling {
    bool ok;
} filling;

static void put(filling *f, json_t *object, const char *key, json_t *value) {
    if (json_object_set_new(object, key, value) != 0)
        f->ok = false;
}

static void append(filling *f, json_t *array, json_t *value) {
    if (json_array_append_new(array, value) != 0)
        f->ok = false;
}

static json_t *engine(filling *f, const stapes_model_info *m) {
    json_t *o = json_object();
    put(f, o, "name", json_string("stapes"));
    put(f, o, "version", json_string(STAPES_VERSION_STRING));
    if (m) {
        put(f, o, "backend", string(m->backend));
        put(f, o, "isa", string(m->isa));
        put(f, o, "precision", string(m->precision));
        put(f, o, "threads", json_integer(m->threads));
    }
    return o;
}

static json_t *model(filling *f, const stapes_model_info *m) {
    if (!m)
        return json_null();
    json_t *o = json_object();
    put(f, o, "id", string(m->name));
    put(f, o, "sha256", m->identity && *m->identity ? string(m->identity) : json_null());
    put(f, o, "architecture", string(m->architecture));
    put(f, o, "parameters", json_integer(m->parameters));
    return o;
}

static json_t *audio(filling *f, const stapes_result *r, const char *source) {
    json_t *o = json_object();
    put(f, o, "source", *source ? string(source) : json_null());
    put(f, o, "duration", number(r->duration, TIME_DIGITS));
    /* silence has no level: null */
    put(f, o, "peak_dbfs", number(20 * log10(r->peak), SCORE_DIGITS));
    put(f, o, "clipped", json_integer(r->clipped));
    return o;
}

static json_t *word(filling *f, const stapes_word *w) {
    json_t *o = json_object();
    put(f, o, "text", string(w->text));
    put(f, o, "start", number(w->start, TIME_DIGITS));
    put(f, o, "end", number(w->end, TIME_DIGITS));
    put(f, o, "conf", number(w->confidence, SCORE_DIGITS));
    put(f, o, "raw_start", number(w->raw_start, TIME_DIGITS));
    put(f, o, "raw_end", number(w->raw_end, TIME_DIGITS));
    put(f, o, "segment", json_integer(w->segment));
    return o;
}

static json_t *word_list(filling *f, const stapes_result *r, int64_t first, int64_t count) {
    json_t *list = json_array();
    for (int64_t i = first; i < first + count && i < (int64_t)r->n_words; i++)
        append(f, list, word(f, &r->words[i]));
    return list;
}

static json_t *segments(filling *f, const stapes_result *r) {
    json_t *list = json_array();
    for (size_t i = 0; i < r->n_segments; i++) {
        const stapes_segment *s = &r->segments[i];
        json_t *o = json_object();
        put(f, o, "id", json_integer(s->id));
        put(f, o, "start", number(s->start, TIME_DIGITS));
        put(f, o, "end", number(s->end, TIME_DIGITS));
        put(f, o, "text", string(s->text));
        put(f, o, "channel", s->channel >= 0 ? json_integer(s->channel) : json_null());
        put(f, o, "conf", number(s->confidence, SCORE_DIGITS));
        put(f, o, "avg_logprob", number(s->avg_logprob, SCORE_DIGITS));
        put(f, o, "no_speech_prob", number(s->no_speech_prob, SCORE_DIGITS));
        put(f, o, "words", word_list(f, r, s->first_word, s->n_words));
        append(f, list, o);
    }
    return list;
}

static json_t *tokens(filling *f, const stapes_result *r) {
    json_t *list = json_array();
    for (size_t i = 0; i < r->n_tokens; i++) {
        const stapes_token *t = &r->tokens[i];
        json_t *o = json_object();
        put(f, o, "id", json_integer(t->id));
        put(f, o, "piece", string(t->piece));
        put(f, o, "frame", json_integer(t->frame));
        put(f, o, "duration", json_integer(t->duration));
        put(f, o, "start", number(t->start, TIME_DIGITS));
        put(f, o, "end", number(t->end, TIME_DIGITS));
        put(f, o, "logit", number(t->logit, SCORE_DIGITS));
        put(f, o, "conf", number(t->confidence, SCORE_DIGITS));
        append(f, list, o);
    }
    return list;
}

static json_t *warnings(filling *f, const stapes_result *r) {
    json_t *list = json_array();
    for (size_t i = 0; i < r->n_warnings; i++) {
        json_t *o = json_object();
        put(f, o, "code", string(r->warnings[i].code));
        put(f, o, "message", string(r->warnings[i].message));
        append(f, list, o);
    }
    return list;
}

static json_t *timing(filling *f, const stapes_timing *t) {
    json_t *o = json_object();
    put(f, o, "load", number(t->load, SCORE_DIGITS));
    put(f, o, "read", number(t->read, SCORE_DIGITS));
    put(f, o, "mel", number(t->mel, SCORE_DIGITS));
    put(f, o, "encode", number(t->encode, SCORE_DIGITS));
    put(f, o, "decode", number(t->decode, SCORE_DIGITS));
    put(f, o, "total", number(t->total, SCORE_DIGITS));
    put(f, o, "audio", number(t->audio, TIME_DIGITS));
    put(f, o, "rtf", number(t->audio > 0 ? t->total / t->audio : NAN, SCORE_DIGITS));
    put(f, o, "speed", number(t->total > 0 ? t->audio / t->total : NAN, TIME_DIGITS));
    return o;
}

static json_t *document(filling *f, const stapes_result *r, const stapes_write_params *p,
                        bool with_tokens) {
    json_t *language = json_null();
    if (r->language && *r->language) {
        language = json_object();
        put(f, language, "code", string(r->language));
    }
    json_t *o = json_object();
    put(f, o, "engine", engine(f, p->model));
    put(f, o, "model", model(f, p->model));
    put(f, o, "audio", audio(f, r, p->source));
    put(f, o, "text", string(r->text));
    put(f, o, "language", language);
    put(f, o, "segments", segments(f, r));
    put(f, o, "words", word_list(f, r, 0, (int64_t)r->n_words));
    if (with_tokens)
        put(f, o, "tokens", tokens(f, r));
    put(f, o, "warnings", warnings(f, r));
    put(f, o, "timing", timing(f, &r->timing));
    put(f, o, "windows", json_integer(r->windows));
    put(f, o, "forced_blanks", json_integer(r->forced_blanks));
    return o;
}

static int dump(const char *bytes, size_t count, void *user) {
    stapes__sink *sink = user;
    stapes__buf_append(&sink->buf, bytes, count);
    stapes__sink_flush(sink, false);
    return sink->refused || sink->buf.failed ? -1 : 0;
}

static stapes_status write_document(const stapes_result *r, const stapes_write_params *p,
                                    bool with_tokens, size_t flags, stapes__sink *sink,
                                    stapes_error *err) {
    filling f = {.ok = true};
    json_t *o = document(&f, r, p, with_tokens);
    /* 12 digits print a rounded number as it was rounded. */
    if (f.ok && json_dump_callback(o, dump, sink, flags | JSON_REAL_PRECISION(12)) == 0)
        stapes__buf_puts(&sink->buf, "\n");
    else if (!sink->refused)
        f.ok = false;
    json_decref(o);
    return f.ok ? STAPES_OK : stapes__fail_memory(err, "a JSON document");
}

stapes_status stapes__write_json(const stapes_result *r, const stapes_write_params *p,
                                 stapes__sink *sink, stapes_error *err) {
    return write_document(r, p, true, JSON_INDENT(1), sink, err);
}

stapes_status stapes__write_jsonl(const stapes_result *r, const stapes_write_params *p,
                                  stapes__sink *sink, stapes_error *err) {
    return write_document(r, p, false, JSON_COMPACT, sink, err);
}
