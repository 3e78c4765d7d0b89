#include "compute/cpu/x86/simd_avx2.h"

#include "compute/cpu/lstm_simd.h"

void stapes__lstm_init_avx2(stapes__ops *ops) {
    ops->lstm_cell = lstm_cell;
}
