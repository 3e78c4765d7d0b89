#include "models/whisper/encoder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/whisper/internal.h"

typedef struct encoder_layer {
    wh_self self;
    wh_mlp mlp;
} encoder_layer;

struct stapes__whisper_encoder {
    const stapes__whisper_config *config;
    const stapes__ops *ops;
    stapes__weight *conv1, *conv2; /* [d, 3 * n_mels], [d, 3 * d], columns (time, channel) */
    const float *conv1_bias, *conv2_bias;
    const float *positions; /* [n_audio_ctx, d] */
    encoder_layer *layers;
    wh_norm norm_out;
};

/* ---- loading ---- */

/* [d, channels, 3] packed with columns in the order in which the input lies in memory. */
static stapes__weight *load_convolution(stapes__loader *loader, const char *name, size_t d,
                                        size_t channels) {
    const stapes__tensor *tensor = stapes__loader_tensor(loader, name, d, channels, 3, 0);
    size_t *column = tensor ? stapes__calloc(3 * channels, sizeof *column) : NULL;
    if (tensor && !column)
        loader->status = stapes__fail_memory(loader->err, name);
    if (!column || loader->n_problems > 0 || loader->status != STAPES_OK) {
        free(column);
        return NULL;
    }
    for (size_t time = 0; time < 3; time++)
        for (size_t c = 0; c < channels; c++)
            column[time * channels + c] = c * 3 + time;
    stapes__pack_params params = {
        .parts = tensor, .n_parts = 1, .n = d, .k = 3 * channels, .column = column};
    stapes__weight *weight = NULL;
    loader->status = loader->ops->pack(loader->ops, &params, &weight, loader->err);
    free(column);
    if (loader->status == STAPES_OK) {
        loader->packed_bytes += loader->ops->weight_bytes(weight);
        stapes__loader_release(loader, tensor);
    }
    return weight;
}

/* The stored table, or the formula's: sines in the first half of the columns, cosines in the
 * second. */
static const float *load_positions(stapes__loader *loader, size_t rows, size_t d) {
    static const char name[] = "encoder.positional_embedding";
    if (stapes__loader_has(loader, name)) {
        bool fits = stapes__loader_tensor(loader, name, rows, d, 0, 0) != NULL;
        return fits ? stapes__loader_floats(loader, name, rows * d, 1.0f) : NULL;
    }
    float *table = stapes__arena_floats(loader->arena, rows * d);
    if (!table) {
        loader->status = stapes__fail_memory(loader->err, name);
        return NULL;
    }
    size_t half = d / 2;
    double step = half > 1 ? log(10000.0) / (double)(half - 1) : 0.0;
    for (size_t t = 0; t < rows; t++) {
        for (size_t k = 0; k < half; k++) {
            double angle = (double)t * exp(-step * (double)k);
            table[t * d + k] = (float)sin(angle);
            table[t * d + half + k] = (float)cos(angle);
        }
    }
    return table;
}

stapes__whisper_encoder *stapes__whisper_encoder_load(const stapes__whisper_config *config,
                                                      stapes__loader *loader) {
    size_t d = (size_t)config->d_model, mels = (size_t)config->n_mels;
    stapes__whisper_encoder *e = stapes__calloc(1, sizeof *e);
    if (e)
        e->layers = stapes__calloc((size_t)config->audio_layers, sizeof *e->layers);
    if (!e || !e->layers) {
        free(e);
        loader->status = stapes__fail_memory(loader->err, "the encoder");
        return NULL;
    }
    e->config = config;
    e->ops = loader->ops;
    e->conv1 = load_convolution(loader, "encoder.conv1.weight", d, mels);
    e->conv1_bias = stapes__loader_floats(loader, "encoder.conv1.bias", d, 1.0f);
    e->conv2 = load_convolution(loader, "encoder.conv2.weight", d, d);
    e->conv2_bias = stapes__loader_floats(loader, "encoder.conv2.bias", d, 1.0f);
    e->positions = load_positions(loader, (size_t)config->n_audio_ctx, d);
    for (int i = 0; i < config->audio_layers; i++) {
        char at[48];
        snprintf(at, sizeof at, "encoder.blocks.%d", i);
        stapes__wh_load_self(loader, at, d, &e->layers[i].self);
        stapes__wh_load_mlp(loader, at, d, (size_t)config->audio_ff, &e->layers[i].mlp);
    }
    e->norm_out = stapes__wh_load_norm(loader, "encoder", "ln_post", d);
    return e;
}

void stapes__whisper_encoder_free(stapes__whisper_encoder *encoder) {
    if (!encoder)
        return;
    const stapes__ops *ops = encoder->ops;
    ops->weight_free(encoder->conv1);
    ops->weight_free(encoder->conv2);
    for (int i = 0; i < encoder->config->audio_layers; i++) {
        stapes__wh_free_self(ops, &encoder->layers[i].self);
        stapes__wh_free_mlp(ops, &encoder->layers[i].mlp);
    }
    free(encoder->layers);
    free(encoder);
}

/* ---- running ---- */

/* Buffers of one run over all rows of the batch. */
typedef struct workspace {
    const stapes__whisper_run *run;
    stapes__arena *scratch;
    float *x, *normed, *wide; /* [rows, d], [rows, d], [rows, max(ff, 3d)] */
    size_t rows, d;
    stapes__kv kv; /* of one layer at a time */
    stapes__attention_group *groups;
} workspace;

static void tap(const workspace *w, int layer, const char *what, const float *data, size_t rows,
                size_t columns) {
    char name[64];
    if (!w->run->tap)
        return;
    if (layer < 0)
        snprintf(name, sizeof name, "%s", what);
    else
        snprintf(name, sizeof name, "layers.%d%s%s", layer, *what ? "." : "", what);
    w->run->tap(w->run->tap_user, name, data, rows, columns);
}

/* Both convolutions of one window. The rows that a kernel of 3 sees lie one after another once a
 * row of zeros stands at either end, so a product over rows that overlap needs no patches. */
static bool convolve(const stapes__whisper_encoder *e, const workspace *w, const float *mel,
                     size_t frames, float *out) {
    const stapes__ops *ops = e->ops;
    size_t d = w->d, mels = (size_t)e->config->n_mels, positions = (frames + 1) / 2;
    stapes__arena_mark mark = stapes__arena_save(w->scratch);
    float *input = stapes__arena_floats(w->scratch, (frames + 2) * mels);
    float *middle = stapes__arena_floats(w->scratch, (frames + 2) * d);
    if (input && middle) {
        memset(input, 0, mels * sizeof *input);
        memcpy(input + mels, mel, frames * mels * sizeof *input);
        memset(input + (frames + 1) * mels, 0, mels * sizeof *input);
        memset(middle, 0, d * sizeof *middle);
        memset(middle + (frames + 1) * d, 0, d * sizeof *middle);
        if (w->run->tap) {
            stapes__epilogue bare = {.bias = e->conv1_bias, .scale = 1.0f};
            ops->linear(ops, e->conv1, input, mels, frames, &bare, middle + d, d);
            tap(w, -1, "conv1", middle + d, frames, d);
        }
        stapes__epilogue first = {.bias = e->conv1_bias, .act = STAPES__ACT_GELU, .scale = 1.0f};
        ops->linear(ops, e->conv1, input, mels, frames, &first, middle + d, d);
        if (w->run->tap) {
            stapes__epilogue bare = {.bias = e->conv2_bias, .scale = 1.0f};
            ops->linear(ops, e->conv2, middle, 2 * d, positions, &bare, out, d);
            tap(w, -1, "conv2", out, positions, d);
        }
        stapes__epilogue second = {.bias = e->conv2_bias,
                                   .act = STAPES__ACT_GELU,
                                   .scale = 1.0f,
                                   .residual = e->positions,
                                   .ld_residual = d};
        ops->linear(ops, e->conv2, middle, 2 * d, positions, &second, out, d);
    }
    stapes__arena_restore(w->scratch, mark);
    return input && middle;
}

static bool attend(const stapes__whisper_encoder *e, const workspace *w, int index) {
    const stapes__ops *ops = e->ops;
    const wh_self *self = &e->layers[index].self;
    size_t d = w->d;
    stapes__wh_norm(ops, &self->norm, w->x, w->rows, d, w->normed);
    tap(w, index, "self_attn_layer_norm", w->normed, w->rows, d);
    stapes__epilogue bias = {.bias = self->qkv_bias, .scale = 1.0f};
    ops->linear(ops, self->qkv, w->normed, d, w->rows, &bias, w->wide, 3 * d);
    ops->kv_put(ops, &w->kv, 0, NULL, w->rows, w->wide + d, 3 * d, w->wide + 2 * d, 3 * d);
    stapes__attention a = {.q = w->wide,
                           .ldq = 3 * d,
                           .out = w->normed,
                           .ldo = d,
                           .kv = &w->kv,
                           .scale = 1.0f / sqrtf((float)w->kv.head_dim),
                           .groups = w->groups,
                           .n_groups = w->run->n_spans};
    if (!ops->attention(ops, &a, w->scratch))
        return false;
    if (w->run->tap) {
        stapes__epilogue bare = {.bias = self->out_bias, .scale = 1.0f};
        ops->linear(ops, self->out, w->normed, d, w->rows, &bare, w->wide, d);
        tap(w, index, "self_attn", w->wide, w->rows, d);
    }
    stapes__wh_add(ops, self->out, self->out_bias, w->normed, d, w->rows, d, w->x);
    return true;
}

/* The sub-steps of the feed-forward network, for the tap alone. */
static void tap_mlp(const stapes__whisper_encoder *e, const workspace *w, int index) {
    const stapes__ops *ops = e->ops;
    const wh_mlp *mlp = &e->layers[index].mlp;
    size_t d = w->d, ff = (size_t)e->config->audio_ff;
    stapes__wh_norm(ops, &mlp->norm, w->x, w->rows, d, w->normed);
    stapes__epilogue up = {.bias = mlp->up_bias, .scale = 1.0f};
    ops->linear(ops, mlp->up, w->normed, d, w->rows, &up, w->wide, ff);
    tap(w, index, "fc1", w->wide, w->rows, ff);
    up.act = STAPES__ACT_GELU;
    ops->linear(ops, mlp->up, w->normed, d, w->rows, &up, w->wide, ff);
    stapes__epilogue down = {.bias = mlp->down_bias, .scale = 1.0f};
    ops->linear(ops, mlp->down, w->wide, ff, w->rows, &down, w->normed, d);
    tap(w, index, "fc2", w->normed, w->rows, d);
}

static bool prepare(const stapes__whisper_encoder *e, workspace *w, const stapes__span *spans) {
    const stapes__whisper_config *c = e->config;
    size_t d = w->d, wide = (size_t)c->audio_ff > 3 * d ? (size_t)c->audio_ff : 3 * d;
    size_t heads = (size_t)c->audio_heads;
    w->normed = stapes__arena_floats(w->scratch, w->rows * d);
    w->wide = stapes__arena_floats(w->scratch, w->rows * wide);
    w->groups = stapes__arena_alloc(w->scratch, w->run->n_spans * sizeof *w->groups);
    w->kv = (stapes__kv){.rows = w->rows, .n_heads = heads, .head_dim = d / heads};
    w->kv.data = stapes__arena_floats(w->scratch, e->ops->kv_floats(w->rows, heads, d / heads));
    for (size_t i = 0; w->groups && i < w->run->n_spans; i++)
        w->groups[i] = (stapes__attention_group){.q_first = spans[i].first,
                                                 .q_count = spans[i].count,
                                                 .k_first = spans[i].first,
                                                 .k_count = spans[i].count};
    return w->normed && w->wide && w->groups && w->kv.data;
}

static stapes_status run_layers(const stapes__whisper_encoder *e, const workspace *w,
                                stapes_error *err) {
    const stapes__whisper_config *c = e->config;
    for (int i = 0; i < c->audio_layers; i++) {
        if (!attend(e, w, i))
            return stapes__fail_memory(err, "attention");
        if (w->run->tap)
            tap_mlp(e, w, i);
        stapes__wh_mlp(e->ops, &e->layers[i].mlp, w->x, w->rows, w->d, (size_t)c->audio_ff,
                       w->normed, w->wide);
        tap(w, i, "", w->x, w->rows, w->d);
        if (w->run->tick &&
            !w->run->tick(w->run->tick_user, (double)(i + 1) / (double)c->audio_layers))
            return stapes__fail(err, STAPES_E_ABORTED, "stopped on request");
    }
    return STAPES_OK;
}

static stapes_status lay_out(const stapes__whisper_config *c, const stapes__whisper_run *run,
                             stapes__span *out_spans, size_t *rows, stapes_error *err) {
    size_t most = 2 * (size_t)c->n_audio_ctx;
    for (size_t i = 0; i < run->n_spans; i++) {
        if (run->spans[i].count > most)
            return stapes__fail(err, STAPES_E_ARGUMENT,
                                "a window of %zu mel frames is longer than the model's %zu",
                                run->spans[i].count, most);
        out_spans[i] = (stapes__span){*rows, (run->spans[i].count + 1) / 2};
        *rows += out_spans[i].count;
    }
    return STAPES_OK;
}

stapes_status stapes__whisper_encode(const stapes__whisper_encoder *encoder,
                                     const stapes__whisper_run *run, stapes__arena *scratch,
                                     float **out, stapes__span *out_spans, stapes_error *err) {
    const stapes__whisper_config *c = encoder->config;
    workspace w = {.run = run, .scratch = scratch, .d = (size_t)c->d_model};
    stapes_status status = lay_out(c, run, out_spans, &w.rows, err);
    if (status != STAPES_OK)
        return status;
    *out = w.x = stapes__arena_floats(scratch, w.rows * w.d);
    if (!w.x)
        return stapes__fail_memory(err, "the encoder's output");
    if (w.rows == 0)
        return STAPES_OK;
    for (size_t i = 0; i < run->n_spans; i++) {
        if (!convolve(encoder, &w, run->mel + run->spans[i].first * (size_t)c->n_mels,
                      run->spans[i].count, w.x + out_spans[i].first * w.d))
            return stapes__fail_memory(err, "the encoder's convolutions");
    }
    stapes__arena_mark mark = stapes__arena_save(scratch);
    status = prepare(encoder, &w, out_spans)
                 ? run_layers(encoder, &w, err)
                 : stapes__fail_memory(err, "the encoder's activations");
    if (status == STAPES_OK) {
        stapes__wh_norm(encoder->ops, &encoder->norm_out, w.x, w.rows, w.d, w.x);
        tap(&w, -1, "encoder", w.x, w.rows, w.d);
    }
    stapes__arena_restore(scratch, mark);
    return status;
}
