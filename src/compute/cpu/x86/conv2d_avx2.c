#include "compute/cpu/x86/simd_avx2.h"

#include "compute/cpu/conv2d_simd.h"

static void conv2d_first(const stapes__ops *ops, const stapes__conv2d *c) {
    stapes__conv2d_run(conv2d_frame_first, ops, c, 1);
}

static void conv2d_depthwise(const stapes__ops *ops, const stapes__conv2d *c) {
    stapes__conv2d_run(conv2d_frame_depthwise, ops, c, c->channels);
}

void stapes__conv2d_init_avx2(stapes__ops *ops) {
    ops->conv2d_first = conv2d_first;
    ops->conv2d_depthwise = conv2d_depthwise;
}
