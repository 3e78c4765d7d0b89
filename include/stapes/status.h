/* stapes: status codes and error reports. Every fallible function returns one of these codes and,
 * when the caller passes a stapes_error, says what failed, where, and what to do about it. */
#ifndef STAPES_STATUS_H
#define STAPES_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define STAPES_API __declspec(dllexport)
#else
#define STAPES_API __attribute__((visibility("default")))
#endif

/* X(enumerator, value, process exit code, stable name, text). The values never change. */
#define STAPES_STATUS_LIST(X)                                                                      \
    X(STAPES_OK, 0, 0, "ok", "success")                                                            \
    X(STAPES_AGAIN, 1, 1, "again", "nothing available now; call again after feeding or polling")   \
    X(STAPES_E_ARGUMENT, 2, 2, "invalid_argument", "an argument is outside its documented range")  \
    X(STAPES_E_USAGE, 3, 2, "usage", "the command line is not understood")                         \
    X(STAPES_E_MEMORY, 4, 1, "out_of_memory", "an allocation failed")                              \
    X(STAPES_E_IO, 5, 1, "io", "a file could not be read or written")                              \
    X(STAPES_E_DISK_FULL, 6, 1, "disk_full", "the disk is full")                                   \
    X(STAPES_E_MODEL_MISSING, 7, 3, "model_missing", "the model was not found")                    \
    X(STAPES_E_MODEL_DAMAGED, 8, 3, "model_damaged", "the model file is damaged or incomplete")    \
    X(STAPES_E_UNSUPPORTED, 9, 4, "unsupported", "this model, format or option is not supported")  \
    X(STAPES_E_PARTIAL, 10, 5, "some_inputs_failed", "some of the inputs failed")                  \
    X(STAPES_E_AUDIO, 11, 6, "audio_unreadable", "the audio could not be read")                    \
    X(STAPES_E_AUDIO_VALUE, 12, 6, "audio_not_finite", "the audio holds NaN or infinite samples")  \
    X(STAPES_E_ABORTED, 13, 130, "aborted", "stopped on request")                                  \
    X(STAPES_E_NETWORK, 14, 1, "network", "a download failed")                                     \
    X(STAPES_E_HASH, 15, 3, "hash_mismatch", "a file does not have the expected SHA-256")          \
    X(STAPES_E_NUMERIC, 16, 1, "numeric", "a network produced NaN or infinite values")             \
    X(STAPES_E_INTERNAL, 17, 1, "internal", "an internal check failed; please report it")

typedef enum stapes_status {
#define STAPES_STATUS_ENUM(sym, value, exit_code, name, text) sym = (value),
    STAPES_STATUS_LIST(STAPES_STATUS_ENUM)
#undef STAPES_STATUS_ENUM
} stapes_status;

/* An error report, filled by the library in memory that the caller owns. Valid UTF-8, one line
 * each, always terminated. `message` says what failed and where; `hint`, when not empty, says
 * what to do. Functions accept NULL when the caller wants the code alone. */
typedef struct stapes_error {
    stapes_status code;
    char message[768];
    char hint[256];
} stapes_error;

/* The stable name of a code ("model_missing"), or "unknown". Static storage; never fails. */
STAPES_API const char *stapes_status_name(stapes_status status);

/* The exit code that a program should end with: 0 ok, 1 run time, 2 usage, 3 model missing or
 * damaged, 4 unsupported, 5 some inputs failed, 6 audio unreadable, 130 interrupted. */
STAPES_API int stapes_status_exit_code(stapes_status status);

#ifdef __cplusplus
}
#endif
#endif
