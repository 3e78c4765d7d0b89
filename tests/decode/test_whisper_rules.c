/* Whisper's rules against openai-whisper: tests/vectors/whisper/rules. */
#include <math.h>

#include "decode/whisper/filters.h"
#include "decode/whisper/score.h"
#include "decode/whisper/search.h"
#include "decode/whisper/words.h"
#include "whisper_support.h"

static const char *const layouts[] = {"en", "multi", "v3"};

static void check_languages(const stapes__whisper_layout *layout, json_t *want) {
    const char *code;
    json_t *id;
    assert_int_equal(json_object_size(field(want, "language_ids")), layout->languages);
    json_object_foreach(field(want, "language_ids"), code, id) {
        int index = stapes__whisper_language_index(layout, code);
        if (index < 0 || layout->first_language + index != json_integer_value(id))
            fail_msg("language %s has index %d", code, index);
        assert_string_equal(stapes__whisper_language_code(index), code);
    }
    int32_t ids[STAPES__WHISPER_MAX_SOT];
    int german = stapes__whisper_language_index(layout, "German");
    size_t n = stapes__whisper_sot_sequence(layout, german, STAPES__WHISPER_TRANSLATE, true, ids);
    assert_ids("translation", ids, n, field(want, "sot_sequence_de_translate"));
}

static void test_layouts(void **state) {
    (void)state;
    vectors v = vectors_open("whisper/rules");
    for (size_t i = 0; i < 3; i++) {
        stapes__whisper_layout l = layout_named(layouts[i]);
        json_t *want = field(field(v.info, "ids"), layouts[i]);
        const struct {
            const char *name;
            int32_t got;
        } ids[] = {{"vocab", l.vocabulary},
                   {"eot", l.eot},
                   {"sot", l.sot},
                   {"first_language", l.first_language},
                   {"languages", l.languages},
                   {"translate", l.translate},
                   {"transcribe", l.transcribe},
                   {"startoflm", l.startoflm},
                   {"startofprev", l.startofprev},
                   {"nospeech", l.nospeech},
                   {"notimestamps", l.notimestamps},
                   {"timestamp_begin", l.timestamp_begin}};
        for (size_t k = 0; k < sizeof ids / sizeof *ids; k++)
            if (ids[k].got != whole(want, ids[k].name))
                fail_msg("%s: %s is %d", layouts[i], ids[k].name, (int)ids[k].got);
        assert_int_equal(l.vocabulary - l.timestamp_begin, 1501);
        int32_t sot[STAPES__WHISPER_MAX_SOT];
        size_t n = stapes__whisper_sot_sequence(&l, 0, STAPES__WHISPER_TRANSCRIBE, true, sot);
        assert_ids("sot", sot, n, field(want, "sot_sequence"));
        n = stapes__whisper_sot_sequence(&l, 0, STAPES__WHISPER_TRANSCRIBE, false, sot);
        assert_ids("sot", sot, n, field(want, "sot_sequence_including_notimestamps"));
        if (l.multilingual)
            check_languages(&l, want);
    }
    stapes__whisper_layout l = layout_named("multi");
    assert_int_equal(stapes__whisper_language_index(&l, "yue"), -1);
    assert_null(stapes__whisper_language_code(100));
    stapes_error err;
    assert_int_equal(stapes__whisper_layout_of(1024, &l, &err), STAPES_E_UNSUPPORTED);
    assert_true(strstr(err.message, "1024") && err.hint[0]);
    vectors_close(&v);
}

static void test_special_text(void **state) {
    (void)state;
    stapes__whisper_layout l = layout_named("v3");
    const int32_t ids[] = {400,   50256, 50257, 50258, 50261, 50358,
                           50360, 50364, 50365, 50419, 51865, 51866};
    stapes__buf text = {0};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        stapes__whisper_special_text(&l, ids[i], &text);
    assert_string_equal(text.data, "<|endoftext|><|startoftranscript|><|de|><|yue|><|transcribe|>"
                                   "<|notimestamps|><|0.00|><|1.08|><|30.00|>");
    stapes__buf_free(&text);
}

static void test_suppressed(void **state) {
    (void)state;
    vectors v = vectors_open("whisper/rules");
    size_t i;
    json_t *want;
    json_array_foreach(field(v.info, "suppress"), i, want) {
        const char *name = string(want, "layout");
        stapes__whisper_layout layout = layout_named(name);
        stapes__tokenizer *tokenizer = vocabulary_of(name);
        stapes__whisper_ids ids;
        stapes_error err;
        const int32_t wanted[] = {-1};
        assert_ok(stapes__whisper_suppressed(&layout, tokenizer, wanted, 1, &ids, &err), err);
        assert_ids(name, ids.items, ids.count, field(want, "ids"));
        stapes__whisper_ids_free(&ids);
        const int32_t some[] = {13, 11, 13, 99999};
        assert_ok(stapes__whisper_suppressed(&layout, tokenizer, some, 4, &ids, &err), err);
        assert_int_equal(ids.count, 8);
        assert_int_equal(ids.items[0], 11);
        stapes__whisper_ids_free(&ids);
        assert_ok(stapes__whisper_blank(&layout, tokenizer, &ids, &err), err);
        assert_ids(name, ids.items, ids.count,
                   field(field(field(v.info, "ids"), name), "blank_suppressed"));
        stapes__whisper_ids_free(&ids);
        stapes__tokenizer_close(&tokenizer);
    }
    vectors_close(&v);
}

static void check_allowed(const char *name, const float *logits, int32_t vocabulary,
                          json_t *ranges) {
    size_t next = 0;
    for (int32_t i = 0; i < vocabulary; i++) {
        json_t *range = json_array_get(ranges, next);
        bool want = range && i >= json_integer_value(json_array_get(range, 0));
        if ((logits[i] > -INFINITY) != want)
            fail_msg("%s: id %d is %s", name, (int)i, want ? "forbidden" : "allowed");
        if (want && i == json_integer_value(json_array_get(range, 1)))
            next++;
    }
    assert_int_equal(next, json_array_size(ranges));
}

static void test_timestamp_rules(void **state) {
    (void)state;
    vectors v = vectors_open("whisper/rules");
    json_t *cases = field(v.info, "timestamp_rules"), *c, *set;
    size_t i, k, count;
    assert_int_equal(json_array_size(cases), 33);
    float *logits = calloc(51866, sizeof *logits);
    json_array_foreach(cases, i, c) {
        stapes__whisper_layout layout = layout_named(string(c, "layout"));
        for (int32_t id = 0; id < layout.vocabulary; id++)
            logits[id] = (float)number(field(c, "logits"), "default");
        json_array_foreach(field(field(c, "logits"), "set"), k, set) {
            for (json_int_t id = json_integer_value(json_array_get(set, 0));
                 id <= json_integer_value(json_array_get(set, 1)); id++)
                logits[id] = (float)json_number_value(json_array_get(set, 2));
        }
        json_t *initial = field(c, "max_initial_timestamp_index");
        stapes__whisper_filters filters = {
            .layout = &layout,
            .timestamps = true,
            .max_initial = json_is_null(initial) ? -1 : (int)json_integer_value(initial)};
        int32_t *tokens = ids_of(field(c, "tokens"), &count);
        size_t begin = (size_t)whole(c, "sample_begin");
        stapes__whisper_filter(&filters, tokens + begin, count - begin, logits);
        check_allowed(string(c, "name"), logits, layout.vocabulary, field(c, "allowed"));
        free(tokens);
    }
    free(logits);
    vectors_close(&v);
}

static void test_filter_order(void **state) {
    (void)state;
    stapes__whisper_layout layout = layout_named("multi");
    float *logits = calloc((size_t)layout.vocabulary, sizeof *logits);
    int32_t blank[] = {220, 50257}, suppress[] = {7, 50358};
    stapes__whisper_ids first = {blank, 2}, always = {suppress, 2};
    stapes__whisper_filters filters = {&layout, &first, &always, false, -1};
    stapes__whisper_filter(&filters, NULL, 0, logits);
    assert_true(isinf(logits[220]) && isinf(logits[50257]) && isinf(logits[7]));
    assert_true(logits[50363] == 0 && logits[50364] == 0);
    memset(logits, 0, (size_t)layout.vocabulary * sizeof *logits);
    const int32_t sampled[] = {400};
    stapes__whisper_filter(&filters, sampled, 1, logits);
    assert_true(logits[220] == 0 && logits[50257] == 0 && isinf(logits[7]));
    free(logits);
}

static void test_logsumexp(void **state) {
    (void)state;
    enum { N = 3001 };
    float x[N];
    double sum = 0;
    uint32_t s = 5;
    for (size_t i = 0; i < N; i++) {
        s = s * 1664525U + 1013904223U;
        x[i] = (float)(s >> 8) / 16777216.0F * 120.0F - 100.0F;
        sum += exp((double)x[i]);
    }
    assert_near("logsumexp", stapes__whisper_logsumexp(x, N), log(sum), 1e-6);
    assert_near("one", stapes__whisper_logsumexp(x, 1), (double)x[0], 1e-6);
    assert_true(isinf(stapes__whisper_logsumexp(x, 0)));
    const float none[] = {-INFINITY, -INFINITY};
    assert_true(stapes__whisper_logsumexp(none, 2) < 0 &&
                isinf(stapes__whisper_logsumexp(none, 2)));
    const float some[] = {-INFINITY, 2.0F, -INFINITY, 2.0F};
    assert_near("masked", stapes__whisper_logsumexp(some, 4), 2 + log(2), 1e-6);
}

static void test_compression_ratio(void **state) {
    (void)state;
    vectors v = vectors_open("whisper/rules");
    size_t i;
    json_t *c;
    json_array_foreach(field(field(v.info, "compression_ratio"), "cases"), i, c) {
        const char *text = json_string_value(json_array_get(c, 0));
        double ratio;
        stapes_error err;
        assert_ok(stapes__whisper_compression_ratio(text, strlen(text), &ratio, &err), err);
        assert_near(text, ratio, json_number_value(json_array_get(c, 1)), 1e-6);
    }
    vectors_close(&v);
}

static void test_strip(void **state) {
    (void)state;
    size_t length = strlen(" \t a b\xe3\x80\x80\n");
    const char *text = stapes__whisper_strip(" \t a b\xe3\x80\x80\n", &length);
    assert_int_equal(length, 3);
    assert_memory_equal(text, "a b", 3);
    length = 3;
    stapes__whisper_strip("   ", &length);
    assert_int_equal(length, 0);
}

static void test_loops(void **state) {
    (void)state;
    int32_t tokens[224];
    for (int32_t i = 0; i < 224; i++)
        tokens[i] = 1000 + i;
    assert_false(stapes__whisper_loops(tokens, 224, 50257));
    for (size_t i = 100; i < 224; i++) /* a phrase of four at the end of a healthy text */
        tokens[i] = 7 + (int32_t)(i % 4);
    assert_true(stapes__whisper_loops(tokens, 224, 50257));
    assert_true(stapes__whisper_loops(tokens, 126, 50257));
    assert_false(stapes__whisper_loops(tokens, 120, 50257));
    tokens[120] = tokens[140] = tokens[160] = 50400; /* timestamps do not hide it */
    for (size_t i = 100, k = 0; i < 200; i++)
        if (tokens[i] < 50257)
            tokens[i] = 7 + (int32_t)(k++ % 4);
    assert_true(stapes__whisper_loops(tokens, 200, 50257));
    for (size_t i = 0; i < 12; i++)
        tokens[i] = 9;
    assert_false(stapes__whisper_loops(tokens, 12, 50257)); /* "no" a dozen times is speech */
    assert_false(stapes__whisper_loops(tokens, 0, 50257));
}

static void test_ranking(void **state) {
    (void)state;
    vectors v = vectors_open("whisper/rules");
    size_t i;
    json_t *c;
    json_array_foreach(field(v.info, "ranking"), i, c) {
        double sums[3];
        size_t lengths[3];
        for (size_t k = 0; k < 3; k++) {
            sums[k] = json_number_value(json_array_get(field(c, "sums"), k));
            lengths[k] = (size_t)json_integer_value(json_array_get(field(c, "lengths"), k));
        }
        json_t *penalty = field(c, "length_penalty");
        double alpha = json_is_null(penalty) ? -1 : json_number_value(penalty);
        assert_int_equal(stapes__whisper_rank(sums, lengths, 3, alpha), whole(c, "best"));
    }
    const double sums[] = {-3, -0.5};
    const size_t lengths[] = {4, 0};
    assert_int_equal(stapes__whisper_rank(sums, lengths, 2, -1), 1);
    vectors_close(&v);
}

/* Rows of the vectors hold the tokens before the first sampled one as well. */
static void check_group(const stapes__whisper_group *group, size_t before, json_t *step) {
    json_t *rows = field(step, "tokens");
    assert_int_equal(json_array_size(rows), group->n);
    for (size_t i = 0; i < group->n; i++) {
        json_t *row = json_array_get(rows, i);
        assert_int_equal(json_array_size(row), before + group->length);
        for (size_t k = 0; k < group->length; k++)
            assert_int_equal(json_integer_value(json_array_get(row, before + k)),
                             group->tokens[i * group->room + k]);
        assert_near("sum", group->sums[i],
                    json_number_value(json_array_get(field(step, "sum_logprobs"), i)), 1e-5);
    }
}

static void test_greedy_bookkeeping(void **state) {
    (void)state;
    vectors v = vectors_open("whisper/rules");
    json_t *c = field(v.info, "greedy_bookkeeping"), *step;
    stapes__whisper_group group;
    stapes_error err;
    size_t i;
    assert_ok(stapes__whisper_group_open(&group, 2, 8, &err), err);
    group.n = 2;
    json_array_foreach(field(c, "steps"), i, step) {
        float logits[2][10];
        const float *rows[2] = {logits[0], logits[1]};
        for (size_t k = 0; k < 20; k++)
            logits[k / 10][k % 10] = (float)json_number_value(
                json_array_get(json_array_get(field(step, "logits"), k / 10), k % 10));
        bool done = stapes__whisper_greedy(&group, rows, 10, 9, 0, NULL);
        assert_int_equal(done, json_is_true(field(step, "completed")));
        check_group(&group, 2, step);
    }
    stapes__whisper_group_close(&group);
    vectors_close(&v);
}

static void check_sequence(const stapes__whisper_beam *beam, size_t index, json_t *tokens,
                           double sum) {
    const int32_t *got = beam->finished.tokens + index * beam->finished.room;
    size_t count = json_array_size(tokens);
    assert_int_equal(count, beam->lengths[index] + 2); /* the start and eot */
    for (size_t k = 1; k + 1 < count; k++)
        assert_int_equal(json_integer_value(json_array_get(tokens, k)), got[k - 1]);
    assert_near("finished", beam->finished.sums[index], sum, 1e-5);
}

static void run_beam_case(json_t *c) {
    stapes__whisper_group group;
    stapes__whisper_beam beam;
    stapes_error err;
    json_t *patience = field(c, "patience"), *step, *final;
    size_t i, k;
    assert_ok(stapes__whisper_group_open(&group, 3, 16, &err), err);
    assert_ok(stapes__whisper_beam_open(
                  &beam, 3, json_is_null(patience) ? 0 : json_number_value(patience), 9, 16, &err),
              err);
    group.n = 3;
    uint32_t s = 99;
    json_array_foreach(field(c, "steps"), i, step) {
        float logits[3][10];
        const float *rows[3] = {logits[0], logits[1], logits[2]};
        for (k = 0; k < 30; k++) {
            s = s * 1664525U + 1013904223U;
            logits[k / 10][k % 10] = (float)(((double)(s >> 16) - 32768) / 32768.0 * 6.0);
        }
        if (i == 0)
            rows[1] = rows[2] = rows[0];
        bool done = stapes__whisper_beam_update(&beam, &group, rows, 10);
        assert_int_equal(done, json_is_true(field(step, "completed")));
        check_group(&group, 1, step);
        for (k = 0; k < 3; k++)
            assert_int_equal(beam.sources[k],
                             json_integer_value(json_array_get(field(step, "source_rows"), k)));
        assert_int_equal(beam.finished.n, json_object_size(field(step, "finished")));
    }
    stapes__whisper_beam_finish(&beam, &group);
    assert_int_equal(beam.finished.n, json_array_size(field(c, "final")));
    json_array_foreach(field(c, "final"), i, final) check_sequence(
        &beam, i, json_array_get(final, 0), json_number_value(json_array_get(final, 1)));
    stapes__whisper_beam_close(&beam);
    stapes__whisper_group_close(&group);
}

static void test_beam_bookkeeping(void **state) {
    (void)state;
    vectors v = vectors_open("whisper/rules");
    size_t i;
    json_t *c;
    json_array_foreach(field(v.info, "beam_bookkeeping"), i, c) run_beam_case(c);
    stapes__whisper_beam beam;
    stapes_error err;
    assert_int_equal(stapes__whisper_beam_open(&beam, 0, 0, 9, 4, &err), STAPES_E_ARGUMENT);
    vectors_close(&v);
}

/* Fewer sequences finish than the beam is wide: the best unfinished ones fill up. */
static void test_beam_unfinished(void **state) {
    (void)state;
    stapes__whisper_group group;
    stapes__whisper_beam beam;
    stapes_error err;
    assert_ok(stapes__whisper_group_open(&group, 2, 4, &err), err);
    assert_ok(stapes__whisper_beam_open(&beam, 2, 0, 3, 4, &err), err);
    group.n = 1;
    const float row[] = {1.0F, 5.0F, 4.0F, 0.0F};
    const float *rows[] = {row, row};
    assert_false(stapes__whisper_beam_update(&beam, &group, rows, 4));
    assert_int_equal(group.n, 2);
    stapes__whisper_beam_finish(&beam, &group);
    assert_int_equal(beam.finished.n, 2);
    assert_int_equal(beam.finished.tokens[0], 1);
    assert_int_equal(beam.finished.tokens[beam.finished.room], 2);
    stapes__whisper_beam_close(&beam);
    stapes__whisper_group_close(&group);
}

static void test_sampling(void **state) {
    (void)state;
    const float row[] = {0.0F, 1.0F, -INFINITY, 2.0F};
    size_t hits[4] = {0};
    stapes__whisper_random random = {7}, again = {7};
    enum { N = 20000 };
    for (size_t i = 0; i < N; i++) {
        int32_t token = stapes__whisper_pick(row, 4, 0.5, &random);
        assert_int_equal(token, stapes__whisper_pick(row, 4, 0.5, &again));
        hits[token]++;
    }
    double sum = 1 + exp(2) + exp(4);
    assert_int_equal(hits[2], 0);
    assert_near("share", (double)hits[0] / N, 1 / sum, 0.01);
    assert_near("share", (double)hits[1] / N, exp(2) / sum, 0.01);
    assert_near("share", (double)hits[3] / N, exp(4) / sum, 0.01);
    assert_int_equal(stapes__whisper_pick(row, 4, 0, NULL), 3);
}

static void check_words(const stapes__whisper_words *words, const int32_t *tokens, json_t *texts,
                        json_t *ids) {
    for (size_t i = 0; i < words->count; i++) {
        assert_string_equal(words->items[i].text, json_string_value(json_array_get(texts, i)));
        assert_ids(words->items[i].text, tokens + words->items[i].first, words->items[i].count,
                   json_array_get(ids, i));
    }
    assert_int_equal(words->count, json_array_size(texts));
}

static void test_words(void **state) {
    (void)state;
    vectors v = vectors_open("whisper/rules");
    size_t i, k, count;
    json_t *c, *pair;
    stapes_error err;
    json_array_foreach(field(v.info, "words"), i, c) {
        stapes__whisper_layout layout = layout_named(string(c, "layout"));
        stapes__tokenizer *tokenizer = vocabulary_of(string(c, "layout"));
        bool unspaced = stapes__whisper_unspaced(string(c, "language"));
        int32_t *tokens = ids_of(field(c, "tokens"), &count), *encoded;
        size_t n;
        assert_ok(stapes__tokenizer_encode(tokenizer, string(c, "text"), &encoded, &n, &err), err);
        assert_ids(string(c, "text"), encoded, n, field(c, "tokens"));
        free(encoded);
        stapes__whisper_words words = {0};
        tokens[count] = layout.eot;
        assert_ok(
            stapes__whisper_split(&layout, tokenizer, tokens, count + 1, unspaced, &words, &err),
            err);
        check_words(&words, tokens, field(c, "words"), field(c, "word_tokens"));
        stapes__whisper_words_free(&words);
        assert_ok(stapes__whisper_split(&layout, tokenizer, tokens, count, unspaced, &words, &err),
                  err);
        assert_ok(
            stapes__whisper_merge(&words, STAPES__WHISPER_PREPEND, STAPES__WHISPER_APPEND, &err),
            err);
        json_t *texts = json_array(), *ids = json_array();
        json_array_foreach(field(c, "after_punctuation_merge"), k, pair) {
            json_array_append(texts, json_array_get(pair, 0));
            json_array_append(ids, json_array_get(pair, 1));
        }
        check_words(&words, tokens, texts, ids);
        json_decref(texts);
        json_decref(ids);
        stapes__whisper_words_free(&words);
        stapes__tokenizer_close(&tokenizer);
        free(tokens);
    }
    vectors_close(&v);
}

/* A character that breaks off at the end is a word of its own and not lost. */
static void test_broken_words(void **state) {
    (void)state;
    stapes__whisper_layout layout = layout_named("multi");
    stapes__tokenizer *tokenizer = vocabulary_of("multi");
    stapes__whisper_words words = {0};
    stapes_error err;
    const int32_t tokens[] = {31595, 36276, 235};
    assert_ok(stapes__whisper_split(&layout, tokenizer, tokens, 3, true, &words, &err), err);
    size_t covered = 0;
    for (size_t i = 0; i < words.count; i++)
        covered += words.items[i].count;
    assert_int_equal(covered, 3);
    stapes__whisper_words_free(&words);
    assert_ok(stapes__whisper_split(&layout, tokenizer, tokens, 0, false, &words, &err), err);
    assert_int_equal(words.count, 0);
    stapes__tokenizer_close(&tokenizer);
}

static void test_median(void **state) {
    (void)state;
    vectors v = vectors_open("whisper/rules");
    size_t count;
    float *x = vectors_get_f32(&v, "median/input", NULL, NULL, &count);
    double *want = vectors_get(&v, "median/output", NULL, NULL, NULL);
    float scratch[26];
    stapes__whisper_median(x, 3, 20, scratch);
    for (size_t i = 0; i < count; i++)
        assert_true((double)x[i] == want[i]);
    free(x);
    free(want);
    float narrow[] = {3, 1, 2};
    stapes__whisper_median(narrow, 1, 3, scratch);
    assert_true(narrow[0] == 3 && narrow[1] == 1);
    float four[] = {9, 1, 2, 3};
    stapes__whisper_median(four, 1, 4, scratch);
    assert_true(four[0] == 2);
    vectors_close(&v);
}

static void test_dtw(void **state) {
    (void)state;
    vectors v = vectors_open("whisper/rules");
    float *cost = vectors_get_f32(&v, "dtw/cost", NULL, NULL, NULL);
    size_t jumps[9], length;
    int32_t rows[39], columns[39];
    stapes_error err;
    assert_ok(stapes__whisper_dtw(cost, 9, 30, jumps, rows, columns, &length, &err), err);
    assert_ids("rows", rows, length, field(field(v.info, "dtw"), "text_indices"));
    assert_ids("columns", columns, length, field(field(v.info, "dtw"), "time_indices"));
    for (size_t i = 0; i < length; i++)
        if (i == 0 || rows[i] != rows[i - 1])
            assert_int_equal(jumps[rows[i]], columns[i]);
    free(cost);
    vectors_close(&v);
}

static void test_heads(void **state) {
    (void)state;
    stapes__whisper_head heads[400];
    assert_int_equal(stapes__whisper_alignment_heads(NULL, 4, 6, 51865, heads, 400), 6);
    assert_true(heads[0].layer == 2 && heads[0].head == 2 && heads[5].head == 5);
    assert_int_equal(stapes__whisper_alignment_heads(NULL, 32, 20, 51865, heads, 400), 23);
    assert_int_equal(
        stapes__whisper_alignment_heads("openai/whisper-large-v1", 32, 20, 51865, heads, 400), 9);
    assert_int_equal(stapes__whisper_alignment_heads("turbo", 4, 20, 51866, heads, 2), 6);
    assert_true(heads[1].layer == 2 && heads[1].head == 11);
    /* Without a list: the last half of the layers, never more than there is room for. */
    assert_int_equal(stapes__whisper_alignment_heads(NULL, 2, 16, 51864, heads, 3), 16);
    assert_true(heads[2].layer == 1 && heads[2].head == 2);
    static const uint16_t sizes[][3] = {{4, 6, 51864},   {6, 8, 51864},   {6, 8, 51865},
                                        {12, 12, 51864}, {12, 12, 51865}, {24, 16, 51864},
                                        {24, 16, 51865}, {32, 20, 51866}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t n = stapes__whisper_alignment_heads(NULL, sizes[i][0], sizes[i][1], sizes[i][2],
                                                   heads, 400);
        for (size_t k = 0; k < n; k++)
            assert_true(heads[k].layer < sizes[i][0] && heads[k].head < sizes[i][1]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_special_text),
        cmocka_unit_test(test_suppressed),
        cmocka_unit_test(test_timestamp_rules),
        cmocka_unit_test(test_filter_order),
        cmocka_unit_test(test_logsumexp),
        cmocka_unit_test(test_compression_ratio),
        cmocka_unit_test(test_strip),
        cmocka_unit_test(test_loops),
        cmocka_unit_test(test_ranking),
        cmocka_unit_test(test_greedy_bookkeeping),
        cmocka_unit_test(test_beam_bookkeeping),
        cmocka_unit_test(test_beam_unfinished),
        cmocka_unit_test(test_sampling),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_broken_words),
        cmocka_unit_test(test_median),
        cmocka_unit_test(test_dtw),
        cmocka_unit_test(test_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
