/* Relative attention: masks, ragged batches, caches, long and tiny inputs. */
#include "compute/cpu/attention.h"
#include "kernel_support.h"

typedef struct setting {
    size_t heads, head_dim;
    stapes__attention_mask mask;
    float size; /* of q and k */
} setting;

typedef struct problem {
    stapes__rel_attention a;
    guarded q, k, v, u, w, positions;
    size_t rows; /* of the output */
} problem;

static problem problem_new(const setting *s, const stapes__attention_span *spans, size_t n_spans) {
    problem p = {.rows = 0};
    size_t keys = 0, longest = 1, width = s->heads * s->head_dim;
    for (size_t i = 0; i < n_spans; i++) {
        size_t q_end = spans[i].q_first + spans[i].q_count;
        size_t k_end = spans[i].k_first + spans[i].k_count;
        size_t reach = spans[i].q_offset + spans[i].q_count;
        p.rows = q_end > p.rows ? q_end : p.rows;
        keys = k_end > keys ? k_end : keys;
        longest = reach > longest ? reach : longest;
        longest = spans[i].k_count > longest ? spans[i].k_count : longest;
    }
    size_t n_positions = 2 * longest - 1, zero = longest - 1;
    if (s->mask.chunk == 0 && s->mask.left >= 0 && s->mask.right >= 0) { /* the band's table */
        n_positions = (size_t)(s->mask.left + s->mask.right + 1);
        zero = (size_t)s->mask.left;
    }
    p.q = guarded_random(p.rows * (width + 3), 1, s->size);
    p.k = guarded_random(keys * (width + 5), 2, s->size);
    p.v = guarded_random(keys * (width + 1), 3, 1.0f);
    p.u = guarded_random(width, 4, 1.0f);
    p.w = guarded_random(width, 5, 1.0f);
    p.positions = guarded_random(width * n_positions, 6, 1.0f);
    p.a = (stapes__rel_attention){.q = p.q.data,
                                  .k = p.k.data,
                                  .v = p.v.data,
                                  .ldq = width + 3,
                                  .ldk = width + 5,
                                  .ldv = width + 1,
                                  .ldo = width + 2,
                                  .n_heads = s->heads,
                                  .head_dim = s->head_dim,
                                  .bias_u = p.u.data,
                                  .bias_w = p.w.data,
                                  .positions = p.positions.data,
                                  .n_positions = n_positions,
                                  .position_zero = zero,
                                  .scale = 1.0f / sqrtf((float)s->head_dim),
                                  .spans = spans,
                                  .n_spans = n_spans,
                                  .mask = s->mask};
    return p;
}

static void problem_free(problem *p) {
    guarded_free(&p->q);
    guarded_free(&p->k);
    guarded_free(&p->v);
    guarded_free(&p->u);
    guarded_free(&p->w);
    guarded_free(&p->positions);
}

static guarded run(const stapes__ops *ops, problem *p, stapes__arena *arena) {
    guarded out =
        guarded_new(p->rows ? (p->rows - 1) * p->a.ldo + p->a.n_heads * p->a.head_dim : 0);
    memset(out.data, 0, out.count * sizeof(float));
    p->a.out = out.data;
    assert_true(ops->rel_attention(ops, &p->a, arena));
    stapes__arena_reset(arena);
    return out;
}

static void check(const variant_set *v, const setting *s, const stapes__attention_span *spans,
                  size_t n_spans) {
    problem p = problem_new(s, spans, n_spans);
    guarded want = run(&v->c, &p, v->arena), same = run(&v->c_pair, &p, v->arena);
    assert_same_bits("plain C, two threads", same.data, want.data, want.count);
    guarded_free(&same);
    for (size_t i = 0; i < v->count; i++) {
        guarded y = run(&v->alone[i], &p, v->arena), pair = run(&v->pair[i], &p, v->arena);
        assert_near(v->alone[i].name, y.data, want.data, y.count, 2e-6f * (1.0f + s->size));
        assert_same_bits("two threads", pair.data, y.data, y.count);
        for (size_t span = 0; span < n_spans; span++) { /* each span alone */
            p.a.spans = spans + span;
            p.a.n_spans = 1;
            guarded one = run(&v->alone[i], &p, v->arena);
            for (size_t r = 0; r < spans[span].q_count; r++) {
                size_t at = (spans[span].q_first + r) * p.a.ldo;
                assert_same_bits("span alone", one.data + at, y.data + at, s->heads * s->head_dim);
            }
            guarded_free(&one);
        }
        for (size_t r = 0; r < spans[0].q_count; r += 3) { /* queries alone */
            stapes__attention_span single = spans[0];
            single.q_first += r;
            single.q_offset += r;
            single.q_count = 1;
            p.a.spans = &single;
            p.a.n_spans = 1;
            guarded one = run(&v->alone[i], &p, v->arena);
            size_t at = single.q_first * p.a.ldo;
            assert_same_bits("query alone", one.data + at, y.data + at, s->heads * s->head_dim);
            guarded_free(&one);
        }
        p.a.spans = spans;
        p.a.n_spans = n_spans;
        guarded_free(&y);
        guarded_free(&pair);
    }
    guarded_free(&want);
    problem_free(&p);
}

static const stapes__attention_mask full = {-1, -1, 0};

static void test_widths(void **state) {
    (void)state;
    variant_set v = variants_open();
    static const size_t dims[] = {1, 5, 16, 20, 32, 48, 64, 100, 128, 300};
    stapes__attention_span spans[] = {
        {0, 37, 0, 37, 0, 0}, {37, 1, 37, 1, 0, 0}, {38, 0, 38, 0, 0, 0}, {38, 16, 38, 16, 0, 0}};
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++)
        check(&v, &(setting){3, dims[i], full, 1.0f}, spans, 4);
    variants_close(&v);
}

static void test_masks(void **state) {
    (void)state;
    variant_set v = variants_open();
    static const stapes__attention_mask masks[] = {{-1, -1, 0}, {5, 3, 0},   {0, 0, 0},  {40, 0, 0},
                                                   {-1, 2, 0},  {3, -1, 0},  {12, 0, 4}, {-1, 0, 7},
                                                   {0, 0, 1},   {70, 13, 14}};
    stapes__attention_span spans[] = {{0, 90, 0, 90, 0, 0}, {90, 3, 90, 3, 0, 0}};
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++)
        check(&v, &(setting){2, 24, masks[i], 2.0f}, spans, 2);
    variants_close(&v);
}

/* Streaming: keys before the queries, part of them not yet filled. */
static void test_caches(void **state) {
    (void)state;
    variant_set v = variants_open();
    stapes__attention_span spans[] = {{0, 7, 0, 77, 70, 0},
                                      {7, 7, 77, 77, 70, 63},
                                      {14, 1, 154, 71, 70, 70},
                                      {15, 2, 225, 72, 70, 71},
                                      {17, 14, 297, 84, 70, 69}};
    static const stapes__attention_mask masks[] = {{-1, -1, 0}, {70, 0, 0}, {70, 6, 7}, {2, 0, 0}};
    for (size_t i = 0; i < 4; i++)
        check(&v, &(setting){4, 64, masks[i], 1.0f}, spans, 5);
    variants_close(&v);
}

/* Unfilled cache rows may hold anything. */
static void test_skipped_keys(void **state) {
    (void)state;
    variant_set v = variants_open();
    stapes__attention_span span = {0, 5, 0, 45, 40, 33};
    setting s = {2, 20, full, 1.0f};
    problem p = problem_new(&s, &span, 1);
    const stapes__ops *all[] = {&v.c, &v.alone[0], &v.alone[1]};
    for (size_t i = 0; i < 1 + v.count; i++) {
        guarded before = run(all[i], &p, v.arena);
        for (size_t j = 0; j < 33 * p.a.ldk; j++)
            p.k.data[j] = NAN;
        for (size_t j = 0; j < 33 * p.a.ldv; j++)
            p.v.data[j] = NAN;
        guarded after = run(all[i], &p, v.arena);
        assert_same_bits("skipped keys", after.data, before.data, before.count);
        guarded_free(&before);
        guarded_free(&after);
    }
    problem_free(&p);
    variants_close(&v);
}

/* No key at all gives zeros, also between queries that see some. */
static void test_blind_queries(void **state) {
    (void)state;
    variant_set v = variants_open();
    stapes__attention_span span = {0, 20, 0, 60, 40, 50};
    setting s = {2, 16, {3, 0, 0}, 1.0f};
    problem p = problem_new(&s, &span, 1);
    const stapes__ops *all[] = {&v.c, &v.alone[0], &v.alone[1]};
    for (size_t i = 0; i < 1 + v.count; i++) {
        guarded y = run(all[i], &p, v.arena);
        for (size_t r = 0; r < 20; r++)
            for (size_t c = 0; c < 32; c++)
                assert_true((y.data[r * p.a.ldo + c] == 0.0f) == (r < 10));
        guarded_free(&y);
    }
    problem_free(&p);
    check(&v, &s, &span, 1);
    variants_close(&v);
}

/* Scores of several hundred: all weight on one key, no overflow. */
static void test_extremes(void **state) {
    (void)state;
    variant_set v = variants_open();
    stapes__attention_span span = {0, 40, 0, 40, 0, 0};
    setting s = {2, 64, full, 60.0f};
    problem p = problem_new(&s, &span, 1);
    guarded want = run(&v.c, &p, v.arena);
    for (size_t i = 0; i < v.count; i++) {
        guarded y = run(&v.alone[i], &p, v.arena);
        assert_near(v.alone[i].name, y.data, want.data, y.count, 2e-3f);
        guarded_free(&y);
    }
    guarded_free(&want);
    problem_free(&p);
    variants_close(&v);
}

/* Several blocks of keys, and several groups of units. */
static void test_long(void **state) {
    (void)state;
    variant_set v = variants_open();
    stapes__attention_span spans[] = {{0, 700, 0, 700, 0, 0}, {700, 50, 700, 50, 0, 0}};
    check(&v, &(setting){1, 32, full, 1.0f}, spans, 2);
    check(&v, &(setting){1, 32, {300, 100, 0}, 1.0f}, spans, 2);
    stapes__attention_span many = {0, 1400, 0, 1400, 0, 0};
    setting s = {12, 128, {64, 64, 0}, 1.0f};
    problem p = problem_new(&s, &many, 1);
    guarded want = run(&v.c_pair, &p, v.arena);
    for (size_t i = 0; i < v.count; i++) {
        guarded y = run(&v.pair[i], &p, v.arena);
        assert_near(v.pair[i].name, y.data, want.data, y.count, 4e-6f);
        guarded_free(&y);
    }
    guarded_free(&want);
    problem_free(&p);
    variants_close(&v);
}

static void test_visible(void **state) {
    (void)state;
    stapes__attention_span span = {0, 100, 0, 100, 0, 0};
    stapes__attention_mask mask = {70, 13, 14};
    size_t low, high;
    stapes__attention_visible(&mask, &span, 13, &low, &high);
    assert_int_equal(low, 0);
    assert_int_equal(high, 14);
    stapes__attention_visible(&mask, &span, 14, &low, &high);
    assert_int_equal(low, 0);
    assert_int_equal(high, 28);
    stapes__attention_visible(&mask, &span, 99, &low, &high);
    assert_int_equal(low, 28);
    assert_int_equal(high, 100);
    span.k_skip = 100;
    stapes__attention_visible(&mask, &span, 3, &low, &high);
    assert_int_equal(low, high);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_visible),      cmocka_unit_test(test_widths),
        cmocka_unit_test(test_masks),        cmocka_unit_test(test_caches),
        cmocka_unit_test(test_skipped_keys), cmocka_unit_test(test_blind_queries),
        cmocka_unit_test(test_extremes),     cmocka_unit_test(test_long)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
