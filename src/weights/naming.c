#include "weights/naming.h"

#include <stdio.h>
#include <string.h>

#include "weights/container_internal.h"

typedef struct rule {
    const char *from, *to;
} rule;

/* `from` is a whole beginning of the name, up to a dot or its end. The longer forms come before
 * the shorter ones that they contain. */
static const rule prefixes[] = {
    {"encoder.subsampling.layers.0.depthwise_conv", "encoder.pre_encode.conv.2"},
    {"encoder.subsampling.layers.0.pointwise_conv", "encoder.pre_encode.conv.3"},
    {"encoder.subsampling.layers.1.depthwise_conv", "encoder.pre_encode.conv.5"},
    {"encoder.subsampling.layers.1.pointwise_conv", "encoder.pre_encode.conv.6"},
    {"encoder.subsampling.layers", "encoder.pre_encode.conv"},
    {"encoder.subsampling.conv_in", "encoder.pre_encode.conv.0"},
    {"encoder.subsampling.linear", "encoder.pre_encode.out"},
    {"encoder_projector", "joint.enc"},
    {"decoder.decoder_projector", "joint.pred"},
    {"decoder.embedding", "decoder.prediction.embed"},
    {"decoder.lstm", "decoder.prediction.dec_rnn.lstm"},
    {"joint.head", "joint.joint_net.2"},
    {"ctc_head", "decoder.decoder_layers.0"},
    {"ctc_decoder.decoder_layers.0", "decoder.decoder_layers.0"},
    {"prompt_projector.linear_1", "prompt_kernel.0"},
    {"prompt_projector.linear_2", "prompt_kernel.2"},
};

/* Parts below "encoder.layers.N.". */
static const rule layer_parts[] = {
    {"self_attn.q_proj", "self_attn.linear_q"},
    {"self_attn.k_proj", "self_attn.linear_k"},
    {"self_attn.v_proj", "self_attn.linear_v"},
    {"self_attn.o_proj", "self_attn.linear_out"},
    {"self_attn.relative_k_proj", "self_attn.linear_pos"},
    {"self_attn.bias_u", "self_attn.pos_bias_u"},
    {"self_attn.bias_v", "self_attn.pos_bias_v"},
    {"conv.norm", "conv.batch_norm"},
};

/* The rest of `name` behind `prefix` when that ends at a dot or at the name's end. */
static const char *after(const char *name, const char *prefix) {
    size_t length = strlen(prefix);
    if (strncmp(name, prefix, length) != 0 || (name[length] != 0 && name[length] != '.'))
        return NULL;
    return name + length;
}

static bool apply(const rule *rules, size_t count, const char *name, size_t keep, char *out,
                  size_t capacity) {
    for (size_t i = 0; i < count; i++) {
        const char *rest = after(name + keep, rules[i].from);
        if (!rest)
            continue;
        char text[STAPES__NAME_SPACE];
        int length = snprintf(text, sizeof text, "%.*s%s%s", (int)keep, name, rules[i].to, rest);
        if (length < 0 || (size_t)length >= sizeof text || (size_t)length >= capacity)
            return false;
        memcpy(out, text, (size_t)length + 1);
        return true;
    }
    return false;
}

/* Length of "encoder.layers.N." at the beginning of a name, or 0. */
static size_t layer_prefix(const char *name) {
    static const char head[] = "encoder.layers.";
    if (strncmp(name, head, sizeof head - 1) != 0)
        return 0;
    size_t digits = strspn(name + sizeof head - 1, "0123456789");
    size_t length = sizeof head - 1 + digits;
    return digits > 0 && name[length] == '.' ? length + 1 : 0;
}

bool stapes__name_canonical(const char *name, char *out, size_t capacity) {
    size_t layer = layer_prefix(name);
    if (layer > 0)
        return apply(layer_parts, sizeof layer_parts / sizeof *layer_parts, name, layer, out,
                     capacity);
    static const char joint_net[] = "joint.joint_net.";
    size_t length = sizeof joint_net - 1;
    if (strncmp(name, joint_net, length) == 0) {
        char digit = name[length];
        if (digit < '0' || digit > '9' || digit == '2' || name[length + 1] != '.' ||
            strlen(name) >= capacity)
            return false;
        memcpy(out, name, strlen(name) + 1);
        out[length] = '2';
        return true;
    }
    return apply(prefixes, sizeof prefixes / sizeof *prefixes, name, 0, out, capacity);
}

const stapes__tensor *stapes__names_find(const stapes__container *c, const char *nemo_name) {
    char canonical[STAPES__NAME_SPACE];
    if (stapes__name_canonical(nemo_name, canonical, sizeof canonical))
        nemo_name = canonical;
    return stapes__table_find_canonical(&c->table, nemo_name);
}
