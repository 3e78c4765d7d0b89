/* The pointwise half of an LSTM step. */
#ifndef STAPES_COMPUTE_CPU_LSTM_H
#define STAPES_COMPUTE_CPU_LSTM_H

#include "compute/ops.h"

void stapes__lstm_init_c(stapes__ops *ops);
void stapes__lstm_init_avx2(stapes__ops *ops);
void stapes__lstm_init_avx512(stapes__ops *ops);

#endif
