/* What `stapes eval` gathers and how it is shown. */
#ifndef STAPES_CLI_CMD_EVAL_H
#define STAPES_CLI_CMD_EVAL_H

#include <stdio.h>

#include "cli.h"
#include "eval/manifest.h"
#include "eval/score.h"

/* One clip's outcome. */
typedef struct eval_clip {
    const stapes__manifest_row *row;
    stapes_status status;
    char *text;          /* hypothesis, owned; NULL when the clip failed */
    stapes__score score; /* all zero when it failed */
    double seconds;      /* of audio */
} eval_clip;

typedef struct eval_summary {
    const char *manifest;
    stapes_model_info model;
    stapes__normalizer normalizer;
    stapes__corpus_score score;
    size_t clips, failed; /* clips tried, of which failed */
    double audio_seconds, wall_seconds, load_seconds;
    bool interrupted;
} eval_summary;

/* The per-utterance table: one header line, then one line per clip. ids may be NULL where the
 * clip failed. with_tokens adds ids, frames and durations, separated by spaces. Errors of the
 * stream are left to ferror(). */
void eval_write_header(FILE *file, bool with_tokens);
void eval_write_clip(FILE *file, const eval_clip *clip, const stapes_result *result,
                     bool with_tokens);

/* The totals, for people or (json) as one object. */
void eval_print_summary(cli *c, const eval_summary *summary);
void eval_print_json(cli *c, const eval_summary *summary);

#endif
