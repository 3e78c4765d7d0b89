/* whisper.cpp's ggml .bin: the vectors' files, and damaged input of every kind. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "described.h"
#include "support.h"
#include "text/tokenizer.h"
#include "weights/ggml_bin.h"

/* ---- the vectors ---- */

static stapes__container *open_vector(const char *name, vectors *v) {
    char relative[64], path[512];
    stapes_error err = {0};
    stapes__container *c = NULL;
    snprintf(relative, sizeof relative, "ggml/%s", name);
    assert_ok(stapes__container_open(&c, vectors_path(path, sizeof path, relative), NULL, &err),
              err);
    assert_int_equal(stapes__container_get_format(c), STAPES__CONTAINER_GGML);
    assert_string_equal(stapes__container_format_name(c), "ggml");
    *v = vectors_open("ggml");
    const json_t *list = json_object_get(v->info, name);
    assert_true(json_array_size(list) > 40);
    assert_int_equal(stapes__container_count(c), json_array_size(list) + 1);
    for (size_t i = 0; i < json_array_size(list); i++)
        described_check(c, json_array_get(list, i), NULL);
    return c;
}

static void check_field(const stapes__container *c, const char *name, int64_t want) {
    const json_t *value = json_object_get(stapes__container_config(c), name);
    assert_true(json_is_integer(value));
    assert_int_equal(json_integer_value(value), want);
}

static void test_model(void **state) {
    (void)state;
    vectors v;
    stapes__container *c = open_vector("model-f16.bin", &v);
    static const char *const names[] = {"n_vocab",      "n_audio_ctx",   "n_audio_state",
                                        "n_audio_head", "n_audio_layer", "n_text_ctx",
                                        "n_text_state", "n_text_head",   "n_text_layer",
                                        "n_mels",       "ftype"};
    static const int64_t values[] = {469, 200, 48, 2, 2, 64, 48, 2, 2, 80, 1};
    for (size_t i = 0; i < 11; i++)
        check_field(c, names[i], values[i]);
    assert_string_equal(
        json_string_value(json_object_get(stapes__container_config(c), "model_type")),
        "whisper_ggml");
    const stapes__tensor *mel = stapes__container_find(c, "mel_filters");
    assert_non_null(mel);
    assert_true(mel->dtype == STAPES__F32 && mel->n_dims == 2 && mel->shape[0] == 80 &&
                mel->shape[1] == 201);
    char first[65], again[65];
    stapes_error err = {0};
    assert_ok(stapes__container_identity(c, first, &err), err);
    stapes__container_release(c, mel);
    assert_ok(stapes__container_identity(c, again, &err), err);
    assert_string_equal(first, again);
    stapes__container_close(&c);
    vectors_close(&v);
}

static void test_block_types(void **state) {
    (void)state;
    vectors v;
    stapes__container *c = open_vector("blocks.bin", &v);
    check_field(c, "ftype", 8); /* without the version of the layouts */
    check_field(c, "n_mels", 8);
    stapes__container_close(&c);
    vectors_close(&v);
}

/* The single bytes of Whisper's vocabulary, in its order. */
static void test_tokens(void **state) {
    (void)state;
    vectors v;
    stapes__container *c = open_vector("model-f16.bin", &v);
    const char *data;
    size_t size;
    const uint8_t *const *tokens;
    const size_t *lengths;
    assert_int_equal(stapes__container_tokenizer(c, &data, &size), STAPES__TOKENIZER_BYTES);
    assert_true(!data && size == 0);
    size_t count = stapes__container_tokens(c, &tokens, &lengths);
    assert_int_equal(count, 256);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(lengths[i], 1);
    assert_true(tokens[0][0] == '!' && tokens[32][0] == 'A' && tokens[188][0] == 0);
    stapes__tokenizer *t = NULL;
    stapes_error err = {0};
    assert_ok(stapes__tokenizer_open_bytes(&t, tokens, lengths, count, &err), err);
    assert_int_equal(stapes__tokenizer_size(t), 256);
    stapes__tokenizer_close(&t);
    stapes__container_close(&c);
    vectors_close(&v);
}

/* ---- a small file to damage ---- */

enum { TENSORS = 5 + 15 + 2 + 2 + 24 + 2, FIELDS = 12 };

typedef struct file {
    int32_t head[FIELDS + 2];                /* magic, eleven fields, sizes of the filter bank */
    int32_t tokens;                          /* as the file says; two are written */
    int32_t token_length;                    /* of the first, as the file says */
    int32_t n_dims, name_length, type, size; /* of the first tensor */
    size_t tensors;
    const char *name; /* of the second tensor */
} file;

static const file good = {.head = {0x67676d6c, 8, 4, 4, 2, 1, 4, 4, 2, 1, 1, 0, 1, 201},
                          .tokens = 2,
                          .token_length = 2,
                          .n_dims = 1,
                          .name_length = 3,
                          .type = 0,
                          .size = 2,
                          .tensors = TENSORS,
                          .name = "t01"};

static void put(stapes__buf *out, int32_t value) {
    uint32_t raw = (uint32_t)value;
    uint8_t bytes[4] = {(uint8_t)raw, (uint8_t)(raw >> 8), (uint8_t)(raw >> 16),
                        (uint8_t)(raw >> 24)};
    stapes__buf_append(out, bytes, sizeof bytes);
}

static stapes__buf write_file(const file *f, size_t *ends) {
    stapes__buf out = {0};
    for (int i = 0; i < FIELDS + 2; i++)
        put(&out, f->head[i]);
    for (int i = 0; i < 201; i++)
        put(&out, 0);
    put(&out, f->tokens);
    put(&out, f->token_length);
    stapes__buf_append(&out, "ab", 2);
    put(&out, 0); /* empty tokens exist */
    for (size_t i = 0; i < f->tensors; i++) {
        char name[24];
        snprintf(name, sizeof name, "t%02zu", i);
        if (ends)
            ends[i] = out.length;
        put(&out, i == 0 ? f->n_dims : 1);
        put(&out, i == 0 ? f->name_length : 3);
        put(&out, i == 0 ? f->type : 0);
        put(&out, i == 0 ? f->size : 1);
        stapes__buf_puts(&out, i == 1 ? f->name : name);
        put(&out, 0x3f800000);
        if (i == 0)
            put(&out, 0x40000000);
    }
    assert_false(out.failed);
    return out;
}

/* Reads an exact-size copy, so that the address sanitizer sees every over-read. */
static stapes_status read_bytes(const void *bytes, size_t size, stapes_error *err) {
    uint8_t *exact = malloc(size ? size : 1);
    stapes__container *c = stapes__calloc(1, sizeof *c);
    assert_true(exact && c);
    if (size > 0)
        memcpy(exact, bytes, size);
    stapes_status status = stapes__ggml_bin_read(c, exact, size, err);
    if (status == STAPES_OK)
        status = stapes__table_finish(&c->table, err);
    if (status == STAPES_OK)
        assert_int_equal(c->table.count, TENSORS + 1);
    stapes__container_close(&c);
    free(exact);
    return status;
}

static void assert_file(const file *f, stapes_status wanted, const char *mention) {
    stapes_error err = {0};
    stapes__buf bytes = write_file(f, NULL);
    stapes_status status = read_bytes(bytes.data, bytes.length, &err);
    if (status != wanted || (mention && !strstr(err.message, mention)))
        fail_msg("status %d, wanted %d and '%s': %s", status, wanted, mention ? mention : "",
                 err.message);
    stapes__buf_free(&bytes);
}

static void test_every_cut(void **state) {
    (void)state;
    stapes_error err = {0};
    stapes__buf bytes = write_file(&good, NULL);
    assert_ok(read_bytes(bytes.data, bytes.length, &err), err);
    for (size_t size = 0; size < bytes.length; size++)
        assert_int_equal(read_bytes(bytes.data, size, &err), STAPES_E_MODEL_DAMAGED);
    for (size_t at = 0; at < bytes.length; at++) { /* every byte of the rest turned around */
        bytes.data[at] ^= (char)0xff;
        read_bytes(bytes.data, bytes.length, &err);
        bytes.data[at] ^= (char)0xff;
    }
    stapes__buf_free(&bytes);
}

/* The end of a tensor is no end of a file: the header knows how many there are. */
static void test_cut_between_tensors(void **state) {
    (void)state;
    stapes_error err = {0};
    size_t ends[TENSORS];
    stapes__buf bytes = write_file(&good, ends);
    assert_int_equal(read_bytes(bytes.data, ends[TENSORS - 1], &err), STAPES_E_MODEL_DAMAGED);
    assert_non_null(strstr(err.message, "49 tensors, wanted 50"));
    stapes__buf_free(&bytes);
}

static void test_hostile_headers(void **state) {
    (void)state;
    static const struct {
        int field;
        int32_t value;
        stapes_status wanted;
        const char *mention;
    } cases[] = {
        {0, 0x67676a74, STAPES_E_MODEL_DAMAGED, "does not begin"},
        {1, 0, STAPES_E_MODEL_DAMAGED, "n_vocab is 0"},
        {1, 1, STAPES_E_MODEL_DAMAGED, "2 tokens are stored"},
        {1, INT32_MAX, STAPES_E_MODEL_DAMAGED, "n_vocab"},
        {3, -4, STAPES_E_MODEL_DAMAGED, "n_audio_state is -4"},
        {5, 2, STAPES_E_MODEL_DAMAGED, "50 tensors, wanted 65"},
        {5, 1 << 20, STAPES_E_MODEL_DAMAGED, "wanted 15728675"},
        {9, 2, STAPES_E_MODEL_DAMAGED, "wanted 74"},
        {10, 80, STAPES_E_MODEL_DAMAGED, "filter bank is 1 x 201"},
        {11, 4, STAPES_E_UNSUPPORTED, "ftype 4"},
        {11, 15, STAPES_E_UNSUPPORTED, "ftype 15"},
        {11, -1, STAPES_E_UNSUPPORTED, "ftype -1"},
        {11, 2099, STAPES_E_UNSUPPORTED, "ftype 2099"},
        {11, 8, STAPES_E_UNSUPPORTED, "version 0"},
        {11, 1008, STAPES_E_UNSUPPORTED, "version 1"},
        {11, 2008, STAPES_OK, NULL},
        {11, 2001, STAPES_OK, NULL},
        {12, 1 << 30, STAPES_E_MODEL_DAMAGED, "filter bank"},
        {13, 257, STAPES_E_MODEL_DAMAGED, "1 x 257"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        file f = good;
        f.head[cases[i].field] = cases[i].value;
        assert_file(&f, cases[i].wanted, cases[i].mention);
    }
    file cut = good; /* filters as large as the header allows, in a small file */
    cut.head[10] = cut.head[12] = 1 << 20;
    assert_file(&cut, STAPES_E_MODEL_DAMAGED, "mel filters");
}

static void test_hostile_contents(void **state) {
    (void)state;
    static const struct {
        size_t at;
        int32_t value;
        stapes_status wanted;
        const char *mention;
    } cases[] = {
        {offsetof(file, tokens), -1, STAPES_E_MODEL_DAMAGED, "-1 tokens"},
        {offsetof(file, tokens), 9, STAPES_E_MODEL_DAMAGED,
         "9 tokens are stored, but n_vocab is 8"},
        {offsetof(file, token_length), -1, STAPES_E_MODEL_DAMAGED, "length of -1"},
        {offsetof(file, token_length), INT32_MAX, STAPES_E_MODEL_DAMAGED, "token 0"},
        {offsetof(file, n_dims), -1, STAPES_E_MODEL_DAMAGED, "-1 dimensions"},
        {offsetof(file, n_dims), 5, STAPES_E_MODEL_DAMAGED, "5 dimensions"},
        {offsetof(file, name_length), 0, STAPES_E_MODEL_DAMAGED, "a name of 0 bytes"},
        {offsetof(file, name_length), 100000, STAPES_E_MODEL_DAMAGED, "100000"},
        {offsetof(file, type), 16, STAPES_E_UNSUPPORTED, "IQ2_XXS"},
        {offsetof(file, type), -1, STAPES_E_UNSUPPORTED, "4294967295"},
        {offsetof(file, type), 8, STAPES_E_MODEL_DAMAGED, "impossible shape for Q8_0"},
        {offsetof(file, size), -2, STAPES_E_MODEL_DAMAGED, "impossible shape"},
        {offsetof(file, size), INT32_MAX, STAPES_E_MODEL_DAMAGED, "needs 8589934588 bytes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        file f = good;
        memcpy((char *)&f + cases[i].at, &cases[i].value, sizeof cases[i].value);
        assert_file(&f, cases[i].wanted, cases[i].mention);
    }
    file f = good;
    f.name = "t00";
    assert_file(&f, STAPES_E_MODEL_DAMAGED, "stored twice");
    f.name = "t\n1";
    assert_file(&f, STAPES_E_MODEL_DAMAGED, "no plain text");
    f = good;
    f.head[1] = 1 << 20;
    f.tokens = 1 << 20;
    assert_file(&f, STAPES_E_MODEL_DAMAGED, "vocabulary");
}

/* Wrong number of tokens in the network itself. */
static void test_embedding(void **state) {
    (void)state;
    char path[512], *data;
    size_t size;
    stapes_error err = {0};
    vectors_path(path, sizeof path, "ggml/blocks.bin");
    assert_ok(stapes__read_file(path, 1 << 20, &data, &size, &err), err);
    data[4] = 47; /* n_vocab */
    stapes__container *c = stapes__calloc(1, sizeof *c);
    assert_non_null(c);
    assert_int_equal(stapes__ggml_bin_read(c, (const uint8_t *)data, size, &err),
                     STAPES_E_MODEL_DAMAGED);
    assert_non_null(strstr(err.message, "[48, 32], but the header says [47, 32]"));
    stapes__container_close(&c);
    free(data);
}

static void test_parakeet(void **state) {
    (void)state;
    static const int32_t head[] = {0x67676d6c, 8193, 5000, 1024, 8, 24, 128, 1,   512,
                                   8,          256,  9,    640,  2, 5,  10,  128, 257};
    stapes__buf bytes = {0};
    stapes_error err = {0};
    for (size_t i = 0; i < sizeof head / sizeof *head; i++)
        put(&bytes, head[i]);
    assert_int_equal(read_bytes(bytes.data, bytes.length, &err), STAPES_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, "Parakeet"));
    assert_non_null(strstr(err.hint, ".nemo"));
    stapes__buf_free(&bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_model),
                                       cmocka_unit_test(test_block_types),
                                       cmocka_unit_test(test_tokens),
                                       cmocka_unit_test(test_every_cut),
                                       cmocka_unit_test(test_cut_between_tensors),
                                       cmocka_unit_test(test_hostile_headers),
                                       cmocka_unit_test(test_hostile_contents),
                                       cmocka_unit_test(test_embedding),
                                       cmocka_unit_test(test_parakeet)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
