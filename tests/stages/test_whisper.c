/* The Whisper networks against their float64 vectors: stages of the encoder, logits with and
 * without cache, caches, cross-attention, greedy tokens, language and no-speech probabilities, on
 * each instruction set of this processor with 1 and 2 threads; hypotheses, windows and refusals.
 * Tolerances: tests/vectors/TOLERANCES.md. */
#include "whisper_support.h"

#include <math.h>

/* ---- encoder ---- */

typedef struct stage_limit {
    const char *vector, *tap;
    double max, p95;
    bool transposed; /* the vector is [column, row] */
} stage_limit;

/* The vectors may hold the first rows only. */
static const stage_limit limits[] = {
    {"encoder/conv1", "conv1", 7e-6, 2e-6, true},
    {"encoder/conv2", "conv2", 7e-6, 2e-6, true},
    {"encoder/layers.0.self_attn", "layers.0.self_attn", 4e-5, 8e-6, false},
    {"encoder/layers.0.fc1", "layers.0.fc1", 4e-5, 8e-6, false},
    {"encoder/layers.0.fc2", "layers.0.fc2", 4e-5, 8e-6, false},
    {"encoder/layers.0", "layers.0", 4e-5, 8e-6, false},
    {"encoder/layers.1", "layers.1", 4e-5, 8e-6, false},
    {"encoder/output", "encoder", 2e-5, 4e-6, false},
};
enum { N_LIMITS = sizeof limits / sizeof *limits };

typedef struct tap_check {
    const vectors *v;
    int seen;
} tap_check;

static void check_tap(void *user, const char *name, const float *data, size_t rows,
                      size_t columns) {
    tap_check *check = user;
    for (size_t i = 0; i < N_LIMITS; i++) {
        const stage_limit *l = &limits[i];
        if (strcmp(l->tap, name) != 0)
            continue;
        int64_t shape[8];
        size_t count;
        double *want = vectors_get(check->v, l->vector, shape, NULL, &count);
        size_t stored = (size_t)shape[l->transposed ? 1 : 0];
        assert_int_equal(shape[l->transposed ? 0 : 1], columns);
        assert_true(stored <= rows);
        float *got = calloc(count, sizeof *got);
        for (size_t r = 0; r < stored; r++)
            for (size_t c = 0; c < columns; c++)
                got[l->transposed ? c * stored + r : r * columns + c] = data[r * columns + c];
        assert_close(l->vector, got, want, count, l->max, l->p95);
        free(got);
        free(want);
        check->seen++;
    }
}

/* ---- decoder ---- */

static size_t argmax(const float *logits) {
    size_t best = 0;
    for (size_t i = 1; i < VOCABULARY; i++)
        best = logits[i] > logits[best] ? i : best;
    return best;
}

/* softmax over [low, high) at `token` */
static double probability(const float *logits, size_t low, size_t high, size_t token) {
    double total = 0;
    for (size_t i = low; i < high; i++)
        total += exp((double)logits[i] - (double)logits[token]);
    return 1.0 / total;
}

static void get_ints(const json_t *list, int32_t *out, size_t count) {
    assert_int_equal(json_array_size(list), count);
    for (size_t i = 0; i < count; i++)
        out[i] = (int32_t)json_integer_value(json_array_get(list, i));
}

static double number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

/* Greedy decoding in the closed loop, token by token. fed: the tokens fed; logits [FED,
 * VOCABULARY]. */
static void check_greedy(fixture *f, const vectors *v, stapes__decoding *d, int32_t *fed,
                         float *logits) {
    const json_t *record = json_object_get(v->info, "decode");
    int32_t want[STEPS];
    get_ints(json_object_get(record, "prompt"), fed, PROMPT);
    get_ints(json_object_get(record, "tokens"), want, STEPS);
    const json_t *lengths = json_object_get(record, "self_cache_length_after_each_step");
    double sum = 0;
    feed(f, d, fed, PROMPT, logits);
    for (size_t i = 0; i < STEPS; i++) {
        assert_int_equal(d->length, json_integer_value(json_array_get(lengths, i)));
        const float *last = logits + (d->length - 1) * VOCABULARY;
        size_t token = argmax(last);
        assert_int_equal(token, want[i]);
        sum += log(probability(last, 0, VOCABULARY, token));
        if (i + 1 < STEPS) {
            fed[PROMPT + i] = (int32_t)token;
            feed(f, d, fed + PROMPT + i, 1, logits + d->length * VOCABULARY);
        }
    }
    assert_true(fabs(sum - number(record, "sum_log_probability")) < 1e-4);
    size_t count;
    double *prompt = vectors_get(v, "decoder/logits_prompt", NULL, NULL, &count);
    assert_close("logits of the prompt", logits, prompt, count, 4e-5, 8e-6);
    double *steps = vectors_get(v, "decoder/logits_steps", NULL, NULL, &count);
    assert_close("logits of the steps", logits + (PROMPT - 1) * VOCABULARY, steps, count, 4e-5,
                 8e-6);
    double silent = probability(logits, 0, VOCABULARY, 266);
    assert_true(
        fabs(silent - number(record, "no_speech_probability (softmax at the sot position of the "
                                     "prompt)")) < 1e-6);
    free(prompt);
    free(steps);
}

/* [head, position, d_k] of the first `rows` rows against the recorded cache. */
static void check_cache(const fixture *f, const vectors *v, const stapes__decoding *d,
                        const char *kind, size_t layer) {
    float line[2][D];
    size_t heads = (size_t)f->config.text_heads, width = D / heads;
    for (size_t part = 0; part < 2; part++) {
        char name[64];
        int64_t shape[8];
        size_t count;
        snprintf(name, sizeof name, "cache/%s_%s%zu", kind, part ? "value" : "key", layer);
        double *want = vectors_get(v, name, shape, NULL, &count);
        float *got = malloc(count * sizeof *got);
        size_t rows = (size_t)shape[1];
        for (size_t r = 0; r < rows; r++) {
            if (strcmp(kind, "self") == 0)
                stapes__whisper_native_self(d, layer, 0, r, line[0], line[1]);
            else
                stapes__whisper_native_cross(d, layer, r, line[0], line[1]);
            for (size_t h = 0; h < heads; h++)
                memcpy(got + (h * rows + r) * width, line[part] + h * width, width * sizeof *got);
        }
        assert_close(name, got, want, count, 4e-5, 8e-6);
        free(got);
        free(want);
    }
}

/* All tokens at once in a fresh window: the same bits as one by one, and the cross-attention. */
static void check_one_pass(fixture *f, const vectors *v, stapes__decoding *d, const int32_t *fed,
                           const float *cached) {
    static const int heads[][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}};
    stapes_error err = {0};
    size_t all[FED], positions = d->positions, count;
    float *logits = malloc(FED * VOCABULARY * sizeof *logits);
    float *attention = malloc(4 * FED * positions * sizeof *attention);
    for (size_t i = 0; i < FED; i++)
        all[i] = i;
    f->t->decode_rewind(f->stages, d, 0);
    stapes__decode_step step = {.tokens = fed,
                                .n_tokens = FED,
                                .wanted = all,
                                .n_wanted = FED,
                                .logits = logits,
                                .heads = heads,
                                .n_heads = 4,
                                .attention = attention};
    assert_ok(f->t->decode_step(f->stages, d, &step, f->scratch, &err), err);
    assert_bits("cached and uncached logits", cached, logits, FED * VOCABULARY);
    int64_t shape[8];
    double *want = vectors_get(v, "decoder/cross_attention", shape, NULL, &count);
    size_t stored = (size_t)shape[3];
    float *got = malloc(count * sizeof *got);
    for (size_t row = 0; row < 4 * FED; row++)
        memcpy(got + row * stored, attention + row * positions, stored * sizeof *got);
    assert_close("cross attention", got, want, count, 2e-5, 2e-7);
    free(want);
    free(got);
    free(attention);
    free(logits);
}

/* Uncached decoding: after every step the whole sequence in a fresh window, last logits only. */
static void check_every_step(fixture *f, stapes__decoding *d, const int32_t *fed,
                             const float *cached) {
    stapes_error err = {0};
    float logits[VOCABULARY];
    for (size_t n = 1; n <= FED; n++) {
        size_t last = n - 1;
        stapes__decode_step step = {
            .tokens = fed, .n_tokens = n, .wanted = &last, .n_wanted = 1, .logits = logits};
        f->t->decode_rewind(f->stages, d, 0);
        assert_ok(f->t->decode_step(f->stages, d, &step, f->scratch, &err), err);
        assert_bits("uncached step", logits, cached + last * VOCABULARY, VOCABULARY);
        stapes__arena_reset(f->scratch);
    }
}

static void check_language(fixture *f, const vectors *v, stapes__decoding *d) {
    const json_t *want =
        json_object_get(json_object_get(v->info, "decode"),
                        "language_probabilities after [sot] (softmax over the language ids only)");
    float logits[VOCABULARY];
    f->t->decode_rewind(f->stages, d, 0);
    feed(f, d, &(int32_t){257}, 1, logits);
    for (size_t id = 258; id <= 261; id++) {
        char key[16];
        snprintf(key, sizeof key, "%zu", id);
        assert_true(fabs(probability(logits, 258, 262, id) - number(want, key)) < 1e-5);
    }
}

static void check_family(const char *isa, int threads, float *logits) {
    fixture f;
    vectors v = vectors_open("whisper/model");
    tap_check check = {&v, 0};
    size_t positions;
    int32_t fed[FED];
    print_message("---- %s, %d threads\n", isa, threads);
    open_model(&f, isa, threads);
    assert_int_equal(f.stages->info.vocabulary, VOCABULARY);
    assert_int_equal(f.stages->info.n_text_ctx, CONTEXT);
    float *frames = encode_clip(&f, &v, &positions, check_tap, &check);
    assert_int_equal(check.seen, N_LIMITS);
    stapes__decoding *d = begin(&f, 1, frames, positions);
    check_greedy(&f, &v, d, fed, logits);
    for (size_t layer = 0; layer < 2; layer++) {
        check_cache(&f, &v, d, "self", layer);
        check_cache(&f, &v, d, "cross", layer);
    }
    check_one_pass(&f, &v, d, fed, logits);
    check_every_step(&f, d, fed, logits);
    check_language(&f, &v, d);
    f.t->decode_close(f.stages, d);
    free(frames);
    vectors_close(&v);
    close_model(&f);
}

static void test_vectors(void **state) {
    (void)state;
    static const char *const levels[] = {"c", "avx2", "avx512"};
    stapes__cpu cpu, limited;
    stapes__cpu_detect(&cpu);
    float *one = malloc(FED * VOCABULARY * sizeof *one),
          *two = malloc(FED * VOCABULARY * sizeof *two);
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        limited = cpu;
        if (!stapes__cpu_limit(&limited, levels[i]))
            continue;
        check_family(levels[i], 1, one);
        check_family(levels[i], 2, two);
        assert_bits("one and two threads", one, two, FED * VOCABULARY);
    }
    free(one);
    free(two);
}

/* ---- hypotheses ---- */

/* A made-up sequence of hypothesis `h`: text ids. */
static int32_t made_up(size_t h, size_t i) {
    return (int32_t)((h * 37 + i * 11 + 5) % 250);
}

/* Last logits of a sequence fed at once in a fresh window. */
static void alone(fixture *f, stapes__decoding *d, const int32_t *tokens, size_t n, float *logits) {
    stapes_error err = {0};
    size_t last = n - 1;
    stapes__decode_step step = {
        .tokens = tokens, .n_tokens = n, .wanted = &last, .n_wanted = 1, .logits = logits};
    f->t->decode_rewind(f->stages, d, 0);
    assert_ok(f->t->decode_step(f->stages, d, &step, f->scratch, &err), err);
    stapes__arena_reset(f->scratch);
}

/* A search over five hypotheses with forks, drops and a changing number of them, up to the end of
 * the context: at every step each has the bits of its own sequence. */
static void check_search(fixture *f, const float *frames, size_t positions, bool mixing) {
    enum { MOST = 5 };
    stapes_error err = {0};
    stapes__decoding *d = begin(f, MOST, frames, positions), *one = begin(f, 1, frames, positions);
    int32_t sequence[MOST][CONTEXT] = {{257, 259, 263, 267}}, next[MOST][CONTEXT], fed[MOST];
    float *logits = malloc(MOST * PROMPT * VOCABULARY * sizeof *logits), want[VOCABULARY];
    feed(f, d, sequence[0], PROMPT, logits);
    for (size_t length = PROMPT; length < CONTEXT; length++) {
        size_t n = mixing ? 1 + length * 7 % MOST : MOST;
        uint32_t parents[MOST];
        for (size_t h = 0; h < n; h++) {
            bool keep = !mixing && length > PROMPT;
            parents[h] = (uint32_t)(keep ? h : (h * 3 + length) % d->hypotheses);
            memcpy(next[h], sequence[parents[h]], length * sizeof **next);
            fed[h] = next[h][length] = made_up(h, length);
        }
        memcpy(sequence, next, sizeof next);
        assert_ok(f->t->decode_reorder(f->stages, d, parents, n, &err), err);
        assert_int_equal(d->hypotheses, n);
        assert_int_equal(d->length, length);
        feed(f, d, fed, 1, logits);
        for (size_t h = 0; h < n; h++) {
            alone(f, one, sequence[h], length + 1, want);
            assert_bits("hypothesis", logits + h * VOCABULARY, want, VOCABULARY);
        }
    }
    /* Back to the prompt: several go on with two tokens at once. */
    f->t->decode_rewind(f->stages, d, PROMPT);
    assert_int_equal(d->length, PROMPT);
    const uint32_t parents[3] = {0, 0, 0};
    assert_ok(f->t->decode_reorder(f->stages, d, parents, 3, &err), err);
    const int32_t pairs[3][2] = {{1, 2}, {3, 4}, {5, 6}};
    feed(f, d, pairs[0], 2, logits);
    for (size_t h = 0; h < 3; h++) {
        memcpy(sequence[0] + PROMPT, pairs[h], sizeof pairs[h]);
        alone(f, one, sequence[0], PROMPT + 2, want);
        assert_bits("pair", logits + (2 * h + 1) * VOCABULARY, want, VOCABULARY);
    }
    free(logits);
    f->t->decode_close(f->stages, d);
    f->t->decode_close(f->stages, one);
}

static void test_hypotheses(void **state) {
    (void)state;
    static const char *const levels[] = {"c", "auto"};
    vectors v = vectors_open("whisper/model");
    for (size_t i = 0; i < 2; i++) {
        fixture f;
        size_t positions;
        open_model(&f, levels[i], 2);
        float *frames = encode_clip(&f, &v, &positions, NULL, NULL);
        check_search(&f, frames, positions, true);
        check_search(&f, frames, positions, false); /* nothing shared: the store grows */
        free(frames);
        close_model(&f);
    }
    vectors_close(&v);
}

/* ---- windows ---- */

/* Windows of other lengths, in a batch and alone; a decoding that goes from window to window. */
static void test_windows(void **state) {
    (void)state;
    vectors v = vectors_open("whisper/model");
    fixture f;
    size_t frames;
    const stapes__span spans[] = {{0, 1}, {3, 2}, {10, 77}, {90, 0}, {0, 400}, {200, 161}};
    enum { WINDOWS = sizeof spans / sizeof *spans };
    stapes__span together[WINDOWS];
    open_model(&f, "auto", 2);
    float *mel = load_mel(&v, &frames), first[VOCABULARY], again[VOCABULARY];
    float *batch = encode(&f, mel, spans, WINDOWS, together, NULL, NULL);
    stapes__decoding *kept = NULL;
    stapes__arena *other = stapes__arena_new();
    stapes_error err = {0};
    for (size_t i = 0; i < WINDOWS; i++) {
        stapes__span out;
        stapes__arena *scratch = f.scratch;
        f.scratch = other;
        float *one = encode(&f, mel, &spans[i], 1, &out, NULL, NULL);
        assert_int_equal(out.count, (spans[i].count + 1) / 2);
        assert_int_equal(together[i].count, out.count);
        assert_bits("window of a batch", batch + together[i].first * D, one, out.count * D);
        if (out.count > 0) {
            stapes__decoding *fresh = begin(&f, 1, one, out.count);
            if (!kept)
                kept = begin(&f, 2, one, out.count);
            assert_ok(f.t->decode_begin(f.stages, kept, one, out.count, f.scratch, &err), err);
            feed(&f, fresh, &(int32_t){257}, 1, first);
            feed(&f, kept, &(int32_t){257}, 1, again);
            assert_bits("second window", first, again, VOCABULARY);
            f.t->decode_close(f.stages, fresh);
        }
        stapes__arena_reset(other);
        f.scratch = scratch;
    }
    f.t->decode_close(f.stages, kept);
    stapes__arena_free(other);
    free(mel);
    close_model(&f);
    vectors_close(&v);
}

/* ---- refusals ---- */

static bool stop(void *user, double done) {
    (void)user;
    (void)done;
    return false;
}

static void test_refusals(void **state) {
    (void)state;
    vectors v = vectors_open("whisper/model");
    fixture f;
    stapes_error err = {0};
    size_t positions, wanted = 1, place = 0;
    int32_t tokens[CONTEXT + 1] = {257};
    float logits[VOCABULARY], *frames, *mel, *out;
    stapes__decoding *d;
    stapes__span span = {0, 401}, result;
    open_model(&f, "auto", 1);
    mel = load_mel(&v, &positions);
    stapes__encode_request request = {.mel = mel, .spans = &span, .n_spans = 1};
    assert_int_equal(f.t->encode(f.stages, &request, f.scratch, &out, &result, &err),
                     STAPES_E_ARGUMENT);
    span.count = 400;
    request.tick = stop;
    assert_int_equal(f.t->encode(f.stages, &request, f.scratch, &out, &result, &err),
                     STAPES_E_ABORTED);
    frames = encode_clip(&f, &v, &positions, NULL, NULL);
    stapes__decode_step step = {
        .tokens = tokens, .n_tokens = 1, .wanted = &place, .n_wanted = 1, .logits = logits};
    assert_ok(f.t->decode_open(f.stages, 2, &d, &err), err);
    assert_int_equal(f.t->decode_step(f.stages, d, &step, f.scratch, &err), STAPES_E_ARGUMENT);
    assert_int_equal(f.t->decode_begin(f.stages, d, frames, 0, f.scratch, &err), STAPES_E_ARGUMENT);
    assert_int_equal(f.t->decode_begin(f.stages, d, frames, 201, f.scratch, &err),
                     STAPES_E_ARGUMENT);
    assert_ok(f.t->decode_begin(f.stages, d, frames, positions, f.scratch, &err), err);
    step.n_tokens = CONTEXT + 1;
    assert_int_equal(f.t->decode_step(f.stages, d, &step, f.scratch, &err), STAPES_E_ARGUMENT);
    step.n_tokens = 0;
    assert_int_equal(f.t->decode_step(f.stages, d, &step, f.scratch, &err), STAPES_E_ARGUMENT);
    step.n_tokens = 1;
    step.wanted = &wanted;
    assert_int_equal(f.t->decode_step(f.stages, d, &step, f.scratch, &err), STAPES_E_ARGUMENT);
    step.wanted = &place;
    tokens[0] = VOCABULARY;
    assert_int_equal(f.t->decode_step(f.stages, d, &step, f.scratch, &err), STAPES_E_ARGUMENT);
    tokens[0] = -1;
    assert_int_equal(f.t->decode_step(f.stages, d, &step, f.scratch, &err), STAPES_E_ARGUMENT);
    tokens[0] = 257;
    const int heads[1][2] = {{2, 0}};
    step.heads = heads;
    step.n_heads = 1;
    assert_int_equal(f.t->decode_step(f.stages, d, &step, f.scratch, &err), STAPES_E_ARGUMENT);
    assert_int_equal(d->length, 0);
    const uint32_t parents[3] = {0, 1, 0};
    assert_int_equal(f.t->decode_reorder(f.stages, d, parents, 2, &err), STAPES_E_ARGUMENT);
    assert_int_equal(f.t->decode_reorder(f.stages, d, parents, 0, &err), STAPES_E_ARGUMENT);
    assert_int_equal(f.t->decode_reorder(f.stages, d, (const uint32_t[]){0, 0, 0}, 3, &err),
                     STAPES_E_ARGUMENT);
    f.t->decode_close(f.stages, d);
    f.t->decode_close(f.stages, NULL);
    free(frames);
    free(mel);
    close_model(&f);
    vectors_close(&v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors), cmocka_unit_test(test_hypotheses),
        cmocka_unit_test(test_windows), cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
