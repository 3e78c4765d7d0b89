/* Speed of the log-mel front ends: real-time factors for one thread and for all that the process
 * may use. usage: bench_frontend [seconds of audio] */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "audio/logmel.h"

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Best of five runs in seconds, negative on failure. */
static double time_of(const stapes__logmel *mel, stapes__pool *pool, const float *x, size_t n,
                      float *out) {
    double best = -1;
    for (int i = 0; i < 5; i++) {
        double start = now();
        if (stapes__logmel_run(mel, pool, x, n, out, NULL) != STAPES_OK)
            return -1;
        double took = now() - start;
        best = best < 0 || took < best ? took : best;
    }
    return best;
}

static int bench(const char *name, const stapes__mel_params *params, stapes__pool *pool,
                 const float *x, size_t n) {
    stapes__logmel *mel;
    stapes_error err;
    if (stapes__logmel_open(&mel, params, &err) != STAPES_OK) {
        fprintf(stderr, "%s: %s\n", name, err.message);
        return 1;
    }
    float *out = malloc(stapes__logmel_frames(mel, n) * (size_t)params->n_mels * sizeof *out);
    double one = out ? time_of(mel, NULL, x, n, out) : -1;
    double all = out ? time_of(mel, pool, x, n, out) : -1;
    free(out);
    stapes__logmel_close(&mel);
    if (one <= 0 || all <= 0)
        return 1;
    double seconds = (double)n / 16000;
    printf("%-24s %8.0f x real time on one thread, %8.0f x on %d\n", name, seconds / one,
           seconds / all, stapes__pool_threads(pool));
    return 0;
}

int main(int argc, char **argv) {
    long seconds = argc > 1 ? strtol(argv[1], NULL, 10) : 120;
    if (seconds < 1 || seconds > 36000) {
        fprintf(stderr, "usage: bench_frontend [seconds, 1 to 36000]\n");
        return 2;
    }
    size_t n = (size_t)seconds * 16000;
    float *x = malloc(n * sizeof *x);
    stapes__pool *pool = stapes__pool_new(stapes__usable_cores());
    if (!x || !pool) {
        fprintf(stderr, "out of memory\n");
        return 1;
    }
    uint32_t seed = 1;
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525U + 1013904223U;
        x[i] = (float)(seed >> 16) / 65536 - 0.5F;
    }
    stapes__mel_params nemo = {.recipe = STAPES__MEL_NEMO, .n_mels = 128, .preemphasis = 0.97};
    stapes__mel_params norm = nemo, whisper = {.recipe = STAPES__MEL_WHISPER, .n_mels = 80};
    norm.normalize = STAPES__MEL_PER_FEATURE;
    int failed = bench("nemo 128", &nemo, pool, x, n);
    failed |= bench("nemo 128 per_feature", &norm, pool, x, n);
    failed |= bench("whisper 80", &whisper, pool, x, n);
    stapes__pool_free(pool);
    free(x);
    return failed;
}
