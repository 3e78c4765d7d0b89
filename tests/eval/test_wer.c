/* The WER vectors: 30 pairs with counts, rates and alignments, 80 strings through the normalisers.
 */
#include <string.h>

#include "eval/normalize.h"
#include "eval/wer.h"
#include "support.h"

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    assert_non_null(text);
    return text;
}

static void check_count(const json_t *pair, const char *key, int64_t got) {
    const json_t *want = json_object_get(pair, key);
    assert_true(json_is_integer(want));
    if (json_integer_value(want) != got)
        fail_msg("'%s' against '%s': %s is %lld, should be %lld", text_of(pair, "hypothesis"),
                 text_of(pair, "reference"), key, (long long)got,
                 (long long)json_integer_value(want));
}

static void check_rate(const json_t *object, const char *key, double got) {
    const json_t *want = json_object_get(object, key);
    assert_true(json_is_number(want));
    assert_true(got - json_number_value(want) < 1e-8 * (1 + got)); /* 9 digits are recorded */
    assert_true(json_number_value(want) - got < 1e-8 * (1 + got));
}

static void check_edits(const json_t *pair, const stapes__alignment *found) {
    static const char *const types[] = {"equal", "substitute", "delete", "insert"};
    const json_t *want = json_object_get(pair, "alignment");
    assert_int_equal(json_array_size(want), found->n_edits);
    for (size_t i = 0; i < found->n_edits; i++) {
        const json_t *run = json_array_get(want, i);
        const stapes__edit *edit = &found->edits[i];
        const size_t places[] = {edit->ref_start, edit->ref_end, edit->hyp_start, edit->hyp_end};
        assert_string_equal(json_string_value(json_array_get(run, 0)), types[edit->type]);
        for (size_t k = 0; k < 4; k++)
            assert_int_equal(json_integer_value(json_array_get(run, k + 1)), places[k]);
    }
}

static void pairs_match_jiwer(void **state) {
    (void)state;
    vectors v = vectors_open("wer");
    const json_t *pairs = json_object_get(v.info, "pairs");
    assert_int_equal(json_array_size(pairs), 30);
    stapes__word_counts total = {0};
    size_t i;
    json_t *pair;
    json_array_foreach(pairs, i, pair) {
        stapes_error err;
        stapes__alignment found;
        const char *ref = text_of(pair, "reference"), *hyp = text_of(pair, "hypothesis");
        assert_ok(stapes__align_words(ref, hyp, &found, &err), err);
        check_count(pair, "hits", found.counts.hits);
        check_count(pair, "substitutions", found.counts.substitutions);
        check_count(pair, "deletions", found.counts.deletions);
        check_count(pair, "insertions", found.counts.insertions);
        check_rate(pair, "wer", stapes__word_error_rate(&found.counts));
        check_rate(pair, "mer", stapes__match_error_rate(&found.counts));
        check_rate(pair, "wil", stapes__word_information_lost(&found.counts));
        check_edits(pair, &found);
        int64_t distance, length;
        assert_ok(stapes__align_characters(ref, hyp, &distance, &length, &err), err);
        check_rate(pair, "cer", (double)distance / (double)length);
        stapes__word_counts_add(&total, &found.counts);
        stapes__alignment_free(&found);
    }
    const json_t *sum = json_object_get(v.info, "total");
    assert_int_equal(json_integer_value(json_object_get(sum, "hits")), total.hits);
    assert_int_equal(json_integer_value(json_object_get(sum, "deletions")), total.deletions);
    assert_int_equal(json_integer_value(json_object_get(sum, "insertions")), total.insertions);
    check_rate(sum, "wer", stapes__word_error_rate(&total));
    vectors_close(&v);
}

static void normalisers_match_whisper(void **state) {
    (void)state;
    static const struct {
        const char *key;
        stapes__normalizer normalizer;
    } columns[] = {{"english", STAPES__NORMALIZE_ENGLISH},
                   {"basic", STAPES__NORMALIZE_BASIC},
                   {"basic_no_diacritics_split_letters", STAPES__NORMALIZE_BASIC_LETTERS}};
    vectors v = vectors_open("wer");
    const json_t *rows = json_object_get(v.info, "normaliser");
    assert_int_equal(json_array_size(rows), 80);
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row) {
        for (size_t k = 0; k < sizeof columns / sizeof *columns; k++) {
            stapes_error err;
            stapes__buf out = {0};
            assert_ok(stapes__normalize(columns[k].normalizer, text_of(row, "text"), &out, &err),
                      err);
            if (strcmp(out.data, text_of(row, columns[k].key)) != 0)
                fail_msg("%s of '%s' is '%s', should be '%s'", columns[k].key, text_of(row, "text"),
                         out.data, text_of(row, columns[k].key));
            stapes__buf_free(&out);
        }
    }
    vectors_close(&v);
}

static void check_normalized(stapes__normalizer normalizer, const char *text, const char *want) {
    stapes_error err;
    stapes__buf out = {0};
    assert_ok(stapes__normalize(normalizer, text, &out, &err), err);
    assert_string_equal(out.data, want);
    stapes__buf_free(&out);
}

/* Beyond the vectors; the expected texts are openai-whisper's own. */
static void english_details(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"one decillion and one", "1000000000000000000000000000000001"},
        {"five hundred thousand two hundred", "500200"},
        {"minus twenty dollars", "$20"},
        {"plus two", "+2"},
        {"zero point five", "0.5"},
        {"nineteenth twenties hundredth", "19th 20s 100th"},
        {"ninth nineth", "ninth 9th"},
        {"three point five million", "3500000"},
        {"fifty cents", "\xc2\xa2"
                        "50"},
        {"two euros and five cents", "\xe2\x82\xac"
                                     "2.05"},
        {"$0.07 or 1s", "\xc2\xa2"
                        "7 or ones"},
        {"mm hmm", ""},
        {"\xce\x9f\xce\x94\xce\x9f\xce\xa3", "\xce\xbf\xce\xb4\xce\xbf\xcf\x82"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_normalized(STAPES__NORMALIZE_ENGLISH, rows[i][0], rows[i][1]);
}

static void plain_details(void **state) {
    (void)state;
    check_normalized(STAPES__NORMALIZE_PLAIN, "  Quilter's  MANNER, \"co-operate\"!\n",
                     "quilters manner cooperate");
    check_normalized(STAPES__NORMALIZE_PLAIN, "\xc3\x89T\xc3\x89 \xe2\x80\x94 caf\xc3\xa9",
                     "\xc3\xa9t\xc3\xa9 caf\xc3\xa9");
    check_normalized(STAPES__NORMALIZE_PLAIN, " ?!. ", "");
    check_normalized(STAPES__NORMALIZE_NONE, " As It Is. ", " As It Is. ");
    check_normalized(STAPES__NORMALIZE_ENGLISH, "broken \xff\xc3 bytes", "broken bytes");
    stapes__normalizer normalizer;
    assert_true(stapes__normalizer_from_name("whisper", &normalizer));
    assert_int_equal(normalizer, STAPES__NORMALIZE_ENGLISH);
    assert_string_equal(stapes__normalizer_name(normalizer), "whisper");
    assert_false(stapes__normalizer_from_name("other", &normalizer));
}

static void empty_texts(void **state) {
    (void)state;
    stapes_error err;
    stapes__alignment found;
    assert_ok(stapes__align_words("", " \t", &found, &err), err);
    assert_int_equal(found.n_edits, 0);
    assert_true(stapes__word_error_rate(&found.counts) == 0);
    assert_true(stapes__word_information_lost(&found.counts) == 0);
    stapes__alignment_free(&found);
    assert_ok(stapes__align_words("", "two words", &found, &err), err);
    assert_int_equal(found.counts.insertions, 2);
    assert_true(stapes__word_error_rate(&found.counts) == 2);
    assert_true(stapes__match_error_rate(&found.counts) == 1);
    stapes__alignment_free(&found);
}

/* A band that is too narrow at first must not change the result. */
static void long_character_distance(void **state) {
    (void)state;
    char a[4001], b[4001];
    for (int i = 0; i < 4000; i++) {
        a[i] = (char)('a' + i % 7);
        b[i] = (char)('h' + i % 7);
    }
    a[4000] = b[4000] = 0;
    stapes_error err;
    int64_t distance, length;
    assert_ok(stapes__align_characters(a, b, &distance, &length, &err), err);
    assert_int_equal(distance, 4000);
    assert_ok(stapes__align_characters(a, a + 1000, &distance, &length, &err), err);
    assert_int_equal(distance, 1000);
    assert_ok(stapes__align_characters(a, "", &distance, &length, &err), err);
    assert_int_equal(distance, 4000);
    assert_ok(stapes__align_characters("", b, &distance, &length, &err), err);
    assert_int_equal(distance, 4000);
    assert_int_equal(length, 0);
}

static void bootstrap_is_repeatable(void **state) {
    (void)state;
    stapes_error err;
    stapes__word_counts utterances[200];
    for (int i = 0; i < 200; i++)
        utterances[i] = (stapes__word_counts){.hits = 10 - i % 5, .substitutions = i % 5};
    double low, high, again_low, again_high;
    assert_ok(stapes__bootstrap_wer(utterances, 200, 2000, 1, &low, &high, &err), err);
    assert_ok(stapes__bootstrap_wer(utterances, 200, 2000, 1, &again_low, &again_high, &err), err);
    assert_true(low == again_low && high == again_high);
    /* mean 0.2, standard error sqrt(2)/10/sqrt(200) = 0.01: the interval is 0.2 -+ 0.0196 */
    assert_true(low > 0.175 && low < 0.186 && high > 0.214 && high < 0.225);
    assert_ok(stapes__bootstrap_wer(utterances, 1, 1000, 1, &low, &high, &err), err);
    assert_true(low == 0 && high == 0);
    assert_ok(stapes__bootstrap_wer(NULL, 0, 1000, 1, &low, &high, &err), err);
    assert_true(low == 0 && high == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_match_jiwer),
        cmocka_unit_test(normalisers_match_whisper),
        cmocka_unit_test(english_details),
        cmocka_unit_test(plain_details),
        cmocka_unit_test(empty_texts),
        cmocka_unit_test(long_character_distance),
        cmocka_unit_test(bootstrap_is_repeatable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
