/* Torch checkpoints: the stack machine, the zip around it, and hostile forms of both. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "weights/container_internal.h"
#include "weights/pickle.h"
#include "weights/torch.h"
#include "weights/torch_zip.h"

/* ---- writing pickles ---- */

#define GLOBAL(module, name) "c" module "\n" name "\n"
#define REBUILD GLOBAL("torch._utils", "_rebuild_tensor_v2")
#define ORDERED GLOBAL("collections", "OrderedDict") ")R"

static void put(stapes__buf *b, const char *ops, size_t length) {
    stapes__buf_append(b, ops, length);
}

#define PUT(b, ops) put((b), (ops), sizeof(ops) - 1)

static void put_text(stapes__buf *b, const char *text) {
    uint32_t length = (uint32_t)strlen(text);
    PUT(b, "X");
    stapes__buf_append(b, &length, 4); /* the tests run on little-endian machines */
    stapes__buf_puts(b, text);
}

static void put_int(stapes__buf *b, int64_t value) {
    PUT(b, "\x8a\x08");
    stapes__buf_append(b, &value, 8);
}

static void put_ints(stapes__buf *b, const int64_t *values, int count) {
    PUT(b, "(");
    for (int i = 0; i < count; i++)
        put_int(b, values[i]);
    PUT(b, "t");
}

typedef struct tensor {
    const char *name, *key, *type;
    int64_t count, offset;
    int n_dims;
    int64_t shape[9], stride[9];
} tensor;

/* What torch writes for one tensor: _rebuild_tensor_v2(storage, offset, size, stride, ...). */
static void put_tensor(stapes__buf *b, const tensor *t) {
    PUT(b, REBUILD "((");
    put_text(b, "storage");
    stapes__buf_printf(b, "ctorch\n%s\n", t->type);
    put_text(b, t->key);
    put_text(b, "cpu");
    put_int(b, t->count);
    PUT(b, "tQ");
    put_int(b, t->offset);
    put_ints(b, t->shape, t->n_dims);
    put_ints(b, t->stride, t->n_dims);
    PUT(b, "\x89" ORDERED "tR");
}

static void put_state(stapes__buf *b, const tensor *tensors, size_t count) {
    PUT(b, ORDERED "(");
    for (size_t i = 0; i < count; i++) {
        put_text(b, tensors[i].name);
        put_tensor(b, &tensors[i]);
    }
    PUT(b, "u");
}

static const tensor good[] = {
    {"plain", "0", "FloatStorage", 6, 0, 2, {2, 3}, {3, 1}},
    {"turned", "0", "FloatStorage", 6, 0, 2, {3, 2}, {1, 3}},
    {"part", "0", "FloatStorage", 6, 2, 1, {4}, {1}},
    {"column", "0", "FloatStorage", 6, 1, 1, {2}, {3}},
    {"ones", "0", "FloatStorage", 6, 3, 3, {1, 3, 1}, {99, 1, 7}},
    {"scalar", "1", "LongStorage", 1, 0, 0, {0}, {0}},
    {"none", "1", "LongStorage", 1, 0, 2, {0, 5}, {5, 1}},
};
enum { GOOD = sizeof good / sizeof *good };

static stapes_status read_pickle(const stapes__buf *b, stapes__pickle *pickle, stapes_error *err) {
    assert_false(b->failed);
    uint8_t *exact = malloc(b->length ? b->length : 1);
    assert_non_null(exact);
    if (b->length)
        memcpy(exact, b->data, b->length);
    *pickle = (stapes__pickle){0};
    stapes_status status = stapes__pickle_read(pickle, exact, b->length, err);
    if (status != STAPES_OK)
        assert_true(pickle->tensors == NULL && pickle->count == 0 && err->message[0] != 0);
    free(exact);
    return status;
}

static void test_plain(void **state) {
    (void)state;
    stapes__buf b = {0};
    stapes__pickle pickle;
    stapes_error err = {0};
    PUT(&b, "\x80\x02");
    put_state(&b, good, GOOD);
    PUT(&b, "}");
    put_text(&b, "_metadata");
    PUT(&b, ORDERED "sb."); /* attributes of the dictionary */
    assert_ok(read_pickle(&b, &pickle, &err), err);
    assert_int_equal(pickle.count, GOOD);
    assert_int_equal(pickle.tensors[1].stride[1], 3);
    assert_int_equal(pickle.tensors[5].dtype, STAPES__I64);
    assert_int_equal(pickle.tensors[5].n_dims, 0);
    stapes__pickle_free(&pickle);
    for (size_t size = 0; size < b.length; size++) { /* cut at every byte */
        stapes__buf part = {.data = b.data, .length = size};
        assert_int_not_equal(read_pickle(&part, &pickle, &err), STAPES_OK);
    }
    for (size_t bit = 0; bit < 8 * b.length; bit++) {
        b.data[bit / 8] ^= (char)(1 << bit % 8);
        read_pickle(&b, &pickle, &err);
        stapes__pickle_free(&pickle);
        b.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    stapes__buf_free(&b);
}

/* Whisper's form: {"dims": {...}, "model_state_dict": {...}}. */
static void test_nested(void **state) {
    (void)state;
    stapes__buf b = {0};
    stapes__pickle pickle;
    stapes_error err = {0};
    PUT(&b, "\x80\x02}(");
    put_text(&b, "dims");
    PUT(&b, "}(");
    put_text(&b, "n_mels");
    PUT(&b, "K\x50");
    put_text(&b, "scale");
    PUT(&b, "G\x3f\xe0\0\0\0\0\0\0");
    put_text(&b, "multilingual");
    PUT(&b, "\x88u");
    put_text(&b, "model_state_dict");
    put_state(&b, good, GOOD);
    put_text(&b, "list");
    PUT(&b, "](K\1J\xfe\xff\xff\xffM\0\1Neu.");
    assert_ok(read_pickle(&b, &pickle, &err), err);
    assert_int_equal(pickle.count, GOOD);
    json_t *wanted = json_loads("{\"dims\":{\"n_mels\":80,\"scale\":0.5,\"multilingual\":true},"
                                "\"list\":[1,-2,256,null]}",
                                0, NULL);
    assert_true(json_equal(pickle.extra, wanted));
    json_decref(wanted);
    stapes__pickle_free(&pickle);
    stapes__buf_free(&b);
}

static void assert_refused(const char *ops, size_t length, stapes_status wanted,
                           const char *mention) {
    stapes__buf b = {0};
    stapes__pickle pickle;
    stapes_error err = {0};
    put(&b, ops, length);
    stapes_status status = read_pickle(&b, &pickle, &err);
    if (status != wanted || !strstr(err.message, mention))
        fail_msg("status %d, wanted %d with '%s': %s", status, wanted, mention, err.message);
    stapes__buf_free(&b);
}

#define REFUSED(ops, wanted, mention) assert_refused((ops), sizeof(ops) - 1, (wanted), (mention))

static void test_refusals(void **state) {
    (void)state;
    REFUSED("\x80\x02" GLOBAL("os", "system") "(X\2\0\0\0lstR.", STAPES_E_UNSUPPORTED, "os.system");
    REFUSED("\x80\x02" GLOBAL("builtins", "eval") ".", STAPES_E_UNSUPPORTED, "builtins.eval");
    REFUSED("\x80\x04\x8c\x02os\x8c\x06system\x93.", STAPES_E_UNSUPPORTED, "os.system");
    REFUSED("\x80\x02(i__builtin__\nexec\n.", STAPES_E_UNSUPPORTED, "operation 0x69");
    REFUSED("\x80\x02\x82\x01.", STAPES_E_UNSUPPORTED, "operation 0x82");
    REFUSED("\x80\x02\x81.", STAPES_E_UNSUPPORTED, "operation 0x81");
    REFUSED("", STAPES_E_MODEL_DAMAGED, "without its last");
    REFUSED("\x80\x09}.", STAPES_E_MODEL_DAMAGED, "protocol");
    REFUSED("\x80\x02.", STAPES_E_MODEL_DAMAGED, "one value");
    REFUSED("\x80\x02NN.", STAPES_E_MODEL_DAMAGED, "one value");
    REFUSED("\x80\x02N(.", STAPES_E_MODEL_DAMAGED, "one value");
    REFUSED("\x80\x02}.", STAPES_E_UNSUPPORTED, "no dictionary of tensors");
    REFUSED("\x80\x02K\1.", STAPES_E_UNSUPPORTED, "no dictionary of tensors");
    REFUSED("\x80\x02R.", STAPES_E_MODEL_DAMAGED, "stack is empty");
    REFUSED("\x80\x02NR.", STAPES_E_MODEL_DAMAGED, "stack is empty");
    REFUSED("\x80\x02N)R.", STAPES_E_MODEL_DAMAGED, "something else than a function");
    REFUSED("\x80\x02" ORDERED ")R.", STAPES_E_MODEL_DAMAGED, "something else than a function");
    REFUSED("\x80\x02" GLOBAL("torch", "FloatStorage") ")R.", STAPES_E_MODEL_DAMAGED, "a call");
    REFUSED("\x80\x02t.", STAPES_E_MODEL_DAMAGED, "without a mark");
    REFUSED("\x80\x02u.", STAPES_E_MODEL_DAMAGED, "without a mark");
    REFUSED("\x80\x02\x85.", STAPES_E_MODEL_DAMAGED, "stack is empty");
    REFUSED("\x80\x02N(\x85.", STAPES_E_MODEL_DAMAGED, "stack is empty");
    REFUSED("\x80\x02}(Nu.", STAPES_E_MODEL_DAMAGED, "cannot hold");
    REFUSED("\x80\x02](NNu.", STAPES_E_MODEL_DAMAGED, "cannot hold");
    REFUSED("\x80\x02)Na.", STAPES_E_MODEL_DAMAGED, "cannot hold");
    REFUSED("\x80\x02]Nb.", STAPES_E_MODEL_DAMAGED, "attributes");
    REFUSED("\x80\x02h\7.", STAPES_E_MODEL_DAMAGED, "never set");
    REFUSED("\x80\x02Nr\xff\xff\xff\xff.", STAPES_E_MODEL_DAMAGED, "memo number");
    REFUSED("\x80\x02j\xff\xff\xff\xff.", STAPES_E_MODEL_DAMAGED, "never set");
    REFUSED("\x80\x02q\0.", STAPES_E_MODEL_DAMAGED, "stack is empty");
    REFUSED("\x80\x02X\xff\xff\xff\xff.", STAPES_E_MODEL_DAMAGED, "ends inside a text");
    REFUSED("\x80\x02\x8a\x09\1\2\3\4\5\6\7\x08\x09.", STAPES_E_MODEL_DAMAGED, "64 bits");
    REFUSED("\x80\x04\x95\xff\0\0\0\0\0\0\0}.", STAPES_E_MODEL_DAMAGED, "frame");
    REFUSED("\x80\x02NQ.", STAPES_E_MODEL_DAMAGED, "storage");
    REFUSED("\x80\x02)Q.", STAPES_E_MODEL_DAMAGED, "storage");
    REFUSED("\x80\x02" REBUILD ")R.", STAPES_E_MODEL_DAMAGED, "not described");
    REFUSED("\x80\x02" GLOBAL("torch._utils", "_rebuild_parameter") ")R.", STAPES_E_MODEL_DAMAGED,
            "parameter");
    REFUSED("\x80\x02" GLOBAL("a", "b"), STAPES_E_UNSUPPORTED, "a.b");
    REFUSED("\x80\x02"
            "cno end",
            STAPES_E_MODEL_DAMAGED, "class name");
}

/* A list that holds itself, a dictionary that is its own state, deep tuples, many marks. */
static void test_cycles_and_depth(void **state) {
    (void)state;
    REFUSED("\x80\x02]q\0h\0a.", STAPES_E_UNSUPPORTED, "no dictionary of tensors");
    REFUSED("\x80\x02}q\0X\x0a\0\0\0state_dicth\0s.", STAPES_E_UNSUPPORTED, "no dictionary");
    stapes__buf b = {0};
    stapes__pickle pickle;
    stapes_error err = {0};
    PUT(&b, "\x80\x02)");
    for (int i = 0; i < 300000; i++)
        PUT(&b, "\x85");
    PUT(&b, ".");
    assert_int_equal(read_pickle(&b, &pickle, &err), STAPES_E_UNSUPPORTED);
    b.length = 0;
    PUT(&b, "\x80\x02");
    for (int i = 0; i < 1000000; i++)
        PUT(&b, "(");
    PUT(&b, ".");
    assert_int_equal(read_pickle(&b, &pickle, &err), STAPES_E_MODEL_DAMAGED);
    b.length = 0;
    PUT(&b, "\x80\x02");
    for (int i = 0; i < (1 << 20) + 5; i++)
        PUT(&b, "}");
    PUT(&b, ".");
    assert_int_equal(read_pickle(&b, &pickle, &err), STAPES_E_MODEL_DAMAGED);
    assert_non_null(strstr(err.message, "too many values"));
    stapes__buf_free(&b);
    b = (stapes__buf){0};
    char *large = calloc(1, STAPES__PICKLE_LIMIT + 1);
    assert_non_null(large);
    stapes__buf_append(&b, large, STAPES__PICKLE_LIMIT + 1);
    assert_int_equal(read_pickle(&b, &pickle, &err), STAPES_E_MODEL_DAMAGED);
    stapes__buf_free(&b);
    free(large);
}

static void test_bad_tensors(void **state) {
    (void)state;
    static const tensor bad[] = {
        {"beyond", "0", "FloatStorage", 5, 0, 2, {2, 3}, {3, 1}},
        {"offset", "0", "FloatStorage", 6, 1, 2, {2, 3}, {3, 1}},
        {"far", "0", "FloatStorage", 6, INT64_MAX, 1, {1}, {1}},
        {"negative", "0", "FloatStorage", 6, -1, 1, {1}, {1}},
        {"size", "0", "FloatStorage", 6, 0, 1, {-1}, {1}},
        {"stride", "0", "FloatStorage", 6, 0, 1, {2}, {-1}},
        {"wrap", "0", "FloatStorage", 6, 0, 2, {3, 3}, {INT64_MAX, INT64_MAX}},
        {"wrap", "0", "FloatStorage", 6, 0, 1, {5}, {INT64_MAX / 2 + 1}},
        {"many", "0", "FloatStorage", 6, 0, 4, {1 << 20, 1 << 20, 1 << 20, 1 << 20}, {0}},
        {"count", "0", "FloatStorage", -6, 0, 1, {1}, {1}},
        {"dims", "0", "FloatStorage", 6, 0, 9, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {0}},
        {"type", "0", "ComplexStorage", 6, 0, 1, {1}, {1}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        stapes__buf b = {0};
        stapes__pickle pickle;
        stapes_error err = {0};
        PUT(&b, "\x80\x02");
        put_state(&b, &bad[i], 1);
        PUT(&b, ".");
        if (read_pickle(&b, &pickle, &err) == STAPES_OK)
            fail_msg("%s (%zu) was accepted", bad[i].name, i);
        stapes__buf_free(&b);
    }
}

/* ---- the zip ---- */

static void put_le(stapes__buf *b, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        stapes__buf_append(b, &(char){(char)(i < 8 ? value >> 8 * i : 0)}, 1);
}

typedef struct member {
    const char *name, *data;
    size_t size;
} member;

static void put_entry(stapes__buf *b, const member *m, size_t local, bool central, bool zip64) {
    PUT(b, "PK");
    put_le(b, central ? 0x0201 : 0x0403, 2);
    if (central)
        put_le(b, 20, 2);
    put_le(b, 20, 2);
    put_le(b, 0, 2 + 2 + 4 + 4); /* flags, method, time, CRC */
    put_le(b, zip64 && central ? UINT32_MAX : m->size, 4);
    put_le(b, zip64 && central ? UINT32_MAX : m->size, 4);
    put_le(b, strlen(m->name), 2);
    put_le(b, zip64 && central ? 28 : central ? 0 : 9, 2);
    if (central) {
        put_le(b, 0, 2 + 2 + 2 + 4);
        put_le(b, zip64 ? UINT32_MAX : local, 4);
    }
    stapes__buf_puts(b, m->name);
    if (!central) {
        PUT(b, "FB\5\0ZZZZZ"); /* torch's padding */
    } else if (zip64) {
        put_le(b, 1, 2);
        put_le(b, 24, 2);
        put_le(b, m->size, 8);
        put_le(b, m->size, 8);
        put_le(b, local, 8);
    }
}

static void put_zip(stapes__buf *b, const member *members, size_t count, bool zip64) {
    size_t local[16];
    for (size_t i = 0; i < count; i++) {
        local[i] = b->length;
        put_entry(b, &members[i], 0, false, zip64);
        stapes__buf_append(b, members[i].data, members[i].size);
    }
    size_t directory = b->length;
    for (size_t i = 0; i < count; i++)
        put_entry(b, &members[i], local[i], true, zip64);
    size_t size = b->length - directory, end = b->length;
    if (zip64) {
        PUT(b, "PK\6\6");
        put_le(b, 44, 8);
        put_le(b, 0x2d002d, 4);
        put_le(b, 0, 8);
        put_le(b, count, 8);
        put_le(b, count, 8);
        put_le(b, size, 8);
        put_le(b, directory, 8);
        PUT(b, "PK\6\7");
        put_le(b, 0, 4);
        put_le(b, end, 8);
        put_le(b, 1, 4);
    }
    PUT(b, "PK\5\6");
    put_le(b, 0, 4);
    put_le(b, zip64 ? 0xffff : count, 2);
    put_le(b, zip64 ? 0xffff : count, 2);
    put_le(b, zip64 ? UINT32_MAX : size, 4);
    put_le(b, zip64 ? UINT32_MAX : directory, 4);
    put_le(b, 0, 2);
    assert_false(b->failed);
}

static const float storage0[6] = {0, 1, 2, 3, 4, 5};

static stapes_status read_torch(const stapes__buf *zip, stapes__container **c, uint8_t **exact,
                                stapes_error *err) {
    *exact = malloc(zip->length ? zip->length : 1);
    *c = calloc(1, sizeof **c);
    assert_non_null(*exact);
    assert_non_null(*c);
    memcpy(*exact, zip->data, zip->length);
    stapes_status status = stapes__torch_read(*c, *exact, zip->length, NULL, err);
    if (status == STAPES_OK)
        status = stapes__table_finish(&(*c)->table, err);
    if (status != STAPES_OK)
        assert_true(err->message[0] != 0);
    return status;
}

/* The archive of the good tensors. */
static void put_good(stapes__buf *zip, bool zip64) {
    stapes__buf pickle = {0};
    PUT(&pickle, "\x80\x02");
    put_state(&pickle, good, GOOD);
    PUT(&pickle, ".");
    const member members[] = {{"top/data.pkl", pickle.data, pickle.length},
                              {"top/byteorder", "little", 6},
                              {"top/data/0", (const char *)storage0, sizeof storage0},
                              {"top/data/1", "\7\0\0\0\0\0\0\0", 8},
                              {"top/version", "3\n", 2}};
    put_zip(zip, members, sizeof members / sizeof *members, zip64);
    stapes__buf_free(&pickle);
}

static void assert_values(const stapes__container *c, const char *name, const float *wanted,
                          size_t count) {
    const stapes__tensor *t = stapes__container_find(c, name);
    float got[8];
    assert_non_null(t);
    assert_int_equal(t->bytes, count * 4);
    stapes__to_f32(t, 0, count, got);
    assert_memory_equal(got, wanted, count * sizeof *got);
}

static void test_torch(void **state) {
    (void)state;
    for (int zip64 = 0; zip64 < 2; zip64++) {
        stapes__buf zip = {0};
        stapes__container *c;
        uint8_t *exact;
        stapes_error err = {0};
        put_good(&zip, zip64);
        assert_ok(read_torch(&zip, &c, &exact, &err), err);
        assert_values(c, "plain", storage0, 6);
        assert_values(c, "turned", (const float[]){0, 3, 1, 4, 2, 5}, 6);
        assert_values(c, "part", storage0 + 2, 4);
        assert_values(c, "column", (const float[]){1, 4}, 2);
        assert_values(c, "ones", storage0 + 3, 3);
        assert_int_equal(*(const char *)stapes__container_find(c, "scalar")->data, 7);
        assert_int_equal(stapes__container_find(c, "none")->bytes, 0);
        assert_int_equal(c->n_blocks, 2); /* only what is not contiguous was copied */
        stapes__container_close(&c);
        free(exact);
        size_t whole = zip.length;
        for (zip.length = 0; zip.length < whole; zip.length++) {
            assert_int_not_equal(read_torch(&zip, &c, &exact, &err), STAPES_OK);
            stapes__container_close(&c);
            free(exact);
        }
        for (size_t bit = 0; bit < 8 * whole; bit++) {
            zip.data[bit / 8] ^= (char)(1 << bit % 8);
            read_torch(&zip, &c, &exact, &err);
            stapes__container_close(&c);
            free(exact);
            zip.data[bit / 8] ^= (char)(1 << bit % 8);
        }
        stapes__buf_free(&zip);
    }
}

static void assert_zip_refused(const member *members, size_t count, stapes_status wanted,
                               const char *mention) {
    stapes__buf zip = {0};
    stapes__container *c;
    uint8_t *exact;
    stapes_error err = {0};
    put_zip(&zip, members, count, false);
    stapes_status status = read_torch(&zip, &c, &exact, &err);
    if (status != wanted || !strstr(err.message, mention))
        fail_msg("status %d, wanted %d with '%s': %s", status, wanted, mention, err.message);
    stapes__container_close(&c);
    free(exact);
    stapes__buf_free(&zip);
}

static void test_zip_refusals(void **state) {
    (void)state;
    stapes__buf pickle = {0}, expanded = {0};
    PUT(&pickle, "\x80\x02");
    put_state(&pickle, good, 1);
    PUT(&pickle, ".");
    /* a tensor of stride 0 would be a thousand times its file */
    const tensor wide = {"wide", "0", "FloatStorage", 6, 0, 2, {1000, 1000}, {0, 0}};
    PUT(&expanded, "\x80\x02");
    put_state(&expanded, &wide, 1);
    PUT(&expanded, ".");
    const member list = {"t/data.pkl", pickle.data, pickle.length};
    const member full = {"t/data/0", (const char *)storage0, sizeof storage0};
    const member small = {"t/data/0", (const char *)storage0, sizeof storage0 - 1};
    const member stretched[] = {{"t/data.pkl", expanded.data, expanded.length}, full};
    assert_zip_refused(&list, 1, STAPES_E_MODEL_DAMAGED, "data/0 is missing");
    assert_zip_refused((const member[]){list, small}, 2, STAPES_E_MODEL_DAMAGED, "23 bytes");
    assert_zip_refused(stretched, 2, STAPES_E_MODEL_DAMAGED, "more bytes than the file");
    assert_zip_refused((const member[]){list, full, full}, 3, STAPES_E_MODEL_DAMAGED, "twice");
    assert_zip_refused(&full, 1, STAPES_E_MODEL_DAMAGED, "0 data.pkl");
    assert_zip_refused((const member[]){list, {"u/data.pkl", "x", 1}}, 2, STAPES_E_MODEL_DAMAGED,
                       "2 data.pkl");
    assert_zip_refused((const member[]){list, full, {"t/byteorder", "big", 3}}, 3,
                       STAPES_E_UNSUPPORTED, "little-endian");
    stapes__buf zip = {0};
    stapes__container *c;
    uint8_t *exact;
    stapes_error err = {0};
    put_zip(&zip, &list, 1, false);
    char *central = memmem(zip.data, zip.length, "PK\1\2", 4);
    assert_non_null(central);
    central[10] = 8;
    assert_int_equal(read_torch(&zip, &c, &exact, &err), STAPES_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, "compressed"));
    stapes__container_close(&c);
    free(exact);
    stapes__buf_free(&zip);
    stapes__buf_free(&pickle);
    stapes__buf_free(&expanded);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_refusals),     cmocka_unit_test(test_cycles_and_depth),
        cmocka_unit_test(test_bad_tensors),  cmocka_unit_test(test_torch),
        cmocka_unit_test(test_zip_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
