/* Subsampling stages: all widths and edges, spans, causal padding. */
#include "kernel_support.h"

static void check(const variant_set *v, bool first, size_t width, size_t channels, size_t pad,
                  bool relu) {
    stapes__span in[] = {{0, 1}, {1, 0}, {1, 2}, {3, 3}, {6, 8}, {14, 41}}, out[6];
    size_t rows = 55, frames = 0, width_out = stapes__conv2d_length(width, pad);
    for (size_t i = 0; i < 6; i++) {
        out[i] = (stapes__span){frames, stapes__conv2d_length(in[i].count, pad)};
        frames += out[i].count;
    }
    guarded x = guarded_random(rows * width * (first ? 1 : channels), 1, 1.0f);
    guarded weight = guarded_random(9 * channels, 2, 1.0f),
            bias = guarded_random(channels, 3, 1.0f);
    guarded want = guarded_new(frames * width_out * channels);
    stapes__conv2d c = {.x = x.data,
                        .y = want.data,
                        .width_in = width,
                        .width_out = width_out,
                        .channels = channels,
                        .pad_before = pad,
                        .weight = weight.data,
                        .bias = bias.data,
                        .relu = relu,
                        .in = in,
                        .out = out,
                        .n_spans = 6};
    (first ? v->c.conv2d_first : v->c.conv2d_depthwise)(&v->c, &c);
    for (size_t i = 0; i < v->count; i++) {
        const stapes__ops *alone = &v->alone[i], *pair = &v->pair[i];
        guarded y = guarded_new(want.count), again = guarded_new(want.count);
        c.y = y.data;
        (first ? alone->conv2d_first : alone->conv2d_depthwise)(alone, &c);
        assert_near(alone->name, y.data, want.data, y.count, 2e-6f);
        c.y = again.data;
        (first ? pair->conv2d_first : pair->conv2d_depthwise)(pair, &c);
        assert_same_bits("two threads", again.data, y.data, y.count);
        guarded_free(&y);
        guarded_free(&again);
    }
    guarded_free(&x);
    guarded_free(&weight);
    guarded_free(&bias);
    guarded_free(&want);
}

static void test_stages(void **state) {
    (void)state;
    variant_set v = variants_open();
    static const size_t widths[] = {1, 2, 3, 4, 10, 17, 80}, channels[] = {1, 5, 8, 24, 31, 256};
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
        for (size_t c = 0; c < sizeof channels / sizeof *channels; c++)
            for (int bits = 0; bits < 8; bits++)
                check(&v, bits & 1, widths[w], channels[c], bits & 2 ? 2 : 1, bits & 4);
    variants_close(&v);
}

/* A direct sum over the whole window, zeros outside, against plain C. */
static void test_definition(void **state) {
    (void)state;
    enum { T = 7, W = 6, C = 3 };
    variant_set v = variants_open();
    for (size_t pad = 1; pad <= 2; pad++) {
        size_t t_out = stapes__conv2d_length(T, pad), w_out = stapes__conv2d_length(W, pad);
        guarded x = guarded_random(T * W * C, 1, 1.0f), weight = guarded_random(9 * C, 2, 1.0f);
        guarded bias = guarded_random(C, 3, 1.0f), y = guarded_new(t_out * w_out * C);
        stapes__span in = {0, T}, out = {0, t_out};
        stapes__conv2d c = {.x = x.data,
                            .y = y.data,
                            .width_in = W,
                            .width_out = w_out,
                            .channels = C,
                            .pad_before = pad,
                            .weight = weight.data,
                            .bias = bias.data,
                            .in = &in,
                            .out = &out,
                            .n_spans = 1};
        v.c.conv2d_depthwise(&v.c, &c);
        for (size_t i = 0; i < y.count; i++) {
            size_t channel = i % C, f = i / C % w_out, t = i / C / w_out;
            double sum = (double)bias.data[channel];
            for (size_t tap = 0; tap < 9; tap++) {
                size_t at_t = 2 * t + tap / 3 - pad, at_f = 2 * f + tap % 3 - pad;
                if (at_t < T && at_f < W) /* below 0 wraps around to huge */
                    sum += (double)x.data[(at_t * W + at_f) * C + channel] *
                           (double)weight.data[tap * C + channel];
            }
            assert_true(fabs(sum - (double)y.data[i]) < 1e-6);
        }
        guarded_free(&x);
        guarded_free(&weight);
        guarded_free(&bias);
        guarded_free(&y);
    }
    variants_close(&v);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_stages),
                                       cmocka_unit_test(test_definition)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
