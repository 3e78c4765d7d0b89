/* Shared by the tests: vectors, comparison of tensors, temporary folders. */
#ifndef STAPES_TEST_SUPPORT_H
#define STAPES_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "stapes/status.h"

/* A small reader of its own for tests/vectors/<folder>/tensors.safetensors, so that vectors do not
 * depend on the code under test. Aborts the test when something is missing. */
typedef struct vectors {
    json_t *info; /* case.json */
    json_t *header;
    unsigned char *data;
    size_t base, size;
} vectors;

vectors vectors_open(const char *folder);
void vectors_close(vectors *v);
/* A tensor as doubles; shape filled up to 8 dimensions; count = elements. free() the result. */
double *vectors_get(const vectors *v, const char *name, int64_t shape[8], int *n_dims,
                    size_t *count);
float *vectors_get_f32(const vectors *v, const char *name, int64_t shape[8], int *n_dims,
                       size_t *count);

/* Path below tests/vectors; static buffer of the caller's. */
const char *vectors_path(char *buffer, size_t capacity, const char *relative);

/* Fails the test when the largest difference exceeds `max` or the 95th percentile exceeds `p95`
 * (0 = not checked); names the place. */
void assert_close(const char *what, const float *got, const double *want, size_t count, double max,
                  double p95);

/* A fresh empty folder below $TMPDIR, removed by temp_dir_remove. free() the name. */
char *temp_dir(void);
void temp_dir_remove(char *path);

/* Fails with the report's text when status is not STAPES_OK. */
#define assert_ok(status, err) support_assert_ok((status), &(err), __FILE__, __LINE__)
void support_assert_ok(stapes_status status, const stapes_error *err, const char *file, int line);

#endif
