/* The stages of Whisper models computed by our own networks over compute/ops.h. */
#ifndef STAPES_STAGES_NATIVE_WHISPER_NATIVE_H
#define STAPES_STAGES_NATIVE_WHISPER_NATIVE_H

#include "models/whisper/config.h"
#include "stages/native/native.h"

/* Loads encoder and decoder of a container whose configuration has been read. The container must
 * stay open as long as the stages: the token embedding is read in place. Errors as
 * stapes__native_open. */
stapes_status stapes__whisper_native_open(stapes__stages **out, const stapes__container *container,
                                          const stapes__whisper_config *config,
                                          const stapes__native_params *params,
                                          stapes__native_stats *stats, stapes_error *err);

/* Keys and values [d_model] of one cached token of a hypothesis, or of one encoder position, of
 * one layer: for tests and comparison with other implementations. */
void stapes__whisper_native_self(const stapes__decoding *d, size_t layer, size_t hypothesis,
                                 size_t token, float *k, float *v);
void stapes__whisper_native_cross(const stapes__decoding *d, size_t layer, size_t position,
                                  float *k, float *v);

#endif
