/* stapes doctor: processor, memory, libraries. */
#include "doctor.h"

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <sndfile.h>
#include <soxr.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <utf8proc.h>
#include <yaml.h>
#include <zlib.h>
#ifdef STAPES_WITH_FFMPEG
#include <libavformat/avformat.h>
#endif

#include "base/cpu.h"
#include "models.h"

enum { COMFORTABLE_MB = 1000 };

static void check_processor(doctor *d) {
    stapes__cpu cpu;
    char l1[32], l2[32], l3[32];
    stapes__cpu_detect(&cpu);
    doctor_add(d, "processor", DOCTOR_OK, NULL, "%s, %d core%s usable",
               cpu.model[0] ? cpu.model : "unknown model", cpu.cores, cpu.cores == 1 ? "" : "s");
    doctor_add(d, "instruction sets", cpu.isa == STAPES__ISA_C ? DOCTOR_NOTE : DOCTOR_OK,
               cpu.isa == STAPES__ISA_C ? "plain C works, but several times slower" : NULL,
               "%s%s%s%s%s%s", stapes__isa_name(cpu.isa), cpu.avx512_vnni ? " vnni" : "",
               cpu.avx512_bf16 ? " avx512-bf16" : "", cpu.amx_tile ? " amx" : "",
               cpu.amx_int8 ? " amx-int8" : "", cpu.amx_bf16 ? " amx-bf16" : "");
    doctor_add(d, "caches", DOCTOR_OK, NULL, "L1d %s, L2 %s, L3 %s",
               cli_size_text((int64_t)cpu.l1d, l1, sizeof l1),
               cli_size_text((int64_t)cpu.l2, l2, sizeof l2),
               cli_size_text((int64_t)cpu.l3, l3, sizeof l3));
}

/* MemAvailable of the kernel in MB, -1 when it does not say. */
static long available_mb(void) {
    FILE *file = fopen("/proc/meminfo", "r");
    char line[256];
    long kb = -1;
    while (file && kb < 0 && fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %ld kB", &kb) != 1)
            kb = -1;
    if (file)
        fclose(file);
    return kb < 0 ? -1 : kb / 1000;
}

static void check_memory(doctor *d) {
    double total = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / 1e9;
    long free_mb = available_mb();
    bool tight = free_mb >= 0 && free_mb < COMFORTABLE_MB;
    doctor_add(d, "memory", tight ? DOCTOR_NOTE : DOCTOR_OK,
               tight ? "the embedded model fits; a 0.6 B model wants 3 to 4 GB" : NULL,
               "%.1f GB, %.1f GB available", total, (double)free_mb / 1e3);
}

void doctor_machine(doctor *d) {
    check_processor(d);
    check_memory(d);
}

/* ---- libraries ------------------------------------------------------------------------------ */

/* Whether libsndfile knows a sample encoding by (part of) its name. */
static bool sndfile_has(const char *word) {
    int count = 0;
    sf_command(NULL, SFC_GET_FORMAT_SUBTYPE_COUNT, &count, sizeof count);
    for (int i = 0; i < count; i++) {
        SF_FORMAT_INFO info = {.format = i};
        if (sf_command(NULL, SFC_GET_FORMAT_SUBTYPE, &info, sizeof info) == 0 && info.name &&
            strstr(info.name, word))
            return true;
    }
    return false;
}

static bool check_ffmpeg(doctor *d) {
#ifdef STAPES_WITH_FFMPEG
    unsigned version = avformat_version();
    doctor_add(d, "FFmpeg", DOCTOR_OK, NULL, "%s (libavformat %u.%u.%u): m4a, mp4, webm, mkv, ...",
               av_version_info(), version >> 16, version >> 8 & 255, version & 255);
    return true;
#else
    doctor_add(d, "FFmpeg", DOCTOR_NOTE, "build with -DSTAPES_FFMPEG=ON for m4a, mp4, webm, mkv",
               "not in this build");
    return false;
#endif
}

/* "libsndfile-1.2.0" -> "1.2.0" */
static const char *bare_version(const char *text) {
    const char *dash = strchr(text, '-');
    return dash ? dash + 1 : text;
}

void doctor_libraries(doctor *d) {
    const char *curl = curl_version();
    const char *rest = strchr(curl, ' '); /* of its own libraries the first, TLS, matters */
    rest = rest ? strchr(rest + 1, ' ') : NULL;
    bool mp3 = sndfile_has("MPEG Layer"), opus = sndfile_has("Opus"),
         vorbis = sndfile_has("Vorbis");
    bool ffmpeg = check_ffmpeg(d);
    bool complete = ffmpeg || (mp3 && opus && vorbis);
    doctor_add(d, "libsndfile", complete ? DOCTOR_OK : DOCTOR_NOTE,
               complete ? NULL : "libsndfile 1.1 or newer, or a build with FFmpeg, reads the rest",
               "%s: wav, flac%s%s%s", bare_version(sf_version_string()), vorbis ? ", ogg" : "",
               opus ? ", opus" : "",
               mp3      ? ", mp3"
               : ffmpeg ? " (mp3 through FFmpeg)"
                        : "");
    doctor_add(d, "soxr", DOCTOR_OK, NULL, "%s", bare_version(soxr_version()));
    doctor_add(d, "libcurl", DOCTOR_OK, NULL, "%.*s", rest ? (int)(rest - curl) : (int)strlen(curl),
               curl);
    doctor_add(d, "others", DOCTOR_OK, NULL, "jansson %s, libyaml %s, utf8proc %s, zlib %s, %s",
               JANSSON_VERSION, yaml_get_version_string(), utf8proc_version(), zlibVersion(),
               OpenSSL_version(OPENSSL_VERSION));
}
