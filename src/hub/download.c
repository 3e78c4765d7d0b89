#include "hub/download.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "hub/digest.h"

#define SPARE_BYTES (1 << 20) /* left free on the disk beside the file itself */
#define MAX_SIDECAR 4096

/* A download in progress; one attempt after the other works on it. */
typedef struct transfer {
    const stapes__download_request *request;
    const stapes__download_options *options;
    stapes_error *err;
    char *part, *sidecar;
    int fd;
    stapes__digest *digest;
    int64_t have;  /* bytes in the part */
    int64_t total; /* -1 = unknown */
    bool hashed;   /* the digest covers the `have` bytes */
    bool resumed;  /* the part holds bytes of an earlier attempt */
    bool restart;  /* the answer does not continue the part: begin anew */
    char hub_etag[STAPES__ETAG_SIZE], etag[STAPES__ETAG_SIZE]; /* of the bytes in the part */
    stapes__http_reply reply;
} transfer;

const char *stapes__download_check_name(stapes__download_check check) {
    static const char *const names[] = {"pinned", "hub", "git", "size"};
    return names[check];
}

static bool is_hex(const char *text, size_t length) {
    return strlen(text) == length && strspn(text, "0123456789abcdef") == length;
}

static stapes_status report_progress(transfer *t) {
    const stapes__download_options *o = t->options;
    if (!o->progress || o->progress(o->user, t->request->name, t->have, t->total))
        return STAPES_OK;
    stapes__fail(t->err, STAPES_E_ABORTED, "%s: stopped after %lld bytes", t->request->name,
                 (long long)t->have);
    stapes__hint(t->err, "The same command continues where it stopped");
    return STAPES_E_ABORTED;
}

static void note(const transfer *t, const char *line) {
    if (t->options->note)
        t->options->note(t->options->user, line);
}

/* ---- the part and its sidecar --------------------------------------------------------------- */

static void copy_text(char *out, size_t capacity, const json_t *value) {
    const char *text = json_string_value(value);
    snprintf(out, capacity, "%s", text && strlen(text) < capacity ? text : "");
}

/* What is known of the bytes in the part; false when nothing usable is. */
static bool read_sidecar(transfer *t) {
    char *data;
    size_t size;
    if (stapes__read_file(t->sidecar, MAX_SIDECAR, &data, &size, NULL) != STAPES_OK)
        return false;
    json_t *tree = json_loadb(data, size, 0, NULL);
    free(data);
    copy_text(t->hub_etag, sizeof t->hub_etag, json_object_get(tree, "hub_etag"));
    copy_text(t->etag, sizeof t->etag, json_object_get(tree, "etag"));
    const json_t *total = json_object_get(tree, "size");
    t->total = json_is_integer(total) && json_integer_value(total) >= 0
                   ? (int64_t)json_integer_value(total)
                   : -1;
    json_decref(tree);
    return t->hub_etag[0] || t->etag[0];
}

static stapes_status write_sidecar(transfer *t) {
    json_t *tree = json_pack("{s:s, s:s, s:s, s:I}", "url", t->request->url, "hub_etag",
                             t->hub_etag, "etag", t->etag, "size", (json_int_t)t->total);
    char *text = tree ? json_dumps(tree, JSON_INDENT(1)) : NULL;
    json_decref(tree);
    if (!text)
        return stapes__fail_memory(t->err, t->sidecar);
    stapes_status status = stapes__write_file(t->sidecar, text, strlen(text), t->err);
    free(text);
    return status;
}

/* Empties the part: its bytes are of another version, or wrong. */
static stapes_status discard(transfer *t) {
    t->have = 0;
    t->hashed = true;
    t->resumed = false;
    t->total = t->request->size;
    t->hub_etag[0] = t->etag[0] = 0;
    stapes__digest_reset(t->digest);
    unlink(t->sidecar);
    if (ftruncate(t->fd, 0) != 0)
        return stapes__fail_errno(t->err, errno, "write", t->part);
    return STAPES_OK;
}

static void remove_part(transfer *t) {
    unlink(t->part);
    unlink(t->sidecar);
}

/* Opens the part and decides how much of it may be continued. */
static stapes_status open_part(transfer *t) {
    t->fd = open(t->part, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (t->fd < 0)
        return stapes__fail_errno(t->err, errno, "create", t->part);
    struct stat info;
    if (fstat(t->fd, &info) != 0)
        return stapes__fail_errno(t->err, errno, "read", t->part);
    bool known = info.st_size > 0 && read_sidecar(t);
    int64_t limit = t->request->size >= 0 ? t->request->size : t->total;
    if (!known || (t->request->size >= 0 && t->total >= 0 && t->total != t->request->size) ||
        (limit >= 0 && info.st_size > limit))
        return discard(t);
    t->have = info.st_size;
    if (limit > 0 && t->have == limit)
        t->have--; /* complete but never renamed: asking for one byte shows whether it still holds
                    */
    t->resumed = t->have > 0;
    t->hashed = false;
    return t->resumed ? STAPES_OK : discard(t);
}

/* Strong tags only: a weak one does not promise the same bytes. */
static bool may_resume(const transfer *t) {
    bool strong = t->etag[0] == '"';
    return t->have > 0 && (strong || t->request->sha256 || is_hex(t->hub_etag, 64));
}

/* ---- the answer ----------------------------------------------------------------------------- */

static stapes_status check_disk(transfer *t) {
    struct statvfs disk;
    if (t->total < 0 || fstatvfs(t->fd, &disk) != 0)
        return STAPES_OK; /* writing will tell */
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    uint64_t wanted = (uint64_t)(t->total - t->have) + SPARE_BYTES;
    if (free_bytes >= wanted)
        return STAPES_OK;
    stapes__fail(t->err, STAPES_E_DISK_FULL,
                 "%s: needs %.2f GB more, but the disk has %.2f GB free", t->request->path,
                 (double)wanted / 1e9, (double)free_bytes / 1e9);
    stapes__hint(t->err, "Free some space, or choose another disk with --dir or STAPES_MODELS");
    return STAPES_E_DISK_FULL;
}

/* Size and hash that the hub announces, against what the registry pins, before any byte. */
static stapes_status check_announced(transfer *t, const stapes__http_reply *reply) {
    const stapes__download_request *r = t->request;
    int64_t body = reply->status == 206 ? reply->range_total : reply->length;
    int64_t announced = reply->linked_size >= 0 ? reply->linked_size : body;
    if (reply->linked_size >= 0 && body >= 0 && body != reply->linked_size)
        return stapes__fail(t->err, STAPES_E_MODEL_DAMAGED,
                            "%s: the hub says %lld bytes, the download server %lld", r->name,
                            (long long)reply->linked_size, (long long)body);
    if (r->size >= 0 && announced >= 0 && announced != r->size) {
        stapes__fail(t->err, STAPES_E_MODEL_DAMAGED,
                     "%s: the server offers %lld bytes, the registry wants %lld", r->name,
                     (long long)announced, (long long)r->size);
        stapes__hint(t->err, "The publisher may have changed the file; a newer stapes may know it");
        return STAPES_E_MODEL_DAMAGED;
    }
    if (r->sha256 && reply->linked && is_hex(reply->hub_etag, 64) &&
        strcmp(reply->hub_etag, r->sha256) != 0) {
        stapes__fail(t->err, STAPES_E_HASH, "%s: the hub offers SHA-256 %s, the registry wants %s",
                     r->name, reply->hub_etag, r->sha256);
        stapes__hint(t->err, "The publisher may have changed the file; a newer stapes may know it");
        return STAPES_E_HASH;
    }
    t->total = r->size >= 0 ? r->size : announced;
    return STAPES_OK;
}

static bool other_version(const char *mine, const char *theirs) {
    return mine[0] && theirs[0] && strcmp(mine, theirs) != 0;
}

/* The hub's own headers arrive with its redirect: a changed file is noticed before the range is
 * asked of the download server. */
static stapes_status on_redirected(void *user, const stapes__http_reply *reply,
                                   stapes__http_get *get) {
    transfer *t = user;
    if (get->range_begin > 0 && other_version(t->hub_etag, reply->hub_etag)) {
        note(t, "the file has changed since the download began; starting anew");
        get->range_begin = 0;
        get->if_range = NULL;
        return discard(t);
    }
    return STAPES_OK;
}

static bool digest_tick(void *user, int64_t done) {
    transfer *t = user;
    (void)done;
    return report_progress(t) == STAPES_OK;
}

/* Prepares the part for the bytes of a 200 or 206. */
static stapes_status on_begin(void *user, const stapes__http_reply *reply) {
    transfer *t = user;
    stapes_status status = check_announced(t, reply);
    if (status != STAPES_OK) {
        remove_part(t);
        return status;
    }
    if (reply->status == 206) {
        if (reply->range_begin != t->have || other_version(t->hub_etag, reply->hub_etag) ||
            other_version(t->etag, reply->etag)) {
            t->restart = true;
            return STAPES_E_NETWORK;
        }
    } else {
        if (t->have > 0)
            note(t, "the server does not continue the earlier download; starting anew");
        int64_t total = t->total;
        status = discard(t);
        t->total = total;
    }
    if (status == STAPES_OK && !t->hashed) {
        stapes__digest_reset(t->digest);
        status =
            stapes__digest_add_file(t->digest, t->fd, t->have, t->part, digest_tick, t, t->err);
        t->hashed = status == STAPES_OK;
    }
    if (status == STAPES_OK)
        status = check_disk(t);
    if (status == STAPES_OK && lseek(t->fd, t->have, SEEK_SET) < 0)
        status = stapes__fail_errno(t->err, errno, "write", t->part);
    if (status != STAPES_OK)
        return status;
    snprintf(t->hub_etag, sizeof t->hub_etag, "%s", reply->hub_etag);
    snprintf(t->etag, sizeof t->etag, "%s", reply->etag);
    return write_sidecar(t);
}

static stapes_status on_data(void *user, const void *bytes, size_t count) {
    transfer *t = user;
    if (t->total >= 0 && count > (uint64_t)(t->total - t->have)) {
        remove_part(t);
        return stapes__fail(t->err, STAPES_E_MODEL_DAMAGED,
                            "%s: the server sent more than the announced %lld bytes",
                            t->request->name, (long long)t->total);
    }
    const char *at = bytes;
    for (size_t left = count; left > 0;) {
        ssize_t put = write(t->fd, at, left);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0) {
            int errnum = errno;
            t->hashed = false;
            stapes_status status = stapes__fail_errno(t->err, errnum, "write", t->part);
            stapes__hint(t->err, "Free some space; the same command continues where it stopped");
            return status;
        }
        stapes__digest_add(t->digest, at, (size_t)put);
        t->have += put;
        at += put;
        left -= (size_t)put;
    }
    return report_progress(t);
}

static stapes_status on_tick(void *user) {
    return report_progress(user);
}

/* ---- errors that the server reports --------------------------------------------------------- */

static stapes_status fail_status(const transfer *t) {
    const stapes__http_reply *reply = &t->reply;
    const char *reason = reply->reason[0] ? reply->reason : "no reason given";
    stapes__fail(t->err, STAPES_E_NETWORK, "%s: the server answers %ld (%s)", t->request->url,
                 reply->status, reason);
    if (reply->status == 401 || reply->status == 403)
        stapes__hint(t->err, t->options->token
                                 ? "The token in HF_TOKEN may not read this; accept the model's "
                                   "terms on its page"
                                 : "Set HF_TOKEN to an access token of the hub, and accept the "
                                   "model's terms on its page if it has any");
    else if (reply->status == 404)
        stapes__hint(t->err, "The file may have been moved; a newer stapes may know where, and "
                             "--mirror or HF_ENDPOINT may point elsewhere");
    else if (reply->status == 429)
        stapes__hint(t->err, "Too many requests: wait a while, or set HF_TOKEN");
    return STAPES_E_NETWORK;
}

static bool worth_repeating(long status) {
    return status == 408 || status == 425 || status == 429 || status >= 500;
}

/* ---- attempts ------------------------------------------------------------------------------- */

typedef enum verdict { FINISHED, FAILED, REPEAT, REPEAT_CONNECT, RESTART, ABSENT } verdict;

static verdict judge_answer(transfer *t) {
    long status = t->reply.status;
    if (status == 200 || status == 206) {
        if (t->total < 0 || t->have == t->total)
            return FINISHED;
        stapes__fail(t->err, STAPES_E_NETWORK, "%s: the answer ends after %lld of %lld bytes",
                     t->request->url, (long long)t->have, (long long)t->total);
        return REPEAT;
    }
    if (status == 416)
        return RESTART;
    if (status == 404 && t->request->optional)
        return ABSENT;
    fail_status(t);
    return worth_repeating(status) ? REPEAT : FAILED;
}

static verdict attempt(transfer *t, stapes__http *http) {
    bool resume = may_resume(t);
    stapes__http_get get = {
        .url = t->request->url,
        .token = t->options->token,
        .range_begin = resume ? t->have : 0,
        .if_range = resume && t->etag[0] == '"' ? t->etag : NULL,
        .redirected = on_redirected,
    };
    char if_range[STAPES__ETAG_SIZE];
    if (get.if_range) { /* the transfer's own copy changes when it starts anew */
        snprintf(if_range, sizeof if_range, "%s", t->etag);
        get.if_range = if_range;
    }
    const stapes__http_sink sink = {t, on_begin, on_data, on_tick};
    stapes__http_outcome outcome;
    t->restart = false;
    t->resumed = t->resumed || resume;
    stapes_status status = stapes__http_fetch(http, &get, &sink, &t->reply, &outcome, t->err);
    if (status == STAPES_OK)
        return judge_answer(t);
    if (t->restart)
        return RESTART;
    if (outcome == STAPES__HTTP_CONNECT)
        return REPEAT_CONNECT;
    return outcome == STAPES__HTTP_BROKEN ? REPEAT : FAILED;
}

/* Waits before a retry, ticking so that an interrupt is noticed. */
static stapes_status wait_before(transfer *t, int retry) {
    double seconds = t->options->retry_wait * (double)(1u << (retry < 16 ? retry : 16));
    if (seconds > 30)
        seconds = 30;
    if (t->reply.retry_after > 0 && (double)t->reply.retry_after > seconds)
        seconds = t->reply.retry_after < 120 ? (double)t->reply.retry_after : 120;
    char line[1100];
    snprintf(line, sizeof line, "%s; trying again in %.1f s", t->err ? t->err->message : "failed",
             seconds);
    note(t, line);
    for (int left = (int)(seconds * 10 + 0.5); left > 0; left--) { /* tenths */
        struct timespec pause = {0, 100000000};
        stapes_status status = report_progress(t);
        if (status != STAPES_OK)
            return status;
        nanosleep(&pause, NULL);
    }
    return STAPES_OK;
}

/* ---- the finished file ---------------------------------------------------------------------- */

static stapes_status fail_hash(transfer *t, const char *kind, const char *got, const char *want) {
    stapes__fail(t->err, STAPES_E_HASH, "%s: wrong content: %s %s, wanted %s", t->request->name,
                 kind, got, want);
    stapes__hint(t->err, "Nothing was kept; try again, or another --mirror");
    return STAPES_E_HASH;
}

static stapes_status check_content(transfer *t, stapes__download_result *result) {
    stapes__digest_hex(t->digest, result->sha256);
    t->hashed = false;
    const char *pinned = t->request->sha256;
    if (pinned) {
        result->check = STAPES__CHECK_PINNED;
        if (strcmp(pinned, result->sha256) != 0)
            return fail_hash(t, "SHA-256", result->sha256, pinned);
        return STAPES_OK;
    }
    if (t->reply.linked && is_hex(t->hub_etag, 64)) {
        result->check = STAPES__CHECK_HUB;
        if (strcmp(t->hub_etag, result->sha256) != 0)
            return fail_hash(t, "SHA-256", result->sha256, t->hub_etag);
        return STAPES_OK;
    }
    result->check = STAPES__CHECK_SIZE;
    if (!is_hex(t->hub_etag, 40) || !t->reply.commit[0])
        return STAPES_OK; /* no hub's answer: a plain server's tag may mean anything */
    char blob[41];
    result->check = STAPES__CHECK_GIT;
    stapes_status status = stapes__digest_git_blob(t->part, blob, t->err);
    if (status == STAPES_OK && strcmp(blob, t->hub_etag) != 0)
        status = fail_hash(t, "git id", blob, t->hub_etag);
    return status;
}

/* Flushes and renames. */
static stapes_status put_in_place(transfer *t, stapes__download_result *result) {
    result->size = t->have;
    result->resumed = t->resumed;
    snprintf(result->commit, sizeof result->commit, "%s", t->reply.commit);
    if (fsync(t->fd) != 0)
        return stapes__fail_errno(t->err, errno, "write", t->part);
    if (rename(t->part, t->request->path) != 0)
        return stapes__fail_errno(t->err, errno, "replace", t->request->path);
    unlink(t->sidecar);
    return STAPES_OK;
}

/* Checks and renames a complete part. RESTART once when the bytes of an earlier attempt may be to
 * blame for a wrong hash. */
static verdict finish(transfer *t, stapes__download_result *result, stapes_status *status) {
    *status = check_content(t, result);
    if (*status == STAPES_OK)
        *status = put_in_place(t, result);
    if (*status == STAPES_OK)
        return FINISHED;
    if (*status == STAPES_E_HASH && t->resumed)
        return RESTART;
    if (*status == STAPES_E_HASH)
        remove_part(t);
    return FAILED;
}

static stapes_status run_attempts(transfer *t, stapes__http *http,
                                  stapes__download_result *result) {
    int failures = 0, restarts = 0;
    for (;;) {
        int64_t before = t->have;
        stapes_status status = STAPES_OK;
        verdict v = attempt(t, http);
        if (v == FINISHED)
            v = finish(t, result, &status);
        if (v == FINISHED)
            return STAPES_OK;
        if (v == ABSENT) {
            remove_part(t);
            result->absent = true;
            return STAPES_OK;
        }
        if (v == FAILED)
            return t->err->code;
        if (v == RESTART) {
            if (restarts++ == 2)
                return stapes__fail(t->err, STAPES_E_NETWORK,
                                    "%s: the server's answers do not fit together",
                                    t->request->url);
            status = discard(t);
            if (status != STAPES_OK)
                return status;
            continue;
        }
        failures = t->have > before ? 1 : failures + 1;
        bool hopeless = v == REPEAT_CONNECT && t->have == 0 && failures > 2;
        if (failures > t->options->retries || hopeless)
            return t->err->code;
        status = wait_before(t, failures - 1);
        if (status != STAPES_OK)
            return status;
    }
}

stapes_status stapes__download(stapes__http *http, const stapes__download_request *request,
                               const stapes__download_options *options,
                               stapes__download_result *result, stapes_error *err) {
    stapes_error own; /* the attempts read their report, whether the caller wants it or not */
    memset(result, 0, sizeof *result);
    stapes__buf part = {0}, sidecar = {0};
    stapes__buf_printf(&part, "%s.part", request->path);
    stapes__buf_printf(&sidecar, "%s.part.json", request->path);
    transfer t = {.request = request,
                  .options = options,
                  .err = err ? err : &own,
                  .part = part.data,
                  .sidecar = sidecar.data,
                  .fd = -1,
                  .digest = stapes__digest_new(),
                  .total = request->size};
    stapes_status status = STAPES_OK;
    if (part.failed || sidecar.failed || !t.digest)
        status = stapes__fail_memory(err, "a download");
    if (status == STAPES_OK)
        status = open_part(&t);
    if (status == STAPES_OK)
        status = run_attempts(&t, http, result);
    struct stat info;
    if (t.fd >= 0 && status != STAPES_OK && fstat(t.fd, &info) == 0 && info.st_size == 0 &&
        info.st_nlink > 0)
        remove_part(&t); /* an empty part helps nobody */
    if (t.fd >= 0)
        close(t.fd);
    stapes__digest_free(t.digest);
    stapes__buf_free(&part);
    stapes__buf_free(&sidecar);
    return status;
}
