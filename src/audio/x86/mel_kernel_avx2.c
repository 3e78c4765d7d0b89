/* The log-mel kernel over four frames at a time. */
#define LANES 4
#define MEL_KERNEL stapes__mel_kernel_avx2
#include "audio/mel_lanes.h"
