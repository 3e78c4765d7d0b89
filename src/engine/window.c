#include <math.h>
#include <string.h>

#include "engine/internal.h"

/* Where long audio is cut. Up to `full` seconds one encoder call sees everything. Beyond, windows
 * of left + chunk + right seconds slide by one chunk: only the chunk's frames are decoded, the
 * rest is context, and the decoder's state is carried, so no text is stitched. The places depend
 * on the audio's length alone, never on how it was fed. */
enum { RATE = 16000 };

static const double DEFAULT_FULL = 40, DEFAULT_LEFT = 5, DEFAULT_CHUNK = 25, DEFAULT_RIGHT = 5;

static int64_t to_samples(double seconds, int64_t frame) {
    return (int64_t)floor(seconds * RATE / (double)frame + 0.5) * frame;
}

stapes_status stapes__windows_plan(stapes__windows *w, const stapes_session_params *params,
                                   const stapes__stages_info *info, stapes_error *err) {
    int64_t frame = 160 * (int64_t)info->mel_factor;
    double left = params->window_left > 0 ? params->window_left : DEFAULT_LEFT;
    double chunk = params->window_chunk > 0 ? params->window_chunk : DEFAULT_CHUNK;
    double right = params->window_right > 0 ? params->window_right : DEFAULT_RIGHT;
    double full = params->full_seconds > 0 ? params->full_seconds : DEFAULT_FULL;
    if (!(left <= 3600 && chunk <= 3600 && right <= 3600 && full <= 86400))
        return stapes__fail(err, STAPES_E_ARGUMENT,
                            "window lengths must be at most 3600 s and full_seconds at most "
                            "86400 s");
    w->left = to_samples(left, frame);
    w->chunk = to_samples(chunk, frame);
    w->right = to_samples(right, frame);
    if (w->chunk < frame)
        w->chunk = frame;
    w->full = to_samples(full, frame);
    const char *attention = params->attention ? params->attention : "auto";
    if (strcmp(attention, "full") == 0)
        w->full = -1;
    else if (strcmp(attention, "window") == 0)
        w->full = 0;
    return STAPES_OK;
}

bool stapes__windows_next(const stapes_session *s, bool at_end, stapes__window *out) {
    const stapes__windows *w = &s->windows;
    int64_t total = s->base + (int64_t)s->count;
    bool whole = w->full < 0 || total <= w->full;
    if (!s->windowed && whole) {
        if (!at_end || s->next_chunk >= total)
            return false;
        *out = (stapes__window){0, total, 0, total, true};
        return true;
    }
    if (s->next_chunk >= total && at_end)
        return false;
    int64_t need = s->next_chunk + w->chunk + w->right;
    if (total <= need && !at_end) /* one sample more shows that this is not the last window */
        return false;
    out->start = s->next_chunk > w->left ? s->next_chunk - w->left : 0;
    out->chunk_start = s->next_chunk;
    out->last = at_end && total <= need;
    out->end = out->last ? total : need;
    out->chunk_end = out->last ? total : s->next_chunk + w->chunk;
    return true;
}
