/* SPDX-License-Identifier: Apache-2.0 */
/* A time column is one run of integers, head and body (column_run.c). Rows at an even pace are a
 * line without residuals; a few late ones among them make the residuals sparse. */
#include "store/column_encoder.h"

void time_column_encode(struct column_encoder *encoder, const int64_t *times, size_t count,
                        struct buf *out)
{
    struct run_plan plan;

    MUST(count >= 1 && count <= COLUMN_ROWS_MAX);
    run_plan_make(&encoder->scratch, times, count, true, &plan);
    run_head_write(&plan, false, out);
    run_body_write(&plan, out);
}

enum err time_column_decode_range(struct str bytes, size_t count, size_t first, size_t n,
                                  int64_t *times, struct why *why)
{
    struct run_head head;

    MUST(count >= 1 && count <= COLUMN_ROWS_MAX);
    MUST(n >= 1 && first < count && n <= count - first);
    TRY(run_head_read(&bytes, count, &head, why));
    TRY(run_body_read(&head, bytes, first, n, times, why));
    for (size_t i = 0; i < n; i++)
        times[i] = (int64_t)((uint64_t)head.first + head.divisor * (uint64_t)times[i]);
    return ERR_NONE;
}

enum err time_column_decode(struct str bytes, size_t count, int64_t *times, struct why *why)
{
    return time_column_decode_range(bytes, count, 0, count, times, why);
}
