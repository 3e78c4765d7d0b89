/* Taking tensors out of a container while checking every name, dtype and shape. Problems are
 * collected, so that one message lists what is missing or mis-shaped; nothing is packed after the
 * first problem. */
#ifndef STAPES_MODELS_LOADER_H
#define STAPES_MODELS_LOADER_H

#include "compute/ops.h"
#include "weights/container.h"

/* Finds a tensor by its canonical name in whatever naming the container uses. */
typedef const stapes__tensor *(*stapes__find_fn)(const stapes__container *c, const char *name);

typedef struct stapes__loader {
    const stapes__container *container;
    const stapes__ops *ops;
    stapes__arena *arena; /* lives as long as the model; small tensors go there as f32 */
    stapes__find_fn find;
    /* Called after each packed weight with the bytes taken so far; false stops. May be NULL. */
    bool (*progress)(void *user, size_t bytes_done);
    void *progress_user;

    stapes_error *err;
    stapes_status status;
    stapes__buf problems;
    int n_problems;
    size_t bytes_done;
    int64_t parameters;  /* elements taken */
    size_t packed_bytes; /* bytes of the packed weights */
} stapes__loader;

/* The tensor with exactly these dimensions (d1..d4 = 0 from the first absent one on); trailing
 * dimensions of 1 may be missing or extra. NULL after noting a problem. */
const stapes__tensor *stapes__loader_tensor(stapes__loader *loader, const char *name, size_t d0,
                                            size_t d1, size_t d2, size_t d3);
bool stapes__loader_has(const stapes__loader *loader, const char *name);

/* `count` elements as floats in the arena, times `scale`. NULL after a problem. */
float *stapes__loader_floats(stapes__loader *loader, const char *name, size_t count, float scale);

/* A packed linear weight [n, k]; column as in stapes__pack_params. NULL after a problem. */
stapes__weight *stapes__loader_weight(stapes__loader *loader, const char *name, size_t n, size_t k,
                                      const size_t *column);
/* Several weights of n rows each stacked to [n_parts * n, k]. */
stapes__weight *stapes__loader_stack(stapes__loader *loader, const char *const *names,
                                     size_t n_parts, size_t n, size_t k);

/* Marks that tensors are dealt with (their pages may go). */
void stapes__loader_release(stapes__loader *loader, const stapes__tensor *tensor);

/* Ends loading: the first failure, or one message with the collected problems. */
stapes_status stapes__loader_finish(stapes__loader *loader);

#endif
