#include "audio/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* A header that is longer than this cannot be read a second time. */
#define KEPT_LIMIT ((size_t)8 << 20)

stapes_status stapes__input_open(stapes__input *in, const char *path, stapes_error *err) {
    struct stat st;
    *in = (stapes__input){.fd = STDIN_FILENO, .keeping = true};
    if (strcmp(path, "-") != 0) {
        in->owns_fd = true;
        do {
            in->fd = open(path, O_RDONLY | O_CLOEXEC);
        } while (in->fd < 0 && errno == EINTR);
    }
    if (in->fd < 0 || fstat(in->fd, &st) != 0) {
        int reason = errno;
        stapes__fail(err, STAPES_E_AUDIO, "%s", strerror(reason));
        if (reason == ENOENT)
            stapes__hint(err, "check the name and the folder");
        stapes__input_close(in);
        return STAPES_E_AUDIO;
    }
    bool regular = S_ISREG(st.st_mode);
    if (S_ISDIR(st.st_mode) || (regular && st.st_size == 0)) {
        stapes__input_close(in);
        return stapes__fail(err, STAPES_E_AUDIO,
                            regular ? "the file is empty" : "this is a folder, not an audio file");
    }
    in->seekable = regular && lseek(in->fd, 0, SEEK_CUR) == 0;
    in->file_size = regular ? (uint64_t)st.st_size : 0;
    if (in->seekable)
        in->keeping = false;
    return STAPES_OK;
}

void stapes__input_memory(stapes__input *in, const uint8_t *data, size_t size) {
    *in = (stapes__input){.fd = -1, .keeping = true, .data = data, .size = size};
}

void stapes__input_close(stapes__input *in) {
    if (in->owns_fd && in->fd >= 0)
        close(in->fd);
    stapes__buf_free(&in->kept);
    *in = (stapes__input){.fd = -1};
}

static stapes_status read_fresh(stapes__input *in, void *out, size_t n, size_t *got,
                                stapes_error *err) {
    if (in->fd < 0) {
        *got = n < in->size ? n : in->size;
        if (*got > 0)
            memcpy(out, in->data, *got);
        in->data += *got;
        in->size -= *got;
        return STAPES_OK;
    }
    ssize_t count;
    do {
        count = read(in->fd, out, n);
    } while (count < 0 && errno == EINTR);
    if (count < 0)
        return stapes__fail(err, STAPES_E_AUDIO, "reading: %s", strerror(errno));
    *got = (size_t)count;
    return STAPES_OK;
}

stapes_status stapes__input_read(stapes__input *in, void *out, size_t n, size_t *got,
                                 stapes_error *err) {
    *got = 0;
    if (in->at < in->kept.length) {
        size_t left = in->kept.length - in->at;
        *got = n < left ? n : left;
        memcpy(out, in->kept.data + in->at, *got);
        in->at += *got;
        return STAPES_OK;
    }
    if (!in->keeping && in->kept.data) {
        stapes__buf_free(&in->kept);
        in->at = 0;
    }
    stapes_status status = read_fresh(in, out, n, got, err);
    if (status != STAPES_OK || !in->keeping)
        return status;
    if (in->kept.length + *got > KEPT_LIMIT) {
        in->keeping = false;
        return STAPES_OK;
    }
    stapes__buf_append(&in->kept, out, *got);
    in->at = in->kept.length;
    return in->kept.failed ? stapes__fail_memory(err, "the beginning of the audio") : STAPES_OK;
}

stapes_status stapes__input_read_all(stapes__input *in, void *out, uint64_t n, uint64_t *got,
                                     stapes_error *err) {
    uint8_t skipped[4096];
    *got = 0;
    while (*got < n) {
        uint64_t left = n - *got;
        size_t want = out ? (size_t)left : left < sizeof skipped ? (size_t)left : sizeof skipped;
        size_t part;
        stapes_status status =
            stapes__input_read(in, out ? (uint8_t *)out + *got : skipped, want, &part, err);
        if (status != STAPES_OK)
            return status;
        if (part == 0)
            break;
        *got += part;
    }
    return STAPES_OK;
}

bool stapes__input_seek(stapes__input *in, uint64_t offset) {
    return in->seekable && offset <= INT64_MAX && lseek(in->fd, (off_t)offset, SEEK_SET) >= 0;
}

bool stapes__input_rewind(stapes__input *in) {
    if (in->seekable)
        return stapes__input_seek(in, 0);
    in->at = 0;
    return in->keeping;
}

void stapes__input_commit(stapes__input *in) {
    in->keeping = false;
}

static stapes_status copy_to(stapes__input *in, int fd, stapes_error *err) {
    uint8_t bytes[65536];
    for (;;) {
        size_t got;
        stapes_status status = stapes__input_read(in, bytes, sizeof bytes, &got, err);
        if (status != STAPES_OK || got == 0)
            return status;
        for (size_t done = 0; done < got;) {
            ssize_t n = write(fd, bytes + done, got - done);
            if (n < 0 && errno != EINTR)
                return stapes__fail_errno(err, errno, "write", "the temporary copy of the input");
            done += n > 0 ? (size_t)n : 0;
        }
    }
}

stapes_status stapes__input_spool(stapes__input *in, stapes_error *err) {
    if (!stapes__input_rewind(in))
        return stapes__fail(err, STAPES_E_INTERNAL, "the beginning of the input is gone");
    const char *folder = getenv("TMPDIR");
    char *name = stapes__path_join(folder && *folder ? folder : "/tmp", "stapes-XXXXXX");
    if (!name)
        return stapes__fail_memory(err, "a file name");
    int fd = mkstemp(name);
    if (fd < 0) {
        stapes_status status = stapes__fail_errno(err, errno, "create", name);
        free(name);
        return status;
    }
    unlink(name);
    free(name);
    stapes__input_commit(in);
    stapes_status status = copy_to(in, fd, err);
    off_t size = lseek(fd, 0, SEEK_CUR);
    stapes__input_close(in);
    *in = (stapes__input){.fd = fd, .owns_fd = true, .seekable = true, .file_size = (uint64_t)size};
    if (status == STAPES_OK && !stapes__input_seek(in, 0))
        status = stapes__fail(err, STAPES_E_IO, "%s", strerror(errno));
    return status;
}
