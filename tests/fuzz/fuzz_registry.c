/* The registry reader over foreign bytes: parse, look up, suggest. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hub/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    stapes_error err = {0};
    stapes__registry *registry;
    if (stapes__registry_parse(&registry, (const char *)data, size, "fuzz", &err) != STAPES_OK)
        return 0;
    for (size_t i = 0; i < stapes__registry_count(registry); i++) {
        const stapes__registry_model *model = stapes__registry_at(registry, i);
        if (stapes__registry_find(registry, model->name) != model)
            abort();
        stapes__registry_suggest(registry, model->description);
        for (size_t k = 0; k < model->n_files; k++)
            if (strstr(model->files[k].path, "..") && strchr(model->files[k].path, '/') &&
                strstr(model->files[k].path, "/../"))
                abort();
    }
    stapes__registry_close(&registry);
    return 0;
}
