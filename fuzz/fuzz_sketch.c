/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes are a cardinality or a top-k sketch, or are refused; what was read can be merged and
 * written, and what it writes reads back. */
#include "sketch/cardinality.h"
#include "sketch/topk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_cardinality(struct str bytes)
{
    CLEANUP(cardinality_freep) struct cardinality *sketch = NULL;
    CLEANUP(cardinality_freep) struct cardinality *back = NULL;
    struct buf out = {0};
    struct why why = WHY_INIT;

    if (cardinality_read(bytes, &sketch, &why) != ERR_NONE)
        return;
    cardinality_write(sketch, &out);
    MUST(cardinality_read(buf_view(&out), &back, &why) == ERR_NONE);
    cardinality_merge(back, sketch);
    MUST(cardinality_estimate(back) == cardinality_estimate(sketch));
    buf_done(&out);
}

static void try_topk(struct str bytes)
{
    CLEANUP(topk_freep) struct topk *sketch = NULL;
    CLEANUP(topk_freep) struct topk *back = NULL;
    struct buf out = {0};
    struct why why = WHY_INIT;

    if (topk_read(bytes, &sketch, &why) != ERR_NONE)
        return;
    topk_write(sketch, &out);
    MUST(topk_read(buf_view(&out), &back, &why) == ERR_NONE);
    topk_merge(back, sketch);
    topk_add(back, STR("one more"), 1);
    MUST(topk_count(back) <= topk_capacity(back));
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size};

    try_cardinality(bytes);
    try_topk(bytes);
    return 0;
}
