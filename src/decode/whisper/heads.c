/* Which cross-attention heads follow the audio, as published with each checkpoint. */
#include <string.h>

#include "decode/whisper/words.h"

typedef struct row {
    const char *name;
    uint8_t layers, heads;
    uint16_t vocabulary;
    uint8_t count;
    uint8_t pairs[2 * 23];
} row;

/* Of models of equal sizes the first row serves those without a name. */
static const row rows[] = {
    {"tiny.en", 4, 6, 51864, 8, {1, 0, 2, 0, 2, 5, 3, 0, 3, 1, 3, 2, 3, 3, 3, 4}},
    {"tiny", 4, 6, 51865, 6, {2, 2, 3, 0, 3, 2, 3, 3, 3, 4, 3, 5}},
    {"base.en", 6, 8, 51864, 5, {3, 3, 4, 7, 5, 1, 5, 5, 5, 7}},
    {"base", 6, 8, 51865, 8, {3, 1, 4, 2, 4, 3, 4, 7, 5, 1, 5, 2, 5, 4, 5, 6}},
    {"small.en", 12, 12, 51864, 19, {6,  6, 7,  0, 7,  3, 7,  8,  8,  2,  8,  5,  8,
                                     7,  9, 0,  9, 4,  9, 8,  9,  10, 10, 0,  10, 1,
                                     10, 2, 10, 3, 10, 6, 10, 11, 11, 2,  11, 4}},
    {"small", 12, 12, 51865, 10, {5, 3, 5, 9, 8, 0, 8, 4, 8, 7, 8, 8, 9, 0, 9, 7, 9, 9, 10, 5}},
    {"medium.en", 24, 16, 51864, 18, {11, 4,  14, 1, 14, 12, 14, 14, 15, 4,  16, 0,
                                      16, 4,  16, 9, 17, 12, 17, 14, 18, 7,  18, 10,
                                      18, 15, 20, 0, 20, 3,  20, 9,  20, 14, 21, 12}},
    {"medium", 24, 16, 51865, 6, {13, 15, 15, 4, 15, 15, 16, 1, 20, 0, 23, 4}},
    {"large-v2", 32, 20, 51865, 23, {10, 12, 13, 17, 16, 11, 16, 12, 16, 13, 17, 15, 17, 16, 18, 4,
                                     18, 11, 18, 19, 19, 11, 21, 2,  21, 3,  22, 3,  22, 9,  22, 12,
                                     23, 5,  23, 7,  23, 13, 25, 5,  26, 1,  26, 12, 27, 15}},
    {"large-v1",
     32,
     20,
     51865,
     9,
     {9, 19, 11, 2, 11, 4, 11, 17, 22, 7, 22, 11, 22, 17, 23, 2, 23, 15}},
    {"large-v3", 32, 20, 51866, 10, {7,  0,  10, 17, 12, 18, 13, 12, 16, 1,
                                     17, 14, 19, 11, 21, 4,  24, 1,  25, 6}},
    {"large-v3-turbo", 4, 20, 51866, 6, {2, 4, 2, 11, 3, 3, 3, 6, 3, 11, 3, 14}},
};

static bool same_name(const char *name, const char *want) {
    static const char *const heads[] = {"openai/", "whisper-", "ggml-"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        if (strncmp(name, heads[i], strlen(heads[i])) == 0)
            name += strlen(heads[i]);
    if (strcmp(want, "large-v3-turbo") == 0 && strcmp(name, "turbo") == 0)
        return true;
    return strcmp(name, want) == 0;
}

static const row *find(const char *name, size_t layers, size_t heads, size_t vocabulary) {
    const row *by_size = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].layers != layers || rows[i].heads != heads || rows[i].vocabulary != vocabulary)
            continue;
        if (name && same_name(name, rows[i].name))
            return &rows[i];
        if (!by_size)
            by_size = &rows[i];
    }
    return by_size;
}

size_t stapes__whisper_alignment_heads(const char *name, size_t layers, size_t heads,
                                       size_t vocabulary, stapes__whisper_head *out,
                                       size_t capacity) {
    const row *known = find(name, layers, heads, vocabulary);
    size_t n = 0;
    if (known) {
        for (; n < known->count && n < capacity; n++)
            out[n] = (stapes__whisper_head){known->pairs[2 * n], known->pairs[2 * n + 1]};
        return known->count;
    }
    size_t from = layers / 2;
    for (size_t l = from; l < layers; l++)
        for (size_t h = 0; h < heads; h++, n++)
            if (n < capacity)
                out[n] = (stapes__whisper_head){(uint16_t)l, (uint16_t)h};
    return n;
}
