/* The networks that the rules ask for, by the stages of a model with an autoregressive decoder. */
#ifndef STAPES_DECODE_WHISPER_STAGES_NET_H
#define STAPES_DECODE_WHISPER_STAGES_NET_H

#include "decode/whisper/net.h"
#include "stages/stages.h"

typedef struct stapes__whisper_stages_net stapes__whisper_stages_net;

/* stages are kept; `most` hypotheses. model_name chooses the alignment heads, see
 * stapes__whisper_alignment_heads; may be NULL. ARGUMENT for stages without a decoder. */
stapes_status stapes__whisper_stages_net_open(stapes__whisper_stages_net **out,
                                              stapes__stages *stages, size_t most,
                                              const char *model_name, stapes_error *err);
void stapes__whisper_stages_net_close(stapes__whisper_stages_net **net);
/* The net of the rules; lives as long as its owner. */
stapes__whisper_net *stapes__whisper_stages_net_of(stapes__whisper_stages_net *net);
/* Windows shorter than this many mel frames are padded with 0.0 up to it; longer ones stand as they
 * are. At the beginning: the full window, as the model was trained. At least the content is
 * encoded, so 0 pads nothing. */
void stapes__whisper_stages_net_pad(stapes__whisper_stages_net *net, size_t frames);
/* Called while encoding, as stapes__encode_request has it; NULL = none. */
void stapes__whisper_stages_net_tick(stapes__whisper_stages_net *net,
                                     bool (*tick)(void *user, double done), void *user);

#endif
