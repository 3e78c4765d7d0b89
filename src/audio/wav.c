#include "audio/wav.h"

#include <string.h>

#include "audio/source.h"

#define TAG_PCM 1
#define TAG_FLOAT 3
#define TAG_ALAW 6
#define TAG_ULAW 7
#define TAG_EXTENSIBLE 0xfffe

/* sox writes 0x7ffff000 when it cannot seek, others 0x7fffffff, 0x80000000 or 0xffffffff and a
 * little less. */
#define SIZE_NOT_KNOWN 0x7ffff000U

typedef struct reader {
    stapes__input *in;
    uint64_t position; /* bytes taken */
    stapes_error *err;
} reader;

static uint32_t u16(const uint8_t *b) {
    return b[0] | (uint32_t)b[1] << 8;
}

static uint32_t u32(const uint8_t *b) {
    return u16(b) | u16(b + 2) << 16;
}

/* n bytes into out (NULL discards); AUDIO when the stream ends before. */
static stapes_status take(reader *r, void *out, uint64_t n) {
    uint64_t got;
    stapes_status status = stapes__input_read_all(r->in, out, n, &got, r->err);
    if (status != STAPES_OK)
        return status;
    r->position += got;
    if (got < n)
        return stapes__fail(r->err, STAPES_E_AUDIO, "the WAV header ends after %llu bytes",
                            (unsigned long long)r->position);
    return STAPES_OK;
}

/* The sample format of a tag with samples of `bytes` bytes. */
static bool sample_format(uint32_t tag, uint32_t bytes, stapes__pcm *format) {
    static const stapes__pcm integers[] = {STAPES__PCM_U8, STAPES__PCM_S16, STAPES__PCM_S24,
                                           STAPES__PCM_S32};
    if (tag == TAG_PCM && bytes >= 1 && bytes <= 4)
        *format = integers[bytes - 1];
    else if (tag == TAG_FLOAT && (bytes == 4 || bytes == 8))
        *format = bytes == 4 ? STAPES__PCM_F32 : STAPES__PCM_F64;
    else if ((tag == TAG_ALAW || tag == TAG_ULAW) && bytes == 1)
        *format = tag == TAG_ALAW ? STAPES__PCM_ALAW : STAPES__PCM_ULAW;
    else
        return false;
    return true;
}

static stapes_status read_format(reader *r, uint32_t size, stapes__wav *wav) {
    /* The last 14 bytes of the GUIDs that stand for the old tags. */
    static const uint8_t guid[14] = {0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71};
    uint8_t b[40] = {0};
    if (size < 16)
        return stapes__fail(r->err, STAPES_E_AUDIO, "a WAV format chunk of %u bytes; 16 at least",
                            size);
    uint32_t known = size < sizeof b ? size : (uint32_t)sizeof b;
    stapes_status status = take(r, b, known);
    if (status == STAPES_OK)
        status = take(r, NULL, (uint64_t)size - known + (size & 1));
    if (status != STAPES_OK)
        return status;
    uint32_t tag = u16(b), channels = u16(b + 2), rate = u32(b + 4), bits = u16(b + 14);
    if (tag == TAG_EXTENSIBLE && size >= 40) {
        if (memcmp(b + 26, guid, sizeof guid) != 0)
            return stapes__fail(r->err, STAPES_E_UNSUPPORTED, "a WAV subformat that is not known");
        tag = u16(b + 24);
    }
    if (channels < 1 || channels > STAPES__MAX_CHANNELS || rate < 1 || rate > INT32_MAX)
        return stapes__fail(r->err, STAPES_E_AUDIO, "a WAV header with %u channels at %u Hz",
                            channels, rate);
    /* 20 bits lie in the upper part of 24 and so on, so the container's width is what counts. */
    uint32_t block = u16(b + 12), bytes = (bits + 7) / 8;
    if (block % channels == 0 && block / channels > bytes)
        bytes = block / channels;
    if (!sample_format(tag, bytes, &wav->format))
        return stapes__fail(r->err, STAPES_E_UNSUPPORTED, "WAV codec 0x%04x with %u bits", tag,
                            bits);
    wav->rate = (int)rate;
    wav->channels = (int)channels;
    wav->frame_bytes = channels * bytes;
    return STAPES_OK;
}

/* The size of the data chunk as far as it can be believed. riff_end is where the file says it
 * ends: a data size of 0 with more to come is an empty recording, otherwise a writer that never
 * came back to fill it in. */
static uint64_t data_size(const reader *r, uint32_t size, uint64_t wide, uint64_t riff_end) {
    if (size == UINT32_MAX && wide > 0 && wide < UINT64_MAX)
        return wide;
    if (size >= SIZE_NOT_KNOWN || (size == 0 && riff_end <= r->position))
        return STAPES__WAV_UNKNOWN;
    return size;
}

stapes_status stapes__wav_read_header(stapes__input *in, stapes__wav *wav, stapes_error *err) {
    reader r = {in, 0, err};
    uint8_t b[28];
    bool have_format = false;
    uint64_t wide = 0;
    stapes_status status = take(&r, b, 12);
    if (status != STAPES_OK)
        return status;
    bool rf64 = memcmp(b, "RF64", 4) == 0;
    if ((!rf64 && memcmp(b, "RIFF", 4) != 0) || memcmp(b + 8, "WAVE", 4) != 0)
        return stapes__fail(err, STAPES_E_AUDIO, "no WAV header");
    uint32_t riff = u32(b + 4);
    uint64_t riff_end = riff >= SIZE_NOT_KNOWN || riff == 0 ? 0 : (uint64_t)riff + 8;
    for (;;) {
        status = take(&r, b, 8);
        if (status != STAPES_OK)
            return status;
        uint32_t size = u32(b + 4);
        if (memcmp(b, "data", 4) == 0) {
            if (!have_format)
                return stapes__fail(err, STAPES_E_AUDIO, "WAV data before its format");
            wav->data_bytes = data_size(&r, size, wide, riff_end);
            return STAPES_OK;
        }
        if (memcmp(b, "fmt ", 4) == 0 && !have_format) {
            status = read_format(&r, size, wav);
            have_format = true;
        } else if (memcmp(b, "ds64", 4) == 0 && rf64 && size >= 28) {
            status = take(&r, b, 28);
            wide = u32(b + 8) | (uint64_t)u32(b + 12) << 32;
            if (status == STAPES_OK)
                status = take(&r, NULL, (uint64_t)size - 28 + (size & 1));
        } else {
            status = take(&r, NULL, (uint64_t)size + (size & 1));
        }
        if (status != STAPES_OK)
            return status;
    }
}
