/* The networks of the rules by the stages of a model: the model of tests/vectors/whisper/model. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "decode/whisper/stages_net.h"
#include "decode/whisper/windows.h"
#include "stages/native/whisper_native.h"
#include "support.h"

enum { VOCABULARY = 469, PROMPT = 4, STEPS = 28, FRAMES = 400, MELS = 80, POSITIONS = 200 };

typedef struct fixture {
    stapes__cpu cpu;
    stapes__pool *pool;
    stapes__ops ops;
    stapes__container *container;
    stapes__whisper_config config;
    stapes__stages *stages;
    stapes__whisper_stages_net *owner;
    stapes__whisper_net *net;
    vectors v;
    float *mel; /* [FRAMES, MELS] */
} fixture;

static fixture *open_fixture(size_t most) {
    fixture *f = calloc(1, sizeof *f);
    char path[4096];
    stapes_error err = {0};
    assert_non_null(f);
    stapes__cpu_detect(&f->cpu);
    f->pool = stapes__pool_new(1);
    assert_non_null(f->pool);
    stapes__ops_cpu(&f->ops, &f->cpu, f->pool);
    vectors_path(path, sizeof path, "whisper/model/model");
    assert_ok(stapes__container_open(&f->container, path, NULL, &err), err);
    assert_ok(stapes__whisper_config_read(&f->config, f->container, &err), err);
    stapes__native_params params = {.ops = &f->ops};
    stapes__native_stats stats = {0};
    assert_ok(
        stapes__whisper_native_open(&f->stages, f->container, &f->config, &params, &stats, &err),
        err);
    assert_ok(stapes__whisper_stages_net_open(&f->owner, f->stages, most, NULL, &err), err);
    f->net = stapes__whisper_stages_net_of(f->owner);
    f->v = vectors_open("whisper/model");
    float *raw = vectors_get_f32(&f->v, "input_features", NULL, NULL, NULL);
    f->mel = calloc(FRAMES * MELS, sizeof *f->mel);
    for (size_t t = 0; t < FRAMES; t++)
        for (size_t m = 0; m < MELS; m++)
            f->mel[t * MELS + m] = raw[m * FRAMES + t];
    free(raw);
    return f;
}

static void close_fixture(fixture *f) {
    stapes__whisper_stages_net_close(&f->owner);
    f->stages->table->close(f->stages);
    stapes__container_close(&f->container);
    stapes__pool_free(f->pool);
    vectors_close(&f->v);
    free(f->mel);
    free(f);
}

static stapes_status feed(fixture *f, stapes__whisper_net_step step, stapes_error *err) {
    return f->net->table->step(f->net, &step, err);
}

static const size_t zero_row[] = {0};

/* The recorded greedy tokens, twice: a sequence begins anew in the same window. */
static void test_greedy(void **state) {
    (void)state;
    fixture *f = open_fixture(1);
    stapes_error err = {0};
    json_t *record = json_object_get(f->v.info, "decode");
    json_t *want = json_object_get(record, "tokens"), *prompt = json_object_get(record, "prompt");
    float logits[VOCABULARY];
    assert_int_equal(f->net->vocabulary, VOCABULARY);
    assert_int_equal(f->net->n_mels, MELS);
    assert_ok(f->net->table->encode(f->net, f->mel, FRAMES, &err), err);
    for (int pass = 0; pass < 2; pass++) {
        int32_t tokens[PROMPT];
        size_t count = PROMPT, last = PROMPT - 1;
        for (size_t i = 0; i < PROMPT; i++)
            tokens[i] = (int32_t)json_integer_value(json_array_get(prompt, i));
        for (size_t i = 0; i < STEPS; i++) {
            assert_ok(feed(f,
                           (stapes__whisper_net_step){.tokens = tokens,
                                                      .n = 1,
                                                      .count = count,
                                                      .first = i == 0,
                                                      .rows = i == 0 ? &last : zero_row,
                                                      .n_rows = 1,
                                                      .logits = logits},
                           &err),
                      err);
            tokens[0] = stapes__whisper_pick(logits, VOCABULARY, 0, NULL);
            assert_int_equal(tokens[0], json_integer_value(json_array_get(want, i)));
            count = 1;
        }
    }
    close_fixture(f);
}

/* Three hypotheses from one prompt, then reordered with one dropped: logits as if each had been
 * alone. */
static void test_reorder(void **state) {
    (void)state;
    fixture *f = open_fixture(3);
    stapes_error err = {0};
    float *many = calloc(3 * VOCABULARY, sizeof *many), alone[VOCABULARY];
    const int32_t prompt[] = {257, 259, 263, 267}, second[] = {10, 20, 30}, third[] = {40, 50};
    const size_t fork[] = {0, 0, 0}, reorder[] = {2, 0}, last = 3, end = 5;
    assert_ok(f->net->table->encode(f->net, f->mel, FRAMES, &err), err);
    assert_ok(feed(f,
                   (stapes__whisper_net_step){.tokens = prompt,
                                              .n = 1,
                                              .count = 4,
                                              .first = true,
                                              .rows = &last,
                                              .n_rows = 1,
                                              .logits = many},
                   &err),
              err);
    assert_ok(feed(f,
                   (stapes__whisper_net_step){.tokens = second,
                                              .n = 3,
                                              .count = 1,
                                              .sources = fork,
                                              .rows = zero_row,
                                              .n_rows = 1,
                                              .logits = many},
                   &err),
              err);
    assert_ok(feed(f,
                   (stapes__whisper_net_step){.tokens = third,
                                              .n = 2,
                                              .count = 1,
                                              .sources = reorder,
                                              .rows = zero_row,
                                              .n_rows = 1,
                                              .logits = many},
                   &err),
              err);
    for (size_t h = 0; h < 2; h++) {
        const int32_t all[] = {257, 259, 263, 267, second[reorder[h]], third[h]};
        assert_ok(feed(f,
                       (stapes__whisper_net_step){.tokens = all,
                                                  .n = 1,
                                                  .count = 6,
                                                  .first = true,
                                                  .rows = &end,
                                                  .n_rows = 1,
                                                  .logits = alone},
                       &err),
                  err);
        for (size_t i = 0; i < VOCABULARY; i++)
            assert_true(fabsf(alone[i] - many[h * VOCABULARY + i]) < 1e-5F);
    }
    assert_int_equal(feed(f,
                          (stapes__whisper_net_step){.tokens = prompt,
                                                     .n = 4,
                                                     .count = 1,
                                                     .first = true,
                                                     .rows = zero_row,
                                                     .n_rows = 1,
                                                     .logits = many},
                          &err),
                     STAPES_E_ARGUMENT);
    free(many);
    close_fixture(f);
}

/* Heads without a list: the last half of the layers. Rows come out with the wanted frames. */
static void test_attention(void **state) {
    (void)state;
    fixture *f = open_fixture(1);
    stapes_error err = {0};
    const int32_t prompt[] = {257, 259, 263, 267};
    const size_t last = 3;
    float logits[VOCABULARY], all[2 * 4 * POSITIONS], some[2 * 4 * 150];
    assert_int_equal(f->net->n_heads, 2);
    assert_true(f->net->heads[0].layer == 1 && f->net->heads[1].head == 1);
    assert_ok(f->net->table->encode(f->net, f->mel, FRAMES, &err), err);
    stapes__whisper_net_step step = {.tokens = prompt,
                                     .n = 1,
                                     .count = 4,
                                     .first = true,
                                     .rows = &last,
                                     .n_rows = 1,
                                     .logits = logits,
                                     .heads = f->net->heads,
                                     .n_heads = 2,
                                     .frames = POSITIONS,
                                     .attention = all};
    assert_ok(feed(f, step, &err), err);
    step.frames = 150;
    step.attention = some;
    assert_ok(feed(f, step, &err), err);
    for (size_t row = 0; row < 8; row++) {
        double sum = 0;
        for (size_t i = 0; i < POSITIONS; i++)
            sum += (double)all[row * POSITIONS + i];
        assert_true(fabs(sum - 1) < 1e-4);
        assert_memory_equal(some + row * 150, all + row * POSITIONS, 150 * sizeof *some);
    }
    close_fixture(f);
}

static bool count_tick(void *user, double done) {
    ++*(size_t *)user;
    return done < 0.3;
}

/* Padding with zeros is the same as zeros in the mel; without it the window stands as it is. */
static void test_padding(void **state) {
    (void)state;
    fixture *f = open_fixture(1);
    stapes_error err = {0};
    const int32_t sot[] = {257};
    size_t ticks = 0;
    float padded[VOCABULARY], zeros[VOCABULARY], bare[VOCABULARY];
    stapes__whisper_net_step step = {
        .tokens = sot, .n = 1, .count = 1, .first = true, .rows = zero_row, .n_rows = 1};
    assert_ok(f->net->table->encode(f->net, f->mel, 30, &err), err);
    step.logits = padded;
    assert_ok(feed(f, step, &err), err);
    memset(f->mel + 30 * MELS, 0, (FRAMES - 30) * MELS * sizeof *f->mel);
    assert_ok(f->net->table->encode(f->net, f->mel, FRAMES, &err), err);
    step.logits = zeros;
    assert_ok(feed(f, step, &err), err);
    assert_memory_equal(padded, zeros, sizeof zeros);
    stapes__whisper_stages_net_pad(f->owner, 0);
    assert_ok(f->net->table->encode(f->net, f->mel, 30, &err), err);
    step.logits = bare;
    assert_ok(feed(f, step, &err), err);
    assert_true(memcmp(bare, zeros, sizeof zeros) != 0);
    assert_ok(f->net->table->encode(f->net, f->mel, 1, &err), err);
    assert_int_equal(f->net->table->encode(f->net, f->mel, FRAMES + 1, &err), STAPES_E_ARGUMENT);
    assert_int_equal(f->net->table->encode(f->net, f->mel, 0, &err), STAPES_E_ARGUMENT);
    stapes__whisper_stages_net_tick(f->owner, count_tick, &ticks);
    assert_int_equal(f->net->table->encode(f->net, f->mel, FRAMES, &err), STAPES_E_ABORTED);
    assert_true(ticks > 0);
    close_fixture(f);
}

/* A window outside the recording is refused before any network runs. */
static void test_windows(void **state) {
    (void)state;
    fixture *f = open_fixture(1);
    stapes_error err = {0};
    stapes__whisper_recording recording = {.net = f->net, .mel = f->mel, .content = FRAMES};
    stapes__whisper_windows windows = stapes__whisper_windows_of(&recording);
    assert_ok(windows.encode(windows.user, 100, 300, &err), err);
    assert_int_equal(windows.encode(windows.user, 101, 300, &err), STAPES_E_INTERNAL);
    assert_int_equal(windows.encode(windows.user, -1, 300, &err), STAPES_E_INTERNAL);
    assert_int_equal(windows.encode(windows.user, 0, 0, &err), STAPES_E_INTERNAL);
    assert_false(windows.silent(windows.user, 0, FRAMES));
    for (size_t i = 0; i < 100 * MELS; i++)
        f->mel[i] = -1.5F; /* no samples but zeros */
    for (size_t i = 100 * MELS; i < 200 * MELS; i++)
        f->mel[i] = -0.6F; /* the same, cut off at the range of a louder recording */
    assert_true(windows.silent(windows.user, 0, 100));
    assert_true(windows.silent(windows.user, 100, 100));
    f->mel[150 * MELS + 7] = -0.5F;
    assert_false(windows.silent(windows.user, 100, 100));
    float p[STAPES__WHISPER_MAX_LANGUAGES];
    int best;
    assert_int_equal(stapes__whisper_recording_language(&recording, FRAMES, NULL, p, &best, &err),
                     STAPES_E_ARGUMENT);
    close_fixture(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greedy),    cmocka_unit_test(test_reorder),
        cmocka_unit_test(test_attention), cmocka_unit_test(test_padding),
        cmocka_unit_test(test_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
