/* Data types, shapes, conversion to float: all 65536 halves. */
#include <math.h>
#include <string.h>

#include "support.h"
#include "tensor/tensor.h"

static void test_halves(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        float got = stapes__half_to_float((uint16_t)bits);
        int exponent = (int)(bits >> 10 & 31);
        double fraction = (double)(bits & 1023) / 1024.0;
        double want = exponent == 0 ? ldexp(fraction, -14) : ldexp(1.0 + fraction, exponent - 15);
        if (exponent == 31)
            want = fraction != 0.0 ? (double)NAN : (double)INFINITY;
        if (bits & 0x8000)
            want = -want;
        if (isnan(want))
            assert_true(isnan(got));
        else
            assert_true((double)got == want && !signbit(got) == !(bits & 0x8000));
    }
}

static void test_bfloats(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        uint16_t value = (uint16_t)bits;
        stapes__tensor t = {.dtype = STAPES__BF16, .data = &value, .bytes = 2};
        float got;
        uint32_t back;
        stapes__to_f32(&t, 0, 1, &got);
        memcpy(&back, &got, 4);
        assert_int_equal(back, bits << 16);
    }
}

#define CHECK(type, code, ...)                                                                     \
    do {                                                                                           \
        type source[] = {__VA_ARGS__};                                                             \
        unsigned char moved[sizeof source + 1]; /* an odd address */                               \
        memcpy(moved + 1, source, sizeof source);                                                  \
        stapes__tensor t = {.dtype = code, .data = moved + 1, .bytes = sizeof source};             \
        float out[2];                                                                              \
        stapes__to_f32(&t, 1, 2, out);                                                             \
        assert_true(out[0] == (float)source[1] && out[1] == (float)source[2]);                     \
        assert_int_equal(stapes__dtype_size(code), sizeof(type));                                  \
    } while (0)

static void test_conversion(void **state) {
    (void)state;
    CHECK(float, STAPES__F32, 1.0f, -2.5f, 3e30f);
    CHECK(double, STAPES__F64, 1.0, -0.1, 1e300);
    CHECK(int64_t, STAPES__I64, 1, -5000000000, 7);
    CHECK(int32_t, STAPES__I32, 1, -50000, 7);
    CHECK(int16_t, STAPES__I16, 1, -500, 7);
    CHECK(int8_t, STAPES__I8, 1, -50, 7);
    CHECK(uint8_t, STAPES__U8, 1, 250, 7);
    CHECK(uint8_t, STAPES__BOOL, 1, 0, 1);
}

static void test_shapes(void **state) {
    (void)state;
    size_t count;
    assert_true(stapes__shape_elements(0, NULL, &count) && count == 1);
    assert_true(stapes__shape_elements(3, (const int64_t[]){4, 5, 6}, &count) && count == 120);
    assert_true(stapes__shape_elements(2, (const int64_t[]){4, 0}, &count) && count == 0);
    assert_false(stapes__shape_elements(2, (const int64_t[]){4, -1}, &count));
    assert_false(stapes__shape_elements(2, (const int64_t[]){INT64_MAX, INT64_MAX}, &count));
    assert_false(stapes__shape_elements(2, (const int64_t[]){1 << 30, 1 << 30}, &count));
    char text[32], tight[6];
    stapes__tensor t = {.n_dims = 2, .shape = {24, 1024}};
    stapes__shape_text(&t, text, sizeof text);
    assert_string_equal(text, "[24, 1024]");
    stapes__shape_text(&t, tight, sizeof tight);
    assert_string_equal(tight, "[24, ");
    t.n_dims = 0;
    stapes__shape_text(&t, text, sizeof text);
    assert_string_equal(text, "[]");
    assert_string_equal(stapes__dtype_name(STAPES__BF16), "BF16");
    assert_string_equal(stapes__dtype_name(STAPES__DTYPE_COUNT), "?");
    assert_int_equal(stapes__dtype_size(STAPES__DTYPE_COUNT), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_halves), cmocka_unit_test(test_bfloats),
        cmocka_unit_test(test_conversion), cmocka_unit_test(test_shapes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
