/* Ctrl-C without a signal handler: SIGINT and SIGTERM are blocked in every thread and taken by
 * one thread that waits for them, so that stopping may lock, print and call anything, and no
 * global variable is needed. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct cli_stop {
    cli *c;
    pthread_t watcher, pump;
    bool has_pump;
    pthread_mutex_t lock;
    void (*fn)(void *user); /* under lock */
    void *user;
    atomic_bool stopping, closing;
    int source, sink; /* of the pump: the real standard input, the pipe that stands in for it */
};

static sigset_t stop_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR2); /* sent by cli_stop_close to end the watcher */
    return set;
}

static void *watch(void *user) {
    cli_stop *stop = user;
    sigset_t set = stop_signals();
    for (;;) {
        int signum = 0;
        if (sigwait(&set, &signum) != 0)
            continue;
        if (atomic_load(&stop->closing))
            return NULL;
        if (signum == SIGUSR2)
            continue;
        if (atomic_exchange(&stop->stopping, true)) { /* the second time: end at once */
            if (stop->c->tty_err && write(STDERR_FILENO, "\n", 1) < 0)
                _exit(1);
            _exit(128 + signum);
        }
        pthread_mutex_lock(&stop->lock);
        if (stop->fn)
            stop->fn(stop->user);
        pthread_mutex_unlock(&stop->lock);
    }
}

cli_stop *cli_stop_open(cli *c) {
    cli_stop *stop = calloc(1, sizeof(*stop));
    sigset_t set = stop_signals();
    if (!stop)
        return NULL;
    stop->c = c;
    pthread_mutex_init(&stop->lock, NULL);
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (pthread_create(&stop->watcher, NULL, watch, stop) != 0) {
        pthread_sigmask(SIG_UNBLOCK, &set, NULL);
        pthread_mutex_destroy(&stop->lock);
        free(stop);
        return NULL;
    }
    return stop;
}

void cli_stop_close(cli_stop *stop) {
    if (!stop)
        return;
    atomic_store(&stop->closing, true);
    pthread_kill(stop->watcher, SIGUSR2);
    pthread_join(stop->watcher, NULL);
    if (stop->has_pump)
        pthread_join(stop->pump, NULL);
    pthread_mutex_destroy(&stop->lock);
    free(stop);
}

bool cli_stopping(const cli *c) {
    return c->stop && atomic_load(&c->stop->stopping);
}

void cli_on_stop(cli *c, void (*fn)(void *user), void *user) {
    if (!c->stop)
        return;
    pthread_mutex_lock(&c->stop->lock);
    c->stop->fn = fn;
    c->stop->user = user;
    if (fn && atomic_load(&c->stop->stopping))
        fn(user);
    pthread_mutex_unlock(&c->stop->lock);
}

static bool pump_ends(cli_stop *stop) {
    return atomic_load(&stop->stopping) || atomic_load(&stop->closing);
}

/* The pipe does not block, so that a reader that stopped reading cannot hold the program up. */
static bool write_all(cli_stop *stop, const char *bytes, size_t count) {
    while (count > 0) {
        ssize_t n = write(stop->sink, bytes, count);
        if (n < 0 && errno == EAGAIN && !pump_ends(stop)) {
            struct pollfd ready = {.fd = stop->sink, .events = POLLOUT};
            poll(&ready, 1, 100);
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        count -= (size_t)n;
    }
    return true;
}

/* Copies the real standard input into the pipe until its end, until nobody reads the pipe any
 * more, or until the program is asked to stop. */
static void *pump_input(void *user) {
    cli_stop *stop = user;
    char bytes[16384];
    while (!pump_ends(stop)) {
        struct pollfd ready[2] = {{.fd = stop->source, .events = POLLIN}, {.fd = stop->sink}};
        int n = poll(ready, 2, 100);
        if (n < 0 && errno != EINTR)
            break;
        if (ready[1].revents & POLLERR)
            break;
        if (n <= 0 || !ready[0].revents)
            continue;
        ssize_t got = read(stop->source, bytes, sizeof(bytes));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 || !write_all(stop, bytes, (size_t)got))
            break;
    }
    close(stop->sink);
    close(stop->source);
    return NULL;
}

bool cli_guard_stdin(cli *c) {
    struct stat info;
    int ends[2];
    if (c->stop && c->stop->has_pump)
        return true;
    if (!c->stop || fstat(STDIN_FILENO, &info) != 0 || S_ISREG(info.st_mode))
        return false;
    int source = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    if (source < 0)
        return false;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        close(source);
        return false;
    }
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    c->stop->source = source;
    c->stop->sink = ends[1];
    if (dup2(ends[0], STDIN_FILENO) < 0 ||
        pthread_create(&c->stop->pump, NULL, pump_input, c->stop) != 0) {
        dup2(source, STDIN_FILENO);
        close(source);
        close(ends[1]);
    } else {
        c->stop->has_pump = true;
    }
    close(ends[0]);
    return c->stop->has_pump;
}
