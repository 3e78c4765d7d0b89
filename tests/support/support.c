#include "support.h"

#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tensor/tensor.h"

const char *vectors_path(char *buffer, size_t capacity, const char *relative) {
    snprintf(buffer, capacity, "%s/%s", STAPES_TEST_VECTORS, relative);
    return buffer;
}

static unsigned char *read_all(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s", path);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    unsigned char *data = malloc(*size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *size, file), *size);
    data[*size] = 0;
    fclose(file);
    return data;
}

vectors vectors_open(const char *folder) {
    vectors v = {0};
    char path[4096], relative[1024];
    size_t size;
    snprintf(relative, sizeof relative, "%s/case.json", folder);
    unsigned char *text = read_all(vectors_path(path, sizeof path, relative), &size);
    json_error_t error;
    v.info = json_loadb((char *)text, size, JSON_ALLOW_NUL, &error);
    if (!v.info)
        fail_msg("%s: %s", path, error.text);
    free(text);
    snprintf(relative, sizeof relative, "%s/tensors.safetensors", folder);
    vectors_path(path, sizeof path, relative);
    if (access(path, R_OK) != 0)
        return v;
    v.data = read_all(path, &v.size);
    uint64_t length = 0;
    memcpy(&length, v.data, 8);
    assert_true(length + 8 <= v.size);
    v.header = json_loadb((char *)v.data + 8, length, 0, &error);
    if (!v.header)
        fail_msg("%s: %s", path, error.text);
    v.base = 8 + (size_t)length;
    return v;
}

void vectors_close(vectors *v) {
    json_decref(v->info);
    json_decref(v->header);
    free(v->data);
    memset(v, 0, sizeof *v);
}

double *vectors_get(const vectors *v, const char *name, int64_t shape[8], int *n_dims,
                    size_t *count) {
    json_t *entry = json_object_get(v->header, name);
    if (!entry)
        fail_msg("no vector named %s", name);
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    json_t *dims = json_object_get(entry, "shape");
    size_t n = 1;
    for (size_t i = 0; i < json_array_size(dims); i++) {
        int64_t d = json_integer_value(json_array_get(dims, i));
        if (shape)
            shape[i] = d;
        n *= (size_t)d;
    }
    if (n_dims)
        *n_dims = (int)json_array_size(dims);
    size_t at =
        (size_t)json_integer_value(json_array_get(json_object_get(entry, "data_offsets"), 0));
    const unsigned char *bytes = v->data + v->base + at;
    double *out = malloc((n ? n : 1) * sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < n; i++) {
        float f;
        int64_t l;
        int32_t w;
        if (strcmp(dtype, "F64") == 0) {
            memcpy(&out[i], bytes + 8 * i, 8);
        } else if (strcmp(dtype, "F32") == 0) {
            memcpy(&f, bytes + 4 * i, 4);
            out[i] = f;
        } else if (strcmp(dtype, "I64") == 0) {
            memcpy(&l, bytes + 8 * i, 8);
            out[i] = (double)l;
        } else if (strcmp(dtype, "I32") == 0) {
            memcpy(&w, bytes + 4 * i, 4);
            out[i] = w;
        } else {
            fail_msg("%s: dtype %s", name, dtype);
        }
    }
    if (count)
        *count = n;
    return out;
}

float *vectors_get_f32(const vectors *v, const char *name, int64_t shape[8], int *n_dims,
                       size_t *count) {
    size_t n;
    double *wide = vectors_get(v, name, shape, n_dims, &n);
    float *out = malloc((n ? n : 1) * sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < n; i++)
        out[i] = (float)wide[i];
    free(wide);
    if (count)
        *count = n;
    return out;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void assert_close(const char *what, const float *got, const double *want, size_t count, double max,
                  double p95) {
    double worst = 0;
    size_t where = 0;
    double *errors = malloc((count ? count : 1) * sizeof *errors);
    assert_non_null(errors);
    for (size_t i = 0; i < count; i++) {
        double e = fabs((double)got[i] - want[i]);
        errors[i] = e;
        if (!(e <= worst)) {
            worst = e;
            where = i;
        }
    }
    qsort(errors, count, sizeof *errors, compare_doubles);
    double at95 = count ? errors[(size_t)(0.95 * (double)(count - 1))] : 0;
    free(errors);
    print_message("%-44s max %.2e (limit %.0e)  p95 %.2e\n", what, worst, max, at95);
    if (!(worst <= max))
        fail_msg("%s: largest error %.3e over %.1e at element %zu (got %.9g, want %.9g)", what,
                 worst, max, where, got[where], want[where]);
    if (p95 > 0 && !(at95 <= p95))
        fail_msg("%s: 95th percentile %.3e over %.1e", what, at95, p95);
}

char *temp_dir(void) {
    const char *base = getenv("TMPDIR");
    char path[4096];
    snprintf(path, sizeof path, "%s/stapes-test-XXXXXX", base && *base ? base : "/tmp");
    assert_non_null(mkdtemp(path));
    return strdup(path);
}

static int remove_one(const char *path, const struct stat *status, int flag, struct FTW *ftw) {
    (void)status;
    (void)flag;
    (void)ftw;
    return remove(path);
}

void temp_dir_remove(char *path) {
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(path);
}

void support_assert_ok(stapes_status status, const stapes_error *err, const char *file, int line) {
    if (status != STAPES_OK) {
        print_error("%s:%d: %s: %s\n", file, line, stapes_status_name(status), err->message);
        fail();
    }
}
