/* The seven measures against the definitions spelled out once more, and at their limits. */
#include <math.h>
#include <stdlib.h>

#include "support.h"

#include "text/confidence.h"

enum { METHODS = 7, SIZE = 1025 };

/* The table of the specification, term by term in the plain order, powers by pow(). */
static double reference(stapes__confidence method, double alpha, const float *logits, int n) {
    double total = 0, a = 0, b = 0, g = 0, top = 0, v = n;
    for (int i = 0; i < n; i++)
        total += exp((double)logits[i]);
    for (int i = 0; i < n; i++) {
        double p = exp((double)logits[i]) / total, x = log(p);
        a += pow(p, alpha);
        b += pow(p, alpha) * x;
        g += p * x;
        top = fmax(top, p);
    }
    if (method == STAPES__CONFIDENCE_MAX_PROB)
        return alpha == 1 ? (top * v - 1) / (v - 1)
                          : (pow(top, alpha) * pow(v, alpha) - 1) / (pow(v, alpha) - 1);
    bool linear = method == STAPES__CONFIDENCE_GIBBS_LIN ||
                  method == STAPES__CONFIDENCE_TSALLIS_LIN ||
                  method == STAPES__CONFIDENCE_RENYI_LIN;
    if (alpha == 1)
        return linear ? 1 + g / log(v) : (exp(g) * v - 1) / (v - 1);
    double w = pow(v, 1 - alpha), zero;
    switch (method) {
    case STAPES__CONFIDENCE_GIBBS_LIN:
        return 1 + b / (log(v) * w);
    case STAPES__CONFIDENCE_GIBBS_EXP:
        zero = pow(v, -alpha * w);
        return (exp(alpha * b) - zero) / (1 - zero);
    case STAPES__CONFIDENCE_TSALLIS_LIN:
        return 1 + (1 - a) / (w - 1);
    case STAPES__CONFIDENCE_TSALLIS_EXP:
        zero = exp((1 - w) / (1 - alpha));
        return (exp((1 - a) / (1 - alpha)) - zero) / (1 - zero);
    case STAPES__CONFIDENCE_RENYI_LIN:
        return 1 + log2(a) / ((alpha - 1) * log2(v));
    default:
        return (pow(a, 1 / (alpha - 1)) * v - 1) / (v - 1);
    }
}

static void equals_the_definitions(void **state) {
    (void)state;
    static const double alphas[] = {0.25, STAPES__CONFIDENCE_ALPHA, 0.5, 1, 2};
    static const int sizes[] = {2, 5, 129, SIZE};
    float logits[SIZE];
    unsigned seed = 7;
    for (size_t s = 0; s < 4; s++)
        for (int round = 0; round < 4; round++) {
            for (int i = 0; i < sizes[s]; i++) {
                seed = seed * 1664525u + 1013904223u;
                logits[i] = (float)((double)(seed >> 8) / (1 << 24) * 6 - 3);
            }
            logits[round % sizes[s]] += (float)(4 * round);
            for (int m = 0; m < METHODS; m++)
                for (size_t a = 0; a < 5; a++) {
                    double logprob, total = 0;
                    double got = stapes__confidence_value((stapes__confidence)m, alphas[a], logits,
                                                          (size_t)sizes[s], 1, &logprob);
                    double want = reference((stapes__confidence)m, alphas[a], logits, sizes[s]);
                    want = fmin(1, fmax(0, want));
                    if (!(fabs(got - want) < 1e-10))
                        fail_msg("%s alpha %g size %d: %.12g, want %.12g",
                                 stapes__confidence_name((stapes__confidence)m), alphas[a],
                                 sizes[s], got, want);
                    for (int i = 0; i < sizes[s]; i++)
                        total += exp((double)logits[i]);
                    assert_true(fabs(logprob - (logits[1] - log(total))) < 1e-12);
                }
        }
}

static void reaches_its_limits(void **state) {
    (void)state;
    float flat[SIZE], sure[SIZE];
    for (int i = 0; i < SIZE; i++) {
        flat[i] = -3.5f;
        sure[i] = i == 17 ? 900.0f : -900.0f;
    }
    for (int m = 0; m < METHODS; m++)
        for (double alpha = STAPES__CONFIDENCE_ALPHA; alpha <= 1; alpha += 0.67) {
            stapes__confidence method = (stapes__confidence)m;
            double logprob;
            double low = stapes__confidence_value(method, alpha, flat, SIZE, 3, &logprob);
            assert_true(fabs(low) < 1e-9);
            assert_true(fabs(logprob + log(SIZE)) < 1e-9);
            double high = stapes__confidence_value(method, alpha, sure, SIZE, 17, &logprob);
            assert_true(fabs(high - 1) < 1e-9);
            assert_true(fabs(logprob) < 1e-9);
            sure[0] = -INFINITY;
            high = stapes__confidence_value(method, alpha, sure, SIZE, SIZE, &logprob);
            assert_true(fabs(high - 1) < 1e-9);
            assert_true(isinf(logprob));
            flat[0] = NAN;
            assert_true(stapes__confidence_value(method, alpha, flat, SIZE, 1, NULL) == 0);
            flat[0] = -3.5f;
        }
}

static void knows_names(void **state) {
    (void)state;
    stapes__confidence method;
    for (int m = 0; m < METHODS; m++) {
        assert_true(
            stapes__confidence_find(stapes__confidence_name((stapes__confidence)m), &method));
        assert_int_equal(method, m);
    }
    assert_true(stapes__confidence_find("tsallis", &method));
    assert_int_equal(method, STAPES__CONFIDENCE_TSALLIS_EXP);
    assert_true(stapes__confidence_find(NULL, &method));
    assert_int_equal(method, STAPES__CONFIDENCE_TSALLIS_EXP);
    assert_false(stapes__confidence_find("sure", &method));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_the_definitions),
        cmocka_unit_test(reaches_its_limits),
        cmocka_unit_test(knows_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
