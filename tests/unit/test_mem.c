/* Checked sizes, aligned blocks, growing buffers, arenas. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "support.h"

static void test_sizes(void **state) {
    (void)state;
    size_t out;
    assert_true(stapes__mul_size(6, 7, &out) && out == 42);
    assert_true(stapes__mul_size(0, SIZE_MAX, &out) && out == 0);
    assert_false(stapes__mul_size(SIZE_MAX / 2 + 1, 2, &out));
    assert_true(stapes__add_size(SIZE_MAX - 1, 1, &out) && out == SIZE_MAX);
    assert_false(stapes__add_size(SIZE_MAX, 1, &out));
    assert_null(stapes__calloc(SIZE_MAX / 2, 3));
    void *empty = stapes__calloc(0, 8);
    assert_non_null(empty);
    free(empty);
    int *numbers = stapes__calloc(4, sizeof *numbers);
    assert_non_null(numbers);
    for (int i = 0; i < 4; i++)
        assert_int_equal(numbers[i], 0);
    numbers[3] = 9;
    assert_null(stapes__realloc(numbers, SIZE_MAX / 2, 4));
    numbers = stapes__realloc(numbers, 1000, sizeof *numbers);
    assert_non_null(numbers);
    assert_int_equal(numbers[3], 9);
    free(numbers);
}

static void test_strings(void **state) {
    (void)state;
    char *copy = stapes__strdup("stapes"), *part = stapes__strndup("stapes", 3);
    assert_string_equal(copy, "stapes");
    assert_string_equal(part, "sta");
    free(copy);
    free(part);
}

static void test_aligned(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 63, 64, 65, 4096, (1 << 20) - 1, 1 << 20, 5 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *block = stapes__alloc_aligned(sizes[i]);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 64, 0);
        memset(block, 1, sizes[i]);
        stapes__free_aligned(block);
    }
    stapes__free_aligned(NULL);
}

static void test_buffer(void **state) {
    (void)state;
    stapes__buf buf = {0};
    stapes__buf_puts(&buf, "");
    assert_string_equal(buf.data, "");
    size_t want = 0;
    for (int i = 0; i < 1000; i++) {
        stapes__buf_printf(&buf, "%d,", i);
        stapes__buf_append(&buf, "\0x", 2);
        want += 3 + (size_t)(i > 9) + (size_t)(i > 99) + 1;
    }
    assert_false(buf.failed);
    assert_int_equal(buf.length, want);
    assert_memory_equal(buf.data, "0,\0x1,\0x2,\0x", 12);
    assert_int_equal(buf.data[buf.length], 0);
    stapes__buf_free(&buf);
    assert_null(buf.data);
    /* a growth that cannot be: later appends do nothing */
    stapes__buf_append(&buf, "abc", 3);
    stapes__buf_append(&buf, "abc", SIZE_MAX - 1);
    assert_true(buf.failed);
    stapes__buf_puts(&buf, "more");
    assert_int_equal(buf.length, 3);
    assert_string_equal(buf.data, "abc");
    stapes__buf_free(&buf);
}

static void test_arena(void **state) {
    (void)state;
    stapes__arena *arena = stapes__arena_new();
    assert_non_null(arena);
    for (int round = 0; round < 3; round++) {
        unsigned char *blocks[200];
        for (size_t i = 0; i < 200; i++) {
            size_t size = i * i * 7 + (i == 100 ? 3 << 20 : 0);
            blocks[i] = stapes__arena_alloc(arena, size);
            assert_non_null(blocks[i]);
            assert_int_equal((uintptr_t)blocks[i] % 64, 0);
            memset(blocks[i], (int)i, size);
        }
        for (size_t i = 1; i < 200; i++) /* no block overlaps another */
            for (size_t j = 0; j < i * i * 7; j++)
                assert_true(blocks[i][j] == (unsigned char)i);
        stapes__arena_reset(arena);
    }
    assert_true(stapes__arena_peak(arena) >= (18u << 20));
    stapes__arena_free(arena);
    stapes__arena_free(NULL);
}

static void test_arena_marks(void **state) {
    (void)state;
    stapes__arena *arena = stapes__arena_new();
    assert_non_null(arena);
    float *kept = stapes__arena_floats(arena, 100);
    kept[99] = 5.0f;
    stapes__arena_mark mark = stapes__arena_save(arena);
    float *first = stapes__arena_floats(arena, 1000);
    assert_non_null(stapes__arena_floats(arena, 4 << 20)); /* another chunk */
    stapes__arena_restore(arena, mark);
    assert_ptr_equal(stapes__arena_floats(arena, 1000), first);
    assert_true(kept[99] == 5.0f);
    assert_null(stapes__arena_floats(arena, SIZE_MAX / 2));
    assert_null(stapes__arena_alloc(arena, SIZE_MAX));
    stapes__arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),   cmocka_unit_test(test_strings),
        cmocka_unit_test(test_aligned), cmocka_unit_test(test_buffer),
        cmocka_unit_test(test_arena),   cmocka_unit_test(test_arena_marks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
