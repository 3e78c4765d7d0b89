/* Manifests: what is accepted, what is refused and how that is said. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "eval/manifest.h"
#include "support.h"

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789ABCDEF"

static stapes__manifest parse(const char *text) {
    stapes__manifest manifest;
    stapes_error err;
    assert_ok(stapes__manifest_parse(&manifest, text, strlen(text), &err), err);
    return manifest;
}

static void reads_all_columns(void **state) {
    (void)state;
    stapes__manifest m = parse("path\tseconds\tsha256\ttext\n"
                               "a/b.wav\t1.250\t" HASH "\tTHE WORDS\n"
                               "c.mp3\t\t\t\n");
    assert_int_equal(m.n_rows, 2);
    assert_true(m.has_text && m.has_seconds && m.has_sha256);
    assert_string_equal(m.rows[0].path, "a/b.wav");
    assert_string_equal(m.rows[0].text, "THE WORDS");
    assert_string_equal(m.rows[0].sha256, HASH);
    assert_true(m.rows[0].seconds == 1.25);
    assert_int_equal(m.rows[0].line, 2);
    assert_string_equal(m.rows[1].text, "");
    assert_true(m.rows[1].seconds == 0);
    stapes__manifest_free(&m);
}

static void takes_other_shapes(void **state) {
    (void)state;
    stapes__manifest m = parse("\xef\xbb\xbftext\tspeaker\tpath\r\n"
                               "caf\xc3\xa9\t7\tx.flac\r\n\r\n"
                               "no newline\t8\ty.flac\textra");
    assert_int_equal(m.n_rows, 2);
    assert_false(m.has_seconds || m.has_sha256);
    assert_string_equal(m.rows[0].path, "x.flac");
    assert_string_equal(m.rows[0].text, "caf\xc3\xa9");
    assert_string_equal(m.rows[1].text, "no newline");
    assert_int_equal(m.rows[1].line, 4);
    stapes__manifest_free(&m);
    m = parse("path\n");
    assert_int_equal(m.n_rows, 0);
    assert_false(m.has_text);
    stapes__manifest_free(&m);
}

static void refuses(const char *text, size_t size, const char *part) {
    stapes__manifest m;
    stapes_error err;
    assert_int_equal(stapes__manifest_parse(&m, text, size, &err), STAPES_E_UNSUPPORTED);
    if (!strstr(err.message, part))
        fail_msg("'%s' does not say '%s'", err.message, part);
}

static void says_what_is_wrong(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"", "line 1: the manifest is empty"},
        {"file\ttext\n", "line 1: no column \"path\""},
        {"path\ttext\tpath\n", "line 1: two columns named \"path\""},
        {"path\ttext\na\tb\n\nonly\n", "line 4: 1 fields, column \"text\" is number 2"},
        {"path\ttext\n\tb\n", "line 2: the path is empty"},
        {"path\tsha256\na\tbeef\n", "line 2: sha256"},
        {"path\tseconds\na\t1,5\n", "line 2: seconds is \"1,5\""},
        {"path\tseconds\na\tinf\n", "line 2: seconds is \"inf\""},
        {"path\tseconds\na\t.\n", "line 2: seconds is \".\""},
        {"path\ttext\na\tok\nb\t\xff\n", "line 3: not UTF-8"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        refuses(rows[i][0], strlen(rows[i][0]), rows[i][1]);
    refuses("path\na\0b\n", 9, "line 2: holds a NUL byte");
}

static void files_are_beside_the_manifest(void **state) {
    (void)state;
    char *folder = temp_dir();
    char *path = stapes__path_join(folder, "list.tsv");
    const char text[] = "path\nsub/a.wav\n/abs/b.wav\n";
    stapes_error err;
    assert_ok(stapes__write_file(path, text, sizeof text - 1, &err), err);
    stapes__manifest m;
    assert_ok(stapes__manifest_open(&m, path, &err), err);
    char *file = stapes__manifest_file(&m, &m.rows[0]);
    char *want = stapes__path_join(folder, "sub/a.wav");
    assert_string_equal(file, want);
    free(file);
    free(want);
    file = stapes__manifest_file(&m, &m.rows[1]);
    assert_string_equal(file, "/abs/b.wav");
    free(file);
    stapes__manifest_free(&m);
    assert_ok(stapes__write_file(path, "x\n", 2, &err), err);
    assert_int_equal(stapes__manifest_open(&m, path, &err), STAPES_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, path));
    free(path);
    path = stapes__path_join(folder, "missing.tsv");
    assert_int_equal(stapes__manifest_open(&m, path, &err), STAPES_E_IO);
    assert_non_null(strstr(err.message, path));
    free(path);
    temp_dir_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_all_columns),
        cmocka_unit_test(takes_other_shapes),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(files_are_beside_the_manifest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
