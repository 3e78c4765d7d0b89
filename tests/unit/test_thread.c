/* The thread pool: every task once, several callers at a time, parked while idle. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"
#include "support.h"

typedef struct tally {
    atomic_int *runs;     /* per index */
    atomic_int inside[8]; /* per worker: tasks running now */
    atomic_int clashes, workers;
    int threads;
} tally;

static void count_task(void *arg, size_t index, int worker) {
    tally *t = arg;
    if (worker < 0 || worker >= t->threads || atomic_fetch_add(&t->inside[worker], 1) != 0)
        atomic_fetch_add(&t->clashes, 1);
    atomic_fetch_add(&t->runs[index], 1);
    atomic_fetch_or(&t->workers, 1 << worker);
    atomic_fetch_sub(&t->inside[worker], 1);
}

static void run_counted(stapes__pool *pool, size_t count) {
    tally t = {.threads = stapes__pool_threads(pool)};
    t.runs = calloc(count + 1, sizeof *t.runs);
    assert_non_null(t.runs);
    stapes__pool_run(pool, count, count_task, &t);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(atomic_load(&t.runs[i]), 1);
    assert_int_equal(atomic_load(&t.clashes), 0);
    free(t.runs);
}

static void test_every_task_once(void **state) {
    (void)state;
    for (int threads = 1; threads <= 8; threads++) {
        stapes__pool *pool = stapes__pool_new(threads);
        assert_non_null(pool);
        assert_int_equal(stapes__pool_threads(pool), threads);
        static const size_t counts[] = {0, 1, 2, 3, 7, 64, 1000};
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
            run_counted(pool, counts[i]);
        stapes__pool_free(pool);
    }
    run_counted(NULL, 5);
    assert_int_equal(stapes__pool_threads(NULL), 1);
    stapes__pool_free(NULL);
}

static void test_many_small_jobs(void **state) {
    (void)state;
    stapes__pool *pool = stapes__pool_new(3);
    assert_non_null(pool);
    for (int i = 0; i < 10000; i++)
        run_counted(pool, (size_t)(i % 5));
    stapes__pool_free(pool);
}

typedef struct caller {
    stapes__pool *pool;
    pthread_t thread;
} caller;

static void *caller_main(void *arg) {
    caller *c = arg;
    for (int i = 0; i < 500; i++)
        run_counted(c->pool, (size_t)(i % 17));
    return NULL;
}

static void test_several_callers(void **state) {
    (void)state;
    stapes__pool *pool = stapes__pool_new(3);
    caller callers[5];
    assert_non_null(pool);
    for (size_t i = 0; i < 5; i++) {
        callers[i].pool = pool;
        assert_int_equal(pthread_create(&callers[i].thread, NULL, caller_main, &callers[i]), 0);
    }
    for (size_t i = 0; i < 5; i++)
        pthread_join(callers[i].thread, NULL);
    stapes__pool_free(pool);
}

/* Two tasks that wait for each other end only when two threads work. */
static void meet_task(void *arg, size_t index, int worker) {
    (void)index;
    (void)worker;
    atomic_int *arrived = arg;
    atomic_fetch_add(arrived, 1);
    for (int i = 0; i < 20000 && atomic_load(arrived) < 2; i++)
        usleep(500);
}

static void test_helpers_help(void **state) {
    (void)state;
    stapes__pool *pool = stapes__pool_new(2);
    assert_non_null(pool);
    atomic_int arrived = 0;
    stapes__pool_run(pool, 2, meet_task, &arrived);
    assert_int_equal(atomic_load(&arrived), 2);
    stapes__pool_free(pool);
}

/* An idle pool uses no processor time. */
static void test_idle_pool_parks(void **state) {
    (void)state;
    stapes__pool *pool = stapes__pool_new(8);
    assert_non_null(pool);
    run_counted(pool, 100);
    usleep(50000);
    struct timespec before, after;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    usleep(300000);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    double used =
        (double)(after.tv_sec - before.tv_sec) + 1e-9 * (double)(after.tv_nsec - before.tv_nsec);
    assert_true(used < 0.01);
    stapes__pool_free(pool);
}

static void test_usable_cores(void **state) {
    (void)state;
    assert_in_range(stapes__usable_cores(), 1, 100000);
    assert_true(stapes__usable_cores() <= sysconf(_SC_NPROCESSORS_CONF));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_task_once), cmocka_unit_test(test_many_small_jobs),
        cmocka_unit_test(test_several_callers), cmocka_unit_test(test_helpers_help),
        cmocka_unit_test(test_idle_pool_parks), cmocka_unit_test(test_usable_cores)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
