/* GGUF: the vectors' files, metadata of every type, and damaged input of every kind. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "described.h"
#include "support.h"
#include "text/tokenizer.h"
#include "weights/gguf.h"
#include "weights/gguf_values.h"

/* ---- the vectors ---- */

static stapes__container *open_vector(const char *name) {
    char relative[64], path[512];
    stapes_error err = {0};
    stapes__container *c = NULL;
    snprintf(relative, sizeof relative, "ggml/%s", name);
    assert_ok(stapes__container_open(&c, vectors_path(path, sizeof path, relative), NULL, &err),
              err);
    assert_int_equal(stapes__container_get_format(c), STAPES__CONTAINER_GGUF);
    assert_string_equal(stapes__container_format_name(c), "gguf");
    return c;
}

static const json_t *item(const stapes__container *c, const char *key) {
    const json_t *metadata = json_object_get(stapes__container_config(c), "gguf");
    const json_t *value = json_object_get(metadata, key);
    if (!value)
        fail_msg("no metadata %s", key);
    return value;
}

static void test_whisper(void **state) {
    (void)state;
    stapes__container *c = open_vector("blocks.gguf");
    vectors v = vectors_open("ggml");
    const json_t *list = json_object_get(v.info, "blocks.gguf");
    assert_true(json_array_size(list) > 20);
    assert_int_equal(stapes__container_count(c), json_array_size(list));
    for (size_t i = 0; i < json_array_size(list); i++)
        described_check(c, json_array_get(list, i), NULL);
    const json_t *config = stapes__container_config(c);
    assert_string_equal(json_string_value(json_object_get(config, "model_type")), "whisper_gguf");
    static const char *const names[] = {
        "n_mels",        "n_vocab",    "n_audio_ctx",  "n_audio_state", "n_audio_head",
        "n_audio_layer", "n_text_ctx", "n_text_state", "n_text_head",   "n_text_layer"};
    static const int64_t values[] = {8, 48, 16, 32, 2, 1, 8, 32, 2, 1};
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(json_integer_value(json_object_get(config, names[i])), values[i]);
    vectors_close(&v);
    stapes__container_close(&c);
}

static void test_metadata(void **state) {
    (void)state;
    stapes__container *c = open_vector("blocks.gguf");
    assert_string_equal(json_string_value(item(c, "general.architecture")), "whisper");
    static const struct {
        const char *key;
        int64_t value;
    } integers[] = {{"test.u8", 200},          {"test.i8", -100},
                    {"test.u16", 60000},       {"test.i16", -30000},
                    {"test.i32", -2000000000}, {"test.i64", -((int64_t)1 << 62)}};
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++)
        assert_true(json_integer_value(item(c, integers[i].key)) == integers[i].value);
    assert_true(json_real_value(item(c, "test.f32")) == 0.25);
    assert_true(json_real_value(item(c, "test.f64")) == 1e300);
    assert_true(json_is_true(item(c, "test.bool")));
    char *nested = json_dumps(item(c, "test.nested"), JSON_COMPACT);
    assert_string_equal(nested, "[[1,2],[3],[4,5,6]]");
    free(nested);
    stapes__container_close(&c);
}

/* Byte-level characters become bytes; <|endoftext|> and what follows is not among them. */
static void test_byte_tokens(void **state) {
    (void)state;
    stapes__container *c = open_vector("blocks.gguf");
    const char *data;
    size_t size;
    const uint8_t *const *tokens;
    const size_t *lengths;
    assert_int_equal(stapes__container_tokenizer(c, &data, &size), STAPES__TOKENIZER_BYTES);
    static const char *const want[] = {"!", " the", "\n", "\xe2\x82\xac"};
    assert_int_equal(stapes__container_tokens(c, &tokens, &lengths), 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(lengths[i], strlen(want[i]));
        assert_memory_equal(tokens[i], want[i], lengths[i]);
    }
    stapes__container_close(&c);
}

/* NVIDIA's files: planar tensors in the encoder only, a SentencePiece model in base64. */
static void test_asr(void **state) {
    (void)state;
    stapes__container *c = open_vector("asr.gguf");
    vectors v = vectors_open("ggml");
    const json_t *list = json_object_get(v.info, "asr.gguf");
    described_check(c, json_array_get(list, 0), "Q8_0_PLANAR");
    described_check(c, json_array_get(list, 1), "Q8_0");
    assert_string_equal(
        json_string_value(json_object_get(stapes__container_config(c), "model_type")), "asr_gguf");
    char path[512], *model;
    size_t model_size, size;
    const char *data;
    stapes_error err = {0};
    vectors_path(path, sizeof path, "tokenizer/byte_fallback.model");
    assert_ok(stapes__read_file(path, 1 << 20, &model, &model_size, &err), err);
    assert_int_equal(stapes__container_tokenizer(c, &data, &size), STAPES__TOKENIZER_SENTENCEPIECE);
    assert_int_equal(size, model_size);
    assert_memory_equal(data, model, size);
    free(model);
    vectors_close(&v);
    stapes__container_close(&c);
}

/* ---- files made here ---- */

static void put(stapes__buf *out, int width, uint64_t value) {
    for (int i = 0; i < width; i++) {
        uint8_t byte = (uint8_t)(value >> 8 * i);
        stapes__buf_append(out, &byte, 1);
    }
}

static void put_string(stapes__buf *out, const char *text) {
    put(out, 8, strlen(text));
    stapes__buf_puts(out, text);
}

/* Header with room for the counts, and the architecture. */
static void begin(stapes__buf *out, uint32_t version, uint64_t tensors, uint64_t items,
                  const char *architecture) {
    stapes__buf_puts(out, "GGUF");
    put(out, 4, version);
    put(out, 8, tensors);
    put(out, 8, items);
    if (architecture) {
        put_string(out, "general.architecture");
        put(out, 4, 8);
        put_string(out, architecture);
    }
}

static void put_info(stapes__buf *out, const char *name, uint32_t n_dims, uint64_t size,
                     uint32_t type, uint64_t offset) {
    put_string(out, name);
    put(out, 4, n_dims);
    for (uint32_t i = 0; i < n_dims; i++)
        put(out, 8, i == 0 ? size : 1);
    put(out, 4, type);
    put(out, 8, offset);
}

/* Padding to `alignment`, then zeros. */
static void finish(stapes__buf *out, size_t alignment, size_t data) {
    while (out->length % alignment != 0)
        put(out, 1, 0);
    for (size_t i = 0; i < data; i++)
        put(out, 1, 0);
    assert_false(out->failed);
}

static stapes_status read_bytes(const void *bytes, size_t size, size_t *count, stapes_error *err) {
    uint8_t *exact = malloc(size ? size : 1);
    stapes__container *c = stapes__calloc(1, sizeof *c);
    assert_true(exact && c);
    if (size > 0)
        memcpy(exact, bytes, size);
    stapes_status status = stapes__gguf_read(c, exact, size, err);
    if (status == STAPES_OK)
        status = stapes__table_finish(&c->table, err);
    if (count)
        *count = c->table.count;
    stapes__container_close(&c);
    free(exact);
    return status;
}

/* Reads and releases the buffer. */
static void assert_read(stapes__buf *bytes, stapes_status wanted, const char *mention) {
    stapes_error err = {0};
    stapes_status status = read_bytes(bytes->data, bytes->length, NULL, &err);
    if (status != wanted || (mention && !strstr(err.message, mention)))
        fail_msg("status %d, wanted %d and '%s': %s", status, wanted, mention ? mention : "",
                 err.message);
    stapes__buf_free(bytes);
}

static void test_every_cut(void **state) {
    (void)state;
    static const char *const names[] = {"ggml/blocks.gguf", "ggml/asr.gguf"};
    for (size_t i = 0; i < 2; i++) {
        char path[512], *data;
        size_t size, whole, count;
        stapes_error err = {0};
        vectors_path(path, sizeof path, names[i]);
        assert_ok(stapes__read_file(path, 1 << 20, &data, &whole, &err), err);
        assert_ok(read_bytes(data, whole, &count, &err), err);
        /* The last tensor may be followed by padding. */
        for (size = 0; size + 32 <= whole; size += size < 4096 ? 1 : 37)
            assert_int_equal(read_bytes(data, size, NULL, &err), STAPES_E_MODEL_DAMAGED);
        for (size_t at = 0; at < 3000; at++) {
            data[at] ^= (char)0xff;
            read_bytes(data, whole, NULL, &err);
            data[at] ^= (char)0xff;
        }
        free(data);
    }
}

static void test_versions(void **state) {
    (void)state;
    static const struct {
        uint32_t version;
        stapes_status wanted;
        const char *mention;
    } cases[] = {{1, STAPES_E_UNSUPPORTED, "version 1"},
                 {2, STAPES_OK, NULL},
                 {3, STAPES_OK, NULL},
                 {4, STAPES_E_UNSUPPORTED, "version 4"},
                 {0x03000000, STAPES_E_UNSUPPORTED, "big-endian"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        stapes__buf out = {0};
        begin(&out, cases[i].version, 1, 1, "whisper");
        put_info(&out, "x", 1, 2, 0, 0);
        finish(&out, 32, 8);
        assert_read(&out, cases[i].wanted, cases[i].mention);
    }
}

static void test_architectures(void **state) {
    (void)state;
    stapes__buf out = {0};
    begin(&out, 3, 0, 2, "llama"); /* refused before the damage behind it */
    put(&out, 8, UINT64_MAX);
    finish(&out, 32, 64);
    assert_read(&out, STAPES_E_UNSUPPORTED, "architecture 'llama'");
    begin(&out, 3, 1, 0, NULL);
    put_info(&out, "x", 1, 2, 0, 0);
    finish(&out, 32, 8);
    assert_read(&out, STAPES_E_UNSUPPORTED, "without general.architecture");
}

static void test_header_counts(void **state) {
    (void)state;
    static const uint64_t many[] = {UINT64_MAX, (uint64_t)1 << 63, (uint64_t)1 << 32, 1000};
    for (size_t i = 0; i < sizeof many / sizeof *many; i++) {
        stapes__buf out = {0};
        begin(&out, 3, many[i], 1, "whisper");
        finish(&out, 32, 64);
        assert_read(&out, STAPES_E_MODEL_DAMAGED, "do not fit");
        begin(&out, 3, 0, many[i], "whisper");
        finish(&out, 32, 64);
        assert_read(&out, STAPES_E_MODEL_DAMAGED, "do not fit");
    }
}

/* One item behind the architecture, then one tensor. */
static void assert_item(const char *key, uint32_t type, const void *value, size_t length,
                        stapes_status wanted, const char *mention) {
    stapes__buf out = {0};
    begin(&out, 3, 1, 2, "whisper");
    put_string(&out, key);
    put(&out, 4, type);
    stapes__buf_append(&out, value, length);
    put_info(&out, "x", 1, 2, 0, 0);
    finish(&out, 32, 8);
    assert_read(&out, wanted, mention);
}

static void test_hostile_items(void **state) {
    (void)state;
    stapes_status bad = STAPES_E_MODEL_DAMAGED;
    assert_item("a", 4, "\1\0\0\0", 4, STAPES_OK, NULL);
    assert_item("a", 10, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, STAPES_OK, NULL);
    assert_item("a", 6, "\0\0\xc0\x7f", 4, STAPES_OK, NULL); /* not a number */
    assert_item("a", 13, "\0", 1, bad, "unknown type 13");
    assert_item("a", 7, "\2", 1, bad, "truth value is 2");
    assert_item("a", 8, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, bad, "a string of");
    assert_item("a", 8, "\2\0\0\0\0\0\0\0\xc3(", 10, bad, "not UTF-8");
    assert_item("", 0, "\0", 1, bad, "empty");
    assert_item("general.architecture", 0, "\0", 1, bad, "stored twice");
    assert_item("a", 9, "\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 12, bad, "an array of");
    assert_item("a", 9, "\x0d\0\0\0\0\0\0\0\0\0\0\0", 12, bad, "array of unknown type 13");
    assert_item("a", 9, "\x0c\0\0\0\x40\0\0\0\0\0\0\0", 12, bad, "an array of 64 elements");
    assert_item("general.alignment", 4, "\0\0\0\0", 4, bad, "general.alignment is 0");
    assert_item("general.alignment", 4, "\x0c\0\0\0", 4, bad, "general.alignment is 12");
    assert_item("general.alignment", 8, "\1\0\0\0\0\0\0\0a", 9, bad, "general.alignment");
    assert_item("asr.encoder.q8_layout", 8, "\3\0\0\0\0\0\0\0abc", 11, STAPES_E_UNSUPPORTED,
                "'abc'");
    assert_item("asr.tokenizer.spm_model", 8, "\4\0\0\0\0\0\0\0a*c=", 12, bad, "no base64");
}

/* Arrays in arrays: 64 levels are read, more are refused before the stack is. */
static void test_nesting(void **state) {
    (void)state;
    for (int levels = 64; levels <= 100000; levels += 99936) {
        stapes__buf value = {0};
        for (int i = 1; i < levels; i++) {
            put(&value, 4, 9);
            put(&value, 8, 1);
        }
        put(&value, 4, 0);
        put(&value, 8, 0);
        bool allowed = levels <= STAPES__GGUF_MAX_DEPTH;
        assert_item("deep", 9, value.data, value.length,
                    allowed ? STAPES_OK : STAPES_E_MODEL_DAMAGED,
                    allowed ? NULL : "nested deeper than 64");
        stapes__buf_free(&value);
    }
}

/* The sum over all arrays counts. */
static void test_many_elements(void **state) {
    (void)state;
    size_t half = (size_t)STAPES__GGUF_MAX_ELEMENTS / 2 + 1;
    uint8_t *zeros = calloc(half, 1);
    assert_non_null(zeros);
    stapes__buf out = {0};
    begin(&out, 3, 0, 3, "whisper");
    for (int i = 0; i < 2; i++) {
        put_string(&out, i ? "b" : "a");
        put(&out, 4, 9);
        put(&out, 4, 0);
        put(&out, 8, half);
        stapes__buf_append(&out, zeros, half);
    }
    free(zeros);
    assert_read(&out, STAPES_E_MODEL_DAMAGED, "elements allowed");
}

static void test_hostile_tensors(void **state) {
    (void)state;
    stapes_status bad = STAPES_E_MODEL_DAMAGED;
    const struct {
        const char *name;
        uint32_t n_dims;
        uint64_t size;
        uint32_t type;
        uint64_t offset;
        stapes_status wanted;
        const char *mention;
    } cases[] = {
        {"x", 4, 2, 0, 0, STAPES_OK, NULL},
        {"x", 0, 0, 0, 32, STAPES_OK, NULL},
        {"x", 5, 2, 0, 0, bad, "5 dimensions"},
        {"x", 1, UINT64_MAX, 0, 0, bad, "impossible shape"},
        {"x", 1, (uint64_t)1 << 41, 0, 0, bad, "impossible shape"},
        {"x", 1, 33, 8, 0, bad, "impossible shape for Q8_0"},
        {"x", 1, 2, 15, 0, STAPES_E_UNSUPPORTED, "Q8_K"},
        {"x", 1, 2, 39, 0, STAPES_E_UNSUPPORTED, "type 39"},
        {"x", 1, 2, 0, 4, bad, "multiple of 32"},
        {"x", 1, 2, 0, 96, bad, "needs 8 bytes from byte 96"},
        {"x", 1, 2, 0, UINT64_MAX - 31, bad, "from byte"},
        {"x", 1, 17, 0, 0, bad, "needs 68 bytes"},
        {"x", 1, 2, 0, 32, bad, "overlap"},
        {"y", 1, 2, 0, 0, bad, "stored twice"},
        {"", 1, 2, 0, 0, bad, "empty"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool second = cases[i].mention && (!strcmp(cases[i].mention, "overlap") ||
                                           !strcmp(cases[i].mention, "stored twice"));
        stapes__buf out = {0};
        begin(&out, 3, second ? 2 : 1, 1, "whisper");
        put_info(&out, cases[i].name, cases[i].n_dims, cases[i].size, cases[i].type,
                 cases[i].offset);
        if (second)
            put_info(&out, "y", 1, 2, 0, 32);
        finish(&out, 32, 64);
        assert_read(&out, cases[i].wanted, cases[i].mention);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whisper),       cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_byte_tokens),   cmocka_unit_test(test_asr),
        cmocka_unit_test(test_every_cut),     cmocka_unit_test(test_versions),
        cmocka_unit_test(test_architectures), cmocka_unit_test(test_header_counts),
        cmocka_unit_test(test_hostile_items), cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_many_elements), cmocka_unit_test(test_hostile_tensors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
