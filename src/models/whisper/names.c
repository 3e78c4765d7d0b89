#include <stdio.h>
#include <string.h>

#include "models/whisper/config.h"

typedef struct rule {
    const char *openai, *hf;
} rule;

/* Whole beginnings of a name, up to a dot or its end. */
static const rule top[] = {
    {"encoder.positional_embedding", "encoder.embed_positions.weight"},
    {"encoder.ln_post", "encoder.layer_norm"},
    {"decoder.token_embedding", "decoder.embed_tokens"},
    {"decoder.positional_embedding", "decoder.embed_positions.weight"},
    {"decoder.ln", "decoder.layer_norm"},
    {"encoder.blocks", "encoder.layers"},
    {"decoder.blocks", "decoder.layers"},
};

/* The same below "encoder.blocks.N." and "decoder.blocks.N.". */
static const rule parts[] = {
    {"attn.query", "self_attn.q_proj"},
    {"attn.key", "self_attn.k_proj"},
    {"attn.value", "self_attn.v_proj"},
    {"attn.out", "self_attn.out_proj"},
    {"attn_ln", "self_attn_layer_norm"},
    {"cross_attn.query", "encoder_attn.q_proj"},
    {"cross_attn.key", "encoder_attn.k_proj"},
    {"cross_attn.value", "encoder_attn.v_proj"},
    {"cross_attn.out", "encoder_attn.out_proj"},
    {"cross_attn_ln", "encoder_attn_layer_norm"},
    {"mlp.0", "fc1"},
    {"mlp.2", "fc2"},
    {"mlp_ln", "final_layer_norm"},
};

/* The part of `name` behind the rule's openai form, or NULL when the rule does not apply. */
static const char *behind(const rule *r, const char *name) {
    size_t length = strlen(r->openai);
    bool fits = strncmp(name, r->openai, length) == 0 && (!name[length] || name[length] == '.');
    return fits ? name + length : NULL;
}

/* "encoder.blocks.3.mlp.0.bias" -> "model.encoder.layers.3.fc1.bias" */
static void to_hf(const char *name, char *out, size_t capacity) {
    const rule *first = NULL, *second = NULL;
    for (size_t i = 0; !first && i < sizeof top / sizeof *top; i++)
        first = behind(&top[i], name) ? &top[i] : NULL;
    if (!first) {
        snprintf(out, capacity, "model.%s", name);
        return;
    }
    const char *rest = behind(first, name);
    size_t number = *rest == '.' ? strspn(rest + 1, "0123456789") : 0;
    const char *part = number > 0 && rest[1 + number] == '.' ? rest + number + 2 : NULL;
    for (size_t i = 0; part && !second && i < sizeof parts / sizeof *parts; i++)
        second = behind(&parts[i], part) ? &parts[i] : NULL;
    if (second)
        snprintf(out, capacity, "model.%s%.*s%s%s", first->hf, (int)(part - rest), rest, second->hf,
                 behind(second, part));
    else
        snprintf(out, capacity, "model.%s%s", first->hf, rest);
}

const stapes__tensor *stapes__whisper_find(const stapes__container *c, const char *name) {
    char hf[256];
    const stapes__tensor *tensor = stapes__container_find(c, name);
    if (tensor)
        return tensor;
    to_hf(name, hf, sizeof hf);
    tensor = stapes__container_find(c, hf);
    return tensor ? tensor : stapes__container_find(c, hf + sizeof "model." - 1);
}
