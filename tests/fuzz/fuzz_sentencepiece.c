/* SentencePiece models: whatever opens must also decode and encode. */
#include <stdlib.h>

#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    stapes__tokenizer *t;
    stapes_error err;
    if (stapes__tokenizer_open_sentencepiece(&t, data, size, &err) != STAPES_OK)
        return 0;
    int32_t ids[64], *encoded = NULL;
    size_t count = 0;
    for (int i = 0; i < 64; i++)
        ids[i] = i - 2;
    for (unsigned flags = 0; flags < 8; flags++) {
        stapes__buf out = {0};
        stapes__tokenizer_decode(t, ids, 64, flags, &out, &err);
        stapes__tokenizer_decode_stable(t, ids, 64 - flags, flags, &out, &err);
        stapes__buf_free(&out);
    }
    if (stapes__tokenizer_encode(t, " the  answer\xe2\x96\x81 1,2 \xe6\x97\xa5", &encoded, &count,
                                 &err) == STAPES_OK)
        free(encoded);
    stapes__tokenizer_close(&t);
    return 0;
}
