/* The objects behind the public handles. */
#ifndef STAPES_ENGINE_INTERNAL_H
#define STAPES_ENGINE_INTERNAL_H

#include <stdatomic.h>

#include "audio/logmel.h"
#include "audio/resample.h"
#include "base/log.h"
#include "compute/ops.h"
#include "decode/greedy.h"
#include "models/fastconformer/config.h"
#include "stages/stages.h"
#include "stapes/stapes.h"
#include "text/tokenizer.h"
#include "text/words.h"
#include "weights/container.h"

struct stapes_context {
    stapes__log log;
    stapes__cpu cpu;
    stapes__pool *pool;
    stapes__ops ops;
};

struct stapes_model {
    stapes_context *context;
    stapes__container *container;
    stapes__fc_config config;
    stapes__tokenizer *tokenizer;
    stapes__logmel *mel;
    stapes__stages *stages;
    char *path, *name, *languages;
    const char *architecture;
    int64_t parameters, weight_bytes;
    double load_seconds;
};

/* How long audio is cut (in samples at 16 kHz; multiples of one encoder frame). */
typedef struct stapes__windows {
    int64_t full; /* one window up to this length; 0: always windows; -1: never */
    int64_t left, chunk, right;
} stapes__windows;

/* One encoder call's worth of a session: audio [start, end), of which the frames of [chunk_start,
 * chunk_end) are decoded. */
typedef struct stapes__window {
    int64_t start, end, chunk_start, chunk_end;
    bool last;
} stapes__window;

typedef struct stapes__event_item {
    stapes_event_kind kind;
    size_t segment;    /* SEGMENT */
    size_t warning;    /* WARNING */
    double start, end; /* PARTIAL */
} stapes__event_item;

typedef struct stapes__warning_item {
    const char *code; /* static */
    char *message;
} stapes__warning_item;

struct stapes_session {
    stapes_model *model;
    stapes_session_params params;
    stapes__windows windows;
    stapes__attention_mask mask;
    stapes__head_kind head;
    size_t prompt;        /* of models conditioned on one */
    unsigned char *allow; /* token mask of the chosen language, or NULL */
    char *language;
    atomic_bool abort;

    stapes__arena *scratch;
    stapes__greedy *greedy;
    stapes__token_list tokens; /* of the window in progress */
    stapes__words *words;

    /* audio at 16 kHz not yet needed no more; samples[0] is sample `base` of the recording */
    stapes__resampler *resampler;
    int32_t rate; /* 0 before the first feed */
    float *samples;
    size_t count, capacity;
    int64_t base, next_chunk; /* next sample to decode */
    int64_t fed;              /* samples given by the caller, at its rate */
    bool windowed, finished, final_told;

    float peak;
    int64_t clipped;
    stapes_timing timing;
    int32_t n_windows;
    int32_t specials; /* control tokens the decoder emitted, language tags apart */

    stapes__event_item *events; /* ring: [event_head, event_count) */
    size_t event_head, event_count, event_capacity;
    size_t segments_told;
    int64_t next_event_id;
    char *event_text; /* text of the event last taken */
    stapes__warning_item *warnings;
    size_t n_warnings;
    double progress_total; /* seconds of the whole buffer; 0 = unknown */
};

double stapes__now(void); /* monotonic seconds */

/* window.c */
stapes_status stapes__windows_plan(stapes__windows *w, const stapes_session_params *params,
                                   const stapes__stages_info *info, stapes_error *err);
/* The next window that can be computed with the audio at hand; false when there is none yet.
 * at_end: no more audio will come. */
bool stapes__windows_next(const stapes_session *s, bool at_end, stapes__window *out);

/* run.c */
/* Computes one window of each of n sessions of one model in one encoder call. status[i]: a failure
 * of the shared call fails all, a failure while decoding its own session alone. */
void stapes__run_windows(stapes_session *const *sessions, const stapes__window *windows, size_t n,
                         stapes_status *status, stapes_error *err);
/* Everything that can be computed now. */
stapes_status stapes__session_advance(stapes_session *s, bool at_end, stapes_error *err);
/* Takes samples at 16 kHz into the session's buffer. */
stapes_status stapes__session_take(stapes_session *s, const float *samples, size_t count,
                                   stapes_error *err);
/* Resamples where needed, and takes. */
stapes_status stapes__session_push(stapes_session *s, const float *samples, size_t count,
                                   int32_t rate, stapes_error *err);
/* Takes what the resampler still holds. */
stapes_status stapes__session_drain(stapes_session *s, stapes_error *err);
void stapes__session_conclude(stapes_session *s);

/* events.c */
stapes_status stapes__events_after_window(stapes_session *s, bool last, stapes_error *err);
void stapes__events_clear(stapes_session *s);
/* message is printf-formatted; code is static. Memory shortage drops the warning. */
void stapes__session_warn(stapes_session *s, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
