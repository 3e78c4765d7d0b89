/* stapes.lock.json: what a pull put into a model's folder, for resuming and verifying. */
#ifndef STAPES_HUB_RECORD_H
#define STAPES_HUB_RECORD_H

#include "hub/cache.h"

typedef struct stapes__record stapes__record;

/* The record of a folder, or an empty one when there is none or it is not readable as one. NULL
 * when memory is short. */
stapes__record *stapes__record_load(const char *folder, const stapes__registry_model *model);
void stapes__record_free(stapes__record *record);

/* Whether the last pull finished. */
bool stapes__record_complete(const stapes__record *record);
/* The commit that the files are of: 40 hex digits, or "" when unknown. */
const char *stapes__record_commit(const stapes__record *record);

typedef struct stapes__record_file {
    const char *path;
    int64_t size;       /* -1: the repository has no such (optional) file */
    const char *sha256; /* NULL with size -1 */
    const char *check;  /* how it was checked when it came */
} stapes__record_file;

/* false when the record has no entry for this path. Strings live as long as the record. */
bool stapes__record_find(const stapes__record *record, const char *path, stapes__record_file *file);

/* Adds or replaces an entry, and sets the commit unless it is NULL or "". */
stapes_status stapes__record_put(stapes__record *record, const stapes__record_file *file,
                                 const char *commit, stapes_error *err);

/* Forgets every entry. */
void stapes__record_clear(stapes__record *record);

/* Writes it into the folder; `complete` says that every file is in place. */
stapes_status stapes__record_save(stapes__record *record, const char *folder, const char *endpoint,
                                  bool complete, stapes_error *err);

#endif
