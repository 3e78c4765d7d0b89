/* Whisper models under the other names and configurations that exist for them: openai's, Hugging
 * Face's without the leading "model.", without the encoder's table of positions; and those that
 * must be refused. */
#include "whisper_support.h"

static const char *const openai_names[][2] = {
    {"model.", ""},
    {"encoder.embed_positions.weight", "encoder.positional_embedding"},
    {"encoder.layer_norm.", "encoder.ln_post."},
    {"embed_tokens", "token_embedding"},
    {"decoder.embed_positions.weight", "decoder.positional_embedding"},
    {"decoder.layer_norm.", "decoder.ln."},
    {".layers.", ".blocks."},
    {"self_attn_layer_norm", "attn_ln"},
    {"encoder_attn_layer_norm", "cross_attn_ln"},
    {"final_layer_norm", "mlp_ln"},
    {"self_attn.", "attn."},
    {"encoder_attn.", "cross_attn."},
    {"q_proj", "query"},
    {"k_proj", "key"},
    {"v_proj", "value"},
    {"out_proj", "out"},
    {"fc1", "mlp.0"},
    {"fc2", "mlp.2"},
};

static void rename_to_openai(const char *name, char *out, size_t capacity) {
    char text[256];
    snprintf(out, capacity, "%s", name);
    for (size_t i = 0; i < sizeof openai_names / sizeof *openai_names; i++) {
        char *at = strstr(out, openai_names[i][0]);
        if (!at)
            continue;
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - out), out, openai_names[i][1],
                 at + strlen(openai_names[i][0]));
        snprintf(out, capacity, "%s", text);
    }
}

static unsigned char *read_all(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    unsigned char *data = malloc(*size);
    assert_int_equal(fread(data, 1, *size, file), *size);
    fclose(file);
    return data;
}

/* The model with other tensor names (openai's, or without "model.") and the given config.json,
 * without the table of encoder positions when `computed`. */
static void write_model(const char *folder, bool openai, bool computed, const json_t *config) {
    char path[4096];
    size_t size;
    uint64_t length;
    snprintf(path, sizeof path, "%s/model.safetensors", model_path);
    char full[4096];
    unsigned char *data = read_all(vectors_path(full, sizeof full, path), &size);
    memcpy(&length, data, 8);
    json_t *header = json_loadb((char *)data + 8, length, 0, NULL), *renamed = json_object();
    const char *key;
    json_t *value;
    json_object_foreach(header, key, value) {
        char name[256];
        if (openai)
            rename_to_openai(key, name, sizeof name);
        else
            snprintf(name, sizeof name, "%s", strncmp(key, "model.", 6) == 0 ? key + 6 : key);
        /* bytes without an owner are refused: the table stays under another name */
        if (computed && strstr(key, "encoder.embed_positions"))
            snprintf(name, sizeof name, "unused");
        json_object_set(renamed, name, value);
    }
    char *text = json_dumps(renamed, JSON_COMPACT);
    uint64_t written = strlen(text);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fwrite(&written, 1, 8, file);
    fwrite(text, 1, written, file);
    fwrite(data + 8 + length, 1, size - 8 - length, file);
    fclose(file);
    snprintf(path, sizeof path, "%s/config.json", folder);
    assert_int_equal(json_dump_file(config, path, 0), 0);
    free(text);
    free(data);
    json_decref(header);
    json_decref(renamed);
}

static json_t *openai_config(void) {
    return json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i}", "n_mels", 80, "n_audio_ctx", 200,
                     "n_audio_state", D, "n_audio_head", 2, "n_audio_layer", 2, "n_vocab",
                     VOCABULARY, "n_text_ctx", CONTEXT, "n_text_state", D, "n_text_head", 2,
                     "n_text_layer", 2);
}

static json_t *hf_config(void) {
    char path[4096], full[4096];
    snprintf(path, sizeof path, "%s/config.json", model_path);
    json_t *config = json_load_file(vectors_path(full, sizeof full, path), 0, NULL);
    assert_non_null(config);
    return config;
}

/* Logits of the prompt of the model in `folder`, or of the vectors' own when NULL. */
static void logits_of(const char *folder, const vectors *v, float *logits) {
    fixture f;
    size_t positions;
    const int32_t prompt[PROMPT] = {257, 259, 263, 267};
    if (folder)
        open_at(&f, folder, "auto", 1);
    else
        open_model(&f, "auto", 1);
    float *frames = encode_clip(&f, v, &positions, NULL, NULL);
    stapes__decoding *d = begin(&f, 1, frames, positions);
    feed(&f, d, prompt, PROMPT, logits);
    f.t->decode_close(f.stages, d);
    free(frames);
    close_model(&f);
}

static void test_names(void **state) {
    (void)state;
    vectors v = vectors_open("whisper/model");
    float *want = malloc(PROMPT * VOCABULARY * sizeof *want),
          *got = malloc(PROMPT * VOCABULARY * sizeof *got);
    json_t *dims = openai_config(), *nested = json_pack("{s:O}", "dims", dims), *hf = hf_config();
    logits_of(NULL, &v, want);
    for (int i = 0; i < 3; i++) {
        char *folder = temp_dir();
        write_model(folder, i < 2, false, i == 0 ? dims : i == 1 ? nested : hf);
        logits_of(folder, &v, got);
        assert_bits("logits under other names", got, want, PROMPT * VOCABULARY);
        temp_dir_remove(folder);
    }
    char *folder = temp_dir(); /* the formula's table */
    write_model(folder, true, true, dims);
    logits_of(folder, &v, got);
    size_t count;
    double *prompt = vectors_get(&v, "decoder/logits_prompt", NULL, NULL, &count);
    assert_close("computed positions", got, prompt, count, 4e-5, 8e-6);
    temp_dir_remove(folder);
    free(prompt);
    json_decref(dims);
    json_decref(nested);
    json_decref(hf);
    free(want);
    free(got);
    vectors_close(&v);
}

/* Opens a model with this configuration; the status, and the report in err. */
static stapes_status try_config(json_t *config, stapes_error *err) {
    char *folder = temp_dir();
    stapes__container *container;
    stapes__whisper_config read;
    stapes__cpu cpu;
    stapes__ops ops;
    stapes__stages *stages = NULL;
    stapes__cpu_detect(&cpu);
    stapes__ops_cpu(&ops, &cpu, NULL);
    write_model(folder, json_object_get(config, "n_vocab") != NULL, false, config);
    assert_ok(stapes__container_open(&container, folder, NULL, err), *err);
    stapes_status status = stapes__whisper_config_read(&read, container, err);
    stapes__native_params params = {.ops = &ops};
    if (status == STAPES_OK)
        status = stapes__whisper_native_open(&stages, container, &read, &params, NULL, err);
    if (status == STAPES_OK)
        stages->table->close(stages);
    stapes__container_close(&container);
    temp_dir_remove(folder);
    json_decref(config);
    return status;
}

static void test_configurations(void **state) {
    (void)state;
    static const struct {
        const char *key;
        int value;
        const char *says;
    } wrong[] = {
        {"n_vocab", 470, "decoder.token_embedding.weight"},
        {"n_vocab", 1, "n_vocab"},
        {"n_mels", 128, "encoder.conv1.weight"},
        {"n_audio_ctx", 1500, "encoder.positional_embedding"},
        {"n_text_ctx", 448, "decoder.positional_embedding"},
        {"n_text_ctx", 0, "n_text_ctx"},
        {"n_audio_head", 7, "heads"},
        {"n_audio_layer", 3, "encoder.blocks.2"},
        {"n_text_layer", -1, "n_text_layer"},
        {"n_text_state", 64, "width"},
    };
    stapes_error err = {0};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        json_t *config = openai_config();
        json_object_set_new(config, wrong[i].key, json_integer(wrong[i].value));
        assert_int_not_equal(try_config(config, &err), STAPES_OK);
        if (!strstr(err.message, wrong[i].says))
            fail_msg("%s = %d: %s", wrong[i].key, wrong[i].value, err.message);
    }
    json_t *config = hf_config();
    json_object_set_new(config, "activation_function", json_string("relu"));
    assert_int_equal(try_config(config, &err), STAPES_E_UNSUPPORTED);
    config = hf_config();
    json_object_set_new(config, "scale_embedding", json_true());
    assert_int_equal(try_config(config, &err), STAPES_E_UNSUPPORTED);
    config = hf_config();
    json_object_set_new(config, "d_model", json_string("48"));
    assert_int_equal(try_config(config, &err), STAPES_E_MODEL_DAMAGED);
    config = hf_config();
    json_object_set_new(config, "model_type", json_string("bert"));
    assert_int_equal(try_config(config, &err), STAPES_E_UNSUPPORTED);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names),
                                       cmocka_unit_test(test_configurations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
