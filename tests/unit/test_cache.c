/* Finding models: the cache folder, the embedded model, and what a user may give as a model. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "hub/cache.h"

static char *folder;

static int set_up(void **state) {
    (void)state;
    folder = temp_dir();
    unsetenv("STAPES_REGISTRY");
    return setenv("STAPES_MODELS", folder, 1);
}

static int tear_down(void **state) {
    (void)state;
    temp_dir_remove(folder);
    return 0;
}

/* Writes "x" to folder/a/b. */
static void put(const char *a, const char *b) {
    stapes_error err = {0};
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, a);
    assert_ok(stapes__make_dirs(path, &err), err);
    snprintf(path, sizeof path, "%s/%s/%s", folder, a, b);
    assert_ok(stapes__write_file(path, "x", 1, &err), err);
}

static void resolves(const char *name, const char *below) {
    stapes_error err = {0};
    char *path, want[4096];
    snprintf(want, sizeof want, "%s/%s", folder, below);
    assert_ok(stapes__hub_resolve(name, &path, &err), err);
    assert_string_equal(path, want);
    free(path);
}

static void missing(const char *name, const char *message, const char *hint) {
    stapes_error err = {0};
    char *path;
    assert_int_equal(stapes__hub_resolve(name, &path, &err), STAPES_E_MODEL_MISSING);
    assert_null(path);
    if (!strstr(err.message, message) || !strstr(err.hint, hint))
        fail_msg("%s: \"%s\" (%s)", name, err.message, err.hint);
}

static void cache_folder(void **state) {
    (void)state;
    stapes_error err = {0};
    char *got;
    assert_ok(stapes__cache_folder(&got, &err), err);
    assert_string_equal(got, folder);
    free(got);
    unsetenv("STAPES_MODELS");
    setenv("XDG_CACHE_HOME", "/somewhere", 1);
    assert_ok(stapes__cache_folder(&got, &err), err);
    assert_string_equal(got, "/somewhere/stapes/models");
    free(got);
    setenv("XDG_CACHE_HOME", "relative", 1);
    setenv("HOME", "/home/someone", 1);
    assert_ok(stapes__cache_folder(&got, &err), err);
    assert_string_equal(got, "/home/someone/.cache/stapes/models");
    free(got);
    unsetenv("XDG_CACHE_HOME");
}

static void embedded(void **state) {
    (void)state;
    static const char *const names[] = {NULL, "", "nano"};
    for (size_t i = 0; i < 3; i++) {
        stapes_error err = {0};
        char *path, *config;
        assert_ok(stapes__hub_resolve(names[i], &path, &err), err);
        assert_string_equal(stapes__path_base(path), "nano");
        config = stapes__path_join(path, "config.json");
        assert_true(stapes__is_file(config));
        free(config);
        free(path);
    }
}

static void installed(void **state) {
    (void)state;
    missing("v3", "not downloaded", "stapes pull parakeet-tdt-0.6b-v3");
    put("parakeet-tdt-0.6b-v3", "config.json");
    missing("v3", "only partly", "stapes pull parakeet-tdt-0.6b-v3");
    put("parakeet-tdt-0.6b-v3", "model.safetensors");
    put("parakeet-tdt-0.6b-v3", "tokenizer.json");
    resolves("v3", "parakeet-tdt-0.6b-v3");
    resolves("nvidia/parakeet-tdt-0.6b-v3", "parakeet-tdt-0.6b-v3");
    put("parakeet-tdt-0.6b-v2", "parakeet-tdt-0.6b-v2.nemo");
    resolves("parakeet-v2", "parakeet-tdt-0.6b-v2/parakeet-tdt-0.6b-v2.nemo");
    put("mine", "config.json");
    resolves("mine", "mine");
    put(".", "other.nemo");
    resolves("other", "other.nemo");
}

static void paths(void **state) {
    (void)state;
    char here[4096];
    assert_non_null(getcwd(here, sizeof here));
    put("work/v3", "notes.txt");
    put("work/real", "config.json");
    char work[4096];
    snprintf(work, sizeof work, "%s/work", folder);
    assert_int_equal(chdir(work), 0);
    missing("v3", "not downloaded", "stapes pull"); /* a stray folder hides nothing */
    stapes_error err = {0};
    char *path;
    assert_ok(stapes__hub_resolve("real", &path, &err), err);
    assert_string_equal(path, "real");
    free(path);
    put("work/v3", "config.json");
    assert_ok(stapes__hub_resolve("v3", &path, &err), err);
    assert_string_equal(path, "v3");
    free(path);
    assert_int_equal(chdir(here), 0);
    missing("/no/such/model", "no such model file", "stapes models");
    missing("parakeet-tdt-0.6bv3", "known model", "Did you mean parakeet-tdt-0.6b-v3");
    missing("zzzzzz", "known model", "stapes models");
}

static void bad_registry(void **state) {
    (void)state;
    put(".", "registry.json");
    char path[4096], *found;
    snprintf(path, sizeof path, "%s/registry.json", folder);
    setenv("STAPES_REGISTRY", path, 1);
    stapes_error err = {0};
    assert_int_equal(stapes__hub_resolve("v3", &found, &err), STAPES_E_ARGUMENT);
    assert_non_null(strstr(err.message, "registry.json"));
    setenv("STAPES_REGISTRY", "/no/such/file", 1);
    assert_int_equal(stapes__hub_resolve("v3", &found, &err), STAPES_E_IO);
    assert_non_null(strstr(err.hint, "STAPES_REGISTRY"));
    unsetenv("STAPES_REGISTRY");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cache_folder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(embedded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(installed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(paths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_registry, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
