/* Loading and running of what encoder and decoder blocks have in common. */
#include <stdio.h>

#include "models/whisper/internal.h"

enum { NAME_SPACE = 96 };

static const char *join(char name[NAME_SPACE], const char *at, const char *part, const char *rest) {
    snprintf(name, NAME_SPACE, "%s.%s%s", at, part, rest);
    return name;
}

static stapes__weight *load_weight(stapes__loader *loader, const char *at, const char *part,
                                   size_t n, size_t k) {
    char name[NAME_SPACE];
    return stapes__loader_weight(loader, join(name, at, part, ".weight"), n, k, NULL);
}

static const float *load_bias(stapes__loader *loader, const char *at, const char *part, size_t n) {
    char name[NAME_SPACE];
    return stapes__loader_floats(loader, join(name, at, part, ".bias"), n, 1.0f);
}

/* The biases of stacked projections; a NULL part has none and reads as zeros. */
static const float *stack_biases(stapes__loader *loader, const char *at, const char *const *names,
                                 size_t count, size_t d) {
    float *joined = stapes__arena_floats(loader->arena, count * d);
    if (!joined && loader->status == STAPES_OK)
        loader->status = stapes__fail_memory(loader->err, "biases");
    for (size_t i = 0; i < count; i++) {
        const float *part = names[i] ? load_bias(loader, at, names[i], d) : NULL;
        for (size_t c = 0; joined && c < d; c++)
            joined[i * d + c] = part ? part[c] : 0.0f;
    }
    return joined;
}

static stapes__weight *stack_weights(stapes__loader *loader, const char *at,
                                     const char *const *parts, size_t count, size_t d) {
    char names[3][NAME_SPACE];
    const char *list[3];
    for (size_t i = 0; i < count; i++)
        list[i] = join(names[i], at, parts[i], ".weight");
    return stapes__loader_stack(loader, list, count, d, d);
}

wh_norm stapes__wh_load_norm(stapes__loader *loader, const char *at, const char *part, size_t d) {
    char name[NAME_SPACE];
    wh_norm norm;
    norm.gain = stapes__loader_floats(loader, join(name, at, part, ".weight"), d, 1.0f);
    norm.bias = stapes__loader_floats(loader, join(name, at, part, ".bias"), d, 1.0f);
    return norm;
}

void stapes__wh_load_mlp(stapes__loader *loader, const char *at, size_t d, size_t ff, wh_mlp *out) {
    out->norm = stapes__wh_load_norm(loader, at, "mlp_ln", d);
    out->up = load_weight(loader, at, "mlp.0", ff, d);
    out->up_bias = load_bias(loader, at, "mlp.0", ff);
    out->down = load_weight(loader, at, "mlp.2", d, ff);
    out->down_bias = load_bias(loader, at, "mlp.2", d);
}

void stapes__wh_load_self(stapes__loader *loader, const char *at, size_t d, wh_self *out) {
    static const char *const weights[] = {"attn.query", "attn.key", "attn.value"};
    static const char *const biases[] = {"attn.query", NULL, "attn.value"};
    out->norm = stapes__wh_load_norm(loader, at, "attn_ln", d);
    out->qkv = stack_weights(loader, at, weights, 3, d);
    out->qkv_bias = stack_biases(loader, at, biases, 3, d);
    out->out = load_weight(loader, at, "attn.out", d, d);
    out->out_bias = load_bias(loader, at, "attn.out", d);
}

void stapes__wh_load_cross(stapes__loader *loader, const char *at, size_t d, wh_cross *out) {
    static const char *const weights[] = {"cross_attn.key", "cross_attn.value"};
    static const char *const biases[] = {NULL, "cross_attn.value"};
    out->norm = stapes__wh_load_norm(loader, at, "cross_attn_ln", d);
    out->q = load_weight(loader, at, "cross_attn.query", d, d);
    out->q_bias = load_bias(loader, at, "cross_attn.query", d);
    out->kv = stack_weights(loader, at, weights, 2, d);
    out->kv_bias = stack_biases(loader, at, biases, 2, d);
    out->out = load_weight(loader, at, "cross_attn.out", d, d);
    out->out_bias = load_bias(loader, at, "cross_attn.out", d);
}

void stapes__wh_free_mlp(const stapes__ops *ops, wh_mlp *mlp) {
    ops->weight_free(mlp->up);
    ops->weight_free(mlp->down);
}

void stapes__wh_free_self(const stapes__ops *ops, wh_self *self) {
    ops->weight_free(self->qkv);
    ops->weight_free(self->out);
}

void stapes__wh_free_cross(const stapes__ops *ops, wh_cross *cross) {
    ops->weight_free(cross->q);
    ops->weight_free(cross->kv);
    ops->weight_free(cross->out);
}

void stapes__wh_norm(const stapes__ops *ops, const wh_norm *norm, const float *x, size_t rows,
                     size_t d, float *y) {
    ops->layer_norm(ops, x, rows, d, norm->gain, norm->bias, 1e-5f, y);
}

void stapes__wh_mlp(const stapes__ops *ops, const wh_mlp *mlp, float *x, size_t rows, size_t d,
                    size_t ff, float *normed, float *wide) {
    stapes__wh_norm(ops, &mlp->norm, x, rows, d, normed);
    stapes__epilogue up = {.bias = mlp->up_bias, .act = STAPES__ACT_GELU, .scale = 1.0f};
    ops->linear(ops, mlp->up, normed, d, rows, &up, wide, ff);
    stapes__wh_add(ops, mlp->down, mlp->down_bias, wide, ff, rows, d, x);
}

void stapes__wh_add(const stapes__ops *ops, const stapes__weight *weight, const float *bias,
                    const float *in, size_t ld_in, size_t rows, size_t d, float *x) {
    stapes__epilogue add = {.bias = bias, .scale = 1.0f, .residual = x, .ld_residual = d};
    ops->linear(ops, weight, in, ld_in, rows, &add, x, d);
}
