/* Conversion of a linear weight to column panels. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "compute/cpu/gemm.h"
#include "compute/cpu/parallel.h"

typedef struct pack_job {
    const stapes__pack_params *params;
    stapes__weight *weight;
} pack_job;

/* A multiple of every block, so that a row is read in whole ones. */
enum { PACK_COLUMNS = STAPES__MAX_BLOCK };

/* One element, through its block. */
static float read_element(const stapes__tensor *part, size_t index) {
    float values[STAPES__MAX_BLOCK];
    size_t block = stapes__dtype_block(part->dtype), within = index % block;
    stapes__to_f32(part, index - within, block, values);
    return values[within];
}

/* Columns [first, first + count) of stacked row `row`, as floats. */
static void read_row(const stapes__pack_params *params, size_t row, size_t first, size_t count,
                     float *out) {
    const stapes__tensor *part = params->parts;
    while (row >= (size_t)part->shape[0]) {
        row -= (size_t)part->shape[0];
        part++;
    }
    if (!params->column) {
        stapes__to_f32(part, row * params->k + first, count, out);
        return;
    }
    for (size_t c = 0; c < count; c++)
        out[c] = read_element(part, row * params->k + params->column[first + c]);
}

static void pack_panel(const pack_job *job, size_t panel) {
    const stapes__pack_params *params = job->params;
    const stapes__weight *w = job->weight;
    float scale = params->scale == 0.0f ? 1.0f : params->scale;
    float rows[STAPES__MAX_NR][PACK_COLUMNS];
    float *out = w->data + panel * w->k * w->nr;
    for (size_t k0 = 0; k0 < w->k; k0 += PACK_COLUMNS) {
        size_t count = w->k - k0 < PACK_COLUMNS ? w->k - k0 : PACK_COLUMNS;
        for (size_t r = 0; r < w->nr; r++) {
            if (panel * w->nr + r < w->n)
                read_row(params, panel * w->nr + r, k0, count, rows[r]);
            else
                memset(rows[r], 0, sizeof rows[r]);
        }
        for (size_t c = 0; c < count; c++)
            for (size_t r = 0; r < w->nr; r++)
                *out++ = rows[r][c] * scale;
    }
}

static void pack_panels(void *arg, size_t first, size_t count, int worker) {
    (void)worker;
    for (size_t panel = first; panel < first + count; panel++)
        pack_panel(arg, panel);
}

static stapes_status check_parts(const stapes__pack_params *params, stapes_error *err) {
    size_t rows = 0;
    for (size_t i = 0; i < params->n_parts; i++) {
        const stapes__tensor *part = &params->parts[i];
        size_t elements = 0, need;
        char shape[96];
        stapes__shape_text(part, shape, sizeof shape);
        bool shaped =
            part->n_dims >= 1 && stapes__shape_elements(part->n_dims, part->shape, &elements) &&
            stapes__mul_size((size_t)part->shape[0], params->k, &need) && need == elements;
        if (!shaped)
            return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                                "tensor %s has shape %s, wanted [rows, %zu]",
                                part->name ? part->name : "?", shape, params->k);
        size_t block = stapes__dtype_block(part->dtype);
        if (!stapes__dtype_is_real(part->dtype) || params->k % block != 0 ||
            part->bytes / stapes__dtype_size(part->dtype) < elements / block)
            return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                                "tensor %s: %zu bytes of %s do not hold a weight of shape %s",
                                part->name ? part->name : "?", part->bytes,
                                stapes__dtype_name(part->dtype), shape);
        rows += (size_t)part->shape[0];
    }
    if (rows != params->n || params->n == 0 || params->k == 0)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "a linear weight has %zu rows of %zu in its tensors, wanted %zu", rows,
                            params->k, params->n);
    return STAPES_OK;
}

stapes_status stapes__gemm_pack(const stapes__ops *ops, const stapes__pack_params *params,
                                size_t nr, stapes__weight **out, stapes_error *err) {
    *out = NULL;
    stapes_status status = check_parts(params, err);
    if (status != STAPES_OK)
        return status;
    stapes__weight *w = stapes__calloc(1, sizeof *w);
    if (!w)
        return stapes__fail_memory(err, "a packed weight");
    w->n = params->n;
    w->k = params->k;
    w->nr = nr;
    w->panels = (params->n + nr - 1) / nr;
    if (stapes__mul_size(w->panels * nr, w->k, &w->bytes) &&
        stapes__mul_size(w->bytes, sizeof(float), &w->bytes))
        w->data = stapes__alloc_aligned(w->bytes);
    if (!w->data) {
        free(w);
        return stapes__fail_memory(err, "a packed weight");
    }
    pack_job job = {params, w};
    size_t grain = ((size_t)1 << 16) / (nr * w->k) + 1;
    stapes__parallel(ops->pool, w->panels, grain, pack_panels, &job);
    *out = w;
    return STAPES_OK;
}
