#include "decode/whisper/stages_net.h"

#include <stdlib.h>
#include <string.h>

#include "decode/whisper/words.h"

struct stapes__whisper_stages_net {
    stapes__whisper_net net;
    stapes__stages *stages;
    stapes__decoding *decoding;
    stapes__arena *scratch;
    stapes__whisper_head *heads;
    int (*pairs)[2]; /* the same for the stages */
    uint32_t *parents;
    size_t most;   /* hypotheses */
    size_t window; /* mel frames of a full window */
    size_t pad;
    bool (*tick)(void *user, double done);
    void *tick_user;
};

static stapes_status encode(stapes__whisper_net *base, const float *mel, size_t frames,
                            stapes_error *err) {
    stapes__whisper_stages_net *n = (stapes__whisper_stages_net *)base;
    if (frames < 1 || frames > n->window)
        return stapes__fail(err, STAPES_E_ARGUMENT, "a window of %zu mel frames, at most %zu fit",
                            frames, n->window);
    stapes__arena_reset(n->scratch);
    size_t padded = frames < n->pad ? n->pad : frames, mels = base->n_mels;
    const float *input = mel;
    if (padded > frames) {
        float *copy = stapes__arena_floats(n->scratch, padded * mels);
        if (!copy)
            return stapes__fail_memory(err, "mel window");
        memcpy(copy, mel, frames * mels * sizeof *copy);
        memset(copy + frames * mels, 0, (padded - frames) * mels * sizeof *copy);
        input = copy;
    }
    stapes__span whole = {0, padded}, span;
    stapes__encode_request request = {.mel = input,
                                      .spans = &whole,
                                      .n_spans = 1,
                                      .mask = n->stages->info.mask,
                                      .tick = n->tick,
                                      .tick_user = n->tick_user};
    float *out;
    const stapes__stages_table *table = n->stages->table;
    stapes_status status = table->encode(n->stages, &request, n->scratch, &out, &span, err);
    if (status != STAPES_OK)
        return status;
    return table->decode_begin(n->stages, n->decoding, out + span.first * n->stages->info.d_model,
                               span.count, n->scratch, err);
}

/* Brings the hypotheses into the order that the step wants. */
static stapes_status arrange(stapes__whisper_stages_net *n, const stapes__whisper_net_step *step,
                             stapes_error *err) {
    if (step->n < 1 || step->n > n->most)
        return stapes__fail(err, STAPES_E_ARGUMENT, "%zu hypotheses, at most %zu were foreseen",
                            step->n, n->most);
    if (step->first)
        n->stages->table->decode_rewind(n->stages, n->decoding, 0);
    bool same = step->n == n->decoding->hypotheses;
    for (size_t i = 0; i < step->n; i++) {
        size_t from = step->first ? 0 : step->sources ? step->sources[i] : i;
        n->parents[i] = (uint32_t)from;
        same &= from == i;
    }
    return same
               ? STAPES_OK
               : n->stages->table->decode_reorder(n->stages, n->decoding, n->parents, step->n, err);
}

/* Attention of hypothesis 0, of the wanted frames. */
static void take_attention(const stapes__whisper_net_step *step, const float *attention,
                           size_t positions) {
    for (size_t h = 0; h < step->n_heads; h++)
        for (size_t t = 0; t < step->count; t++) {
            const float *from = attention + (h * step->n * step->count + t) * positions;
            float *to = step->attention + (h * step->count + t) * step->frames;
            size_t have = step->frames < positions ? step->frames : positions;
            memcpy(to, from, have * sizeof *to);
            memset(to + have, 0, (step->frames - have) * sizeof *to);
        }
}

static stapes_status run_step(stapes__whisper_net *base, const stapes__whisper_net_step *step,
                              stapes_error *err) {
    stapes__whisper_stages_net *n = (stapes__whisper_stages_net *)base;
    if (step->n_heads > base->n_heads)
        return stapes__fail(err, STAPES_E_ARGUMENT, "%zu heads, the model has %zu for alignment",
                            step->n_heads, base->n_heads);
    stapes_status status = arrange(n, step, err);
    if (status != STAPES_OK)
        return status;
    stapes__arena_reset(n->scratch);
    size_t positions = n->decoding->positions;
    float *attention = NULL;
    for (size_t h = 0; h < step->n_heads; h++) {
        n->pairs[h][0] = step->heads[h].layer;
        n->pairs[h][1] = step->heads[h].head;
    }
    if (step->n_heads > 0) {
        attention =
            stapes__arena_floats(n->scratch, step->n_heads * step->n * step->count * positions);
        if (!attention)
            return stapes__fail_memory(err, "attention of the alignment heads");
    }
    stapes__decode_step inner = {.tokens = step->tokens,
                                 .n_tokens = step->count,
                                 .wanted = step->rows,
                                 .n_wanted = step->n_rows,
                                 .logits = step->logits,
                                 .heads = (const int(*)[2])n->pairs,
                                 .n_heads = step->n_heads,
                                 .attention = attention};
    status = n->stages->table->decode_step(n->stages, n->decoding, &inner, n->scratch, err);
    if (status == STAPES_OK && step->n_heads > 0)
        take_attention(step, attention, positions);
    return status;
}

static const stapes__whisper_net_table table_of_stages = {encode, run_step};

stapes_status stapes__whisper_stages_net_open(stapes__whisper_stages_net **out,
                                              stapes__stages *stages, size_t most,
                                              const char *model_name, stapes_error *err) {
    const stapes__stages_info *info = &stages->info;
    *out = NULL;
    if (!info->has_decoder || most < 1)
        return stapes__fail(err, STAPES_E_ARGUMENT, "the model has no autoregressive decoder");
    stapes__whisper_stages_net *n = stapes__calloc(1, sizeof *n);
    if (!n)
        return stapes__fail_memory(err, "Whisper networks");
    size_t heads = stapes__whisper_alignment_heads(model_name, info->decoder_layers,
                                                   info->decoder_heads, info->vocabulary, NULL, 0);
    n->stages = stages;
    n->most = most;
    n->window = n->pad = info->n_audio_ctx * info->mel_factor;
    n->scratch = stapes__arena_new();
    n->heads = stapes__calloc(heads + 1, sizeof *n->heads);
    n->pairs = stapes__calloc(heads + 1, sizeof *n->pairs);
    n->parents = stapes__calloc(most, sizeof *n->parents);
    stapes_status status = STAPES_OK;
    if (!n->scratch || !n->heads || !n->pairs || !n->parents)
        status = stapes__fail_memory(err, "Whisper networks");
    else
        status = stages->table->decode_open(stages, most, &n->decoding, err);
    if (status != STAPES_OK) {
        stapes__whisper_stages_net_close(&n);
        return status;
    }
    stapes__whisper_alignment_heads(model_name, info->decoder_layers, info->decoder_heads,
                                    info->vocabulary, n->heads, heads);
    n->net = (stapes__whisper_net){.table = &table_of_stages,
                                   .n_mels = info->n_mels,
                                   .vocabulary = info->vocabulary,
                                   .context = info->n_text_ctx,
                                   .heads = n->heads,
                                   .n_heads = heads};
    *out = n;
    return STAPES_OK;
}

void stapes__whisper_stages_net_close(stapes__whisper_stages_net **net) {
    stapes__whisper_stages_net *n = *net;
    if (!n)
        return;
    if (n->decoding)
        n->stages->table->decode_close(n->stages, n->decoding);
    stapes__arena_free(n->scratch);
    free(n->heads);
    free(n->pairs);
    free(n->parents);
    free(n);
    *net = NULL;
}

stapes__whisper_net *stapes__whisper_stages_net_of(stapes__whisper_stages_net *net) {
    return &net->net;
}

void stapes__whisper_stages_net_pad(stapes__whisper_stages_net *net, size_t frames) {
    net->pad = frames < net->window ? frames : net->window;
}

void stapes__whisper_stages_net_tick(stapes__whisper_stages_net *net,
                                     bool (*tick)(void *user, double done), void *user) {
    net->tick = tick;
    net->tick_user = user;
}
