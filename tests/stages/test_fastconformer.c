/* The FastConformer families against their float64 vectors: every sub-step of layer 0, layers,
 * encoder, predictor, joint and greedy decisions, on each instruction set of this processor, with
 * 1 and 2 threads, single and in a batch of two. Tolerances: tests/vectors/TOLERANCES.md. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "decode/greedy.h"
#include "stages/native/native.h"

typedef struct fixture {
    stapes__cpu cpu;
    stapes__pool *pool;
    stapes__ops ops;
    stapes__container *container;
    stapes__fc_config config;
    stapes__stages *stages;
    stapes__arena *scratch;
} fixture;

static void open_model(fixture *f, const char *path, const char *isa, int threads) {
    stapes_error err = {0};
    char full[4096];
    memset(f, 0, sizeof *f);
    stapes__cpu_detect(&f->cpu);
    assert_true(stapes__cpu_limit(&f->cpu, isa));
    f->pool = stapes__pool_new(threads);
    assert_non_null(f->pool);
    stapes__ops_cpu(&f->ops, &f->cpu, f->pool);
    vectors_path(full, sizeof full, path);
    assert_ok(stapes__container_open(&f->container, full, NULL, &err), err);
    assert_ok(stapes__fc_config_read(&f->config, f->container, &err), err);
    stapes__native_params params = {.ops = &f->ops};
    assert_ok(stapes__native_open(&f->stages, f->container, &f->config, &params, NULL, &err), err);
    f->scratch = stapes__arena_new();
}

static void close_model(fixture *f) {
    f->stages->table->close(f->stages);
    stapes__container_close(&f->container);
    stapes__arena_free(f->scratch);
    stapes__pool_free(f->pool);
}

/* ---- taps against stage vectors ---- */

typedef struct stage_limit {
    const char *vector; /* below stage/ */
    const char *tap;
    double max, p95;
    int part;        /* which of the equal parts of the tap's rows */
    bool transposed; /* the vector is [column, time] */
} stage_limit;

static const stage_limit limits[] = {
    {"subsampling", "subsampling", 6e-5, 2e-5, 0, false},
    {"layers.0.norm_feed_forward1", "layers.0.norm_feed_forward1", 1e-5, 3e-6, 0, false},
    {"layers.0.feed_forward1", "layers.0.feed_forward1", 1e-5, 3e-6, 0, false},
    {"layers.0.norm_self_att", "layers.0.norm_self_att", 1e-5, 3e-6, 0, false},
    {"layers.0.self_attn.q_proj", "layers.0.self_attn.qkv", 1e-5, 3e-6, 0, false},
    {"layers.0.self_attn.k_proj", "layers.0.self_attn.qkv", 1e-5, 3e-6, 1, false},
    {"layers.0.self_attn.v_proj", "layers.0.self_attn.qkv", 1e-5, 3e-6, 2, false},
    {"layers.0.self_attn", "layers.0.self_attn", 2e-5, 3e-6, 0, false},
    {"layers.0.norm_conv", "layers.0.norm_conv", 1e-5, 3e-6, 0, false},
    {"layers.0.conv.pointwise_conv1", "layers.0.conv.pointwise_conv1", 1e-5, 3e-6, 0, true},
    {"layers.0.conv", "layers.0.conv", 9e-6, 2e-6, 0, false},
    {"layers.0.norm_feed_forward2", "layers.0.norm_feed_forward2", 1e-5, 3e-6, 0, false},
    {"layers.0.feed_forward2", "layers.0.feed_forward2", 1e-5, 3e-6, 0, false},
    {"residual/0 input", "layers.0.residual.0", 2e-4, 4e-5, 0, false},
    {"residual/1 after ff1", "layers.0.residual.1", 2e-4, 4e-5, 0, false},
    {"residual/2 after attention", "layers.0.residual.2", 2e-4, 4e-5, 0, false},
    {"residual/3 after conv", "layers.0.residual.3", 2e-4, 4e-5, 0, false},
    {"residual/4 after ff2", "layers.0.residual.4", 2e-4, 4e-5, 0, false},
    {"layers.0", "layers.0", 2e-5, 3e-6, 0, false},
    {"layers.1", "layers.1", 2e-5, 3e-6, 0, false},
    {"layers.2", "layers.2", 2e-5, 3e-6, 0, false},
    {"encoder", "encoder", 2e-5, 3e-6, 0, false},
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
        char key[96];
        snprintf(key, sizeof key, "stage/%s", l->vector);
        if (strcmp(l->tap, name) != 0 || !json_object_get(check->v->header, key))
            continue;
        int64_t shape[8];
        size_t count;
        double *want = vectors_get(check->v, key, shape, NULL, &count);
        size_t width = (size_t)shape[l->transposed ? 0 : 1], first = (size_t)l->part * width;
        assert_int_equal(shape[l->transposed ? 1 : 0], rows);
        assert_true(first + width <= columns);
        float *got = calloc(count, sizeof *got);
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < width; c++)
                got[l->transposed ? c * rows + r : r * width + c] = data[r * columns + first + c];
        assert_close(key, got, want, count, l->max, l->p95);
        free(got);
        free(want);
        check->seen++;
    }
}

static void check_stages(fixture *f, const vectors *v) {
    stapes_error err = {0};
    int64_t shape[8];
    int expected = 0;
    for (size_t i = 0; i < N_LIMITS; i++) {
        char key[96];
        snprintf(key, sizeof key, "stage/%s", limits[i].vector);
        expected += json_object_get(v->header, key) != NULL;
    }
    assert_true(expected >= 10);
    float *mel = vectors_get_f32(v, "stage/input", shape, NULL, NULL);
    stapes__span span = {0, (size_t)shape[0]}, out;
    tap_check check = {v, 0};
    stapes__encode_request request = {.mel = mel,
                                      .spans = &span,
                                      .n_spans = 1,
                                      .mask = f->stages->info.mask,
                                      .tap = check_tap,
                                      .tap_user = &check};
    float *frames;
    stapes__arena_reset(f->scratch);
    assert_ok(f->stages->table->encode(f->stages, &request, f->scratch, &frames, &out, &err), err);
    assert_int_equal(check.seen, expected);
    free(mel);
}

/* ---- encoder and decisions of whole clips ---- */

typedef struct clips {
    float *mel[2];
    stapes__span span[2];
    double *encoder[2];
    size_t count[2];
} clips;

static void load_clips_mel(const fixture *f, clips *out) {
    vectors features = vectors_open("parakeet/features");
    memset(out, 0, sizeof *out);
    for (int i = 0; i < 2; i++) {
        char name[32];
        int64_t shape[8];
        snprintf(name, sizeof name, "mel%d/%c", f->config.n_mels, 'a' + i);
        out->mel[i] = vectors_get_f32(&features, name, shape, NULL, NULL);
        out->span[i] = (stapes__span){0, (size_t)shape[0]};
    }
    vectors_close(&features);
}

static void load_clips(const fixture *f, const vectors *v, clips *out) {
    load_clips_mel(f, out);
    for (int i = 0; i < 2; i++) {
        char name[32];
        int64_t shape[8];
        snprintf(name, sizeof name, "encoder/%c", 'a' + i);
        out->encoder[i] = vectors_get(v, name, shape, NULL, &out->count[i]);
    }
}

static void free_clips(clips *c) {
    for (int i = 0; i < 2; i++) {
        free(c->mel[i]);
        free(c->encoder[i]);
    }
}

static float *encode(fixture *f, const float *mel, const stapes__span *spans, size_t n,
                     stapes__span *out) {
    stapes_error err = {0};
    float *frames;
    stapes__encode_request request = {
        .mel = mel, .spans = spans, .n_spans = n, .mask = f->stages->info.mask};
    assert_ok(f->stages->table->encode(f->stages, &request, f->scratch, &frames, out, &err), err);
    return frames;
}

static size_t ints(const json_t *list, int64_t *out, size_t capacity) {
    size_t n = json_array_size(list);
    assert_true(n <= capacity);
    for (size_t i = 0; i < n; i++)
        out[i] = json_integer_value(json_array_get(list, i));
    return n;
}

typedef struct trace_check {
    const json_t *steps;
    size_t at;
} trace_check;

/* One row of the recorded trace: t, u, token, duration, advance, second token. */
static void check_step(void *user, const stapes__greedy_step *step, const float *logits) {
    trace_check *check = user;
    int64_t row[16];
    (void)logits;
    assert_true(check->at < json_array_size(check->steps));
    ints(json_array_get(check->steps, check->at), row, 16);
    assert_int_equal(step->t, row[0]);
    assert_int_equal(step->u, row[1]);
    assert_int_equal(step->token, row[2]);
    if (row[3] >= 0) {
        assert_int_equal(step->duration, row[3]);
        assert_int_equal(step->advance, row[4]);
    }
    assert_int_equal(step->second, row[5]);
    check->at++;
}

static stapes__greedy *new_greedy(fixture *f) {
    stapes_error err = {0};
    stapes__greedy *greedy;
    const stapes__stages_info *info = &f->stages->info;
    stapes__head_kind transducer = info->n_durations ? STAPES__HEAD_TDT : STAPES__HEAD_RNNT;
    stapes__greedy_params params = {.head = info->has_transducer ? transducer : STAPES__HEAD_CTC,
                                    .max_symbols = 10};
    assert_true(stapes__confidence_find("tsallis", &params.confidence));
    assert_ok(stapes__greedy_open(&greedy, f->stages, &params, &err), err);
    return greedy;
}

static void check_tokens(const stapes__token_list *got, const json_t *want) {
    int64_t ids[1024], frames[1024];
    size_t n = ints(json_object_get(want, "tokens"), ids, 1024);
    assert_int_equal(ints(json_object_get(want, "frames"), frames, 1024), n);
    assert_int_equal(got->count, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(got->items[i].id, ids[i]);
        assert_int_equal(got->items[i].frame, frames[i]);
        assert_true(got->items[i].confidence >= 0 && got->items[i].confidence <= 1);
    }
}

/* Whole, or cut into pieces of `piece` frames with the carried state: the same tokens. */
static void check_decode(fixture *f, const json_t *want, const float *frames, size_t count,
                         size_t piece) {
    stapes_error err = {0};
    stapes__greedy *greedy = new_greedy(f);
    stapes__token_list tokens = {0};
    trace_check check = {json_object_get(want, "steps"), 0};
    bool traced = check.steps && piece >= count;
    if (traced)
        stapes__greedy_set_trace(greedy, check_step, &check);
    for (size_t at = 0; at < count; at += piece) {
        size_t n = count - at < piece ? count - at : piece;
        const float *from = frames + at * f->stages->info.d_model;
        assert_ok(stapes__greedy_run(greedy, from, n, &tokens, f->scratch, &err), err);
    }
    check_tokens(&tokens, want);
    if (traced)
        assert_int_equal(check.at, json_array_size(check.steps));
    stapes__token_list_free(&tokens);
    stapes__greedy_close(&greedy);
}

static void check_clips(fixture *f, const vectors *v) {
    clips c;
    load_clips(f, v, &c);
    size_t d = f->stages->info.d_model, mels = (size_t)f->config.n_mels;
    float *single[2];
    stapes__span spans[2];
    stapes__arena_reset(f->scratch);
    for (int i = 0; i < 2; i++) {
        char name[32];
        snprintf(name, sizeof name, "encoder/%c", 'a' + i);
        single[i] = encode(f, c.mel[i], &c.span[i], 1, &spans[i]);
        assert_int_equal(spans[i].count * d, c.count[i]);
        assert_close(name, single[i], c.encoder[i], c.count[i], 2e-5, 3e-6);
        const json_t *want =
            json_object_get(json_object_get(v->info, "decode"), i == 0 ? "a" : "b");
        check_decode(f, want, single[i], spans[i].count, 1000);
        check_decode(f, want, single[i], spans[i].count, 7);
        check_decode(f, want, single[i], spans[i].count, 1);
    }
    /* a batch of two: the same bits */
    size_t first = c.span[0].count, second = c.span[1].count;
    float *both = calloc((first + second) * mels, sizeof *both);
    memcpy(both, c.mel[0], first * mels * sizeof *both);
    memcpy(both + first * mels, c.mel[1], second * mels * sizeof *both);
    stapes__span in[2] = {{0, first}, {first, second}}, out[2];
    float *frames = encode(f, both, in, 2, out);
    for (int i = 0; i < 2; i++)
        assert_memory_equal(frames + out[i].first * d, single[i],
                            spans[i].count * d * sizeof *frames);
    free(both);
    free_clips(&c);
}

/* ---- predictor and joint ---- */

static void check_predictor(fixture *f, const vectors *v) {
    stapes_error err = {0};
    const stapes__stages_info *info = &f->stages->info;
    const json_t *decode = json_object_get(json_object_get(v->info, "decode"), "b");
    int64_t tokens[1024], shape[8];
    ints(json_object_get(decode, "tokens"), tokens, 1024);
    double *h = vectors_get(v, "predictor/h/b", shape, NULL, NULL);
    double *c = vectors_get(v, "predictor/c/b", shape, NULL, NULL);
    double *g = vectors_get(v, "predictor/projected/b", NULL, NULL, NULL);
    size_t state = info->layers * info->hidden, rows = (size_t)shape[0];
    float *hs = calloc(state, sizeof *hs), *cs = calloc(state, sizeof *cs);
    float *gs = calloc(info->joint, sizeof *gs);
    for (size_t row = 0; row < rows; row++) {
        int32_t label = row == 0 ? (int32_t)info->vocabulary : (int32_t)tokens[row - 1];
        assert_ok(f->stages->table->predict(f->stages, &label, 1, hs, cs, gs, f->scratch, &err),
                  err);
        assert_close("predictor h", hs, h + row * state, state, 1e-5, 2e-6);
        assert_close("predictor c", cs, c + row * state, state, 1e-5, 2e-6);
        assert_close("predictor projected", gs, g + row * info->joint, info->joint, 2e-5, 3e-6);
    }
    free(h);
    free(c);
    free(g);
    free(hs);
    free(cs);
    free(gs);
}

typedef struct logit_check {
    double *want;
    size_t rows, width, at;
} logit_check;

static void check_logits(void *user, const stapes__greedy_step *step, const float *logits) {
    logit_check *check = user;
    (void)step;
    if (check->at < check->rows)
        assert_close("joint logits", logits, check->want + check->at * check->width, check->width,
                     2e-4, 2e-5);
    check->at++;
}

static void check_joint(fixture *f, const vectors *v) {
    stapes_error err = {0};
    int64_t shape[8];
    clips c;
    load_clips(f, v, &c);
    stapes__span span;
    stapes__arena_reset(f->scratch);
    float *frames = encode(f, c.mel[0], &c.span[0], 1, &span);
    stapes__greedy *greedy = new_greedy(f);
    logit_check check = {.want = vectors_get(v, "logits_first10/a", shape, NULL, NULL)};
    check.rows = (size_t)shape[0];
    check.width = (size_t)shape[1];
    stapes__greedy_set_trace(greedy, check_logits, &check);
    stapes__token_list tokens = {0};
    assert_ok(stapes__greedy_run(greedy, frames, span.count, &tokens, f->scratch, &err), err);
    assert_true(check.at >= check.rows);
    stapes__token_list_free(&tokens);
    stapes__greedy_close(&greedy);
    free(check.want);
    free_clips(&c);
}

/* ---- families ---- */

static void run_family(const char *folder) {
    static const char *const levels[] = {"none", "avx2", "avx512", "neon"};
    vectors v = vectors_open(folder);
    char model[256];
    snprintf(model, sizeof model, "%s/model", folder);
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        stapes__cpu cpu;
        stapes__cpu_detect(&cpu);
        if (!stapes__cpu_limit(&cpu, levels[i])) { /* plain C always runs */
            print_message("-- %s: not on this processor\n", levels[i]);
            continue;
        }
        for (int threads = 1; threads <= 2; threads++) {
            fixture f;
            print_message("-- %s, %s, %d thread(s)\n", folder, levels[i], threads);
            open_model(&f, model, levels[i], threads);
            check_stages(&f, &v);
            check_clips(&f, &v);
            if (f.stages->info.has_transducer) {
                check_predictor(&f, &v);
                check_joint(&f, &v);
            }
            close_model(&f);
        }
    }
    vectors_close(&v);
}

static void test_tdt(void **state) {
    (void)state;
    run_family("parakeet/tdt");
}

static void test_tdt_bias_xscale(void **state) {
    (void)state;
    run_family("parakeet/tdt-bias-xscale");
}

static void test_rnnt(void **state) {
    (void)state;
    run_family("parakeet/rnnt");
}

static void test_ctc(void **state) {
    (void)state;
    run_family("parakeet/ctc");
}

/* ---- NeMo's findings on the same weights ---- */

/* Adds to the blank's and the first duration's logits, as NeMo's recorded run did to the biases. */
typedef struct biased {
    stapes__stages base;
    stapes__stages *inner;
    float blank, duration0;
} biased;

static stapes_status biased_project(stapes__stages *s, const float *frames, size_t rows,
                                    size_t prompt, float *f, stapes__arena *scratch,
                                    stapes_error *err) {
    biased *b = (biased *)s;
    return b->inner->table->project(b->inner, frames, rows, prompt, f, scratch, err);
}

static stapes_status biased_predict(stapes__stages *s, const int32_t *labels, size_t n, float *h,
                                    float *c, float *g, stapes__arena *scratch, stapes_error *err) {
    biased *b = (biased *)s;
    return b->inner->table->predict(b->inner, labels, n, h, c, g, scratch, err);
}

static stapes_status biased_join(stapes__stages *s, const float *f, const float *g, size_t n,
                                 float *logits, stapes__arena *scratch, stapes_error *err) {
    biased *b = (biased *)s;
    stapes_status status = b->inner->table->join(b->inner, f, g, n, logits, scratch, err);
    logits[s->info.vocabulary] += b->blank;
    logits[s->info.vocabulary + 1] += b->duration0;
    return status;
}

static double number(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}

static void test_symbol_guard(void **state) {
    static const stapes__stages_table table = {.name = "biased",
                                               .project = biased_project,
                                               .predict = biased_predict,
                                               .join = biased_join};
    stapes_error err = {0};
    (void)state;
    fixture f;
    open_model(&f, "parakeet/tdt/model", "auto", 1);
    vectors nemo = vectors_open("nemo/offline"), v = vectors_open("parakeet/tdt");
    const json_t *cases =
        json_object_get(json_object_get(nemo.info, "results"), "symbol guard (max_symbols 10)");
    assert_int_equal(json_array_size(cases), 2);
    clips c;
    load_clips(&f, &v, &c);
    stapes__span in = {0, 200}, out;
    float *frames = encode(&f, c.mel[1], &in, 1, &out);
    stapes__stages *inner = f.stages;
    for (size_t i = 0; i < 2; i++) {
        const json_t *want = json_array_get(cases, i);
        biased b = {.base = {&table, inner->info},
                    .inner = inner,
                    .blank = (float)number(want, "blank bias"),
                    .duration0 = (float)number(want, "duration-0 bias")};
        f.stages = &b.base;
        stapes__greedy *greedy = new_greedy(&f);
        stapes__token_list tokens = {0};
        assert_ok(stapes__greedy_run(greedy, frames, out.count, &tokens, f.scratch, &err), err);
        check_tokens(&tokens, json_object_get(want, "label looping (greedy_batch)"));
        stapes__token_list_free(&tokens);
        stapes__greedy_close(&greedy);
        f.stages = inner;
    }
    free_clips(&c);
    vectors_close(&nemo);
    vectors_close(&v);
    close_model(&f);
}

static void test_nemo_file(void **state) {
    (void)state;
    vectors v = vectors_open("parakeet/tdt");
    fixture f;
    open_model(&f, "nemo/offline/tiny-tdt.nemo", "auto", 2);
    assert_int_equal(f.config.n_durations, 5);
    assert_int_equal(f.config.vocabulary, 128);
    check_stages(&f, &v);
    check_clips(&f, &v);
    close_model(&f);
    vectors_close(&v);
}

static void test_local_attention(void **state) {
    (void)state;
    vectors v = vectors_open("parakeet/tdt"), nemo = vectors_open("nemo/offline");
    fixture f;
    open_model(&f, "parakeet/tdt/model", "auto", 2);
    f.stages->info.mask = (stapes__attention_mask){.left = 8, .right = 8};
    clips c;
    load_clips(&f, &v, &c);
    stapes__span out;
    size_t count;
    float *frames = encode(&f, c.mel[0], &c.span[0], 1, &out);
    double *want = vectors_get(&nemo, "local_attention/a", NULL, NULL, &count);
    assert_close("local attention [8, 8]", frames, want, count, 2e-5, 3e-6);
    free(want);
    free_clips(&c);
    close_model(&f);
    vectors_close(&v);
    vectors_close(&nemo);
}

/* Causal subsampling and convolution, layer norm in the convolution module, chunked attention: the
 * offline pass equals the recorded closed loop of the cache-aware model. */
static void test_causal_model(void **state) {
    (void)state;
    vectors v = vectors_open("streaming/cache_aware_hf");
    fixture f;
    open_model(&f, "streaming/cache_aware_hf/model", "auto", 2);
    assert_true(f.config.causal_subsampling && f.config.conv_layer_norm);
    assert_int_equal(f.config.normalize, STAPES__MEL_NORMALIZE_NONE);
    assert_int_equal(f.stages->info.mask.chunk, 4);
    assert_false(f.stages->info.full_context);
    int64_t shape[8];
    float *mel = vectors_get_f32(&v, "input", shape, NULL, NULL);
    static const char *const outputs[] = {"r3/out", "r0/out"};
    for (int i = 0; i < 2; i++) {
        size_t count;
        double *want = vectors_get(&v, outputs[i], shape, NULL, &count);
        f.stages->info.mask = (stapes__attention_mask){.left = 56, .chunk = i == 0 ? 4 : 1};
        stapes__span in = {0, 1 + ((size_t)shape[0] - 1) * 8}, out;
        stapes__arena_reset(f.scratch);
        float *frames = encode(&f, mel, &in, 1, &out);
        assert_int_equal(out.count, shape[0]);
        assert_close(outputs[i], frames, want, count, 2e-5, 3e-6);
        free(want);
    }
    free(mel);
    close_model(&f);
    vectors_close(&v);
}

/* The prompt projector between encoder and joint. */
static void test_prompt_model(void **state) {
    (void)state;
    stapes_error err = {0};
    vectors v = vectors_open("parakeet/prompt");
    fixture f;
    open_model(&f, "parakeet/prompt/model", "auto", 1);
    assert_int_equal(f.stages->info.n_prompts, 128);
    assert_int_equal(f.config.prompt_hidden, 40);
    clips c;
    load_clips_mel(&f, &c);
    stapes__span out;
    int64_t shape[8];
    size_t count;
    float *frames = encode(&f, c.mel[1], &c.span[1], 1, &out);
    double *want = vectors_get(&v, "encoder/b", shape, NULL, &count);
    assert_int_equal(out.count, shape[0]);
    assert_close("encoder/b", frames, want, count, 2e-5, 3e-6);
    free(want);
    static const size_t prompts[] = {9, 101};
    for (int i = 0; i < 2; i++) {
        char name[32];
        snprintf(name, sizeof name, "projected/%zu", prompts[i]);
        want = vectors_get(&v, name, shape, NULL, &count);
        float *got = calloc(count, sizeof *got);
        assert_ok(
            f.stages->table->project(f.stages, frames, out.count, prompts[i], got, f.scratch, &err),
            err);
        assert_close(name, got, want, count, 2e-5, 3e-6);
        free(got);
        free(want);
    }
    free_clips(&c);
    close_model(&f);
    vectors_close(&v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tdt),
        cmocka_unit_test(test_tdt_bias_xscale),
        cmocka_unit_test(test_rnnt),
        cmocka_unit_test(test_ctc),
        cmocka_unit_test(test_symbol_guard),
        cmocka_unit_test(test_nemo_file),
        cmocka_unit_test(test_local_attention),
        cmocka_unit_test(test_causal_model),
        cmocka_unit_test(test_prompt_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
