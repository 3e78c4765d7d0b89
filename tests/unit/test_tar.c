/* Tar archives: the forms that writers use, and damaged ones. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "weights/tar.h"

enum { BLOCK = 512 };

static void seal(char *header) {
    unsigned sum = 0;
    memset(header + 148, ' ', 8);
    for (int i = 0; i < BLOCK; i++)
        sum += (unsigned char)header[i];
    snprintf(header + 148, 8, "%06o", sum);
}

/* One member with its data and padding. */
static void put(stapes__buf *tar, const char *name, char type, const char *data, size_t size) {
    char header[BLOCK] = {0};
    memcpy(header, name, strlen(name) < 100 ? strlen(name) : 100);
    snprintf(header + 100, 8, "%07o", 0644);
    snprintf(header + 124, 12, "%011o", (unsigned)size);
    header[156] = type;
    memcpy(header + 257,
           "ustar\0"
           "00",
           8);
    seal(header);
    stapes__buf_append(tar, header, BLOCK);
    stapes__buf_append(tar, data, size);
    while (tar->length % BLOCK != 0)
        stapes__buf_append(tar, "", 1);
}

static void finish(stapes__buf *tar) {
    static const char empty[2 * BLOCK];
    stapes__buf_append(tar, empty, sizeof empty);
    assert_false(tar->failed);
}

/* Reads from an exact-size block. */
static stapes_status read_exact(stapes__tar *tar, const void *data, size_t size,
                                stapes_error *err) {
    uint8_t *exact = malloc(size ? size : 1);
    assert_non_null(exact);
    memcpy(exact, data, size);
    *tar = (stapes__tar){0};
    stapes_status status = stapes__tar_read(tar, exact, size, err);
    free(exact);
    return status;
}

static void test_forms(void **state) {
    (void)state;
    stapes__buf bytes = {0};
    put(&bytes, "./", '5', "", 0);
    put(&bytes, "./model_config.yaml", '0', "a: 1\n", 5);
    put(&bytes, "link", '2', "", 0);
    put(&bytes, "x/17_tokenizer.model", 0, "abc", 3);
    put(&bytes, "pax", 'x', "25 path=long/name_by_pax\n30 mtime=1700000000.123456789\n", 55);
    put(&bytes, "short", '0', "pax data", 8);
    put(&bytes, "././@LongLink", 'L', "long/name_by_gnu", 17);
    put(&bytes, "short", '0', "gnu data!", 9);
    put(&bytes, "global", 'g', "13 path=nope\n", 13);
    put(&bytes, "empty", '0', "", 0);
    put(&bytes, "./model_config.yaml", '0', "a: 2, newer\n", 12);
    finish(&bytes);
    stapes__tar tar;
    stapes_error err = {0};
    assert_ok(read_exact(&tar, bytes.data, bytes.length, &err), err);
    assert_int_equal(tar.count, 6);
    const stapes__tar_entry *entry = stapes__tar_find(&tar, "model_config.yaml");
    assert_non_null(entry);
    assert_int_equal(entry->size, 12); /* the later one, as unpacking leaves it */
    assert_string_equal(entry->name, "model_config.yaml");
    assert_non_null(stapes__tar_find(&tar, "17_tokenizer.model"));
    assert_null(stapes__tar_find(&tar, "tokenizer.model"));
    entry = stapes__tar_find(&tar, "name_by_pax");
    assert_non_null(entry);
    assert_memory_equal(bytes.data + entry->offset, "pax data", 8);
    entry = stapes__tar_find(&tar, "long/name_by_gnu");
    assert_non_null(entry);
    assert_memory_equal(bytes.data + entry->offset, "gnu data!", 9);
    assert_non_null(stapes__tar_find(&tar, "empty"));
    assert_null(stapes__tar_find(&tar, "link"));
    stapes__tar_free(&tar);
    stapes__buf_free(&bytes);
}

static void test_prefix_and_base256(void **state) {
    (void)state;
    stapes__buf bytes = {0};
    put(&bytes, "name", '0', "0123456789", 10);
    memcpy(bytes.data + 345, "folder/sub", 10);
    memset(bytes.data + 124, 0, 12);
    bytes.data[124] = (char)0x80;
    bytes.data[135] = 10;
    seal(bytes.data);
    finish(&bytes);
    stapes__tar tar;
    stapes_error err = {0};
    assert_ok(read_exact(&tar, bytes.data, bytes.length, &err), err);
    assert_int_equal(tar.count, 1);
    assert_string_equal(tar.entries[0].name, "folder/sub/name");
    assert_int_equal(tar.entries[0].size, 10);
    stapes__tar_free(&tar);
    /* base-256 sizes that overflow, and negative ones */
    for (int i = 0; i < 4; i++) {
        static const unsigned char heads[4] = {0xff, 0x80, 0x80, 0x81};
        memset(bytes.data + 125, 0xff, 11);
        bytes.data[124] = (char)heads[i];
        if (i == 2) /* 2^63: fits 64 bits, not the file */
            memcpy(bytes.data + 125, "\0\0\0\x80\0\0\0\0\0\0\0", 11);
        seal(bytes.data);
        assert_int_equal(read_exact(&tar, bytes.data, bytes.length, &err), STAPES_E_MODEL_DAMAGED);
    }
    stapes__buf_free(&bytes);
}

static stapes_status read_one(const char *name, char type, const char *data, size_t size,
                              stapes_error *err) {
    stapes__buf bytes = {0};
    put(&bytes, name, type, data, size);
    put(&bytes, "after", '0', "x", 1);
    finish(&bytes);
    stapes__tar tar;
    stapes_status status = read_exact(&tar, bytes.data, bytes.length, err);
    stapes__tar_free(&tar);
    stapes__buf_free(&bytes);
    return status;
}

static void test_broken_records(void **state) {
    (void)state;
    static const char *const records[] = {
        "5 a=\n",
        "99 path=x\n",
        "path=x\n",
        "0 path=x\n",
        "11 path=x\n",
        "9 path=\n",
        "10 size=x\n",
        "9 path x\n",
        "-9 path=x\n",
        "99999999999999999999 path=x\n",
        "28 size=9999999999999999999\n",
        "26 size=99999999999999999\n",
    };
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        stapes_error err = {0};
        stapes_status status = read_one("p", 'x', records[i], strlen(records[i]), &err);
        if (status != (i == 0 ? STAPES_OK : STAPES_E_MODEL_DAMAGED))
            fail_msg("%s: status %d, %s", records[i], status, err.message);
    }
    stapes_error err = {0};
    assert_int_equal(read_one("p", 'L', "", 0, &err), STAPES_E_MODEL_DAMAGED);
    assert_int_equal(read_one("p", 'S', "", 0, &err), STAPES_E_UNSUPPORTED);
    char *large = calloc(1, 2 << 20);
    assert_non_null(large);
    assert_int_equal(read_one("p", 'x', large, 2 << 20, &err), STAPES_E_MODEL_DAMAGED);
    memset(large, 'n', 2 << 20);
    assert_int_equal(read_one("p", 'L', large, 5000, &err), STAPES_E_MODEL_DAMAGED);
    free(large);
}

/* Cut at every byte: never an over-read; inside a member or header never accepted. */
static void test_every_cut(void **state) {
    (void)state;
    stapes__buf bytes = {0};
    put(&bytes, "pax", 'x', "15 path=by_pax\n", 15);
    put(&bytes, "first", '0', "one", 3);
    size_t first_end = bytes.length;
    put(&bytes, "second", '0', "two", 3);
    size_t second = first_end + BLOCK + 3;
    finish(&bytes);
    stapes__tar tar;
    stapes_error err = {0};
    for (size_t size = 0; size <= bytes.length; size++) {
        stapes_status status = read_exact(&tar, bytes.data, size, &err);
        size_t count = tar.count;
        stapes__tar_free(&tar);
        if (size < first_end - BLOCK + 3 || (size > first_end && size < second))
            assert_int_equal(status, STAPES_E_MODEL_DAMAGED);
        if (size >= second && (size <= first_end + 2 * BLOCK || size % BLOCK == 0)) {
            assert_int_equal(status, STAPES_OK);
            assert_int_equal(count, 2);
        }
    }
    for (size_t bit = 0; bit < 8 * BLOCK; bit++) { /* any single wrong bit breaks the checksum */
        bytes.data[bit / 8] ^= (char)(1 << bit % 8);
        stapes_status status = read_exact(&tar, bytes.data, bytes.length, &err);
        stapes__tar_free(&tar);
        if (bit / 8 < 148 || bit / 8 >= 156)
            assert_int_equal(status, STAPES_E_MODEL_DAMAGED);
        bytes.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    stapes__buf_free(&bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_prefix_and_base256),
        cmocka_unit_test(test_broken_records),
        cmocka_unit_test(test_every_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
