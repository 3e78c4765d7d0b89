/* stapes: library and API versions. */
#ifndef STAPES_VERSION_H
#define STAPES_VERSION_H

#define STAPES_VERSION_MAJOR 0
#define STAPES_VERSION_MINOR 1
#define STAPES_VERSION_PATCH 0
#define STAPES_VERSION_STRING "0.1.0"

/* Counts changes of the public headers; docs/api-history.md lists what each number brought. */
#define STAPES_API_VERSION 1

#endif
