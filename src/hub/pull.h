/* Pulling a whole model into the cache, and verifying one that is there. */
#ifndef STAPES_HUB_PULL_H
#define STAPES_HUB_PULL_H

#include "hub/cache.h"
#include "hub/download.h"

#define STAPES__HUB_ENDPOINT "https://huggingface.co"

/* Settings from the environment; the strings live as long as the environment is unchanged.
 * Endpoint: HF_ENDPOINT or the public hub. Token: HF_TOKEN or HUGGING_FACE_HUB_TOKEN, NULL when
 * unset or not one word. Offline: STAPES_OFFLINE or HF_HUB_OFFLINE set to anything but "" or 0. */
const char *stapes__hub_endpoint(void);
const char *stapes__hub_token(void);
bool stapes__hub_offline(void);

typedef struct stapes__pull_options {
    const char *endpoint; /* NULL = stapes__hub_endpoint() */
    const char *cache;    /* folder that holds the model's folder; NULL = stapes__cache_folder() */
    bool force;           /* download again what is there */
    bool offline;         /* succeed only when nothing is missing */
    stapes__download_options download;
    /* Before each file that has to be fetched; NULL = none. `user` is download.user. */
    void (*file)(void *user, const char *name, size_t index, size_t count);
} stapes__pull_options;

typedef struct stapes__pull_result {
    char *folder; /* of the model; free() it. Set on failure too when it was known */
    size_t fetched, kept;
    int64_t bytes;                  /* of all files */
    stapes__download_check weakest; /* check of the fetched files */
} stapes__pull_result;

/* Fetches what is missing into CACHE/NAME, writes LICENCE.txt and stapes.lock.json beside it. One
 * pull of a model at a time: a second one fails with IO. Without a new byte wanted, the network
 * is not touched. Errors: those of stapes__download; ARGUMENT for an endpoint that is no address;
 * MODEL_MISSING when offline. */
stapes_status stapes__pull(const stapes__registry_model *model, const stapes__pull_options *options,
                           stapes__pull_result *result, stapes_error *err);

typedef enum stapes__verify_state {
    STAPES__VERIFY_OK,
    STAPES__VERIFY_UNKNOWN, /* nothing to compare with: put there by hand */
    STAPES__VERIFY_MISSING,
    STAPES__VERIFY_SIZE,
    STAPES__VERIFY_HASH
} stapes__verify_state;

typedef struct stapes__verify_options {
    bool sizes_only; /* do not read the files */
    /* Result of one file; sha256 is "" when not computed. */
    void (*file)(void *user, const char *name, stapes__verify_state state, const char *sha256);
    bool (*progress)(void *user, const char *name, int64_t done, int64_t total);
    void *user;
} stapes__verify_options;

/* Compares a model's files with what the pull recorded and the registry pins. OK when nothing is
 * wrong (UNKNOWN counts as not wrong). Errors: MODEL_DAMAGED (with the first bad file),
 * MODEL_MISSING, IO, ABORTED. */
stapes_status stapes__pull_verify(const char *folder, const stapes__registry_model *model,
                                  const stapes__verify_options *options, stapes_error *err);

#endif
