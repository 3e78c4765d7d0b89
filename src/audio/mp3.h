/* What an MP3 file says about its own length: the Xing or Info header in its first frame. */
#ifndef STAPES_AUDIO_MP3_H
#define STAPES_AUDIO_MP3_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes from the start that both functions want to see; fewer are safe. */
#define STAPES__MP3_HEAD 64

/* Size of the ID3v2 tag before the first frame, 0 without one. */
uint64_t stapes__id3_size(const uint8_t *data, size_t size);

typedef struct stapes__mp3_said {
    uint64_t bytes;  /* of audio, from the first frame on */
    int64_t samples; /* per channel, encoder padding included; -1 when it does not say */
} stapes__mp3_said;

/* false when `data` does not start with a layer III frame that holds such a header with a size. */
bool stapes__mp3_said_size(const uint8_t *data, size_t size, stapes__mp3_said *said);

#endif
