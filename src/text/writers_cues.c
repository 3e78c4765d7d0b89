/* SubRip and WebVTT. */
#include <math.h>
#include <string.h>
#include <utf8proc.h>

#include "text/utf8.h"
#include "text/writers.h"

/* The text of a cue while its lines are laid out. */
typedef struct cue {
    stapes__buf *out;
    int limit;  /* characters per line, 0 = any */
    int column; /* characters on this line */
    bool vtt;
} cue;

static void put_time(stapes__buf *out, long long ms, char point) {
    stapes__buf_printf(out, "%02lld:%02lld:%02lld%c%03lld", ms / 3600000, ms / 60000 % 60,
                       ms / 1000 % 60, point, ms % 1000);
}

static void put_times(stapes__buf *out, double start, double end, char point) {
    long long from = stapes__units(start, 1000), to = stapes__units(end, 1000);
    put_time(out, from, point);
    stapes__buf_puts(out, " --> ");
    put_time(out, to > from ? to : from, point);
    stapes__buf_puts(out, "\n");
}

/* Characters of a word that take room: combining marks take none. */
static int width_of(const char *word, size_t length) {
    int width = 0;
    for (size_t at = 0; at < length;) {
        stapes__utf8 c = stapes__utf8_next(word + at, length - at);
        width += utf8proc_charwidth((utf8proc_int32_t)c.cp) > 0;
        at += c.length;
    }
    return width;
}

static void put_char(cue *c, const char *bytes, size_t length) {
    if (c->vtt && *bytes == '&')
        stapes__buf_puts(c->out, "&amp;");
    else if (c->vtt && *bytes == '<')
        stapes__buf_puts(c->out, "&lt;");
    else if (c->vtt && *bytes == '>')
        stapes__buf_puts(c->out, "&gt;");
    else
        stapes__buf_append(c->out, bytes, length);
}

/* A word without spaces, on this line or the next; one longer than a line is broken. The tag, an
 * inline time or "", stands right before it. */
static void put_word(cue *c, const char *word, size_t length, const char *tag) {
    if (c->column > 0) {
        bool full = c->limit > 0 && c->column + 1 + width_of(word, length) > c->limit;
        stapes__buf_puts(c->out, full ? "\n" : " ");
        c->column = full ? 0 : c->column + 1;
    }
    stapes__buf_puts(c->out, tag);
    for (size_t at = 0; at < length;) {
        stapes__utf8 next = stapes__utf8_next(word + at, length - at);
        bool takes_room = utf8proc_charwidth((utf8proc_int32_t)next.cp) > 0;
        if (c->limit > 0 && takes_room && c->column >= c->limit) {
            stapes__buf_puts(c->out, "\n");
            c->column = 0;
        }
        /* The arrow would read as a line of times. */
        if (length - at >= 3 && memcmp(word + at, "-->", 3) == 0) {
            stapes__buf_puts(c->out, "\xe2\x86\x92");
            next.length = 3;
        } else {
            put_char(c, word + at, next.length);
        }
        c->column += takes_room;
        at += next.length;
    }
}

static void put_text(cue *c, const char *text, const char *tag) {
    for (;;) {
        while (*text && (unsigned char)*text <= ' ')
            text++;
        size_t length = 0;
        while ((unsigned char)text[length] > ' ')
            length++;
        if (length == 0)
            return;
        put_word(c, text, length, tag);
        text += length;
        tag = "";
    }
}

stapes_status stapes__write_srt(const stapes_result *r, const stapes_write_params *p,
                                stapes__sink *sink, stapes_error *err) {
    (void)err;
    size_t count = p->words ? r->n_words : r->n_segments;
    for (size_t i = 0; i < count; i++) {
        double start = p->words ? r->words[i].start : r->segments[i].start;
        double end = p->words ? r->words[i].end : r->segments[i].end;
        stapes__buf_printf(&sink->buf, "%lld\n", p->first_number + (long long)i);
        put_times(&sink->buf, start, end, ',');
        cue c = {.out = &sink->buf, .limit = p->max_line};
        put_text(&c, p->words ? r->words[i].text : r->segments[i].text, "");
        stapes__buf_puts(&sink->buf, "\n\n");
        stapes__sink_flush(sink, false);
    }
    return STAPES_OK;
}

/* The words of a segment, each after the first with the time when it begins. WebVTT wants these
 * times inside the cue and rising; a word that breaks this goes without. */
static void put_timed_words(cue *c, const stapes_result *r, const stapes_segment *s) {
    long long last = stapes__units(s->start, 1000), end = stapes__units(s->end, 1000);
    for (int32_t i = 0; i < s->n_words; i++) {
        const stapes_word *w = &r->words[s->first_word + i];
        long long at = stapes__units(w->start, 1000);
        stapes__buf tag = {0};
        if (i > 0 && at > last && at < end) {
            stapes__buf_puts(&tag, "<");
            put_time(&tag, at, '.');
            stapes__buf_puts(&tag, ">");
            last = at;
        }
        put_text(c, w->text, tag.data ? tag.data : "");
        c->out->failed = c->out->failed || tag.failed;
        stapes__buf_free(&tag);
    }
}

stapes_status stapes__write_vtt(const stapes_result *r, const stapes_write_params *p,
                                stapes__sink *sink, stapes_error *err) {
    (void)err;
    stapes__buf_puts(&sink->buf, "WEBVTT\n\n");
    for (size_t i = 0; i < r->n_segments; i++) {
        const stapes_segment *s = &r->segments[i];
        put_times(&sink->buf, s->start, s->end, '.');
        cue c = {.out = &sink->buf, .limit = p->max_line, .vtt = true};
        if (p->words && s->n_words > 0)
            put_timed_words(&c, r, s);
        else
            put_text(&c, s->text, "");
        stapes__buf_puts(&sink->buf, "\n\n");
        stapes__sink_flush(sink, false);
    }
    return STAPES_OK;
}
