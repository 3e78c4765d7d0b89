/* Block types: the values that PyPI's gguf gives for the same bytes, packing row by row. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/mem.h"
#include "compute/cpu/gemm.h"
#include "support.h"
#include "tensor/tensor.h"

static const stapes__dtype kinds[] = {STAPES__Q4_0, STAPES__Q4_1, STAPES__Q5_0, STAPES__Q5_1,
                                      STAPES__Q8_0, STAPES__Q2_K, STAPES__Q3_K, STAPES__Q4_K,
                                      STAPES__Q5_K, STAPES__Q6_K};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* The bytes of a type's vector at an odd address; free(*block). */
static stapes__tensor load(const vectors *v, stapes__dtype dtype, uint8_t **block) {
    char name[32];
    size_t count;
    snprintf(name, sizeof name, "%s/raw", stapes__dtype_name(dtype));
    double *raw = vectors_get(v, name, NULL, NULL, &count);
    *block = malloc(count + 1);
    assert_non_null(*block);
    for (size_t i = 0; i < count; i++)
        (*block)[1 + i] = (uint8_t)raw[i];
    free(raw);
    return (stapes__tensor){.name = "vector", .dtype = dtype, .data = *block + 1, .bytes = count};
}

static double *expected(const vectors *v, stapes__dtype dtype, size_t *count) {
    char name[32];
    snprintf(name, sizeof name, "%s/values", stapes__dtype_name(dtype));
    return vectors_get(v, name, NULL, NULL, count);
}

static void test_values(void **state) {
    (void)state;
    vectors v = vectors_open("ggml");
    for (int i = 0; i < KINDS; i++) {
        uint8_t *raw;
        size_t count, block = stapes__dtype_block(kinds[i]);
        stapes__tensor t = load(&v, kinds[i], &raw);
        double *want = expected(&v, kinds[i], &count);
        assert_int_equal(t.bytes, count / block * stapes__dtype_size(kinds[i]));
        float *got = calloc(count, sizeof *got);
        assert_non_null(got);
        stapes__to_f32(&t, 0, count, got);
        for (size_t k = 0; k < count; k++) /* bit for bit: nothing is fused */
            if ((double)got[k] != want[k])
                fail_msg("%s[%zu] = %.9g, wanted %.9g", stapes__dtype_name(kinds[i]), k,
                         (double)got[k], want[k]);
        float last[STAPES__MAX_BLOCK];
        stapes__to_f32(&t, count - block, block, last);
        assert_memory_equal(last, got + count - block, block * sizeof *last);
        free(got);
        free(want);
        free(raw);
    }
    vectors_close(&v);
}

/* The planar layout of a tensor is its blocks taken apart. */
static void test_planar(void **state) {
    (void)state;
    vectors v = vectors_open("ggml");
    uint8_t *raw;
    stapes__tensor t = load(&v, STAPES__Q8_0, &raw), planar = t;
    size_t blocks = t.bytes / 34, count = blocks * 32;
    uint8_t *apart = malloc(t.bytes);
    float *want = calloc(count, sizeof *want), *got = calloc(count, sizeof *got);
    assert_true(apart && want && got);
    for (size_t b = 0; b < blocks; b++) {
        memcpy(apart + 32 * b, (const uint8_t *)t.data + 34 * b + 2, 32);
        memcpy(apart + 32 * blocks + 2 * b, (const uint8_t *)t.data + 34 * b, 2);
    }
    planar.dtype = STAPES__Q8_0_PLANAR;
    planar.data = apart;
    stapes__to_f32(&t, 0, count, want);
    stapes__to_f32(&planar, 0, count, got);
    assert_memory_equal(got, want, count * sizeof *got);
    stapes__to_f32(&planar, 32, 32, got);
    assert_memory_equal(got, want + 32, 32 * sizeof *got);
    free(apart);
    free(want);
    free(got);
    free(raw);
    vectors_close(&v);
}

static void test_sizes(void **state) {
    (void)state;
    size_t bytes = 0;
    for (int i = 0; i < KINDS; i++) {
        int64_t block = (int64_t)stapes__dtype_block(kinds[i]);
        int64_t rows[2] = {3, 2 * block}, odd[2] = {2 * block, block / 2};
        assert_true(stapes__dtype_is_real(kinds[i]));
        assert_true(stapes__shape_bytes(kinds[i], 2, rows, &bytes));
        assert_int_equal(bytes, 6 * stapes__dtype_size(kinds[i]));
        assert_false(stapes__shape_bytes(kinds[i], 2, odd, &bytes)); /* whole, but not by row */
        assert_false(stapes__shape_bytes(kinds[i], 0, rows, &bytes));
    }
    assert_true(stapes__shape_bytes(STAPES__F16, 0, NULL, &bytes) && bytes == 2);
    assert_true(stapes__dtype_is_real(STAPES__F64) && !stapes__dtype_is_real(STAPES__I8));
    assert_false(stapes__dtype_is_real(STAPES__DTYPE_COUNT));
    assert_int_equal(stapes__dtype_block(STAPES__F32), 1);
}

static void assert_packs_alike(const stapes__ops *ops, const stapes__tensor *blocks,
                               const stapes__tensor *floats, const size_t *column) {
    stapes_error err = {0};
    stapes__weight *a = NULL, *b = NULL;
    size_t n = (size_t)blocks->shape[0], k = (size_t)blocks->shape[1];
    stapes__pack_params params = {.parts = blocks, .n_parts = 1, .n = n, .k = k, .column = column};
    assert_ok(ops->pack(ops, &params, &a, &err), err);
    params.parts = floats;
    assert_ok(ops->pack(ops, &params, &b, &err), err);
    assert_int_equal(a->bytes, b->bytes);
    assert_memory_equal(a->data, b->data, a->bytes);
    ops->weight_free(a);
    ops->weight_free(b);
}

/* A packed block weight is the packed weight of its values, also with columns in another order;
 * rows that are no whole number of blocks are refused. */
static void test_pack(void **state) {
    (void)state;
    vectors v = vectors_open("ggml");
    stapes__ops ops;
    stapes__cpu cpu;
    stapes__cpu_detect(&cpu);
    stapes__ops_cpu(&ops, &cpu, NULL);
    for (int i = 0; i < KINDS; i++) {
        uint8_t *raw;
        stapes__tensor t = load(&v, kinds[i], &raw);
        size_t count = t.bytes / stapes__dtype_size(kinds[i]) * stapes__dtype_block(kinds[i]);
        t.n_dims = 2; /* one long row, then one row per block */
        t.shape[0] = 1;
        t.shape[1] = (int64_t)count;
        float *values = calloc(count, sizeof *values);
        size_t *backwards = calloc(count, sizeof *backwards);
        assert_true(values && backwards);
        stapes__to_f32(&t, 0, count, values);
        for (size_t k = 0; k < count; k++)
            backwards[k] = count - 1 - k;
        stapes__tensor floats = t;
        floats.dtype = STAPES__F32;
        floats.data = values;
        floats.bytes = count * sizeof *values;
        assert_packs_alike(&ops, &t, &floats, NULL);
        assert_packs_alike(&ops, &t, &floats, backwards);
        t.shape[1] = floats.shape[1] = (int64_t)stapes__dtype_block(kinds[i]);
        t.shape[0] = floats.shape[0] = (int64_t)count / t.shape[1];
        assert_packs_alike(&ops, &t, &floats, NULL);
        stapes_error err = {0};
        stapes__weight *w = NULL;
        t.shape[0] *= 2;
        t.shape[1] /= 2;
        stapes__pack_params params = {
            .parts = &t, .n_parts = 1, .n = (size_t)t.shape[0], .k = (size_t)t.shape[1]};
        assert_int_equal(ops.pack(&ops, &params, &w, &err), STAPES_E_MODEL_DAMAGED);
        assert_null(w);
        free(values);
        free(backwards);
        free(raw);
    }
    vectors_close(&v);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values), cmocka_unit_test(test_planar),
                                       cmocka_unit_test(test_sizes), cmocka_unit_test(test_pack)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
