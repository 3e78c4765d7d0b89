#include "weights/nemo.h"

#include <string.h>

#include "weights/gunzip.h"
#include "weights/tar.h"
#include "weights/torch.h"
#include "weights/yaml.h"

static bool ends_with(const char *text, const char *ending) {
    size_t length = strlen(text), tail = strlen(ending);
    return length >= tail && strcmp(text + length - tail, ending) == 0;
}

static stapes_status read_config(stapes__container *c, const uint8_t *data, const stapes__tar *tar,
                                 stapes_error *err) {
    const stapes__tar_entry *entry = stapes__tar_find(tar, "model_config.yaml");
    if (!entry)
        return stapes__fail(err, STAPES_E_UNSUPPORTED,
                            "the archive holds no model_config.yaml: it is no NeMo model");
    if (entry->size > STAPES__CONFIG_LIMIT)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "model_config.yaml has %zu bytes, more than the allowed %zu",
                            entry->size, STAPES__CONFIG_LIMIT);
    stapes_status status =
        stapes__yaml_parse(&c->config, (const char *)data + entry->offset, entry->size, err);
    if (status != STAPES_OK)
        stapes__prefix(err, "model_config.yaml");
    else if (!json_is_object(c->config))
        status = stapes__fail(err, STAPES_E_MODEL_DAMAGED, "model_config.yaml: is no mapping");
    return status;
}

/* The member that tokenizer.model_path names ("nemo:<hash>_tokenizer.model"), or, when the
 * configuration names none, the only *tokenizer.model. Character models have neither. */
static const stapes__tar_entry *find_tokenizer(const stapes__container *c, const stapes__tar *tar) {
    const json_t *section = json_object_get(c->config, "tokenizer");
    const char *path = json_string_value(json_object_get(section, "model_path"));
    if (path && strncmp(path, "nemo:", 5) == 0)
        path += 5;
    const stapes__tar_entry *found =
        path && *path ? stapes__tar_find(tar, stapes__path_base(path)) : NULL;
    for (size_t i = 0; !found && i < tar->count; i++)
        if (ends_with(tar->entries[i].name, "tokenizer.model"))
            found = &tar->entries[i];
    return found;
}

static stapes_status read_tokenizer(stapes__container *c, const uint8_t *data,
                                    const stapes__tar *tar, stapes_error *err) {
    const stapes__tar_entry *entry = find_tokenizer(c, tar);
    if (!entry)
        return STAPES_OK;
    if (entry->size > STAPES__TOKENIZER_LIMIT)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                            "%s has %zu bytes, more than the allowed %zu", entry->name, entry->size,
                            STAPES__TOKENIZER_LIMIT);
    c->tokenizer_kind = STAPES__TOKENIZER_SENTENCEPIECE;
    c->tokenizer = (const char *)data + entry->offset;
    c->tokenizer_size = entry->size;
    return STAPES_OK;
}

static stapes_status read_weights(stapes__container *c, const uint8_t *data, const stapes__tar *tar,
                                  stapes_error *err) {
    const stapes__tar_entry *entry = stapes__tar_find(tar, "model_weights.ckpt");
    if (!entry) {
        stapes__fail(err, STAPES_E_UNSUPPORTED, "the archive holds no model_weights.ckpt");
        stapes__hint(err, "archives with distributed checkpoints are not read: save the model "
                          "again with NeMo's save_to");
        return STAPES_E_UNSUPPORTED;
    }
    stapes_status status = stapes__torch_read(c, data + entry->offset, entry->size, NULL, err);
    if (status != STAPES_OK)
        stapes__prefix(err, "model_weights.ckpt");
    return status;
}

stapes_status stapes__nemo_read(stapes__container *c, const uint8_t *data, size_t size,
                                stapes_error *err) {
    stapes__tar tar = {0};
    stapes_status status = stapes__tar_read(&tar, data, size, err);
    if (status == STAPES_OK)
        status = read_config(c, data, &tar, err);
    if (status == STAPES_OK)
        status = read_tokenizer(c, data, &tar, err);
    if (status == STAPES_OK)
        status = read_weights(c, data, &tar, err);
    stapes__tar_free(&tar);
    return status;
}

stapes_status stapes__nemo_open_file(stapes__container *c, const char *path, bool gzip,
                                     stapes_error *err) {
    stapes__map map;
    stapes_status status = stapes__map_open(&map, path, err);
    if (status == STAPES_OK && gzip) {
        stapes__map unpacked = {0};
        status = stapes__gunzip_map(&unpacked, map.data, map.size, err);
        stapes__map_close(&map);
        map = unpacked;
        if (status != STAPES_OK)
            stapes__prefix(err, "%s", path);
    }
    if (status != STAPES_OK)
        return status;
    status = stapes__container_take_map(c, map, err);
    if (status == STAPES_OK)
        status = stapes__nemo_read(c, map.data, map.size, err);
    if (status != STAPES_OK)
        stapes__prefix(err, "%s", path);
    return status;
}
