/* Bytes from a file descriptor (or from memory, in tests), with the beginning kept so that it can
 * be read again: a format is recognised by trying. */
#ifndef STAPES_AUDIO_INPUT_H
#define STAPES_AUDIO_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"

typedef struct stapes__input {
    int fd; /* -1: memory only */
    bool owns_fd;
    bool seekable;      /* a regular file, taken from its first byte */
    uint64_t file_size; /* of a regular file */
    stapes__buf kept;   /* the bytes read so far while `keeping` */
    bool keeping;
    size_t at;           /* next byte of `kept` to hand out */
    const uint8_t *data; /* memory */
    size_t size;
} stapes__input;

/* Opens path, or takes standard input for "-". Errors: AUDIO with the reason (missing, no
 * permission, a folder, empty). */
stapes_status stapes__input_open(stapes__input *in, const char *path, stapes_error *err);
void stapes__input_memory(stapes__input *in, const uint8_t *data, size_t size);
void stapes__input_close(stapes__input *in);

/* Reads up to n bytes, as they come: *got is 0 at the end only. Errors: IO, MEMORY. */
stapes_status stapes__input_read(stapes__input *in, void *out, size_t n, size_t *got,
                                 stapes_error *err);
/* Reads n bytes; *got is smaller at the end only. out NULL discards. */
stapes_status stapes__input_read_all(stapes__input *in, void *out, uint64_t n, uint64_t *got,
                                     stapes_error *err);
/* Back to byte 0: always with a seekable one, otherwise while the beginning is kept. false: no. */
bool stapes__input_rewind(stapes__input *in);
/* To a byte of a seekable input; false: not possible. */
bool stapes__input_seek(stapes__input *in, uint64_t offset);
/* No rewinding from here on. */
void stapes__input_commit(stapes__input *in);
/* Puts everything from byte 0 on into a nameless file in $TMPDIR and reads from there, so that a
 * pipe becomes seekable. Errors: DISK_FULL, IO, MEMORY. */
stapes_status stapes__input_spool(stapes__input *in, stapes_error *err);

#endif
