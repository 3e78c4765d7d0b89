/* Parts of `stapes transcribe`: inputs -> sessions -> transcripts -> outputs. */
#ifndef STAPES_CLI_TRANSCRIBE_H
#define STAPES_CLI_TRANSCRIBE_H

#include <pthread.h>

#include "cli.h"
#include "stapes/audio.h"

/* Options of other engines that cannot have an effect with today's models. */
enum { TRANSCRIBE_FOREIGN = 48 };

/* What the options write into. */
typedef struct transcribe_args {
    cli_list files, formats;
    bool recursive, skip_existing;
    const char *output, *output_dir;
    const char *channel, *raw;
    double offset, duration;
    int rate, channels;
    const char *language, *decoder, *confidence, *attention, *window;
    int max_symbols;
    double full_seconds, segment_gap;
    bool nemo_text;
    bool words, paragraph, timestamps, timings;
    const char *words_word; /* openai's --word_timestamps True */
    int max_line, first_number;
    int jobs;
    union {
        const char *text;
        bool flag;
    } foreign[TRANSCRIBE_FOREIGN];
    /* made from the above by transcribe_check */
    int channel_index; /* STAPES_CHANNEL_MIX, a channel, or CHANNEL_SPLIT */
    double left, chunk, right;
} transcribe_args;

enum { CHANNEL_SPLIT = -2 };

/* What was recognised in one input. view is what the writers get: all channels merged, times on
 * the time line of the file. */
typedef struct transcript {
    stapes_result view;
    stapes_segment *labelled; /* view.segments with the channel in the text; NULL for one channel */
    stapes_result **parts;    /* one for each channel; own everything that view points to */
    size_t n_parts;
    void *blocks[8]; /* memory of a rebuilt view */
    size_t n_blocks;
    bool streamed; /* its text is on standard output already */
} transcript;

typedef struct input {
    char *path;         /* "-" = standard input */
    const char *inside; /* the part of path below the folder that was given */
    char *target;       /* output path without extension; NULL = standard output */
    bool direct;        /* target is a device or pipe: written as it is */
    stapes_error error; /* code STAPES_OK: none */
    transcript *result; /* NULL: nothing to write */
    bool done;
} input;

typedef struct inputs {
    input *items;
    size_t count, capacity;
} inputs;

/* ---- transcribe_main.c ---- */

int transcribe_run(cli *c, void *args);

/* ---- transcribe_check.c ---- */

/* Fills the derived fields and refuses what contradicts itself. Prints; returns the exit code. */
int transcribe_check(cli *c, transcribe_args *args, size_t n_inputs);
/* Refuses (or, with --lenient, warns about) options that have no effect with this model. */
int transcribe_check_model(cli *c, const transcribe_args *args, const stapes_model_info *info);

/* ---- transcribe_inputs.c ---- */

/* Expands the arguments: folders to the recordings in them, in stable order. What cannot be used
 * becomes an input with its error set. Returns STAPES_E_MEMORY or STAPES_OK. */
stapes_status transcribe_find_inputs(inputs *list, const cli_list *words, bool recursive);
/* Chooses every input's target from --output and --output-dir, each different. */
stapes_status transcribe_choose_targets(inputs *list, const transcribe_args *args);
void transcribe_free_inputs(inputs *list);

/* ---- transcribe_merge.c ---- */

/* Takes over the results of an input's channels (one, or all of a split in order) and makes the
 * view: segments merged by start time, times moved by `shift` seconds. NULL when memory is short
 * (the parts are freed then too). */
transcript *transcribe_merge(stapes_result **parts, size_t n_parts, double shift, bool split);
void transcribe_free_transcript(transcript **t);

/* ---- transcribe_outputs.c ---- */

/* What the writers are told, for one input. */
typedef struct writing {
    cli *c;
    const transcribe_args *args;
    const stapes_model_info *model;
} writing;

/* Whether finished segments may go to standard output while the rest is being recognised. */
bool transcribe_can_stream(const writing *w, const inputs *list);
/* Writes one finished segment to standard output as the txt format does. */
void transcribe_stream_segment(const writing *w, const stapes_segment *segment);
/* Writes an input's result in all formats. A file is written whole or not at all. */
stapes_status transcribe_write(const writing *w, const input *in, stapes_error *err);
/* Whether all output files of an input are there. */
bool transcribe_outputs_exist(const writing *w, const input *in);

/* ---- transcribe_run.c ---- */

/* Totals over all inputs. */
typedef struct totals {
    size_t done, failed;
    stapes_timing timing;
    double wall;
} totals;

/* Recognises and writes every input. Returns the first failure that concerns all of them (session
 * parameters); failures of single inputs are in the inputs and in sum->failed. */
stapes_status transcribe_all(const writing *w, stapes_model *model,
                             const stapes_session_params *params, inputs *list, totals *sum,
                             stapes_error *err);

#endif
