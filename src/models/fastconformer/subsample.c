#include <string.h>

#include "models/fastconformer/internal.h"

/* The subsampling runs in blocks of output frames, so that its large images (64 bins of 256
 * channels for every second mel frame) stay small whatever the length. A block reads some mel
 * frames before its first output: an output depends on 7 mel frames before its own 8 (14 when
 * causal), so one halo frame (two) makes the kept outputs independent of the cut, bit for bit. */
enum { BLOCK_FRAMES = 48 };

typedef struct image {
    float *data; /* [frames, bins, channels] */
    size_t frames, bins;
} image;

static image new_image(const stapes__fc_config *config, image in, size_t channels,
                       stapes__arena *scratch) {
    size_t pad = config->causal_subsampling ? 2 : 1;
    image out = {.frames = stapes__conv2d_length(in.frames, pad),
                 .bins = stapes__conv2d_length(in.bins, pad)};
    out.data = stapes__arena_floats(scratch, out.frames * out.bins * channels);
    return out;
}

/* Gathers the 3x3 patches of a channels-last image: [out.frames * out.bins, 9 * channels]. */
static void gather_patches(image in, image out, size_t channels, size_t pad, float *patches) {
    for (size_t t = 0; t < out.frames; t++)
        for (size_t f = 0; f < out.bins; f++)
            for (size_t i = 0; i < 9; i++) {
                size_t row = 2 * t + i / 3, bin = 2 * f + i % 3;
                float *to = patches + ((t * out.bins + f) * 9 + i) * channels;
                bool inside =
                    row >= pad && row - pad < in.frames && bin >= pad && bin - pad < in.bins;
                if (inside)
                    memcpy(to, in.data + ((row - pad) * in.bins + bin - pad) * channels,
                           channels * sizeof *to);
                else
                    memset(to, 0, channels * sizeof *to);
            }
}

/* One stage after the first. data is NULL when memory is short. */
static image run_stage(const stapes__fc_encoder *encoder, int stage, image in,
                       stapes__arena *scratch) {
    const stapes__fc_config *config = encoder->config;
    const stapes__ops *ops = encoder->ops;
    const fc_subsampling *sub = &encoder->sub;
    size_t channels = (size_t)config->sub_channels, pad = config->causal_subsampling ? 2 : 1;
    image out = new_image(config, in, channels, scratch);
    size_t width = config->subsampling == STAPES__SUB_DW_STRIDING ? channels : 9 * channels;
    float *input = stapes__arena_floats(scratch, out.frames * out.bins * width);
    if (!out.data || !input)
        return (image){0};
    if (config->subsampling == STAPES__SUB_DW_STRIDING) {
        stapes__span from = {0, in.frames}, to = {0, out.frames};
        stapes__conv2d conv = {.x = in.data,
                               .y = input,
                               .width_in = in.bins,
                               .width_out = out.bins,
                               .channels = channels,
                               .pad_before = pad,
                               .weight = sub->depth[stage],
                               .bias = sub->depth_bias[stage],
                               .in = &from,
                               .out = &to,
                               .n_spans = 1};
        ops->conv2d_depthwise(ops, &conv);
    } else {
        gather_patches(in, out, channels, pad, input);
    }
    stapes__epilogue relu = {
        .bias = sub->point_bias[stage], .act = STAPES__ACT_RELU, .scale = 1.0f};
    ops->linear(ops, sub->point[stage], input, width, out.frames * out.bins, &relu, out.data,
                channels);
    return out;
}

/* mel frames [first, first + count) of one utterance -> frames of the last stage's image. */
static image run_stages(const stapes__fc_encoder *encoder, const float *mel, size_t count,
                        stapes__arena *scratch) {
    const stapes__fc_config *config = encoder->config;
    const stapes__ops *ops = encoder->ops;
    size_t channels = (size_t)config->sub_channels;
    image in = {(float *)(uintptr_t)mel, count, (size_t)config->n_mels};
    image out = new_image(config, in, channels, scratch);
    if (!out.data)
        return out;
    stapes__span from = {0, in.frames}, to = {0, out.frames};
    stapes__conv2d conv = {.x = in.data,
                           .y = out.data,
                           .width_in = in.bins,
                           .width_out = out.bins,
                           .channels = channels,
                           .pad_before = config->causal_subsampling ? 2 : 1,
                           .weight = encoder->sub.first,
                           .bias = encoder->sub.first_bias,
                           .relu = true,
                           .in = &from,
                           .out = &to,
                           .n_spans = 1};
    ops->conv2d_first(ops, &conv);
    for (int stage = 1; stage < config->sub_stages && out.data; stage++)
        out = run_stage(encoder, stage, out, scratch);
    return out;
}

static bool subsample_utterance(const stapes__fc_encoder *encoder, const float *mel,
                                size_t mel_frames, float *out, stapes__arena *scratch) {
    const stapes__fc_config *config = encoder->config;
    const stapes__ops *ops = encoder->ops;
    size_t frames = stapes__fc_frames(config, mel_frames), d = (size_t)config->d_model;
    size_t factor = (size_t)stapes__fc_factor(config), halo = config->causal_subsampling ? 2 : 1;
    size_t columns = (size_t)stapes__fc_bins(config) * (size_t)config->sub_channels;
    stapes__epilogue bias = {.bias = encoder->sub.out_bias, .scale = 1.0f};
    for (size_t first = 0; first < frames; first += BLOCK_FRAMES) {
        stapes__arena_mark mark = stapes__arena_save(scratch);
        size_t skip = first < halo ? first : halo;
        size_t from = (first - skip) * factor, to = (first + BLOCK_FRAMES) * factor;
        bool last = first + BLOCK_FRAMES >= frames;
        if (last || to > mel_frames)
            to = mel_frames;
        image rows = run_stages(encoder, mel + from * (size_t)config->n_mels, to - from, scratch);
        if (!rows.data)
            return false;
        size_t count = last ? frames - first : BLOCK_FRAMES;
        ops->linear(ops, encoder->sub.out, rows.data + skip * columns, columns, count, &bias,
                    out + first * d, d);
        stapes__arena_restore(scratch, mark);
    }
    return true;
}

stapes_status stapes__fc_subsample(const stapes__fc_encoder *encoder, const stapes__fc_run *run,
                                   stapes__arena *scratch, float **out, stapes__span *out_spans,
                                   stapes_error *err) {
    size_t total = 0, d = (size_t)encoder->config->d_model;
    for (size_t i = 0; i < run->n_spans; i++) {
        out_spans[i].first = total;
        out_spans[i].count = stapes__fc_frames(encoder->config, run->spans[i].count);
        total += out_spans[i].count;
    }
    *out = stapes__arena_floats(scratch, total * d);
    if (!*out)
        return stapes__fail_memory(err, "encoder frames");
    for (size_t i = 0; i < run->n_spans; i++) {
        const float *mel = run->mel + run->spans[i].first * (size_t)encoder->config->n_mels;
        if (!subsample_utterance(encoder, mel, run->spans[i].count, *out + out_spans[i].first * d,
                                 scratch))
            return stapes__fail_memory(err, "the subsampling");
    }
    return STAPES_OK;
}
