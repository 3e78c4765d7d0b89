/* What `stapes eval` prints: the per-utterance table and the totals. */
#include <string.h>

#include "cmd_eval.h"

void eval_write_header(FILE *file, bool with_tokens) {
    fputs("path\tseconds\twords\thits\tsubstitutions\tdeletions\tinsertions\twer\terror\treference"
          "\thypothesis",
          file);
    fputs(with_tokens ? "\tids\tframes\tdurations\n" : "\n", file);
}

/* A field must not end early: tabs and line ends become spaces. */
static void put_field(FILE *file, const char *text) {
    for (; *text; text++)
        fputc(strchr("\t\r\n", *text) ? ' ' : *text, file);
}

static void put_tokens(FILE *file, const stapes_result *result) {
    for (int column = 0; column < 3; column++) {
        fputc('\t', file);
        for (size_t i = 0; result && i < result->n_tokens; i++) {
            const stapes_token *token = &result->tokens[i];
            const int32_t values[] = {token->id, token->frame, token->duration};
            fprintf(file, i ? " %d" : "%d", (int)values[column]);
        }
    }
}

void eval_write_clip(FILE *file, const eval_clip *clip, const stapes_result *result,
                     bool with_tokens) {
    const stapes__word_counts *words = &clip->score.words;
    put_field(file, clip->row->path);
    fprintf(file, "\t%.3f", clip->seconds);
    fprintf(file, "\t%lld\t%lld\t%lld\t%lld\t%lld", (long long)stapes__reference_words(words),
            (long long)words->hits, (long long)words->substitutions, (long long)words->deletions,
            (long long)words->insertions);
    fprintf(file, "\t%.4f\t", stapes__word_error_rate(words));
    put_field(file, clip->status == STAPES_OK ? "" : stapes_status_name(clip->status));
    fputc('\t', file);
    put_field(file, clip->row->text);
    fputc('\t', file);
    put_field(file, clip->text ? clip->text : "");
    if (with_tokens)
        put_tokens(file, result);
    fputc('\n', file);
}

static double share(int64_t part, int64_t whole) {
    return whole ? (double)part / (double)whole : 0;
}

static double times_real(const eval_summary *s) {
    return s->wall_seconds > 0 ? s->audio_seconds / s->wall_seconds : 0;
}

static double real_time_factor(const eval_summary *s) {
    return s->audio_seconds > 0 ? s->wall_seconds / s->audio_seconds : 0;
}

void eval_print_summary(cli *c, const eval_summary *s) {
    const stapes__corpus_score *score = &s->score;
    const stapes__word_counts *words = &score->words;
    int64_t total = stapes__reference_words(words);
    char clock[32];
    cli_printf(c, "clips          %zu", s->clips);
    cli_printf(c, s->failed ? ", %zu failed\n" : "\n", s->failed);
    cli_printf(c, "audio          %s\n", cli_clock(s->audio_seconds, clock, sizeof clock));
    cli_printf(c, "WER            %.2f %%  (95 %% interval %.2f to %.2f)\n", 100 * score->wer,
               100 * score->low, 100 * score->high);
    const struct {
        const char *name;
        int64_t count;
    } rows[] = {{"substitutions", words->substitutions},
                {"deletions", words->deletions},
                {"insertions", words->insertions}};
    for (size_t i = 0; i < CLI_COUNT_OF(rows); i++)
        cli_printf(c, "  %-13s %lld  (%.2f %%)\n", rows[i].name, (long long)rows[i].count,
                   100 * share(rows[i].count, total));
    cli_printf(c, "words          %lld\n", (long long)total);
    cli_printf(c, "CER            %.2f %%\n", 100 * share(score->char_errors, score->chars));
    cli_printf(c, "empty          %zu\n", score->alarms[STAPES__ALARM_EMPTY]);
    for (int a = STAPES__ALARM_PUNCTUATION; a < STAPES__ALARMS; a++)
        if (stapes__alarm_raised(score, (stapes__alarm)a))
            cli_printf(c, "%-14s %zu\n", stapes__alarm_name((stapes__alarm)a), score->alarms[a]);
    cli_printf(c, "speed          %.1fx real time (RTF %.4f), %.1f s after %.2f s of loading\n",
               times_real(s), real_time_factor(s), s->wall_seconds, s->load_seconds);
    cli_printf(c, "model          %s (%s, %s, %s, %d threads)\n", s->model.name,
               s->model.architecture, s->model.precision, s->model.isa, (int)s->model.threads);
    cli_printf(c, "normaliser     %s\n", stapes__normalizer_name(s->normalizer));
}

static void json_text(cli *c, const char *name, const char *text, const char *after) {
    cli_printf(c, "\"%s\":\"", name);
    cli_json_escape(text ? text : "", cli_write, c);
    cli_printf(c, "\"%s", after);
}

static void json_scores(cli *c, const stapes__corpus_score *score) {
    const stapes__word_counts *words = &score->words;
    cli_printf(c,
               "\"words\":%lld,\"hits\":%lld,\"substitutions\":%lld,\"deletions\":%lld,"
               "\"insertions\":%lld,",
               (long long)stapes__reference_words(words), (long long)words->hits,
               (long long)words->substitutions, (long long)words->deletions,
               (long long)words->insertions);
    cli_printf(c, "\"wer\":%.9g,\"wer_low\":%.9g,\"wer_high\":%.9g,", score->wer, score->low,
               score->high);
    cli_printf(c, "\"mer\":%.9g,\"wil\":%.9g,\"cer\":%.9g,", stapes__match_error_rate(words),
               stapes__word_information_lost(words), share(score->char_errors, score->chars));
    for (int a = 0; a < STAPES__ALARMS; a++)
        cli_printf(c, "\"%s\":%zu,", stapes__alarm_name((stapes__alarm)a), score->alarms[a]);
    cli_printf(c, "\"alarms\":[");
    const char *comma = "";
    for (int a = 0; a < STAPES__ALARMS; a++)
        if (stapes__alarm_raised(score, (stapes__alarm)a)) {
            cli_printf(c, "%s\"%s\"", comma, stapes__alarm_name((stapes__alarm)a));
            comma = ",";
        }
    cli_printf(c, "],");
}

void eval_print_json(cli *c, const eval_summary *s) {
    cli_printf(c, "{");
    json_text(c, "manifest", s->manifest, ",");
    json_text(c, "normalizer", stapes__normalizer_name(s->normalizer), ",");
    cli_printf(c, "\"model\":{");
    json_text(c, "name", s->model.name, ",");
    json_text(c, "architecture", s->model.architecture, ",");
    json_text(c, "precision", s->model.precision, ",");
    json_text(c, "isa", s->model.isa, ",");
    cli_printf(c, "\"threads\":%d},", (int)s->model.threads);
    cli_printf(c, "\"clips\":%zu,\"failed\":%zu,\"interrupted\":%s,", s->clips, s->failed,
               s->interrupted ? "true" : "false");
    json_scores(c, &s->score);
    cli_printf(c,
               "\"audio_seconds\":%.3f,\"seconds\":%.3f,\"load_seconds\":%.3f,\"rtf\":%.6g,"
               "\"speed\":%.6g}\n",
               s->audio_seconds, s->wall_seconds, s->load_seconds, real_time_factor(s),
               times_real(s));
}
