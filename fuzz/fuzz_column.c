/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes either decode or are refused; what decodes and is encoded again comes back; any values
 * come back. The first byte picks the number of rows and what to try. */
#include "store/column.h"
#include "store/column_blob.h"

#include <stdint.h>

#define ROWS_MAX 2000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_again(const double *values, size_t count, enum column_effort effort)
{
    CLEANUP(column_encoder_freep) struct column_encoder *encoder = column_encoder_new();
    static double back[ROWS_MAX];
    struct buf out = {0};

    column_encode(encoder, values, count, effort, &out, NULL);
    MUST(column_decode(buf_view(&out), count, back, NULL) == ERR_NONE);
    MUST(memcmp(values, back, count * sizeof back[0]) == 0);
    MUST(column_decode_range(buf_view(&out), count, count / 2, 1, back, NULL) == ERR_NONE);
    MUST(memcmp(values + count / 2, back, sizeof back[0]) == 0);
    buf_done(&out);
}

static void try_bytes(struct str bytes, size_t count)
{
    static double values[ROWS_MAX];
    static int64_t times[ROWS_MAX];
    static struct str blobs[ROWS_MAX];
    CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 20);
    struct column_stats stats;
    struct why why = WHY_INIT;

    (void)column_stats_read(bytes, count, &stats, &why);
    (void)column_decode_range(bytes, count, count / 3, 1, values, &why);
    (void)time_column_decode(bytes, count, times, &why);
    (void)blob_column_decode(bytes, count, arena, blobs, &why);
    if (column_decode(bytes, count, values, &why) == ERR_NONE)
        try_again(values, count, COLUMN_FAST);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t counts[] = {1, 2, 31, 128, 256, 512, 513, 2000};
    static double values[ROWS_MAX];
    size_t count;

    if (size < 2)
        return 0;
    count = counts[data[0] & 7];
    if ((data[0] & 8) == 0) {
        try_bytes((struct str){(const char *)data + 1, size - 1}, count);
        return 0;
    }
    count = (size - 1) / 8;
    if (count == 0 || count > ROWS_MAX)
        return 0;
    memcpy(values, data + 1, count * 8);
    try_again(values, count, (data[0] & 16) == 0 ? COLUMN_FAST : COLUMN_BEST);
    return 0;
}
