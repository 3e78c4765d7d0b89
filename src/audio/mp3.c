#include "audio/mp3.h"

#include <string.h>

uint64_t stapes__id3_size(const uint8_t *data, size_t size) {
    if (size < 10 || memcmp(data, "ID3", 3) != 0)
        return 0;
    uint64_t length = 0;
    for (int i = 6; i < 10; i++) /* four times seven bits */
        length = length << 7 | (data[i] & 0x7f);
    return length + 10 + (data[5] & 0x10 ? 10 : 0);
}

static uint32_t big_endian(const uint8_t *b) {
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

bool stapes__mp3_said_size(const uint8_t *data, size_t size, stapes__mp3_said *said) {
    if (size < 4 || data[0] != 0xff || (data[1] & 0xe6) != 0xe2) /* sync, layer III */
        return false;
    bool first_version = (data[1] & 0x18) == 0x18, mono = (data[3] & 0xc0) == 0xc0;
    size_t side = first_version ? (mono ? 17 : 32) : (mono ? 9 : 17);
    const uint8_t *xing = data + 4 + side;
    if (size < 4 + side + 16 || (memcmp(xing, "Xing", 4) != 0 && memcmp(xing, "Info", 4) != 0))
        return false;
    bool has_frames = xing[7] & 1, has_bytes = xing[7] & 2;
    const uint8_t *field = xing + 8;
    said->samples = -1;
    if (has_frames) {
        said->samples = (int64_t)big_endian(field) * (first_version ? 1152 : 576);
        field += 4;
    }
    said->bytes = has_bytes ? big_endian(field) : 0;
    return said->bytes > 0;
}
