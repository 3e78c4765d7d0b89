/* Relative-position attention. */
#ifndef STAPES_COMPUTE_CPU_ATTENTION_H
#define STAPES_COMPUTE_CPU_ATTENTION_H

#include "compute/ops.h"

/* Keys [*low, *high) that query row `query` of the span sees; *low == *high when it sees none. */
void stapes__attention_visible(const stapes__attention_mask *mask,
                               const stapes__attention_span *span, size_t query, size_t *low,
                               size_t *high);

void stapes__attention_init_c(stapes__ops *ops);
void stapes__attention_init_avx2(stapes__ops *ops);
void stapes__attention_init_avx512(stapes__ops *ops);

#endif
