/* The generated signal is finite, in range, always the same, and a beginning of itself; medians. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "support.h"

static void speech(void **state) {
    (void)state;
    enum { N = 48000, SHORT = 12345 };
    float *a = malloc(N * sizeof *a), *b = malloc(SHORT * sizeof *b);
    assert_non_null(a);
    assert_non_null(b);
    stapes__bench_speech(a, N);
    stapes__bench_speech(b, SHORT);
    assert_memory_equal(a, b, SHORT * sizeof *b);
    double energy = 0;
    for (size_t i = 0; i < N; i++) {
        assert_true(fabsf(a[i]) <= 0.5F);
        energy += (double)a[i] * (double)a[i];
    }
    assert_true(sqrt(energy / N) > 0.01);
    stapes__bench_speech(a, 0);
    free(a);
    free(b);
}

static void summary(void **state) {
    (void)state;
    double odd[] = {3, 1, 2}, even[] = {4, 1, 3, 2}, one[] = {7}, median, smallest;
    stapes__bench_summary(odd, 3, &median, &smallest);
    assert_true(median == 2 && smallest == 1);
    stapes__bench_summary(even, 4, &median, &smallest);
    assert_true(median == 2.5 && smallest == 1);
    stapes__bench_summary(one, 1, &median, &smallest);
    assert_true(median == 7 && smallest == 7);
}

/* Touching memory raises the peak by about as much. */
static void peak(void **state) {
    (void)state;
    enum { BYTES = 64 << 20 };
    int64_t before = stapes__bench_peak_rss();
    char *block = malloc(BYTES);
    assert_non_null(block);
    memset(block, 1, BYTES);
    int64_t after = stapes__bench_peak_rss();
    assert_true(before > 0);
    assert_true(after - before > BYTES / 2);
    free(block);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(speech),
        cmocka_unit_test(summary),
        cmocka_unit_test(peak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
