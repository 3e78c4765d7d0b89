/* A whole recording: windows of 30 s that follow the decoded timestamps, previous text as prompt,
 * fallback to higher temperatures, silence, words (spec/whisper 11-13). The rules of
 * openai-whisper, and on top of them guards that can be turned off. */
#ifndef STAPES_DECODE_WHISPER_LONGFORM_H
#define STAPES_DECODE_WHISPER_LONGFORM_H

#include "decode/whisper/decode.h"
#include "decode/whisper/words.h"

typedef struct stapes__whisper_segment {
    int64_t seek;      /* mel frame where its window began */
    double start, end; /* seconds */
    char *text;        /* "" (and no tokens) for a segment without text or duration */
    int32_t *tokens;   /* timestamps included */
    size_t n_tokens;
    double temperature, avg_logprob, compression_ratio, no_speech_prob;
    stapes__whisper_words words; /* seconds from the start of the recording; tokens count from the
                                    segment's first text token. Empty without word times */
} stapes__whisper_segment;

typedef struct stapes__whisper_transcript {
    stapes__whisper_segment *segments;
    size_t count, capacity;
    int32_t *tokens; /* of all segments in order */
    size_t n_tokens;
} stapes__whisper_transcript;

void stapes__whisper_transcript_free(stapes__whisper_transcript *transcript);

/* What the loop does with a window; see windows.h for the one over a net. */
typedef struct stapes__whisper_windows {
    void *user;
    /* Mel frames [seek, seek + frames), 1 <= frames <= STAPES__WHISPER_WINDOW. */
    stapes_status (*encode)(void *user, int64_t seek, size_t frames, stapes_error *err);
    stapes_status (*decode)(void *user, const stapes__whisper_options *options,
                            stapes__whisper_result *result, stapes_error *err);
    /* As stapes__whisper_align, for the window encoded last. */
    stapes_status (*align)(void *user, const int32_t *tokens, size_t count, size_t frames,
                           stapes__whisper_words *words, stapes_error *err);
    /* Nothing at all can be heard in these frames. NULL = not known. Asked before encoding. */
    bool (*silent)(void *user, int64_t seek, size_t frames);
} stapes__whisper_windows;

typedef struct stapes__whisper_longform {
    stapes__whisper_options options; /* temperature, prompt and seed are set by the loop; the
                                        seed given here is mixed into each window's */
    const double *temperatures;      /* tried in order */
    size_t n_temperatures;
    double compression_ratio_threshold; /* higher: retry. NAN = off */
    double logprob_threshold;           /* lower: retry. NAN = off */
    double no_speech_threshold;         /* NAN = off */
    bool condition_on_previous_text;
    const int32_t *initial_prompt; /* see stapes__whisper_encode_prompt */
    size_t initial_prompt_count;
    bool carry_initial_prompt;
    const double *clips; /* seconds: start, end, start, end, ...; the last end may be missing */
    size_t n_clips;      /* 0 = everything */
    bool word_times;
    const char *prepend, *append; /* punctuation merged into words; NULL = the defaults */
    double hallucination_silence; /* seconds; needs word times. NAN = off */
    bool guards; /* silent windows are passed over; a repetition or a text cut off by the limit is
                    decoded again; a cut-off text that stays is followed up where it ends; words
                    and segments neither overlap, run backwards nor leave the recording */
    /* After each window; false stops with ABORTED. `seek` of `content` frames are done. */
    bool (*progress)(void *user, const stapes__whisper_transcript *so_far, int64_t seek,
                     int64_t content);
    void *progress_user;
} stapes__whisper_longform;

/* The defaults of openai-whisper's library with guards: temperatures 0, 0.2 .. 1, thresholds 2.4,
 * -1, 0.6, previous text on. */
stapes__whisper_longform stapes__whisper_default_longform(void);

/* " " and the text without outer white space, as tokens. *ids is malloc'ed. */
stapes_status stapes__whisper_encode_prompt(const stapes__tokenizer *tokenizer, const char *text,
                                            int32_t **ids, size_t *count, stapes_error *err);

/* Transcribes `content` mel frames (100 per second). *out is released by
 * stapes__whisper_transcript_free, also after an error, when it holds what was finished. Errors:
 * ABORTED, ARGUMENT (clips not ascending in pairs), MEMORY, those of the windows. */
stapes_status stapes__whisper_transcribe(const stapes__whisper_windows *windows,
                                         const stapes__whisper_layout *layout,
                                         const stapes__tokenizer *tokenizer,
                                         const stapes__whisper_longform *params, int64_t content,
                                         stapes__whisper_transcript *out, stapes_error *err);

/* Text of tokens; ids from eot on are left out. */
stapes_status stapes__whisper_text(const stapes__whisper_layout *layout,
                                   const stapes__tokenizer *tokenizer, const int32_t *tokens,
                                   size_t count, stapes__buf *out, stapes_error *err);

#endif
