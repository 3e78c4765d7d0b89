#include "models/transducer/transducer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LAYERS = 8 };

struct stapes__transducer {
    stapes__transducer_dims dims;
    const stapes__ops *ops;
    float *embedding;                                /* [vocabulary, hidden] */
    stapes__weight *ih[MAX_LAYERS], *hh[MAX_LAYERS]; /* [4 * hidden, hidden] */
    float *bias[MAX_LAYERS];                         /* b_ih + b_hh */
    stapes__weight *enc, *pred, *out;
    const float *enc_bias, *pred_bias, *out_bias;
};

static void load_lstm(stapes__transducer *t, stapes__loader *loader, size_t layer) {
    static const char base[] = "decoder.prediction.dec_rnn.lstm";
    size_t h = t->dims.hidden;
    char name[96];
    snprintf(name, sizeof name, "%s.weight_ih_l%zu", base, layer);
    t->ih[layer] = stapes__loader_weight(loader, name, 4 * h, h, NULL);
    snprintf(name, sizeof name, "%s.weight_hh_l%zu", base, layer);
    t->hh[layer] = stapes__loader_weight(loader, name, 4 * h, h, NULL);
    snprintf(name, sizeof name, "%s.bias_ih_l%zu", base, layer);
    t->bias[layer] = stapes__loader_floats(loader, name, 4 * h, 1.0f);
    snprintf(name, sizeof name, "%s.bias_hh_l%zu", base, layer);
    const float *second = stapes__loader_floats(loader, name, 4 * h, 1.0f);
    for (size_t i = 0; t->bias[layer] && second && i < 4 * h; i++)
        t->bias[layer][i] += second[i];
}

stapes__transducer *stapes__transducer_load(const stapes__transducer_dims *dims,
                                            stapes__loader *loader) {
    stapes__transducer *t = stapes__calloc(1, sizeof *t);
    if (!t || dims->layers > MAX_LAYERS) {
        free(t);
        loader->status = stapes__fail_memory(loader->err, "the prediction network");
        return NULL;
    }
    t->dims = *dims;
    t->ops = loader->ops;
    size_t h = dims->hidden, j = dims->joint, classes = dims->vocabulary + 1;
    t->embedding =
        stapes__loader_floats(loader, "decoder.prediction.embed.weight", classes * h, 1.0f);
    if (t->embedding) /* blank is the padding index: it reads as zero whatever is stored */
        memset(t->embedding + dims->vocabulary * h, 0, h * sizeof(float));
    for (size_t i = 0; i < dims->layers; i++)
        load_lstm(t, loader, i);
    t->enc = stapes__loader_weight(loader, "joint.enc.weight", j, dims->d_encoder, NULL);
    t->enc_bias = stapes__loader_floats(loader, "joint.enc.bias", j, 1.0f);
    t->pred = stapes__loader_weight(loader, "joint.pred.weight", j, h, NULL);
    t->pred_bias = stapes__loader_floats(loader, "joint.pred.bias", j, 1.0f);
    size_t rows = classes + dims->n_durations;
    t->out = stapes__loader_weight(loader, "joint.joint_net.2.weight", rows, j, NULL);
    t->out_bias = stapes__loader_floats(loader, "joint.joint_net.2.bias", rows, 1.0f);
    return t;
}

void stapes__transducer_free(stapes__transducer *t) {
    if (!t)
        return;
    for (size_t i = 0; i < t->dims.layers; i++) {
        t->ops->weight_free(t->ih[i]);
        t->ops->weight_free(t->hh[i]);
    }
    t->ops->weight_free(t->enc);
    t->ops->weight_free(t->pred);
    t->ops->weight_free(t->out);
    free(t);
}

void stapes__transducer_project(const stapes__transducer *t, const float *frames, size_t rows,
                                float *f) {
    stapes__epilogue bias = {.bias = t->enc_bias, .scale = 1.0f};
    t->ops->linear(t->ops, t->enc, frames, t->dims.d_encoder, rows, &bias, f, t->dims.joint);
}

bool stapes__transducer_predict(const stapes__transducer *t, const int32_t *labels, size_t n,
                                float *h, float *c, float *g, stapes__arena *scratch) {
    const stapes__ops *ops = t->ops;
    size_t d = t->dims.hidden, layers = t->dims.layers;
    stapes__arena_mark mark = stapes__arena_save(scratch);
    float *x = stapes__arena_floats(scratch, n * d);
    float *gates = stapes__arena_floats(scratch, n * 4 * d);
    bool good = x && gates;
    for (size_t i = 0; good && i < n; i++)
        memcpy(x + i * d, t->embedding + (size_t)labels[i] * d, d * sizeof *x);
    for (size_t layer = 0; good && layer < layers; layer++) {
        stapes__epilogue first = {.bias = t->bias[layer], .scale = 1.0f};
        stapes__epilogue second = {.scale = 1.0f, .residual = gates, .ld_residual = 4 * d};
        ops->linear(ops, t->ih[layer], x, d, n, &first, gates, 4 * d);
        ops->linear(ops, t->hh[layer], h + layer * d, layers * d, n, &second, gates, 4 * d);
        for (size_t i = 0; i < n; i++) { /* the states of one hypothesis are layer by layer */
            float *hi = h + (i * layers + layer) * d, *ci = c + (i * layers + layer) * d;
            ops->lstm_cell(ops, gates + i * 4 * d, 1, d, ci, hi);
            memcpy(x + i * d, hi, d * sizeof *x);
        }
    }
    if (good) {
        stapes__epilogue bias = {.bias = t->pred_bias, .scale = 1.0f};
        ops->linear(ops, t->pred, x, d, n, &bias, g, t->dims.joint);
    }
    stapes__arena_restore(scratch, mark);
    return good;
}

bool stapes__transducer_join(const stapes__transducer *t, const float *f, const float *g, size_t n,
                             float *logits, stapes__arena *scratch) {
    const stapes__ops *ops = t->ops;
    size_t j = t->dims.joint, rows = t->dims.vocabulary + 1 + t->dims.n_durations;
    stapes__arena_mark mark = stapes__arena_save(scratch);
    float *hidden = stapes__arena_floats(scratch, n * j);
    if (hidden) {
        ops->add_relu(ops, f, j, g, j, n, j, hidden);
        stapes__epilogue bias = {.bias = t->out_bias, .scale = 1.0f};
        ops->linear(ops, t->out, hidden, j, n, &bias, logits, rows);
    }
    stapes__arena_restore(scratch, mark);
    return hidden != NULL;
}
