/* stapes: speech recognition. The public interface.
 *
 *   context   log sink, threads, CPU level                  shared, thread-safe
 *   model     weights and vocabulary, read-only             shared, thread-safe
 *   session   decoder state, caches, audio not yet decoded  one thread at a time
 *
 * Feed samples, poll events, finish; or give a whole buffer to stapes_transcribe. Nothing is
 * global. Unless a function says otherwise it returns STAPES_OK or an error code, writes its
 * results only on success, and leaves its arguments usable after a failure.
 */
#ifndef STAPES_STAPES_H
#define STAPES_STAPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stapes/result.h"
#include "stapes/status.h"
#include "stapes/version.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct stapes_context stapes_context;
typedef struct stapes_model stapes_model;
typedef struct stapes_session stapes_session;

/* The version of the library that is linked, "major.minor.patch". Static storage. */
STAPES_API const char *stapes_version(void);

/* ---- context ------------------------------------------------------------------------------ */

typedef enum stapes_log_level {
    STAPES_LOG_ERROR,
    STAPES_LOG_WARNING,
    STAPES_LOG_INFO,
    STAPES_LOG_DEBUG
} stapes_log_level;

/* Called with one line of text, without a newline; may be called from any thread. */
typedef void (*stapes_log_fn)(void *user, stapes_log_level level, const char *line);

typedef struct stapes_context_params {
    size_t struct_size; /* set by stapes_context_params_default */
    int threads;        /* computing threads; 0 = number of usable cores. Default 0 */
    const char *cpu;    /* highest instruction set: "auto", "none" (plain C), "avx2", "avx512",
                           "neon". Default "auto" */
    stapes_log_fn log;  /* NULL = silent. Default NULL */
    void *log_user;
    stapes_log_level log_level; /* lines above it are dropped. Default STAPES_LOG_WARNING */
} stapes_context_params;

/* Fills the defaults named in the struct. */
STAPES_API void stapes_context_params_default(stapes_context_params *params);

/* Creates a context; params may be NULL for the defaults. On failure *out is NULL. */
STAPES_API stapes_status stapes_context_open(stapes_context **out,
                                             const stapes_context_params *params,
                                             stapes_error *error);

/* Closes it and sets the pointer to NULL. Models opened from it must be closed before. */
STAPES_API void stapes_context_close(stapes_context **context);

/* ---- model -------------------------------------------------------------------------------- */

/* Progress of long work in 0..1. Returning false stops it with STAPES_E_ABORTED. */
typedef bool (*stapes_progress_fn)(void *user, double done, const char *stage);

typedef struct stapes_model_params {
    size_t struct_size;
    const char *precision;       /* "auto" or "f32". Default "auto" */
    const char *backend;         /* "native". Default "native" */
    stapes_progress_fn progress; /* NULL = none. Default NULL */
    void *progress_user;
} stapes_model_params;

typedef struct stapes_model_info {
    const char *name;         /* folder or file name */
    const char *path;         /* what was opened */
    const char *container;    /* "safetensors", "nemo", ... */
    const char *architecture; /* "fastconformer-tdt", "fastconformer-rnnt", "fastconformer-ctc" */
    const char *identity;     /* SHA-256 over names, types, shapes and bytes; "" until asked for */
    const char *languages;    /* comma-separated codes, "" when unknown */
    int32_t sample_rate;      /* 16000 */
    int32_t n_mels, d_model, n_layers, n_heads, vocabulary;
    int64_t parameters;
    int64_t weight_bytes;  /* bytes of the packed weights in memory */
    double frame_seconds;  /* 0.08 */
    const char *precision; /* what the weights are computed in: "f32" */
    const char *backend;   /* what computes: "native" */
    const char *isa;       /* instruction set in use: "c", "avx2", "avx512", ... */
    int32_t threads;
} stapes_model_info;

/* Fills the defaults named in the struct. */
STAPES_API void stapes_model_params_default(stapes_model_params *params);

/* Opens a model from a file, a folder, or a name known to the registry and present in the cache;
 * NULL or "nano" is the model installed with the library. Nothing is downloaded. Thread-safe.
 * On failure *out is NULL. Errors: MODEL_MISSING, MODEL_DAMAGED, UNSUPPORTED, MEMORY. */
STAPES_API stapes_status stapes_model_open(stapes_model **out, stapes_context *context,
                                           const char *name, const stapes_model_params *params,
                                           stapes_error *error);

/* Closes it and sets the pointer to NULL. Its sessions must be closed before. */
STAPES_API void stapes_model_close(stapes_model **model);

/* Fills `info`; its strings live as long as the model. */
STAPES_API void stapes_model_get_info(const stapes_model *model, stapes_model_info *info);

/* ---- session ------------------------------------------------------------------------------ */

typedef struct stapes_session_params {
    size_t struct_size;
    const char *language;   /* "auto" or a code the model knows. Default "auto" */
    const char *decoder;    /* "auto", "tdt", "rnnt", "ctc" (hybrid models have two). "auto" */
    const char *confidence; /* "tsallis", "max_prob", "entropy", ... see docs. "tsallis" */
    int32_t max_symbols;    /* labels per frame before a forced advance; 0 = the model's. 0 */
    const char *attention;  /* "auto", "full", "window" or "band:L,R" (frames). Default "auto" */
    double full_seconds;    /* "auto" runs full attention up to this length. 0 = the model's */
    double window_left, window_chunk, window_right; /* seconds; 0 = the defaults */
    bool nemo_text;              /* NeMo's spacing before punctuation. Default false */
    double segment_gap;          /* seconds of silence that start a new segment; 0 = never. 2.0 */
    stapes_progress_fn progress; /* whole-buffer transcription only. Default NULL */
    void *progress_user;
} stapes_session_params;

/* Fills the defaults named in the struct. */
STAPES_API void stapes_session_params_default(stapes_session_params *params);

/* Opens a session on a model; params may be NULL. On failure *out is NULL. */
STAPES_API stapes_status stapes_session_open(stapes_session **out, stapes_model *model,
                                             const stapes_session_params *params,
                                             stapes_error *error);

/* Closes it and sets the pointer to NULL. */
STAPES_API void stapes_session_close(stapes_session **session);

/* Forgets all audio and text, keeps the allocations: the next feed starts a new recording. */
STAPES_API void stapes_session_reset(stapes_session *session);

/* Feeds mono float samples in [-1, 1] at any rate from 8000 to 192000 Hz (the same for a whole
 * recording). The text does not depend on how the audio is cut into feeds. Errors: ARGUMENT,
 * AUDIO_VALUE (names the first bad sample; nothing of the feed is taken), MEMORY, ABORTED. */
STAPES_API stapes_status stapes_feed(stapes_session *session, const float *samples, size_t count,
                                     int32_t rate, stapes_error *error);

/* No more audio: decodes what is left. Afterwards events end with STAPES_EVENT_FINAL. */
STAPES_API stapes_status stapes_finish(stapes_session *session, stapes_error *error);

typedef enum stapes_event_kind {
    STAPES_EVENT_SEGMENT, /* a segment that will not change */
    STAPES_EVENT_PARTIAL, /* text of the segment in progress; may change */
    STAPES_EVENT_WARNING, /* text = message, code = stable name */
    STAPES_EVENT_FINAL    /* the recording is finished; text = whole transcript */
} stapes_event_kind;

typedef struct stapes_event {
    stapes_event_kind kind;
    int64_t id;                    /* increases by one from 0 in one session, over resets too */
    const char *text;              /* valid until the next call on this session */
    const char *code;              /* warnings only, otherwise "" */
    double start, end;             /* seconds covered */
    const stapes_segment *segment; /* SEGMENT only */
} stapes_event;

/* Takes the oldest event. STAPES_AGAIN when there is none. */
STAPES_API stapes_status stapes_next_event(stapes_session *session, stapes_event *event);

/* A snapshot of everything recognised so far. The caller frees it with stapes_result_free. */
STAPES_API stapes_status stapes_session_result(stapes_session *session, stapes_result **out,
                                               stapes_error *error);

/* Recognises one whole buffer (reset, feed, finish, result). The caller frees *out. */
STAPES_API stapes_status stapes_transcribe(stapes_session *session, const float *samples,
                                           size_t count, int32_t rate, stapes_result **out,
                                           stapes_error *error);

/* Recognises `n` mono 16 kHz buffers together, one session each; same results as one by one.
 * out[i] is set for every i whose status[i] is STAPES_OK and freed by the caller. Returns
 * STAPES_E_PARTIAL when some failed. The sessions must belong to one model. */
STAPES_API stapes_status stapes_transcribe_batch(stapes_session *const *sessions, size_t n,
                                                 const float *const *samples, const size_t *counts,
                                                 stapes_result **out, stapes_status *status,
                                                 stapes_error *error);

/* Asks a running feed, finish or transcribe to stop with STAPES_E_ABORTED as soon as it can.
 * May be called from any thread and from a signal handler. */
STAPES_API void stapes_session_abort(stapes_session *session);

#ifdef __cplusplus
}
#endif
#endif
