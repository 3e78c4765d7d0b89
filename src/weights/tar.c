#include "weights/tar.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
    BLOCK = 512,
    NAME_AT = 0,
    NAME_LENGTH = 100,
    SIZE_AT = 124,
    SIZE_LENGTH = 12,
    SUM_AT = 148,
    SUM_LENGTH = 8,
    TYPE_AT = 156,
    MAGIC_AT = 257,
    PREFIX_AT = 345,
    PREFIX_LENGTH = 155,
    MAX_META = 1 << 20, /* a pax header or long name */
    MAX_PATH = 4096
};

/* What the extended headers before a member say about it. */
typedef struct extended {
    char *name; /* owned */
    size_t size;
    bool has_size;
} extended;

/* Octal text, or a big-endian number when the first byte's top bit is set. */
static bool read_number(const uint8_t *field, size_t length, size_t *value) {
    uint64_t n = 0;
    if (field[0] & 0x80) {
        if (field[0] != 0x80) /* negative, or more than 2^88 */
            return false;
        for (size_t i = 1; i < length; i++) {
            if (n >> 56)
                return false;
            n = n << 8 | field[i];
        }
    } else {
        size_t i = 0;
        while (i < length && field[i] == ' ')
            i++;
        for (; i < length && field[i] >= '0' && field[i] <= '7'; i++) {
            if (n >> 60)
                return false;
            n = n << 3 | (uint64_t)(field[i] - '0');
        }
        if (i < length && field[i] != 0 && field[i] != ' ')
            return false;
    }
    if (n > SIZE_MAX)
        return false;
    *value = (size_t)n;
    return true;
}

/* The sum counts its own field as spaces. Some old writers added signed bytes. */
static bool sum_matches(const uint8_t *header) {
    size_t wanted;
    if (!read_number(header + SUM_AT, SUM_LENGTH, &wanted))
        return false;
    size_t plain = 0;
    long with_sign = 0;
    for (size_t i = 0; i < BLOCK; i++) {
        uint8_t byte = i >= SUM_AT && i < SUM_AT + SUM_LENGTH ? ' ' : header[i];
        plain += byte;
        with_sign += (signed char)byte;
    }
    return wanted == plain || (with_sign >= 0 && wanted == (size_t)with_sign);
}

static bool all_zero(const uint8_t *block) {
    for (size_t i = 0; i < BLOCK; i++)
        if (block[i])
            return false;
    return true;
}

static size_t text_length(const uint8_t *text, size_t limit) {
    const uint8_t *end = memchr(text, 0, limit);
    return end ? (size_t)(end - text) : limit;
}

/* The member's name from the extended header or the plain one; NULL when memory is short. */
static char *member_name(const uint8_t *header, const extended *ext) {
    stapes__buf name = {0};
    if (ext->name) {
        stapes__buf_puts(&name, ext->name);
    } else {
        if (memcmp(header + MAGIC_AT, "ustar", 6) == 0 && header[PREFIX_AT]) {
            stapes__buf_append(&name, header + PREFIX_AT,
                               text_length(header + PREFIX_AT, PREFIX_LENGTH));
            stapes__buf_puts(&name, "/");
        }
        stapes__buf_append(&name, header + NAME_AT, text_length(header + NAME_AT, NAME_LENGTH));
    }
    if (name.failed) {
        stapes__buf_free(&name);
        return NULL;
    }
    size_t skip = 0;
    while (name.data[skip] == '.' && name.data[skip + 1] == '/')
        skip += 2;
    memmove(name.data, name.data + skip, name.length - skip + 1);
    return name.data;
}

static stapes_status add_entry(stapes__tar *tar, const uint8_t *header, const extended *ext,
                               size_t offset, size_t size, stapes_error *err) {
    if (tar->count == tar->capacity) {
        size_t capacity = tar->capacity ? tar->capacity * 2 : 16;
        stapes__tar_entry *grown = stapes__realloc(tar->entries, capacity, sizeof *grown);
        if (!grown)
            return stapes__fail_memory(err, "the archive's directory");
        tar->entries = grown;
        tar->capacity = capacity;
    }
    char *name = member_name(header, ext);
    if (!name)
        return stapes__fail_memory(err, "the archive's directory");
    size_t length = strlen(name);
    if (length == 0 || name[length - 1] == '/') { /* a folder of an old writer */
        free(name);
        return STAPES_OK;
    }
    tar->entries[tar->count++] = (stapes__tar_entry){name, offset, size};
    return STAPES_OK;
}

static void set_name(extended *ext, const uint8_t *text, size_t length) {
    free(ext->name);
    ext->name = stapes__strndup((const char *)text, text_length(text, length));
}

/* One pax record "LENGTH KEY=VALUE\n" at `at`; its whole length, or 0 when it is broken. */
static size_t read_record(const uint8_t *data, size_t size, extended *ext) {
    size_t length = 0, at = 0;
    for (; at < size && at < 8 && data[at] >= '0' && data[at] <= '9'; at++)
        length = length * 10 + (size_t)(data[at] - '0');
    if (at == 0 || at >= size || data[at] != ' ' || length > size || length < at + 3 ||
        data[length - 1] != '\n')
        return 0;
    const uint8_t *key = data + at + 1, *end = data + length - 1;
    const uint8_t *equals = memchr(key, '=', (size_t)(end - key));
    if (!equals)
        return 0;
    size_t key_length = (size_t)(equals - key), value_length = (size_t)(end - equals - 1);
    if (key_length == 4 && memcmp(key, "path", 4) == 0) {
        if (value_length == 0 || value_length > MAX_PATH)
            return 0;
        set_name(ext, equals + 1, value_length);
        return ext->name ? length : 0;
    }
    if (key_length == 4 && memcmp(key, "size", 4) == 0) {
        uint64_t value = 0;
        if (value_length == 0 || value_length > 18)
            return 0;
        for (const uint8_t *c = equals + 1; c < end; c++) {
            if (*c < '0' || *c > '9')
                return 0;
            value = value * 10 + (uint64_t)(*c - '0');
        }
        ext->size = (size_t)value;
        ext->has_size = true;
    }
    return length;
}

static stapes_status read_meta(extended *ext, char type, const uint8_t *data, size_t size,
                               size_t at, stapes_error *err) {
    if (size > MAX_META)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "the archive's extended header at byte %zu has %zu bytes", at, size);
    if (type == 'L') {
        if (size == 0 || text_length(data, size) > MAX_PATH)
            return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                                "the archive's long name at byte %zu is broken", at);
        set_name(ext, data, size);
        return ext->name ? STAPES_OK : stapes__fail_memory(err, "the archive's directory");
    }
    for (size_t done = 0; type == 'x' && done < size;) {
        size_t length = read_record(data + done, size - done, ext);
        if (length == 0)
            return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                                "the archive's extended header at byte %zu is broken", at);
        done += length;
    }
    return STAPES_OK;
}

/* One header with its data; *next is the place of the following one. */
static stapes_status read_member(stapes__tar *tar, const uint8_t *data, size_t size, size_t at,
                                 extended *ext, size_t *next, stapes_error *err) {
    const uint8_t *header = data + at;
    size_t bytes;
    if (!sum_matches(header))
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "the archive's header at byte %zu has a wrong checksum", at);
    char type = (char)header[TYPE_AT];
    bool meta = type == 'x' || type == 'g' || type == 'L' || type == 'K';
    if (!read_number(header + SIZE_AT, SIZE_LENGTH, &bytes))
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "the archive's header at byte %zu has an impossible size", at);
    if (ext->has_size && !meta)
        bytes = ext->size;
    if (type != 0 && type != '0' && type != '7' && !meta && type >= '1' && type <= '6')
        bytes = 0; /* links, devices and folders have no data, whatever their size field says */
    size_t begin = at + BLOCK;
    if (bytes > size - begin) {
        stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                     "the archive's member at byte %zu needs %zu bytes, but only %zu follow", at,
                     bytes, size - begin);
        stapes__hint(err, "the file is cut short: download it again");
        return STAPES_E_MODEL_DAMAGED;
    }
    size_t rest = size - begin - bytes, padding = (BLOCK - bytes % BLOCK) % BLOCK;
    *next = begin + bytes + (padding < rest ? padding : rest);
    if (meta)
        return read_meta(ext, type, data + begin, bytes, at, err);
    stapes_status status = STAPES_OK;
    if (type == 'S')
        status = stapes__fail(err, STAPES_E_UNSUPPORTED,
                              "the archive's member at byte %zu is a sparse file", at);
    else if (type == 0 || type == '0' || type == '7')
        status = add_entry(tar, header, ext, begin, bytes, err);
    free(ext->name);
    *ext = (extended){0};
    return status;
}

stapes_status stapes__tar_read(stapes__tar *tar, const uint8_t *data, size_t size,
                               stapes_error *err) {
    stapes_status status = STAPES_OK;
    extended ext = {0};
    size_t at = 0;
    while (status == STAPES_OK && at < size) {
        if (size - at < BLOCK) {
            status = stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                                  "the archive ends inside the header at byte %zu", at);
            stapes__hint(err, "the file is cut short: download it again");
            break;
        }
        if (all_zero(data + at))
            break;
        status = read_member(tar, data, size, at, &ext, &at, err);
    }
    if (status == STAPES_OK && tar->count == 0)
        status = stapes__fail(err, STAPES_E_MODEL_DAMAGED, "the archive holds no files");
    free(ext.name);
    if (status != STAPES_OK)
        stapes__tar_free(tar);
    return status;
}

void stapes__tar_free(stapes__tar *tar) {
    for (size_t i = 0; i < tar->count; i++)
        free(tar->entries[i].name);
    free(tar->entries);
    *tar = (stapes__tar){0};
}

const stapes__tar_entry *stapes__tar_find(const stapes__tar *tar, const char *name) {
    size_t wanted = strlen(name);
    for (size_t i = tar->count; i-- > 0;) {
        const char *own = tar->entries[i].name;
        size_t length = strlen(own);
        if (length >= wanted && strcmp(own + length - wanted, name) == 0 &&
            (length == wanted || own[length - wanted - 1] == '/'))
            return &tar->entries[i];
    }
    return NULL;
}
