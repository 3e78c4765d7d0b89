/* stapes_result_write and the formats that are one line per segment or word. */
#include "text/writers.h"

#include <math.h>
#include <string.h>

#include "text/utf8.h"

enum { FLUSH_FROM = 8 << 10 };

void stapes__sink_flush(stapes__sink *sink, bool all) {
    if (sink->buf.length == 0 || (!all && sink->buf.length < FLUSH_FROM))
        return;
    if (!sink->refused && !sink->buf.failed)
        sink->refused = !sink->write(sink->user, sink->buf.data, sink->buf.length);
    sink->buf.length = 0;
}

long long stapes__units(double seconds, int per_second) {
    return seconds > 0 && seconds < 1e12 ? llround(seconds * per_second) : 0;
}

/* Text for one line of a line-based format: control characters become spaces. `spaces` replaces
 * white space too, 0 leaves it. */
static void put_line(stapes__buf *out, const char *text, char spaces) {
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        char put = c < 0x20 || c == 0x7f ? ' ' : *text;
        if (spaces && put == ' ')
            put = spaces;
        stapes__buf_append(out, &put, 1);
    }
}

static void put_clock(stapes__buf *out, double seconds) {
    long long ms = stapes__units(seconds, 1000);
    stapes__buf_printf(out, "%02lld:%02lld:%02lld.%03lld", ms / 3600000, ms / 60000 % 60,
                       ms / 1000 % 60, ms % 1000);
}

static stapes_status write_txt(const stapes_result *r, const stapes_write_params *p,
                               stapes__sink *sink, stapes_error *err) {
    (void)err;
    stapes__buf *out = &sink->buf;
    for (size_t i = 0; i < r->n_segments; i++) {
        const stapes_segment *s = &r->segments[i];
        if (p->timestamps) {
            stapes__buf_puts(out, "[");
            put_clock(out, s->start);
            stapes__buf_puts(out, " --> ");
            put_clock(out, s->end);
            stapes__buf_puts(out, "]  ");
        }
        put_line(out, s->text, 0);
        bool joined = p->paragraph && !p->timestamps && i + 1 < r->n_segments;
        stapes__buf_puts(out, joined ? " " : "\n");
        stapes__sink_flush(sink, false);
    }
    return STAPES_OK;
}

static stapes_status write_tsv(const stapes_result *r, const stapes_write_params *p,
                               stapes__sink *sink, stapes_error *err) {
    (void)p;
    (void)err;
    stapes__buf_puts(&sink->buf, "start\tend\ttext\n");
    for (size_t i = 0; i < r->n_segments; i++) {
        const stapes_segment *s = &r->segments[i];
        stapes__buf_printf(&sink->buf, "%lld\t%lld\t", stapes__units(s->start, 1000),
                           stapes__units(s->end, 1000));
        put_line(&sink->buf, s->text, 0);
        stapes__buf_puts(&sink->buf, "\n");
        stapes__sink_flush(sink, false);
    }
    return STAPES_OK;
}

static bool has_channels(const stapes_result *r) {
    for (size_t i = 0; i < r->n_segments; i++)
        if (r->segments[i].channel >= 0)
            return true;
    return false;
}

/* Text in quotes, inner quotes doubled (RFC 4180). */
static stapes_status write_csv(const stapes_result *r, const stapes_write_params *p,
                               stapes__sink *sink, stapes_error *err) {
    (void)p;
    (void)err;
    stapes__buf *out = &sink->buf;
    bool channels = has_channels(r);
    stapes__buf_puts(out, channels ? "start,end,speaker,text\n" : "start,end,text\n");
    for (size_t i = 0; i < r->n_segments; i++) {
        const stapes_segment *s = &r->segments[i];
        stapes__buf_printf(out, "%lld,%lld,", stapes__units(s->start, 1000),
                           stapes__units(s->end, 1000));
        if (channels)
            stapes__buf_printf(out, "%d,", (int)s->channel);
        stapes__buf_puts(out, "\"");
        for (const char *c = s->text; *c; c++)
            stapes__buf_append(out, *c == '"' ? "\"\"" : c, *c == '"' ? 2 : 1);
        stapes__buf_puts(out, "\"\n");
        stapes__sink_flush(sink, false);
    }
    return STAPES_OK;
}

static stapes_status write_lrc(const stapes_result *r, const stapes_write_params *p,
                               stapes__sink *sink, stapes_error *err) {
    (void)p;
    (void)err;
    for (size_t i = 0; i < r->n_segments; i++) {
        long long cs = stapes__units(r->segments[i].start, 100);
        stapes__buf_printf(&sink->buf, "[%02lld:%02lld.%02lld]", cs / 6000, cs / 100 % 60,
                           cs % 100);
        put_line(&sink->buf, r->segments[i].text, 0);
        stapes__buf_puts(&sink->buf, "\n");
        stapes__sink_flush(sink, false);
    }
    return STAPES_OK;
}

/* NIST's time-marked conversation: file channel start duration word confidence. */
static stapes_status write_ctm(const stapes_result *r, const stapes_write_params *p,
                               stapes__sink *sink, stapes_error *err) {
    (void)err;
    for (size_t i = 0; i < r->n_words; i++) {
        const stapes_word *w = &r->words[i];
        int channel = 0;
        if (w->segment >= 0 && (size_t)w->segment < r->n_segments)
            channel = r->segments[w->segment].channel;
        long long start = stapes__units(w->start, 1000), end = stapes__units(w->end, 1000);
        put_line(&sink->buf, *p->source ? p->source : "-", '_');
        stapes__buf_printf(&sink->buf, " %d %.3f %.3f ", channel > 0 ? channel + 1 : 1,
                           (double)start / 1000, end > start ? (double)(end - start) / 1000 : 0.0);
        put_line(&sink->buf, w->text, '_');
        stapes__buf_printf(&sink->buf, " %.4f\n", isfinite(w->confidence) ? w->confidence : 0.0);
        stapes__sink_flush(sink, false);
    }
    return STAPES_OK;
}

static const struct {
    const char *name;
    stapes__writer write;
} FORMATS[] = {
    {"txt", write_txt},         {"json", stapes__write_json}, {"srt", stapes__write_srt},
    {"vtt", stapes__write_vtt}, {"tsv", write_tsv},           {"csv", write_csv},
    {"lrc", write_lrc},         {"ctm", write_ctm},           {"jsonl", stapes__write_jsonl},
};

/* The caller's parameters over the defaults; an older, shorter struct is taken as far as it goes.
 */
static stapes_write_params complete(const stapes_write_params *given) {
    stapes_write_params p = {.struct_size = sizeof p};
    size_t size = given && given->struct_size ? given->struct_size : sizeof p;
    if (given)
        memcpy(&p, given, size < sizeof p ? size : sizeof p);
    if (p.first_number == 0)
        p.first_number = 1;
    if (!p.source)
        p.source = "";
    return p;
}

stapes_status stapes_result_write(const stapes_result *result, const char *format,
                                  const stapes_write_params *params, stapes_write_fn write,
                                  void *user, stapes_error *error) {
    if (!result || !format || !write)
        return stapes__fail(error, STAPES_E_ARGUMENT,
                            "stapes_result_write: result, format and write must not be NULL");
    stapes__writer writer = NULL;
    for (size_t i = 0; i < sizeof FORMATS / sizeof *FORMATS; i++)
        if (strcmp(format, FORMATS[i].name) == 0)
            writer = FORMATS[i].write;
    if (!writer) {
        stapes__fail(error, STAPES_E_UNSUPPORTED, "output format \"%s\" is not known", format);
        stapes__hint(error, "formats: txt, json, srt, vtt, tsv, csv, lrc, ctm, jsonl");
        return STAPES_E_UNSUPPORTED;
    }
    stapes_write_params p = complete(params);
    stapes__sink sink = {.write = write, .user = user};
    stapes_status status = writer(result, &p, &sink, error);
    stapes__sink_flush(&sink, true);
    if (status == STAPES_OK && sink.buf.failed)
        status = stapes__fail_memory(error, "an output file");
    if (status == STAPES_OK && sink.refused)
        status = stapes__fail(error, STAPES_E_IO, "the receiver of the %s output stopped", format);
    stapes__buf_free(&sink.buf);
    return status;
}
