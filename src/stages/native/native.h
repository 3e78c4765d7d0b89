/* Stages computed by our own models over compute/ops.h. */
#ifndef STAPES_STAGES_NATIVE_NATIVE_H
#define STAPES_STAGES_NATIVE_NATIVE_H

#include "models/fastconformer/config.h"
#include "stages/stages.h"

typedef struct stapes__native_params {
    const stapes__ops *ops; /* kept */
    bool (*progress)(void *user, size_t bytes_done);
    void *progress_user;
} stapes__native_params;

typedef struct stapes__native_stats {
    int64_t parameters;
    size_t weight_bytes;
} stapes__native_stats;

/* Loads all networks of a container whose configuration has been read. */
stapes_status stapes__native_open(stapes__stages **out, const stapes__container *container,
                                  const stapes__fc_config *config,
                                  const stapes__native_params *params, stapes__native_stats *stats,
                                  stapes_error *err);

#endif
