#include "audio/fft.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* exp(-2 pi i k / n) into out[0..1]. The angle is first brought into one eighth of the circle, so
 * that the quarter points are exact and mirrored entries are equal in every bit. */
static void root_of_unity(int k, int n, double *out) {
    const double pi = 3.14159265358979323846;
    int octant = (int)((long long)8 * k / n) & 7; /* angle / 45 degrees, downwards */
    long long rest = (long long)8 * k - (long long)octant * n;
    double c, s;
    if (octant & 1) {
        double angle = pi / 4 * (double)(n - rest) / n;
        c = sin(angle);
        s = cos(angle);
    } else {
        double angle = pi / 4 * (double)rest / n;
        c = cos(angle);
        s = sin(angle);
    }
    double turned_c = c, turned_s = s;
    switch (octant >> 1) {
    case 1:
        turned_c = -s;
        turned_s = c;
        break;
    case 2:
        turned_c = -c;
        turned_s = -s;
        break;
    case 3:
        turned_c = s;
        turned_s = -c;
        break;
    default:
        break;
    }
    out[0] = turned_c;
    out[1] = -turned_s;
}

/* Radices of the complex transform into plan->passes; false when `n` has another factor. */
static bool split(stapes__fft_plan *plan, int n) {
    static const int radices[] = {4, 5, 2};
    int stride = 1;
    for (size_t i = 0; i < sizeof radices / sizeof *radices; i++) {
        for (int r = radices[i]; n % r == 0;) {
            if (plan->n_passes == STAPES__FFT_MAX_PASSES)
                return false;
            n /= r;
            plan->passes[plan->n_passes++] =
                (stapes__fft_pass){.radix = r, .m = n, .stride = stride};
            stride *= r;
        }
    }
    return n == 1;
}

stapes_status stapes__fft_plan_init(stapes__fft_plan *plan, int n, stapes_error *err) {
    memset(plan, 0, sizeof *plan);
    if (n < 4 || n > STAPES__FFT_MAX || n % 4 != 0 || !split(plan, n / 2))
        return stapes__fail(err, STAPES_E_ARGUMENT, "no transform of %d points", n);
    plan->n = n;
    size_t total = 2 * ((size_t)n / 4 + 1);
    for (int i = 0; i < plan->n_passes; i++)
        total += 2 * (size_t)plan->passes[i].m * (size_t)(plan->passes[i].radix - 1);
    plan->block = stapes__calloc(total, sizeof *plan->block);
    if (!plan->block)
        return stapes__fail_memory(err, "the tables of the Fourier transform");
    double *at = plan->block;
    for (int i = 0; i < plan->n_passes; i++) {
        stapes__fft_pass *pass = &plan->passes[i];
        pass->twiddles = at;
        for (int p = 0; p < pass->m; p++)
            for (int k = 1; k < pass->radix; k++, at += 2)
                root_of_unity(p * k, pass->radix * pass->m, at);
    }
    plan->untangle = at;
    for (int k = 0; k <= n / 4; k++, at += 2)
        root_of_unity(k, n, at);
    return STAPES_OK;
}

void stapes__fft_plan_free(stapes__fft_plan *plan) {
    free(plan->block);
    memset(plan, 0, sizeof *plan);
}
