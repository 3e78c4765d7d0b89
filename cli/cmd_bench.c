/* stapes bench: how fast the stages are, by length of the audio and number of threads. */
#include "bench.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/bench.h"
#include "stapes/audio.h"

enum { RATE = 16000, MAX_ITEMS = 64, MAX_RUNS = 1000 };

static const double MAX_SECONDS = 6 * 3600.0;

typedef struct bench {
    cli *c;
    const bench_args *args;
    double lengths[MAX_ITEMS];
    int threads[MAX_ITEMS];
    size_t n_lengths, n_threads;
    float *samples; /* as long as the longest length so far */
    size_t n_samples;
    stapes_context *context;
    stapes_model *model;
    stapes_session *session;
    json_t *report;
    cli_progress *bar;
    int done;
} bench;

/* ---- options -------------------------------------------------------------------------------- */

static bool read_length(const char *word, void *out) {
    double seconds;
    if (!cli_parse_time(word, &seconds) || seconds < 0.1 || seconds > MAX_SECONDS)
        return false;
    *(double *)out = seconds;
    return true;
}

static bool read_threads(const char *word, void *out) {
    long count;
    if (!cli_parse_int(word, &count) || count < 1 || count > 1024)
        return false;
    *(int *)out = (int)count;
    return true;
}

/* A comma-separated list into out[MAX_ITEMS]; returns the exit code. */
static int read_list(cli *c, const char *option, const char *text, const char *what,
                     bool (*read)(const char *word, void *out), void *out, size_t size,
                     size_t *count) {
    *count = 0;
    for (const char *at = text;; at++) {
        char word[32];
        size_t length = strcspn(at, ",");
        if (length < sizeof word) {
            memcpy(word, at, length);
            word[length] = 0;
        }
        if (length >= sizeof word || *count == MAX_ITEMS ||
            !read(word, (char *)out + *count * size))
            return cli_usage(c, "--%s: '%s' is not a list of %s, separated by commas.", option,
                             text, what);
        (*count)++;
        at += length;
        if (!*at)
            return 0;
    }
}

static int read_options(bench *b) {
    cli *c = b->c;
    stapes__bench_host host;
    if (c->inputs.count > 0)
        return cli_usage(c, "'%s' is not understood: name a recording with --audio.",
                         c->inputs.items[0]);
    if (cli_given(c, "threads") && cli_given(c, "thread-counts"))
        return cli_usage(c, "--threads and --thread-counts cannot be used together.");
    int code = cli_engine_check(c);
    if (code == 0)
        code = read_list(c, "lengths", b->args->lengths, "lengths from 0.1 s to 6 hours",
                         read_length, b->lengths, sizeof b->lengths[0], &b->n_lengths);
    if (code || b->args->thread_counts) {
        return code
                   ? code
                   : read_list(c, "thread-counts", b->args->thread_counts, "numbers from 1 to 1024",
                               read_threads, b->threads, sizeof b->threads[0], &b->n_threads);
    }
    stapes__bench_describe_host(&host);
    b->threads[b->n_threads++] = c->engine.threads > 0 ? c->engine.threads : 1;
    if (c->engine.threads == 0 && host.cores > 1 && !b->args->interactive)
        b->threads[b->n_threads++] = host.cores;
    return 0;
}

/* ---- audio ---------------------------------------------------------------------------------- */

/* Reads up to `wanted` samples of the recording and repeats them where it is shorter. */
static int read_recording(bench *b, size_t wanted) {
    stapes_error err = {0};
    stapes_audio *audio = NULL;
    size_t have = 0, count = 1;
    stapes_status status = stapes_audio_open(&audio, b->args->audio, NULL, &err);
    while (status == STAPES_OK && have < wanted && count > 0) {
        status = stapes_audio_read(audio, b->samples + have, wanted - have, &count, &err);
        have += status == STAPES_OK ? count : 0;
    }
    stapes_audio_close(&audio);
    if (status != STAPES_OK)
        return cli_error(b->c, &err, b->args->audio);
    if (have == 0)
        return cli_fail(b->c, STAPES_E_AUDIO, NULL, "%s: there is no sound in it", b->args->audio);
    for (size_t i = have; i < wanted; i++)
        b->samples[i] = b->samples[i - have];
    return 0;
}

/* At least `seconds` of audio in b->samples. */
static int prepare_audio(bench *b, double seconds) {
    size_t wanted = (size_t)llround(seconds * RATE);
    if (wanted <= b->n_samples)
        return 0;
    float *grown = realloc(b->samples, wanted * sizeof *grown);
    if (!grown)
        return cli_fail(b->c, STAPES_E_MEMORY, NULL, "not enough memory for %.0f s of audio",
                        seconds);
    b->samples = grown;
    b->n_samples = wanted;
    if (b->args->audio)
        return read_recording(b, wanted);
    stapes__bench_speech(b->samples, wanted);
    return 0;
}

/* ---- runs ----------------------------------------------------------------------------------- */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void close_model(bench *b) {
    stapes_session_close(&b->session);
    stapes_model_close(&b->model);
    stapes_context_close(&b->context);
}

/* Opens the model for a number of threads; how long that took goes into the report. */
static int open_model(bench *b, int threads) {
    stapes_error err = {0};
    stapes_session_params params;
    stapes_model_info info;
    bench_load load = {.threads = threads};
    b->c->engine.threads = threads;
    double began = now();
    int code = cli_engine_open(b->c, &b->context, &b->model);
    load.seconds = now() - began;
    load.peak_bytes = stapes__bench_peak_rss();
    if (code)
        return code;
    stapes_session_params_default(&params);
    if (b->args->full_attention)
        params.attention = "full";
    if (stapes_session_open(&b->session, b->model, &params, &err) != STAPES_OK)
        return cli_error(b->c, &err, NULL);
    stapes_model_get_info(b->model, &info);
    if (!b->report)
        b->report = bench_head_json(b->c, b->args, &info);
    json_array_append_new(json_object_get(b->report, "loads"), bench_load_json(&load));
    return b->report ? 0 : cli_fail(b->c, STAPES_E_MEMORY, NULL, "not enough memory");
}

static int run_once(bench *b, double seconds, bench_row *row, double *times) {
    stapes_error err = {0};
    stapes_result *result = NULL;
    size_t count = (size_t)llround(seconds * RATE);
    if (stapes_transcribe(b->session, b->samples, count, RATE, &result, &err) != STAPES_OK)
        return cli_stopping(b->c) ? stapes_status_exit_code(STAPES_E_ABORTED)
                                  : cli_error(b->c, &err, NULL);
    const stapes_timing *t = &result->timing;
    times[BENCH_MEL] = t->mel;
    times[BENCH_ENCODE] = t->encode;
    times[BENCH_DECODE] = t->decode;
    times[BENCH_TOTAL] = t->total;
    row->windows = result->windows;
    row->tokens = result->n_tokens;
    stapes_result_free(result);
    cli_progress_update(b->bar, ++b->done,
                        (double)(b->n_lengths * b->n_threads) * (b->args->warmup + b->args->runs));
    return 0;
}

/* One length on the open model: warm-up, then the runs that count. */
static int measure(bench *b, int threads, double seconds, json_t **out) {
    static const int stages = BENCH_STAGES;
    double times[BENCH_STAGES], values[BENCH_STAGES][MAX_RUNS];
    bench_row row = {.threads = threads, .seconds = seconds, .runs = b->args->runs};
    int code = prepare_audio(b, seconds);
    for (int i = -b->args->warmup; i < b->args->runs && code == 0; i++) {
        code = run_once(b, seconds, &row, times);
        for (int k = 0; k < stages && i >= 0 && code == 0; k++)
            values[k][i] = times[k];
    }
    if (code)
        return code;
    for (int k = 0; k < stages; k++)
        stapes__bench_summary(values[k], (size_t)b->args->runs, &row.stages[k].median,
                              &row.stages[k].smallest);
    *out = bench_row_json(&row);
    return *out ? 0 : cli_fail(b->c, STAPES_E_MEMORY, NULL, "not enough memory");
}

static void abort_session(void *user) {
    stapes_session_abort(user);
}

static int measure_lengths(bench *b, int threads) {
    int code = open_model(b, threads);
    if (code == 0)
        cli_on_stop(b->c, abort_session, b->session);
    for (size_t i = 0; i < b->n_lengths && code == 0; i++) {
        json_t *row = NULL;
        code = measure(b, threads, b->lengths[i], &row);
        json_array_append_new(json_object_get(b->report, "rows"), row);
    }
    cli_on_stop(b->c, NULL, NULL);
    close_model(b);
    return code;
}

static int measure_all(bench *b) {
    int code = 0;
    b->bar = cli_progress_open(b->c, CLI_UNIT_ITEMS, "runs");
    for (size_t i = 0; i < b->n_threads && code == 0; i++)
        code = measure_lengths(b, b->threads[i]);
    cli_progress_close(b->bar);
    b->bar = NULL;
    if (code)
        return code;
    json_object_set_new(b->report, "peak_rss_bytes", json_integer(stapes__bench_peak_rss()));
    code = bench_print(b->c, b->report);
    b->report = NULL;
    return code;
}

/* The head as a line of JSON; then for each line of standard input, a length, a line with its
 * row. Lets another program take turns with this one. */
static int measure_on_request(bench *b) {
    char line[64];
    cli_guard_stdin(b->c);
    int code = open_model(b, b->threads[0]);
    if (code == 0) {
        cli_on_stop(b->c, abort_session, b->session);
        code = bench_print_line(b->c, json_incref(b->report));
    }
    while (code == 0 && !cli_stopping(b->c) && fgets(line, sizeof line, stdin)) {
        double seconds;
        json_t *row = NULL;
        line[strcspn(line, "\r\n")] = 0;
        if (!read_length(line, &seconds))
            code = cli_usage(b->c, "'%s' is not a length from 0.1 s to 6 hours.", line);
        else
            code = measure(b, b->threads[0], seconds, &row);
        if (code == 0)
            code = bench_print_line(b->c, row);
    }
    cli_on_stop(b->c, NULL, NULL);
    close_model(b);
    return code;
}

static int run_bench(cli *c, void *raw) {
    bench b = {.c = c, .args = raw};
    int code = read_options(&b);
    if (code == 0 && b.args->interactive && b.n_threads != 1)
        code = cli_usage(c, "--interactive measures on one number of threads: use --threads.");
    if (code == 0)
        code = b.args->interactive ? measure_on_request(&b) : measure_all(&b);
    json_decref(b.report);
    free(b.samples);
    return code;
}

/* ---- the command ---------------------------------------------------------------------------- */

#define AT(field) offsetof(bench_args, field)

static void defaults(void *raw) {
    bench_args *args = raw;
    args->lengths = "5,10,30,60";
    args->runs = 5;
    args->warmup = 1;
}

static const cli_option bench_options[] = {
    {.help = "Measurement"},
    {.name = "lengths",
     .type = CLI_TEXT,
     .offset = AT(lengths),
     .argument = "LIST",
     .fallback = "5,10,30,60",
     .help = "lengths of the audio in seconds (or 1:30), separated by commas"},
    {.name = "thread-counts",
     .type = CLI_TEXT,
     .offset = AT(thread_counts),
     .argument = "LIST",
     .fallback = "1 and all usable cores",
     .help = "numbers of threads, separated by commas; --threads N is the same for one"},
    {.name = "runs",
     .letter = 'n',
     .type = CLI_INT,
     .offset = AT(runs),
     .argument = "N",
     .min = 1,
     .max = MAX_RUNS,
     .fallback = "5",
     .help = "measured runs of each"},
    {.name = "warmup",
     .type = CLI_INT,
     .offset = AT(warmup),
     .argument = "N",
     .min = 0,
     .max = MAX_RUNS,
     .fallback = "1",
     .help = "runs of each before that, not counted"},
    {.name = "audio",
     .type = CLI_TEXT,
     .offset = AT(audio),
     .argument = "FILE",
     .fallback = "a generated signal like speech",
     .help = "a recording, repeated where it is too short; decoding depends on what is said"},
    {.name = "full-attention",
     .type = CLI_FLAG,
     .offset = AT(full_attention),
     .help = "one encoder call for each length, however long"},
    {.name = "interactive",
     .type = CLI_FLAG,
     .offset = AT(interactive),
     .help = "read lengths from standard input, one a line, and answer each with a line of JSON, "
             "so that another program can take turns"},
};

static const cli_example bench_examples[] = {
    {"stapes bench", "the embedded model, on 1 thread and on all cores"},
    {"stapes bench -m v3 --lengths 10,30 --thread-counts 1,2,4 --json", "for a script"},
    {"stapes bench --audio talk.mp3 --cpu avx2 -t 1", "one recording, no AVX-512"},
};

const cli_command cli_command_bench = {
    .name = "bench",
    .summary = "measure speed and memory",
    .usage = "[options]",
    .description =
        "Transcribes audio of several lengths on several numbers of threads and shows the seconds "
        "of each stage (log-mel features, encoder, decoder, all together): the median and the "
        "smallest of the runs. Speed is in multiples of real time, rtf is its reciprocal. Also "
        "shown: the time to open the model, and the largest memory, which counts mapped weights "
        "as far as they were read.",
    .groups = CLI_GROUP_ENGINE,
    .options = bench_options,
    .n_options = CLI_COUNT_OF(bench_options),
    .examples = bench_examples,
    .n_examples = CLI_COUNT_OF(bench_examples),
    .args_size = sizeof(bench_args),
    .defaults = defaults,
    .run = run_bench,
};
