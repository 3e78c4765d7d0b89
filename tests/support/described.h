/* Tensors of a container against their description in a case.json: name, dtype, shape, sum and sum
 * of magnitudes of the values as floats. */
#ifndef STAPES_TEST_DESCRIBED_H
#define STAPES_TEST_DESCRIBED_H

#include <math.h>
#include <stdlib.h>

#include "support.h"
#include "weights/container.h"

/* `dtype`: the name wanted; NULL = the description's. Fails the test. */
static inline void described_check(const stapes__container *c, const json_t *want,
                                   const char *dtype) {
    const char *name = json_string_value(json_object_get(want, "name"));
    const stapes__tensor *t = stapes__container_find(c, name);
    if (!t)
        fail_msg("%s is missing", name);
    const json_t *shape = json_object_get(want, "shape");
    if (!dtype)
        dtype = json_string_value(json_object_get(want, "dtype"));
    assert_string_equal(stapes__dtype_name(t->dtype), dtype);
    assert_int_equal(t->n_dims, json_array_size(shape));
    for (int i = 0; i < t->n_dims; i++)
        assert_int_equal(t->shape[i], json_integer_value(json_array_get(shape, (size_t)i)));
    size_t count;
    assert_true(stapes__shape_elements(t->n_dims, t->shape, &count));
    float *values = calloc(count, sizeof *values);
    assert_non_null(values);
    stapes__to_f32(t, 0, count, values);
    double sum = 0, sum_abs = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)values[i];
        sum_abs += fabs((double)values[i]);
    }
    free(values);
    double want_abs = json_real_value(json_object_get(want, "sum_abs"));
    if (fabs(sum - json_real_value(json_object_get(want, "sum"))) > 1e-7 * want_abs ||
        fabs(sum_abs - want_abs) > 1e-7 * want_abs)
        fail_msg("%s: sums %.9g and %.9g", name, sum, sum_abs);
}

#endif
