#include "decode/whisper/decode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "decode/whisper/score.h"

struct stapes__whisper_sampler {
    stapes__whisper_net *net;
    const stapes__tokenizer *tokenizer;
    stapes__whisper_layout layout;
    stapes__whisper_ids blank;
    float *logits; /* [logit_rows][vocabulary] */
    size_t logit_rows;
};

/* State of one call. */
typedef struct task {
    stapes__whisper_sampler *d;
    const stapes__whisper_options *options;
    stapes__whisper_filters filters;
    stapes__whisper_group group;
    stapes__whisper_beam beam; /* width 0 = not in use */
    stapes__whisper_random random;
    size_t *slots;      /* [max] row of each sequence at the last step; SIZE_MAX = ended */
    size_t *sources;    /* [max] */
    int32_t *last;      /* [max] */
    const float **rows; /* [max] */
    int32_t *initial;
    size_t initial_count, sot;
    double no_speech;
    bool completed;
} task;

stapes__whisper_options stapes__whisper_default_options(void) {
    return (stapes__whisper_options){.length_penalty = -1,
                                     .timestamps = true,
                                     .suppress_blank = true,
                                     .max_initial_timestamp = 1.0};
}

void stapes__whisper_result_free(stapes__whisper_result *result) {
    free(result->tokens);
    *result = (stapes__whisper_result){0};
}

stapes_status stapes__whisper_sampler_open(stapes__whisper_sampler **out, stapes__whisper_net *net,
                                           const stapes__tokenizer *tokenizer, stapes_error *err) {
    *out = NULL;
    stapes__whisper_sampler *d = stapes__calloc(1, sizeof *d);
    if (!d)
        return stapes__fail_memory(err, "Whisper decoder");
    d->net = net;
    d->tokenizer = tokenizer;
    stapes_status status = stapes__whisper_layout_of(net->vocabulary, &d->layout, err);
    if (status == STAPES_OK && stapes__tokenizer_size(tokenizer) < (size_t)d->layout.eot)
        status = stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                              "the vocabulary has %zu tokens, the network needs at least %d",
                              stapes__tokenizer_size(tokenizer), (int)d->layout.eot);
    if (status == STAPES_OK)
        status = stapes__whisper_blank(&d->layout, tokenizer, &d->blank, err);
    if (status != STAPES_OK)
        stapes__whisper_sampler_close(&d);
    *out = d;
    return status;
}

void stapes__whisper_sampler_close(stapes__whisper_sampler **decoder) {
    if (!*decoder)
        return;
    stapes__whisper_ids_free(&(*decoder)->blank);
    free((*decoder)->logits);
    free(*decoder);
    *decoder = NULL;
}

const stapes__whisper_layout *stapes__whisper_sampler_layout(const stapes__whisper_sampler *d) {
    return &d->layout;
}

static stapes_status need_logits(stapes__whisper_sampler *d, size_t rows, stapes_error *err) {
    if (rows <= d->logit_rows)
        return STAPES_OK;
    size_t count;
    float *logits = NULL;
    if (stapes__mul_size(rows, d->net->vocabulary, &count))
        logits = stapes__realloc(d->logits, count, sizeof *logits);
    if (!logits)
        return stapes__fail_memory(err, "logits");
    d->logits = logits;
    d->logit_rows = rows;
    return STAPES_OK;
}

/* Runs the net and refuses NaN, which every comparison of the rules would let through. */
static stapes_status run_step(stapes__whisper_sampler *d, stapes__whisper_net_step *step,
                              stapes_error *err) {
    stapes_status status = need_logits(d, step->n * step->n_rows, err);
    if (status != STAPES_OK)
        return status;
    step->logits = d->logits;
    status = d->net->table->step(d->net, step, err);
    if (status != STAPES_OK)
        return status;
    size_t count = step->n * step->n_rows * d->net->vocabulary;
    int bad = 0;
    for (size_t i = 0; i < count; i++)
        bad |= d->logits[i] != d->logits[i];
    return bad ? stapes__fail(err, STAPES_E_NUMERIC, "the Whisper decoder produced NaN logits")
               : STAPES_OK;
}

stapes_status stapes__whisper_initial_tokens(const stapes__whisper_layout *layout, size_t context,
                                             const stapes__whisper_options *options, int32_t **out,
                                             size_t *count, size_t *sot, stapes_error *err) {
    int32_t start[STAPES__WHISPER_MAX_SOT];
    size_t n_start = stapes__whisper_sot_sequence(layout, options->language, options->task,
                                                  options->timestamps, start);
    size_t half = context / 2, prompt = options->prompt_count, prefix = options->prefix_count;
    /* A shorter sample leaves room for a prefix; the full one does not bound it. */
    if (options->sample_len > 0 && options->sample_len < half &&
        prefix > half - options->sample_len)
        prefix = half - options->sample_len;
    if (prompt > half - 1)
        prompt = half - 1;
    size_t total = (prompt ? prompt + 1 : 0) + n_start + prefix;
    *out = NULL;
    if (total > context)
        return stapes__fail(err, STAPES_E_ARGUMENT,
                            "a prefix of %zu tokens does not fit into the context of %zu", prefix,
                            context);
    int32_t *tokens = stapes__calloc(total, sizeof *tokens);
    if (!tokens)
        return stapes__fail_memory(err, "initial tokens");
    size_t n = 0;
    if (prompt) {
        tokens[n++] = layout->startofprev;
        memcpy(tokens + n, options->prompt + options->prompt_count - prompt,
               prompt * sizeof *tokens);
        n += prompt;
    }
    *sot = n;
    memcpy(tokens + n, start, n_start * sizeof *tokens);
    n += n_start;
    if (prefix)
        memcpy(tokens + n, options->prefix + options->prefix_count - prefix,
               prefix * sizeof *tokens);
    *out = tokens;
    *count = total;
    return STAPES_OK;
}

static stapes_status task_open(task *t, stapes__whisper_sampler *d,
                               const stapes__whisper_options *options, stapes_error *err) {
    *t = (task){.d = d, .options = options, .random = {options->seed}};
    size_t context = d->net->context, max = 1;
    bool beam = options->temperature <= 0 && options->beam > 0;
    if (beam)
        max = options->beam;
    else if (options->temperature > 0 && options->best_of > 1)
        max = options->best_of;
    if (max > 256)
        return stapes__fail(err, STAPES_E_ARGUMENT, "%zu hypotheses are too many", max);
    t->filters = (stapes__whisper_filters){
        .layout = &d->layout,
        .blank = options->suppress_blank ? &d->blank : NULL,
        .suppress = options->suppress,
        .timestamps = options->timestamps,
        .max_initial = options->max_initial_timestamp > 0
                           ? (int)rint(options->max_initial_timestamp / 0.02)
                           : -1};
    stapes_status status = stapes__whisper_initial_tokens(&d->layout, context, options, &t->initial,
                                                          &t->initial_count, &t->sot, err);
    if (status == STAPES_OK)
        status = stapes__whisper_group_open(&t->group, max, context + 2, err);
    if (status == STAPES_OK && beam)
        status = stapes__whisper_beam_open(&t->beam, max, options->patience, d->layout.eot,
                                           context + 2, err);
    t->slots = stapes__calloc(max, sizeof *t->slots);
    t->sources = stapes__calloc(max, sizeof *t->sources);
    t->last = stapes__calloc(max, sizeof *t->last);
    t->rows = stapes__calloc(max, sizeof *t->rows);
    if (status == STAPES_OK && (!t->slots || !t->sources || !t->last || !t->rows))
        status = stapes__fail_memory(err, "hypotheses");
    return status;
}

static void task_close(task *t) {
    stapes__whisper_group_close(&t->group);
    if (t->beam.width)
        stapes__whisper_beam_close(&t->beam);
    free(t->slots);
    free(t->sources);
    free(t->last);
    free(t->rows);
    free(t->initial);
}

/* Filters the rows of the last step and appends a token to every sequence. first_row: where the
 * logits of the last position begin; stride: rows per hypothesis. */
static void choose(task *t, size_t first_row, size_t stride, size_t n_rows) {
    stapes__whisper_sampler *d = t->d;
    stapes__whisper_group *group = &t->group;
    size_t vocabulary = d->net->vocabulary;
    for (size_t slot = 0; slot < n_rows; slot++) {
        size_t owner = 0; /* any sequence of this row: those of the first step are all empty */
        while (owner < group->n && t->slots[owner] != slot)
            owner++;
        stapes__whisper_filter(&t->filters, group->tokens + owner * group->room, group->length,
                               d->logits + (slot * stride + first_row) * vocabulary);
    }
    for (size_t i = 0; i < group->n; i++)
        t->rows[i] = t->slots[i] == SIZE_MAX
                         ? NULL
                         : d->logits + (t->slots[i] * stride + first_row) * vocabulary;
    if (t->beam.width)
        t->completed = stapes__whisper_beam_update(&t->beam, group, t->rows, vocabulary);
    else
        t->completed = stapes__whisper_greedy(group, t->rows, vocabulary, d->layout.eot,
                                              t->options->temperature, &t->random);
}

/* The initial tokens, once for all hypotheses. */
static stapes_status first_step(task *t, stapes_error *err) {
    stapes__whisper_sampler *d = t->d;
    size_t rows[2] = {t->sot, t->initial_count - 1};
    bool one = rows[0] == rows[1];
    stapes__whisper_net_step step = {.tokens = t->initial,
                                     .n = 1,
                                     .count = t->initial_count,
                                     .first = true,
                                     .rows = rows,
                                     .n_rows = one ? 1 : 2};
    stapes_status status = run_step(d, &step, err);
    if (status != STAPES_OK)
        return status;
    t->no_speech = exp((double)d->logits[d->layout.nospeech] -
                       stapes__whisper_logsumexp(d->logits, d->net->vocabulary));
    /* A beam fans out from one sequence; samples are drawn separately from the same row. */
    t->group.n = t->beam.width ? 1 : t->group.max;
    choose(t, one ? 0 : 1, one ? 1 : 2, 1);
    return STAPES_OK;
}

/* Sequences that have ended are not fed any more. */
static stapes_status next_step(task *t, stapes_error *err) {
    stapes__whisper_group *group = &t->group;
    int32_t eot = t->d->layout.eot;
    static const size_t zero[1] = {0};
    size_t n = 0;
    for (size_t i = 0; i < group->n; i++) {
        int32_t last = group->tokens[i * group->room + group->length - 1];
        size_t from = t->beam.width ? t->beam.sources[i] : t->slots[i];
        t->slots[i] = SIZE_MAX;
        if (!t->beam.width && last == eot)
            continue;
        t->last[n] = last;
        t->sources[n] = from;
        t->slots[i] = n++;
    }
    stapes__whisper_net_step step = {
        .tokens = t->last, .n = n, .count = 1, .sources = t->sources, .rows = zero, .n_rows = 1};
    stapes_status status = run_step(t->d, &step, err);
    if (status == STAPES_OK)
        choose(t, 0, 1, n);
    return status;
}

/* The best sequence of the task into the result. */
static stapes_status conclude(task *t, stapes__whisper_result *result, stapes_error *err) {
    stapes__whisper_group *group = &t->group;
    size_t *lengths = t->sources;
    int32_t eot = t->d->layout.eot;
    if (t->beam.width) {
        stapes__whisper_beam_finish(&t->beam, group);
        group = &t->beam.finished;
        lengths = t->beam.lengths;
    } else {
        for (size_t i = 0; i < group->n; i++) {
            lengths[i] = 0;
            while (lengths[i] < group->length && group->tokens[i * group->room + lengths[i]] != eot)
                lengths[i]++;
        }
    }
    size_t best = stapes__whisper_rank(group->sums, lengths, group->n, t->options->length_penalty);
    size_t count = lengths[best];
    result->tokens = stapes__calloc(count + 1, sizeof *result->tokens);
    if (!result->tokens)
        return stapes__fail_memory(err, "decoded tokens");
    memcpy(result->tokens, group->tokens + best * group->room, count * sizeof *result->tokens);
    result->count = count;
    result->avg_logprob = group->sums[best] / (double)(count + 1);
    result->no_speech_prob = t->no_speech;
    result->temperature = t->options->temperature;
    result->truncated = count >= t->group.length;
    result->loops = stapes__whisper_loops(result->tokens, count, eot);
    return STAPES_OK;
}

/* Compression ratio of the text without its outer white space. */
static stapes_status measure(const stapes__whisper_sampler *d, stapes__whisper_result *result,
                             stapes_error *err) {
    stapes__buf text = {0};
    stapes_status status = STAPES_OK;
    for (size_t i = 0, from = 0; status == STAPES_OK && i <= result->count; i++) {
        if (i < result->count && result->tokens[i] < d->layout.eot)
            continue;
        status = stapes__tokenizer_decode(d->tokenizer, result->tokens + from, i - from,
                                          STAPES__DECODE_PLAIN, &text, err);
        from = i + 1;
    }
    if (status == STAPES_OK && text.length > 0) {
        size_t length = text.length;
        const char *stripped = stapes__whisper_strip(text.data, &length);
        status =
            stapes__whisper_compression_ratio(stripped, length, &result->compression_ratio, err);
    }
    stapes__buf_free(&text);
    return status;
}

stapes_status stapes__whisper_decode_window(stapes__whisper_sampler *decoder,
                                            const stapes__whisper_options *options,
                                            stapes__whisper_result *result, stapes_error *err) {
    *result = (stapes__whisper_result){0};
    task t;
    stapes_status status = task_open(&t, decoder, options, err);
    size_t context = decoder->net->context;
    size_t limit = options->sample_len ? options->sample_len : context / 2;
    if (status == STAPES_OK)
        status = first_step(&t, err);
    while (status == STAPES_OK && !t.completed && t.group.length < limit &&
           t.initial_count + t.group.length <= context)
        status = next_step(&t, err);
    if (status == STAPES_OK)
        status = conclude(&t, result, err);
    if (status == STAPES_OK)
        status = measure(decoder, result, err);
    task_close(&t);
    if (status != STAPES_OK)
        stapes__whisper_result_free(result);
    return status;
}

stapes_status stapes__whisper_detect_language(stapes__whisper_sampler *decoder, const bool *allowed,
                                              float probabilities[STAPES__WHISPER_MAX_LANGUAGES],
                                              int *best, stapes_error *err) {
    const stapes__whisper_layout *layout = &decoder->layout;
    if (!layout->multilingual)
        return stapes__fail(err, STAPES_E_ARGUMENT, "an English-only model detects no language");
    static const size_t zero[1] = {0};
    int32_t sot[1] = {layout->sot};
    stapes__whisper_net_step step = {
        .tokens = sot, .n = 1, .count = 1, .first = true, .rows = zero, .n_rows = 1};
    stapes_status status = run_step(decoder, &step, err);
    if (status != STAPES_OK)
        return status;
    float *logits = decoder->logits + layout->first_language;
    *best = -1;
    for (int i = 0; i < layout->languages; i++) {
        if (allowed && !allowed[i])
            logits[i] = -INFINITY;
        else if (*best < 0 || logits[i] > logits[*best])
            *best = i;
    }
    if (*best < 0)
        return stapes__fail(err, STAPES_E_ARGUMENT, "no language is allowed");
    double sum = stapes__whisper_logsumexp(logits, (size_t)layout->languages);
    for (int i = 0; i < STAPES__WHISPER_MAX_LANGUAGES; i++)
        probabilities[i] = i < layout->languages ? (float)exp((double)logits[i] - sum) : 0.0F;
    return STAPES_OK;
}
