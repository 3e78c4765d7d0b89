/* Scores of utterances and corpora, and the alarms. */
#include "eval/score.h"
#include "support.h"

static stapes__score score(const char *reference, const char *hypothesis) {
    stapes__score out;
    stapes_error err;
    assert_ok(stapes__score_text(STAPES__NORMALIZE_ENGLISH, reference, hypothesis, &out, &err),
              err);
    return out;
}

static void check_alarms(const char *reference, const char *hypothesis, unsigned wanted) {
    stapes__score s = score(reference, hypothesis);
    for (unsigned a = 0; a < STAPES__ALARMS; a++)
        if (s.alarms[a] != (wanted >> a & 1))
            fail_msg("'%s' for '%s': alarm %s is %d", hypothesis, reference,
                     stapes__alarm_name((stapes__alarm)a), s.alarms[a]);
}

enum {
    EMPTY = 1 << STAPES__ALARM_EMPTY,
    PUNCTUATION = 1 << STAPES__ALARM_PUNCTUATION,
    HEAD = 1 << STAPES__ALARM_HEAD,
    TAIL = 1 << STAPES__ALARM_TAIL,
    REPETITION = 1 << STAPES__ALARM_REPETITION
};

static void raises_alarms(void **state) {
    (void)state;
    check_alarms("THE CAT SAT", "The cat sat.", 0);
    check_alarms("THE CAT SAT", "", EMPTY);
    check_alarms("THE CAT SAT", " \n", EMPTY);
    check_alarms("THE CAT SAT", ". ?", PUNCTUATION);
    check_alarms("", "", 0);
    check_alarms("[noise]", "", 0);
    check_alarms("THE CAT SAT", "cat sat", HEAD);
    check_alarms("THE CAT SAT", "the cat", TAIL);
    check_alarms("THE CAT SAT", "a cat sits", 0);
    check_alarms("THE CAT", "the cat cat cat", 0);
    check_alarms("THE CAT", "the cat cat cat cat", REPETITION);
    check_alarms("NO NO NO NO", "no no no no", 0);
    check_alarms("A", "a b c d e f g h a b c d e f g h a b c d e f g h a b c d e f g h",
                 REPETITION);
    check_alarms("A", "a b c d e f g h i a b c d e f g h i a b c d e f g h i a b c d e f g h i", 0);
    check_alarms("A B", "a b x a b x a b x a b", 0);
}

static void counts_words_and_characters(void **state) {
    (void)state;
    stapes__score s = score("Mister O'Brien's colour", "mr. o'briens color");
    assert_int_equal(stapes__reference_words(&s.words), 5); /* mister 0 brien is color */
    assert_int_equal(s.words.hits, 3);
    assert_int_equal(s.words.deletions, 1);
    assert_int_equal(s.words.substitutions, 1);
    assert_int_equal(s.chars, 23);
    assert_int_equal(s.char_errors, 2); /* "brien is" against "briens" */
}

static void sums_a_corpus(void **state) {
    (void)state;
    stapes__score scores[3] = {score("a b c d", "a b c d"), score("a b c d", "a x c"),
                               score("a b", "")};
    stapes__corpus_score sum;
    stapes_error err;
    assert_ok(stapes__score_corpus(scores, 3, 1000, 1, &sum, &err), err);
    assert_int_equal(sum.utterances, 3);
    assert_int_equal(stapes__reference_words(&sum.words), 10);
    assert_int_equal(stapes__word_errors(&sum.words), 4);
    assert_true(sum.wer > 0.4 - 1e-12 && sum.wer < 0.4 + 1e-12);
    assert_true(sum.low >= 0 && sum.low < 0.4 && sum.high > 0.4 && sum.high <= 1);
    assert_int_equal(sum.alarms[STAPES__ALARM_EMPTY], 1);
    assert_true(stapes__alarm_raised(&sum, STAPES__ALARM_EMPTY));
    assert_true(stapes__alarm_raised(&sum, STAPES__ALARM_TAIL));
    assert_false(stapes__alarm_raised(&sum, STAPES__ALARM_REPETITION));
    sum.utterances = 100; /* one in a hundred is allowed */
    assert_false(stapes__alarm_raised(&sum, STAPES__ALARM_TAIL));
    assert_ok(stapes__score_corpus(scores, 0, 1000, 1, &sum, &err), err);
    assert_true(sum.wer == 0 && sum.low == 0 && sum.high == 0);
    assert_ok(stapes__score_corpus(scores, 2, 0, 1, &sum, &err), err);
    assert_true(sum.low == sum.wer && sum.high == sum.wer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raises_alarms),
        cmocka_unit_test(counts_words_and_characters),
        cmocka_unit_test(sums_a_corpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
