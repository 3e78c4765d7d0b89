/* Manifests from any bytes: parse, then read every field that was promised. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "eval/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    stapes__manifest manifest;
    stapes_error err;
    if (stapes__manifest_parse(&manifest, (const char *)data, size, &err) != STAPES_OK)
        return 0;
    for (size_t i = 0; i < manifest.n_rows; i++) {
        const stapes__manifest_row *row = &manifest.rows[i];
        char *file = stapes__manifest_file(&manifest, row);
        if (!file || !*row->path || strlen(row->text) > size || strlen(row->sha256) > 64 ||
            row->seconds < 0 || row->line < 2)
            abort();
        free(file);
    }
    stapes__manifest_free(&manifest);
    return 0;
}
