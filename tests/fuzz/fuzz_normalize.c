/* Any bytes through every normaliser, and the two halves of the input against each other. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "eval/normalize.h"
#include "eval/wer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void align(const char *reference, const char *hypothesis) {
    stapes__alignment alignment;
    int64_t distance, length;
    if (stapes__align_words(reference, hypothesis, &alignment, NULL) != STAPES_OK ||
        stapes__align_characters(reference, hypothesis, &distance, &length, NULL) != STAPES_OK ||
        distance < 0)
        abort();
    stapes__alignment_free(&alignment);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 4096)
        return 0;
    char *text = stapes__strndup((const char *)data, size);
    char *half = stapes__strndup((const char *)data + size / 2, size - size / 2);
    if (!text || !half)
        abort();
    text[size / 2] = 0;
    for (int n = STAPES__NORMALIZE_NONE; n <= STAPES__NORMALIZE_ENGLISH; n++) {
        stapes__buf a = {0}, b = {0};
        if (stapes__normalize((stapes__normalizer)n, text, &a, NULL) != STAPES_OK ||
            stapes__normalize((stapes__normalizer)n, half, &b, NULL) != STAPES_OK)
            abort();
        align(a.data, b.data);
        stapes__buf_free(&a);
        stapes__buf_free(&b);
    }
    free(text);
    free(half);
    return 0;
}
