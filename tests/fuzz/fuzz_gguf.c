/* Any bytes as a GGUF file: metadata, tensors, tokenizers. */
#include "read_container.h"
#include "weights/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    return read_container(stapes__gguf_read, data, size);
}
