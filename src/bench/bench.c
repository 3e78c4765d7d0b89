#include "bench/bench.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/cpu.h"

/* ---- the signal ---- */

enum { RATE = 16000, SYLLABLE = 4000, PHRASE = 12 };

static const double PI = 3.14159265358979323846;

/* Uniform in [0, 1); the generator is Knuth's 64-bit linear congruential one. */
static double next_random(uint64_t *state) {
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (double)(*state >> 40) / 16777216.0;
}

typedef struct resonator {
    double a, b, y1, y2;
} resonator;

static void tune(resonator *r, double hertz, double width) {
    double radius = exp(-PI * width / RATE);
    r->a = 2 * radius * cos(2 * PI * hertz / RATE);
    r->b = -radius * radius;
}

static double resonate(resonator *r, double x) {
    double y = x * (1 + r->b) + r->a * r->y1 + r->b * r->y2;
    r->y2 = r->y1;
    r->y1 = y;
    return y;
}

void stapes__bench_speech(float *samples, size_t n) {
    uint64_t state = 1;
    resonator low = {0}, high = {0};
    double phase = 0, pitch = 120, voiced = 1, loud = 1;
    for (size_t i = 0; i < n; i++) {
        size_t at = i % SYLLABLE;
        if (at == 0) {
            /* every twelfth place is a pause, every fifth syllable a hiss */
            size_t number = i / SYLLABLE;
            tune(&low, 300 + 500 * next_random(&state), 80);
            tune(&high, 1000 + 1500 * next_random(&state), 120);
            pitch = 95 + 70 * next_random(&state);
            voiced = number % 5 == 4 ? 0 : 1;
            loud = number % PHRASE == PHRASE - 1 ? 0 : 0.5 + 0.5 * next_random(&state);
        }
        phase += pitch / RATE;
        phase -= floor(phase);
        double noise = next_random(&state) - 0.5;
        double source =
            voiced * (phase < 0.1 ? 1 - 10 * phase : 0) + (0.02 + 0.2 - 0.2 * voiced) * noise;
        double shape = sin(PI * (double)at / SYLLABLE);
        double y = loud * shape * (resonate(&low, source) + 0.7 * resonate(&high, source));
        y = 0.5 * tanh(y) + 0.0005 * noise;
        samples[i] = (float)fmax(-0.5, fmin(0.5, y));
    }
}

/* ---- the machine ---- */

void stapes__bench_describe_host(stapes__bench_host *host) {
    stapes__cpu cpu;
    stapes__cpu_detect(&cpu);
    snprintf(host->cpu, sizeof host->cpu, "%s", cpu.model);
    host->cores = cpu.cores;
}

int64_t stapes__bench_peak_rss(void) {
    int64_t kib = -1;
    FILE *file = fopen("/proc/self/status", "re");
    char line[256];
    while (file && kib < 0 && fgets(line, sizeof line, file)) {
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtoll(line + 6, NULL, 10);
    }
    if (file)
        fclose(file);
    struct rusage usage;
    if (kib < 0 && getrusage(RUSAGE_SELF, &usage) == 0)
        kib = usage.ru_maxrss;
    return kib < 0 ? 0 : kib * 1024;
}

/* ---- repeated runs ---- */

static int compare(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

void stapes__bench_summary(double *values, size_t n, double *median, double *smallest) {
    qsort(values, n, sizeof *values, compare);
    *smallest = values[0];
    *median = n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}
