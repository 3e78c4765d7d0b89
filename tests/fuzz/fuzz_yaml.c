/* Any bytes as a YAML configuration; what is accepted can be written as JSON. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "weights/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_t *tree;
    stapes_error err;
    if (stapes__yaml_parse(&tree, (const char *)data, size, &err) == STAPES_OK) {
        char *text = json_dumps(tree, JSON_COMPACT | JSON_ENCODE_ANY);
        if (!text)
            abort();
        free(text);
    }
    json_decref(tree);
    return 0;
}
