/* Times of words: attention of the alignment heads, warped onto the encoder frames. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "decode/whisper/filters.h"
#include "decode/whisper/words.h"

enum { WIDTH = 7, HALF = WIDTH / 2 };

void stapes__whisper_median(float *x, size_t rows, size_t columns, float *scratch) {
    if (columns <= HALF)
        return;
    for (size_t r = 0; r < rows; r++) {
        float *row = x + r * columns;
        for (size_t i = 0; i < HALF; i++) {
            scratch[i] = row[HALF - i];
            scratch[HALF + columns + i] = row[columns - 2 - i];
        }
        memcpy(scratch + HALF, row, columns * sizeof *row);
        for (size_t c = 0; c < columns; c++) {
            float sorted[WIDTH];
            for (size_t k = 0; k < WIDTH; k++) {
                float value = scratch[c + k];
                size_t at = k;
                for (; at > 0 && sorted[at - 1] > value; at--)
                    sorted[at] = sorted[at - 1];
                sorted[at] = value;
            }
            row[c] = sorted[HALF];
        }
    }
}

enum { DIAGONAL, UP, LEFT };

/* Fills trace [n + 1][m + 1]; two columns of costs (in float, as the reference sums) are enough. */
static void warp(const float *cost, size_t n, size_t m, float *columns, uint8_t *trace) {
    float *before = columns, *now = columns + n + 1;
    for (size_t i = 0; i <= n; i++)
        before[i] = i == 0 ? 0.0F : INFINITY;
    for (size_t j = 1; j <= m; j++) {
        now[0] = INFINITY;
        for (size_t i = 1; i <= n; i++) {
            float diagonal = before[i - 1], up = now[i - 1], left = before[i], best = left;
            uint8_t move = LEFT;
            if (diagonal < up && diagonal < left) {
                best = diagonal;
                move = DIAGONAL;
            } else if (up < diagonal && up < left) {
                best = up;
                move = UP;
            }
            now[i] = (float)((double)cost[(i - 1) * m + j - 1] + (double)best);
            trace[i * (m + 1) + j] = move;
        }
        float *swap = before;
        before = now;
        now = swap;
    }
    for (size_t i = 0; i <= n; i++)
        trace[i * (m + 1)] = UP;
    for (size_t j = 0; j <= m; j++)
        trace[j] = LEFT;
}

stapes_status stapes__whisper_dtw(const float *cost, size_t n, size_t m, size_t *jumps,
                                  int32_t *path_rows, int32_t *path_columns, size_t *path_length,
                                  stapes_error *err) {
    size_t cells;
    uint8_t *trace = NULL;
    float *columns = stapes__calloc(2 * (n + 1), sizeof *columns);
    if (stapes__mul_size(n + 1, m + 1, &cells))
        trace = stapes__calloc(cells, 1);
    if (!columns || !trace) {
        free(columns);
        free(trace);
        return stapes__fail_memory(err, "alignment");
    }
    warp(cost, n, m, columns, trace);
    size_t i = n, j = m, length = 0;
    while (i > 0 && j > 0) {
        jumps[i - 1] = j - 1; /* the last visit, going back, is the first column */
        if (path_rows) {
            path_rows[length] = (int32_t)i - 1;
            path_columns[length] = (int32_t)j - 1;
        }
        length++;
        uint8_t move = trace[i * (m + 1) + j];
        i -= move != LEFT;
        j -= move != UP;
    }
    for (size_t a = 0, b = length; path_rows && a + 1 < b--; a++) {
        int32_t row = path_rows[a], column = path_columns[a];
        path_rows[a] = path_rows[b];
        path_columns[a] = path_columns[b];
        path_rows[b] = row;
        path_columns[b] = column;
    }
    if (path_length)
        *path_length = length;
    free(columns);
    free(trace);
    return STAPES_OK;
}

/* Sum 1 over the frames of each token, then zero mean and unit deviation over the tokens of each
 * frame. w [tokens][frames]. */
static void normalise_head(float *w, size_t tokens, size_t frames) {
    for (size_t t = 0; t < tokens; t++) {
        float *row = w + t * frames;
        double sum = 0;
        for (size_t f = 0; f < frames; f++)
            sum += (double)row[f];
        for (size_t f = 0; sum > 0 && f < frames; f++)
            row[f] = (float)((double)row[f] / sum);
    }
    for (size_t f = 0; f < frames; f++) {
        double mean = 0, square = 0;
        for (size_t t = 0; t < tokens; t++)
            mean += (double)w[t * frames + f];
        mean /= (double)tokens;
        for (size_t t = 0; t < tokens; t++)
            square += ((double)w[t * frames + f] - mean) * ((double)w[t * frames + f] - mean);
        double deviation = sqrt(square / (double)tokens);
        for (size_t t = 0; t < tokens; t++)
            w[t * frames + f] =
                deviation > 0 ? (float)(((double)w[t * frames + f] - mean) / deviation) : 0.0F;
    }
}

stapes_status stapes__whisper_attention_cost(float *attention, size_t heads, size_t tokens,
                                             size_t frames, size_t from, size_t to, float *cost,
                                             stapes_error *err) {
    float *scratch = stapes__calloc(frames + 2 * HALF, sizeof *scratch);
    if (!scratch)
        return stapes__fail_memory(err, "alignment");
    memset(cost, 0, (to - from) * frames * sizeof *cost);
    for (size_t h = 0; h < heads; h++) {
        float *head = attention + h * tokens * frames;
        normalise_head(head, tokens, frames);
        stapes__whisper_median(head + from * frames, to - from, frames, scratch);
        for (size_t i = 0; i < (to - from) * frames; i++)
            cost[i] -= head[from * frames + i] / (float)heads;
    }
    free(scratch);
    return STAPES_OK;
}

/* Buffers of one alignment. */
typedef struct aligning {
    int32_t *tokens;         /* sot sequence, notimestamps, text, eot */
    size_t count, sot, text; /* text: number of text tokens */
    size_t frames;
    float *attention, *piece, *logits, *cost;
    double *probabilities; /* [text] */
    size_t *jumps;         /* [text + 1] */
} aligning;

enum { CHUNK = 16 };

static stapes_status aligning_open(aligning *a, const stapes__whisper_net *net,
                                   const stapes__whisper_layout *layout, int language,
                                   stapes__whisper_task task, const int32_t *tokens, size_t count,
                                   stapes_error *err) {
    int32_t start[STAPES__WHISPER_MAX_SOT];
    size_t n = stapes__whisper_sot_sequence(layout, language, task, false, start);
    a->sot = n - 1;
    a->text = count;
    a->count = n + count + 1;
    if (count > net->context || a->count > net->context)
        return stapes__fail(err, STAPES_E_ARGUMENT, "%zu tokens are too many to align", count);
    a->tokens = stapes__calloc(a->count, sizeof *a->tokens);
    a->attention = stapes__calloc(net->n_heads * a->count * a->frames + 1, sizeof *a->attention);
    a->piece = stapes__calloc(net->n_heads * CHUNK * a->frames + 1, sizeof *a->piece);
    a->logits = stapes__calloc(CHUNK * net->vocabulary, sizeof *a->logits);
    a->cost = stapes__calloc((count + 1) * a->frames + 1, sizeof *a->cost);
    a->probabilities = stapes__calloc(count, sizeof *a->probabilities);
    a->jumps = stapes__calloc(count + 1, sizeof *a->jumps);
    if (!a->tokens || !a->attention || !a->piece || !a->logits || !a->cost || !a->probabilities ||
        !a->jumps)
        return stapes__fail_memory(err, "alignment");
    memcpy(a->tokens, start, n * sizeof *start);
    memcpy(a->tokens + n, tokens, count * sizeof *tokens);
    a->tokens[a->count - 1] = layout->eot;
    return STAPES_OK;
}

static void aligning_close(aligning *a) {
    free(a->tokens);
    free(a->attention);
    free(a->piece);
    free(a->logits);
    free(a->cost);
    free(a->probabilities);
    free(a->jumps);
}

/* Feeds tokens [at, at + n) and keeps their attention and the probabilities of what follows them.
 */
static stapes_status feed(aligning *a, stapes__whisper_net *net, int32_t eot, size_t at, size_t n,
                          stapes_error *err) {
    size_t rows[CHUNK];
    for (size_t i = 0; i < n; i++)
        rows[i] = i;
    stapes__whisper_net_step step = {.tokens = a->tokens + at,
                                     .n = 1,
                                     .count = n,
                                     .first = at == 0,
                                     .rows = rows,
                                     .n_rows = n,
                                     .logits = a->logits,
                                     .heads = net->heads,
                                     .n_heads = a->frames ? net->n_heads : 0,
                                     .frames = a->frames,
                                     .attention = a->piece};
    stapes_status status = net->table->step(net, &step, err);
    if (status != STAPES_OK)
        return status;
    for (size_t h = 0; h < step.n_heads; h++)
        memcpy(a->attention + (h * a->count + at) * a->frames, a->piece + h * n * a->frames,
               n * a->frames * sizeof *a->attention);
    for (size_t i = 0; i < n; i++) {
        size_t position = at + i;
        if (position < a->sot || position >= a->sot + a->text)
            continue;
        const float *row = a->logits + i * net->vocabulary;
        int32_t next = a->tokens[position + 1];
        double p = exp((double)row[next] - stapes__whisper_logsumexp(row, (size_t)eot));
        if (isnan(p))
            return stapes__fail(err, STAPES_E_NUMERIC,
                                "the Whisper decoder produced NaN logits in the alignment");
        a->probabilities[position - a->sot] = p;
    }
    return STAPES_OK;
}

/* Start of word i is where its first token begins; its end is where the next word begins. */
static void put_times(const aligning *a, stapes__whisper_words *words) {
    const double per_second = (double)STAPES__WHISPER_FRAMES_PER_SECOND / STAPES__WHISPER_STRIDE;
    for (size_t i = 0; i < words->count; i++) {
        stapes__whisper_word *word = &words->items[i];
        double sum = 0;
        for (size_t k = 0; k < word->count; k++)
            sum += a->probabilities[word->first + k];
        word->probability = word->count ? sum / (double)word->count : 0;
        word->start = (double)a->jumps[word->first] / per_second;
        word->end = (double)a->jumps[word->first + word->count] / per_second;
    }
}

stapes_status stapes__whisper_align(stapes__whisper_net *net, const stapes__whisper_layout *layout,
                                    const stapes__tokenizer *tokenizer, int language,
                                    stapes__whisper_task task, const int32_t *tokens, size_t count,
                                    size_t mel_frames, stapes__whisper_words *words,
                                    stapes_error *err) {
    if (count == 0)
        return STAPES_OK;
    bool unspaced =
        layout->multilingual && stapes__whisper_unspaced(stapes__whisper_language_code(language));
    aligning a = {.frames = mel_frames / STAPES__WHISPER_STRIDE};
    stapes_status status = aligning_open(&a, net, layout, language, task, tokens, count, err);
    for (size_t at = 0; status == STAPES_OK && at < a.count; at += CHUNK)
        status = feed(&a, net, layout->eot, at, a.count - at < CHUNK ? a.count - at : CHUNK, err);
    if (status == STAPES_OK && a.frames > 0 && net->n_heads > 0) {
        status = stapes__whisper_attention_cost(a.attention, net->n_heads, a.count, a.frames, a.sot,
                                                a.count - 1, a.cost, err);
        if (status == STAPES_OK)
            status =
                stapes__whisper_dtw(a.cost, count + 1, a.frames, a.jumps, NULL, NULL, NULL, err);
    }
    if (status == STAPES_OK)
        status = stapes__whisper_split(layout, tokenizer, tokens, count, unspaced, words, err);
    if (status == STAPES_OK)
        put_times(&a, words);
    aligning_close(&a);
    return status;
}
