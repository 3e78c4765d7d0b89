#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"
#include "models/prompt/prompt.h"
#include "text/language.h"
#include "text/result.h"

void stapes_session_params_default(stapes_session_params *params) {
    *params = (stapes_session_params){.struct_size = sizeof *params,
                                      .language = "auto",
                                      .decoder = "auto",
                                      .confidence = "tsallis",
                                      .attention = "auto",
                                      .segment_gap = 2.0};
}

/* ---- parameters ---- */

static stapes_status choose_head(stapes_session *s, const char *name, stapes_error *err) {
    const stapes__stages_info *info = &s->model->stages->info;
    stapes__head_kind transducer = info->n_durations ? STAPES__HEAD_TDT : STAPES__HEAD_RNNT;
    if (!name || strcmp(name, "auto") == 0) {
        s->head = info->has_transducer ? transducer : STAPES__HEAD_CTC;
        return STAPES_OK;
    }
    bool known = true, present = false;
    if (strcmp(name, "ctc") == 0) {
        s->head = STAPES__HEAD_CTC;
        present = info->has_ctc;
    } else if (strcmp(name, "tdt") == 0 || strcmp(name, "rnnt") == 0) {
        s->head = strcmp(name, "tdt") == 0 ? STAPES__HEAD_TDT : STAPES__HEAD_RNNT;
        present = info->has_transducer && s->head == transducer;
    } else {
        known = false;
    }
    if (known && present)
        return STAPES_OK;
    stapes__fail(err, known ? STAPES_E_UNSUPPORTED : STAPES_E_ARGUMENT,
                 known ? "%s has no %s decoder" : "%s: there is no decoder named \"%s\"",
                 s->model->name, name);
    stapes__hint(err, "This model has: %s%s%s.",
                 info->has_transducer ? (info->n_durations ? "tdt" : "rnnt") : "",
                 info->has_transducer && info->has_ctc ? ", " : "", info->has_ctc ? "ctc" : "");
    return err ? err->code : STAPES_E_ARGUMENT;
}

static stapes_status choose_attention(stapes_session *s, const char *name, stapes_error *err) {
    s->mask = s->model->stages->info.mask;
    if (!name || strcmp(name, "auto") == 0 || strcmp(name, "full") == 0 ||
        strcmp(name, "window") == 0)
        return STAPES_OK;
    int left, right, used = 0;
    if (sscanf(name, "band:%d,%d%n", &left, &right, &used) == 2 && name[used] == 0 && left >= 0 &&
        right >= 0 && left <= 100000 && right <= 100000) {
        s->mask = (stapes__attention_mask){.left = left, .right = right};
        s->windows.full = -1;
        return STAPES_OK;
    }
    stapes__fail(err, STAPES_E_ARGUMENT, "attention \"%s\" is not understood", name);
    stapes__hint(err, "Use auto, full, window, or band:LEFT,RIGHT in frames of 80 ms.");
    return STAPES_E_ARGUMENT;
}

/* A model conditioned on a language prompt is told the language; others are restricted to what it
 * is written with. */
static stapes_status choose_language(stapes_session *s, const char *code, stapes_error *err) {
    bool automatic = !code || !*code || strcmp(code, "auto") == 0;
    size_t prompts = s->model->stages->info.n_prompts;
    if (prompts > 0) {
        int prompt = stapes__prompt_find(automatic ? "auto" : code);
        if (prompt < 0 || (size_t)prompt >= prompts) {
            stapes__fail(err, STAPES_E_ARGUMENT, "%s has no prompt for the language \"%s\"",
                         s->model->name, code ? code : "auto");
            stapes__hint(err, "Use auto, or a code such as en, en-GB, de or pt-BR.");
            return STAPES_E_ARGUMENT;
        }
        s->prompt = (size_t)prompt;
    }
    if (automatic)
        return STAPES_OK;
    s->language = stapes__strdup(code);
    if (!s->language)
        return stapes__fail_memory(err, "the language");
    if (prompts > 0)
        return STAPES_OK;
    return stapes__language_mask(s->model->tokenizer, (size_t)s->model->config.vocabulary, code,
                                 &s->allow, err);
}

static stapes_status open_decoding(stapes_session *s, stapes_error *err) {
    const stapes_session_params *p = &s->params;
    stapes__greedy_params greedy = {
        .head = s->head,
        .max_symbols = p->max_symbols > 0 ? p->max_symbols : s->model->stages->info.max_symbols,
        .prompt = s->prompt,
        .allow = s->allow};
    if (!stapes__confidence_find(p->confidence, &greedy.confidence)) {
        stapes__fail(err, STAPES_E_ARGUMENT, "confidence method \"%s\" is not known",
                     p->confidence);
        stapes__hint(err, "Known methods: %s.", stapes__confidence_list());
        return STAPES_E_ARGUMENT;
    }
    stapes_status status = stapes__greedy_open(&s->greedy, s->model->stages, &greedy, err);
    if (status != STAPES_OK)
        return status;
    stapes__words_params words = {.tokenizer = s->model->tokenizer,
                                  .head = s->head,
                                  .frame_seconds = 0.01 * stapes__fc_factor(&s->model->config),
                                  .segment_gap = p->segment_gap,
                                  .nemo_text = p->nemo_text,
                                  .channel = -1,
                                  .max_word_tail = 0.4};
    return stapes__words_open(&s->words, &words, err);
}

stapes_status stapes_session_open(stapes_session **out, stapes_model *model,
                                  const stapes_session_params *params, stapes_error *error) {
    stapes_session_params defaults;
    stapes_session_params_default(&defaults);
    *out = NULL;
    if (!params)
        params = &defaults;
    if (params->struct_size != sizeof *params)
        return stapes__fail(error, STAPES_E_ARGUMENT,
                            "stapes_session_params has the wrong size; set it up with "
                            "stapes_session_params_default");
    if (params->max_symbols < 0 || params->max_symbols > 1000 || !(params->segment_gap >= 0))
        return stapes__fail(error, STAPES_E_ARGUMENT,
                            "max_symbols must be 0 to 1000 and segment_gap not negative");
    stapes_session *s = stapes__calloc(1, sizeof *s);
    if (!s)
        return stapes__fail_memory(error, "the session");
    s->model = model;
    s->params = *params;
    atomic_init(&s->abort, false);
    s->scratch = stapes__arena_new();
    stapes_status status = s->scratch ? STAPES_OK : stapes__fail_memory(error, "the session");
    if (status == STAPES_OK)
        status = stapes__windows_plan(&s->windows, params, &model->stages->info, error);
    if (status == STAPES_OK)
        status = choose_attention(s, params->attention, error);
    if (status == STAPES_OK)
        status = choose_head(s, params->decoder, error);
    if (status == STAPES_OK)
        status = choose_language(s, params->language, error);
    if (status == STAPES_OK)
        status = open_decoding(s, error);
    if (status != STAPES_OK) {
        stapes_session_close(&s);
        return status;
    }
    s->params.language = s->params.decoder = s->params.confidence = s->params.attention = NULL;
    *out = s;
    return STAPES_OK;
}

void stapes_session_close(stapes_session **session) {
    stapes_session *s = *session;
    if (!s)
        return;
    stapes__events_clear(s);
    stapes__greedy_close(&s->greedy);
    stapes__words_close(&s->words);
    stapes__resampler_close(&s->resampler);
    stapes__token_list_free(&s->tokens);
    stapes__arena_free(s->scratch);
    free(s->events);
    free(s->warnings);
    free(s->samples);
    free(s->allow);
    free(s->language);
    free(s);
    *session = NULL;
}

void stapes_session_reset(stapes_session *s) {
    stapes__events_clear(s);
    stapes__greedy_reset(s->greedy);
    stapes__words_reset(s->words);
    stapes__resampler_close(&s->resampler);
    s->rate = 0;
    s->count = 0;
    s->base = s->next_chunk = s->fed = 0;
    s->windowed = s->finished = s->final_told = false;
    s->peak = 0;
    s->clipped = 0;
    s->timing = (stapes_timing){0};
    s->n_windows = s->specials = 0;
    s->progress_total = 0;
    atomic_store(&s->abort, false);
}

void stapes_session_abort(stapes_session *s) {
    atomic_store(&s->abort, true);
}

/* ---- audio ---- */

static stapes_status check_feed(stapes_session *s, const float *samples, size_t count, int32_t rate,
                                stapes_error *err) {
    if (s->finished)
        return stapes__fail(err, STAPES_E_ARGUMENT,
                            "the recording is finished; call stapes_session_reset before feeding "
                            "another");
    if (rate < 8000 || rate > 192000)
        return stapes__fail(err, STAPES_E_ARGUMENT,
                            "sample rate %d Hz is outside 8000 to 192000 Hz", rate);
    if (s->rate != 0 && s->rate != rate)
        return stapes__fail(err, STAPES_E_ARGUMENT,
                            "the sample rate changed from %d to %d Hz within a recording", s->rate,
                            rate);
    for (size_t i = 0; i < count; i++) {
        if (isfinite(samples[i]))
            continue;
        long long at = (long long)s->fed + (long long)i;
        stapes__fail(err, STAPES_E_AUDIO_VALUE, "sample %lld (%.3f s) is not a finite number", at,
                     (double)at / rate);
        stapes__hint(err, "Is the sample format right?");
        return STAPES_E_AUDIO_VALUE;
    }
    return STAPES_OK;
}

stapes_status stapes_feed(stapes_session *s, const float *samples, size_t count, int32_t rate,
                          stapes_error *error) {
    stapes_status status = check_feed(s, samples, count, rate, error);
    if (status != STAPES_OK)
        return status;
    double began = stapes__now();
    s->rate = rate;
    /* In pieces, so that a long buffer is not held twice. */
    size_t piece = (size_t)rate * 10;
    for (size_t at = 0; at < count && status == STAPES_OK; at += piece) {
        size_t n = count - at < piece ? count - at : piece;
        status = stapes__session_push(s, samples + at, n, rate, error);
        if (status == STAPES_OK) {
            s->fed += (int64_t)n;
            status = stapes__session_advance(s, false, error);
        }
    }
    s->timing.total += stapes__now() - began;
    return status;
}

stapes_status stapes_finish(stapes_session *s, stapes_error *error) {
    if (s->finished)
        return STAPES_OK;
    double began = stapes__now();
    stapes_status status = stapes__session_drain(s, error);
    if (status == STAPES_OK)
        status = stapes__session_advance(s, true, error);
    if (status == STAPES_OK) {
        s->finished = true;
        status = stapes__events_after_window(s, true, error);
        stapes__session_conclude(s);
    }
    s->timing.total += stapes__now() - began;
    return status;
}

/* ---- results ---- */

stapes_status stapes_session_result(stapes_session *s, stapes_result **out, stapes_error *error) {
    *out = NULL;
    stapes_result *r = NULL;
    stapes_status status = stapes__words_result(s->words, &r, error);
    if (status != STAPES_OK)
        return status;
    for (size_t i = 0; i < s->n_warnings && status == STAPES_OK; i++)
        status = stapes__result_warn(r, s->warnings[i].code, s->warnings[i].message, error);
    if (status == STAPES_OK && s->language && !*r->language) {
        r->language = stapes__result_text(r, s->language, strlen(s->language));
        if (!r->language)
            status = stapes__fail_memory(error, "the result");
    }
    if (status != STAPES_OK) {
        stapes_result_free(r);
        return status;
    }
    r->duration = (double)(s->base + (int64_t)s->count) / 16000.0;
    r->peak = s->peak;
    r->clipped = s->clipped;
    r->timing = s->timing;
    r->timing.load = s->model->load_seconds;
    r->timing.audio = r->duration;
    r->windows = s->n_windows;
    r->forced_blanks = stapes__greedy_forced(s->greedy);
    *out = r;
    return STAPES_OK;
}

stapes_status stapes_transcribe(stapes_session *s, const float *samples, size_t count, int32_t rate,
                                stapes_result **out, stapes_error *error) {
    *out = NULL;
    stapes_session_reset(s);
    s->progress_total = rate > 0 ? (double)count / rate : 0;
    stapes_status status = stapes_feed(s, samples, count, rate, error);
    if (status == STAPES_OK)
        status = stapes_finish(s, error);
    return status == STAPES_OK ? stapes_session_result(s, out, error) : status;
}
