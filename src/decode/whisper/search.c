#include "decode/whisper/search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "decode/whisper/filters.h"

typedef struct stapes__whisper_candidate {
    size_t source;
    int32_t token;
    double score;
} candidate;

stapes_status stapes__whisper_group_open(stapes__whisper_group *group, size_t max, size_t room,
                                         stapes_error *err) {
    size_t cells;
    *group = (stapes__whisper_group){.max = max, .room = room};
    group->sums = stapes__calloc(max, sizeof *group->sums);
    if (stapes__mul_size(max, room, &cells))
        group->tokens = stapes__calloc(cells, sizeof *group->tokens);
    if (group->sums && group->tokens)
        return STAPES_OK;
    stapes__whisper_group_close(group);
    return stapes__fail_memory(err, "hypotheses");
}

void stapes__whisper_group_close(stapes__whisper_group *group) {
    free(group->tokens);
    free(group->sums);
    *group = (stapes__whisper_group){0};
}

double stapes__whisper_uniform(stapes__whisper_random *random) {
    uint64_t z = random->state += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-53;
}

int32_t stapes__whisper_pick(const float *x, size_t count, double temperature,
                             stapes__whisper_random *random) {
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (x[i] > x[best])
            best = i;
    if (temperature <= 0)
        return (int32_t)best;
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += exp(((double)x[i] - (double)x[best]) / temperature);
    double left = stapes__whisper_uniform(random) * sum;
    for (size_t i = 0; i < count; i++) {
        left -= exp(((double)x[i] - (double)x[best]) / temperature);
        if (left < 0)
            return (int32_t)i;
    }
    return (int32_t)best; /* rounding left a crumb */
}

bool stapes__whisper_greedy(stapes__whisper_group *group, const float *const *rows,
                            size_t vocabulary, int32_t eot, double temperature,
                            stapes__whisper_random *random) {
    bool completed = true;
    for (size_t i = 0; i < group->n; i++) {
        int32_t *tokens = group->tokens + i * group->room;
        int32_t next = eot;
        if (group->length == 0 || tokens[group->length - 1] != eot) {
            next = stapes__whisper_pick(rows[i], vocabulary, temperature, random);
            group->sums[i] +=
                (double)rows[i][next] - stapes__whisper_logsumexp(rows[i], vocabulary);
        }
        tokens[group->length] = next;
        completed &= next == eot;
    }
    group->length++;
    return completed;
}

stapes_status stapes__whisper_beam_open(stapes__whisper_beam *beam, size_t width, double patience,
                                        int32_t eot, size_t room, stapes_error *err) {
    double limit = rint((double)width * (patience > 0 ? patience : 1.0));
    *beam = (stapes__whisper_beam){.width = width, .eot = eot};
    if (width < 1 || limit < 1 || limit > 1000)
        return stapes__fail(err, STAPES_E_ARGUMENT, "beam %zu with patience %g", width, patience);
    beam->limit = (size_t)limit;
    size_t most = beam->limit > width ? beam->limit : width, cells = 0, pairs = 0;
    bool fits = stapes__mul_size(width, room, &cells) && stapes__mul_size(width, width + 1, &pairs);
    beam->lengths = stapes__calloc(most, sizeof *beam->lengths);
    beam->sources = stapes__calloc(width, sizeof *beam->sources);
    if (fits) {
        beam->kept = stapes__calloc(cells, sizeof *beam->kept);
        beam->candidates = stapes__calloc(pairs, sizeof *beam->candidates);
    }
    stapes_status status = stapes__whisper_group_open(&beam->finished, most, room, err);
    if (status == STAPES_OK &&
        (!beam->lengths || !beam->sources || !beam->kept || !beam->candidates))
        status = stapes__fail_memory(err, "beam");
    if (status != STAPES_OK)
        stapes__whisper_beam_close(beam);
    return status;
}

void stapes__whisper_beam_close(stapes__whisper_beam *beam) {
    stapes__whisper_group_close(&beam->finished);
    free(beam->lengths);
    free(beam->sources);
    free(beam->kept);
    free(beam->candidates);
    *beam = (stapes__whisper_beam){0};
}

void stapes__whisper_beam_reset(stapes__whisper_beam *beam) {
    beam->finished.n = 0;
}

/* The best count candidates of one row, highest first, the lower id first among equals. */
static size_t top(const float *row, size_t vocabulary, size_t count, candidate *out) {
    size_t n = 0;
    for (size_t i = 0; i < vocabulary; i++) {
        if (n == count && !((double)row[i] > out[n - 1].score))
            continue;
        size_t at = n < count ? n++ : n - 1;
        for (; at > 0 && (double)row[i] > out[at - 1].score; at--)
            out[at] = out[at - 1];
        out[at] = (candidate){.token = (int32_t)i, .score = (double)row[i]};
    }
    return n;
}

/* Identical sequences count once and continue the last row that made them. */
static bool merge_twin(candidate *all, size_t n, const stapes__whisper_group *group, candidate c) {
    const int32_t *mine = group->tokens + c.source * group->room;
    for (size_t i = 0; i < n; i++) {
        const int32_t *other = group->tokens + all[i].source * group->room;
        if (all[i].token != c.token || memcmp(mine, other, group->length * sizeof *mine) != 0)
            continue;
        all[i] = c;
        return true;
    }
    return false;
}

static size_t collect(stapes__whisper_beam *beam, const stapes__whisper_group *group,
                      const float *const *rows, size_t vocabulary) {
    size_t n = 0;
    for (size_t j = 0; j < group->n; j++) {
        candidate *mine = beam->candidates + n;
        size_t found = top(rows[j], vocabulary, beam->width + 1, mine), kept = 0;
        double base = group->sums[j] - stapes__whisper_logsumexp(rows[j], vocabulary);
        for (size_t i = 0; i < found; i++) {
            candidate c = {j, mine[i].token, base + mine[i].score};
            if (!merge_twin(beam->candidates, n, group, c))
                mine[kept++] = c;
        }
        n += kept;
    }
    /* Insertion keeps the order of equals; at most width * (width + 1) entries. */
    for (size_t i = 1; i < n; i++) {
        candidate c = beam->candidates[i];
        size_t at = i;
        for (; at > 0 && c.score > beam->candidates[at - 1].score; at--)
            beam->candidates[at] = beam->candidates[at - 1];
        beam->candidates[at] = c;
    }
    return n;
}

static void add_finished(stapes__whisper_beam *beam, const int32_t *tokens, size_t length,
                         double sum) {
    stapes__whisper_group *done = &beam->finished;
    memcpy(done->tokens + done->n * done->room, tokens, length * sizeof *tokens);
    beam->lengths[done->n] = length;
    done->sums[done->n++] = sum;
}

bool stapes__whisper_beam_update(stapes__whisper_beam *beam, stapes__whisper_group *group,
                                 const float *const *rows, size_t vocabulary) {
    size_t n = collect(beam, group, rows, vocabulary), kept = 0, bytes = group->length * 4;
    /* Sums may be overwritten only after collecting: candidates carry their own. */
    for (size_t i = 0; i < n && kept < beam->width; i++) {
        const candidate *c = &beam->candidates[i];
        const int32_t *tokens = group->tokens + c->source * group->room;
        if (c->token == beam->eot) {
            if (beam->finished.n < beam->limit)
                add_finished(beam, tokens, group->length, c->score);
            continue;
        }
        memcpy(beam->kept + kept * group->room, tokens, bytes);
        beam->kept[kept * group->room + group->length] = c->token;
        beam->sources[kept] = c->source;
        group->sums[kept++] = c->score;
    }
    group->n = kept;
    group->length++;
    memcpy(group->tokens, beam->kept, kept * group->room * sizeof *group->tokens);
    return beam->finished.n >= beam->limit;
}

void stapes__whisper_beam_finish(stapes__whisper_beam *beam, const stapes__whisper_group *group) {
    double below = INFINITY;
    size_t last = 0;
    for (size_t taken = 0; taken < group->n && beam->finished.n < beam->width; taken++) {
        /* The next lower sum; among equals the one of higher index goes first. */
        size_t best = group->n;
        for (size_t i = 0; i < group->n; i++) {
            bool left = group->sums[i] < below || (group->sums[i] == below && i < last);
            if (left && (best == group->n || group->sums[i] >= group->sums[best]))
                best = i;
        }
        if (best == group->n)
            return;
        below = group->sums[best];
        last = best;
        add_finished(beam, group->tokens + best * group->room, group->length, below);
    }
}

size_t stapes__whisper_rank(const double *sums, const size_t *lengths, size_t n, double penalty) {
    size_t best = 0;
    double best_score = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        /* An empty sequence divides by one token. */
        double length = lengths[i] > 0 ? (double)lengths[i] : 1.0;
        double score =
            sums[i] / (penalty < 0 ? length : pow((5 + (double)lengths[i]) / 6, penalty));
        if (score > best_score) {
            best_score = score;
            best = i;
        }
    }
    return best;
}
