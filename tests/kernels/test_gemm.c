/* Linear layers: packing, every tail, epilogues, bits independent of batch and threads. */
#include "kernel_support.h"

typedef struct shape {
    size_t m, n, k;
} shape;

static stapes__weight *pack(const stapes__ops *ops, const float *data, size_t n, size_t k) {
    stapes__tensor part = {.name = "w",
                           .dtype = STAPES__F32,
                           .n_dims = 2,
                           .data = data,
                           .shape = {(int64_t)n, (int64_t)k},
                           .bytes = n * k * sizeof *data};
    stapes__pack_params params = {.parts = &part, .n_parts = 1, .n = n, .k = k};
    stapes__weight *w;
    stapes_error err;
    assert_ok(ops->pack(ops, &params, &w, &err), err);
    assert_true(ops->weight_bytes(w) >= n * k * sizeof *data);
    return w;
}

/* The plain C table against double. */
static void reference(const float *x, const float *w, shape s, const stapes__epilogue *e,
                      double *y) {
    for (size_t i = 0; i < s.m; i++) {
        for (size_t j = 0; j < s.n; j++) {
            double sum = e->bias ? (double)e->bias[j] : 0.0;
            for (size_t k = 0; k < s.k; k++)
                sum += (double)x[i * s.k + k] * (double)w[j * s.k + k];
            if (e->act == STAPES__ACT_RELU)
                sum = sum > 0 ? sum : 0;
            if (e->act == STAPES__ACT_SILU)
                sum = sum / (1 + exp(-sum));
            if (e->act == STAPES__ACT_GELU)
                sum = 0.5 * sum * (1 + erf(sum * 0.70710678118654752));
            sum *= (double)e->scale;
            if (e->residual)
                sum += (double)e->residual[i * e->ld_residual + j];
            y[i * s.n + j] = sum;
        }
    }
}

static void compare(const stapes__ops *ops, shape s, const guarded *x, const guarded *w,
                    const stapes__epilogue *e, const double *want, float *bits) {
    char what[96];
    snprintf(what, sizeof what, "%s m %zu n %zu k %zu act %d", ops->name, s.m, s.n, s.k, e->act);
    stapes__weight *weight = pack(ops, w->data, s.n, s.k);
    guarded y = guarded_new(s.m * s.n);
    ops->linear(ops, weight, x->data, s.k, s.m, e, y.data, s.n);
    double tolerance = 2e-6 + 1.2e-6 * sqrt((double)s.k);
    assert_close(what, y.data, want, y.count, tolerance, 0);
    if (bits[0] == INFINITY)
        memcpy(bits, y.data, y.count * sizeof *bits);
    assert_same_bits(what, y.data, bits, y.count);
    /* each row alone */
    guarded one = guarded_new(s.n);
    for (size_t r = 0; r < s.m; r += 1 + s.m / 7) {
        stapes__epilogue single = *e;
        if (e->residual)
            single.residual = e->residual + r * e->ld_residual;
        ops->linear(ops, weight, x->data + r * s.k, s.k, 1, &single, one.data, s.n);
        assert_same_bits(what, one.data, bits + r * s.n, s.n);
    }
    guarded_free(&one);
    guarded_free(&y);
    ops->weight_free(weight);
}

static void check_shape(const variant_set *v, shape s, const stapes__epilogue *e) {
    guarded x = guarded_random(s.m * s.k, 1, 1.0f), w = guarded_random(s.n * s.k, 2, 1.0f);
    double *want = calloc(s.m * s.n, sizeof *want);
    float *bits = calloc(s.m * s.n, sizeof *bits);
    assert_non_null(want);
    assert_non_null(bits);
    reference(x.data, w.data, s, e, want);
    bits[0] = INFINITY;
    compare(&v->c, s, &x, &w, e, want, bits);
    compare(&v->c_pair, s, &x, &w, e, want, bits);
    for (size_t i = 0; i < v->count; i++) {
        bits[0] = INFINITY;
        compare(&v->alone[i], s, &x, &w, e, want, bits);
        compare(&v->pair[i], s, &x, &w, e, want, bits);
    }
    free(want);
    free(bits);
    guarded_free(&x);
    guarded_free(&w);
}

static void test_shapes(void **state) {
    (void)state;
    static const shape shapes[] = {{1, 1, 1},     {2, 3, 5},      {5, 33, 255},   {13, 31, 256},
                                   {14, 32, 257}, {15, 65, 513},  {29, 7, 1024},  {6, 16, 64},
                                   {7, 17, 100},  {3, 1000, 640}, {1, 515, 1300}, {130, 96, 300},
                                   {127, 300, 70}};
    variant_set v = variants_open();
    stapes__epilogue plain = {.scale = 1.0f};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        check_shape(&v, shapes[i], &plain);
    for (size_t m = 1; m <= 30; m++)
        check_shape(&v, (shape){m, 40, 37}, &plain);
    variants_close(&v);
}

static void test_epilogues(void **state) {
    (void)state;
    variant_set v = variants_open();
    guarded bias = guarded_random(67, 3, 1.0f), residual = guarded_random(33 * 67, 4, 1.0f);
    static const stapes__act acts[] = {STAPES__ACT_NONE, STAPES__ACT_RELU, STAPES__ACT_SILU,
                                       STAPES__ACT_GELU};
    for (size_t i = 0; i < 4; i++) {
        stapes__epilogue e = {.bias = bias.data, .act = acts[i], .scale = 0.5f};
        check_shape(&v, (shape){33, 67, 300}, &e);
        check_shape(&v, (shape){3, 67, 300}, &e);
        e.residual = residual.data;
        e.ld_residual = 67;
        check_shape(&v, (shape){33, 67, 300}, &e);
        e.bias = NULL;
        check_shape(&v, (shape){4, 67, 20}, &e);
    }
    guarded_free(&bias);
    guarded_free(&residual);
    variants_close(&v);
}

/* residual == y, row strides above the widths, NULL epilogue, columns beyond n untouched. */
static void test_in_place(void **state) {
    (void)state;
    enum { M = 21, N = 45, K = 530, LDX = 541, LDY = 53 };
    variant_set v = variants_open();
    guarded x = guarded_random(M * LDX, 5, 1.0f), w = guarded_random(N * K, 6, 0.1f);
    guarded start = guarded_random(M * LDY, 7, 1.0f);
    const stapes__ops *all[] = {&v.c, &v.c_pair, &v.alone[0], &v.pair[0], &v.alone[1], &v.pair[1]};
    for (size_t i = 0; i < 2 + 2 * v.count; i++) {
        guarded apart = guarded_new(M * LDY), y = guarded_new(M * LDY), bare = guarded_new(M * N);
        memcpy(apart.data, start.data, y.count * sizeof(float));
        memcpy(y.data, start.data, y.count * sizeof(float));
        stapes__weight *weight = pack(all[i], w.data, N, K);
        stapes__epilogue e = {.scale = 2.0f, .residual = start.data, .ld_residual = LDY};
        all[i]->linear(all[i], weight, x.data, LDX, M, &e, apart.data, LDY);
        e.residual = y.data;
        all[i]->linear(all[i], weight, x.data, LDX, M, &e, y.data, LDY);
        assert_same_bits("in place", y.data, apart.data, y.count);
        for (size_t r = 0; r < M; r++)
            assert_same_bits("beyond n", y.data + r * LDY + N, start.data + r * LDY + N, LDY - N);
        all[i]->linear(all[i], weight, x.data, LDX, M, NULL, bare.data, N);
        for (size_t r = 0; r < M; r++)
            for (size_t j = 0; j < N; j++)
                assert_true(fabsf(start.data[r * LDY + j] + 2.0f * bare.data[r * N + j] -
                                  y.data[r * LDY + j]) < 1e-5f);
        all[i]->linear(all[i], weight, x.data, LDX, 0, NULL, bare.data, N);
        all[i]->weight_free(weight);
        all[i]->weight_free(NULL);
        guarded_free(&apart);
        guarded_free(&y);
        guarded_free(&bare);
    }
    guarded_free(&x);
    guarded_free(&w);
    guarded_free(&start);
    variants_close(&v);
}

/* Large products, so that several tasks share the work. */
static void test_large(void **state) {
    (void)state;
    static const shape shapes[] = {
        {375, 192, 768}, {125, 1030, 300}, {1, 8198, 640}, {4, 2000, 513}, {600, 130, 70}};
    variant_set v = variants_open();
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        shape s = shapes[i];
        guarded x = guarded_random(s.m * s.k, 8, 1.0f), w = guarded_random(s.n * s.k, 9, 1.0f);
        guarded y = guarded_new(s.m * s.n), again = guarded_new(s.m * s.n);
        stapes__weight *weight = pack(&v.c_pair, w.data, s.n, s.k);
        guarded want = guarded_new(s.m * s.n);
        v.c_pair.linear(&v.c_pair, weight, x.data, s.k, s.m, NULL, want.data, s.n);
        v.c.weight_free(weight);
        for (size_t j = 0; j < v.count; j++) {
            weight = pack(&v.pair[j], w.data, s.n, s.k);
            v.alone[j].linear(&v.alone[j], weight, x.data, s.k, s.m, NULL, y.data, s.n);
            v.pair[j].linear(&v.pair[j], weight, x.data, s.k, s.m, NULL, again.data, s.n);
            assert_same_bits("two threads", again.data, y.data, y.count);
            assert_near(v.alone[j].name, y.data, want.data, y.count, 3e-5f);
            v.pair[j].weight_free(weight);
        }
        guarded_free(&x);
        guarded_free(&w);
        guarded_free(&y);
        guarded_free(&again);
        guarded_free(&want);
    }
    variants_close(&v);
}

/* SiLU and GELU over their whole range, through a weight of one. */
static void test_activations(void **state) {
    (void)state;
    enum { COUNT = 4001 };
    variant_set v = variants_open();
    guarded x = guarded_new(COUNT), y = guarded_new(COUNT);
    for (size_t i = 0; i < COUNT; i++)
        x.data[i] = ((float)i - 2000.0f) * (i % 2 ? 0.06f : 0.004f);
    float one = 1.0f;
    const stapes__ops *all[] = {&v.c, &v.alone[0], &v.alone[1]};
    for (size_t i = 0; i < 1 + v.count; i++) {
        stapes__weight *weight = pack(all[i], &one, 1, 1);
        for (int act = STAPES__ACT_SILU; act <= STAPES__ACT_GELU; act++) {
            stapes__epilogue e = {.act = (stapes__act)act, .scale = 1.0f};
            all[i]->linear(all[i], weight, x.data, 1, COUNT, &e, y.data, 1);
            for (size_t j = 0; j < COUNT; j++) {
                double t = (double)x.data[j];
                double want = act == STAPES__ACT_SILU ? t / (1 + exp(-t))
                                                      : 0.5 * t * (1 + erf(t * 0.7071067811865476));
                if (!(fabs((double)y.data[j] - want) <= 5e-7 * (0.5 + fabs(want))))
                    fail_msg("%s act %d of %g: %.9g, wanted %.9g", all[i]->name, act, t,
                             (double)y.data[j], want);
            }
        }
        all[i]->weight_free(weight);
    }
    guarded_free(&x);
    guarded_free(&y);
    variants_close(&v);
}

/* Stacked parts, other types, permuted columns, scale; and what is refused. */
static void test_pack(void **state) {
    (void)state;
    enum { K = 3 };
    variant_set v = variants_open();
    static const float top[2 * K] = {1, 2, 3, 4, 5, 6};
    static const uint16_t half[K] = {0x3c00, 0x4000, 0x4200};   /* 1 2 3 */
    static const uint16_t bfloat[K] = {0x3f80, 0x4000, 0x4040}; /* 1 2 3 */
    static const double low[K] = {7, 8, 9};
    static const size_t column[K] = {2, 0, 1};
    static const float x[K] = {1, 10, 100};
    stapes__tensor parts[] = {
        {.name = "a", .dtype = STAPES__F32, .n_dims = 2, .shape = {2, K}, .data = top, .bytes = 24},
        {.name = "b",
         .dtype = STAPES__F16,
         .n_dims = 3,
         .shape = {1, K, 1},
         .data = half,
         .bytes = 6},
        {.name = "c",
         .dtype = STAPES__BF16,
         .n_dims = 2,
         .shape = {1, K},
         .data = bfloat,
         .bytes = 6},
        {.name = "d",
         .dtype = STAPES__F64,
         .n_dims = 2,
         .shape = {1, K},
         .data = low,
         .bytes = 24}};
    static const float want[5] = {426, 1092, 426, 426, 1758}; /* 2 * (3, 1, 2) . (1, 10, 100) */
    const stapes__ops *all[] = {&v.c, &v.pair[0], &v.pair[1]};
    for (size_t i = 0; i < 1 + v.count; i++) {
        stapes__pack_params params = {
            .scale = 2.0f, .parts = parts, .n_parts = 4, .n = 5, .k = K, .column = column};
        stapes__weight *w;
        stapes_error err;
        float y[5];
        assert_ok(all[i]->pack(all[i], &params, &w, &err), err);
        all[i]->linear(all[i], w, x, K, 1, NULL, y, 5);
        assert_near("packed", y, want, 5, 0.0f);
        all[i]->weight_free(w);
        params.n = 6;
        assert_int_equal(all[i]->pack(all[i], &params, &w, &err), STAPES_E_MODEL_DAMAGED);
        params.n = 5;
        params.k = 4;
        assert_int_equal(all[i]->pack(all[i], &params, &w, &err), STAPES_E_MODEL_DAMAGED);
        assert_null(w);
    }
    variants_close(&v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),      cmocka_unit_test(test_epilogues),
        cmocka_unit_test(test_in_place),    cmocka_unit_test(test_large),
        cmocka_unit_test(test_activations), cmocka_unit_test(test_pack)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
