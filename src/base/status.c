#include "stapes/status.h"

#include "stapes/stapes.h"

const char *stapes_status_name(stapes_status status) {
    switch (status) {
#define CASE(sym, value, exit_code, name, text)                                                    \
    case sym:                                                                                      \
        return name;
        STAPES_STATUS_LIST(CASE)
#undef CASE
    }
    return "unknown";
}

int stapes_status_exit_code(stapes_status status) {
    switch (status) {
#define CASE(sym, value, exit_code, name, text)                                                    \
    case sym:                                                                                      \
        return exit_code;
        STAPES_STATUS_LIST(CASE)
#undef CASE
    }
    return 1;
}

const char *stapes_version(void) {
    return STAPES_VERSION_STRING;
}
