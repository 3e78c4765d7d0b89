/* The convolution module: spans, odd widths, both norms, causal and centred padding. */
#include "kernel_support.h"

typedef struct setting {
    size_t d, kernel, pad_left;
    bool bias, norm;
} setting;

static void check(const variant_set *v, const setting *s, const stapes__span *spans,
                  size_t n_spans) {
    size_t rows = 0;
    for (size_t i = 0; i < n_spans; i++)
        rows += spans[i].count;
    guarded x = guarded_random(rows * 2 * s->d, 1, 4.0f);
    guarded weight = guarded_random(s->kernel * s->d, 2, 1.0f),
            bias = guarded_random(s->d, 3, 1.0f);
    guarded gain = guarded_random(s->d, 4, 1.0f), offset = guarded_random(s->d, 5, 1.0f);
    guarded want = guarded_new(rows * s->d);
    stapes__conv_module c = {.x = x.data,
                             .y = want.data,
                             .d = s->d,
                             .kernel = s->kernel,
                             .pad_left = s->pad_left,
                             .weight = weight.data,
                             .bias = s->bias ? bias.data : NULL,
                             .norm_gain = s->norm ? gain.data : NULL,
                             .norm_bias = s->norm ? offset.data : NULL,
                             .norm_eps = 1e-5f,
                             .spans = spans,
                             .n_spans = n_spans};
    assert_true(v->c.conv_module(&v->c, &c, v->arena));
    for (size_t i = 0; i < v->count; i++) {
        guarded y = guarded_new(want.count), pair = guarded_new(want.count);
        guarded one = guarded_new(want.count);
        c.y = y.data;
        assert_true(v->alone[i].conv_module(&v->alone[i], &c, v->arena));
        assert_near(v->alone[i].name, y.data, want.data, y.count, s->norm ? 2e-5f : 4e-6f);
        c.y = pair.data;
        assert_true(v->pair[i].conv_module(&v->pair[i], &c, v->arena));
        assert_same_bits("two threads", pair.data, y.data, y.count);
        c.y = one.data;
        c.n_spans = 1;
        for (size_t span = 0; span < n_spans; span++) {
            c.spans = spans + span;
            assert_true(v->alone[i].conv_module(&v->alone[i], &c, v->arena));
        }
        assert_same_bits("span alone", one.data, y.data, y.count);
        c.spans = spans;
        c.n_spans = n_spans;
        guarded_free(&y);
        guarded_free(&pair);
        guarded_free(&one);
    }
    guarded_free(&x);
    guarded_free(&weight);
    guarded_free(&bias);
    guarded_free(&gain);
    guarded_free(&offset);
    guarded_free(&want);
}

static void test_settings(void **state) {
    (void)state;
    variant_set v = variants_open();
    stapes__span spans[] = {{0, 5}, {5, 0}, {5, 1}, {6, 70}, {76, 200}};
    static const size_t widths[] = {1, 7, 16, 33, 64, 100};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        for (int norm = 0; norm < 2; norm++) {
            check(&v, &(setting){widths[i], 9, 4, true, norm}, spans, 5);
            check(&v, &(setting){widths[i], 9, 8, false, norm}, spans, 5);
            check(&v, &(setting){widths[i], 31, 15, true, norm}, spans, 5);
            check(&v, &(setting){widths[i], 1, 0, true, norm}, spans, 5);
        }
    }
    check(&v, &(setting){1024, 9, 4, true, false}, spans + 4, 0);
    check(&v, &(setting){512, 9, 8, true, true}, spans, 5);
    variants_close(&v);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_settings)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
