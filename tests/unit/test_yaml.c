/* YAML as JSON trees: scalars, forms, refusals, and time that stays linear. */
#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "weights/yaml.h"

static stapes_status parse_exact(json_t **out, const char *text, size_t size, stapes_error *err) {
    char *exact = malloc(size ? size : 1);
    assert_non_null(exact);
    memcpy(exact, text, size);
    stapes_status status = stapes__yaml_parse(out, exact, size, err);
    free(exact);
    return status;
}

/* The tree equals the JSON text `wanted`. */
static void assert_tree(const char *text, const char *wanted) {
    json_t *tree;
    stapes_error err = {0};
    assert_ok(parse_exact(&tree, text, strlen(text), &err), err);
    json_t *expected = json_loads(wanted, JSON_DECODE_ANY, NULL);
    assert_non_null(expected);
    if (!json_equal(tree, expected)) {
        char *json = json_dumps(tree, JSON_COMPACT | JSON_ENCODE_ANY);
        fail_msg("%s\ngave   %s\nwanted %s", text, json, wanted);
    }
    json_decref(expected);
    json_decref(tree);
}

static void test_scalars(void **state) {
    (void)state;
    assert_tree("[null, ~, Null, NULL, '', \"\", ]", "[null,null,null,null,\"\",\"\"]");
    assert_tree("a:\nb: \n", "{\"a\":null,\"b\":null}");
    assert_tree("[true, True, TRUE, false, False, yes, no, on, off, 'true']",
                "[true,true,true,false,false,\"yes\",\"no\",\"on\",\"off\",\"true\"]");
    assert_tree("[0, -1, +5, 007, 0o17, 0x1F, 9223372036854775807, -9223372036854775808]",
                "[0,-1,5,7,15,31,9223372036854775807,-9223372036854775808]");
    assert_tree("[9223372036854775808, '12', 1_000, 1:30, 0xG, 0b1, -]",
                "[9223372036854775808.0,\"12\",\"1_000\",\"1:30\",\"0xG\",\"0b1\",\"-\"]");
    assert_tree("[0.025, 1.0e-05, 1e-5, .5, 5., -1.5E+3, 1e, e5, ., 1.2.3, .inf, -.inf, .nan]",
                "[0.025,1e-5,1e-5,0.5,5.0,-1500.0,\"1e\",\"e5\","
                "\".\",\"1.2.3\",\".inf\",\"-.inf\",\".nan\"]");
    assert_tree("1e999", "\"1e999\"");
    assert_tree("- \"\\u2581the \\t\\\"q\\\"\"\n- 'it''s'\n- \xe2\x96\x81t\n",
                "[\"\xe2\x96\x81the \\t\\\"q\\\"\",\"it's\",\"\xe2\x96\x81t\"]");
}

static void test_forms(void **state) {
    (void)state;
    assert_tree("a: 1\nb:\n  c: [1, {d: x}]\n  e:\n  - 1\n  -   - 2\n      - 3\nf: {}\ng: []\n",
                "{\"a\":1,\"b\":{\"c\":[1,{\"d\":\"x\"}],\"e\":[1,[2,3]]},\"f\":{},\"g\":[]}");
    assert_tree("# comment\n---\na: one\n  two\n  three # more\n...\n",
                "{\"a\":\"one two three\"}");
    assert_tree("a: |\n  x\n  y\nb: >\n  x\n  y\n", "{\"a\":\"x\\ny\\n\",\"b\":\"x y\\n\"}");
    assert_tree("model_path: nemo:17_tokenizer.model\n_target_: a.b.C\n1: one\nnull: n\n",
                "{\"model_path\":\"nemo:17_tokenizer.model\",\"_target_\":\"a.b.C\",\"1\":\"one\","
                "\"null\":\"n\"}");
    assert_tree("%YAML 1.1\n---\nx: -1", "{\"x\":-1}");
    assert_tree("? a\n: 1\n", "{\"a\":1}");
}

static void test_refusals(void **state) {
    (void)state;
    static const struct {
        const char *text;
        stapes_status wanted;
        const char *mention;
    } cases[] = {
        {"a: &x 1\nb: 2\n", STAPES_E_UNSUPPORTED, "anchor in line 1"},
        {"a: 1\nb: &x [1]\n", STAPES_E_UNSUPPORTED, "anchor in line 2"},
        {"a: *x\n", STAPES_E_UNSUPPORTED, "alias"},
        {"a: !!python/object/apply:os.system [ls]\n", STAPES_E_UNSUPPORTED, "tag"},
        {"a: !!str 1\n", STAPES_E_UNSUPPORTED, "tag"},
        {"a: !x {b: 1}\n", STAPES_E_UNSUPPORTED, "tag"},
        {"<<: {a: 1}\n", STAPES_E_UNSUPPORTED, "merge"},
        {"? [a]\n: 1\n", STAPES_E_UNSUPPORTED, "key that is no scalar"},
        {"a: 1\n---\nb: 1\n", STAPES_E_UNSUPPORTED, "second document"},
        {"a: 1\na: 2\n", STAPES_E_MODEL_DAMAGED, "twice in line 2"},
        {"a: \"x\\0y\"\n", STAPES_E_MODEL_DAMAGED, "NUL"},
        {"\"x\\0y\": 1\n", STAPES_E_MODEL_DAMAGED, "NUL"},
        {"", STAPES_E_MODEL_DAMAGED, "empty"},
        {"# only a comment\n", STAPES_E_MODEL_DAMAGED, "empty"},
        {"a: [1, 2\nb: 3\n", STAPES_E_MODEL_DAMAGED, "broken in line"},
        {"a: 1\n  b: 2\n", STAPES_E_MODEL_DAMAGED, "broken in line"},
        {"a: \xff\xfe\n", STAPES_E_MODEL_DAMAGED, "broken in line"},
        {"\xff\xfe"
         "a\0:\0",
         STAPES_E_MODEL_DAMAGED, "broken in line"},
        {"\t- a", STAPES_E_MODEL_DAMAGED, "broken in line"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *tree;
        stapes_error err = {0};
        stapes_status status = parse_exact(&tree, cases[i].text, strlen(cases[i].text), &err);
        assert_null(tree);
        if (status != cases[i].wanted || !strstr(err.message, cases[i].mention))
            fail_msg("%s: status %d, message: %s", cases[i].text, status, err.message);
    }
}

static void nest(stapes__buf *text, const char *open, int depth) {
    stapes__buf_free(text);
    for (int i = 0; i < depth; i++)
        stapes__buf_puts(text, open);
}

static void test_depth(void **state) {
    (void)state;
    static const char *const openers[] = {"[", "{a: ", "- ", "? "};
    stapes__buf text = {0};
    json_t *tree;
    stapes_error err = {0};
    for (size_t i = 0; i < 4; i++) {
        nest(&text, openers[i], 100000);
        assert_int_not_equal(parse_exact(&tree, text.data, text.length, &err), STAPES_OK);
        assert_null(tree);
    }
    nest(&text, "- ", STAPES__YAML_MAX_DEPTH);
    stapes__buf_puts(&text, "x");
    assert_ok(parse_exact(&tree, text.data, text.length, &err), err);
    json_decref(tree);
    nest(&text, "- ", STAPES__YAML_MAX_DEPTH + 1);
    stapes__buf_puts(&text, "x");
    assert_int_equal(parse_exact(&tree, text.data, text.length, &err), STAPES_E_MODEL_DAMAGED);
    assert_non_null(strstr(err.message, "deep"));
    stapes__buf_free(&text);
}

static double seconds_for(int labels) {
    stapes__buf text = {0};
    stapes__buf_puts(&text, "labels:\n");
    for (int i = 0; i < labels; i++)
        stapes__buf_printf(&text, "- piece%d\n", i);
    stapes__buf_puts(&text, "map:\n");
    for (int i = 0; i < labels; i++)
        stapes__buf_printf(&text, "  key%d: %d\n", i, i);
    json_t *tree;
    stapes_error err = {0};
    clock_t begin = clock();
    assert_ok(parse_exact(&tree, text.data, text.length, &err), err);
    double taken = (double)(clock() - begin) / CLOCKS_PER_SEC;
    assert_int_equal(json_array_size(json_object_get(tree, "labels")), labels);
    assert_int_equal(json_object_size(json_object_get(tree, "map")), labels);
    json_decref(tree);
    stapes__buf_free(&text);
    return taken;
}

/* Sixteen times the labels take about sixteen times as long, not 256 times. */
static void test_linear(void **state) {
    (void)state;
    double few = seconds_for(8192), many = seconds_for(16 * 8192);
    assert_true(many < 80 * few + 0.5);
}

static void test_every_cut(void **state) {
    (void)state;
    static const char text[] = "a: [1, {b: 'c'}]\nd:\n  - \"e\\u0041\"\n  - |\n    f\n# g\n";
    for (size_t size = 0; size < sizeof text; size++) {
        json_t *tree;
        stapes_error err = {0};
        parse_exact(&tree, text, size, &err);
        json_decref(tree);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),  cmocka_unit_test(test_forms),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_depth),
        cmocka_unit_test(test_linear),   cmocka_unit_test(test_every_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
