#include <math.h>
#include <stdlib.h>

#include "models/fastconformer/internal.h"

/* pe(distance) for distances reach - 1 down to -(reach - 1), in double, rounded once
 * (spec/fastconformer 5). table: [2 * reach - 1, d]. */
static void fill_encoding(float *table, size_t reach, size_t d) {
    for (size_t k = 0; k < d / 2; k++) {
        double omega = exp(-2.0 * (double)k * (log(10000.0) / (double)d));
        for (size_t r = 0; r < 2 * reach - 1; r++) {
            double angle = ((double)(reach - 1) - (double)r) * omega;
            table[r * d + 2 * k] = (float)sin(angle);
            table[r * d + 2 * k + 1] = (float)cos(angle);
        }
    }
}

typedef struct transpose_job {
    const float *rows; /* [count, d] */
    float *out;        /* [d, count] */
    size_t count, d;
} transpose_job;

enum { TRANSPOSE_BLOCK = 32 };

static void transpose_task(void *arg, size_t index, int worker) {
    const transpose_job *job = arg;
    size_t first = index * TRANSPOSE_BLOCK;
    size_t last = first + TRANSPOSE_BLOCK < job->d ? first + TRANSPOSE_BLOCK : job->d;
    (void)worker;
    for (size_t r0 = 0; r0 < job->count; r0 += TRANSPOSE_BLOCK) {
        size_t r1 = r0 + TRANSPOSE_BLOCK < job->count ? r0 + TRANSPOSE_BLOCK : job->count;
        for (size_t c = first; c < last; c++)
            for (size_t r = r0; r < r1; r++)
                job->out[c * job->count + r] = job->rows[r * job->d + c];
    }
}

bool stapes__fc_positions_layer(const stapes__fc_encoder *encoder, size_t layer, size_t reach,
                                stapes__arena *scratch, float *table) {
    const stapes__ops *ops = encoder->ops;
    size_t d = (size_t)encoder->config->d_model, count = 2 * reach - 1;
    stapes__arena_mark mark = stapes__arena_save(scratch);
    float *encoding = stapes__arena_floats(scratch, count * d);
    float *projected = stapes__arena_floats(scratch, count * d);
    bool good = encoding && projected;
    if (good) {
        fill_encoding(encoding, reach, d);
        stapes__epilogue plain = {.scale = 1.0f};
        ops->linear(ops, encoder->layers[layer].pos, encoding, d, count, &plain, projected, d);
        transpose_job job = {projected, table, count, d};
        stapes__pool_run(ops->pool, (d + TRANSPOSE_BLOCK - 1) / TRANSPOSE_BLOCK, transpose_task,
                         &job);
    }
    stapes__arena_restore(scratch, mark);
    return good;
}

void stapes__fc_positions_free(fc_positions *positions, size_t n_layers) {
    while (positions) {
        fc_positions *older = positions->older;
        for (size_t i = 0; positions->layers && i < n_layers; i++)
            stapes__free_aligned(positions->layers[i]);
        free(positions->layers);
        free(positions);
        positions = older;
    }
}

static fc_positions *build(const stapes__fc_encoder *encoder, size_t reach,
                           stapes__arena *scratch) {
    size_t n_layers = (size_t)encoder->config->n_layers, d = (size_t)encoder->config->d_model;
    fc_positions *table = stapes__calloc(1, sizeof *table);
    if (!table)
        return NULL;
    table->reach = reach;
    table->layers = stapes__calloc(n_layers, sizeof *table->layers);
    bool good = table->layers != NULL;
    for (size_t i = 0; good && i < n_layers; i++) {
        table->layers[i] = stapes__alloc_aligned((2 * reach - 1) * d * sizeof(float));
        good = table->layers[i] &&
               stapes__fc_positions_layer(encoder, i, reach, scratch, table->layers[i]);
    }
    if (!good) {
        stapes__fc_positions_free(table, n_layers);
        return NULL;
    }
    return table;
}

enum { REACH_STEP = 64 };

/* Grows by half at least, so that the older tables, kept because running sessions may read them,
 * never sum up to more than twice the newest. */
const fc_positions *stapes__fc_positions_get(stapes__fc_encoder *encoder, size_t frames,
                                             stapes__arena *scratch) {
    pthread_mutex_lock(&encoder->lock);
    fc_positions *current = encoder->positions;
    if (!current || current->reach < frames) {
        size_t reach = (frames + REACH_STEP - 1) / REACH_STEP * REACH_STEP;
        if (current && reach < current->reach + current->reach / 2)
            reach = current->reach + current->reach / 2;
        fc_positions *grown = build(encoder, reach, scratch);
        if (grown) {
            grown->older = current;
            encoder->positions = grown;
        }
        current = grown;
    }
    pthread_mutex_unlock(&encoder->lock);
    return current;
}
