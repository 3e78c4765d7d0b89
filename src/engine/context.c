#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/internal.h"

double stapes__now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void stapes_context_params_default(stapes_context_params *params) {
    *params = (stapes_context_params){
        .struct_size = sizeof *params, .cpu = "auto", .log_level = STAPES_LOG_WARNING};
}

stapes_status stapes_context_open(stapes_context **out, const stapes_context_params *params,
                                  stapes_error *error) {
    stapes_context_params defaults;
    stapes_context_params_default(&defaults);
    *out = NULL;
    if (!params)
        params = &defaults;
    if (params->struct_size != sizeof *params)
        return stapes__fail(error, STAPES_E_ARGUMENT,
                            "stapes_context_params has the wrong size; set it up with "
                            "stapes_context_params_default");
    if (params->threads < 0 || params->threads > 1024)
        return stapes__fail(error, STAPES_E_ARGUMENT, "threads must be 0 to 1024, not %d",
                            params->threads);
    stapes_context *c = stapes__calloc(1, sizeof *c);
    if (!c)
        return stapes__fail_memory(error, "the context");
    c->log = (stapes__log){params->log, params->log_user, params->log_level};
    stapes__cpu_detect(&c->cpu);
    const char *have = stapes__isa_name(c->cpu.isa);
    if (!stapes__cpu_limit(&c->cpu, params->cpu)) {
        free(c);
        stapes__fail(error, STAPES_E_UNSUPPORTED,
                     "instruction set \"%s\" is not known or not on this processor (it has %s)",
                     params->cpu, have);
        stapes__hint(error, "Use auto, none, avx2, avx512 or neon.");
        return STAPES_E_UNSUPPORTED;
    }
    int threads = params->threads > 0 ? params->threads : c->cpu.cores;
    c->pool = stapes__pool_new(threads);
    if (!c->pool) {
        free(c);
        return stapes__fail(error, STAPES_E_MEMORY, "cannot start %d threads", threads);
    }
    stapes__ops_cpu(&c->ops, &c->cpu, c->pool);
    stapes__logf(&c->log, STAPES_LOG_INFO, "%s, kernels: %s, %d thread%s", c->cpu.model,
                 c->ops.name, threads, threads == 1 ? "" : "s");
    *out = c;
    return STAPES_OK;
}

void stapes_context_close(stapes_context **context) {
    if (!*context)
        return;
    stapes__pool_free((*context)->pool);
    free(*context);
    *context = NULL;
}
