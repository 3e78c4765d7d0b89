/* Any bytes as a ggml .bin: header, vocabulary, tensors. */
#include "read_container.h"
#include "weights/ggml_bin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    return read_container(stapes__ggml_bin_read, data, size);
}
