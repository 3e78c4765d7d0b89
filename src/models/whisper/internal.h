/* Shared by the files of the Whisper networks: the blocks that encoder and decoder have in
 * common. */
#ifndef STAPES_MODELS_WHISPER_INTERNAL_H
#define STAPES_MODELS_WHISPER_INTERNAL_H

#include "models/loader.h"
#include "models/whisper/config.h"

typedef struct wh_norm {
    const float *gain, *bias; /* [d] */
} wh_norm;

typedef struct wh_mlp {
    wh_norm norm;
    stapes__weight *up, *down; /* [ff, d], [d, ff] */
    const float *up_bias, *down_bias;
} wh_mlp;

typedef struct wh_self {
    wh_norm norm;
    stapes__weight *qkv, *out;        /* [3d, d], [d, d] */
    const float *qkv_bias, *out_bias; /* that of the keys is zero */
} wh_self;

typedef struct wh_cross {
    wh_norm norm;
    stapes__weight *q, *kv, *out; /* [d, d], [2d, d], [d, d] */
    const float *q_bias, *kv_bias, *out_bias;
} wh_cross;

/* `at` is what stands before the part's own name: "encoder.blocks.3". Problems are left in the
 * loader. */
wh_norm stapes__wh_load_norm(stapes__loader *loader, const char *at, const char *part, size_t d);
void stapes__wh_load_mlp(stapes__loader *loader, const char *at, size_t d, size_t ff, wh_mlp *out);
void stapes__wh_load_self(stapes__loader *loader, const char *at, size_t d, wh_self *out);
void stapes__wh_load_cross(stapes__loader *loader, const char *at, size_t d, wh_cross *out);
void stapes__wh_free_mlp(const stapes__ops *ops, wh_mlp *mlp);
void stapes__wh_free_self(const stapes__ops *ops, wh_self *self);
void stapes__wh_free_cross(const stapes__ops *ops, wh_cross *cross);

/* y = norm(x), [rows, d] */
void stapes__wh_norm(const stapes__ops *ops, const wh_norm *norm, const float *x, size_t rows,
                     size_t d, float *y);
/* x += mlp(norm(x)); normed [rows, d] and wide [rows, ff] are overwritten. */
void stapes__wh_mlp(const stapes__ops *ops, const wh_mlp *mlp, float *x, size_t rows, size_t d,
                    size_t ff, float *normed, float *wide);
/* x += in weight^T + bias */
void stapes__wh_add(const stapes__ops *ops, const stapes__weight *weight, const float *bias,
                    const float *in, size_t ld_in, size_t rows, size_t d, float *x);

#endif
