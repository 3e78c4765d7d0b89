/* Any bytes as a tar archive. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "weights/tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    stapes__tar tar = {0};
    stapes_error err;
    if (stapes__tar_read(&tar, data, size, &err) == STAPES_OK) {
        for (size_t i = 0; i < tar.count; i++)
            if (tar.entries[i].offset > size || tar.entries[i].size > size - tar.entries[i].offset)
                abort();
        stapes__tar_find(&tar, "model_config.yaml");
    }
    stapes__tar_free(&tar);
    return 0;
}
