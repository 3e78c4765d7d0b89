/* The LSTM cell against plain C and double, saturated gates included. */
#include "kernel_support.h"

static void check(const variant_set *v, size_t rows, size_t d, float size) {
    guarded gates = guarded_random(rows * 4 * d, 1, size),
            start = guarded_random(rows * d, 2, 2.0f);
    const stapes__ops *all[] = {&v->c, &v->alone[0], &v->alone[1]};
    for (size_t i = 0; i < 1 + v->count; i++) {
        guarded c = guarded_new(rows * d), h = guarded_new(rows * d);
        guarded c1 = guarded_new(d), h1 = guarded_new(d);
        memcpy(c.data, start.data, c.count * sizeof(float));
        all[i]->lstm_cell(all[i], gates.data, rows, d, c.data, h.data);
        for (size_t j = 0; j < rows * d; j++) {
            const float *g = gates.data + j / d * 4 * d + j % d;
            double cell = (double)start.data[j] / (1 + exp(-(double)g[d])) +
                          tanh((double)g[2 * d]) / (1 + exp(-(double)g[0]));
            double out = tanh(cell) / (1 + exp(-(double)g[3 * d]));
            assert_true(fabs(cell - (double)c.data[j]) < 5e-7);
            assert_true(fabs(out - (double)h.data[j]) < 5e-7);
        }
        for (size_t r = 0; r < rows; r++) {
            memcpy(c1.data, start.data + r * d, d * sizeof(float));
            all[i]->lstm_cell(all[i], gates.data + r * 4 * d, 1, d, c1.data, h1.data);
            assert_same_bits("one row, c", c1.data, c.data + r * d, d);
            assert_same_bits("one row, h", h1.data, h.data + r * d, d);
        }
        guarded_free(&c);
        guarded_free(&h);
        guarded_free(&c1);
        guarded_free(&h1);
    }
    guarded_free(&gates);
    guarded_free(&start);
}

static void test_cell(void **state) {
    (void)state;
    variant_set v = variants_open();
    static const size_t widths[] = {1, 7, 8, 15, 16, 17, 64, 100, 640};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        check(&v, 1, widths[i], 3.0f);
        check(&v, 3, widths[i], 0.1f);
        check(&v, 2, widths[i], 400.0f);
    }
    variants_close(&v);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cell)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
