/* The windows of the long-form loop over a network and the mel of a whole recording. */
#ifndef STAPES_DECODE_WHISPER_WINDOWS_H
#define STAPES_DECODE_WHISPER_WINDOWS_H

#include "decode/whisper/longform.h"

/* Filled by the caller, who keeps it and everything it points to alive. */
typedef struct stapes__whisper_recording {
    stapes__whisper_net *net;
    stapes__whisper_sampler *decoder; /* of the same net */
    const stapes__tokenizer *tokenizer;
    const float *mel; /* [content, n_mels], normalised over the whole recording */
    int64_t content;  /* frames: samples / 160 */
    int language;     /* for the alignment; as in the options */
    stapes__whisper_task task;
} stapes__whisper_recording;

/* The table for stapes__whisper_transcribe. */
stapes__whisper_windows stapes__whisper_windows_of(stapes__whisper_recording *recording);

/* Detects the language of the first 30 s from frame `seek` on, see stapes__whisper_detect_language.
 * ARGUMENT when there is no frame. */
stapes_status stapes__whisper_recording_language(stapes__whisper_recording *recording, int64_t seek,
                                                 const bool *allowed,
                                                 float probabilities[STAPES__WHISPER_MAX_LANGUAGES],
                                                 int *best, stapes_error *err);

#endif
