/* Memory that is given back all at once: the strings of a result, the texts of a recording. What is
 * handed out never moves. */
#ifndef STAPES_TEXT_BLOCKS_H
#define STAPES_TEXT_BLOCKS_H

#include <stddef.h>

/* Zero-initialise. */
typedef struct stapes__blocks {
    struct stapes__block *first;
} stapes__blocks;

/* Zeroed and aligned for any type; NULL when memory is short. */
void *stapes__blocks_alloc(stapes__blocks *blocks, size_t count, size_t size);
/* A NUL-terminated copy; NULL when memory is short. */
const char *stapes__blocks_text(stapes__blocks *blocks, const char *text, size_t length);
void stapes__blocks_free(stapes__blocks *blocks);

#endif
