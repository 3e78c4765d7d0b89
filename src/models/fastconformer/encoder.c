#include "models/fastconformer/encoder.h"

#include <math.h>
#include <stdio.h>

#include "models/fastconformer/internal.h"

/* Tables for longer inputs are made layer by layer and dropped again (full attention over many
 * minutes, asked for by hand). */
enum { KEPT_REACH = 2048 };

/* Buffers of one run over all rows of the batch. */
typedef struct workspace {
    const stapes__fc_run *run;
    stapes__arena *scratch;
    float *x;      /* [rows, d]: the residual stream */
    float *normed; /* [rows, d] */
    float *wide;   /* [rows, max(d_ff, 3d, 2d + d)] */
    size_t rows, d, longest;
    stapes__span *spans;
    stapes__attention_span *attention;
    const fc_positions *positions; /* NULL: transient tables */
    float *position_scratch;
    stapes_error *err;
} workspace;

static void tap(const workspace *w, int layer, const char *what, const float *data,
                size_t columns) {
    if (!w->run->tap)
        return;
    char name[96];
    if (layer < 0)
        snprintf(name, sizeof name, "%s", what);
    else
        snprintf(name, sizeof name, "layers.%d%s%s", layer, *what ? "." : "", what);
    w->run->tap(w->run->tap_user, name, data, w->rows, columns);
}

static void norm(const stapes__fc_encoder *e, const workspace *w, const fc_norm *n, float *out) {
    e->ops->layer_norm(e->ops, w->x, w->rows, w->d, n->gain, n->bias, 1e-5f, out);
}

static void feed_forward(const stapes__fc_encoder *e, const workspace *w, int layer,
                         const fc_norm *before, const fc_feed_forward *ff, const char *what) {
    const stapes__ops *ops = e->ops;
    size_t d_ff = (size_t)e->config->d_ff;
    char name[48];
    norm(e, w, before, w->normed);
    snprintf(name, sizeof name, "norm_%s", what);
    tap(w, layer, name, w->normed, w->d);
    stapes__epilogue up = {.bias = ff->b1, .act = STAPES__ACT_SILU, .scale = 1.0f};
    ops->linear(ops, ff->w1, w->normed, w->d, w->rows, &up, w->wide, d_ff);
    if (w->run->tap) { /* the module's own output, before the halving and the residual */
        stapes__epilogue bare = {.bias = ff->b2, .scale = 1.0f};
        ops->linear(ops, ff->w2, w->wide, d_ff, w->rows, &bare, w->normed, w->d);
        tap(w, layer, what, w->normed, w->d);
    }
    stapes__epilogue down = {.bias = ff->b2, .scale = 0.5f, .residual = w->x, .ld_residual = w->d};
    ops->linear(ops, ff->w2, w->wide, d_ff, w->rows, &down, w->x, w->d);
}

static stapes_status attention(const stapes__fc_encoder *e, const workspace *w, int index) {
    const stapes__ops *ops = e->ops;
    const fc_layer *layer = &e->layers[index];
    size_t d = w->d, heads = (size_t)e->config->n_heads, head_dim = d / heads;
    norm(e, w, &layer->norm_att, w->normed);
    tap(w, index, "norm_self_att", w->normed, d);
    stapes__epilogue bias = {.bias = layer->qkv_bias, .scale = 1.0f};
    ops->linear(ops, layer->qkv, w->normed, d, w->rows, &bias, w->wide, 3 * d);
    tap(w, index, "self_attn.qkv", w->wide, 3 * d);
    size_t reach = w->positions ? w->positions->reach : w->longest;
    const float *table = w->positions ? w->positions->layers[index] : w->position_scratch;
    if (!w->positions &&
        !stapes__fc_positions_layer(e, (size_t)index, reach, w->scratch, w->position_scratch))
        return stapes__fail_memory(w->err, "relative positions");
    stapes__rel_attention a = {.q = w->wide,
                               .k = w->wide + d,
                               .v = w->wide + 2 * d,
                               .ldq = 3 * d,
                               .ldk = 3 * d,
                               .ldv = 3 * d,
                               .out = w->normed,
                               .ldo = d,
                               .n_heads = heads,
                               .head_dim = head_dim,
                               .bias_u = layer->bias_u,
                               .bias_w = layer->bias_w,
                               .positions = table,
                               .n_positions = 2 * reach - 1,
                               .position_zero = reach - 1,
                               .scale = 1.0f / sqrtf((float)head_dim),
                               .spans = w->attention,
                               .n_spans = w->run->n_spans,
                               .mask = w->run->mask};
    if (!ops->rel_attention(ops, &a, w->scratch))
        return stapes__fail_memory(w->err, "attention");
    if (w->run->tap) {
        stapes__epilogue bare = {.bias = layer->out_bias, .scale = 1.0f};
        ops->linear(ops, layer->out, w->normed, d, w->rows, &bare, w->wide, d);
        tap(w, index, "self_attn", w->wide, d);
    }
    stapes__epilogue add = {
        .bias = layer->out_bias, .scale = 1.0f, .residual = w->x, .ld_residual = d};
    ops->linear(ops, layer->out, w->normed, d, w->rows, &add, w->x, d);
    return STAPES_OK;
}

static stapes_status convolution(const stapes__fc_encoder *e, const workspace *w, int index) {
    const stapes__ops *ops = e->ops;
    const fc_layer *layer = &e->layers[index];
    size_t d = w->d;
    norm(e, w, &layer->norm_conv, w->normed);
    tap(w, index, "norm_conv", w->normed, d);
    stapes__epilogue bias = {.bias = layer->point1_bias, .scale = 1.0f};
    ops->linear(ops, layer->point1, w->normed, d, w->rows, &bias, w->wide, 2 * d);
    tap(w, index, "conv.pointwise_conv1", w->wide, 2 * d);
    stapes__conv_module conv = {.x = w->wide,
                                .y = w->normed,
                                .d = d,
                                .kernel = (size_t)e->config->conv_kernel,
                                .pad_left = (size_t)e->config->conv_pad_left,
                                .weight = layer->depth,
                                .bias = layer->depth_bias,
                                .norm_gain = layer->conv_norm.gain,
                                .norm_bias = layer->conv_norm.bias,
                                .norm_eps = 1e-5f,
                                .spans = w->spans,
                                .n_spans = w->run->n_spans};
    if (!ops->conv_module(ops, &conv, w->scratch))
        return stapes__fail_memory(w->err, "the convolution module");
    tap(w, index, "conv.activated", w->normed, d);
    if (w->run->tap) {
        stapes__epilogue bare = {.bias = layer->point2_bias, .scale = 1.0f};
        ops->linear(ops, layer->point2, w->normed, d, w->rows, &bare, w->wide, d);
        tap(w, index, "conv", w->wide, d);
    }
    stapes__epilogue add = {
        .bias = layer->point2_bias, .scale = 1.0f, .residual = w->x, .ld_residual = d};
    ops->linear(ops, layer->point2, w->normed, d, w->rows, &add, w->x, d);
    return STAPES_OK;
}

static stapes_status run_layer(const stapes__fc_encoder *e, const workspace *w, int index) {
    const fc_layer *layer = &e->layers[index];
    tap(w, index, "residual.0", w->x, w->d);
    feed_forward(e, w, index, &layer->norm_ff1, &layer->ff1, "feed_forward1");
    tap(w, index, "residual.1", w->x, w->d);
    stapes_status status = attention(e, w, index);
    if (status != STAPES_OK)
        return status;
    tap(w, index, "residual.2", w->x, w->d);
    status = convolution(e, w, index);
    if (status != STAPES_OK)
        return status;
    tap(w, index, "residual.3", w->x, w->d);
    feed_forward(e, w, index, &layer->norm_ff2, &layer->ff2, "feed_forward2");
    tap(w, index, "residual.4", w->x, w->d);
    norm(e, w, &layer->norm_out, w->x);
    tap(w, index, "", w->x, w->d);
    return STAPES_OK;
}

static stapes_status prepare(stapes__fc_encoder *e, workspace *w) {
    size_t d = w->d, wide = (size_t)e->config->d_ff > 3 * d ? (size_t)e->config->d_ff : 3 * d;
    w->normed = stapes__arena_floats(w->scratch, w->rows * d);
    w->wide = stapes__arena_floats(w->scratch, w->rows * wide);
    w->attention = stapes__arena_alloc(w->scratch, w->run->n_spans * sizeof *w->attention);
    if (!w->normed || !w->wide || !w->attention)
        return stapes__fail_memory(w->err, "the encoder's activations");
    for (size_t i = 0; i < w->run->n_spans; i++) {
        stapes__span s = w->spans[i];
        w->attention[i] = (stapes__attention_span){
            .q_first = s.first, .q_count = s.count, .k_first = s.first, .k_count = s.count};
        if (s.count > w->longest)
            w->longest = s.count;
    }
    if (w->longest == 0)
        return STAPES_OK;
    if (w->longest <= KEPT_REACH) {
        w->positions = stapes__fc_positions_get(e, w->longest, w->scratch);
        if (!w->positions)
            return stapes__fail_memory(w->err, "relative positions");
        return STAPES_OK;
    }
    w->position_scratch = stapes__arena_floats(w->scratch, (2 * w->longest - 1) * d);
    return w->position_scratch ? STAPES_OK : stapes__fail_memory(w->err, "relative positions");
}

stapes_status stapes__fc_encode(stapes__fc_encoder *encoder, const stapes__fc_run *run,
                                stapes__arena *scratch, float **out, stapes__span *out_spans,
                                stapes_error *err) {
    const stapes__fc_config *config = encoder->config;
    workspace w = {.run = run,
                   .scratch = scratch,
                   .d = (size_t)config->d_model,
                   .spans = out_spans,
                   .err = err};
    stapes_status status = stapes__fc_subsample(encoder, run, scratch, &w.x, out_spans, err);
    if (status != STAPES_OK)
        return status;
    for (size_t i = 0; i < run->n_spans; i++)
        w.rows += out_spans[i].count;
    *out = w.x;
    tap(&w, -1, "subsampling", w.x, w.d);
    if (config->xscaling) {
        float scale = (float)sqrt((double)config->d_model);
        for (size_t i = 0; i < w.rows * w.d; i++)
            w.x[i] *= scale;
    }
    stapes__arena_mark mark = stapes__arena_save(scratch);
    status = prepare(encoder, &w);
    for (int i = 0; status == STAPES_OK && w.rows > 0 && i < config->n_layers; i++) {
        status = run_layer(encoder, &w, i);
        if (status == STAPES_OK && run->tick &&
            !run->tick(run->tick_user, (double)(i + 1) / config->n_layers))
            status = stapes__fail(err, STAPES_E_ABORTED, "stopped on request");
    }
    stapes__arena_restore(scratch, mark);
    if (status == STAPES_OK)
        tap(&w, -1, "encoder", w.x, w.d);
    return status;
}

stapes__attention_mask stapes__fc_mask(const stapes__fc_config *config, int context) {
    stapes__context c = config->contexts[context < config->n_contexts ? context : 0];
    stapes__attention_mask mask = {.left = c.left, .right = c.right};
    if (config->att_style == STAPES__ATT_CHUNKED && c.right >= 0) {
        mask.chunk = c.right + 1;
        mask.right = 0;
    }
    return mask;
}
