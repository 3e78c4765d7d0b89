/* What measuring needs beyond the public interface: a signal to feed, the machine's name, memory,
 * and the summary of repeated runs. */
#ifndef STAPES_BENCH_BENCH_H
#define STAPES_BENCH_BENCH_H

#include <stddef.h>
#include <stdint.h>

/* Fills samples[n] (16 kHz, within [-0.5, 0.5]) with something that has the rhythm and spectrum of
 * speech: syllables of voiced harmonics through two moving formants, hiss between them, pauses.
 * Always the same signal; a shorter one is the beginning of a longer one. */
void stapes__bench_speech(float *samples, size_t n);

typedef struct stapes__bench_host {
    char cpu[64]; /* the processor's name */
    int cores;    /* usable by this process */
} stapes__bench_host;

void stapes__bench_describe_host(stapes__bench_host *host);

/* The largest resident set of this process so far, in bytes, file pages of mapped weights
 * included. Where the kernel tells it for the program alone that is used: getrusage counts the
 * program that started this one too. */
int64_t stapes__bench_peak_rss(void);

/* Median and smallest of values[n], n >= 1; sorts them in place. */
void stapes__bench_summary(double *values, size_t n, double *median, double *smallest);

#endif
