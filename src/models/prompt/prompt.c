#include "models/prompt/prompt.h"

#include <stdlib.h>
#include <string.h>

struct stapes__prompt {
    size_t d, n_prompts, hidden;
    const stapes__ops *ops;
    stapes__weight *first, *second;
    const float *first_bias, *second_bias;
};

stapes__prompt *stapes__prompt_load(size_t d, size_t n_prompts, size_t hidden,
                                    stapes__loader *loader) {
    stapes__prompt *p = stapes__calloc(1, sizeof *p);
    if (!p) {
        loader->status = stapes__fail_memory(loader->err, "the prompt projector");
        return NULL;
    }
    *p = (stapes__prompt){.d = d, .n_prompts = n_prompts, .hidden = hidden, .ops = loader->ops};
    p->first = stapes__loader_weight(loader, "prompt_kernel.0.weight", hidden, d + n_prompts, NULL);
    p->first_bias = stapes__loader_floats(loader, "prompt_kernel.0.bias", hidden, 1.0f);
    p->second = stapes__loader_weight(loader, "prompt_kernel.2.weight", d, hidden, NULL);
    p->second_bias = stapes__loader_floats(loader, "prompt_kernel.2.bias", d, 1.0f);
    return p;
}

void stapes__prompt_free(stapes__prompt *p) {
    if (!p)
        return;
    p->ops->weight_free(p->first);
    p->ops->weight_free(p->second);
    free(p);
}

bool stapes__prompt_apply(const stapes__prompt *p, const float *frames, size_t rows, size_t id,
                          float *out, stapes__arena *scratch) {
    size_t width = p->d + p->n_prompts;
    stapes__arena_mark mark = stapes__arena_save(scratch);
    float *joined = stapes__arena_floats(scratch, rows * width);
    float *hidden = stapes__arena_floats(scratch, rows * p->hidden);
    bool good = joined && hidden && id < p->n_prompts;
    if (good) {
        memset(joined, 0, rows * width * sizeof *joined);
        for (size_t r = 0; r < rows; r++) {
            memcpy(joined + r * width, frames + r * p->d, p->d * sizeof *joined);
            joined[r * width + p->d + id] = 1.0f;
        }
        stapes__epilogue relu = {.bias = p->first_bias, .act = STAPES__ACT_RELU, .scale = 1.0f};
        stapes__epilogue plain = {.bias = p->second_bias, .scale = 1.0f};
        p->ops->linear(p->ops, p->first, joined, width, rows, &relu, hidden, p->hidden);
        p->ops->linear(p->ops, p->second, hidden, p->hidden, rows, &plain, out, p->d);
    }
    stapes__arena_restore(scratch, mark);
    return good;
}

typedef struct entry {
    const char *key;
    int id;
} entry;

static const entry dictionary[] = {
    {"en", 0},     {"en-US", 0},   {"en-GB", 1},   {"es-ES", 2},   {"es", 3},    {"es-US", 3},
    {"zh-CN", 4},  {"zh", 4},      {"zh-TW", 5},   {"hi", 6},      {"hi-IN", 6}, {"ar", 7},
    {"ar-AR", 7},  {"fr", 8},      {"fr-FR", 8},   {"de", 9},      {"de-DE", 9}, {"ja", 10},
    {"ja-JP", 10}, {"ru", 11},     {"ru-RU", 11},  {"pt-BR", 12},  {"pt", 13},   {"pt-PT", 13},
    {"ko", 14},    {"ko-KR", 14},  {"it", 15},     {"it-IT", 15},  {"nl", 16},   {"nl-NL", 16},
    {"pl", 17},    {"pl-PL", 17},  {"tr", 18},     {"tr-TR", 18},  {"uk", 19},   {"uk-UA", 19},
    {"ro", 20},    {"ro-RO", 20},  {"el", 21},     {"el-GR", 21},  {"cs", 22},   {"cs-CZ", 22},
    {"hu", 23},    {"hu-HU", 23},  {"sv", 24},     {"sv-SE", 24},  {"da", 25},   {"da-DK", 25},
    {"fi", 26},    {"fi-FI", 26},  {"no", 27},     {"no-NO", 27},  {"sk", 28},   {"sk-SK", 28},
    {"hr", 29},    {"hr-HR", 29},  {"bg", 30},     {"bg-BG", 30},  {"lt", 31},   {"lt-LT", 31},
    {"th", 32},    {"th-TH", 32},  {"vi", 33},     {"vi-VN", 33},  {"id", 34},   {"id-ID", 34},
    {"et", 60},    {"et-EE", 60},  {"lv", 61},     {"lv-LV", 61},  {"sl", 62},   {"sl-SI", 62},
    {"he", 64},    {"he-IL", 64},  {"fr-CA", 100}, {"auto", 101},  {"mt", 102},  {"mt-MT", 102},
    {"nb", 103},   {"nb-NO", 103}, {"nn", 104},    {"nn-NO", 104},
};

int stapes__prompt_find(const char *language) {
    for (size_t i = 0; i < sizeof dictionary / sizeof *dictionary; i++)
        if (strcmp(dictionary[i].key, language) == 0)
            return dictionary[i].id;
    return -1;
}
