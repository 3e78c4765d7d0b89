/* The WAV header reader and the sample decoders behind it, as for a stream. */
#include <stdint.h>
#include <stdlib.h>

#include "audio/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    stapes__input in;
    stapes__source *source;
    stapes_error err;
    stapes__input_memory(&in, data, size);
    if (stapes__wav_open(&source, &in, &err) == STAPES_OK) {
        enum { FRAMES = 100 };
        float *out = malloc((size_t)FRAMES * (size_t)source->channels * sizeof *out);
        size_t got = out ? 1 : 0;
        while (got > 0 && source->read(source, out, FRAMES, &got, &err) == STAPES_OK)
            if (got > FRAMES)
                abort();
        free(out);
        source->close(source);
    }
    stapes__input_close(&in);
    return 0;
}
