#include "text/confidence.h"

#include <math.h>
#include <string.h>

static const char *const NAMES[] = {"max_prob",
                                    "entropy_gibbs_lin",
                                    "entropy_gibbs_exp",
                                    "entropy_tsallis_lin",
                                    "entropy_tsallis_exp",
                                    "entropy_renyi_lin",
                                    "entropy_renyi_exp"};
enum { METHODS = sizeof NAMES / sizeof *NAMES };

bool stapes__confidence_find(const char *name, stapes__confidence *method) {
    static const struct {
        const char *name;
        stapes__confidence method;
    } aliases[] = {
        {"", STAPES__CONFIDENCE_TSALLIS_EXP},        {"auto", STAPES__CONFIDENCE_TSALLIS_EXP},
        {"tsallis", STAPES__CONFIDENCE_TSALLIS_EXP}, {"renyi", STAPES__CONFIDENCE_RENYI_EXP},
        {"entropy", STAPES__CONFIDENCE_GIBBS_EXP},   {"gibbs", STAPES__CONFIDENCE_GIBBS_EXP},
    };
    if (!name)
        name = "";
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (strcmp(name, aliases[i].name) == 0) {
            *method = aliases[i].method;
            return true;
        }
    for (int i = 0; i < METHODS; i++)
        if (strcmp(name, NAMES[i]) == 0) {
            *method = (stapes__confidence)i;
            return true;
        }
    return false;
}

const char *stapes__confidence_name(stapes__confidence method) {
    return NAMES[method];
}

const char *stapes__confidence_list(void) {
    return "max_prob, tsallis, renyi, entropy, entropy_gibbs_lin, entropy_gibbs_exp, "
           "entropy_tsallis_lin, entropy_tsallis_exp, entropy_renyi_lin, entropy_renyi_exp";
}

/* What the formulas need of x = log-softmax(logits), v values. */
typedef struct sums {
    double v, log_v;
    double highest; /* max x */
    double a, b;    /* sum of exp(alpha x), of exp(alpha x) x */
} sums;

static double log_sum_exp(const float *logits, size_t count, double *highest) {
    double max = -INFINITY, sum = 0;
    for (size_t i = 0; i < count; i++)
        if (logits[i] > max)
            max = logits[i];
    for (size_t i = 0; i < count; i++)
        sum += exp(logits[i] - max);
    *highest = max;
    return max + log(sum);
}

/* Exponent 1: Shannon's entropy, for every method but max_prob. */
static double shannon(stapes__confidence method, const sums *s) {
    bool linear = method == STAPES__CONFIDENCE_GIBBS_LIN ||
                  method == STAPES__CONFIDENCE_TSALLIS_LIN ||
                  method == STAPES__CONFIDENCE_RENYI_LIN;
    return linear ? 1 + s->b / s->log_v : (exp(s->b) * s->v - 1) / (s->v - 1);
}

static double formula(stapes__confidence method, double alpha, const sums *s) {
    double v = s->v, rest = 1 - alpha, power = exp(rest * s->log_v), zero;
    switch (method) {
    case STAPES__CONFIDENCE_MAX_PROB:
        power = exp(alpha * s->log_v);
        return (exp(alpha * s->highest) * power - 1) / (power - 1);
    case STAPES__CONFIDENCE_GIBBS_LIN:
        return 1 + s->b / (s->log_v * power);
    case STAPES__CONFIDENCE_GIBBS_EXP:
        zero = exp(-alpha * power * s->log_v);
        return (exp(alpha * s->b) - zero) / (1 - zero);
    case STAPES__CONFIDENCE_TSALLIS_LIN:
        return 1 + (1 - s->a) / (power - 1);
    case STAPES__CONFIDENCE_TSALLIS_EXP:
        zero = exp((1 - power) / rest);
        return (exp((1 - s->a) / rest) - zero) / (1 - zero);
    case STAPES__CONFIDENCE_RENYI_LIN:
        return 1 - log(s->a) / (rest * s->log_v);
    case STAPES__CONFIDENCE_RENYI_EXP:
        return (exp(-log(s->a) / rest) * v - 1) / (v - 1);
    }
    return 0;
}

double stapes__confidence_value(stapes__confidence method, double alpha, const float *logits,
                                size_t count, int32_t token, double *logprob) {
    double highest, total = log_sum_exp(logits, count, &highest);
    if (logprob)
        *logprob = token >= 0 && (size_t)token < count ? logits[token] - total : -INFINITY;
    if (count < 2 || !isfinite(total))
        return count == 1 && isfinite(total) ? 1 : 0;
    sums s = {.v = (double)count, .log_v = log((double)count), .highest = highest - total};
    if (method != STAPES__CONFIDENCE_MAX_PROB)
        for (size_t i = 0; i < count; i++) {
            double x = logits[i] - total, e = exp(alpha * x);
            s.a += e;
            if (e > 0) /* a score of -inf adds nothing */
                s.b += e * x;
        }
    double value = method != STAPES__CONFIDENCE_MAX_PROB && alpha == 1 ? shannon(method, &s)
                                                                       : formula(method, alpha, &s);
    return isnan(value) ? 0 : fmin(1, fmax(0, value));
}
