/* Layer normalisation against plain C and double. */
#include "kernel_support.h"

static void check(const variant_set *v, size_t rows, size_t d, float offset) {
    guarded x = guarded_random(rows * d, 1, 3.0f), gain = guarded_random(d, 2, 1.0f);
    guarded bias = guarded_random(d, 3, 1.0f), want = guarded_new(rows * d);
    for (size_t i = 0; i < x.count; i++)
        x.data[i] += offset;
    v->c.layer_norm(&v->c, x.data, rows, d, gain.data, bias.data, 1e-5f, want.data);
    for (size_t r = 0; r < rows; r++) {
        double mean = 0, square = 0;
        for (size_t c = 0; c < d; c++)
            mean += (double)x.data[r * d + c] / (double)d;
        for (size_t c = 0; c < d; c++)
            square += pow((double)x.data[r * d + c] - mean, 2) / (double)d;
        for (size_t c = 0; c < d; c++) {
            double y = ((double)x.data[r * d + c] - mean) / sqrt(square + 1e-5);
            y = y * (double)gain.data[c] + (double)bias.data[c];
            assert_true(fabs(y - (double)want.data[r * d + c]) <
                        1e-5 * (1.0 + fabs((double)offset)));
        }
    }
    for (size_t i = 0; i < v->count; i++) {
        guarded y = guarded_new(rows * d), pair = guarded_new(rows * d), one = guarded_new(d);
        v->alone[i].layer_norm(&v->alone[i], x.data, rows, d, gain.data, bias.data, 1e-5f, y.data);
        assert_near(v->alone[i].name, y.data, want.data, y.count, 5e-6f * (1.0f + fabsf(offset)));
        memcpy(pair.data, x.data, x.count * sizeof(float)); /* in place */
        v->pair[i].layer_norm(&v->pair[i], pair.data, rows, d, gain.data, bias.data, 1e-5f,
                              pair.data);
        assert_same_bits("in place, two threads", pair.data, y.data, y.count);
        for (size_t r = 0; r < rows; r += 1 + rows / 5) {
            v->alone[i].layer_norm(&v->alone[i], x.data + r * d, 1, d, gain.data, bias.data, 1e-5f,
                                   one.data);
            assert_same_bits("one row", one.data, y.data + r * d, d);
        }
        guarded_free(&y);
        guarded_free(&pair);
        guarded_free(&one);
    }
    guarded_free(&x);
    guarded_free(&gain);
    guarded_free(&bias);
    guarded_free(&want);
}

static void test_layer_norm(void **state) {
    (void)state;
    variant_set v = variants_open();
    static const size_t widths[] = {1, 2, 7, 8, 15, 16, 17, 31, 33, 64, 100, 192, 513, 1024};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        for (size_t rows = 0; rows < 4; rows++)
            check(&v, rows, widths[i], 0.0f);
    check(&v, 300, 512, 0.0f);
    check(&v, 5, 96, 100.0f);
    variants_close(&v);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_layer_norm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
