/* Model folders: which weights a folder holds, and the small files beside them. */
#ifndef STAPES_WEIGHTS_FOLDER_H
#define STAPES_WEIGHTS_FOLDER_H

#include "weights/container_internal.h"

/* Finds the one model file of a folder without model.safetensors: exactly one *.nemo, or none and
 * exactly one *.safetensors. *path is malloc'ed. UNSUPPORTED says what the folder holds instead;
 * several candidates are named. */
stapes_status stapes__folder_find(char **path, const char *folder, stapes_error *err);

/* Reads config.json, preprocessor_config.json, generation_config.json and the best tokenizer
 * (tokenizer.model, tokenizer.json, vocab.txt) of a folder. Each may be missing; a broken or
 * oversized one is an error. */
stapes_status stapes__folder_read_side(stapes__container *c, const char *folder, stapes_error *err);

#endif
