#include "weights/torch_zip.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
    END_BYTES = 22,
    END64_BYTES = 56,
    LOCATOR_BYTES = 20,
    CENTRAL_BYTES = 46,
    LOCAL_BYTES = 30,
    MAX_COMMENT = 65535,
    MAX_NAME = 512
};

typedef struct directory {
    uint64_t offset, size, count;
} directory;

static uint64_t little(const uint8_t *bytes, int count) {
    uint64_t value = 0;
    for (int i = count - 1; i >= 0; i--)
        value = value << 8 | bytes[i];
    return value;
}

/* The end-of-central-directory record whose comment reaches exactly to the end of the archive. */
static const uint8_t *find_end(const uint8_t *data, size_t size) {
    if (size < END_BYTES)
        return NULL;
    size_t furthest = size - END_BYTES < MAX_COMMENT ? size - END_BYTES : MAX_COMMENT;
    for (size_t comment = 0; comment <= furthest; comment++) {
        const uint8_t *end = data + size - END_BYTES - comment;
        if (memcmp(end, "PK\5\6", 4) == 0 && little(end + 20, 2) == comment)
            return end;
    }
    return NULL;
}

static stapes_status find_directory(directory *dir, const uint8_t *data, size_t size,
                                    stapes_error *err) {
    const uint8_t *end = find_end(data, size);
    if (!end) {
        stapes__fail(err, STAPES_E_MODEL_DAMAGED, "the checkpoint has no zip directory at its end");
        stapes__hint(err, "the file is cut short: download it again");
        return STAPES_E_MODEL_DAMAGED;
    }
    *dir = (directory){little(end + 16, 4), little(end + 12, 4), little(end + 10, 2)};
    size_t end_at = (size_t)(end - data);
    if (end_at >= LOCATOR_BYTES && memcmp(end - LOCATOR_BYTES, "PK\6\7", 4) == 0) {
        uint64_t at = little(end - LOCATOR_BYTES + 8, 8);
        if (end_at - LOCATOR_BYTES < END64_BYTES || at > end_at - LOCATOR_BYTES - END64_BYTES ||
            memcmp(data + at, "PK\6\6", 4) != 0)
            return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                                "the checkpoint's zip64 directory end is not where it should be");
        *dir = (directory){little(data + at + 48, 8), little(data + at + 40, 8),
                           little(data + at + 32, 8)};
    }
    if (dir->offset > end_at || dir->size > end_at - dir->offset ||
        dir->count > dir->size / CENTRAL_BYTES)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "the checkpoint's zip directory does not fit into the file");
    return STAPES_OK;
}

/* Fields that are all ones in the 32-bit record stand in the zip64 extra field, in this order. */
static bool read_extra64(const uint8_t *extra, size_t length, uint64_t *sizes[3]) {
    for (size_t at = 0; length - at >= 4;) {
        size_t bytes = (size_t)little(extra + at + 2, 2);
        const uint8_t *value = extra + at + 4;
        if (bytes > length - at - 4)
            return false;
        if (little(extra + at, 2) == 1) {
            for (int i = 0; i < 3; i++) {
                if (*sizes[i] != UINT32_MAX)
                    continue;
                if (bytes < 8)
                    return false;
                *sizes[i] = little(value, 8);
                value += 8;
                bytes -= 8;
            }
            return true;
        }
        at += 4 + bytes;
    }
    return true;
}

static stapes_status locate(stapes__zip_entry *entry, uint64_t local, uint64_t bytes,
                            const uint8_t *data, size_t size, stapes_error *err) {
    int shown = (int)entry->name_length;
    if (size < LOCAL_BYTES || local > size - LOCAL_BYTES || memcmp(data + local, "PK\3\4", 4) != 0)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "checkpoint member %.*s: its local header is not where it should be",
                            shown, entry->name);
    size_t name = (size_t)little(data + local + 26, 2),
           extra = (size_t)little(data + local + 28, 2);
    size_t rest = size - LOCAL_BYTES - (size_t)local;
    if (name > rest || extra > rest - name || bytes > rest - name - extra)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "checkpoint member %.*s reaches beyond the end of the file", shown,
                            entry->name);
    if (name != entry->name_length || memcmp(data + local + LOCAL_BYTES, entry->name, name) != 0)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "checkpoint member %.*s: its local header names another file", shown,
                            entry->name);
    entry->offset = (size_t)local + LOCAL_BYTES + name + extra;
    entry->size = (size_t)bytes;
    return STAPES_OK;
}

/* One record of the central directory; *length is all of it. */
static stapes_status read_record(stapes__zip_entry *entry, const uint8_t *record, size_t available,
                                 size_t *length, const uint8_t *data, size_t size,
                                 stapes_error *err) {
    if (available < CENTRAL_BYTES || memcmp(record, "PK\1\2", 4) != 0)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "the checkpoint's zip directory is broken");
    size_t name = (size_t)little(record + 28, 2), extra = (size_t)little(record + 30, 2);
    size_t comment = (size_t)little(record + 32, 2);
    *length = CENTRAL_BYTES + name + extra + comment;
    if (*length > available || name == 0 || name > MAX_NAME)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "the checkpoint's zip directory has an impossible name");
    entry->name = (const char *)record + CENTRAL_BYTES;
    entry->name_length = name;
    if (little(record + 10, 2) != 0 || (little(record + 8, 2) & 1)) {
        stapes__fail(err, STAPES_E_UNSUPPORTED, "checkpoint member %.*s is %s", (int)name,
                     entry->name, little(record + 10, 2) ? "compressed" : "encrypted");
        stapes__hint(err, "torch stores members as they are: save the checkpoint again");
        return STAPES_E_UNSUPPORTED;
    }
    uint64_t whole = little(record + 24, 4), packed = little(record + 20, 4);
    uint64_t local = little(record + 42, 4);
    uint64_t *sizes[3] = {&whole, &packed, &local};
    if (!read_extra64(record + CENTRAL_BYTES + name, extra, sizes) || whole != packed)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "checkpoint member %.*s: its sizes disagree", (int)name, entry->name);
    return locate(entry, local, whole, data, size, err);
}

static int compare_names(const char *a, size_t a_length, const char *b, size_t b_length) {
    int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
    return order ? order : (a_length > b_length) - (a_length < b_length);
}

static int compare_entries(const void *a, const void *b) {
    const stapes__zip_entry *x = a, *y = b;
    return compare_names(x->name, x->name_length, y->name, y->name_length);
}

/* The folder that holds data.pkl, and the byte order that it states. */
static stapes_status find_top(stapes__zip *zip, const uint8_t *data, stapes_error *err) {
    static const char pickle[] = "/data.pkl";
    size_t found = 0, tail = sizeof pickle - 1;
    for (size_t i = 0; i < zip->count; i++) {
        const stapes__zip_entry *e = &zip->entries[i];
        if (e->name_length > tail && memcmp(e->name + e->name_length - tail, pickle, tail) == 0 &&
            found++ == 0) {
            zip->top = e->name;
            zip->top_length = e->name_length - tail + 1;
        }
    }
    if (found != 1)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "the checkpoint holds %zu data.pkl instead of one", found);
    const stapes__zip_entry *order = stapes__zip_find(zip, "", "byteorder", 9);
    if (order && (order->size != 6 || memcmp(data + order->offset, "little", 6) != 0))
        return stapes__fail(err, STAPES_E_UNSUPPORTED,
                            "the checkpoint's numbers are not little-endian");
    return STAPES_OK;
}

static stapes_status read_entries(stapes__zip *zip, const directory *dir, const uint8_t *data,
                                  size_t size, stapes_error *err) {
    size_t at = (size_t)dir->offset, end = at + (size_t)dir->size;
    for (uint64_t i = 0; i < dir->count; i++) {
        size_t length = 0;
        stapes_status status =
            read_record(&zip->entries[zip->count], data + at, end - at, &length, data, size, err);
        if (status != STAPES_OK)
            return status;
        zip->count++;
        at += length;
    }
    qsort(zip->entries, zip->count, sizeof *zip->entries, compare_entries);
    for (size_t i = 1; i < zip->count; i++)
        if (compare_entries(&zip->entries[i - 1], &zip->entries[i]) == 0)
            return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                                "checkpoint member %.*s is there twice",
                                (int)zip->entries[i].name_length, zip->entries[i].name);
    return find_top(zip, data, err);
}

stapes_status stapes__zip_read(stapes__zip *zip, const uint8_t *data, size_t size,
                               stapes_error *err) {
    directory dir;
    stapes_status status = find_directory(&dir, data, size, err);
    if (status != STAPES_OK)
        return status;
    zip->entries = stapes__calloc((size_t)dir.count, sizeof *zip->entries);
    if (!zip->entries)
        return stapes__fail_memory(err, "the checkpoint's directory");
    status = read_entries(zip, &dir, data, size, err);
    if (status != STAPES_OK)
        stapes__zip_free(zip);
    return status;
}

void stapes__zip_free(stapes__zip *zip) {
    free(zip->entries);
    *zip = (stapes__zip){0};
}

const stapes__zip_entry *stapes__zip_find(const stapes__zip *zip, const char *folder,
                                          const char *name, size_t name_length) {
    char wanted[MAX_NAME];
    size_t middle = strlen(folder);
    if (name_length > MAX_NAME || zip->top_length + middle > MAX_NAME - name_length)
        return NULL;
    memcpy(wanted, zip->top, zip->top_length);
    memcpy(wanted + zip->top_length, folder, middle);
    memcpy(wanted + zip->top_length + middle, name, name_length);
    stapes__zip_entry key = {.name = wanted, .name_length = zip->top_length + middle + name_length};
    return bsearch(&key, zip->entries, zip->count, sizeof key, compare_entries);
}
