/* Where models live on this machine: the model installed with the library, and the cache folder
 * that `stapes pull` fills. Nothing here touches the network. */
#ifndef STAPES_HUB_CACHE_H
#define STAPES_HUB_CACHE_H

#include "hub/registry.h"

/* Written last by a pull: its presence says that the folder is complete. */
#define STAPES__LOCK_FILE "stapes.lock.json"

typedef enum stapes__cache_state {
    STAPES__CACHE_ABSENT,
    STAPES__CACHE_PARTIAL,  /* some files, or a download that stopped */
    STAPES__CACHE_INSTALLED /* every required file is there, with its size where that is known */
} stapes__cache_state;

/* The cache folder, which need not exist: $STAPES_MODELS, else $XDG_CACHE_HOME/stapes/models (the
 * variable counts only when absolute, as its specification says), else ~/.cache/stapes/models.
 * free(*folder). Errors: IO when there is no home either, MEMORY. */
stapes_status stapes__cache_folder(char **folder, stapes_error *err);

/* The folder of one model below `cache`; free() it; NULL when memory is short. */
char *stapes__cache_model_folder(const char *cache, const stapes__registry_model *model);

stapes__cache_state stapes__cache_model_state(const char *model_folder,
                                              const stapes__registry_model *model);

/* The model installed with the library: beside the running program (../share/stapes/models/nano,
 * models/nano, ../models/nano for a build tree), beside the shared library, or below the data
 * folder chosen at build time. free(*path). Errors: MODEL_MISSING, MEMORY. */
stapes_status stapes__hub_embedded(char **path, stapes_error *err);

/* Turns what a user gives as a model into a path to open. In this order:
 *   NULL, "" or "nano"             the embedded model
 *   an existing file or folder     itself (a folder named like a registry model must look like
 *                                  a model, so that a stray folder does not hide the cached one)
 *   a registry name or alias       its place in the cache, when installed
 *   a name of something in the cache that the registry does not know (folder, or NAME.nemo)
 * free(*path); NULL on failure. Errors: MODEL_MISSING (the hint says what to pull or which name
 * was probably meant), IO, ARGUMENT (a damaged STAPES_REGISTRY), MEMORY. */
stapes_status stapes__hub_resolve(const char *name_or_path, char **path, stapes_error *err);

#endif
