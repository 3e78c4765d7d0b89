/* stapes: what a recognition returns. Plain read-only structs, owned by the stapes_result that
 * they hang from; everything stays valid until stapes_result_free. Times are seconds on the time
 * line of the input audio. All strings are UTF-8. */
#ifndef STAPES_RESULT_H
#define STAPES_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stapes/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One emitted token. `frame` counts encoder frames (80 ms) from the start of the audio. */
typedef struct stapes_token {
    int32_t id;
    int32_t frame;
    int32_t duration;  /* predicted duration in frames (TDT); 1 for RNN-T and CTC */
    float logit;       /* raw score of the token where it was chosen */
    float confidence;  /* 0..1, the method named in stapes_session_params.confidence */
    double start, end; /* seconds */
    const char *piece; /* vocabulary piece, with U+2581 for the word mark */
} stapes_token;

typedef struct stapes_word {
    const char *text;
    double start, end;         /* after punctuation refinement and tail trimming */
    double raw_start, raw_end; /* as the model predicted them */
    float confidence;          /* minimum over the word's tokens */
    int32_t segment;           /* index into stapes_result.segments */
    int32_t first_token, n_tokens;
} stapes_word;

typedef struct stapes_segment {
    int32_t id; /* increases by one from 0 in one session */
    const char *text;
    double start, end;
    float confidence;     /* mean over the words */
    float avg_logprob;    /* mean log-probability of the tokens */
    float no_speech_prob; /* Whisper; 0 elsewhere */
    int32_t channel;      /* -1: mixed down */
    int32_t first_word, n_words;
    int32_t first_token, n_tokens;
} stapes_segment;

/* Something the caller should know but that did not stop the recognition. */
typedef struct stapes_warning {
    const char *code; /* stable name, for example "audio_clipped" */
    const char *message;
} stapes_warning;

/* Seconds spent, by stage. rtf = total / audio seconds. */
typedef struct stapes_timing {
    double load, read, mel, encode, decode, total;
    double audio;
} stapes_timing;

typedef struct stapes_result {
    const char *text;     /* the whole transcript, segments joined by a space */
    const char *language; /* ISO 639-1 code or "" when the model does not say */
    double duration;      /* seconds of audio heard */
    float peak;           /* largest absolute sample at 16 kHz */
    int64_t clipped;      /* samples with an absolute value of 1 or more */
    size_t n_tokens, n_words, n_segments, n_warnings;
    const stapes_token *tokens;
    const stapes_word *words;
    const stapes_segment *segments;
    const stapes_warning *warnings;
    stapes_timing timing;
    int32_t windows;       /* encoder calls; 1 = full attention over the whole audio */
    int32_t forced_blanks; /* frames advanced by the max-symbols guard */
} stapes_result;

struct stapes_model_info;

typedef struct stapes_write_params {
    size_t struct_size;
    bool words;           /* word-level cues in vtt and srt. Default false */
    bool paragraph;       /* txt: one paragraph instead of one line per segment. Default false */
    bool timestamps;      /* txt: "[start --> end]  text" lines. Default false */
    int32_t max_line;     /* srt, vtt: characters per line, 0 = unlimited. Default 0 */
    int32_t first_number; /* srt: number of the first cue; 0 counts as 1. Default 1 */
    const char *source;   /* file name for json and ctm. Default "" */
    const struct stapes_model_info *model; /* for json; may be NULL */
} stapes_write_params;

/* Receives the next bytes of a rendering; false stops with STAPES_E_IO. */
typedef bool (*stapes_write_fn)(void *user, const char *bytes, size_t count);

/* Renders a result as "txt", "json", "srt", "vtt", "tsv", "csv", "lrc", "ctm" or "jsonl"
 * (docs/formats.md). Pieces go to `write` in order. params may be NULL. UNSUPPORTED for an unknown
 * format. */
STAPES_API stapes_status stapes_result_write(const stapes_result *result, const char *format,
                                             const stapes_write_params *params,
                                             stapes_write_fn write, void *user,
                                             stapes_error *error);

/* Frees a result and all that hangs from it. NULL is allowed. */
STAPES_API void stapes_result_free(stapes_result *result);

#ifdef __cplusplus
}
#endif
#endif
