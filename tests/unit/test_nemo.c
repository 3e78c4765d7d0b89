/* A .nemo written by NeMo against the same weights as safetensors, and damaged archives. */
#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "weights/container.h"
#include "weights/naming.h"
#include "weights/nemo.h"

#define ARCHIVE "nemo/offline/tiny-tdt.nemo"

static stapes__container *open_path(const char *path) {
    stapes_error err = {0};
    stapes__container *c = NULL;
    assert_ok(stapes__container_open(&c, path, NULL, &err), err);
    return c;
}

static stapes__container *open_vector(const char *relative) {
    char path[512];
    return open_path(vectors_path(path, sizeof path, relative));
}

static char *read_vector(const char *relative, size_t *size) {
    char path[512], *data;
    stapes_error err = {0};
    assert_ok(
        stapes__read_file(vectors_path(path, sizeof path, relative), 1 << 24, &data, size, &err),
        err);
    return data;
}

/* Every tensor of the Hugging Face folder is in the archive, bit for bit; the archive has only the
 * window and the filter bank besides. */
static void test_same_weights(void **state) {
    (void)state;
    stapes__container *nemo = open_vector(ARCHIVE), *folder = open_vector("parakeet/tdt/model");
    assert_int_equal(stapes__container_count(nemo), 116);
    for (size_t i = 0; i < stapes__container_count(folder); i++) {
        const stapes__tensor *wanted = stapes__container_at(folder, i);
        char name[STAPES__NAME_SPACE];
        const char *nemo_name =
            stapes__name_canonical(wanted->name, name, sizeof name) ? name : wanted->name;
        const stapes__tensor *got = stapes__container_find(nemo, nemo_name);
        if (!got)
            fail_msg("%s (%s) is not in the archive", nemo_name, wanted->name);
        assert_ptr_equal(got, stapes__names_find(nemo, nemo_name));
        assert_int_equal(got->dtype, wanted->dtype);
        assert_int_equal(got->n_dims, wanted->n_dims);
        assert_memory_equal(got->shape, wanted->shape, sizeof got->shape);
        assert_int_equal(got->bytes, wanted->bytes);
        assert_memory_equal(got->data, wanted->data, got->bytes);
    }
    const stapes__tensor *bank = stapes__names_find(nemo, "preprocessor.featurizer.fb");
    assert_non_null(bank);
    assert_int_equal(bank->n_dims, 3);
    assert_int_equal(bank->shape[2], 257);
    char first[65], second[65];
    stapes_error err = {0};
    assert_ok(stapes__container_identity(nemo, first, &err), err);
    assert_ok(stapes__container_identity(folder, second, &err), err);
    assert_string_equal(first, second);
    stapes__container_close(&nemo);
    stapes__container_close(&folder);
    nemo = open_vector("parakeet/rnnt/model");
    assert_ok(stapes__container_identity(nemo, second, &err), err);
    assert_string_not_equal(first, second);
    stapes__container_close(&nemo);
}

static const json_t *at(const json_t *tree, const char *section, const char *key) {
    const json_t *value = json_object_get(json_object_get(tree, section), key);
    if (!value)
        fail_msg("the configuration lacks %s.%s", section, key);
    return value;
}

static void test_config(void **state) {
    (void)state;
    stapes__container *c = open_vector(ARCHIVE);
    assert_string_equal(stapes__container_format_name(c), "nemo");
    const json_t *config = stapes__container_config(c);
    assert_int_equal(json_integer_value(json_object_get(config, "sample_rate")), 16000);
    assert_int_equal(json_integer_value(at(config, "encoder", "n_layers")), 3);
    assert_true(json_is_false(at(config, "encoder", "use_bias")));
    assert_true(json_is_null(at(config, "encoder", "conv_context_size")));
    assert_int_equal(
        json_integer_value(json_array_get(at(config, "encoder", "att_context_size"), 1)), -1);
    assert_true(json_real_value(at(config, "preprocessor", "dither")) == 1e-5);
    assert_true(json_real_value(at(config, "preprocessor", "window_size")) == 0.025);
    assert_string_equal(json_string_value(at(config, "preprocessor", "normalize")), "per_feature");
    assert_int_equal(json_array_size(at(config, "model_defaults", "tdt_durations")), 5);
    const json_t *labels = at(config, "joint", "vocabulary");
    assert_int_equal(json_array_size(labels), 128);
    assert_string_equal(json_string_value(json_array_get(labels, 11)), "0");
    assert_string_equal(json_string_value(json_array_get(labels, 22)), "\xe2\x96\x81t");
    assert_null(stapes__container_preprocessor(c));
    stapes__container_close(&c);
}

static void test_tokenizer(void **state) {
    (void)state;
    stapes__container *c = open_vector(ARCHIVE);
    const char *data;
    size_t size, wanted_size;
    assert_int_equal(stapes__container_tokenizer(c, &data, &size), STAPES__TOKENIZER_SENTENCEPIECE);
    char *wanted = read_vector("parakeet/tdt/model/tokenizer.model", &wanted_size);
    assert_int_equal(size, wanted_size);
    assert_memory_equal(data, wanted, size);
    free(wanted);
    stapes__container_close(&c);
}

/* A folder with one archive, and the gzip form of NeMo before 1.7. */
static void test_folder_and_gzip(void **state) {
    (void)state;
    size_t size;
    char *bytes = read_vector(ARCHIVE, &size), *folder = temp_dir();
    char *path = stapes__path_join(folder, "model.nemo");
    gzFile out = gzopen(path, "wb1");
    assert_non_null(out);
    assert_int_equal(gzwrite(out, bytes, (unsigned)size), (int)size);
    assert_int_equal(gzclose(out), Z_OK);
    stapes__container *packed = open_path(folder), *plain = open_vector(ARCHIVE);
    assert_int_equal(stapes__container_get_format(packed), STAPES__CONTAINER_NEMO);
    char first[65], second[65];
    stapes_error err = {0};
    assert_ok(stapes__container_identity(packed, first, &err), err);
    assert_ok(stapes__container_identity(plain, second, &err), err);
    assert_string_equal(first, second);
    stapes__container_release(packed, stapes__container_at(packed, 5));
    stapes__container_close(&packed);
    stapes__container_close(&plain);
    free(bytes);
    assert_ok(stapes__read_file(path, 1 << 24, &bytes, &size, &err), err);
    for (size_t part = 1; part < 8; part++) {
        assert_ok(stapes__write_file(path, bytes, size * part / 8, &err), err);
        assert_int_equal(stapes__container_open(&packed, path, NULL, &err), STAPES_E_MODEL_DAMAGED);
        assert_non_null(strstr(err.message, "gzip"));
    }
    free(bytes);
    free(path);
    temp_dir_remove(folder);
}

/* A checkpoint by itself, written by torch: {"dims": {...}, "model_state_dict": {...}}. */
static void test_checkpoint(void **state) {
    (void)state;
    stapes__container *c = open_path(STAPES_TEST_SOURCE "/tests/fuzz/corpus/torch_zip/whisper");
    assert_string_equal(stapes__container_format_name(c), "torch");
    assert_int_equal(json_integer_value(at(stapes__container_config(c), "dims", "n_mels")), 80);
    assert_int_equal(stapes__container_count(c), 6);
    const stapes__tensor *turned = stapes__container_find(c, "turned");
    assert_non_null(turned);
    float got[6];
    stapes__to_f32(turned, 0, 6, got);
    assert_memory_equal(got, ((const float[]){0, 3, 1, 4, 2, 5}), sizeof got);
    assert_int_equal(stapes__container_find(c, "half")->dtype, STAPES__F16);
    assert_int_equal(stapes__container_find(c, "count")->n_dims, 0);
    stapes__container_close(&c);
}

static stapes_status read_copy(const char *bytes, size_t size, stapes_error *err) {
    stapes__container *c = calloc(1, sizeof *c);
    uint8_t *exact = malloc(size ? size : 1);
    assert_non_null(c);
    assert_non_null(exact);
    memcpy(exact, bytes, size);
    stapes_status status = stapes__nemo_read(c, exact, size, err);
    stapes__container_close(&c);
    free(exact);
    return status;
}

/* Cut anywhere but in the padding after the last member, and it does not open. */
static void test_cut(void **state) {
    (void)state;
    size_t size;
    char *bytes = read_vector(ARCHIVE, &size);
    stapes_error err = {0};
    assert_ok(read_copy(bytes, size, &err), err);
    size_t last = size;
    while (last > 0 && bytes[last - 1] == 0)
        last--;
    for (size_t cut = 0; cut < last; cut += cut < 4096 || cut + 600 > last ? 31 : 7919) {
        if (read_copy(bytes, cut, &err) == STAPES_OK)
            fail_msg("opened when cut at byte %zu of %zu", cut, size);
        assert_true(err.message[0] != 0);
    }
    free(bytes);
}

/* Single bits changed all over headers, configuration and pickle: opened or refused, no crash. */
static void test_flips(void **state) {
    (void)state;
    size_t size;
    char *bytes = read_vector(ARCHIVE, &size);
    stapes_error err = {0};
    for (size_t at_byte = 0; at_byte < size; at_byte += at_byte < 40000 ? 97 : 9973) {
        bytes[at_byte] ^= (char)(1 << at_byte % 8);
        read_copy(bytes, size, &err);
        bytes[at_byte] ^= (char)(1 << at_byte % 8);
    }
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_weights), cmocka_unit_test(test_config),
        cmocka_unit_test(test_tokenizer),    cmocka_unit_test(test_folder_and_gzip),
        cmocka_unit_test(test_checkpoint),   cmocka_unit_test(test_cut),
        cmocka_unit_test(test_flips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
