/* The registry of downloadable models: the built-in one, names, and refusal of damaged files. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "hub/registry.h"

#define FILES "\"files\":[{\"path\":\"a.nemo\"}]"
#define MODEL(name, extra)                                                                         \
    "{\"name\":\"" name "\",\"repository\":\"o/" name "\",\"revision\":\"main\",\"page\":\"p\","   \
    "\"licence\":\"l\"," extra "}"
#define REGISTRY(models) "{\"format\":1,\"models\":[" models "]}"

static void built_in(void **state) {
    (void)state;
    stapes_error err = {0};
    stapes__registry *registry;
    unsetenv("STAPES_REGISTRY");
    assert_ok(stapes__registry_open(&registry, &err), err);
    assert_int_equal(stapes__registry_count(registry), 12);
    assert_string_equal(stapes__registry_default(registry)->name, "parakeet-tdt-0.6b-v3");
    for (size_t i = 0; i < stapes__registry_count(registry); i++) {
        const stapes__registry_model *model = stapes__registry_at(registry, i);
        assert_true(model->bytes > 100000000 && model->parameters > 100000000);
        assert_true(strlen(model->licence) > 0 && strlen(model->licence_url) > 0);
        assert_true(strlen(model->languages) >= 2 && strlen(model->description) > 10);
        assert_ptr_equal(stapes__registry_find(registry, model->name), model);
        assert_ptr_equal(stapes__registry_find(registry, model->repository), model);
    }
    assert_null(stapes__registry_at(registry, 12));
    stapes__registry_close(&registry);
    assert_null(registry);
}

static void names(void **state) {
    (void)state;
    stapes_error err = {0};
    stapes__registry *registry;
    assert_ok(stapes__registry_open(&registry, &err), err);
    static const char *const same[][2] = {
        {"v3", "parakeet-tdt-0.6b-v3"},
        {"Parakeet", "parakeet-tdt-0.6b-v3"},
        {"nvidia/parakeet-tdt-0.6b-v3", "parakeet-tdt-0.6b-v3"},
        {"parakeet-tdt-ctc-110m", "parakeet-tdt_ctc-110m"},
        {"PARAKEET_TDT_CTC_110M", "parakeet-tdt_ctc-110m"},
        {"nemotron", "nemotron-3.5-asr-streaming-0.6b"},
        {"parakeet-realtime-eou-120m-v1", "parakeet_realtime_eou_120m-v1"},
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        const stapes__registry_model *model = stapes__registry_find(registry, same[i][0]);
        assert_non_null(model);
        assert_string_equal(model->name, same[i][1]);
    }
    assert_null(stapes__registry_find(registry, "parakeet-tdt-0.6b-v4"));
    assert_null(stapes__registry_find(registry, ""));
    assert_string_equal(stapes__registry_suggest(registry, "parakeet-tdt-0.6-v3")->name,
                        "parakeet-tdt-0.6b-v3");
    assert_string_equal(stapes__registry_suggest(registry, "paraket-ctc")->name,
                        "parakeet-ctc-0.6b");
    assert_null(stapes__registry_suggest(registry, "completely-different"));
    assert_null(stapes__registry_suggest(registry, "x"));
    const stapes__registry_model *v3 = stapes__registry_find(registry, "v3");
    const stapes__registry_model *v2 = stapes__registry_find(registry, "v2");
    assert_string_equal(stapes__registry_target(v3), "");
    assert_string_equal(stapes__registry_target(v2), "parakeet-tdt-0.6b-v2.nemo");
    stapes__registry_close(&registry);
}

static void refuse(const char *text, const char *words) {
    stapes_error err = {0};
    stapes__registry *registry;
    stapes_status status = stapes__registry_parse(&registry, text, strlen(text), "test.json", &err);
    if (status != STAPES_E_ARGUMENT || !strstr(err.message, words) ||
        !strstr(err.message, "test.json"))
        fail_msg("%s\n  gave %d \"%s\", wanted \"%s\"", text, status, err.message, words);
    assert_null(registry);
}

static void damaged(void **state) {
    (void)state;
    refuse("", "line 1");
    refuse("{\"format\":1", "line 1");
    refuse("[]", "format 1");
    refuse("{\"format\":2,\"models\":[]}", "format 1");
    refuse(REGISTRY(""), "models");
    refuse(REGISTRY("3"), "not an object");
    refuse(REGISTRY(MODEL("../up", FILES)), "plain name");
    refuse(REGISTRY(MODEL("a b", FILES)), "plain name");
    refuse(REGISTRY(MODEL(".hidden", FILES)), "plain name");
    refuse(REGISTRY(MODEL("m", "\"files\":[]")), "files");
    refuse(REGISTRY(MODEL("m", "\"files\":[{\"path\":\"../../etc/passwd\"}]")), "relative");
    refuse(REGISTRY(MODEL("m", "\"files\":[{\"path\":\"/etc/passwd\"}]")), "relative");
    refuse(REGISTRY(MODEL("m", "\"files\":[{\"path\":\"a//b\"}]")), "relative");
    refuse(REGISTRY(MODEL("m", "\"files\":[{\"path\":\"a\\u0000b\"}]")), "u0000");
    refuse(REGISTRY(MODEL("m", "\"files\":[{\"path\":\"a\",\"size\":-4}]")), "size");
    refuse(REGISTRY(MODEL("m", "\"files\":[{\"path\":\"a\",\"size\":1e3}]")), "size");
    refuse(REGISTRY(MODEL("m", "\"files\":[{\"path\":\"a\",\"sha256\":\"AB\"}]")), "sha256");
    refuse(REGISTRY(MODEL("m", "\"files\":[{\"path\":\"a\"},{\"path\":\"A\"}]")), "same");
    refuse(REGISTRY(MODEL("m", "\"files\":[{\"path\":\"a\",\"optional\":true}]")), "optional");
    refuse(REGISTRY(MODEL("m", "\"aliases\":[\"a/b\"]," FILES)), "alias");
    refuse(REGISTRY(MODEL("m", "\"languages\":[7]," FILES)), "language");
    refuse(REGISTRY(MODEL("m", "\"description\":\"a\\nb\"," FILES)), "description");
    refuse(REGISTRY(MODEL("m", FILES) "," MODEL("M", FILES)), "earlier");
    refuse(REGISTRY(MODEL("m", FILES) "," MODEL("n", "\"aliases\":[\"m\"]," FILES)), "earlier");
}

static void minimal(void **state) {
    (void)state;
    stapes_error err = {0};
    stapes__registry *registry;
    const char *text = REGISTRY(MODEL("m", FILES));
    assert_ok(stapes__registry_parse(&registry, text, strlen(text), "t", &err), err);
    const stapes__registry_model *model = stapes__registry_default(registry);
    assert_string_equal(model->name, "m");
    assert_int_equal(model->files[0].size, -1);
    assert_null(model->files[0].sha256);
    assert_string_equal(model->languages, "");
    stapes__registry_close(&registry);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(built_in),
        cmocka_unit_test(names),
        cmocka_unit_test(damaged),
        cmocka_unit_test(minimal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
