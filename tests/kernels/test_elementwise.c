/* add_relu: exact in every variant. */
#include "kernel_support.h"

static void test_add_relu(void **state) {
    (void)state;
    variant_set v = variants_open();
    static const size_t widths[] = {1, 7, 8, 9, 16, 31, 640, 1000};
    const stapes__ops *all[] = {&v.c_pair, &v.alone[0], &v.pair[0], &v.alone[1], &v.pair[1]};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        for (size_t rows = 0; rows <= 300; rows += rows < 3 ? 1 : 297) {
            size_t n = widths[i];
            guarded a = guarded_random(rows * (n + 2), 1, 1.0f), b = guarded_random(n, 2, 1.0f);
            guarded want = guarded_new(rows * n), y = guarded_new(rows * n);
            v.c.add_relu(&v.c, a.data, n + 2, b.data, 0, rows, n, want.data);
            for (size_t j = 0; j < want.count; j++) {
                float sum = a.data[j / n * (n + 2) + j % n] + b.data[j % n];
                assert_true(want.data[j] == (sum > 0.0f ? sum : 0.0f));
            }
            for (size_t k = 0; k < 1 + 2 * v.count; k++) {
                all[k]->add_relu(all[k], a.data, n + 2, b.data, 0, rows, n, y.data);
                assert_same_bits(all[k]->name, y.data, want.data, y.count);
            }
            guarded_free(&a);
            guarded_free(&b);
            guarded_free(&want);
            guarded_free(&y);
        }
    }
    variants_close(&v);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_add_relu)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
