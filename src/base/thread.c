#include "base/thread.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

/* A job lives on the stack of its caller. The list of jobs with tasks left is short; one lock
 * guards everything, tasks are large (tens of microseconds and more). */
typedef struct job {
    stapes__task_fn fn;
    void *arg;
    size_t next, count;
    int running; /* helpers inside a task of this job */
    struct job *link;
} job;

typedef struct helper {
    struct stapes__pool *pool;
    pthread_t thread;
    int worker; /* 1 and up; 0 is whoever calls */
} helper;

struct stapes__pool {
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    job *jobs;
    helper *helpers;
    int n_helpers;
    bool stop;
};

static job *job_with_tasks(stapes__pool *pool) {
    for (job *j = pool->jobs; j; j = j->link)
        if (j->next < j->count)
            return j;
    return NULL;
}

static void *helper_main(void *arg) {
    const helper *self = arg;
    stapes__pool *pool = self->pool;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        job *j = job_with_tasks(pool);
        if (!j) {
            if (pool->stop)
                break;
            pthread_cond_wait(&pool->work, &pool->lock);
            continue;
        }
        j->running++;
        while (j->next < j->count) {
            size_t index = j->next++;
            pthread_mutex_unlock(&pool->lock);
            j->fn(j->arg, index, self->worker);
            pthread_mutex_lock(&pool->lock);
        }
        if (--j->running == 0)
            pthread_cond_broadcast(&pool->done);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

stapes__pool *stapes__pool_new(int threads) {
    stapes__pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    if (threads > 1)
        pool->helpers = stapes__calloc((size_t)threads - 1, sizeof *pool->helpers);
    if (threads > 1 && !pool->helpers) {
        stapes__pool_free(pool);
        return NULL;
    }
    for (int i = 0; i < threads - 1; i++) {
        helper *h = &pool->helpers[i];
        h->pool = pool;
        h->worker = i + 1;
        if (pthread_create(&h->thread, NULL, helper_main, h) != 0) {
            stapes__pool_free(pool);
            return NULL;
        }
        pool->n_helpers++;
    }
    return pool;
}

void stapes__pool_free(stapes__pool *pool) {
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->n_helpers; i++)
        pthread_join(pool->helpers[i].thread, NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool->helpers);
    free(pool);
}

int stapes__pool_threads(const stapes__pool *pool) {
    return pool ? pool->n_helpers + 1 : 1;
}

void stapes__pool_run(stapes__pool *pool, size_t count, stapes__task_fn fn, void *arg) {
    if (!pool || pool->n_helpers == 0 || count < 2) {
        for (size_t i = 0; i < count; i++)
            fn(arg, i, 0);
        return;
    }
    job j = {.fn = fn, .arg = arg, .count = count};
    pthread_mutex_lock(&pool->lock);
    j.link = pool->jobs;
    pool->jobs = &j;
    pthread_cond_broadcast(&pool->work);
    while (j.next < j.count) {
        size_t index = j.next++;
        pthread_mutex_unlock(&pool->lock);
        fn(arg, index, 0);
        pthread_mutex_lock(&pool->lock);
    }
    for (job **at = &pool->jobs; *at; at = &(*at)->link) {
        if (*at == &j) {
            *at = j.link;
            break;
        }
    }
    while (j.running > 0)
        pthread_cond_wait(&pool->done, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

/* The cgroup limit "quota period" of version 2, or none. */
static int cgroup_cores(void) {
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "r");
    if (!file)
        return 0;
    long quota = 0, period = 0;
    int fields = fscanf(file, "%ld %ld", &quota, &period);
    fclose(file);
    if (fields != 2 || quota <= 0 || period <= 0)
        return 0;
    return (int)((quota + period - 1) / period);
}

int stapes__usable_cores(void) {
    cpu_set_t set;
    int cores = 1;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        cores = CPU_COUNT(&set);
    int limit = cgroup_cores();
    if (limit > 0 && limit < cores)
        cores = limit;
    return cores > 0 ? cores : 1;
}
