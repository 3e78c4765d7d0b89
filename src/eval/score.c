#include "eval/score.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[STAPES__ALARMS] = {"empty", "punctuation_only", "lost_head",
                                                  "lost_tail", "repetition"};

const char *stapes__alarm_name(stapes__alarm alarm) {
    return names[alarm];
}

/* The start of the next word at or after `at`, which becomes its end; NULL when there is none. */
static const char *next_word(const char **at) {
    const char *start = *at + strspn(*at, " ");
    *at = start + strcspn(start, " ");
    return *at > start ? start : NULL;
}

enum { LONGEST = 8, TIMES = 4 };

/* Whether 1 to 8 words of a normalised text stand at least four times in a row: word i equals word
 * i - n for three times n words running. */
static bool repeats(const char *text) {
    const char *words[LONGEST] = {NULL};
    size_t lengths[LONGEST] = {0}, run[LONGEST] = {0}, count = 0;
    for (const char *at = text, *word; (word = next_word(&at)); count++) {
        size_t length = (size_t)(at - word);
        for (size_t n = 1; n <= LONGEST; n++) {
            size_t back = count >= n ? (count - n) % LONGEST : LONGEST;
            bool same =
                back < LONGEST && lengths[back] == length && memcmp(words[back], word, length) == 0;
            run[n - 1] = same ? run[n - 1] + 1 : 0;
            if (run[n - 1] >= (TIMES - 1) * n)
                return true;
        }
        words[count % LONGEST] = word;
        lengths[count % LONGEST] = length;
    }
    return false;
}

static void look_for_alarms(const stapes__alignment *alignment, const char *reference,
                            const char *hypothesis, bool has_text, bool alarms[STAPES__ALARMS]) {
    int64_t ref_words = stapes__reference_words(&alignment->counts);
    int64_t hyp_words = ref_words - alignment->counts.deletions + alignment->counts.insertions;
    alarms[STAPES__ALARM_EMPTY] = ref_words > 0 && !has_text;
    alarms[STAPES__ALARM_PUNCTUATION] = ref_words > 0 && has_text && hyp_words == 0;
    if (ref_words > 0 && hyp_words > 0) {
        const stapes__edit *first = &alignment->edits[0];
        const stapes__edit *last = &alignment->edits[alignment->n_edits - 1];
        alarms[STAPES__ALARM_HEAD] = first->type == STAPES__EDIT_DELETE;
        alarms[STAPES__ALARM_TAIL] = last->type == STAPES__EDIT_DELETE;
    }
    alarms[STAPES__ALARM_REPETITION] = repeats(hypothesis) && !repeats(reference);
}

stapes_status stapes__score_text(stapes__normalizer normalizer, const char *reference,
                                 const char *hypothesis, stapes__score *out, stapes_error *err) {
    stapes__buf ref = {0}, hyp = {0};
    stapes__alignment alignment = {0};
    memset(out, 0, sizeof *out);
    stapes_status status = stapes__normalize(normalizer, reference, &ref, err);
    if (status == STAPES_OK)
        status = stapes__normalize(normalizer, hypothesis, &hyp, err);
    if (status == STAPES_OK)
        status = stapes__align_words(ref.data, hyp.data, &alignment, err);
    if (status == STAPES_OK)
        status = stapes__align_characters(ref.data, hyp.data, &out->char_errors, &out->chars, err);
    if (status == STAPES_OK) {
        bool has_text = hypothesis[strspn(hypothesis, " \t\r\n")] != 0;
        out->words = alignment.counts;
        look_for_alarms(&alignment, ref.data, hyp.data, has_text, out->alarms);
    }
    stapes__alignment_free(&alignment);
    stapes__buf_free(&ref);
    stapes__buf_free(&hyp);
    return status;
}

stapes_status stapes__score_corpus(const stapes__score *scores, size_t n, size_t resamples,
                                   uint64_t seed, stapes__corpus_score *out, stapes_error *err) {
    memset(out, 0, sizeof *out);
    stapes__word_counts *counts = stapes__calloc(n, sizeof *counts);
    if (!counts)
        return stapes__fail_memory(err, "word counts");
    out->utterances = n;
    for (size_t i = 0; i < n; i++) {
        counts[i] = scores[i].words;
        stapes__word_counts_add(&out->words, &scores[i].words);
        out->char_errors += scores[i].char_errors;
        out->chars += scores[i].chars;
        for (int a = 0; a < STAPES__ALARMS; a++)
            out->alarms[a] += scores[i].alarms[a];
    }
    out->wer = out->low = out->high = stapes__word_error_rate(&out->words);
    stapes_status status = STAPES_OK;
    if (resamples > 0)
        status = stapes__bootstrap_wer(counts, n, resamples, seed, &out->low, &out->high, err);
    free(counts);
    return status;
}

bool stapes__alarm_raised(const stapes__corpus_score *score, stapes__alarm alarm) {
    bool strict = alarm == STAPES__ALARM_EMPTY || alarm == STAPES__ALARM_REPETITION;
    return score->alarms[alarm] > (strict ? 0 : score->utterances / 100);
}
