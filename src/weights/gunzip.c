#include "weights/gunzip.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "base/mem.h"

#define MAX_UNPACKED ((size_t)64 << 30)
enum { BLOCK = 1 << 18 };

/* /var/tmp before /tmp: the latter often lies in memory. */
static const char *temporary_folder(void) {
    const char *set = getenv("TMPDIR");
    if (set && stapes__is_dir(set))
        return set;
    return access("/var/tmp", W_OK) == 0 ? "/var/tmp" : "/tmp";
}

static stapes_status open_temporary(int *fd, const char *folder, stapes_error *err) {
    char *name = stapes__path_join(folder, "stapes-XXXXXX");
    if (!name)
        return stapes__fail_memory(err, "a temporary file");
    stapes_status status = STAPES_OK;
    *fd = mkostemp(name, O_CLOEXEC);
    if (*fd < 0)
        status = stapes__fail_errno(err, errno, "create a temporary file", folder);
    else
        unlink(name);
    free(name);
    return status;
}

static stapes_status write_all(int fd, const uint8_t *bytes, size_t count, const char *folder,
                               stapes_error *err) {
    while (count > 0) {
        ssize_t put = write(fd, bytes, count);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0) {
            stapes_status status = stapes__fail_errno(err, errno, "unpack the model", folder);
            stapes__hint(err, "set TMPDIR to a folder with room for the unpacked model");
            return status;
        }
        bytes += put;
        count -= (size_t)put;
    }
    return STAPES_OK;
}

/* Inflates everything; *total counts the bytes written. zlib counts input in 32 bits, so it gets
 * the file in parts. */
static stapes_status inflate_all(z_stream *z, int fd, const uint8_t *data, size_t size,
                                 uint8_t *block, size_t *total, const char *folder,
                                 stapes_error *err) {
    size_t given = 0;
    for (int code = Z_OK; code != Z_STREAM_END;) {
        if (z->avail_in == 0 && given < size) {
            size_t part = size - given < (size_t)INT_MAX ? size - given : (size_t)INT_MAX;
            z->next_in = (Bytef *)(uintptr_t)(data + given);
            z->avail_in = (uInt)part;
            given += part;
        }
        z->next_out = block;
        z->avail_out = BLOCK;
        code = inflate(z, Z_NO_FLUSH);
        if (code == Z_MEM_ERROR)
            return stapes__fail_memory(err, "unpacking");
        size_t got = BLOCK - z->avail_out;
        if (code != Z_OK && code != Z_STREAM_END) {
            stapes__fail(err, STAPES_E_MODEL_DAMAGED, "its gzip data are broken or cut short");
            stapes__hint(err, "download it again");
            return STAPES_E_MODEL_DAMAGED;
        }
        *total += got;
        if (*total > MAX_UNPACKED)
            return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                                "its gzip data unpack to more than "
                                "64 GiB");
        stapes_status status = write_all(fd, block, got, folder, err);
        if (status != STAPES_OK)
            return status;
    }
    return STAPES_OK;
}

stapes_status stapes__gunzip_map(stapes__map *map, const uint8_t *data, size_t size,
                                 stapes_error *err) {
    *map = (stapes__map){0};
    const char *folder = temporary_folder();
    z_stream z = {0};
    uint8_t *block = malloc(BLOCK);
    if (!block || inflateInit2(&z, 16 + MAX_WBITS) != Z_OK) {
        free(block);
        return stapes__fail_memory(err, "unpacking");
    }
    int fd = -1;
    size_t total = 0;
    stapes_status status = open_temporary(&fd, folder, err);
    if (status == STAPES_OK)
        status = inflate_all(&z, fd, data, size, block, &total, folder, err);
    inflateEnd(&z);
    free(block);
    if (status == STAPES_OK && total > 0) {
        void *mapped = mmap(NULL, total, PROT_READ, MAP_PRIVATE, fd, 0);
        if (mapped == MAP_FAILED)
            status = stapes__fail_errno(err, errno, "map the unpacked model", folder);
        else
            *map = (stapes__map){mapped, total};
    }
    if (fd >= 0)
        close(fd);
    return status;
}
