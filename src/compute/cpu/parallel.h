/* Splitting the work of one operation over the pool. */
#ifndef STAPES_COMPUTE_CPU_PARALLEL_H
#define STAPES_COMPUTE_CPU_PARALLEL_H

#include "compute/ops.h"

/* Items [first, first + count) of a range; `worker` as in base/thread.h. */
typedef void (*stapes__range_fn)(void *arg, size_t first, size_t count, int worker);

/* Runs fn over [0, total) in pieces of at least `grain` items. Fewer than two pieces run in the
 * caller: waking a thread costs some ten microseconds, so `grain` should be worth about that. */
void stapes__parallel(stapes__pool *pool, size_t total, size_t grain, stapes__range_fn fn,
                      void *arg);

#endif
