#include "compute/cpu/conv2d.h"

#include "compute/cpu/parallel.h"

typedef struct conv2d_job {
    stapes__conv2d_frame_fn frame;
    const stapes__conv2d *c;
    size_t channels_in;
} conv2d_job;

static void conv2d_frame(const conv2d_job *job, size_t span, size_t t) {
    const stapes__conv2d *c = job->c;
    const float *rows[3];
    for (size_t tap = 0; tap < 3; tap++) {
        size_t at = 2 * t + tap; /* frame at - pad_before */
        bool inside = at >= c->pad_before && at - c->pad_before < c->in[span].count;
        size_t row = inside ? c->in[span].first + at - c->pad_before : 0;
        rows[tap] = inside ? c->x + row * c->width_in * job->channels_in : NULL;
    }
    job->frame(c, rows, c->y + (c->out[span].first + t) * c->width_out * c->channels);
}

/* Items count the output frames of all spans. */
static void conv2d_frames(void *arg, size_t first, size_t count, int worker) {
    (void)worker;
    const conv2d_job *job = arg;
    for (size_t s = 0; s < job->c->n_spans && count > 0; s++) {
        size_t frames = job->c->out[s].count;
        if (first >= frames) {
            first -= frames;
            continue;
        }
        size_t end = frames - first < count ? frames : first + count;
        count -= end - first;
        for (size_t t = first; t < end; t++)
            conv2d_frame(job, s, t);
        first = 0;
    }
}

/* Output values worth waking a thread for. */
enum { GRAIN = 16 << 10 };

void stapes__conv2d_run(stapes__conv2d_frame_fn frame, const stapes__ops *ops,
                        const stapes__conv2d *c, size_t channels_in) {
    size_t frames = 0;
    for (size_t s = 0; s < c->n_spans; s++)
        frames += c->out[s].count;
    conv2d_job job = {frame, c, channels_in};
    stapes__parallel(ops->pool, frames, GRAIN / (c->width_out * c->channels + 1) + 1, conv2d_frames,
                     &job);
}

/* ---- plain C ---- */

static void add_tap(const stapes__conv2d *c, const float *x, bool broadcast, const float *weight,
                    float *y) {
    for (size_t i = 0; i < c->channels; i++)
        y[i] += (broadcast ? x[0] : x[i]) * weight[i];
}

static void frame_c(const stapes__conv2d *c, const float *const rows[3], size_t channels_in,
                    float *y) {
    for (size_t f = 0; f < c->width_out; f++, y += c->channels) {
        size_t low, high;
        stapes__conv2d_taps(c, f, &low, &high);
        for (size_t i = 0; i < c->channels; i++)
            y[i] = c->bias[i];
        for (size_t time = 0; time < 3; time++) {
            for (size_t tap = low; rows[time] && tap < high; tap++)
                add_tap(c, rows[time] + (2 * f + tap - c->pad_before) * channels_in,
                        channels_in == 1, c->weight + (3 * time + tap) * c->channels, y);
        }
        for (size_t i = 0; c->relu && i < c->channels; i++)
            y[i] = y[i] < 0.0f ? 0.0f : y[i];
    }
}

static void frame_first_c(const stapes__conv2d *c, const float *const rows[3], float *y) {
    frame_c(c, rows, 1, y);
}

static void frame_depthwise_c(const stapes__conv2d *c, const float *const rows[3], float *y) {
    frame_c(c, rows, c->channels, y);
}

static void conv2d_first_c(const stapes__ops *ops, const stapes__conv2d *c) {
    stapes__conv2d_run(frame_first_c, ops, c, 1);
}

static void conv2d_depthwise_c(const stapes__ops *ops, const stapes__conv2d *c) {
    stapes__conv2d_run(frame_depthwise_c, ops, c, c->channels);
}

void stapes__conv2d_init_c(stapes__ops *ops) {
    ops->conv2d_first = conv2d_first_c;
    ops->conv2d_depthwise = conv2d_depthwise_c;
}
