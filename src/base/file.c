#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

stapes_status stapes__map_open(stapes__map *map, const char *path, stapes_error *err) {
    map->data = NULL;
    map->size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return stapes__fail_errno(err, errno, "open", path);
    struct stat status;
    stapes_status result = STAPES_OK;
    if (fstat(fd, &status) != 0)
        result = stapes__fail_errno(err, errno, "read", path);
    else if (!S_ISREG(status.st_mode))
        result = stapes__fail(err, STAPES_E_IO, "%s: is not a regular file", path);
    else if (status.st_size > 0) {
        void *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
            result = stapes__fail_errno(err, errno, "map", path);
        else
            *map = (stapes__map){data, (size_t)status.st_size};
    }
    close(fd);
    return result;
}

void stapes__map_close(stapes__map *map) {
    if (map->data)
        munmap((void *)(uintptr_t)map->data, map->size);
    map->data = NULL;
    map->size = 0;
}

void stapes__map_release(const stapes__map *map, size_t offset, size_t length) {
    if (!map->data || offset > map->size || length > map->size - offset)
        return;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t begin = (offset + page - 1) / page * page;
    size_t end = (offset + length) / page * page;
    if (end > begin)
        madvise((void *)(uintptr_t)(map->data + begin), end - begin, MADV_DONTNEED);
}

stapes_status stapes__read_file(const char *path, size_t limit, char **data, size_t *size,
                                stapes_error *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return stapes__fail_errno(err, errno, "open", path);
    stapes__buf buf = {0};
    stapes_status result = STAPES_OK;
    for (;;) {
        char block[1 << 16];
        ssize_t got = read(fd, block, sizeof block);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            result = stapes__fail_errno(err, errno, "read", path);
        if (got <= 0)
            break;
        stapes__buf_append(&buf, block, (size_t)got);
        if (buf.length > limit) {
            result = stapes__fail(err, STAPES_E_IO, "%s: is larger than the allowed %zu bytes",
                                  path, limit);
            break;
        }
    }
    close(fd);
    if (result == STAPES_OK) {
        stapes__buf_append(&buf, "", 0);
        if (buf.failed)
            result = stapes__fail_memory(err, path);
    }
    if (result != STAPES_OK) {
        stapes__buf_free(&buf);
        return result;
    }
    *data = buf.data;
    if (size)
        *size = buf.length;
    return STAPES_OK;
}

static stapes_status write_all(int fd, const void *data, size_t size, const char *path,
                               stapes_error *err) {
    const char *at = data;
    while (size > 0) {
        ssize_t put = write(fd, at, size);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return stapes__fail_errno(err, errno, "write", path);
        at += put;
        size -= (size_t)put;
    }
    if (fsync(fd) != 0 && errno != EINVAL && errno != EROFS)
        return stapes__fail_errno(err, errno, "write", path);
    return STAPES_OK;
}

stapes_status stapes__write_file(const char *path, const void *data, size_t size,
                                 stapes_error *err) {
    stapes__buf temporary = {0};
    stapes__buf_printf(&temporary, "%s.part-%ld", path, (long)getpid());
    if (temporary.failed) {
        stapes__buf_free(&temporary);
        return stapes__fail_memory(err, path);
    }
    int fd = open(temporary.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        stapes_status failed = stapes__fail_errno(err, errno, "create", path);
        stapes__buf_free(&temporary);
        return failed;
    }
    stapes_status result = write_all(fd, data, size, path, err);
    if (close(fd) != 0 && result == STAPES_OK)
        result = stapes__fail_errno(err, errno, "write", path);
    if (result == STAPES_OK && rename(temporary.data, path) != 0)
        result = stapes__fail_errno(err, errno, "replace", path);
    if (result != STAPES_OK)
        unlink(temporary.data);
    stapes__buf_free(&temporary);
    return result;
}

bool stapes__is_dir(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

bool stapes__is_file(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

stapes_status stapes__make_dirs(const char *path, stapes_error *err) {
    char *copy = stapes__strdup(path);
    if (!copy)
        return stapes__fail_memory(err, path);
    stapes_status result = STAPES_OK;
    for (char *slash = copy + (copy[0] == '/');; slash++) {
        if (*slash != '/' && *slash != 0)
            continue;
        char saved = *slash;
        *slash = 0;
        if (copy[0] && mkdir(copy, 0777) != 0 && errno != EEXIST) {
            result = stapes__fail_errno(err, errno, "create folder", copy);
            break;
        }
        *slash = saved;
        if (saved == 0)
            break;
    }
    if (result == STAPES_OK && !stapes__is_dir(path))
        result = stapes__fail_errno(err, ENOTDIR, "create folder", path);
    free(copy);
    return result;
}

char *stapes__path_join(const char *folder, const char *name) {
    stapes__buf buf = {0};
    size_t length = strlen(folder);
    stapes__buf_puts(&buf, folder);
    if (length > 0 && folder[length - 1] != '/')
        stapes__buf_puts(&buf, "/");
    stapes__buf_puts(&buf, name);
    if (buf.failed)
        stapes__buf_free(&buf);
    return buf.data;
}

const char *stapes__path_base(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
