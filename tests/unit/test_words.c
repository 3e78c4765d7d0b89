/* Words and segments: NeMo's offsets on its own decodings, and the rules for users' times. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

#include "text/result.h"
#include "text/words.h"

static const char *const PIECES[] = {
    "<unk>",
    "<|en|>",
    "<|pnc|>",
    "\xe2\x96\x81the",
    "\xe2\x96\x81"
    "cat",
    "s",
    ".",
    ",",
    "\xe2\x96\x81",
    "\xc2\xbf",
    "Qu\xc3\xa9",
    "1",
    "2",
    "\xe2\x96\x81Yes",
    "!",
    "\"",
    "...",
    "<|fr-FR|>",
    "\xe2\x96\x81-",
    "\xe2\x96\x81"
    "d",
    "'",
    "t",
    "<0xE6>",
    "<0x97>",
    "<0xA5>",
    "<0x00>",
    "-",
};
enum {
    UNK,
    EN,
    PNC,
    THE,
    CAT,
    S,
    DOT,
    COMMA,
    MARK,
    QUERY,
    QUE,
    ONE,
    TWO,
    YES,
    BANG,
    QUOTE,
    DOTS,
    FR,
    DASH,
    D,
    APO,
    T,
    E6,
    X97,
    A5,
    ZERO
};

static stapes__tokenizer *tokenizer_open(void) {
    stapes__tokenizer *t;
    stapes_error err = {0};
    assert_ok(stapes__tokenizer_open_pieces(&t, PIECES, sizeof PIECES / sizeof *PIECES, &err), err);
    return t;
}

static stapes__words *words_open(const stapes__tokenizer *t, stapes__head_kind head, bool nemo) {
    stapes__words_params params = {
        .tokenizer = t, .head = head, .frame_seconds = 0.08, .nemo_text = nemo, .channel = -1};
    stapes__words *w;
    stapes_error err = {0};
    assert_ok(stapes__words_open(&w, &params, &err), err);
    return w;
}

static void push(stapes__words *w, int32_t id, int32_t frame, int32_t duration) {
    stapes__raw_token token = {id, frame, duration, 1.0f, -0.5f, 0.9f};
    stapes_error err = {0};
    assert_ok(stapes__words_push(w, &token, 1, &err), err);
}

static stapes_result *result_of(const stapes__words *w) {
    stapes_result *r;
    stapes_error err = {0};
    assert_ok(stapes__words_result(w, &r, &err), err);
    return r;
}

/* Times never negative, never backwards, words apart, every range inside its list. */
static void check_shape(const stapes_result *r) {
    double before = 0;
    for (size_t i = 0; i < r->n_words; i++) {
        const stapes_word *word = &r->words[i];
        assert_true(word->start >= before);
        assert_true(word->end >= word->start);
        before = word->end;
        assert_true(*word->text != 0);
        assert_true((size_t)word->segment < r->n_segments);
        assert_true((size_t)word->first_token + (size_t)word->n_tokens <= r->n_tokens);
    }
    int32_t word = 0, token = 0;
    for (size_t i = 0; i < r->n_segments; i++) {
        const stapes_segment *s = &r->segments[i];
        assert_int_equal(s->id, i);
        assert_int_equal(s->first_word, word);
        assert_int_equal(s->first_token, token);
        word += s->n_words;
        token += s->n_tokens;
        assert_true(s->start == r->words[s->first_word].start);
        assert_true(s->end == r->words[word - 1].end);
    }
    assert_int_equal(word, r->n_words);
}

static int offset(const json_t *row, const char *key) {
    return (int)json_integer_value(json_object_get(row, key));
}

static void check_time(double seconds, int frames) {
    assert_true(fabs(seconds - frames * 0.08) < 1e-9);
}

/* NeMo prints special pieces; here they are not in the text. */
static void without_specials(char *out, size_t capacity, const char *text) {
    const char *from = strstr(text, "<|"), *to = from ? strstr(from, "|>") : NULL;
    if (from && to)
        snprintf(out, capacity, "%.*s%s", (int)(from - text), text, to + 2);
    else
        snprintf(out, capacity, "%s", text);
}

static void check_nemo(const stapes_result *r, const json_t *reference) {
    char text[256];
    size_t i;
    json_t *row, *stamps = json_object_get(reference, "timestamps");
    assert_int_equal(r->n_tokens, json_array_size(json_object_get(stamps, "char")));
    json_array_foreach(json_object_get(stamps, "char"), i, row) {
        check_time(r->tokens[i].start, offset(row, "start_offset"));
        check_time(r->tokens[i].end, offset(row, "end_offset"));
    }
    assert_int_equal(r->n_words, json_array_size(json_object_get(stamps, "word")));
    json_array_foreach(json_object_get(stamps, "word"), i, row) {
        without_specials(text, sizeof text, json_string_value(json_object_get(row, "word")));
        assert_string_equal(r->words[i].text, text);
        check_time(r->words[i].raw_start, offset(row, "start_offset"));
        check_time(r->words[i].raw_end, offset(row, "end_offset"));
    }
    assert_int_equal(r->n_segments, json_array_size(json_object_get(stamps, "segment")));
    json_array_foreach(json_object_get(stamps, "segment"), i, row) {
        const stapes_segment *s = &r->segments[i];
        without_specials(text, sizeof text, json_string_value(json_object_get(row, "segment")));
        assert_string_equal(s->text, text);
        check_time(r->words[s->first_word].raw_start, offset(row, "start_offset"));
        check_time(r->words[s->first_word + s->n_words - 1].raw_end, offset(row, "end_offset"));
    }
    without_specials(text, sizeof text, json_string_value(json_object_get(reference, "text")));
    assert_string_equal(r->text, text);
}

static void equals_nemo_offsets(void **state) {
    (void)state;
    vectors nemo = vectors_open("nemo/offline"), tdt = vectors_open("parakeet/tdt");
    char path[4096];
    FILE *file = fopen(vectors_path(path, sizeof path, "parakeet/tdt/model/tokenizer.model"), "rb");
    assert_non_null(file);
    static char data[1 << 16];
    size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    stapes__tokenizer *t;
    stapes_error err = {0};
    assert_ok(stapes__tokenizer_open_sentencepiece(&t, data, size, &err), err);
    static const char *const clips[] = {"a", "b"};
    for (size_t c = 0; c < 2; c++) {
        json_t *reference = json_object_get(json_object_get(nemo.info, "results"), clips[c]);
        json_t *decode = json_object_get(json_object_get(tdt.info, "decode"), clips[c]);
        json_t *durations = json_object_get(decode, "durations");
        json_t *tokens = json_object_get(reference, "tokens");
        json_t *frames = json_object_get(reference, "frames");
        for (int nemo_text = 0; nemo_text < 2; nemo_text++) {
            stapes__words *w = words_open(t, STAPES__HEAD_TDT, nemo_text);
            for (size_t i = 0; i < json_array_size(tokens); i++)
                push(w, (int32_t)json_integer_value(json_array_get(tokens, i)),
                     (int32_t)json_integer_value(json_array_get(frames, i)),
                     (int32_t)json_integer_value(json_array_get(durations, i)));
            stapes_result *open = result_of(w);
            assert_ok(stapes__words_finish(w, &err), err);
            stapes_result *r = result_of(w);
            check_nemo(open, reference);
            check_nemo(r, reference);
            check_shape(r);
            stapes_result_free(open);
            stapes_result_free(r);
            stapes__words_close(&w);
        }
    }
    stapes__tokenizer_close(&t);
    vectors_close(&nemo);
    vectors_close(&tdt);
}

static void cuts_segments_as_they_complete(void **state) {
    (void)state;
    stapes__tokenizer *t = tokenizer_open();
    stapes__words *w = words_open(t, STAPES__HEAD_TDT, false);
    stapes_error err = {0};
    double start, end;
    assert_string_equal(stapes__words_partial(w, &start, &end), "");
    push(w, EN, 0, 1);
    assert_string_equal(stapes__words_partial(w, &start, &end), "");
    push(w, THE, 2, 2);
    push(w, CAT, 5, 3);
    assert_string_equal(stapes__words_partial(w, &start, &end), "the cat");
    assert_true(fabs(start - 0.16) < 1e-9 && fabs(end - 0.64) < 1e-9);
    push(w, S, 8, 1);
    push(w, DOT, 12, 4);
    assert_int_equal(stapes__words_segments(w), 0); /* more signs could follow */
    assert_string_equal(stapes__words_partial(w, &start, &end), "the cats.");
    push(w, YES, 30, 4);
    assert_int_equal(stapes__words_segments(w), 1);
    const stapes_segment *s = stapes__words_segment(w, 0);
    assert_string_equal(s->text, "the cats.");
    assert_true(fabs(s->start - 0.16) < 1e-9 && fabs(s->end - 0.72) < 1e-9);
    assert_int_equal(s->n_tokens, 5);
    assert_int_equal(s->n_words, 2);
    assert_true(fabsf(s->avg_logprob + 0.5f) < 1e-6f && fabsf(s->confidence - 0.9f) < 1e-6f);
    assert_null(stapes__words_segment(w, 1));
    assert_string_equal(stapes__words_partial(w, &start, &end), "Yes");
    assert_ok(stapes__words_finish(w, &err), err);
    assert_int_equal(stapes__words_segments(w), 2);
    assert_string_equal(stapes__words_partial(w, &start, &end), "");
    stapes_result *r = result_of(w);
    assert_string_equal(r->text, "the cats. Yes");
    assert_string_equal(r->language, "en");
    assert_string_equal(r->tokens[0].piece, "<|en|>");
    check_shape(r);
    stapes__words_reset(w);
    assert_int_equal(stapes__words_segments(w), 0);
    stapes_result *empty = result_of(w);
    assert_string_equal(empty->text, "");
    assert_string_equal(empty->language, "");
    assert_int_equal(empty->n_tokens + empty->n_words + empty->n_segments, 0);
    stapes__words_close(&w);
    assert_string_equal(r->words[1].text, "cats."); /* the copy stands alone */
    stapes_result_free(r);
    stapes_result_free(empty);
    stapes_result_free(NULL);
    stapes__tokenizer_close(&t);
}

/* The words and the text of some tokens, one every 2 frames. */
static void expect(const stapes__tokenizer *t, bool nemo, const int32_t *ids, size_t n,
                   const char *words, const char *text) {
    stapes__words *w = words_open(t, STAPES__HEAD_RNNT, nemo);
    stapes_error err = {0};
    for (size_t i = 0; i < n; i++)
        push(w, ids[i], (int32_t)(2 * i), 1);
    assert_ok(stapes__words_finish(w, &err), err);
    stapes_result *r = result_of(w);
    char joined[512] = "";
    for (size_t i = 0; i < r->n_words; i++) {
        strcat(joined, i ? "|" : "");
        strcat(joined, r->words[i].text);
    }
    assert_string_equal(joined, words);
    assert_string_equal(r->text, text);
    check_shape(r);
    stapes_result_free(r);
    stapes__words_close(&w);
}

#define EXPECT(nemo, words, text, ...)                                                             \
    do {                                                                                           \
        static const int32_t ids_[] = {__VA_ARGS__};                                               \
        expect(t, nemo, ids_, sizeof ids_ / sizeof *ids_, words, text);                            \
    } while (0)

static void builds_words(void **state) {
    (void)state;
    stapes__tokenizer *t = tokenizer_open();
    EXPECT(false, "the|cats|12", "the cats 12", THE, CAT, S, MARK, ONE, TWO);
    EXPECT(false, "the.", "the .", THE, MARK, DOT);
    EXPECT(true, "the.", "the.", THE, MARK, DOT);
    EXPECT(false, "the|\xc2\xbfQu\xc3\xa9", "the \xc2\xbfQu\xc3\xa9", THE, MARK, QUERY, QUE);
    EXPECT(true, "the\xc2\xbfQu\xc3\xa9", "the\xc2\xbfQu\xc3\xa9", THE, MARK, QUERY, QUE);
    EXPECT(false, "the|\"t\"|cat", "the \"t\" cat", THE, MARK, QUOTE, T, QUOTE, CAT);
    EXPECT(false, "the|cat...|Yes!", "the cat... Yes!", THE, CAT, DOTS, YES, BANG);
    EXPECT(false, "d't", "d't", D, APO, T);
    EXPECT(false, "the-|cat", "the - cat", THE, DASH, CAT);
    EXPECT(false, ".st", ".st", DOT, S, T);
    EXPECT(false, "cats|the", "cats the", CAT, PNC, S, THE, FR);
    EXPECT(false, "d|\xe2\x81\x87|t|the", "d \xe2\x81\x87 t the", D, UNK, T, THE);
    EXPECT(false, "the\xe6\x97\xa5|cat", "the\xe6\x97\xa5 cat", THE, E6, X97, A5, CAT);
    EXPECT(false, "the", "the", THE, ZERO);
    EXPECT(false, "", "", ZERO);
    EXPECT(false, "", "", MARK, PNC, MARK);
    stapes__tokenizer_close(&t);
}

static void keeps_times_honest(void **state) {
    (void)state;
    stapes__tokenizer *t = tokenizer_open();
    stapes_error err = {0};
    stapes__words_params params = {.tokenizer = t,
                                   .head = STAPES__HEAD_RNNT,
                                   .frame_seconds = 0.08,
                                   .segment_gap = 1.0,
                                   .max_word_tail = 0.2,
                                   .channel = 1};
    stapes__words *w;
    assert_ok(stapes__words_open(&w, &params, &err), err);
    push(w, THE, -3, 1);   /* a window that begins before the recording */
    push(w, CAT, 4, 4);    /* 0.32 .. 0.64: the tail is cut at 0.52 */
    push(w, COMMA, 12, 1); /* a late comma */
    push(w, D, 11, 0);     /* goes back in time, lasts nothing */
    push(w, YES, 12, 1);
    push(w, THE, 40, 1); /* after a pause */
    assert_int_equal(stapes__words_segments(w), 1);
    assert_ok(stapes__words_finish(w, &err), err);
    stapes_result *r = result_of(w);
    check_shape(r);
    assert_int_equal(r->n_words, 5);
    assert_int_equal(r->n_segments, 2);
    assert_int_equal(r->segments[1].channel, 1);
    assert_true(r->words[0].start == 0);
    assert_string_equal(r->words[1].text, "cat,");
    assert_true(fabs(r->words[1].end - 0.52) < 1e-9);
    assert_true(fabs(r->words[1].raw_end - 1.04) < 1e-9); /* NeMo lets the comma stretch it */
    assert_true(fabs(r->words[2].start - 0.88) < 1e-9);
    assert_true(fabs(r->words[2].end - 0.96) < 1e-9); /* room for one frame */
    assert_true(fabs(r->words[2].raw_end - 0.88) < 1e-9);
    stapes_result_free(r);
    stapes__words_close(&w);
    stapes__tokenizer_close(&t);
}

static void collects_warnings(void **state) {
    (void)state;
    stapes_result *r;
    stapes_error err = {0};
    assert_ok(stapes__result_new(&r, &err), err);
    for (int i = 0; i < 3; i++) {
        char code[16];
        snprintf(code, sizeof code, "code_%d", i);
        assert_ok(stapes__result_warn(r, code, "a message", &err), err);
    }
    assert_int_equal(r->n_warnings, 3);
    assert_string_equal(r->warnings[0].code, "code_0");
    assert_string_equal(r->warnings[2].code, "code_2");
    assert_string_equal(r->warnings[1].message, "a message");
    stapes_result_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_nemo_offsets), cmocka_unit_test(cuts_segments_as_they_complete),
        cmocka_unit_test(builds_words),        cmocka_unit_test(keeps_times_honest),
        cmocka_unit_test(collects_warnings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
