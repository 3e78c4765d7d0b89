#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "models/fastconformer/internal.h"

typedef struct names {
    char text[160];
} names;

static const char *layer_name(names *n, int layer, const char *rest) {
    snprintf(n->text, sizeof n->text, "encoder.layers.%d.%s", layer, rest);
    return n->text;
}

static fc_norm load_norm(stapes__loader *loader, int layer, const char *which, size_t d) {
    names n;
    char rest[80];
    fc_norm norm;
    snprintf(rest, sizeof rest, "%s.weight", which);
    norm.gain = stapes__loader_floats(loader, layer_name(&n, layer, rest), d, 1.0f);
    snprintf(rest, sizeof rest, "%s.bias", which);
    norm.bias = stapes__loader_floats(loader, layer_name(&n, layer, rest), d, 1.0f);
    return norm;
}

/* The biases of one model are all there or all absent; layer 0 has told (config->use_bias). */
static const float *load_bias(stapes__loader *loader, bool present, int layer, const char *rest,
                              size_t count) {
    names n;
    return present ? stapes__loader_floats(loader, layer_name(&n, layer, rest), count, 1.0f) : NULL;
}

static fc_feed_forward load_feed_forward(stapes__loader *loader, const stapes__fc_config *config,
                                         int layer, int which) {
    names n;
    char rest[80];
    size_t d = (size_t)config->d_model, ff = (size_t)config->d_ff;
    fc_feed_forward out;
    snprintf(rest, sizeof rest, "feed_forward%d.linear1.weight", which);
    out.w1 = stapes__loader_weight(loader, layer_name(&n, layer, rest), ff, d, NULL);
    snprintf(rest, sizeof rest, "feed_forward%d.linear2.weight", which);
    out.w2 = stapes__loader_weight(loader, layer_name(&n, layer, rest), d, ff, NULL);
    snprintf(rest, sizeof rest, "feed_forward%d.linear1.bias", which);
    out.b1 = load_bias(loader, config->use_bias, layer, rest, ff);
    snprintf(rest, sizeof rest, "feed_forward%d.linear2.bias", which);
    out.b2 = load_bias(loader, config->use_bias, layer, rest, d);
    return out;
}

static void load_attention(stapes__loader *loader, const stapes__fc_config *config, int layer,
                           fc_layer *out) {
    static const char *const parts[3] = {"q", "k", "v"};
    size_t d = (size_t)config->d_model;
    names n, weights[3];
    const char *list[3];
    char rest[80];
    for (int i = 0; i < 3; i++) {
        snprintf(rest, sizeof rest, "self_attn.linear_%s.weight", parts[i]);
        list[i] = layer_name(&weights[i], layer, rest);
    }
    out->qkv = stapes__loader_stack(loader, list, 3, d, d);
    bool bias = stapes__loader_has(loader, layer_name(&n, 0, "self_attn.linear_q.bias"));
    float *joined = bias ? stapes__arena_floats(loader->arena, 3 * d) : NULL;
    for (int i = 0; bias && i < 3; i++) {
        snprintf(rest, sizeof rest, "self_attn.linear_%s.bias", parts[i]);
        const float *part = load_bias(loader, true, layer, rest, d);
        for (size_t c = 0; joined && part && c < d; c++)
            joined[(size_t)i * d + c] = part[c];
    }
    out->qkv_bias = joined;
    out->out = stapes__loader_weight(loader, layer_name(&n, layer, "self_attn.linear_out.weight"),
                                     d, d, NULL);
    out->out_bias = load_bias(loader, bias, layer, "self_attn.linear_out.bias", d);
    out->pos = stapes__loader_weight(loader, layer_name(&n, layer, "self_attn.linear_pos.weight"),
                                     d, d, NULL);
    out->bias_u =
        stapes__loader_floats(loader, layer_name(&n, layer, "self_attn.pos_bias_u"), d, 1.0f);
    out->bias_w =
        stapes__loader_floats(loader, layer_name(&n, layer, "self_attn.pos_bias_v"), d, 1.0f);
}

/* Folds the running statistics into the depthwise weight and bias (spec/fastconformer 8). */
static void fold_batch_norm(stapes__loader *loader, int layer, size_t d, size_t kernel,
                            float *depth, float *bias) {
    names n;
    fc_norm affine = load_norm(loader, layer, "conv.batch_norm", d);
    const float *mean = stapes__loader_floats(
        loader, layer_name(&n, layer, "conv.batch_norm.running_mean"), d, 1.0f);
    const float *var = stapes__loader_floats(
        loader, layer_name(&n, layer, "conv.batch_norm.running_var"), d, 1.0f);
    if (!affine.gain || !affine.bias || !mean || !var || !depth || !bias)
        return;
    for (size_t c = 0; c < d; c++) {
        double scale = (double)affine.gain[c] / sqrt((double)var[c] + 1e-5);
        for (size_t t = 0; t < kernel; t++)
            depth[t * d + c] = (float)(depth[t * d + c] * scale);
        bias[c] = (float)(((double)bias[c] - mean[c]) * scale + affine.bias[c]);
    }
}

static void load_convolution(stapes__loader *loader, const stapes__fc_config *config, int layer,
                             fc_layer *out) {
    names n;
    size_t d = (size_t)config->d_model, kernel = (size_t)config->conv_kernel;
    bool has_bias = stapes__loader_has(loader, layer_name(&n, 0, "conv.pointwise_conv1.bias"));
    out->point1 = stapes__loader_weight(
        loader, layer_name(&n, layer, "conv.pointwise_conv1.weight"), 2 * d, d, NULL);
    out->point1_bias = load_bias(loader, has_bias, layer, "conv.pointwise_conv1.bias", 2 * d);
    out->point2 = stapes__loader_weight(
        loader, layer_name(&n, layer, "conv.pointwise_conv2.weight"), d, d, NULL);
    out->point2_bias = load_bias(loader, has_bias, layer, "conv.pointwise_conv2.bias", d);

    const float *raw = stapes__loader_floats(
        loader, layer_name(&n, layer, "conv.depthwise_conv.weight"), d * kernel, 1.0f);
    const float *raw_bias = load_bias(loader, has_bias, layer, "conv.depthwise_conv.bias", d);
    float *depth = stapes__arena_floats(loader->arena, d * kernel);
    float *bias = stapes__arena_floats(loader->arena, d);
    if ((!depth || !bias) && loader->status == STAPES_OK)
        loader->status = stapes__fail_memory(loader->err, "convolution weights");
    if (raw && depth && bias) {
        for (size_t c = 0; c < d; c++) {
            bias[c] = raw_bias ? raw_bias[c] : 0.0f;
            for (size_t t = 0; t < kernel; t++)
                depth[t * d + c] = raw[c * kernel + t];
        }
    }
    if (config->conv_layer_norm)
        out->conv_norm = load_norm(loader, layer, "conv.batch_norm", d);
    else
        fold_batch_norm(loader, layer, d, kernel, depth, bias);
    out->depth = depth;
    out->depth_bias = bias;
}

/* [C, 1, 3, 3] -> [3, 3, C] */
static const float *load_kernel3x3(stapes__loader *loader, const char *name, size_t channels) {
    const stapes__tensor *t = stapes__loader_tensor(loader, name, channels, 1, 3, 3);
    const float *raw = t ? stapes__loader_floats(loader, name, channels * 9, 1.0f) : NULL;
    float *out = raw ? stapes__arena_floats(loader->arena, channels * 9) : NULL;
    for (size_t c = 0; out && c < channels; c++)
        for (size_t i = 0; i < 9; i++)
            out[i * channels + c] = raw[c * 9 + i];
    return out;
}

static void load_conv_stage(stapes__loader *loader, const stapes__fc_config *config,
                            fc_subsampling *sub, int stage) {
    size_t c = (size_t)config->sub_channels;
    char name[80];
    if (config->subsampling == STAPES__SUB_DW_STRIDING) {
        int index = 2 + 3 * (stage - 1);
        snprintf(name, sizeof name, "encoder.pre_encode.conv.%d.weight", index);
        sub->depth[stage] = load_kernel3x3(loader, name, c);
        snprintf(name, sizeof name, "encoder.pre_encode.conv.%d.bias", index);
        sub->depth_bias[stage] = stapes__loader_floats(loader, name, c, 1.0f);
        snprintf(name, sizeof name, "encoder.pre_encode.conv.%d.weight", index + 1);
        sub->point[stage] = stapes__loader_weight(loader, name, c, c, NULL);
        snprintf(name, sizeof name, "encoder.pre_encode.conv.%d.bias", index + 1);
        sub->point_bias[stage] = stapes__loader_floats(loader, name, c, 1.0f);
        return;
    }
    /* A full convolution is a product over gathered patches: [C, C, 3, 3] with the columns in the
     * order (time, bin, channel) of the channels-last patch. */
    size_t *column = stapes__calloc(9 * c, sizeof *column);
    if (!column) {
        loader->status = stapes__fail_memory(loader->err, "subsampling");
        return;
    }
    for (size_t i = 0; i < 9; i++)
        for (size_t ch = 0; ch < c; ch++)
            column[i * c + ch] = ch * 9 + i;
    snprintf(name, sizeof name, "encoder.pre_encode.conv.%d.weight", 2 * stage);
    const stapes__tensor *t = stapes__loader_tensor(loader, name, c, c, 3, 3);
    if (t && loader->status == STAPES_OK && loader->n_problems == 0) {
        stapes__pack_params params = {
            .parts = t, .n_parts = 1, .n = c, .k = 9 * c, .column = column};
        loader->status = loader->ops->pack(loader->ops, &params, &sub->point[stage], loader->err);
        stapes__loader_release(loader, t);
    }
    free(column);
    snprintf(name, sizeof name, "encoder.pre_encode.conv.%d.bias", 2 * stage);
    sub->point_bias[stage] = stapes__loader_floats(loader, name, c, 1.0f);
}

static void load_subsampling(stapes__loader *loader, const stapes__fc_config *config,
                             fc_subsampling *sub) {
    size_t c = (size_t)config->sub_channels, bins = (size_t)stapes__fc_bins(config);
    size_t d = (size_t)config->d_model;
    sub->first = load_kernel3x3(loader, "encoder.pre_encode.conv.0.weight", c);
    sub->first_bias = stapes__loader_floats(loader, "encoder.pre_encode.conv.0.bias", c, 1.0f);
    for (int stage = 1; stage < config->sub_stages; stage++)
        load_conv_stage(loader, config, sub, stage);
    /* The published layout is channel-major; ours is bin-major, channels last. */
    size_t *column = stapes__calloc(bins * c, sizeof *column);
    if (!column) {
        loader->status = stapes__fail_memory(loader->err, "subsampling");
        return;
    }
    for (size_t f = 0; f < bins; f++)
        for (size_t ch = 0; ch < c; ch++)
            column[f * c + ch] = ch * bins + f;
    sub->out = stapes__loader_weight(loader, "encoder.pre_encode.out.weight", d, bins * c, column);
    sub->out_bias = stapes__loader_floats(loader, "encoder.pre_encode.out.bias", d, 1.0f);
    free(column);
}

stapes__fc_encoder *stapes__fc_encoder_load(const stapes__fc_config *config,
                                            stapes__loader *loader) {
    stapes__fc_encoder *encoder = stapes__calloc(1, sizeof *encoder);
    fc_layer *layers = stapes__calloc((size_t)config->n_layers, sizeof *layers);
    if (!encoder || !layers) {
        free(encoder);
        free(layers);
        loader->status = stapes__fail_memory(loader->err, "the encoder");
        return NULL;
    }
    encoder->config = config;
    encoder->ops = loader->ops;
    encoder->layers = layers;
    pthread_mutex_init(&encoder->lock, NULL);
    load_subsampling(loader, config, &encoder->sub);
    size_t d = (size_t)config->d_model;
    for (int i = 0; i < config->n_layers; i++) {
        fc_layer *layer = &layers[i];
        layer->norm_ff1 = load_norm(loader, i, "norm_feed_forward1", d);
        layer->ff1 = load_feed_forward(loader, config, i, 1);
        layer->norm_att = load_norm(loader, i, "norm_self_att", d);
        load_attention(loader, config, i, layer);
        layer->norm_conv = load_norm(loader, i, "norm_conv", d);
        load_convolution(loader, config, i, layer);
        layer->norm_ff2 = load_norm(loader, i, "norm_feed_forward2", d);
        layer->ff2 = load_feed_forward(loader, config, i, 2);
        layer->norm_out = load_norm(loader, i, "norm_out", d);
    }
    return encoder;
}

void stapes__fc_encoder_free(stapes__fc_encoder *encoder) {
    if (!encoder)
        return;
    const stapes__ops *ops = encoder->ops;
    for (int i = 0; i < FC_MAX_STAGES; i++)
        ops->weight_free(encoder->sub.point[i]);
    ops->weight_free(encoder->sub.out);
    for (int i = 0; i < encoder->config->n_layers; i++) {
        fc_layer *l = &encoder->layers[i];
        stapes__weight *all[] = {l->ff1.w1, l->ff1.w2, l->ff2.w1, l->ff2.w2, l->qkv,
                                 l->out,    l->pos,    l->point1, l->point2};
        for (size_t w = 0; w < sizeof all / sizeof *all; w++)
            ops->weight_free(all[w]);
    }
    stapes__fc_positions_free(encoder->positions, (size_t)encoder->config->n_layers);
    pthread_mutex_destroy(&encoder->lock);
    free(encoder->layers);
    free(encoder);
}
