/* safetensors files and folders: the tensors of the vectors, and damaged input of every kind. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "weights/container.h"
#include "weights/naming.h"
#include "weights/safetensors.h"

/* A file in an exact-size heap block, so that the address sanitizer sees every over-read. */
static stapes_status read_bytes(const void *bytes, size_t size, size_t *count, stapes_error *err) {
    uint8_t *exact = malloc(size ? size : 1);
    assert_non_null(exact);
    memcpy(exact, bytes, size);
    stapes__table table = {0};
    stapes_status status = stapes__safetensors_read(&table, exact, size, err);
    if (status == STAPES_OK)
        status = stapes__table_finish(&table, err);
    if (count)
        *count = table.count;
    stapes__table_free(&table);
    free(exact);
    return status;
}

/* header text + `data` zero bytes, parsed. */
static stapes_status read_header(const char *header, size_t data, stapes_error *err) {
    size_t length = strlen(header), size = 8 + length + data;
    uint8_t *bytes = calloc(1, size);
    assert_non_null(bytes);
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)length >> 8 * i);
    memcpy(bytes + 8, header, length);
    stapes_status status = read_bytes(bytes, size, NULL, err);
    free(bytes);
    return status;
}

#define TENSOR(name, dtype, shape, offsets)                                                        \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static const struct {
    const char *header;
    size_t data;
    stapes_status wanted;
} headers[] = {
    {"{}", 0, STAPES_OK},
    {"{" TENSOR("a", "F32", "[]", "[0,4]") "}   ", 4, STAPES_OK},
    {"{\"__metadata__\":{\"f\":\"pt\"}," TENSOR("a", "BF16", "[2,3]", "[0,12]") "}", 12, STAPES_OK},
    {"{" TENSOR("gap", "U8", "[1]", "[2,3]") "}", 9, STAPES_OK},
    {"{" TENSOR("none", "U8", "[0]", "[0,0]") "}", 0, STAPES_OK},
    {"{" TENSOR("bytes", "F32", "[2]", "[0,4]") "}", 8, STAPES_E_MODEL_DAMAGED},
    {"{" TENSOR("backwards", "F32", "[1]", "[4,0]") "}", 8, STAPES_E_MODEL_DAMAGED},
    {"{" TENSOR("beyond", "F32", "[1]", "[0,4]") "}", 3, STAPES_E_MODEL_DAMAGED},
    {"{" TENSOR("one", "F32", "[1]", "[0]") "}", 4, STAPES_E_MODEL_DAMAGED},
    {"{" TENSOR("real", "F32", "[1.0]", "[0,4]") "}", 4, STAPES_E_MODEL_DAMAGED},
    {"{" TENSOR("negative", "F32", "[-1]", "[0,4]") "}", 4, STAPES_E_MODEL_DAMAGED},
    {"{" TENSOR("dims", "F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, STAPES_E_MODEL_DAMAGED},
    {"{" TENSOR("wrap", "F32", "[4611686018427387905]", "[0,4]") "}", 4, STAPES_E_MODEL_DAMAGED},
    {"{" TENSOR("wrap", "F32", "[1048576,1048576,1048576,16]", "[0,0]") "}", 0,
     STAPES_E_MODEL_DAMAGED},
    {"{" TENSOR("big", "F32", "[1]", "[0,99999999999999999999]") "}", 4, STAPES_E_MODEL_DAMAGED},
    {"{" TENSOR("a", "U8", "[3]", "[0,3]") "," TENSOR("b", "U8", "[3]", "[2,5]") "}", 8,
     STAPES_E_MODEL_DAMAGED},
    {"{" TENSOR("b", "U8", "[8]", "[0,8]") "," TENSOR("a", "U8", "[3]", "[2,5]") "}", 8,
     STAPES_E_MODEL_DAMAGED},
    {"{" TENSOR("a", "U8", "[1]", "[0,1]") "," TENSOR("a", "U8", "[1]", "[1,2]") "}", 8,
     STAPES_E_MODEL_DAMAGED},
    {"{" TENSOR("kind", "F8_E4M3", "[1]", "[0,1]") "}", 1, STAPES_E_UNSUPPORTED},
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, STAPES_E_MODEL_DAMAGED},
    {"{\"a\":5}", 1, STAPES_E_MODEL_DAMAGED},
    {"{" TENSOR("", "U8", "[1]", "[0,1]") "}", 1, STAPES_E_MODEL_DAMAGED},
    {"{" TENSOR("a\\u0000b", "U8", "[1]", "[0,1]") "}", 1, STAPES_E_MODEL_DAMAGED},
    {"{" TENSOR("a\\nb", "U8", "[1]", "[0,1]") "}", 1, STAPES_E_MODEL_DAMAGED},
    {"[1,2]", 1, STAPES_E_MODEL_DAMAGED},
    {"{\"a\":", 1, STAPES_E_MODEL_DAMAGED},
    {"{\"a\":\"\xff\xfe\"}", 1, STAPES_E_MODEL_DAMAGED},
};

static void test_headers(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        stapes_error err = {0};
        stapes_status status = read_header(headers[i].header, headers[i].data, &err);
        if (status != headers[i].wanted)
            fail_msg("%s: status %d, wanted %d (%s)", headers[i].header, status, headers[i].wanted,
                     err.message);
        assert_true(status == STAPES_OK || err.message[0] != 0);
    }
}

static void test_long_and_deep(void **state) {
    (void)state;
    stapes_error err = {0};
    stapes__buf text = {0};
    stapes__buf_printf(&text,
                       "{\"%0513d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 0);
    assert_int_equal(read_header(text.data, 1, &err), STAPES_E_MODEL_DAMAGED);
    stapes__buf_free(&text);
    stapes__buf_puts(&text, "{\"a\":");
    for (int i = 0; i < 100000; i++)
        stapes__buf_puts(&text, "[");
    assert_int_equal(read_header(text.data, 0, &err), STAPES_E_MODEL_DAMAGED);
    assert_non_null(strstr(err.message, "nested deeper"));
    stapes__buf_free(&text);
}

static void test_lengths(void **state) {
    (void)state;
    stapes_error err = {0};
    static const uint8_t cases[][16] = {
        {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, '{', '}'},
        {0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, '{', '}'},
        {9, 0, 0, 0, 0, 0, 0, 0, '{', '}', ' ', ' ', ' ', ' ', ' ', ' '},
        {0, 0, 0, 0, 0, 0, 0, 0, '{', '}'},
        {1, 0, 0, 0, 0, 0, 0, 0, '{', '}'},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(read_bytes(cases[i], 16, NULL, &err), STAPES_E_MODEL_DAMAGED);
}

/* A small valid file cut at every length, and with every bit of its header changed. */
static void test_every_cut(void **state) {
    (void)state;
    static const char header[] =
        "{" TENSOR("x", "F32", "[2,2]", "[0,16]") "," TENSOR("y", "I64", "[]", "[16,24]") "}";
    uint8_t bytes[8 + sizeof header - 1 + 24] = {sizeof header - 1};
    memcpy(bytes + 8, header, sizeof header - 1);
    stapes_error err = {0};
    size_t count;
    assert_ok(read_bytes(bytes, sizeof bytes, &count, &err), err);
    assert_int_equal(count, 2);
    for (size_t size = 0; size < sizeof bytes; size++)
        assert_int_equal(read_bytes(bytes, size, NULL, &err), STAPES_E_MODEL_DAMAGED);
    for (size_t bit = 0; bit < 8 * (8 + sizeof header - 1); bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        read_bytes(bytes, sizeof bytes, NULL, &err);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static stapes__container *open_vector(const char *relative) {
    char path[512];
    stapes_error err = {0};
    stapes__container *c = NULL;
    assert_ok(stapes__container_open(&c, vectors_path(path, sizeof path, relative), NULL, &err),
              err);
    return c;
}

static void test_folder(void **state) {
    (void)state;
    stapes__container *c = open_vector("parakeet/tdt/model");
    assert_int_equal(stapes__container_get_format(c), STAPES__CONTAINER_SAFETENSORS);
    assert_string_equal(stapes__container_format_name(c), "safetensors");
    assert_int_equal(stapes__container_count(c), 114);
    assert_null(stapes__container_at(c, 114));
    assert_null(stapes__container_find(c, "nothing"));
    const stapes__tensor *head = stapes__container_find(c, "joint.head.weight");
    assert_non_null(head);
    assert_int_equal(head->shape[0], 134);
    assert_int_equal(head->shape[1], 48);
    assert_int_equal(head->bytes, 134 * 48 * 4);
    float first[4], again[4];
    stapes__to_f32(head, 0, 4, first);
    stapes__container_release(c, head);
    stapes__to_f32(head, 0, 4, again);
    assert_memory_equal(first, again, sizeof first);
    const json_t *config = stapes__container_config(c);
    assert_string_equal(json_string_value(json_object_get(config, "model_type")), "parakeet_tdt");
    assert_non_null(stapes__container_generation(c));
    assert_null(stapes__container_preprocessor(c));
    const char *data;
    size_t size;
    assert_int_equal(stapes__container_tokenizer(c, &data, &size), STAPES__TOKENIZER_SENTENCEPIECE);
    assert_int_equal(size, 1748);
    char hex[65];
    stapes_error err = {0};
    assert_ok(stapes__container_identity(c, hex, &err), err);
    assert_int_equal(strlen(hex), 64);
    stapes__container_close(&c);
    assert_null(c);
}

static void test_names(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int n_dims;
        int64_t first;
    } wanted[] = {
        {"encoder.pre_encode.conv.0.weight", 4, 16},
        {"encoder.pre_encode.conv.6.bias", 1, 16},
        {"encoder.pre_encode.out.weight", 2, 64},
        {"encoder.layers.2.self_attn.linear_q.weight", 2, 64},
        {"encoder.layers.2.self_attn.linear_out.weight", 2, 64},
        {"encoder.layers.2.self_attn.linear_pos.weight", 2, 64},
        {"encoder.layers.0.self_attn.pos_bias_u", 2, 4},
        {"encoder.layers.0.self_attn.pos_bias_v", 2, 4},
        {"encoder.layers.0.conv.batch_norm.running_mean", 1, 64},
        {"encoder.layers.0.conv.pointwise_conv1.weight", 3, 128},
        {"encoder.layers.0.feed_forward1.linear1.weight", 2, 128},
        {"decoder.prediction.embed.weight", 2, 129},
        {"decoder.prediction.dec_rnn.lstm.weight_ih_l1", 2, 192},
        {"joint.enc.weight", 2, 48},
        {"joint.pred.bias", 1, 48},
        {"joint.joint_net.2.weight", 2, 134},
        {"joint.joint_net.1.weight", 2, 134},
    };
    stapes__container *c = open_vector("parakeet/tdt/model");
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        const stapes__tensor *tensor = stapes__names_find(c, wanted[i].name);
        if (!tensor)
            fail_msg("%s not found", wanted[i].name);
        assert_int_equal(tensor->n_dims, wanted[i].n_dims);
        assert_int_equal(tensor->shape[0], wanted[i].first);
    }
    assert_null(stapes__names_find(c, "encoder.layers.3.norm_out.weight"));
    assert_null(stapes__names_find(c, "encoder.pre_encode.conv.1.weight"));
    stapes__container_close(&c);
    c = open_vector("parakeet/ctc/model");
    assert_non_null(stapes__names_find(c, "decoder.decoder_layers.0.weight"));
    assert_non_null(stapes__names_find(c, "ctc_decoder.decoder_layers.0.bias"));
    stapes__container_close(&c);
}

static void test_name_map(void **state) {
    (void)state;
    static const char *const map[][2] = {
        {"encoder.subsampling.conv_in.weight", "encoder.pre_encode.conv.0.weight"},
        {"encoder.subsampling.layers.0.depthwise_conv.bias", "encoder.pre_encode.conv.2.bias"},
        {"encoder.subsampling.layers.0.pointwise_conv.bias", "encoder.pre_encode.conv.3.bias"},
        {"encoder.subsampling.layers.1.depthwise_conv.bias", "encoder.pre_encode.conv.5.bias"},
        {"encoder.subsampling.layers.1.pointwise_conv.bias", "encoder.pre_encode.conv.6.bias"},
        {"encoder.subsampling.layers.0.weight", "encoder.pre_encode.conv.0.weight"},
        {"encoder.layers.11.conv.norm.bias", "encoder.layers.11.conv.batch_norm.bias"},
        {"joint.joint_net.1.bias", "joint.joint_net.2.bias"},
        {"prompt_projector.linear_2.weight", "prompt_kernel.2.weight"},
    };
    char text[STAPES__NAME_SPACE];
    for (size_t i = 0; i < sizeof map / sizeof *map; i++) {
        assert_true(stapes__name_canonical(map[i][0], text, sizeof text));
        assert_string_equal(text, map[i][1]);
    }
    assert_false(stapes__name_canonical("encoder.layers.0.norm_out.weight", text, sizeof text));
    assert_false(stapes__name_canonical("joint.joint_net.2.weight", text, sizeof text));
    assert_false(stapes__name_canonical("joint.headless", text, sizeof text));
    assert_false(stapes__name_canonical("joint.head.weight", text, 10));
}

/* ---- files on disk ---- */

static char *write_in(const char *folder, const char *name, const void *data, size_t size) {
    char *path = stapes__path_join(folder, name);
    assert_non_null(path);
    stapes_error err = {0};
    assert_ok(stapes__write_file(path, data, size, &err), err);
    return path;
}

static void put_text(const char *folder, const char *name, const char *text) {
    free(write_in(folder, name, text, strlen(text)));
}

/* A file of this header and four bytes of data. */
static void put_tensors(const char *folder, const char *name, const char *header) {
    stapes__buf file = {0};
    uint8_t length[8] = {(uint8_t)strlen(header)};
    stapes__buf_append(&file, length, 8);
    stapes__buf_puts(&file, header);
    stapes__buf_append(&file, "\1\2\3\4", 4);
    assert_false(file.failed);
    free(write_in(folder, name, file.data, file.length));
    stapes__buf_free(&file);
}

static void assert_open_fails(const char *path, stapes_status wanted, const char *mention) {
    stapes__container *c = NULL;
    stapes_error err = {0};
    stapes_status status = stapes__container_open(&c, path, NULL, &err);
    assert_null(c);
    if (status != wanted || !strstr(err.message, mention))
        fail_msg("%s: status %d, wanted %d; message: %s", path, status, wanted, err.message);
}

static const char one[] = "{" TENSOR("a", "U8", "[4]", "[0,4]") "}";
static const char two[] = "{" TENSOR("b", "F16", "[2]", "[0,4]") "}";
static const char index_name[] = "model.safetensors.index.json";
static const char good_index[] = "{\"weight_map\":{\"a\":\"model-00001-of-00002.safetensors\","
                                 "\"b\":\"model-00002-of-00002.safetensors\"}}";

static void test_shards(void **state) {
    (void)state;
    char *folder = temp_dir();
    stapes_error err = {0};
    put_text(folder, "config.json", "{\"model_type\":\"x\"}");
    put_tensors(folder, "model-00001-of-00002.safetensors", one);
    put_tensors(folder, "model-00002-of-00002.safetensors", two);
    put_text(folder, index_name, good_index);
    stapes__container *c = NULL;
    assert_ok(stapes__container_open(&c, folder, NULL, &err), err);
    assert_int_equal(stapes__container_count(c), 2);
    assert_int_equal(stapes__container_find(c, "b")->dtype, STAPES__F16);
    stapes__container_close(&c);
    static const char *const bad[][2] = {
        {"{\"weight_map\":{\"a\":\"../x.safetensors\"}}", "plain file name"},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "plain file name"},
        {"{\"weight_map\":{\"a\":\"c\\\\x\"}}", "plain file name"},
        {"{\"weight_map\":{\"a\":\"\"}}", "plain file name"},
        {"{\"weight_map\":{\"a\":7}}", "plain file name"},
        {"{\"weight_map\":{\"a\":\"absent.safetensors\"}}", "is missing"},
        {"{\"weight_map\":{\"z\":\"model-00001-of-00002.safetensors\"}}", "tensor z is missing"},
        {"{\"weight_map\":{}}", "0 weight files"},
        {"{\"weight_map\":[]}", "no weight_map"},
        {"[", "not valid JSON"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_text(folder, index_name, bad[i][0]);
        assert_open_fails(folder, STAPES_E_MODEL_DAMAGED, bad[i][1]);
    }
    put_tensors(folder, "model-00002-of-00002.safetensors", one);
    put_text(folder, index_name, good_index);
    assert_open_fails(folder, STAPES_E_MODEL_DAMAGED, "tensor b is missing");
    temp_dir_remove(folder);
}

static void test_other_files(void **state) {
    (void)state;
    char *folder = temp_dir();
    static const struct {
        const char *bytes;
        size_t size;
        stapes_status wanted;
        const char *mention;
    } cases[] = {
        {"", 0, STAPES_E_MODEL_DAMAGED, "empty"},
        {"GGUF\3\0\0\0", 8, STAPES_E_MODEL_DAMAGED, "GGUF"},
        {"lmgg\1\0\0\0", 8, STAPES_E_MODEL_DAMAGED, "ends at byte 8"},
        {"\x08\x07\x12\x07pytorch", 11, STAPES_E_UNSUPPORTED, "ONNX"},
        {"\x93NUMPY\1\0", 8, STAPES_E_UNSUPPORTED, "NumPy"},
        {"\x80\x02}q", 4, STAPES_E_UNSUPPORTED, "torch"},
        {"\n<!DOCTYPE HTML><p>", 19, STAPES_E_MODEL_DAMAGED, "web page"},
        {"version https://git-lfs.github.com/spec/v1\n", 43, STAPES_E_MODEL_DAMAGED, "git-lfs"},
        {"some text", 9, STAPES_E_UNSUPPORTED, "no model file"},
        {"\x40\0\0\0\0\0\0\0{\"a\":", 13, STAPES_E_MODEL_DAMAGED, "header"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = write_in(folder, "file.safetensors", cases[i].bytes, cases[i].size);
        assert_open_fails(path, cases[i].wanted, cases[i].mention);
        free(path);
    }
    assert_open_fails("/nonexistent/model", STAPES_E_MODEL_MISSING, "no such model");
    temp_dir_remove(folder);
}

static void test_folders(void **state) {
    (void)state;
    char *folder = temp_dir();
    assert_open_fails(folder, STAPES_E_MODEL_MISSING, "no model folder");
    put_text(folder, "encoder.onnx", "\x08\x07\x12");
    assert_open_fails(folder, STAPES_E_UNSUPPORTED, "encoder.onnx");
    put_tensors(folder, "only.safetensors", one);
    stapes_error err = {0};
    stapes__container *c = NULL;
    assert_ok(stapes__container_open(&c, folder, NULL, &err), err);
    assert_null(stapes__container_config(c));
    const char *data;
    size_t size;
    assert_int_equal(stapes__container_tokenizer(c, &data, &size), STAPES__TOKENIZER_NONE);
    stapes__container_close(&c);
    put_tensors(folder, "second.safetensors", two);
    assert_open_fails(folder, STAPES_E_UNSUPPORTED, "several models");
    put_tensors(folder, "model.safetensors", two);
    put_text(folder, "config.json", "[]");
    assert_open_fails(folder, STAPES_E_MODEL_DAMAGED, "no JSON object");
    put_text(folder, "config.json", "{\"a\":1,\"a\":2}");
    assert_open_fails(folder, STAPES_E_MODEL_DAMAGED, "duplicate");
    put_text(folder, "config.json", "{}");
    put_text(folder, "vocab.txt", "a\nb\n");
    assert_ok(stapes__container_open(&c, folder, NULL, &err), err);
    assert_non_null(stapes__container_find(c, "b"));
    assert_int_equal(stapes__container_tokenizer(c, &data, &size), STAPES__TOKENIZER_VOCAB_TXT);
    assert_int_equal(size, 4);
    stapes__container_close(&c);
    put_tensors(folder, "model.safetensors", "{}");
    assert_open_fails(folder, STAPES_E_MODEL_DAMAGED, "no tensors");
    temp_dir_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),     cmocka_unit_test(test_long_and_deep),
        cmocka_unit_test(test_lengths),     cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_folder),      cmocka_unit_test(test_names),
        cmocka_unit_test(test_name_map),    cmocka_unit_test(test_shards),
        cmocka_unit_test(test_other_files), cmocka_unit_test(test_folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
