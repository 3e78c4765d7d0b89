/* Downloading one file: resumed where it stopped, checked while it streams, renamed into place
 * when all is right. While it runs, NAME.part holds the bytes and NAME.part.json what the server
 * called them, so that a resumed download never mixes two versions. */
#ifndef STAPES_HUB_DOWNLOAD_H
#define STAPES_HUB_DOWNLOAD_H

#include "hub/http.h"

typedef struct stapes__download_options {
    const char *token; /* bearer token for the hub, NULL = none */
    int retries;       /* attempts after a failed one that brought nothing new */
    double retry_wait; /* seconds before the first of them; doubles up to 30 */
    /* Bytes so far and in all (-1 = unknown), several times a second, also while waiting. false
     * stops with ABORTED and leaves the part for a later resume. NULL = none. */
    bool (*progress)(void *user, const char *file, int64_t done, int64_t total);
    /* One line about a retry or a restart. NULL = none. */
    void (*note)(void *user, const char *line);
    void *user;
} stapes__download_options;

typedef struct stapes__download_request {
    const char *url;
    const char *name;   /* for messages and progress */
    const char *path;   /* where it goes; its folder exists */
    int64_t size;       /* -1 = as the server says */
    const char *sha256; /* NULL = as the hub says, where it does */
    bool optional;      /* 404 is not an error */
} stapes__download_request;

/* How the content was checked, strongest first. */
typedef enum stapes__download_check {
    STAPES__CHECK_PINNED, /* SHA-256 of the registry */
    STAPES__CHECK_HUB,    /* SHA-256 of the hub's answer */
    STAPES__CHECK_GIT,    /* git blob id of the hub's answer */
    STAPES__CHECK_SIZE    /* length only: the server said no more */
} stapes__download_check;

typedef struct stapes__download_result {
    bool absent; /* an optional file that the server does not have */
    int64_t size;
    char sha256[65];                /* computed */
    char commit[STAPES__ETAG_SIZE]; /* "" when the server did not say */
    stapes__download_check check;
    bool resumed;
} stapes__download_result;

/* Errors: NETWORK (nobody answers, broken off after all retries, refused, not found; the hint says
 * what to do), HASH (wrong content: nothing is kept), MODEL_DAMAGED (wrong size: nothing is kept),
 * DISK_FULL (before or during; the part is kept), IO, ABORTED, MEMORY. */
stapes_status stapes__download(stapes__http *http, const stapes__download_request *request,
                               const stapes__download_options *options,
                               stapes__download_result *result, stapes_error *err);

/* "pinned", "hub", "git", "size" */
const char *stapes__download_check_name(stapes__download_check check);

#endif
