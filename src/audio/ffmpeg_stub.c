/* A build without FFmpeg: formats that libsndfile does not read are refused with a hint. */
#include "audio/source.h"

bool stapes__ffmpeg_built(void) {
    return false;
}

stapes_status stapes__ffmpeg_open(stapes__source **out, stapes__input *in, const char *name,
                                  stapes_error *err) {
    (void)in;
    (void)name;
    *out = NULL;
    stapes__fail(err, STAPES_E_AUDIO, "not a format that libsndfile reads");
    stapes__hint(err, "this build has no FFmpeg; convert the file to WAV or FLAC");
    return STAPES_E_AUDIO;
}
