#include "compute/cpu/elementwise.h"

#include "compute/cpu/parallel.h"

typedef struct add_job {
    stapes__add_relu_row_fn row;
    const float *a, *b;
    size_t lda, ldb, n;
    float *out;
} add_job;

static void add_rows(void *arg, size_t first, size_t count, int worker) {
    (void)worker;
    const add_job *job = arg;
    for (size_t r = first; r < first + count; r++)
        job->row(job->a + r * job->lda, job->b + r * job->ldb, job->n, job->out + r * job->n);
}

/* Elements worth waking a thread for. */
enum { GRAIN = 64 << 10 };

void stapes__add_relu_run(stapes__add_relu_row_fn row, const stapes__ops *ops, const float *a,
                          size_t lda, const float *b, size_t ldb, size_t rows, size_t n,
                          float *out) {
    add_job job = {row, a, b, lda, ldb, n, out};
    stapes__parallel(ops->pool, rows, GRAIN / (n + 1) + 1, add_rows, &job);
}

static void add_relu_row_c(const float *a, const float *b, size_t n, float *out) {
    for (size_t i = 0; i < n; i++) {
        float sum = a[i] + b[i];
        out[i] = sum < 0.0f ? 0.0f : sum;
    }
}

static void add_relu_c(const stapes__ops *ops, const float *a, size_t lda, const float *b,
                       size_t ldb, size_t rows, size_t n, float *out) {
    stapes__add_relu_run(add_relu_row_c, ops, a, lda, b, ldb, rows, n, out);
}

void stapes__elementwise_init_c(stapes__ops *ops) {
    ops->add_relu = add_relu_c;
}
