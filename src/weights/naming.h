/* Tensor names. Canonical are those of NeMo's state dict (spec/fastconformer.md 12.1); Hugging
 * Face's (12.2: Parakeet and Nemotron classes) are translated:
 *
 *   encoder.subsampling.layers.K               encoder.pre_encode.conv.K
 *   encoder.subsampling.conv_in                encoder.pre_encode.conv.0
 *   encoder.subsampling.layers.{0,1}.depthwise_conv   ...conv.2, conv.5
 *   encoder.subsampling.layers.{0,1}.pointwise_conv   ...conv.3, conv.6
 *   encoder.subsampling.linear                 encoder.pre_encode.out
 *   ...self_attn.{q,k,v,o}_proj                ...self_attn.linear_{q,k,v,out}
 *   ...self_attn.relative_k_proj               ...self_attn.linear_pos
 *   ...self_attn.bias_{u,v}                    ...self_attn.pos_bias_{u,v}
 *   ...conv.norm                               ...conv.batch_norm
 *   encoder_projector                          joint.enc
 *   decoder.decoder_projector                  joint.pred
 *   decoder.embedding                          decoder.prediction.embed
 *   decoder.lstm                               decoder.prediction.dec_rnn.lstm
 *   joint.head                                 joint.joint_net.2
 *   ctc_head                                   decoder.decoder_layers.0
 *   prompt_projector.linear_{1,2}              prompt_kernel.{0,2}
 *
 * Two NeMo spellings of one thing are joined as well: joint.joint_net.N (the last Linear is .1
 * when the joint's dropout is 0) becomes joint.joint_net.2, and the hybrid models'
 * ctc_decoder.decoder_layers.0 becomes decoder.decoder_layers.0. */
#ifndef STAPES_WEIGHTS_NAMING_H
#define STAPES_WEIGHTS_NAMING_H

#include "weights/container.h"

/* Room for every translated name: no translation adds more than 32 bytes. */
#define STAPES__NAME_SPACE (512 + 33)

/* Writes the canonical form of `name` and returns true; false (out untouched) when it already is
 * canonical or does not fit. */
bool stapes__name_canonical(const char *name, char *out, size_t capacity);

/* The tensor that a NeMo or Hugging Face container holds under this NeMo name (either spelling of
 * those joined above); NULL when absent. When several tensors share a canonical name, the one
 * whose own name sorts last. Cheap: two sorted look-ups. */
const stapes__tensor *stapes__names_find(const stapes__container *c, const char *nemo_name);

#endif
