/* Processor detection and the names of instruction sets. */
#include <string.h>

#include "base/cpu.h"
#include "compute/ops.h"
#include "support.h"

static void test_detect(void **state) {
    (void)state;
    stapes__cpu cpu;
    stapes__cpu_detect(&cpu);
    assert_true(cpu.cores >= 1);
    assert_true(strlen(cpu.model) > 0 && strlen(cpu.model) < sizeof cpu.model);
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    assert_int_equal(cpu.isa, avx512 ? STAPES__ISA_AVX512
                              : avx2 ? STAPES__ISA_AVX2
                                     : STAPES__ISA_C);
#endif
}

static void test_limit(void **state) {
    (void)state;
    stapes__cpu cpu = {.isa = STAPES__ISA_AVX512, .avx512_vnni = true, .amx_tile = true};
    assert_true(stapes__cpu_limit(&cpu, NULL));
    assert_true(stapes__cpu_limit(&cpu, "auto"));
    assert_true(stapes__cpu_limit(&cpu, "avx512"));
    assert_true(cpu.avx512_vnni);
    assert_false(stapes__cpu_limit(&cpu, "avx3"));
    assert_false(stapes__cpu_limit(&cpu, ""));
    assert_false(stapes__cpu_limit(&cpu, "neon"));
    assert_int_equal(cpu.isa, STAPES__ISA_AVX512);
    assert_true(stapes__cpu_limit(&cpu, "avx2"));
    assert_int_equal(cpu.isa, STAPES__ISA_AVX2);
    assert_false(cpu.avx512_vnni || cpu.amx_tile);
    assert_false(stapes__cpu_limit(&cpu, "avx512"));
    assert_true(stapes__cpu_limit(&cpu, "none"));
    assert_int_equal(cpu.isa, STAPES__ISA_C);
    assert_true(stapes__cpu_limit(&cpu, "c"));
    assert_false(stapes__cpu_limit(&cpu, "avx2"));
    stapes__cpu arm = {.isa = STAPES__ISA_NEON};
    assert_true(stapes__cpu_limit(&arm, "neon"));
    assert_false(stapes__cpu_limit(&arm, "avx2"));
    assert_true(stapes__cpu_limit(&arm, "none"));
}

/* Every entry of the table is filled at every level, and the level is told. */
static void test_table(void **state) {
    (void)state;
    static const char *const names[] = {"none", "avx2", "avx512", "auto"};
    for (size_t i = 0; i < 4; i++) {
        stapes__cpu cpu;
        stapes__cpu_detect(&cpu);
        if (!stapes__cpu_limit(&cpu, names[i]))
            continue;
        stapes__ops ops;
        stapes__ops_cpu(&ops, &cpu, NULL);
        assert_non_null(ops.pack);
        assert_non_null(ops.weight_free);
        assert_non_null(ops.weight_bytes);
        assert_non_null(ops.linear);
        assert_non_null(ops.layer_norm);
        assert_non_null(ops.rel_attention);
        assert_non_null(ops.conv_module);
        assert_non_null(ops.conv2d_first);
        assert_non_null(ops.conv2d_depthwise);
        assert_non_null(ops.lstm_cell);
        assert_non_null(ops.add_relu);
        assert_int_equal(ops.isa, cpu.isa == STAPES__ISA_NEON ? STAPES__ISA_C : cpu.isa);
        assert_string_equal(ops.name, stapes__isa_name(ops.isa));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_detect), cmocka_unit_test(test_limit),
                                       cmocka_unit_test(test_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
