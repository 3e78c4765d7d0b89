/* The first bytes of MP3 files. */
#include <stddef.h>
#include <stdint.h>

#include "audio/mp3.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    stapes__mp3_said said;
    uint64_t tag = stapes__id3_size(data, size);
    if (tag < size)
        stapes__mp3_said_size(data + tag, size - (size_t)tag, &said);
    stapes__mp3_said_size(data, size, &said);
    return 0;
}
