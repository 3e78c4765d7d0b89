/* Shared by the encoder's files: weights and the table of relative positions. */
#ifndef STAPES_MODELS_FASTCONFORMER_INTERNAL_H
#define STAPES_MODELS_FASTCONFORMER_INTERNAL_H

#include <pthread.h>

#include "models/fastconformer/encoder.h"

typedef struct fc_norm {
    const float *gain, *bias; /* [d] */
} fc_norm;

typedef struct fc_feed_forward {
    stapes__weight *w1, *w2; /* [d_ff, d], [d, d_ff] */
    const float *b1, *b2;    /* or NULL */
} fc_feed_forward;

typedef struct fc_layer {
    fc_norm norm_ff1, norm_att, norm_conv, norm_ff2, norm_out;
    fc_feed_forward ff1, ff2;
    stapes__weight *qkv, *out, *pos; /* [3d, d], [d, d], [d, d] */
    const float *qkv_bias, *out_bias;
    const float *bias_u, *bias_w;    /* [heads, head_dim] */
    stapes__weight *point1, *point2; /* [2d, d], [d, d] */
    const float *point1_bias, *point2_bias;
    const float *depth, *depth_bias; /* [kernel, d], [d]; batch norm folded in */
    fc_norm conv_norm;               /* layer norm variant only */
} fc_layer;

enum { FC_MAX_STAGES = 6 };

typedef struct fc_subsampling {
    const float *first, *first_bias; /* [3, 3, C], [C] */
    /* stages after the first: depthwise + pointwise, or one full convolution as a product */
    const float *depth[FC_MAX_STAGES], *depth_bias[FC_MAX_STAGES];
    stapes__weight *point[FC_MAX_STAGES]; /* [C, C], or [C, 9 * C] with columns (time, bin, c) */
    const float *point_bias[FC_MAX_STAGES];
    stapes__weight *out; /* [d, bins * C], columns (bin, channel) */
    const float *out_bias;
} fc_subsampling;

/* p(distance) = W_pos pe(distance) of every layer, transposed for the attention kernel, for
 * distances -(reach - 1) .. reach - 1. Does not depend on the audio; grown on demand. */
typedef struct fc_positions {
    size_t reach;
    float **layers;             /* n_layers blocks of [heads, head_dim, 2 * reach - 1] */
    struct fc_positions *older; /* tables that running sessions may still read */
} fc_positions;

struct stapes__fc_encoder {
    const stapes__fc_config *config;
    const stapes__ops *ops;
    fc_subsampling sub;
    fc_layer *layers;
    pthread_mutex_t lock; /* guards positions */
    fc_positions *positions;
};

/* Subsamples all utterances: *out [sum of frames, d] in scratch, spans filled. */
stapes_status stapes__fc_subsample(const stapes__fc_encoder *encoder, const stapes__fc_run *run,
                                   stapes__arena *scratch, float **out, stapes__span *out_spans,
                                   stapes_error *err);

/* A table that reaches at least `frames`. NULL when memory is short. */
const fc_positions *stapes__fc_positions_get(stapes__fc_encoder *encoder, size_t frames,
                                             stapes__arena *scratch);
/* One layer's table for exactly `reach` into `table`, for lengths that are not worth keeping. */
bool stapes__fc_positions_layer(const stapes__fc_encoder *encoder, size_t layer, size_t reach,
                                stapes__arena *scratch, float *table);
void stapes__fc_positions_free(fc_positions *positions, size_t n_layers);

#endif
