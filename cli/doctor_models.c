/* stapes doctor: the embedded model, a test decode, the cache, the hub. */
#include "doctor.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "hub/pull.h"
#include "models.h"
#include "stapes/audio.h"

enum { RATE = 16000, TEST_SECONDS = 3, SAMPLE_SECONDS = 60, LOW_DISK_GB = 5 };

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* ---- test decode ---------------------------------------------------------------------------- */

/* The bundled recording of a source tree, models/nano/../../samples; free() it, NULL = none. */
static char *find_recording(const char *nano) {
    char *path = stapes__path_join(nano, "../../samples/stapes.flac");
    if (path && stapes__is_file(path))
        return path;
    free(path);
    return NULL;
}

/* Sweeping tones, loud and soft: no speech, but every part of the network has work. */
static float *make_tones(size_t *count) {
    *count = (size_t)RATE * TEST_SECONDS;
    float *samples = stapes__calloc(*count, sizeof *samples);
    double phase = 0;
    for (size_t i = 0; samples && i < *count; i++) {
        double t = (double)i / RATE;
        phase += 2 * M_PI * (200 + 150 * sin(3 * t)) / RATE;
        samples[i] = (float)(0.2 * sin(phase) * (0.6 + 0.4 * sin(25 * t)) + 0.05 * sin(7 * phase));
    }
    return samples;
}

/* The recording as 16 kHz mono; NULL with a report in error. */
static float *read_recording(const char *path, size_t *count, stapes_error *error) {
    stapes_audio *audio = NULL;
    size_t capacity = (size_t)RATE * SAMPLE_SECONDS, got = 1;
    float *samples = stapes__calloc(capacity, sizeof *samples);
    stapes_status status = samples ? stapes_audio_open(&audio, path, NULL, error) : STAPES_E_MEMORY;
    *count = 0;
    while (status == STAPES_OK && got > 0 && *count < capacity) {
        status = stapes_audio_read(audio, samples + *count, capacity - *count, &got, error);
        *count += status == STAPES_OK ? got : 0;
    }
    if (audio)
        stapes_audio_close(&audio);
    if (status != STAPES_OK) {
        free(samples);
        return NULL;
    }
    return samples;
}

static stapes_status decode(cli *c, const float *samples, size_t count, stapes_result **result,
                            char *kernels, size_t capacity, stapes_error *error) {
    stapes_context_params params;
    stapes_context *context = NULL;
    stapes_model *model = NULL;
    stapes_session *session = NULL;
    stapes_context_params_default(&params);
    params.threads = c->engine.threads;
    params.cpu = c->engine.cpu;
    stapes_status status = stapes_context_open(&context, &params, error);
    if (status == STAPES_OK)
        status = stapes_model_open(&model, context, c->engine.model, NULL, error);
    if (status == STAPES_OK)
        status = stapes_session_open(&session, model, NULL, error);
    if (status == STAPES_OK)
        status = stapes_transcribe(session, samples, count, RATE, result, error);
    if (status == STAPES_OK) {
        stapes_model_info info;
        stapes_model_get_info(model, &info);
        snprintf(kernels, capacity, "%s, %s, %d thread%s", info.isa, info.precision, info.threads,
                 info.threads == 1 ? "" : "s");
    }
    if (session)
        stapes_session_close(&session);
    if (model)
        stapes_model_close(&model);
    if (context)
        stapes_context_close(&context);
    return status;
}

static void test_decode(doctor *d, const char *recording) {
    stapes_error error = {0};
    size_t count = 0;
    char kernels[96] = "";
    float *samples = recording ? read_recording(recording, &count, &error) : make_tones(&count);
    if (!samples) {
        doctor_add(d, "test recording", DOCTOR_BAD, error.hint, "%s",
                   error.message[0] ? error.message : "not enough memory");
        return;
    }
    double start = now();
    stapes_result *result = NULL;
    stapes_status status = decode(d->c, samples, count, &result, kernels, sizeof kernels, &error);
    double spent = now() - start, heard = (double)count / RATE;
    if (status != STAPES_OK) {
        doctor_add(d, "test decode", DOCTOR_BAD, error.hint, "%s", error.message);
    } else if (recording && !result->text[0]) {
        doctor_add(d, "test decode", DOCTOR_BAD, "please report this processor and version",
                   "no text came out of the bundled recording (%s)", kernels);
    } else {
        double compute = result->timing.total > 0 ? result->timing.total : spent;
        doctor_add(d, "test decode", DOCTOR_OK, NULL,
                   "%.1f s of %s in %.2f s (%.0fx; %s; %.2f s with loading)%s%.60s%s", heard,
                   recording ? "speech" : "tones", compute, heard / compute, kernels, spent,
                   recording ? ": \"" : "", recording ? result->text : "",
                   recording ? "...\"" : "");
    }
    stapes_result_free(result);
    free(samples);
}

void doctor_decode(doctor *d) {
    stapes_error error = {0};
    char *nano = NULL, *recording = NULL;
    if (stapes__hub_embedded(&nano, &error) != STAPES_OK) {
        doctor_add(d, "embedded model", DOCTOR_BAD, error.hint, "%s", error.message);
        if (!d->c->engine.model)
            return;
    } else {
        char size[32];
        doctor_add(d, "embedded model", DOCTOR_OK, NULL, "%s (%s)", nano,
                   cli_size_text(cli_bytes_on_disk(nano), size, sizeof size));
        recording = find_recording(nano);
    }
    test_decode(d, recording);
    free(recording);
    free(nano);
}

/* ---- cache ---------------------------------------------------------------------------------- */

/* The nearest folder above that exists: where a new folder would have to be made. */
static char *existing_parent(const char *path) {
    char *at = stapes__strdup(path);
    while (at && !stapes__is_dir(at)) {
        char *slash = strrchr(at, '/');
        if (!slash) {
            free(at);
            return stapes__strdup(".");
        }
        slash[slash == at] = 0;
    }
    return at;
}

static void check_cache(doctor *d, const char *cache) {
    char *parent = existing_parent(cache);
    struct statvfs disk;
    if (!parent) {
        d->failed = true;
        return;
    }
    bool exists = stapes__is_dir(cache), writable = access(parent, W_OK | X_OK) == 0;
    double free_gb = 0;
    if (statvfs(parent, &disk) == 0)
        free_gb = (double)disk.f_bavail * (double)disk.f_frsize / 1e9;
    const char *advice = !writable               ? "set STAPES_MODELS to a folder you may write to"
                         : free_gb < LOW_DISK_GB ? "a 0.6 B model takes 2.5 GB; set STAPES_MODELS "
                                                   "to a folder on a larger disk"
                                                 : NULL;
    doctor_add(d, "model cache", advice ? DOCTOR_NOTE : DOCTOR_OK, advice, "%s%s%s, %.1f GB free",
               cache, exists ? "" : " (made at the first pull)", writable ? "" : ", not writable",
               free_gb);
    free(parent);
}

/* Sizes of what is downloaded; a full check is `stapes models verify`. */
static size_t check_installed(doctor *d, const char *cache, const stapes__registry *registry) {
    size_t found = 0;
    for (size_t i = 0; i < stapes__registry_count(registry); i++) {
        const stapes__registry_model *model = stapes__registry_at(registry, i);
        char *folder = stapes__cache_model_folder(cache, model), advice[200], size[32];
        if (folder && stapes__is_dir(folder)) {
            stapes_error error = {0};
            const stapes__verify_options options = {.sizes_only = true};
            bool good = stapes__pull_verify(folder, model, &options, &error) == STAPES_OK;
            snprintf(advice, sizeof advice, "stapes pull %s", model->name);
            doctor_add(d, "model", good ? DOCTOR_OK : DOCTOR_NOTE, good ? NULL : advice,
                       "%s, %s%s%s", model->name,
                       cli_size_text(cli_bytes_on_disk(folder), size, sizeof size),
                       good ? "" : ": ", good ? "" : error.message);
            found++;
        }
        free(folder);
    }
    return found;
}

/* Settings that change what stapes does; a token is never printed. */
static void check_environment(doctor *d) {
    static const char *const names[] = {
        "STAPES_MODELS", "STAPES_REGISTRY", "STAPES_OFFLINE", "HF_HUB_OFFLINE", "HF_ENDPOINT",
        "https_proxy",   "HTTPS_PROXY",     "http_proxy",     "all_proxy",      "no_proxy"};
    stapes__buf text = {0};
    for (size_t i = 0; i < CLI_COUNT_OF(names); i++) {
        const char *value = getenv(names[i]);
        bool secret = strstr(names[i], "proxy") || strstr(names[i], "PROXY");
        if (value && *value)
            stapes__buf_printf(&text, "%s%s=%s", text.length ? ", " : "", names[i],
                               secret ? "(set)" : value);
    }
    if (stapes__hub_token())
        stapes__buf_printf(&text, "%sHF_TOKEN=(set)", text.length ? ", " : "");
    if (text.length > 0)
        doctor_add(d, "environment", DOCTOR_OK, NULL, "%s", text.data);
    stapes__buf_free(&text);
}

void doctor_models(doctor *d) {
    stapes_error error = {0};
    stapes__registry *registry = NULL;
    char *cache = NULL;
    check_environment(d);
    if (stapes__cache_folder(&cache, &error) != STAPES_OK) {
        doctor_add(d, "model cache", DOCTOR_NOTE, error.hint, "%s", error.message);
        return;
    }
    check_cache(d, cache);
    if (stapes__registry_open(&registry, &error) != STAPES_OK) {
        doctor_add(d, "registry", DOCTOR_BAD, error.hint, "%s", error.message);
    } else if (check_installed(d, cache, registry) == 0) {
        char advice[200];
        snprintf(advice, sizeof advice, "stapes pull %s", stapes__registry_default(registry)->name);
        doctor_add(d, "models", DOCTOR_NOTE, advice,
                   "none downloaded; the embedded one is only a first impression");
    }
    stapes__registry_close(&registry);
    free(cache);
}

/* ---- the hub -------------------------------------------------------------------------------- */

static stapes_status sink_begin(void *user, const stapes__http_reply *reply) {
    (void)user;
    (void)reply;
    return STAPES_OK;
}

/* The first bytes are enough. */
static stapes_status sink_data(void *user, const void *bytes, size_t count) {
    (void)user;
    (void)bytes;
    (void)count;
    return STAPES_E_ABORTED;
}

static stapes_status sink_tick(void *user) {
    const doctor *d = user;
    return cli_stopping(d->c) ? STAPES_E_ABORTED : STAPES_OK;
}

void doctor_online(doctor *d) {
    stapes_error error = {0};
    stapes__http *http = NULL;
    stapes__http_reply reply;
    stapes__http_outcome outcome = STAPES__HTTP_REFUSED;
    stapes__http_get get = {.url = stapes__hub_endpoint()};
    const stapes__http_sink sink = {d, sink_begin, sink_data, sink_tick};
    double start = now();
    stapes_status status = stapes__http_open(&http, 20, &error);
    if (status == STAPES_OK)
        status = stapes__http_fetch(http, &get, &sink, &reply, &outcome, &error);
    if (status != STAPES_OK && outcome != STAPES__HTTP_STOPPED)
        doctor_add(d, "hub", DOCTOR_BAD, "check the network, HF_ENDPOINT and the proxy variables",
                   "%s", error.message);
    else
        doctor_add(d, "hub", reply.status < 400 ? DOCTOR_OK : DOCTOR_NOTE, NULL,
                   "%s answers %ld in %.2f s", get.url, reply.status, now() - start);
    stapes__http_close(&http);
}
