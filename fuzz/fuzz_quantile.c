/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes are a sketch or are refused; a sketch that was read can be asked, merged and written,
 * and what it writes reads back. */
#include "sketch/quantile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(quantile_freep) struct quantile *sketch = NULL;
    CLEANUP(quantile_freep) struct quantile *back = NULL;
    CLEANUP(quantile_freep) struct quantile *merged = quantile_new(1, 40);
    struct quantile_walk walk = QUANTILE_WALK_INIT;
    struct quantile_bucket bucket;
    struct buf out = {0};
    struct why why = WHY_INIT;
    uint64_t count = 0;

    if (quantile_read((struct str){(const char *)data, size}, &sketch, &why) != ERR_NONE)
        return 0;
    while (quantile_next(sketch, &walk, &bucket))
        count += bucket.count;
    MUST(count == quantile_count(sketch));
    quantile_write(sketch, &out);
    MUST(quantile_read(buf_view(&out), &back, &why) == ERR_NONE);
    MUST(quantile_count(back) == count);
    MUST(count == 0 || quantile_at(back, 0.7) == quantile_at(sketch, 0.7) ||
         quantile_collapsed(sketch) > 0);
    quantile_merge(merged, sketch);
    quantile_merge(merged, back);
    MUST(quantile_count(merged) == 2 * count);
    (void)quantile_count_below(merged, quantile_at(merged, 0.3));
    buf_done(&out);
    return 0;
}
