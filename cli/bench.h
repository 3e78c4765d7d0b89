/* Parts of `stapes bench`: options -> runs -> report. */
#ifndef STAPES_CLI_BENCH_H
#define STAPES_CLI_BENCH_H

#include <jansson.h>

#include "cli.h"

/* What the options write into. */
typedef struct bench_args {
    const char *lengths, *thread_counts, *audio;
    int runs, warmup;
    bool full_attention, interactive;
} bench_args;

/* Median and smallest of the runs, in seconds. */
typedef struct bench_stage {
    double median, smallest;
} bench_stage;

enum { BENCH_MEL, BENCH_ENCODE, BENCH_DECODE, BENCH_TOTAL, BENCH_STAGES };

/* One length on one number of threads. */
typedef struct bench_row {
    int threads;
    double seconds;
    int runs;
    int32_t windows; /* encoder calls */
    size_t tokens;
    bench_stage stages[BENCH_STAGES];
} bench_row;

/* One opening of the model. peak_bytes: the largest resident set of the program up to here. */
typedef struct bench_load {
    int threads;
    double seconds;
    int64_t peak_bytes;
} bench_load;

/* JSON of the parts; NULL when memory is short. */
json_t *bench_row_json(const bench_row *row);
json_t *bench_load_json(const bench_load *load);
/* The head of the report: version, machine, model, settings; "loads" and "rows" are empty. */
json_t *bench_head_json(const cli *c, const bench_args *args, const stapes_model_info *info);

/* Prints the report: the tree itself with --json, otherwise a table made from it. Takes the tree.
 * Returns the exit code. */
int bench_print(cli *c, json_t *report);
/* Prints one row on one line and flushes, for --interactive. Takes the tree. */
int bench_print_line(cli *c, json_t *row);

#endif
