#include "compute/cpu/parallel.h"

typedef struct split {
    stapes__range_fn fn;
    void *arg;
    size_t total, pieces;
} split;

static void run_piece(void *arg, size_t index, int worker) {
    const split *s = arg;
    size_t first = s->total * index / s->pieces;
    size_t end = s->total * (index + 1) / s->pieces;
    s->fn(s->arg, first, end - first, worker);
}

/* Four pieces per thread even out a core that is busy with something else. */
enum { PIECES_PER_THREAD = 4 };

void stapes__parallel(stapes__pool *pool, size_t total, size_t grain, stapes__range_fn fn,
                      void *arg) {
    if (total == 0)
        return;
    size_t threads = (size_t)stapes__pool_threads(pool);
    size_t pieces = grain ? total / grain : total;
    if (pieces > threads * PIECES_PER_THREAD)
        pieces = threads * PIECES_PER_THREAD;
    else if (pieces > threads)
        pieces -= pieces % threads;
    if (threads < 2 || pieces < 2) {
        fn(arg, 0, total, 0);
        return;
    }
    split s = {fn, arg, total, pieces};
    stapes__pool_run(pool, pieces, run_piece, &s);
}
