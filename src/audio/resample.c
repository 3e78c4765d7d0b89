#include "audio/resample.h"

#include <soxr.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct stapes__resampler {
    int rate;
    soxr_t soxr;      /* NULL at 16 kHz */
    uint64_t in, out; /* samples so far */
};

stapes_status stapes__resampler_open(stapes__resampler **out, int rate, stapes_error *err) {
    *out = NULL;
    if (rate < STAPES__RATE_MIN || rate > STAPES__RATE_MAX) {
        stapes__fail(err, STAPES_E_UNSUPPORTED, "a sample rate of %d Hz; %d to %d are supported",
                     rate, STAPES__RATE_MIN, STAPES__RATE_MAX);
        stapes__hint(err, "convert the audio to 16000 Hz first");
        return STAPES_E_UNSUPPORTED;
    }
    stapes__resampler *r = stapes__calloc(1, sizeof *r);
    if (!r)
        return stapes__fail_memory(err, "the resampler");
    r->rate = rate;
    if (rate != STAPES__RATE) {
        soxr_io_spec_t io = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
        soxr_quality_spec_t quality = soxr_quality_spec(SOXR_VHQ, 0);
        soxr_runtime_spec_t runtime = soxr_runtime_spec(1);
        soxr_error_t error;
        r->soxr = soxr_create(rate, STAPES__RATE, 1, &error, &io, &quality, &runtime);
        if (!r->soxr) {
            free(r);
            return stapes__fail(err, STAPES_E_MEMORY, "the resampler from %d Hz: %s", rate,
                                error ? error : "out of memory");
        }
    }
    *out = r;
    return STAPES_OK;
}

stapes_status stapes__resampler_process(stapes__resampler *r, const float *in, size_t n,
                                        size_t *used, float *out, size_t capacity, size_t *made,
                                        stapes_error *err) {
    *used = *made = 0;
    if (!r->soxr) {
        size_t take = n < capacity ? n : capacity;
        if (take > 0)
            memcpy(out, in, take * sizeof *out);
        *used = *made = take;
        return STAPES_OK;
    }
    static const float nothing = 0;
    soxr_error_t error = soxr_process(r->soxr, n ? in : &nothing, n, used, out, capacity, made);
    if (error)
        return stapes__fail(err, STAPES_E_INTERNAL, "resampling: %s", error);
    r->in += *used;
    r->out += *made;
    return STAPES_OK;
}

stapes_status stapes__resampler_flush(stapes__resampler *r, float *out, size_t capacity,
                                      size_t *made, stapes_error *err) {
    *made = 0;
    if (!r->soxr || r->in == 0)
        return STAPES_OK;
    uint64_t rate = (uint64_t)r->rate;
    uint64_t total = r->in / rate * STAPES__RATE + (r->in % rate * STAPES__RATE + rate - 1) / rate;
    uint64_t left = total > r->out ? total - r->out : 0;
    if (capacity > left)
        capacity = (size_t)left;
    if (capacity == 0)
        return STAPES_OK;
    soxr_error_t error = soxr_process(r->soxr, NULL, 0, NULL, out, capacity, made);
    if (error)
        return stapes__fail(err, STAPES_E_INTERNAL, "resampling: %s", error);
    r->out += *made;
    return STAPES_OK;
}

void stapes__resampler_close(stapes__resampler **r) {
    if (!r || !*r)
        return;
    if ((*r)->soxr)
        soxr_delete((*r)->soxr);
    free(*r);
    *r = NULL;
}
