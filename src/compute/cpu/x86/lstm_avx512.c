#include "compute/cpu/x86/simd_avx512.h"

#include "compute/cpu/lstm_simd.h"

void stapes__lstm_init_avx512(stapes__ops *ops) {
    ops->lstm_cell = lstm_cell;
}
