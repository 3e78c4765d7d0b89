/* Shared by the tests of the Whisper networks: the model of the vectors, its window, its logits. */
#ifndef STAPES_TESTS_WHISPER_SUPPORT_H
#define STAPES_TESTS_WHISPER_SUPPORT_H

#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "stages/native/whisper_native.h"

enum { VOCABULARY = 469, PROMPT = 4, STEPS = 28, FED = PROMPT + STEPS - 1, CONTEXT = 64, D = 48 };

static const char model_path[] = "whisper/model/model";

typedef struct fixture {
    stapes__cpu cpu;
    stapes__pool *pool;
    stapes__ops ops;
    stapes__container *container;
    stapes__whisper_config config;
    stapes__stages *stages;
    stapes__arena *scratch;
    const stapes__stages_table *t;
} fixture;

static inline void open_at(fixture *f, const char *full, const char *isa, int threads) {
    stapes_error err = {0};
    memset(f, 0, sizeof *f);
    stapes__cpu_detect(&f->cpu);
    assert_true(stapes__cpu_limit(&f->cpu, isa));
    f->pool = stapes__pool_new(threads);
    assert_non_null(f->pool);
    stapes__ops_cpu(&f->ops, &f->cpu, f->pool);
    assert_ok(stapes__container_open(&f->container, full, NULL, &err), err);
    assert_true(stapes__whisper_recognised(f->container));
    assert_ok(stapes__whisper_config_read(&f->config, f->container, &err), err);
    stapes__native_params params = {.ops = &f->ops};
    stapes__native_stats stats = {0};
    assert_ok(
        stapes__whisper_native_open(&f->stages, f->container, &f->config, &params, &stats, &err),
        err);
    assert_true(stats.parameters > 170000 && stats.weight_bytes > 0);
    f->t = f->stages->table;
    f->scratch = stapes__arena_new();
    assert_non_null(f->scratch);
}

static inline void open_model(fixture *f, const char *isa, int threads) {
    char full[4096];
    open_at(f, vectors_path(full, sizeof full, model_path), isa, threads);
}

static inline void close_model(fixture *f) {
    f->t->close(f->stages);
    stapes__container_close(&f->container);
    stapes__arena_free(f->scratch);
    stapes__pool_free(f->pool);
}

/* [mel, frame] -> [frame, mel] */
static inline float *load_mel(const vectors *v, size_t *frames) {
    int64_t shape[8];
    float *raw = vectors_get_f32(v, "input_features", shape, NULL, NULL);
    size_t mels = (size_t)shape[0];
    *frames = (size_t)shape[1];
    float *mel = malloc(mels * *frames * sizeof *mel);
    for (size_t t = 0; t < *frames; t++)
        for (size_t m = 0; m < mels; m++)
            mel[t * mels + m] = raw[m * *frames + t];
    free(raw);
    return mel;
}

static inline float *
encode(fixture *f, const float *mel, const stapes__span *spans, size_t n, stapes__span *out,
       void (*tap)(void *user, const char *name, const float *data, size_t rows, size_t columns),
       void *tap_user) {
    stapes_error err = {0};
    float *frames;
    stapes__encode_request request = {.mel = mel,
                                      .spans = spans,
                                      .n_spans = n,
                                      .mask = f->stages->info.mask,
                                      .tap = tap,
                                      .tap_user = tap_user};
    assert_ok(f->t->encode(f->stages, &request, f->scratch, &frames, out, &err), err);
    return frames;
}

/* The frames of the recorded window, in a block of their own. */
static inline float *encode_clip(fixture *f, const vectors *v, size_t *positions,
                                 void (*tap)(void *user, const char *name, const float *data,
                                             size_t rows, size_t columns),
                                 void *tap_user) {
    stapes__span span = {0, 0}, out;
    float *mel = load_mel(v, &span.count);
    float *frames = encode(f, mel, &span, 1, &out, tap, tap_user);
    float *own = malloc(out.count * D * sizeof *own);
    memcpy(own, frames, out.count * D * sizeof *own);
    *positions = out.count;
    stapes__arena_reset(f->scratch);
    free(mel);
    return own;
}

static inline stapes__decoding *begin(fixture *f, size_t most, const float *frames,
                                      size_t positions) {
    stapes_error err = {0};
    stapes__decoding *d;
    assert_ok(f->t->decode_open(f->stages, most, &d, &err), err);
    assert_ok(f->t->decode_begin(f->stages, d, frames, positions, f->scratch, &err), err);
    assert_int_equal(d->length, 0);
    assert_int_equal(d->hypotheses, 1);
    assert_int_equal(d->positions, positions);
    return d;
}

/* Feeds n tokens to each hypothesis; logits of all places. */
static inline void feed(fixture *f, stapes__decoding *d, const int32_t *tokens, size_t n,
                        float *logits) {
    stapes_error err = {0};
    size_t all[CONTEXT], before = d->length;
    for (size_t i = 0; i < n; i++)
        all[i] = i;
    stapes__decode_step step = {
        .tokens = tokens, .n_tokens = n, .wanted = all, .n_wanted = n, .logits = logits};
    assert_ok(f->t->decode_step(f->stages, d, &step, f->scratch, &err), err);
    assert_int_equal(d->length, before + n);
    stapes__arena_reset(f->scratch);
}

static inline void assert_bits(const char *what, const float *a, const float *b, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (memcmp(a + i, b + i, sizeof *a) != 0)
            fail_msg("%s: element %zu is %.9g and %.9g", what, i, (double)a[i], (double)b[i]);
}

#endif
