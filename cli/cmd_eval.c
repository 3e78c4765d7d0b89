/* stapes eval: transcribes the clips of a manifest and scores the text.
 *
 * Outline: the wanted rows are taken in groups of --batch; a group's clips are read whole, go
 * through the encoder together (the same text as one by one), and are scored at once. A clip that
 * cannot be read or recognised is reported and left out of the rates. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmd_eval.h"
#include "stapes/audio.h"

typedef struct eval_args {
    const char *manifest, *filter, *normalizer, *out, *decoder, *language;
    const char *attention, *window;
    double full_seconds;
    int limit, batch, bootstrap;
    bool tokens;
} eval_args;

typedef struct evaluation {
    cli *c;
    const eval_args *args;
    stapes__normalizer normalizer;
    stapes__manifest manifest;
    eval_clip *clips;
    size_t n_clips, n_done, n_failed;
    FILE *table;
    stapes_context *context;
    stapes_model *model;
    double audio_seconds, wall_seconds, load_seconds, expected_seconds;
    /* one of each per place of a batch */
    size_t batch;
    stapes_session **sessions;
    float **samples;
    size_t *counts;
    stapes_result **results;
    stapes_status *statuses;
} evaluation;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* ---- set-up ---- */

static int fail_memory(cli *c) {
    return cli_fail(c, STAPES_E_MEMORY, NULL, "out of memory");
}

/* Chooses the rows by --filter and --limit. */
static int choose_clips(evaluation *e) {
    const eval_args *args = e->args;
    stapes_error error;
    if (stapes__manifest_open(&e->manifest, args->manifest, &error) != STAPES_OK)
        return cli_error(e->c, &error, args->manifest);
    if (!e->manifest.has_text)
        return cli_fail(e->c, STAPES_E_UNSUPPORTED, "add what is said in each clip as column text",
                        "%s: line 1: no column \"text\"", args->manifest);
    e->clips = calloc(e->manifest.n_rows + 1, sizeof *e->clips);
    if (!e->clips)
        return fail_memory(e->c);
    size_t prefix = args->filter ? strlen(args->filter) : 0;
    for (size_t i = 0; i < e->manifest.n_rows; i++) {
        const stapes__manifest_row *row = &e->manifest.rows[i];
        if (args->limit && e->n_clips == (size_t)args->limit)
            break;
        if (prefix && strncmp(row->path, args->filter, prefix) != 0)
            continue;
        e->expected_seconds += row->seconds;
        e->clips[e->n_clips++].row = row;
    }
    if (e->n_clips == 0)
        return cli_fail(e->c, STAPES_E_USAGE, NULL,
                        prefix ? "%s: no path begins with '%s'" : "%s: no clips", args->manifest,
                        args->filter);
    return 0;
}

static int open_model(evaluation *e) {
    double start = now();
    int code = cli_engine_open(e->c, &e->context, &e->model);
    e->load_seconds = now() - start;
    return code;
}

static int open_sessions(evaluation *e) {
    e->batch = (size_t)e->args->batch < e->n_clips ? (size_t)e->args->batch : e->n_clips;
    e->sessions = calloc(e->batch, sizeof(stapes_session *));
    e->samples = calloc(e->batch, sizeof(float *));
    e->counts = calloc(e->batch, sizeof *e->counts);
    e->results = calloc(e->batch, sizeof(stapes_result *));
    e->statuses = calloc(e->batch, sizeof *e->statuses);
    if (!e->sessions || !e->samples || !e->counts || !e->results || !e->statuses)
        return fail_memory(e->c);
    stapes_session_params params;
    stapes_session_params_default(&params);
    if (e->args->decoder)
        params.decoder = e->args->decoder;
    if (e->args->language)
        params.language = e->args->language;
    if (e->args->attention)
        params.attention = e->args->attention;
    params.full_seconds = e->args->full_seconds;
    if (e->args->window) {
        cli_parse_window(e->args->window, &params.window_left, &params.window_chunk,
                         &params.window_right); /* checked in run */
        if (!e->args->attention)
            params.attention = "window";
    }
    for (size_t i = 0; i < e->batch; i++) {
        stapes_error error;
        if (stapes_session_open(&e->sessions[i], e->model, &params, &error) != STAPES_OK)
            return cli_error(e->c, &error, NULL);
    }
    return 0;
}

static int open_table(evaluation *e) {
    if (!e->args->out)
        return 0;
    e->table = fopen(e->args->out, "w");
    if (!e->table)
        return cli_fail(e->c, errno == ENOSPC ? STAPES_E_DISK_FULL : STAPES_E_IO, NULL,
                        "cannot write %s: %s", e->args->out, strerror(errno));
    eval_write_header(e->table, e->args->tokens);
    return 0;
}

static void close_all(evaluation *e) {
    for (size_t i = 0; e->sessions && i < e->batch; i++)
        stapes_session_close(&e->sessions[i]);
    for (size_t i = 0; e->samples && i < e->batch; i++)
        free(e->samples[i]);
    for (size_t i = 0; i < e->n_clips; i++)
        free(e->clips[i].text);
    free(e->sessions);
    free(e->samples);
    free(e->counts);
    free(e->results);
    free(e->statuses);
    stapes_model_close(&e->model);
    stapes_context_close(&e->context);
    free(e->clips);
    stapes__manifest_free(&e->manifest);
}

/* ---- one group of clips ---- */

static stapes_status no_memory(stapes_error *error) {
    *error = (stapes_error){.code = STAPES_E_MEMORY, .message = "out of memory for a clip"};
    return STAPES_E_MEMORY;
}

/* Reads a whole file as mono 16 kHz into *samples, which is kept for the next clip. */
static stapes_status read_clip(const char *path, float **samples, size_t *count,
                               stapes_error *error) {
    stapes_audio *audio = NULL;
    stapes_status status = stapes_audio_open(&audio, path, NULL, error);
    size_t capacity = 0, got = 1;
    *count = 0;
    while (status == STAPES_OK && got > 0) {
        if (*count == capacity) {
            capacity = capacity ? 2 * capacity : (size_t)16000 * 30;
            float *larger = realloc(*samples, capacity * sizeof *larger);
            if (!larger) {
                status = no_memory(error);
                break;
            }
            *samples = larger;
        }
        status = stapes_audio_read(audio, *samples + *count, capacity - *count, &got, error);
        *count += status == STAPES_OK ? got : 0;
    }
    stapes_audio_close(&audio);
    return status;
}

static void fail_clip(evaluation *e, eval_clip *clip, const stapes_error *error) {
    clip->status = error->code;
    e->n_failed++;
    cli_progress_clear(e->c->bar);
    cli_error(e->c, error, clip->row->path);
}

static stapes_status load_clip(evaluation *e, size_t place, eval_clip *clip, stapes_error *error) {
    char *path = stapes__manifest_file(&e->manifest, clip->row);
    if (!path)
        return no_memory(error);
    stapes_status status = read_clip(path, &e->samples[place], &e->counts[place], error);
    free(path);
    clip->seconds = (double)e->counts[place] / 16000;
    return status;
}

/* Reads the clips of a group; those that fail are reported. Fills members[] with the others, which
 * take the first places in order; returns how many. */
static size_t read_group(evaluation *e, size_t first, size_t count, eval_clip **members) {
    size_t n = 0;
    for (size_t i = first; i < first + count && !cli_stopping(e->c); i++) {
        stapes_error error;
        if (load_clip(e, n, &e->clips[i], &error) == STAPES_OK)
            members[n++] = &e->clips[i];
        else
            fail_clip(e, &e->clips[i], &error);
    }
    return n;
}

/* Recognises n clips in the first n places. A batch tells no reason for a single failure, so a clip
 * that failed in it is tried again alone. */
static void recognise_group(evaluation *e, eval_clip **members, size_t n) {
    stapes_error error;
    memset(e->results, 0, e->batch * sizeof(stapes_result *));
    if (n > 1)
        stapes_transcribe_batch(e->sessions, n, (const float *const *)e->samples, e->counts,
                                e->results, e->statuses, &error);
    for (size_t i = 0; i < n; i++) {
        if (cli_stopping(e->c) || (n > 1 && e->results[i]))
            continue;
        e->statuses[i] = stapes_transcribe(e->sessions[i], e->samples[i], e->counts[i], 16000,
                                           &e->results[i], &error);
        if (e->statuses[i] != STAPES_OK && e->statuses[i] != STAPES_E_ABORTED)
            fail_clip(e, members[i], &error);
    }
}

static int score_clip(evaluation *e, eval_clip *clip, const stapes_result *result) {
    stapes_error error;
    clip->text = strdup(result->text);
    if (!clip->text)
        return fail_memory(e->c);
    if (stapes__score_text(e->normalizer, clip->row->text, clip->text, &clip->score, &error) !=
        STAPES_OK)
        return cli_error(e->c, &error, clip->row->path);
    e->audio_seconds += clip->seconds;
    return 0;
}

/* Writes the table's lines of a group in the manifest's order; failed clips have a line too. */
static int write_group(evaluation *e, size_t first, size_t count, eval_clip *const *members,
                       size_t n) {
    for (size_t i = first, k = 0; e->table && i < first + count; i++) {
        const stapes_result *result = NULL;
        if (k < n && members[k] == &e->clips[i])
            result = e->results[k++];
        eval_write_clip(e->table, &e->clips[i], result, e->args->tokens);
    }
    if (e->table && (fflush(e->table) != 0 || ferror(e->table)))
        return cli_fail(e->c, errno == ENOSPC ? STAPES_E_DISK_FULL : STAPES_E_IO, NULL,
                        "cannot write %s: %s", e->args->out, strerror(errno));
    return 0;
}

static int run_group(evaluation *e, size_t first, size_t count, eval_clip **members) {
    double start = now();
    int code = 0;
    size_t n = read_group(e, first, count, members);
    recognise_group(e, members, n);
    e->wall_seconds += now() - start;
    for (size_t i = 0; i < n && code == 0; i++)
        if (e->results[i])
            code = score_clip(e, members[i], e->results[i]);
    if (!cli_stopping(e->c)) {
        if (code == 0)
            code = write_group(e, first, count, members, n);
        e->n_done = first + count;
    }
    for (size_t i = 0; i < n; i++)
        stapes_result_free(e->results[i]);
    return code;
}

static void on_stop(void *user) {
    const evaluation *e = user;
    for (size_t i = 0; i < e->batch; i++)
        stapes_session_abort(e->sessions[i]);
}

static int run_groups(evaluation *e) {
    eval_clip **members = calloc(e->batch, sizeof(eval_clip *));
    if (!members)
        return fail_memory(e->c);
    bool timed = e->expected_seconds > 0;
    cli_progress *bar = cli_progress_open(e->c, timed ? CLI_UNIT_AUDIO : CLI_UNIT_ITEMS, "eval");
    cli_on_stop(e->c, on_stop, e);
    int code = 0;
    double passed = 0;
    for (size_t first = 0; first < e->n_clips && code == 0 && !cli_stopping(e->c);) {
        size_t left = e->n_clips - first, count = left < e->batch ? left : e->batch;
        code = run_group(e, first, count, members);
        for (size_t i = first; i < first + count; i++)
            passed += e->clips[i].row->seconds;
        first += count;
        cli_progress_update(bar, timed ? passed : (double)first,
                            timed ? e->expected_seconds : (double)e->n_clips);
    }
    cli_on_stop(e->c, NULL, NULL);
    cli_progress_close(bar);
    free(members);
    return code;
}

/* ---- totals ---- */

/* Scores of the clips that were recognised, in one array; NULL when memory is short. */
static stapes__score *gather_scores(const evaluation *e, size_t *count) {
    stapes__score *scores = calloc(e->n_done + 1, sizeof *scores);
    *count = 0;
    for (size_t i = 0; scores && i < e->n_done; i++)
        if (e->clips[i].status == STAPES_OK && e->clips[i].text)
            scores[(*count)++] = e->clips[i].score;
    return scores;
}

static void warn_of_alarms(cli *c, const stapes__corpus_score *score) {
    static const char *const texts[STAPES__ALARMS] = {
        [STAPES__ALARM_EMPTY] = "gave no text although their references have words",
        [STAPES__ALARM_PUNCTUATION] = "gave text without a word in it",
        [STAPES__ALARM_HEAD] = "lost the first word",
        [STAPES__ALARM_TAIL] = "lost the last word",
        [STAPES__ALARM_REPETITION] = "repeat words four times or more"};
    for (int a = 0; a < STAPES__ALARMS; a++)
        if (stapes__alarm_raised(score, (stapes__alarm)a))
            cli_warn(c, "%zu of %zu clips %s", score->alarms[a], score->utterances, texts[a]);
}

static int report(evaluation *e) {
    cli *c = e->c;
    eval_summary summary = {.manifest = e->args->manifest,
                            .normalizer = e->normalizer,
                            .clips = e->n_done,
                            .failed = e->n_failed,
                            .audio_seconds = e->audio_seconds,
                            .wall_seconds = e->wall_seconds,
                            .load_seconds = e->load_seconds,
                            .interrupted = cli_stopping(c)};
    stapes_model_get_info(e->model, &summary.model);
    size_t count;
    stapes_error error;
    stapes__score *scores = gather_scores(e, &count);
    if (!scores)
        return fail_memory(c);
    stapes_status status =
        stapes__score_corpus(scores, count, (size_t)e->args->bootstrap, 1, &summary.score, &error);
    free(scores);
    if (status != STAPES_OK)
        return cli_error(c, &error, NULL);
    if (c->common.json)
        eval_print_json(c, &summary);
    else
        eval_print_summary(c, &summary);
    warn_of_alarms(c, &summary.score);
    if (summary.interrupted)
        return stapes_status_exit_code(STAPES_E_ABORTED);
    return e->n_failed ? stapes_status_exit_code(STAPES_E_PARTIAL) : 0;
}

static int run(cli *c, void *args) {
    evaluation e = {.c = c, .args = args};
    if (!e.args->manifest)
        return cli_usage(c, "name a manifest: --manifest FILE");
    if (c->inputs.count)
        return cli_usage(c, "'%s' is one word too many", c->inputs.items[0]);
    if (!stapes__normalizer_from_name(e.args->normalizer, &e.normalizer))
        return cli_usage(c, "there is no normaliser '%s'", e.args->normalizer);
    double parts[3];
    if (e.args->window && !cli_parse_window(e.args->window, &parts[0], &parts[1], &parts[2]))
        return cli_usage(c, "--window: '%s' is not of the form LEFT-CHUNK-RIGHT, as in 10-20-5.",
                         e.args->window);
    int code = cli_engine_check(c);
    if (code == 0)
        code = choose_clips(&e);
    if (code == 0)
        code = open_model(&e);
    if (code == 0)
        code = open_sessions(&e);
    if (code == 0)
        code = open_table(&e);
    if (code == 0)
        code = run_groups(&e);
    if (e.table && fclose(e.table) != 0 && code == 0)
        code = cli_fail(c, errno == ENOSPC ? STAPES_E_DISK_FULL : STAPES_E_IO, NULL,
                        "cannot write %s: %s", e.args->out, strerror(errno));
    if (code == 0)
        code = report(&e);
    close_all(&e);
    return code;
}

/* ---- command line ---- */

static void defaults(void *args) {
    eval_args *e = args;
    e->normalizer = "whisper";
    e->batch = 1;
    e->bootstrap = 1000;
}

static const cli_option options[] = {
    {.name = "manifest",
     .type = CLI_TEXT,
     .offset = offsetof(eval_args, manifest),
     .argument = "FILE",
     .help = "tab-separated table with the columns path and text, maybe seconds and sha256; paths "
             "are relative to its folder"},
    {.name = "filter",
     .type = CLI_TEXT,
     .offset = offsetof(eval_args, filter),
     .argument = "PREFIX",
     .help = "only clips whose path begins with this"},
    {.name = "limit",
     .type = CLI_INT,
     .offset = offsetof(eval_args, limit),
     .argument = "N",
     .min = 0,
     .max = 1e9,
     .fallback = "all",
     .help = "only the first N clips"},
    {.name = "normalizer",
     .type = CLI_CHOICE,
     .offset = offsetof(eval_args, normalizer),
     .argument = "NAME",
     .choices = "whisper basic plain none",
     .fallback = "whisper",
     .help = "what is levelled before words are compared: whisper = Whisper's English rules "
             "(numbers, contractions, spelling), basic = its rules for all languages, plain = "
             "case and punctuation, none = nothing",
     .aliases = "--normaliser"},
    {.name = "batch",
     .type = CLI_INT,
     .offset = offsetof(eval_args, batch),
     .argument = "N",
     .min = 1,
     .max = 1024,
     .fallback = "1",
     .help = "clips that are computed together; the text does not depend on it"},
    {.name = "decoder",
     .type = CLI_CHOICE,
     .offset = offsetof(eval_args, decoder),
     .argument = "NAME",
     .choices = "auto tdt rnnt ctc",
     .fallback = "auto",
     .help = "which head of a hybrid model decodes"},
    {.name = "language",
     .letter = 'l',
     .type = CLI_TEXT,
     .offset = offsetof(eval_args, language),
     .argument = "CODE",
     .fallback = "auto",
     .help = "language spoken, where the model knows several"},
    {.name = "attention",
     .type = CLI_TEXT,
     .offset = offsetof(eval_args, attention),
     .argument = "MODE",
     .fallback = "auto",
     .help = "auto (full up to --full-seconds, then windows), full, window, or band:LEFT,RIGHT in "
             "frames of 80 ms"},
    {.name = "full-seconds",
     .type = CLI_TIME,
     .offset = offsetof(eval_args, full_seconds),
     .argument = "TIME",
     .fallback = "the model's",
     .help = "longest audio that is recognised in one piece"},
    {.name = "window",
     .type = CLI_TEXT,
     .offset = offsetof(eval_args, window),
     .argument = "L-C-R",
     .help = "window of long audio in seconds: left context, chunk, right context, as in 10-20-5"},
    {.name = "out",
     .letter = 'o',
     .type = CLI_TEXT,
     .offset = offsetof(eval_args, out),
     .argument = "FILE",
     .help = "write one line per clip (tab-separated)"},
    {.name = "tokens",
     .type = CLI_FLAG,
     .offset = offsetof(eval_args, tokens),
     .help = "add token ids, frames and durations to the lines of --out"},
    {.name = "bootstrap",
     .type = CLI_INT,
     .offset = offsetof(eval_args, bootstrap),
     .argument = "N",
     .min = 0,
     .max = 1e6,
     .fallback = "1000",
     .help = "resamples of the clips for the interval of the WER; 0 = no interval"},
};

static const cli_example examples[] = {
    {"stapes eval --manifest data/manifest.tsv", "word error rate and speed on all clips"},
    {"stapes eval --manifest data/manifest.tsv --filter librispeech/ --limit 100 --out clips.tsv",
     "a part of them, with one line per clip"},
    {"stapes eval --manifest data/manifest.tsv -m parakeet-tdt-0.6b-v3 --json", "for a script"},
};

const cli_command cli_command_eval = {
    .name = "eval",
    .summary = "measure the word error rate on recordings with known text",
    .usage = "[options] --manifest FILE",
    .description =
        "Transcribes every clip of a manifest and compares the text with the reference: word error "
        "rate with a 95 % interval, kinds of error, empty results, speed.\n\n"
        "Clips that cannot be read are reported and left out of the rates (exit code 5). A warning "
        "is printed when clips give no text, lose their first or last word, or repeat themselves.",
    .groups = CLI_GROUP_ENGINE,
    .options = options,
    .n_options = CLI_COUNT_OF(options),
    .examples = examples,
    .n_examples = CLI_COUNT_OF(examples),
    .args_size = sizeof(eval_args),
    .defaults = defaults,
    .run = run,
};
