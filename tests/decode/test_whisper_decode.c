/* One window against openai-whisper, with numbers that both can repeat in place of the networks:
 * tests/vectors/whisper/decode, made by lab/make_whisper_vectors.py. */
#include <math.h>

#include "decode/whisper/decode.h"
#include "decode/whisper/words.h"
#include "whisper_support.h"

enum { MAX_ROWS = 8, CONTEXT = 448 };

/* Logits are a hash of all tokens of a hypothesis; it keeps them, as a cache would, and reorders
 * them by index. */
typedef struct hash_net {
    stapes__whisper_net net;
    stapes__whisper_layout layout;
    int32_t tokens[MAX_ROWS][CONTEXT];
    size_t n, length;
    size_t fed, steps; /* tokens and calls in all */
    bool nan;
} hash_net;

static void hashed(const hash_net *net, const int32_t *history, size_t length, float *logits) {
    uint32_t h = 2166136261U;
    for (size_t i = 0; i < length; i++)
        h = (h ^ (uint32_t)history[i]) * 16777619U;
    for (uint32_t v = 0; v < net->net.vocabulary; v++)
        logits[v] = (float)((((v * 2654435761U) ^ h) * 2246822519U) >> 8) / 16777216.0F * 8.0F;
    logits[300 + (h >> 3) % 20000] += 7.0F;
    if (h % 5 == 0)
        logits[(size_t)net->layout.timestamp_begin + length * 4] += 14.0F;
    logits[net->layout.eot] += 0.5F * (float)(length % 64);
    if (net->nan)
        logits[77] = NAN;
}

static stapes_status hash_step(stapes__whisper_net *base, const stapes__whisper_net_step *step,
                               stapes_error *err) {
    (void)err;
    hash_net *net = (hash_net *)base;
    static int32_t old[MAX_ROWS][CONTEXT];
    memcpy(old, net->tokens, sizeof old);
    size_t before = step->first ? 0 : net->length;
    assert_true(step->n >= 1 && step->n <= MAX_ROWS && before + step->count <= CONTEXT);
    for (size_t i = 0; i < step->n; i++) {
        size_t from = step->sources && !step->first ? step->sources[i] : i;
        assert_true(step->first || from < net->n);
        memcpy(net->tokens[i], old[from], before * sizeof old[0][0]);
        memcpy(net->tokens[i] + before, step->tokens + i * step->count,
               step->count * sizeof old[0][0]);
        for (size_t k = 0; k < step->n_rows; k++)
            hashed(net, net->tokens[i], before + step->rows[k] + 1,
                   step->logits + (i * step->n_rows + k) * base->vocabulary);
    }
    net->n = step->n;
    net->length = before + step->count;
    net->fed += step->n * step->count;
    net->steps++;
    return STAPES_OK;
}

static const stapes__whisper_net_table hash_table = {NULL, hash_step};

static hash_net hash_net_of(const char *layout) {
    hash_net net = {.layout = layout_named(layout)};
    net.net = (stapes__whisper_net){.table = &hash_table,
                                    .n_mels = 80,
                                    .vocabulary = (size_t)net.layout.vocabulary,
                                    .context = CONTEXT};
    return net;
}

static double option(json_t *options, const char *name, double otherwise) {
    json_t *value = json_object_get(options, name);
    return !value ? otherwise : json_is_null(value) ? 0 : json_number_value(value);
}

static int32_t *option_ids(json_t *options, const char *name, size_t *count) {
    json_t *value = json_object_get(options, name);
    *count = 0;
    return value ? ids_of(value, count) : NULL;
}

static stapes__whisper_ids suppressed_of(json_t *options, const stapes__whisper_layout *layout,
                                         const stapes__tokenizer *tokenizer) {
    int32_t wanted[8] = {-1};
    size_t n = 1;
    const char *text = json_string_value(json_object_get(options, "suppress_tokens"));
    if (text)
        n = 0;
    /* openai-whisper takes an empty string for "nothing at all", special ids included. */
    stapes__whisper_ids ids = {0};
    if (text && !*text)
        return ids;
    for (char *end; text && *text; text = *end ? end + 1 : end)
        wanted[n++] = (int32_t)strtol(text, &end, 10);
    stapes_error err;
    assert_ok(stapes__whisper_suppressed(layout, tokenizer, wanted, n, &ids, &err), err);
    return ids;
}

static void run_case(json_t *c) {
    const char *name = string(c, "name"), *layout = string(c, "layout");
    hash_net net = hash_net_of(layout);
    stapes__tokenizer *tokenizer = vocabulary_of(layout);
    stapes__whisper_sampler *decoder;
    stapes_error err;
    assert_ok(stapes__whisper_sampler_open(&decoder, &net.net, tokenizer, &err), err);
    json_t *o = field(c, "options");
    stapes__whisper_options options = stapes__whisper_default_options();
    options.beam = (size_t)option(o, "beam_size", 0);
    options.patience = option(o, "patience", 0);
    options.length_penalty = option(o, "length_penalty", -1);
    options.sample_len = (size_t)option(o, "sample_len", 0);
    options.max_initial_timestamp = option(o, "max_initial_timestamp", 1.0);
    options.timestamps = !json_is_true(json_object_get(o, "without_timestamps"));
    options.suppress_blank = !json_is_false(json_object_get(o, "suppress_blank"));
    options.task =
        json_object_get(o, "task") ? STAPES__WHISPER_TRANSLATE : STAPES__WHISPER_TRANSCRIBE;
    int32_t *prompt = option_ids(o, "prompt", &options.prompt_count);
    int32_t *prefix = option_ids(o, "prefix", &options.prefix_count);
    options.prompt = prompt;
    options.prefix = prefix;
    stapes__whisper_ids suppress = suppressed_of(o, &net.layout, tokenizer);
    options.suppress = &suppress;

    int32_t *initial;
    size_t count, sot;
    assert_ok(stapes__whisper_initial_tokens(&net.layout, CONTEXT, &options, &initial, &count, &sot,
                                             &err),
              err);
    assert_ids(name, initial, count, field(c, "initial_tokens"));
    assert_int_equal(initial[sot], net.layout.sot);
    stapes__whisper_result result;
    assert_ok(stapes__whisper_decode_window(decoder, &options, &result, &err), err);
    assert_ids(name, result.tokens, result.count, field(c, "tokens"));
    assert_near(name, result.avg_logprob, number(c, "avg_logprob"), 1e-5);
    double no_speech = number(c, "no_speech_prob");
    assert_near(name, result.no_speech_prob / no_speech, 1, 1e-4);
    assert_true(result.truncated == (options.sample_len > 0 && result.count == options.sample_len));
    stapes__whisper_result_free(&result);
    free(initial);
    free(prompt);
    free(prefix);
    stapes__whisper_ids_free(&suppress);
    stapes__whisper_sampler_close(&decoder);
    stapes__tokenizer_close(&tokenizer);
}

static void test_cases(void **state) {
    (void)state;
    vectors v = vectors_open("whisper/decode");
    size_t i;
    json_t *c;
    assert_int_equal(json_array_size(field(v.info, "decode")), 17);
    json_array_foreach(field(v.info, "decode"), i, c) run_case(c);
    vectors_close(&v);
}

typedef struct fixture {
    hash_net net;
    stapes__tokenizer *tokenizer;
    stapes__whisper_sampler *decoder;
} fixture;

static fixture *open_fixture(const char *layout) {
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    stapes_error err;
    f->net = hash_net_of(layout);
    f->tokenizer = vocabulary_of(layout);
    assert_ok(stapes__whisper_sampler_open(&f->decoder, &f->net.net, f->tokenizer, &err), err);
    return f;
}

static void close_fixture(fixture *f) {
    stapes__whisper_sampler_close(&f->decoder);
    stapes__tokenizer_close(&f->tokenizer);
    free(f);
}

/* The same seed gives the same text, another one another; the prompt is fed once for all samples
 * and ended samples are not fed any more. */
static void test_best_of(void **state) {
    (void)state;
    fixture *f = open_fixture("multi");
    stapes__whisper_options options = stapes__whisper_default_options();
    options.temperature = 1.0;
    options.best_of = 5;
    options.sample_len = 12;
    stapes_error err;
    stapes__whisper_result a, b, other;
    options.seed = 1;
    assert_ok(stapes__whisper_decode_window(f->decoder, &options, &a, &err), err);
    assert_true(f->net.fed <= 3 + 5 * 11);
    assert_int_equal(f->net.length, 3 + f->net.steps - 1);
    assert_ok(stapes__whisper_decode_window(f->decoder, &options, &b, &err), err);
    options.seed = 2;
    assert_ok(stapes__whisper_decode_window(f->decoder, &options, &other, &err), err);
    assert_int_equal(a.count, b.count);
    assert_memory_equal(a.tokens, b.tokens, a.count * sizeof *a.tokens);
    assert_true(a.avg_logprob == b.avg_logprob);
    assert_true(other.avg_logprob != a.avg_logprob);
    assert_true(a.temperature == 1.0 && a.tokens[0] >= f->net.layout.timestamp_begin);
    stapes__whisper_result_free(&a);
    stapes__whisper_result_free(&b);
    stapes__whisper_result_free(&other);
    close_fixture(f);
}

/* A single sample at temperature 0 equals the cached tokens: every token is fed exactly once. */
static void test_tokens_fed_once(void **state) {
    (void)state;
    fixture *f = open_fixture("multi");
    stapes__whisper_options options = stapes__whisper_default_options();
    stapes__whisper_result result;
    stapes_error err;
    assert_ok(stapes__whisper_decode_window(f->decoder, &options, &result, &err), err);
    assert_false(result.truncated);
    assert_int_equal(f->net.fed, 3 + result.count); /* eot is not fed */
    stapes__whisper_result_free(&result);
    close_fixture(f);
}

/* Prompt, prefix and samples stop at the context. */
static void test_context_limit(void **state) {
    (void)state;
    fixture *f = open_fixture("multi");
    int32_t eot[] = {50257}, filler[440];
    for (size_t i = 0; i < 440; i++)
        filler[i] = 400;
    stapes__whisper_ids never = {eot, 1};
    stapes__whisper_options options = stapes__whisper_default_options();
    options.suppress = &never;
    options.prompt = options.prefix = filler;
    options.prompt_count = 440;
    options.prefix_count = 200;
    stapes__whisper_result result;
    stapes_error err;
    assert_ok(stapes__whisper_decode_window(f->decoder, &options, &result, &err), err);
    assert_true(result.truncated);
    assert_int_equal(result.count, CONTEXT + 1 - (224 + 3 + 200));
    assert_int_equal(f->net.length, CONTEXT);
    stapes__whisper_result_free(&result);
    options.prefix_count = 300;
    assert_int_equal(stapes__whisper_decode_window(f->decoder, &options, &result, &err),
                     STAPES_E_ARGUMENT);
    assert_null(result.tokens);
    close_fixture(f);
}

static void test_bad_numbers(void **state) {
    (void)state;
    fixture *f = open_fixture("multi");
    stapes__whisper_options options = stapes__whisper_default_options();
    stapes__whisper_result result;
    stapes_error err;
    f->net.nan = true;
    assert_int_equal(stapes__whisper_decode_window(f->decoder, &options, &result, &err),
                     STAPES_E_NUMERIC);
    f->net.nan = false;
    options.beam = 1000;
    assert_int_equal(stapes__whisper_decode_window(f->decoder, &options, &result, &err),
                     STAPES_E_ARGUMENT);
    close_fixture(f);
}

static void test_language(void **state) {
    (void)state;
    fixture *f = open_fixture("multi");
    float p[STAPES__WHISPER_MAX_LANGUAGES], logits[51866];
    int best;
    stapes_error err;
    assert_ok(stapes__whisper_detect_language(f->decoder, NULL, p, &best, &err), err);
    hashed(&f->net, (const int32_t[]){f->net.layout.sot}, 1, logits);
    const float *row = logits + f->net.layout.first_language;
    double sum = 0, total = 0;
    int want = 0;
    for (int i = 0; i < 99; i++) {
        sum += exp((double)row[i]);
        want = row[i] > row[want] ? i : want;
        total += (double)p[i];
    }
    assert_int_equal(best, want);
    assert_near("best", (double)p[best], exp((double)row[want]) / sum, 1e-5);
    assert_near("total", total, 1, 1e-5);
    assert_true(p[99] == 0);
    bool allowed[STAPES__WHISPER_MAX_LANGUAGES] = {false};
    assert_int_equal(stapes__whisper_detect_language(f->decoder, allowed, p, &best, &err),
                     STAPES_E_ARGUMENT);
    allowed[7] = true;
    assert_ok(stapes__whisper_detect_language(f->decoder, allowed, p, &best, &err), err);
    assert_int_equal(best, 7);
    assert_near("only one", (double)p[7], 1, 1e-6);
    close_fixture(f);
    f = open_fixture("en");
    assert_int_equal(stapes__whisper_detect_language(f->decoder, NULL, p, &best, &err),
                     STAPES_E_ARGUMENT);
    close_fixture(f);
}

/* Attention of two layers of two heads, of which (0, 1), (1, 0), (1, 1) align: noise and a ridge.
 */
typedef struct attention_net {
    stapes__whisper_net net;
    float *scores;         /* [4][tokens][frames] */
    const int32_t *tokens; /* the whole input */
    size_t count, frames, fed;
} attention_net;

static stapes_status attention_step(stapes__whisper_net *base, const stapes__whisper_net_step *step,
                                    stapes_error *err) {
    (void)err;
    attention_net *net = (attention_net *)base;
    net->fed = step->first ? 0 : net->fed;
    memset(step->logits, 0, step->n_rows * base->vocabulary * sizeof *step->logits);
    for (size_t i = 0; i < step->count; i++) {
        size_t at = net->fed + i;
        assert_int_equal(step->tokens[i], net->tokens[at]);
        if (at + 1 < net->count)
            step->logits[i * base->vocabulary + (size_t)net->tokens[at + 1]] =
                10.0F + (float)(at % 5);
        for (size_t h = 0; h < step->n_heads; h++) {
            size_t head = step->heads[h].layer * 2U + step->heads[h].head;
            memcpy(step->attention + (h * step->count + i) * step->frames,
                   net->scores + (head * net->count + at) * net->frames,
                   net->frames * sizeof *net->scores);
        }
    }
    net->fed += step->count;
    return STAPES_OK;
}

static const stapes__whisper_net_table attention_table = {NULL, attention_step};
static const stapes__whisper_head three_heads[] = {{0, 1}, {1, 0}, {1, 1}};

static float *noise_and_ridge(size_t count, size_t frames, uint32_t s) {
    float *scores = calloc(4 * count * frames + 1, sizeof *scores);
    assert_non_null(scores);
    for (size_t i = 0; i < 4 * count * frames; i++) {
        s = s * 1664525U + 1013904223U;
        double x = ((double)(s >> 16) - 32768) / 32768.0 * 2.0;
        size_t t = i / frames % count, f = i % frames, at = t * frames / count;
        scores[i] =
            (float)exp((double)(float)(x + (f >= at && f <= at + frames / count ? 4.0 : 0.0)));
    }
    return scores;
}

static void align_case(json_t *c) {
    stapes__whisper_layout layout = layout_named("multi");
    stapes__tokenizer *tokenizer = vocabulary_of("multi");
    size_t count, i, mel = (size_t)whole(c, "frames");
    int32_t *text = ids_of(field(c, "tokens"), &count);
    int32_t *all = calloc(count + 5, sizeof *all);
    int language = stapes__whisper_language_index(&layout, string(c, "language"));
    size_t n =
        stapes__whisper_sot_sequence(&layout, language, STAPES__WHISPER_TRANSCRIBE, false, all);
    memcpy(all + n, text, count * sizeof *all);
    all[n + count] = layout.eot;
    attention_net net = {.net = {&attention_table, 80, 51865, CONTEXT, three_heads, 3},
                         .tokens = all,
                         .count = n + count + 1,
                         .frames = mel / 2};
    net.scores = noise_and_ridge(net.count, net.frames, (uint32_t)whole(c, "seed"));
    stapes__whisper_words words = {0};
    stapes_error err;
    assert_ok(stapes__whisper_align(&net.net, &layout, tokenizer, language,
                                    STAPES__WHISPER_TRANSCRIBE, text, count, mel, &words, &err),
              err);
    json_t *want;
    assert_int_equal(words.count, json_array_size(field(c, "words")));
    json_array_foreach(field(c, "words"), i, want) {
        const stapes__whisper_word *word = &words.items[i];
        assert_string_equal(word->text, json_string_value(json_array_get(want, 0)));
        assert_ids(word->text, text + word->first, word->count, json_array_get(want, 1));
        assert_near(word->text, word->start, json_number_value(json_array_get(want, 2)), 1e-9);
        assert_near(word->text, word->end, json_number_value(json_array_get(want, 3)), 1e-9);
        assert_near(word->text, word->probability, json_number_value(json_array_get(want, 4)),
                    1e-4); /* the reference's softmax sums in float32 */
    }
    stapes__whisper_words_free(&words);
    /* A window of one frame has nothing to align with: all words at its start. */
    net.frames = 0;
    assert_ok(stapes__whisper_align(&net.net, &layout, tokenizer, language,
                                    STAPES__WHISPER_TRANSCRIBE, text, count, 1, &words, &err),
              err);
    assert_true(words.count > 0 && words.items[words.count - 1].end == 0);
    stapes__whisper_words_free(&words);
    free(net.scores);
    free(all);
    free(text);
    stapes__tokenizer_close(&tokenizer);
}

static void test_alignment(void **state) {
    (void)state;
    vectors v = vectors_open("whisper/decode");
    size_t i;
    json_t *c;
    json_array_foreach(field(v.info, "alignment"), i, c) align_case(c);
    vectors_close(&v);
}

static void test_alignment_limits(void **state) {
    (void)state;
    stapes__whisper_layout layout = layout_named("multi");
    stapes__whisper_net net = {&attention_table, 80, 51865, CONTEXT, three_heads, 3};
    stapes__whisper_words words = {0};
    stapes_error err;
    int32_t tokens[CONTEXT] = {0};
    assert_ok(stapes__whisper_align(&net, &layout, NULL, 0, STAPES__WHISPER_TRANSCRIBE, tokens, 0,
                                    3000, &words, &err),
              err);
    assert_int_equal(words.count, 0);
    assert_int_equal(stapes__whisper_align(&net, &layout, NULL, 0, STAPES__WHISPER_TRANSCRIBE,
                                           tokens, CONTEXT - 4, 3000, &words, &err),
                     STAPES_E_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),           cmocka_unit_test(test_best_of),
        cmocka_unit_test(test_tokens_fed_once), cmocka_unit_test(test_context_limit),
        cmocka_unit_test(test_bad_numbers),     cmocka_unit_test(test_language),
        cmocka_unit_test(test_alignment),       cmocka_unit_test(test_alignment_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
