/* SHA-256 of streams and files, and git's blob id, on libcrypto. */
#ifndef STAPES_HUB_DIGEST_H
#define STAPES_HUB_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct stapes__digest stapes__digest;

stapes__digest *stapes__digest_new(void); /* SHA-256; NULL when memory is short */
void stapes__digest_free(stapes__digest *digest);
void stapes__digest_reset(stapes__digest *digest);
void stapes__digest_add(stapes__digest *digest, const void *bytes, size_t count);
/* Lower-case hex; the digest must be reset before it is used again. */
void stapes__digest_hex(stapes__digest *digest, char hex[65]);

/* Called between blocks with the number of bytes read so far; false stops with ABORTED. */
typedef bool (*stapes__digest_tick)(void *user, int64_t done);

/* Adds the first `length` bytes of an open file (from its start; the position moves). Errors: IO
 * (also when it is shorter), ABORTED. tick may be NULL. */
stapes_status stapes__digest_add_file(stapes__digest *digest, int fd, int64_t length,
                                      const char *path, stapes__digest_tick tick, void *user,
                                      stapes_error *err);

/* SHA-256 of a whole file. */
stapes_status stapes__digest_file(const char *path, char hex[65], stapes__digest_tick tick,
                                  void *user, stapes_error *err);

/* git's id of the file's content as a blob: SHA-1 over "blob SIZE\0" and the bytes. */
stapes_status stapes__digest_git_blob(const char *path, char hex[41], stapes_error *err);

#endif
