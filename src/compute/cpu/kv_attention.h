/* Plain attention over kept keys and values. */
#ifndef STAPES_COMPUTE_CPU_KV_ATTENTION_H
#define STAPES_COMPUTE_CPU_KV_ATTENTION_H

#include "compute/ops.h"

/* Keys that query row `query` of the group sees. */
static inline size_t stapes__kv_visible(const stapes__attention_group *group, size_t query) {
    return group->causal ? group->q_offset + query + 1 : group->k_count;
}

void stapes__kv_attention_init_c(stapes__ops *ops);
void stapes__kv_attention_init_avx2(stapes__ops *ops);
void stapes__kv_attention_init_avx512(stapes__ops *ops);

#endif
