/* The findings of `stapes doctor` and the checks that make them. */
#ifndef STAPES_CLI_DOCTOR_H
#define STAPES_CLI_DOCTOR_H

#include <jansson.h>

#include "cli.h"

typedef enum doctor_state {
    DOCTOR_OK,
    DOCTOR_NOTE, /* works, but something could be better: the advice says what */
    DOCTOR_BAD   /* does not work */
} doctor_state;

typedef struct doctor {
    cli *c;
    json_t *findings; /* array of {check, state, finding, advice} */
    doctor_state worst;
    bool failed; /* memory was short */
} doctor;

/* Adds one finding; advice may be NULL. */
void doctor_add(doctor *d, const char *check, doctor_state state, const char *advice,
                const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Processor, instruction sets, memory. */
void doctor_machine(doctor *d);
/* Versions of the libraries and the audio formats they bring. */
void doctor_libraries(doctor *d);
/* The embedded model and one decode with it. */
void doctor_decode(doctor *d);
/* Cache folder, free space, downloaded models (sizes only), settings from the environment. */
void doctor_models(doctor *d);
/* Whether the hub answers. The only check that uses the network. */
void doctor_online(doctor *d);

#endif
