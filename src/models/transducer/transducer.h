/* Prediction and joint networks of RNN-T and TDT models (Graves 2012, arXiv:1211.3711; Xu et al.
 * 2023, arXiv:2304.06795; spec/transducer-and-ctc 1, 2). */
#ifndef STAPES_MODELS_TRANSDUCER_TRANSDUCER_H
#define STAPES_MODELS_TRANSDUCER_TRANSDUCER_H

#include "models/loader.h"

typedef struct stapes__transducer_dims {
    size_t d_encoder, vocabulary; /* blank = vocabulary */
    size_t n_durations;           /* 0: RNN-T */
    size_t hidden, layers;        /* of the LSTM */
    size_t joint;
} stapes__transducer_dims;

typedef struct stapes__transducer stapes__transducer;

/* Tensors under NeMo's names. Problems are left in the loader. */
stapes__transducer *stapes__transducer_load(const stapes__transducer_dims *dims,
                                            stapes__loader *loader);
void stapes__transducer_free(stapes__transducer *t);

/* f [rows, joint] = enc(frames [rows, d_encoder]). */
void stapes__transducer_project(const stapes__transducer *t, const float *frames, size_t rows,
                                float *f);

/* One step for n hypotheses: h and c [n][layers][hidden] advance in place by `labels` (blank = the
 * zero vector); g [n, joint] is the projected output. false when memory is short. */
bool stapes__transducer_predict(const stapes__transducer *t, const int32_t *labels, size_t n,
                                float *h, float *c, float *g, stapes__arena *scratch);

/* logits [n, vocabulary + 1 + n_durations] = joint(f [n, joint], g [n, joint]), raw. */
bool stapes__transducer_join(const stapes__transducer *t, const float *f, const float *g, size_t n,
                             float *logits, stapes__arena *scratch);

#endif
