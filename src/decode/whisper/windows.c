#include "decode/whisper/windows.h"

static stapes_status encode(void *user, int64_t seek, size_t frames, stapes_error *err) {
    stapes__whisper_recording *r = user;
    if (seek < 0 || frames < 1 || frames > STAPES__WHISPER_WINDOW || seek > r->content ||
        (int64_t)frames > r->content - seek)
        return stapes__fail(err, STAPES_E_INTERNAL, "window of %zu frames at %lld of %lld", frames,
                            (long long)seek, (long long)r->content);
    return r->net->table->encode(r->net, r->mel + (size_t)seek * r->net->n_mels, frames, err);
}

static stapes_status decode(void *user, const stapes__whisper_options *options,
                            stapes__whisper_result *result, stapes_error *err) {
    stapes__whisper_recording *r = user;
    return stapes__whisper_decode_window(r->decoder, options, result, err);
}

static stapes_status align(void *user, const int32_t *tokens, size_t count, size_t frames,
                           stapes__whisper_words *words, stapes_error *err) {
    stapes__whisper_recording *r = user;
    return stapes__whisper_align(r->net, stapes__whisper_sampler_layout(r->decoder), r->tokenizer,
                                 r->language, r->task, tokens, count, frames, words, err);
}

/* Log-mel values are (log10(power) + 4) / 4. Below the first limit no band reaches 10^-7.5, far
 * under any speech; within the second no band or frame differs: digital silence beside louder
 * audio, cut off at the range of the recording. Networks that hear nothing invent words. */
static bool silent(void *user, int64_t seek, size_t frames) {
    const float quiet = -0.875F, flat = 0.01F;
    const stapes__whisper_recording *r = user;
    const float *mel = r->mel + (size_t)seek * r->net->n_mels;
    float low = mel[0], high = mel[0];
    for (size_t i = 0; i < frames * r->net->n_mels; i++) {
        low = mel[i] < low ? mel[i] : low;
        high = mel[i] > high ? mel[i] : high;
    }
    return high < quiet || high - low < flat;
}

stapes__whisper_windows stapes__whisper_windows_of(stapes__whisper_recording *recording) {
    return (stapes__whisper_windows){
        .user = recording, .encode = encode, .decode = decode, .align = align, .silent = silent};
}

stapes_status stapes__whisper_recording_language(stapes__whisper_recording *recording, int64_t seek,
                                                 const bool *allowed,
                                                 float probabilities[STAPES__WHISPER_MAX_LANGUAGES],
                                                 int *best, stapes_error *err) {
    int64_t frames = recording->content - seek;
    if (seek < 0 || frames < 1)
        return stapes__fail(err, STAPES_E_ARGUMENT, "no audio to detect a language in");
    if (frames > STAPES__WHISPER_WINDOW)
        frames = STAPES__WHISPER_WINDOW;
    stapes_status status = encode(recording, seek, (size_t)frames, err);
    if (status != STAPES_OK)
        return status;
    return stapes__whisper_detect_language(recording->decoder, allowed, probabilities, best, err);
}
