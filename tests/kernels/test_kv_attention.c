/* Plain attention over kept keys and values: causal and full, ragged groups, keys named by an
 * index, cached against uncached, probabilities. */
#include "compute/cpu/kv_attention.h"
#include "kernel_support.h"

typedef struct problem {
    stapes__attention a;
    guarded q, k, v;
    size_t rows; /* of the output */
    size_t keys, width;
} problem;

static problem problem_new(size_t heads, size_t head_dim, float size, size_t keys,
                           const stapes__attention_group *groups, size_t n_groups) {
    problem p = {.keys = keys, .width = heads * head_dim};
    for (size_t i = 0; i < n_groups; i++)
        if (groups[i].q_first + groups[i].q_count > p.rows)
            p.rows = groups[i].q_first + groups[i].q_count;
    p.q = guarded_random(p.rows * (p.width + 3), 1, size);
    p.k = guarded_random(keys * (p.width + 5), 2, size);
    p.v = guarded_random(keys * (p.width + 1), 3, 1.0f);
    p.a = (stapes__attention){.q = p.q.data,
                              .ldq = p.width + 3,
                              .ldo = p.width + 2,
                              .scale = 1.0f / sqrtf((float)head_dim),
                              .groups = groups,
                              .n_groups = n_groups};
    return p;
}

static void problem_free(problem *p) {
    guarded_free(&p->q);
    guarded_free(&p->k);
    guarded_free(&p->v);
}

/* A kv of exactly the size that the table asks for, row i at slots[i] or i; the rest NaN. */
static stapes__kv kv_new(const stapes__ops *ops, const problem *p, size_t heads, size_t rows,
                         const uint32_t *slots) {
    stapes__kv kv = {.rows = rows, .n_heads = heads, .head_dim = p->width / heads};
    size_t floats = ops->kv_floats(rows, heads, kv.head_dim);
    kv.data = stapes__alloc_aligned(floats * sizeof(float));
    assert_non_null(kv.data);
    for (size_t i = 0; i < floats; i++)
        kv.data[i] = NAN;
    ops->kv_put(ops, &kv, 0, slots, p->keys, p->k.data, p->width + 5, p->v.data, p->width + 1);
    float *k = malloc(p->width * sizeof *k), *v = malloc(p->width * sizeof *v);
    for (size_t i = 0; i < p->keys; i++) {
        ops->kv_get(&kv, slots ? slots[i] : i, k, v);
        assert_same_bits("key", k, p->k.data + i * (p->width + 5), p->width);
        assert_same_bits("value", v, p->v.data + i * (p->width + 1), p->width);
    }
    free(k);
    free(v);
    return kv;
}

static guarded run(const stapes__ops *ops, problem *p, const stapes__kv *kv,
                   const stapes__attention_group *groups, size_t n_groups, stapes__arena *arena) {
    guarded out = guarded_new(p->rows ? (p->rows - 1) * p->a.ldo + p->width : 0);
    memset(out.data, 0, out.count * sizeof(float));
    stapes__attention a = p->a;
    a.out = out.data;
    a.kv = kv;
    a.groups = groups;
    a.n_groups = n_groups;
    assert_true(ops->attention(ops, &a, arena));
    stapes__arena_reset(arena);
    return out;
}

/* Every query by itself, with a causal one's keys cut to those it sees, has the same bits. */
static void check_alone(const stapes__ops *ops, problem *p, const stapes__kv *kv, const float *want,
                        stapes__arena *arena) {
    for (size_t g = 0; g < p->a.n_groups; g++) {
        for (size_t r = 0; r < p->a.groups[g].q_count; r += r < 3 ? 1 : 5) {
            stapes__attention_group single = p->a.groups[g];
            single.q_first += r;
            single.q_count = 1;
            single.q_offset += r;
            if (single.causal)
                single.k_count = single.q_offset + 1;
            guarded one = run(ops, p, kv, &single, 1, arena);
            assert_same_bits("query alone", one.data + single.q_first * p->a.ldo,
                             want + single.q_first * p->a.ldo, p->width);
            guarded_free(&one);
        }
    }
}

/* The same keys in other places of a larger kv, named by an index: the same bits. */
static void check_scattered(const stapes__ops *ops, problem *p, size_t heads, const float *want,
                            stapes__arena *arena) {
    size_t rows = p->keys + 37;
    uint32_t *slots = malloc(p->keys * sizeof *slots);
    for (size_t i = 0; i < p->keys; i++) /* 7 is prime to the row counts used here */
        slots[i] = (uint32_t)((i * 7 + 5) % rows);
    stapes__kv kv = kv_new(ops, p, heads, rows, slots);
    stapes__attention_group *groups = malloc(p->a.n_groups * sizeof *groups);
    for (size_t g = 0; g < p->a.n_groups; g++) {
        groups[g] = p->a.groups[g];
        groups[g].rows = slots + groups[g].k_first;
    }
    guarded out = run(ops, p, &kv, groups, p->a.n_groups, arena);
    assert_same_bits("keys by index", out.data, want, out.count);
    guarded_free(&out);
    free(groups);
    free(slots);
    stapes__free_aligned(kv.data);
}

static void check(const variant_set *v, size_t heads, size_t head_dim, float size, size_t keys,
                  const stapes__attention_group *groups, size_t n_groups) {
    problem p = problem_new(heads, head_dim, size, keys, groups, n_groups);
    stapes__kv reference = kv_new(&v->c, &p, heads, keys, NULL);
    guarded want = run(&v->c, &p, &reference, groups, n_groups, v->arena);
    guarded same = run(&v->c_pair, &p, &reference, groups, n_groups, v->arena);
    assert_same_bits("plain C, two threads", same.data, want.data, want.count);
    check_alone(&v->c, &p, &reference, want.data, v->arena);
    check_scattered(&v->c, &p, heads, want.data, v->arena);
    for (size_t i = 0; i < v->count; i++) {
        stapes__kv kv = kv_new(&v->pair[i], &p, heads, keys, NULL);
        guarded y = run(&v->alone[i], &p, &kv, groups, n_groups, v->arena);
        guarded pair = run(&v->pair[i], &p, &kv, groups, n_groups, v->arena);
        assert_near(v->alone[i].name, y.data, want.data, y.count, 2e-6f * (1.0f + size));
        assert_same_bits("two threads", pair.data, y.data, y.count);
        check_alone(&v->alone[i], &p, &kv, y.data, v->arena);
        check_scattered(&v->alone[i], &p, heads, y.data, v->arena);
        guarded_free(&y);
        guarded_free(&pair);
        stapes__free_aligned(kv.data);
    }
    guarded_free(&same);
    guarded_free(&want);
    stapes__free_aligned(reference.data);
    problem_free(&p);
}

static void test_full(void **state) {
    (void)state;
    variant_set v = variants_open();
    const stapes__attention_group small[] = {{.q_count = 1, .k_count = 1}};
    const stapes__attention_group ragged[] = {
        {.q_first = 0, .q_count = 3, .k_first = 0, .k_count = 19},
        {.q_first = 3, .q_count = 29, .k_first = 19, .k_count = 31},
        {.q_first = 32, .q_count = 0, .k_first = 50, .k_count = 1},
        {.q_first = 32, .q_count = 1, .k_first = 50, .k_count = 300}};
    check(&v, 1, 64, 1.0f, 1, small, 1);
    check(&v, 2, 24, 1.0f, 350, ragged, 4);
    check(&v, 3, 64, 2.0f, 350, ragged, 4);
    check(&v, 1, 7, 1.0f, 350, ragged, 4);
    variants_close(&v);
}

static void test_long(void **state) {
    (void)state;
    variant_set v = variants_open();
    const stapes__attention_group window[] = {{.q_count = 40, .k_count = 1500}};
    check(&v, 6, 64, 2.0f, 1500, window, 1);
    variants_close(&v);
}

static void test_causal(void **state) {
    (void)state;
    variant_set v = variants_open();
    const stapes__attention_group whole[] = {{.q_count = 300, .k_count = 300, .causal = true}};
    const stapes__attention_group cached[] = {
        {.q_first = 0, .q_count = 5, .k_count = 261, .causal = true, .q_offset = 256},
        {.q_first = 5, .q_count = 1, .k_count = 300, .causal = true, .q_offset = 299},
        {.q_first = 6, .q_count = 20, .k_first = 3, .k_count = 50, .causal = true, .q_offset = 30}};
    check(&v, 2, 64, 1.0f, 300, whole, 1);
    check(&v, 2, 24, 3.0f, 300, cached, 3);
    variants_close(&v);
}

/* Hypotheses that share their first keys and differ in the last, several queries each. */
static void test_shared(void **state) {
    (void)state;
    variant_set v = variants_open();
    uint32_t rows[3][9];
    stapes__attention_group groups[3];
    for (uint32_t h = 0; h < 3; h++) {
        for (uint32_t j = 0; j < 9; j++)
            rows[h][j] = j < 6 ? 10 - j : 11 + 3 * (j - 6) + h;
        groups[h] = (stapes__attention_group){.q_first = 2 * (size_t)h,
                                              .q_count = 2,
                                              .k_count = 9,
                                              .rows = rows[h],
                                              .causal = true,
                                              .q_offset = 7};
    }
    for (size_t i = 0; i <= v.count; i++) {
        const stapes__ops *ops = i < v.count ? &v.alone[i] : &v.c;
        problem p = problem_new(2, 64, 1.0f, 20, groups, 3);
        stapes__kv kv = kv_new(ops, &p, 2, 20, NULL);
        guarded together = run(ops, &p, &kv, groups, 3, v.arena);
        check_alone(ops, &p, &kv, together.data, v.arena);
        guarded_free(&together);
        stapes__free_aligned(kv.data);
        problem_free(&p);
    }
    variants_close(&v);
}

static void test_probabilities(void **state) {
    (void)state;
    variant_set v = variants_open();
    enum { HEADS = 3, QUERIES = 17, KEYS = 40, D = 32 };
    float *first = calloc(QUERIES * KEYS, sizeof(float)),
          *last = calloc(QUERIES * KEYS, sizeof(float));
    float *const blocks[HEADS] = {first, NULL, last};
    const stapes__attention_group plain[] = {
        {.q_count = QUERIES, .k_count = KEYS, .causal = true, .q_offset = KEYS - QUERIES}};
    stapes__attention_group asked[] = {plain[0]};
    asked[0].probabilities = blocks;
    for (size_t i = 0; i <= v.count; i++) {
        const stapes__ops *ops = i < v.count ? &v.pair[i] : &v.c_pair;
        problem p = problem_new(HEADS, D, 1.0f, KEYS, plain, 1);
        stapes__kv kv = kv_new(ops, &p, HEADS, KEYS, NULL);
        guarded without = run(ops, &p, &kv, plain, 1, v.arena);
        guarded with = run(ops, &p, &kv, asked, 1, v.arena);
        assert_same_bits("asking changes nothing", with.data, without.data, with.count);
        for (size_t r = 0; r < QUERIES; r++) {
            float sum = 0.0f, value = 0.0f;
            for (size_t j = 0; j < KEYS; j++) {
                if (j > KEYS - QUERIES + r)
                    assert_true(last[r * KEYS + j] == 0.0f);
                sum += first[r * KEYS + j];
                value += last[r * KEYS + j] * p.v.data[j * (p.width + 1) + 2 * D + 4];
            }
            assert_near("sum", &sum, &(float){1.0f}, 1, 1e-5f);
            assert_near("value", with.data + r * p.a.ldo + 2 * D + 4, &value, 1, 1e-5f);
        }
        guarded_free(&without);
        guarded_free(&with);
        stapes__free_aligned(kv.data);
        problem_free(&p);
    }
    free(first);
    free(last);
    variants_close(&v);
}

/* Scores of +-1e4 before the scale. */
static void test_extremes(void **state) {
    (void)state;
    variant_set v = variants_open();
    const stapes__attention_group group[] = {{.q_count = 9, .k_count = 33}};
    for (size_t i = 0; i < v.count; i++) {
        problem p = problem_new(1, 64, 60.0f, 33, group, 1);
        stapes__kv a = kv_new(&v.c, &p, 1, 33, NULL), b = kv_new(&v.alone[i], &p, 1, 33, NULL);
        guarded want = run(&v.c, &p, &a, group, 1, v.arena);
        guarded got = run(&v.alone[i], &p, &b, group, 1, v.arena);
        assert_near("extremes", got.data, want.data, got.count, 2e-3f);
        guarded_free(&want);
        guarded_free(&got);
        stapes__free_aligned(a.data);
        stapes__free_aligned(b.data);
        problem_free(&p);
    }
    variants_close(&v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full),          cmocka_unit_test(test_long),
        cmocka_unit_test(test_causal),        cmocka_unit_test(test_shared),
        cmocka_unit_test(test_probabilities), cmocka_unit_test(test_extremes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
