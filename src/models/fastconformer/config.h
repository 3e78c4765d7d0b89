/* Configuration of a FastConformer model (Parakeet, Nemotron), read from a Hugging Face config.json
 * or a NeMo model_config.yaml, completed and checked by the tensors (spec/fastconformer 2, 3). */
#ifndef STAPES_MODELS_FASTCONFORMER_CONFIG_H
#define STAPES_MODELS_FASTCONFORMER_CONFIG_H

#include "audio/logmel.h"
#include "weights/container.h"

enum { STAPES__MAX_DURATIONS = 16, STAPES__MAX_CONTEXTS = 8 };

typedef enum stapes__subsampling {
    STAPES__SUB_DW_STRIDING, /* 3x3 conv, then depthwise 3x3 + pointwise */
    STAPES__SUB_STRIDING     /* full 3x3 convolutions */
} stapes__subsampling;

typedef enum stapes__attention_style {
    STAPES__ATT_REGULAR,
    STAPES__ATT_CHUNKED /* chunked_limited */
} stapes__attention_style;

typedef struct stapes__context {
    int left, right; /* encoder frames, -1 = unlimited */
} stapes__context;

typedef struct stapes__fc_config {
    /* encoder */
    int n_mels, d_model, n_layers, n_heads, d_ff;
    int conv_kernel, conv_pad_left; /* of the depthwise convolution over time */
    bool conv_layer_norm;           /* otherwise batch norm */
    bool use_bias, xscaling;
    stapes__subsampling subsampling;
    int sub_stages; /* stride-2 stages: 3 = factor 8, 2 = factor 4 */
    int sub_channels;
    bool causal_subsampling;
    stapes__attention_style att_style;
    stapes__context contexts[STAPES__MAX_CONTEXTS]; /* offline runs use the first */
    int n_contexts;

    /* front end */
    stapes__mel_normalize normalize;
    double preemphasis;

    /* heads; a hybrid model has both */
    bool has_transducer, has_ctc;
    int vocabulary;  /* pieces, blank = vocabulary */
    int n_durations; /* 0 = RNN-T */
    int durations[STAPES__MAX_DURATIONS];
    int pred_hidden, pred_layers, joint_hidden;
    int max_symbols;
    int n_prompts;     /* prompt-conditioned models; 0 otherwise */
    int prompt_hidden; /* width of the prompt projector */
} stapes__fc_config;

/* Reads and checks. Errors: UNSUPPORTED for another architecture or a kind of layer that is not
 * implemented, MODEL_DAMAGED for values out of range or tensors that contradict. */
stapes_status stapes__fc_config_read(stapes__fc_config *config, const stapes__container *c,
                                     stapes_error *err);

/* Encoder frames from `mel` frames: three (or two) stride-2 stages. */
size_t stapes__fc_frames(const stapes__fc_config *config, size_t mel_frames);
/* Bins after the subsampling. */
int stapes__fc_bins(const stapes__fc_config *config);
/* 2^sub_stages */
int stapes__fc_factor(const stapes__fc_config *config);

#endif
