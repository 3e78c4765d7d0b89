/* tokenizer.json, and the same bytes as a piece list and as a rank file: whatever opens must also
 * decode and encode. */
#include <stdlib.h>

#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(stapes__tokenizer *t) {
    stapes_error err;
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
    if (stapes__tokenizer_encode(t, " the  answer's 12 <|en|> \xe6\x97\xa5", &encoded, &count,
                                 &err) == STAPES_OK)
        free(encoded);
    stapes__tokenizer_close(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    stapes__tokenizer *t;
    stapes_error err;
    if (stapes__tokenizer_open_json(&t, text, size, &err) == STAPES_OK)
        use(t);
    if (stapes__tokenizer_open_lines(&t, text, size, &err) == STAPES_OK)
        use(t);
    if (stapes__tokenizer_open_tiktoken(&t, text, size, &err) == STAPES_OK)
        use(t);
    return 0;
}
