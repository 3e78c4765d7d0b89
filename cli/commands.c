/* The list of commands. Each line is one: cli_command_NAME, defined in cmd_NAME.c. */
#include "cli.h"

#include <string.h>

#define COMMANDS(X)                                                                                \
    X(transcribe)                                                                                  \
    X(pull)                                                                                        \
    X(models)                                                                                      \
    X(inspect)                                                                                     \
    X(eval)                                                                                        \
    X(doctor)                                                                                      \
    X(bench)                                                                                       \
    X(help)                                                                                        \
    X(completion)                                                                                  \
    X(man)

#define DECLARE(name) extern const cli_command cli_command_##name;
COMMANDS(DECLARE)
#undef DECLARE

const cli_command *const *cli_commands(void) {
#define POINTER(name) &cli_command_##name,
    static const cli_command *const list[] = {COMMANDS(POINTER) NULL};
#undef POINTER
    return list;
}

const cli_command *cli_find_command(const char *name) {
    for (const cli_command *const *at = cli_commands(); *at; at++) {
        if (strcmp((*at)->name, name) == 0 || cli_has_word((*at)->aliases, name))
            return *at;
    }
    return NULL;
}
