/* What the commands about models share. */
#ifndef STAPES_CLI_MODELS_H
#define STAPES_CLI_MODELS_H

#include <jansson.h>

#include "cli.h"
#include "hub/cache.h"

/* Prints a JSON tree on standard output, one line's end after it, and releases it. NULL (memory
 * short while it was made) is an error of its own. Returns the exit code. */
int cli_print_json(cli *c, json_t *tree);

/* "2.51 GB", "33.7 MB", "512 B". Returns out. */
char *cli_size_text(int64_t bytes, char *out, size_t capacity);

/* Bytes of the plain files in a folder (not deeper), or of one file; 0 when it is not there. */
int64_t cli_bytes_on_disk(const char *path);

/* Prints the models: embedded, installed, available. Returns the exit code. */
int cli_list_models(cli *c);

/* Prints what `stapes inspect` says about one model. */
typedef struct cli_inspect_args {
    bool tensors, identity;
} cli_inspect_args;
int cli_inspect(cli *c, const char *name, const cli_inspect_args *args);

#endif
