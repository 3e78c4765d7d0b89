#include "audio/logmel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audio/mel_kernel.h"
#include "audio/melbank.h"
#include "base/mem.h"

#define FRAMES_PER_TASK 64

struct stapes__logmel {
    stapes__mel_plan plan;
    stapes__mel_params params;
    stapes__mel_fn kernel;
    int bins;
    float *filters;  /* [n_mels, bins] */
    double *weights; /* the same without zeros, as the kernel wants them */
};

static stapes_status take_window(stapes__logmel *mel, stapes_error *err) {
    const stapes__tensor *stored = mel->params.window;
    if (!stored) {
        int period =
            mel->params.recipe == STAPES__MEL_NEMO ? STAPES__MEL_TAPS - 1 : STAPES__MEL_TAPS;
        stapes__window_hann(STAPES__MEL_TAPS, period, mel->plan.window);
        return STAPES_OK;
    }
    if (stored->n_dims != 1 || stored->shape[0] != STAPES__MEL_TAPS) {
        char shape[96];
        stapes__shape_text(stored, shape, sizeof shape);
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED, "the window %s has shape %s, wanted [%d]",
                            stored->name ? stored->name : "of the model", shape, STAPES__MEL_TAPS);
    }
    float values[STAPES__MEL_TAPS];
    stapes__to_f32(stored, 0, STAPES__MEL_TAPS, values);
    for (int i = 0; i < STAPES__MEL_TAPS; i++) {
        if (!isfinite(values[i]))
            return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                                "the window %s has a value that is not finite at %d",
                                stored->name ? stored->name : "of the model", i);
        mel->plan.window[i] = values[i];
    }
    return STAPES_OK;
}

static stapes_status take_filters(stapes__logmel *mel, stapes_error *err) {
    const stapes__tensor *stored = mel->params.filters;
    int n_mels = mel->plan.n_mels;
    size_t total = (size_t)n_mels * (size_t)mel->bins;
    mel->filters = stapes__calloc(total, sizeof *mel->filters);
    if (!mel->filters)
        return stapes__fail_memory(err, "the mel filters");
    if (!stored) {
        stapes__melbank_slaney(n_mels, mel->plan.fft.n, mel->filters);
        return STAPES_OK;
    }
    const int64_t *shape = stored->shape;
    bool fits = stored->n_dims == 3
                    ? shape[0] == 1 && shape[1] == n_mels && shape[2] == mel->bins
                    : stored->n_dims == 2 && shape[0] == n_mels && shape[1] == mel->bins;
    const char *name = stored->name ? stored->name : "of the model";
    if (!fits) {
        char text[96];
        stapes__shape_text(stored, text, sizeof text);
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "the mel filters %s have shape %s, wanted [1, %d, %d]", name, text,
                            n_mels, mel->bins);
    }
    stapes__to_f32(stored, 0, total, mel->filters);
    for (size_t i = 0; i < total; i++)
        if (!isfinite(mel->filters[i]))
            return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                                "the mel filters %s have a value that is not finite at %zu", name,
                                i);
    return STAPES_OK;
}

/* Spans without the zeros at both ends of each filter. */
static stapes_status pack_filters(stapes__logmel *mel, stapes_error *err) {
    stapes__mel_plan *plan = &mel->plan;
    size_t bins = (size_t)mel->bins, used = 0;
    mel->weights = stapes__calloc((size_t)plan->n_mels * bins, sizeof *mel->weights);
    if (!mel->weights)
        return stapes__fail_memory(err, "the mel filters");
    for (int m = 0; m < plan->n_mels; m++) {
        const float *row = mel->filters + (size_t)m * bins;
        size_t begin = 0, end = bins;
        while (end > 0 && row[end - 1] == 0)
            end--;
        while (begin < end && row[begin] == 0)
            begin++;
        plan->first[m] = (int)begin;
        plan->length[m] = (int)(end - begin);
        for (size_t k = begin; k < end; k++)
            mel->weights[used++] = row[k];
    }
    plan->weights = mel->weights;
    return STAPES_OK;
}

stapes_status stapes__logmel_open(stapes__logmel **out, const stapes__mel_params *params,
                                  stapes_error *err) {
    *out = NULL;
    if (params->n_mels < 1 || params->n_mels > STAPES__MEL_MAX)
        return stapes__fail(err, STAPES_E_UNSUPPORTED, "%d mel bins; 1 to %d are supported",
                            params->n_mels, STAPES__MEL_MAX);
    stapes__logmel *mel = stapes__calloc(1, sizeof *mel);
    if (!mel)
        return stapes__fail_memory(err, "the log-mel front end");
    bool nemo = params->recipe == STAPES__MEL_NEMO;
    int n_fft = nemo ? 512 : 400;
    mel->params = *params;
    mel->bins = n_fft / 2 + 1;
    mel->kernel = stapes__mel_kernel_pick();
    stapes__mel_plan *plan = &mel->plan;
    stapes_status status = stapes__fft_plan_init(&plan->fft, n_fft, err);
    plan->n_mels = params->n_mels;
    plan->offset = (n_fft - STAPES__MEL_TAPS) / 2;
    plan->preemphasis = nemo ? params->preemphasis : 0;
    plan->guard = nemo ? 0x1p-24 : 0;
    plan->floor = nemo ? 0x1p-24 : 1e-10;
    plan->scale = nemo ? 1 : 0.434294481903251827651; /* 1 / ln 10 */
    plan->reflect = !nemo || params->edges == STAPES__EDGES_REFLECT_PLUS_ONE;
    if (status == STAPES_OK)
        status = take_window(mel, err);
    if (status == STAPES_OK)
        status = take_filters(mel, err);
    if (status == STAPES_OK)
        status = pack_filters(mel, err);
    mel->params.window = mel->params.filters = NULL; /* the caller's tensors may go now */
    if (status != STAPES_OK)
        stapes__logmel_close(&mel);
    *out = mel;
    return status;
}

void stapes__logmel_close(stapes__logmel **mel) {
    if (!mel || !*mel)
        return;
    stapes__fft_plan_free(&(*mel)->plan.fft);
    free((*mel)->filters);
    free((*mel)->weights);
    free(*mel);
    *mel = NULL;
}

int stapes__logmel_mels(const stapes__logmel *mel) {
    return mel->plan.n_mels;
}

const float *stapes__logmel_filters(const stapes__logmel *mel, int *bins) {
    if (bins)
        *bins = mel->bins;
    return mel->filters;
}

size_t stapes__logmel_frames(const stapes__logmel *mel, size_t samples) {
    bool one_more = mel->params.recipe == STAPES__MEL_NEMO &&
                    mel->params.edges == STAPES__EDGES_REFLECT_PLUS_ONE && samples > 0;
    return samples / STAPES__MEL_HOP + one_more;
}

typedef struct run_args {
    const stapes__logmel *mel;
    const float *samples;
    size_t count, first, n;
    float *high, *low;
} run_args;

static void run_task(void *arg, size_t index, int worker) {
    (void)worker;
    const run_args *a = arg;
    size_t begin = index * FRAMES_PER_TASK, n = a->n - begin;
    if (n > FRAMES_PER_TASK)
        n = FRAMES_PER_TASK;
    size_t at = begin * (size_t)a->mel->plan.n_mels;
    a->mel->kernel(&a->mel->plan, a->samples, a->count, a->first + begin, n, a->high + at,
                   a->low ? a->low + at : NULL);
}

static void run_frames(stapes__pool *pool, run_args *args) {
    size_t tasks = args->n / FRAMES_PER_TASK + (args->n % FRAMES_PER_TASK != 0);
    stapes__pool_run(pool, tasks, run_task, args);
}

stapes_status stapes__logmel_raw(const stapes__logmel *mel, stapes__pool *pool,
                                 const float *samples, size_t count, size_t first, size_t n,
                                 float *out, stapes_error *err) {
    size_t last = count / STAPES__MEL_HOP + (count > 0);
    if (first > last || n > last - first)
        return stapes__fail(err, STAPES_E_ARGUMENT,
                            "mel frames %zu to %zu asked of %zu samples, which have %zu", first,
                            first + n, count, last);
    run_args args = {mel, samples, count, first, n, out, NULL};
    run_frames(pool, &args);
    return STAPES_OK;
}

void stapes__logmel_compress(float *x, size_t count, float max) {
    if (max < -1e30F)
        for (size_t i = 0; i < count; i++)
            max = x[i] > max ? x[i] : max;
    double floor = (double)max - 8;
    for (size_t i = 0; i < count; i++)
        x[i] = (float)(((x[i] < floor ? floor : x[i]) + 4) / 4);
}

/* x + low (low may be NULL) normalised in place, in double. Sums are taken of the distance to the
 * first frame, so that a constant bin gives exact zeros. */
static void normalize(float *x, const float *low, size_t n_frames, int n_mels) {
    size_t mels = (size_t)n_mels;
    double mean[STAPES__MEL_MAX] = {0}, spread[STAPES__MEL_MAX] = {0}, base[STAPES__MEL_MAX];
    if (n_frames == 0)
        return;
    for (size_t m = 0; m < mels; m++)
        base[m] = x[m] + (low ? (double)low[m] : 0);
    for (size_t t = 0; t < n_frames; t++)
        for (size_t m = 0, i = t * mels; m < mels; m++, i++)
            mean[m] += x[i] + (low ? (double)low[i] : 0) - base[m];
    for (size_t m = 0; m < mels; m++)
        base[m] += mean[m] / (double)n_frames;
    for (size_t t = 0; t < n_frames; t++) {
        for (size_t m = 0, i = t * mels; m < mels; m++, i++) {
            double d = x[i] + (low ? (double)low[i] : 0) - base[m];
            spread[m] += d * d;
        }
    }
    for (size_t m = 0; m < mels; m++) {
        double variance = n_frames > 1 ? spread[m] / (double)(n_frames - 1) : 0;
        spread[m] = sqrt(variance) + 1e-5;
    }
    for (size_t t = 0; t < n_frames; t++)
        for (size_t m = 0, i = t * mels; m < mels; m++, i++)
            x[i] = (float)((x[i] + (low ? (double)low[i] : 0) - base[m]) / spread[m]);
}

void stapes__logmel_normalize(float *x, size_t n_frames, int n_mels) {
    normalize(x, NULL, n_frames, n_mels);
}

stapes_status stapes__logmel_run(const stapes__logmel *mel, stapes__pool *pool,
                                 const float *samples, size_t count, float *out,
                                 stapes_error *err) {
    size_t n = stapes__logmel_frames(mel, count);
    run_args args = {mel, samples, count, 0, n, out, NULL};
    bool nemo = mel->params.recipe == STAPES__MEL_NEMO;
    bool per_feature = nemo && mel->params.normalize == STAPES__MEL_PER_FEATURE;
    if (n == 0)
        return STAPES_OK;
    if (per_feature) {
        /* Division by a small deviation would magnify the rounding to float, so the rounding
         * errors are kept until after it. */
        args.low = stapes__calloc(n * (size_t)mel->plan.n_mels, sizeof *args.low);
        if (!args.low)
            return stapes__fail_memory(err, "the mel features");
    }
    run_frames(pool, &args);
    if (per_feature)
        normalize(out, args.low, n, mel->plan.n_mels);
    else if (!nemo)
        stapes__logmel_compress(out, n * (size_t)mel->plan.n_mels, -INFINITY);
    free(args.low);
    return STAPES_OK;
}
