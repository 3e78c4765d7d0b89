#include "compute/cpu/norm.h"

#include <math.h>

#include "compute/cpu/parallel.h"

static float add_lanes(float *lanes) {
    for (size_t half = STAPES__NORM_LANES / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++)
            lanes[i] += lanes[i + half];
    return lanes[0];
}

void stapes__norm_row_c(const float *x, size_t d, const float *gain, const float *bias, float eps,
                        float *y) {
    float lanes[STAPES__NORM_LANES] = {0};
    for (size_t c = 0; c < d; c++)
        lanes[c % STAPES__NORM_LANES] += x[c];
    float mean = add_lanes(lanes) / (float)d;
    for (size_t i = 0; i < STAPES__NORM_LANES; i++)
        lanes[i] = 0.0f;
    for (size_t c = 0; c < d; c++)
        lanes[c % STAPES__NORM_LANES] += (x[c] - mean) * (x[c] - mean);
    float factor = 1.0f / sqrtf(add_lanes(lanes) / (float)d + eps);
    for (size_t c = 0; c < d; c++)
        y[c] = (x[c] - mean) * factor * gain[c] + bias[c];
}

typedef struct norm_job {
    stapes__norm_row_fn row;
    const float *x, *gain, *bias;
    float *y;
    size_t d;
    float eps;
} norm_job;

static void norm_rows(void *arg, size_t first, size_t count, int worker) {
    (void)worker;
    const norm_job *job = arg;
    for (size_t r = first; r < first + count; r++)
        job->row(job->x + r * job->d, job->d, job->gain, job->bias, job->eps, job->y + r * job->d);
}

/* Elements worth waking a thread for. */
enum { GRAIN = 32 << 10 };

void stapes__norm_run(stapes__norm_row_fn row, const stapes__ops *ops, const float *x, size_t rows,
                      size_t d, const float *gain, const float *bias, float eps, float *y) {
    norm_job job = {row, x, gain, bias, y, d, eps};
    stapes__parallel(ops->pool, rows, GRAIN / (d + 1) + 1, norm_rows, &job);
}

static void layer_norm_c(const stapes__ops *ops, const float *x, size_t rows, size_t d,
                         const float *gain, const float *bias, float eps, float *y) {
    stapes__norm_run(stapes__norm_row_c, ops, x, rows, d, gain, bias, eps, y);
}

void stapes__norm_init_c(stapes__ops *ops) {
    ops->layer_norm = layer_norm_c;
}
