/* The log-mel front ends against float64 vectors, and the properties that streaming rests on. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audio/fft.h"
#include "audio/logmel.h"
#include "audio/mel_kernel.h"
#include "base/cpu.h"
#include "support.h"

#define LIMIT 1e-5

static stapes__logmel *open_nemo(int mels, stapes__mel_normalize normalize,
                                 stapes__mel_edges edges) {
    stapes__mel_params params = {.recipe = STAPES__MEL_NEMO,
                                 .n_mels = mels,
                                 .normalize = normalize,
                                 .edges = edges,
                                 .preemphasis = 0.97};
    stapes__logmel *mel;
    stapes_error err;
    assert_ok(stapes__logmel_open(&mel, &params, &err), err);
    return mel;
}

static stapes__logmel *open_whisper(int mels) {
    stapes__mel_params params = {.recipe = STAPES__MEL_WHISPER, .n_mels = mels};
    stapes__logmel *mel;
    stapes_error err;
    assert_ok(stapes__logmel_open(&mel, &params, &err), err);
    return mel;
}

static float *features(const stapes__logmel *mel, stapes__pool *pool, const float *x, size_t n) {
    size_t count = stapes__logmel_frames(mel, n) * (size_t)stapes__logmel_mels(mel);
    float *out = malloc((count + 1) * sizeof *out);
    stapes_error err;
    assert_non_null(out);
    assert_ok(stapes__logmel_run(mel, pool, x, n, out, &err), err);
    return out;
}

/* The generator of the vectors. */
static float *noise(size_t n, uint32_t seed, double amplitude) {
    float *x = malloc((n + 1) * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525U + 1013904223U;
        x[i] = (float)(((double)(seed >> 16) - 32768) / 32768 * amplitude);
    }
    return x;
}

static float *signal_named(const vectors *nemo, const char *name, size_t *n) {
    char key[64];
    snprintf(key, sizeof key, "audio/%s", name);
    return vectors_get_f32(nemo, key, NULL, NULL, n);
}

static void nemo_vectors(void **state) {
    (void)state;
    static const char *const signals[] = {"sine1k",     "chirp",      "noise",      "impulse",
                                          "speech",     "noise_n0",   "noise_n1",   "noise_n159",
                                          "noise_n160", "noise_n161", "noise_n400", "noise_n16001"};
    vectors v = vectors_open("frontend/nemo");
    int compared = 0;
    for (int mels = 80; mels <= 128; mels += 48) {
        for (int norm = 0; norm < 2; norm++) {
            stapes__logmel *mel =
                open_nemo(mels, norm ? STAPES__MEL_PER_FEATURE : STAPES__MEL_NORMALIZE_NONE,
                          STAPES__EDGES_ZERO);
            for (size_t s = 0; s < sizeof signals / sizeof *signals; s++) {
                char key[64];
                snprintf(key, sizeof key, "mel%d/%s/%s", mels, signals[s],
                         norm ? "per_feature" : "none");
                if (!json_object_get(v.header, key))
                    continue;
                size_t n, count;
                float *x = signal_named(&v, signals[s], &n);
                int64_t shape[8];
                double *want = vectors_get(&v, key, shape, NULL, &count);
                assert_int_equal(shape[0], stapes__logmel_frames(mel, n));
                float *got = features(mel, NULL, x, n);
                assert_close(key, got, want, count, LIMIT, 0);
                compared++;
                free(got);
                free(want);
                free(x);
            }
            stapes__logmel_close(&mel);
        }
    }
    assert_int_equal(compared, 11 + 12 + 8);
    vectors_close(&v);
}

static void nemo_edge_cases(void **state) {
    (void)state;
    float *x = noise(16000, 7, 0.5), *zeros = calloc(16000, sizeof *zeros);
    assert_non_null(zeros);
    stapes__logmel *mel = open_nemo(128, STAPES__MEL_PER_FEATURE, STAPES__EDGES_ZERO);
    stapes__logmel *raw = open_nemo(128, STAPES__MEL_NORMALIZE_NONE, STAPES__EDGES_ZERO);
    for (size_t n = 160; n < 320; n += 79) { /* one frame: nothing deviates */
        float *one = features(mel, NULL, x, n);
        for (int m = 0; m < 128; m++)
            assert_true(one[m] == 0);
        free(one);
    }
    float *silent = features(mel, NULL, zeros, 16000), *floor = features(raw, NULL, zeros, 16000);
    for (int i = 0; i < 100 * 128; i++) {
        assert_true(silent[i] == 0);
        assert_true(floor[i] == (float)log(0x1p-24));
    }
    assert_int_equal(stapes__logmel_frames(mel, 0), 0);
    assert_int_equal(stapes__logmel_frames(mel, 159), 0);
    x[5000] = NAN; /* shows in the frames that see it and in no other */
    float *bad = features(raw, NULL, x, 16000);
    assert_true(isnan(bad[31 * 128]) && !isnan(bad[29 * 128]) && !isnan(bad[34 * 128]));
    free(bad);
    free(silent);
    free(floor);
    stapes__logmel_close(&mel);
    stapes__logmel_close(&raw);
    free(zeros);
    free(x);
}

/* Frames of NeMo up to 2.4 differ from the newer ones at both ends only, and there is one more. */
static void nemo_old_edges(void **state) {
    (void)state;
    const size_t n = 4000;
    float *x = noise(n, 3, 0.5);
    stapes__logmel *now = open_nemo(80, STAPES__MEL_NORMALIZE_NONE, STAPES__EDGES_ZERO);
    stapes__logmel *old = open_nemo(80, STAPES__MEL_NORMALIZE_NONE, STAPES__EDGES_REFLECT_PLUS_ONE);
    assert_int_equal(stapes__logmel_frames(now, n), 25);
    assert_int_equal(stapes__logmel_frames(old, n), 26);
    assert_int_equal(stapes__logmel_frames(old, 0), 0);
    float *a = features(now, NULL, x, n), *b = features(old, NULL, x, n);
    for (int t = 0; t < 25; t++) {
        bool same = memcmp(a + t * 80, b + t * 80, 80 * sizeof *a) == 0;
        assert_true(same == (t >= 2 && t < 24));
    }
    /* The same by hand: mirror the pre-emphasised signal, transform without any edge. */
    size_t pad = 320, total = n + 2 * pad;
    double *y = calloc(total, sizeof *y);
    assert_non_null(y);
    for (size_t i = 0; i < total; i++) {
        ptrdiff_t k = (ptrdiff_t)i - (ptrdiff_t)pad;
        k = k < 0 ? -k : k >= (ptrdiff_t)n ? 2 * ((ptrdiff_t)n - 1) - k : k;
        y[i] = k == 0 ? x[0] : x[k] - 0.97 * x[k - 1];
    }
    int bins;
    const float *fb = stapes__logmel_filters(old, &bins);
    for (int t = 0; t < 26; t += 5) {
        for (int m = 0; m < 80; m += 13) {
            double sum = 0;
            for (int k = 0; k < bins; k++) {
                double re = 0, im = 0;
                for (int i = 0; fb[m * bins + k] != 0 && i < 400; i++) {
                    double w = 0.5 - 0.5 * cos(2 * M_PI * i / 399);
                    double value = w * y[160 * t - 200 + i + (int)pad];
                    re += value * cos(2 * M_PI * k * i / 512);
                    im += value * sin(2 * M_PI * k * i / 512);
                }
                sum += fb[m * bins + k] * (re * re + im * im);
            }
            assert_true(fabs(b[t * 80 + m] - log(sum + 0x1p-24)) < LIMIT);
        }
    }
    free(y);
    free(a);
    free(b);
    free(x);
    stapes__logmel_close(&now);
    stapes__logmel_close(&old);
}

static void filter_banks(void **state) {
    (void)state;
    static const struct {
        const char *folder, *name;
        int mels;
        bool nemo;
    } cases[] = {{"frontend/nemo", "fb128", 128, true}, {"frontend/whisper", "fb80", 80, false}};
    for (int c = 0; c < 2; c++) {
        vectors v = vectors_open(cases[c].folder);
        size_t count;
        float *want = vectors_get_f32(&v, cases[c].name, NULL, NULL, &count);
        stapes__logmel *mel = cases[c].nemo
                                  ? open_nemo(128, STAPES__MEL_NORMALIZE_NONE, STAPES__EDGES_ZERO)
                                  : open_whisper(80);
        int bins;
        const float *got = stapes__logmel_filters(mel, &bins);
        assert_int_equal(count, cases[c].mels * bins);
        for (size_t i = 0; i < count; i++) /* one float32 step */
            assert_true(got[i] == want[i] || got[i] == nextafterf(want[i], 1) ||
                        got[i] == nextafterf(want[i], 0));
        stapes__logmel_close(&mel);
        free(want);
        vectors_close(&v);
    }
    double sum = 0;
    int non_zero = 0, bins;
    stapes__logmel *mel = open_nemo(80, STAPES__MEL_NORMALIZE_NONE, STAPES__EDGES_ZERO);
    const float *fb = stapes__logmel_filters(mel, &bins);
    for (int i = 0; i < 80 * bins; i++) {
        sum += fb[i];
        non_zero += fb[i] != 0;
    }
    assert_int_equal(non_zero, 500);
    assert_true(fabs(sum - 2.5582608) < 1e-6);
    stapes__logmel_close(&mel);
}

/* A stored window and filter bank take the place of the formulas; wrong shapes are refused. */
static void stored_tensors(void **state) {
    (void)state;
    static float window[400], fb[80 * 257];
    stapes__logmel *plain = open_nemo(80, STAPES__MEL_NORMALIZE_NONE, STAPES__EDGES_ZERO);
    memcpy(fb, stapes__logmel_filters(plain, NULL), sizeof fb);
    for (int i = 0; i < 400; i++)
        window[i] = (float)(0.5 - 0.5 * cos(2 * M_PI * i / 399));
    for (int k = 0; k < 80 * 257; k++)
        fb[k] *= 2;
    stapes__tensor w = {.name = "window",
                        .dtype = STAPES__F32,
                        .n_dims = 1,
                        .shape = {400},
                        .data = window,
                        .bytes = sizeof window};
    stapes__tensor f = {.name = "fb",
                        .dtype = STAPES__F32,
                        .n_dims = 3,
                        .shape = {1, 80, 257},
                        .data = fb,
                        .bytes = sizeof fb};
    stapes__mel_params params = {
        .recipe = STAPES__MEL_NEMO, .n_mels = 80, .preemphasis = 0.97, .window = &w, .filters = &f};
    stapes_error err;
    stapes__logmel *mel;
    assert_ok(stapes__logmel_open(&mel, &params, &err), err);
    float *x = noise(3200, 5, 0.5);
    float *a = features(plain, NULL, x, 3200), *b = features(mel, NULL, x, 3200);
    for (int i = 0; i < 20 * 80; i++) /* twice the power, the guard stays */
        assert_true(fabs(b[i] - log(2 * exp(a[i]) - 0x1p-24)) < 1e-5);
    free(a);
    free(b);
    free(x);
    stapes__logmel_close(&mel);
    f.shape[1] = 128;
    assert_int_equal(stapes__logmel_open(&mel, &params, &err), STAPES_E_MODEL_DAMAGED);
    assert_non_null(strstr(err.message, "[1, 80, 257]"));
    assert_null(mel);
    f.shape[1] = 80;
    w.shape[0] = 320;
    assert_int_equal(stapes__logmel_open(&mel, &params, &err), STAPES_E_MODEL_DAMAGED);
    w.shape[0] = 400;
    window[7] = NAN;
    assert_int_equal(stapes__logmel_open(&mel, &params, &err), STAPES_E_MODEL_DAMAGED);
    params.n_mels = 513;
    assert_int_equal(stapes__logmel_open(&mel, &params, &err), STAPES_E_UNSUPPORTED);
    stapes__logmel_close(&plain);
}

static void whisper_vectors(void **state) {
    (void)state;
    static const char *const signals[] = {"sine1k",  "chirp",  "noise",      "silence",
                                          "impulse", "speech", "noise_n400", "noise_n16001"};
    vectors v = vectors_open("frontend/whisper"), nemo = vectors_open("frontend/nemo");
    json_t *constants = json_object_get(v.info, "padded_constant");
    float *window = malloc(480000 * sizeof *window);
    assert_non_null(window);
    int compared = 0;
    for (int mels = 80; mels <= 128; mels += 48) {
        stapes__logmel *mel = open_whisper(mels);
        for (size_t s = 0; s < sizeof signals / sizeof *signals; s++) {
            char key[64];
            size_t n, count;
            float *x = signal_named(&nemo, signals[s], &n);
            snprintf(key, sizeof key, "bare%d/%s", mels, signals[s]);
            if (json_object_get(v.header, key)) {
                double *want = vectors_get(&v, key, NULL, NULL, &count);
                float *got = features(mel, NULL, x, n);
                assert_int_equal(count, stapes__logmel_frames(mel, n) * (size_t)mels);
                assert_close(key, got, want, count, LIMIT, 0);
                compared++;
                free(got);
                free(want);
            }
            memset(window, 0, 480000 * sizeof *window);
            memcpy(window, x, n * sizeof *window);
            float *got = features(mel, NULL, window, 480000);
            snprintf(key, sizeof key, "%d/%s", mels, signals[s]);
            double constant = json_number_value(json_object_get(constants, key));
            assert_true(constant != 0);
            for (size_t i = (size_t)(n / 160 + 2) * (size_t)mels; i < 3000U * (size_t)mels; i++)
                assert_true(fabs(got[i] - constant) <= LIMIT);
            snprintf(key, sizeof key, "pad%d/%s", mels, signals[s]);
            if (json_object_get(v.header, key)) {
                double *want = vectors_get(&v, key, NULL, NULL, &count);
                assert_close(key, got, want, count, LIMIT, 0);
                compared++;
                free(want);
            }
            free(got);
            free(x);
        }
        stapes__logmel_close(&mel);
    }
    assert_int_equal(compared, 14);
    free(window);
    vectors_close(&nemo);
    vectors_close(&v);
}

/* A quiet first window before a loud second one: the maximum of the file against the window's. */
static void whisper_two_windows(void **state) {
    (void)state;
    vectors v = vectors_open("frontend/whisper");
    const size_t quiet = 480000, n = quiet + 32000 + 480000;
    float *x = calloc(n, sizeof *x), *head = noise(quiet, 11, 0.001);
    assert_non_null(x);
    memcpy(x, head, quiet * sizeof *x);
    for (int i = 0; i < 32000; i++)
        x[quiet + (size_t)i] = (float)(0.8 * sin(2 * M_PI * 700 * i / 16000));
    stapes__logmel *mel = open_whisper(80);
    size_t count;
    double *want = vectors_get(&v, "two_windows/whole_file", NULL, NULL, &count);
    float *got = features(mel, NULL, x, n);
    assert_close("two_windows/whole_file", got, want, count, LIMIT, 0);
    free(want);
    free(got);
    want = vectors_get(&v, "two_windows/window_alone", NULL, NULL, &count);
    got = features(mel, NULL, head, quiet);
    assert_close("two_windows/window_alone", got, want, count, LIMIT, 0);
    free(want);
    free(got);
    for (size_t length = 0; length < 402; length += 67) { /* too short to be mirrored */
        got = features(mel, NULL, x + quiet + 40, length);
        for (size_t i = 0; i < stapes__logmel_frames(mel, length) * 80; i++)
            assert_true(isfinite(got[i]) && got[i] < 2);
        free(got);
    }
    stapes__logmel_close(&mel);
    free(x);
    free(head);
    vectors_close(&v);
}

/* Pieces equal the whole in every bit: any first frame, any number, any thread count, and from a
 * part of the audio when the frames do not touch its ends. */
static void pieces_are_the_whole(void **state) {
    (void)state;
    const size_t n = 64001;
    float *x = noise(n, 9, 0.3);
    stapes__pool *pool = stapes__pool_new(3);
    assert_non_null(pool);
    for (int whisper = 0; whisper < 2; whisper++) {
        stapes__logmel *mel = whisper
                                  ? open_whisper(80)
                                  : open_nemo(80, STAPES__MEL_NORMALIZE_NONE, STAPES__EDGES_ZERO);
        size_t frames = stapes__logmel_frames(mel, n);
        float *whole = malloc(frames * 80 * sizeof *whole), piece[40 * 80];
        stapes_error err;
        assert_non_null(whole);
        assert_ok(stapes__logmel_raw(mel, pool, x, n, 0, frames, whole, &err), err);
        for (size_t first = 0, k = 1; first + k <= frames; first += k, k = k % 40 + 1) {
            assert_ok(stapes__logmel_raw(mel, NULL, x, n, first, k, piece, &err), err);
            assert_memory_equal(piece, whole + first * 80, k * 80 * sizeof *piece);
        }
        for (size_t from = 0; from + 20 < frames; from += 17) { /* audio cut at a frame */
            size_t cut = from * 160;
            assert_ok(stapes__logmel_raw(mel, NULL, x + cut, 3200, 2, 16, piece, &err), err);
            assert_memory_equal(piece, whole + (from + 2) * 80, (size_t)16 * 80 * sizeof *piece);
        }
        assert_int_equal(stapes__logmel_raw(mel, NULL, x, n, frames, 2, piece, &err),
                         STAPES_E_ARGUMENT);
        free(whole);
        stapes__logmel_close(&mel);
    }
    stapes__logmel *mel = open_nemo(128, STAPES__MEL_PER_FEATURE, STAPES__EDGES_ZERO);
    float *a = features(mel, NULL, x, n), *b = features(mel, pool, x, n);
    assert_memory_equal(a, b, stapes__logmel_frames(mel, n) * 128 * sizeof *a);
    free(a);
    free(b);
    stapes__logmel_close(&mel);
    stapes__pool_free(pool);
    free(x);
}

/* Every variant of the kernel that this processor runs gives the bits of plain C. */
static void variants_agree(void **state) {
    (void)state;
    stapes__mel_fn best = stapes__mel_kernel_pick();
    if (best == stapes__mel_kernel_c)
        print_message("this processor runs plain C only\n");
    static stapes__mel_plan plan;
    static double weights[64 * 3];
    stapes_error err;
    float *x = noise(16000, 13, 0.9), a[100 * 64], b[100 * 64], la[100 * 64], lb[100 * 64];
    for (int n_fft = 400; n_fft <= 512; n_fft += 112) {
        assert_ok(stapes__fft_plan_init(&plan.fft, n_fft, &err), err);
        plan.n_mels = 64;
        for (int m = 0; m < 64; m++) {
            plan.first[m] = 3 * m;
            plan.length[m] = 3;
            weights[3 * m] = weights[3 * m + 2] = 0.25;
            weights[3 * m + 1] = 0.5;
        }
        for (int i = 0; i < STAPES__MEL_TAPS; i++)
            plan.window[i] = 1 - fabs(i - 200.0) / 200;
        plan.weights = weights;
        plan.offset = (n_fft - STAPES__MEL_TAPS) / 2;
        plan.preemphasis = n_fft == 512 ? 0.97 : 0;
        plan.floor = 1e-10;
        plan.scale = 1;
        plan.reflect = true;
        stapes__mel_kernel_c(&plan, x, 16000, 0, 99, a, la);
        best(&plan, x, 16000, 0, 99, b, lb);
        assert_memory_equal(a, b, sizeof(float) * 99 * 64);
        assert_memory_equal(la, lb, sizeof(float) * 99 * 64);
        stapes__fft_plan_free(&plan.fft);
    }
    assert_int_equal(stapes__fft_plan_init(&plan.fft, 420, &err), STAPES_E_ARGUMENT);
    assert_int_equal(stapes__fft_plan_init(&plan.fft, 1024, &err), STAPES_E_ARGUMENT);
    free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nemo_vectors),        cmocka_unit_test(nemo_edge_cases),
        cmocka_unit_test(nemo_old_edges),      cmocka_unit_test(filter_banks),
        cmocka_unit_test(stored_tensors),      cmocka_unit_test(whisper_vectors),
        cmocka_unit_test(whisper_two_windows), cmocka_unit_test(pieces_are_the_whole),
        cmocka_unit_test(variants_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
