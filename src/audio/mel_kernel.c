#include "audio/mel_kernel.h"

#include "base/cpu.h"

#define LANES 2 /* what SSE2 and NEON hold; plain C elsewhere */
#define MEL_KERNEL stapes__mel_kernel_c
#include "audio/mel_lanes.h"

stapes__mel_fn stapes__mel_kernel_pick(void) {
#if defined(__x86_64__)
    stapes__cpu cpu;
    stapes__cpu_detect(&cpu);
    if (cpu.isa == STAPES__ISA_AVX2 || cpu.isa == STAPES__ISA_AVX512)
        return stapes__mel_kernel_avx2;
#endif
    return stapes__mel_kernel_c;
}

/* Sample i of the signal extended past its ends. Mirrored edges turn around the first and the last
 * sample; a signal shorter than half a window plus one is first lengthened with zeros. */
static double extended(const stapes__mel_plan *plan, const float *samples, ptrdiff_t count,
                       ptrdiff_t i) {
    if (plan->reflect) {
        ptrdiff_t shortest = STAPES__MEL_TAPS / 2 + 1;
        ptrdiff_t length = count > shortest ? count : shortest;
        i = i < 0 ? -i : i >= length ? 2 * (length - 1) - i : i;
    }
    if (i < 0 || i >= count)
        return 0;
    if (plan->preemphasis == 0 || i == 0)
        return samples[i];
    return samples[i] - plan->preemphasis * samples[i - 1];
}

void stapes__mel_fetch(const stapes__mel_plan *plan, const float *samples, size_t count,
                       ptrdiff_t start, size_t length, double *out) {
    if (start < 1 || (size_t)start + length > count) {
        for (size_t j = 0; j < length; j++)
            out[j] = extended(plan, samples, (ptrdiff_t)count, start + (ptrdiff_t)j);
        return;
    }
    const float *x = samples + start;
    double a = plan->preemphasis;
    if (a == 0) {
        for (size_t j = 0; j < length; j++)
            out[j] = x[j];
        return;
    }
    for (size_t j = 0; j < length; j++)
        out[j] = (double)x[j] - a * (double)x[(ptrdiff_t)j - 1];
}
