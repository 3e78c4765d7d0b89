/* A pool of threads that park when idle. One pool serves any number of callers at once: a caller
 * works on its own job and idle workers help whichever job has tasks left. */
#ifndef STAPES_BASE_THREAD_H
#define STAPES_BASE_THREAD_H

#include <stddef.h>

typedef struct stapes__pool stapes__pool;

/* One task of a job: `index` in [0, count). `worker` in [0, threads) names the executing thread
 * uniquely within this job, for per-thread scratch. */
typedef void (*stapes__task_fn)(void *arg, size_t index, int worker);

/* threads counts the caller too; 1 makes no thread at all. NULL when memory is short or the
 * system refuses a thread. */
stapes__pool *stapes__pool_new(int threads);
void stapes__pool_free(stapes__pool *pool);
int stapes__pool_threads(const stapes__pool *pool);

/* Runs fn for every index and returns when all are done. Tasks are handed out one by one in
 * order, so that a busy core takes fewer. pool may be NULL (runs in the caller). Not to be called
 * from inside a task. */
void stapes__pool_run(stapes__pool *pool, size_t count, stapes__task_fn fn, void *arg);

/* Cores that this process may use (affinity and cgroup limit respected), at least 1. */
int stapes__usable_cores(void);

#endif
