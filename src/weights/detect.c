#include "weights/detect.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

static bool starts(const uint8_t *data, size_t size, const char *magic, size_t length) {
    return size >= length && memcmp(data, magic, length) == 0;
}

/* A page, whatever stands before its first tag. */
static bool looks_html(const uint8_t *data, size_t size) {
    size_t at = 0;
    if (starts(data, size, "\xef\xbb\xbf", 3))
        at = 3;
    while (at < size && (data[at] == ' ' || (data[at] >= '\t' && data[at] <= '\r')))
        at++;
    static const char *const tags[] = {"<!doctype html", "<html", "<head", "<?xml", "<!--"};
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        size_t length = strlen(tags[i]);
        if (size - at >= length && strncasecmp((const char *)data + at, tags[i], length) == 0)
            return true;
    }
    return false;
}

/* The length of the header, then its opening brace. A length beyond the file is left to the
 * reader, which says that the file is cut short. */
static bool looks_safetensors(const uint8_t *data, size_t size) {
    return size >= 9 && data[8] == '{' && data[4] == 0 && data[5] == 0 && data[6] == 0 &&
           data[7] == 0;
}

/* ModelProto: field 1 (ir_version, a small varint), then field 2, 3, 7 or 8. */
static bool looks_onnx(const uint8_t *data, size_t size) {
    return size >= 3 && data[0] == 0x08 && data[1] >= 1 && data[1] <= 32 &&
           (data[2] == 0x12 || data[2] == 0x1a || data[2] == 0x3a || data[2] == 0x42);
}

stapes__file_kind stapes__detect(const uint8_t *data, size_t size, size_t file_size) {
    if (file_size == 0 || size == 0)
        return STAPES__FILE_EMPTY;
    if (starts(data, size, "GGUF", 4))
        return STAPES__FILE_GGUF;
    if (starts(data, size, "lmgg", 4))
        return STAPES__FILE_GGML;
    if (starts(data, size, "\x1f\x8b", 2))
        return STAPES__FILE_GZIP;
    if (size >= 262 && memcmp(data + 257, "ustar", 5) == 0)
        return STAPES__FILE_TAR;
    if (starts(data, size, "PK\x03\x04", 4))
        return STAPES__FILE_ZIP;
    if (starts(data, size, "\x93NUMPY", 6))
        return STAPES__FILE_NPY;
    if (starts(data, size, "version https://git-lfs", 23))
        return STAPES__FILE_LFS_POINTER;
    if (looks_html(data, size))
        return STAPES__FILE_HTML;
    if (looks_safetensors(data, size))
        return STAPES__FILE_SAFETENSORS;
    if (size >= 2 && data[0] == 0x80 && data[1] >= 2 && data[1] <= 5)
        return STAPES__FILE_PICKLE;
    if (looks_onnx(data, size))
        return STAPES__FILE_ONNX;
    return STAPES__FILE_UNKNOWN;
}

typedef struct refusal {
    stapes_status code;
    const char *what, *hint;
} refusal;

static refusal refusal_of(stapes__file_kind kind) {
    static const char other[] = "use the model's .nemo file or its Hugging Face folder "
                                "(config.json and model.safetensors)";
    switch (kind) {
    case STAPES__FILE_EMPTY:
        return (refusal){STAPES_E_MODEL_DAMAGED, "is empty", "download it again"};
    case STAPES__FILE_ONNX:
        return (refusal){STAPES_E_UNSUPPORTED, "is an ONNX graph, which is not read", other};
    case STAPES__FILE_NPY:
        return (refusal){STAPES_E_UNSUPPORTED, "is a NumPy array, not a model", other};
    case STAPES__FILE_PICKLE:
        return (refusal){STAPES_E_UNSUPPORTED, "is a torch file of before version 1.6",
                         "load and save it once with a current torch, or use safetensors"};
    case STAPES__FILE_HTML:
        return (refusal){STAPES_E_MODEL_DAMAGED, "is a web page, not a model",
                         "the download was answered with a page: use the file's direct address, "
                         "or log in where the model asks for it"};
    case STAPES__FILE_LFS_POINTER:
        return (refusal){STAPES_E_MODEL_DAMAGED,
                         "is a git-lfs pointer: the weights themselves were not downloaded",
                         "run 'git lfs pull' in that folder, or download the file itself"};
    default:
        return (refusal){STAPES_E_UNSUPPORTED, "is no model file that is known here", other};
    }
}

stapes_status stapes__detect_refuse(stapes__file_kind kind, const char *path, stapes_error *err) {
    refusal r = refusal_of(kind);
    stapes__fail(err, r.code, "%s: %s", path, r.what);
    stapes__hint(err, "%s", r.hint);
    return r.code;
}
