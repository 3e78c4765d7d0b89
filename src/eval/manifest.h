/* Manifests: a table of recordings with what is said in them, as tab-separated text.
 *
 * The first line names the columns; "path" must be among them, "text", "seconds" and "sha256" may
 * be, others are passed over. Columns may come in any order. Lines may end in CR LF, empty lines
 * are skipped, a byte-order mark is allowed; there is no quoting, so a field holds no tab and no
 * line break. Text is UTF-8. */
#ifndef STAPES_EVAL_MANIFEST_H
#define STAPES_EVAL_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

typedef struct stapes__manifest_row {
    const char *path;   /* as written, relative to the manifest's folder or absolute; never empty */
    const char *text;   /* "" when the column or the field is missing */
    const char *sha256; /* 64 hexadecimal digits, or "" */
    double seconds;     /* 0 when not given */
    size_t line;        /* from 1 */
} stapes__manifest_row;

typedef struct stapes__manifest {
    stapes__manifest_row *rows;
    size_t n_rows;
    bool has_text, has_seconds, has_sha256; /* which optional columns the header names */
    char *folder;                           /* of the manifest file; "." when it names none */
    char *data;                             /* holds the fields */
} stapes__manifest;

/* Parses `size` bytes, which are copied. folder stays NULL. UNSUPPORTED with the line's number for
 * anything that is not a manifest; *out then needs no free. */
stapes_status stapes__manifest_parse(stapes__manifest *out, const char *data, size_t size,
                                     stapes_error *err);

/* Reads and parses a file of at most 256 MB; messages name it. IO when it cannot be read. */
stapes_status stapes__manifest_open(stapes__manifest *out, const char *path, stapes_error *err);

/* The path of a row's file, free() it; NULL when memory is short. */
char *stapes__manifest_file(const stapes__manifest *manifest, const stapes__manifest_row *row);

void stapes__manifest_free(stapes__manifest *manifest);

#endif
