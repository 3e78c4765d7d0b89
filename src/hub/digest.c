#include "hub/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define BLOCK (1u << 20)

struct stapes__digest {
    EVP_MD_CTX *context;
    const EVP_MD *kind;
};

static stapes__digest *digest_new(const EVP_MD *kind) {
    stapes__digest *digest = stapes__calloc(1, sizeof *digest);
    if (!digest)
        return NULL;
    digest->kind = kind;
    digest->context = EVP_MD_CTX_new();
    if (!digest->context || EVP_DigestInit_ex(digest->context, kind, NULL) != 1) {
        stapes__digest_free(digest);
        return NULL;
    }
    return digest;
}

stapes__digest *stapes__digest_new(void) {
    return digest_new(EVP_sha256());
}

void stapes__digest_free(stapes__digest *digest) {
    if (!digest)
        return;
    EVP_MD_CTX_free(digest->context);
    free(digest);
}

void stapes__digest_reset(stapes__digest *digest) {
    EVP_DigestInit_ex(digest->context, digest->kind, NULL);
}

void stapes__digest_add(stapes__digest *digest, const void *bytes, size_t count) {
    EVP_DigestUpdate(digest->context, bytes, count);
}

static void finish_hex(stapes__digest *digest, char *hex) {
    unsigned char value[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    EVP_DigestFinal_ex(digest->context, value, &length);
    for (unsigned i = 0; i < length; i++)
        sprintf(hex + (size_t)2 * i, "%02x", value[i]);
}

void stapes__digest_hex(stapes__digest *digest, char hex[65]) {
    finish_hex(digest, hex);
}

stapes_status stapes__digest_add_file(stapes__digest *digest, int fd, int64_t length,
                                      const char *path, stapes__digest_tick tick, void *user,
                                      stapes_error *err) {
    char *block = malloc(BLOCK);
    if (!block)
        return stapes__fail_memory(err, path);
    stapes_status status = STAPES_OK;
    int64_t done = 0;
    while (done < length && status == STAPES_OK) {
        size_t want = length - done < BLOCK ? (size_t)(length - done) : BLOCK;
        ssize_t got = pread(fd, block, want, done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            status = stapes__fail_errno(err, errno, "read", path);
        else if (got == 0)
            status = stapes__fail(err, STAPES_E_IO, "%s: became shorter while it was read", path);
        else
            stapes__digest_add(digest, block, (size_t)got);
        done += got > 0 ? got : 0;
        if (status == STAPES_OK && tick && !tick(user, done))
            status = stapes__fail(err, STAPES_E_ABORTED, "%s: stopped while checking", path);
    }
    free(block);
    return status;
}

/* Digest of a whole file, after a prefix that depends on its size when `git` is set. */
static stapes_status digest_path(stapes__digest *digest, bool git, const char *path, char *hex,
                                 stapes__digest_tick tick, void *user, stapes_error *err) {
    if (!digest)
        return stapes__fail_memory(err, "a checksum");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (fd < 0)
        return stapes__fail_errno(err, errno, "open", path);
    stapes_status status = STAPES_OK;
    if (fstat(fd, &info) != 0) {
        status = stapes__fail_errno(err, errno, "read", path);
    } else {
        char head[48];
        int length = snprintf(head, sizeof head, "blob %lld", (long long)info.st_size);
        if (git)
            stapes__digest_add(digest, head, (size_t)length + 1);
        status = stapes__digest_add_file(digest, fd, info.st_size, path, tick, user, err);
    }
    close(fd);
    if (status == STAPES_OK)
        finish_hex(digest, hex);
    return status;
}

stapes_status stapes__digest_file(const char *path, char hex[65], stapes__digest_tick tick,
                                  void *user, stapes_error *err) {
    stapes__digest *digest = stapes__digest_new();
    stapes_status status = digest_path(digest, false, path, hex, tick, user, err);
    stapes__digest_free(digest);
    return status;
}

stapes_status stapes__digest_git_blob(const char *path, char hex[41], stapes_error *err) {
    stapes__digest *digest = digest_new(EVP_sha1());
    stapes_status status = digest_path(digest, true, path, hex, NULL, NULL, err);
    stapes__digest_free(digest);
    return status;
}
