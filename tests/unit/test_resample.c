/* The properties that tests/vectors/frontend/resampler asks of any resampler. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audio/resample.h"
#include "support.h"

/* All of x through the resampler in pieces of `block` in and `room` out; *n output samples. */
static float *resample(int rate, const float *x, size_t count, size_t block, size_t room,
                       size_t *n) {
    stapes__resampler *r;
    stapes_error err;
    size_t capacity = (size_t)((double)count * STAPES__RATE / rate) + room + 2, made;
    float *out = malloc((capacity + room) * sizeof *out);
    assert_non_null(out);
    assert_ok(stapes__resampler_open(&r, rate, &err), err);
    *n = 0;
    for (size_t at = 0; at < count;) {
        size_t used, piece = count - at < block ? count - at : block;
        assert_true(*n + room <= capacity + room);
        assert_ok(stapes__resampler_process(r, x + at, piece, &used, out + *n, room, &made, &err),
                  err);
        at += used;
        *n += made;
    }
    do {
        assert_ok(stapes__resampler_flush(r, out + *n, room, &made, &err), err);
        *n += made;
    } while (made > 0);
    stapes__resampler_close(&r);
    assert_null(r);
    return out;
}

static float *tone(int rate, double frequency, size_t count) {
    float *x = malloc(count * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < count; i++)
        x[i] = (float)sin(2 * M_PI * frequency * (double)i / rate);
    return x;
}

typedef struct fit {
    double gain_db, rest_db, phase; /* of the sine; of everything else; radians late */
} fit;

/* Least squares of a sine over y without 0.2 s at both ends. */
static fit fit_sine(const float *y, size_t n, double frequency) {
    double ss = 0, sc = 0, cc = 0, ys = 0, yc = 0, rest = 0;
    assert_true(n > 8000);
    for (size_t i = 3200; i < n - 3200; i++) {
        double a = 2 * M_PI * frequency * (double)i / STAPES__RATE, s = sin(a), c = cos(a);
        ss += s * s;
        sc += s * c;
        cc += c * c;
        ys += y[i] * s;
        yc += y[i] * c;
    }
    double det = ss * cc - sc * sc, p = (ys * cc - yc * sc) / det, q = (yc * ss - ys * sc) / det;
    for (size_t i = 3200; i < n - 3200; i++) {
        double a = 2 * M_PI * frequency * (double)i / STAPES__RATE;
        double d = y[i] - p * sin(a) - q * cos(a);
        rest += d * d;
    }
    rest /= (double)(n - 6400);
    return (fit){20 * log10(hypot(p, q) + 1e-20), 10 * log10(2 * rest + 1e-20), atan2(q, p)};
}

static double level_db(const float *y, size_t n) {
    double sum = 0;
    for (size_t i = 3200; i < n - 3200; i++)
        sum += (double)y[i] * y[i];
    return 10 * log10(2 * sum / (double)(n - 6400) + 1e-20);
}

static void pass_band(void **state) {
    (void)state;
    vectors v = vectors_open("frontend/resampler");
    json_t *rows = json_object_get(v.info, "pass_band"), *row;
    size_t index;
    assert_true(json_array_size(rows) >= 18);
    json_array_foreach(rows, index, row) {
        int rate = (int)json_integer_value(json_object_get(row, "rate"));
        double frequency = json_number_value(json_object_get(row, "frequency"));
        size_t count = 2 * (size_t)rate, n;
        float *x = tone(rate, frequency, count), *y = resample(rate, x, count, 4096, 4096, &n);
        fit f = fit_sine(y, n, frequency);
        print_message("%6d Hz, tone %5.0f: gain %+.4f dB, rest %.1f dB, phase %+.1e\n", rate,
                      frequency, f.gain_db, f.rest_db, f.phase);
        if (frequency < 7500)
            assert_true(fabs(f.gain_db) <= 0.01);
        else
            assert_true(f.gain_db >= -3 && f.gain_db <= 0.1);
        assert_true(f.rest_db <= -100);
        assert_true(fabs(f.phase) < 0.01);
        assert_true(fabs((double)n - ceil(16000.0 * (double)count / rate)) <= 1);
        free(x);
        free(y);
    }
    vectors_close(&v);
}

static void stop_band(void **state) {
    (void)state;
    vectors v = vectors_open("frontend/resampler");
    json_t *rows = json_object_get(v.info, "stop_band"), *row;
    size_t index;
    assert_true(json_array_size(rows) >= 10);
    json_array_foreach(rows, index, row) {
        int rate = (int)json_integer_value(json_object_get(row, "rate"));
        double frequency = json_number_value(json_object_get(row, "frequency"));
        size_t count = 2 * (size_t)rate, n;
        float *x = tone(rate, frequency, count), *y = resample(rate, x, count, 4096, 4096, &n);
        assert_true(level_db(y, n) <= -100);
        free(x);
        free(y);
    }
    /* The image of 3000 Hz in 8 kHz audio lies at 5000 Hz. */
    size_t n;
    float *x = tone(8000, 3000, 16000), *y = resample(8000, x, 16000, 4096, 4096, &n);
    assert_true(fit_sine(y, n, 5000).gain_db < -100);
    free(x);
    free(y);
    vectors_close(&v);
}

static void constants(void **state) {
    (void)state;
    static const int rates[] = {8000, 11025, 22050, 44100, 48000, 96000, 192000};
    for (size_t k = 0; k < sizeof rates / sizeof *rates; k++) {
        size_t count = (size_t)rates[k], n;
        float *x = calloc(count, sizeof *x);
        assert_non_null(x);
        float *y = resample(rates[k], x, count, 1000, 1000, &n);
        for (size_t i = 0; i < n; i++)
            assert_true(y[i] == 0);
        free(y);
        for (size_t i = 0; i < count; i++)
            x[i] = 0.5F;
        y = resample(rates[k], x, count, 1000, 1000, &n);
        for (size_t i = 1600; i < n - 1600; i++)
            assert_true(fabs(y[i] - 0.5) <= 1e-4);
        free(y);
        free(x);
    }
}

/* The same bits whatever the pieces, and the right length for any input. */
static void pieces(void **state) {
    (void)state;
    static const int rates[] = {8000,  11025, 15999, 16000, 16001,  22050, 24000,
                                32000, 44100, 48000, 96000, 176400, 192000};
    static const size_t blocks[] = {1, 7, 160, 1024, 5000};
    for (size_t k = 0; k < sizeof rates / sizeof *rates; k++) {
        size_t count = (size_t)rates[k] / 2 + 77, n, m;
        float *x = malloc(count * sizeof *x);
        assert_non_null(x);
        uint32_t seed = 1;
        for (size_t i = 0; i < count; i++) {
            seed = seed * 1664525U + 1013904223U;
            x[i] = (float)(seed >> 16) / 65536 - 0.5F;
        }
        float *whole = resample(rates[k], x, count, count, count * 2 + 16, &n);
        assert_true(fabs((double)n - ceil(16000.0 * (double)count / rates[k])) <= 1);
        for (size_t b = 0; b < sizeof blocks / sizeof *blocks; b++) {
            float *y = resample(rates[k], x, count, blocks[b], b % 2 ? 37 : 4096, &m);
            assert_int_equal(m, n);
            assert_memory_equal(y, whole, n * sizeof *y);
            free(y);
        }
        if (rates[k] == 16000) { /* untouched */
            assert_int_equal(n, count);
            assert_memory_equal(whole, x, n * sizeof *x);
        }
        free(whole);
        for (size_t length = 0; length < 300; length += 23) {
            float *y = resample(rates[k], x, length, 64, 64, &m);
            assert_true(fabs((double)m - ceil(16000.0 * (double)length / rates[k])) <= 1);
            free(y);
        }
        free(x);
    }
}

static void refused_rates(void **state) {
    (void)state;
    static const int rates[] = {-1, 0, 7999, 192001, 2147483647};
    for (size_t k = 0; k < sizeof rates / sizeof *rates; k++) {
        stapes__resampler *r;
        stapes_error err;
        assert_int_equal(stapes__resampler_open(&r, rates[k], &err), STAPES_E_UNSUPPORTED);
        assert_null(r);
        assert_non_null(strstr(err.message, "8000 to 192000"));
    }
    stapes__resampler_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pass_band), cmocka_unit_test(stop_band),     cmocka_unit_test(constants),
        cmocka_unit_test(pieces),    cmocka_unit_test(refused_rates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
