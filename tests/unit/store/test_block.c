/* SPDX-License-Identifier: Apache-2.0 */
#include "store/block.h"
#include "store/pending.h"
#include "store/roster.h"
#include "test.h"

enum { ROWS = 500 };

static int64_t times_a[ROWS]; /* Of most series. */
static int64_t times_b[ROWS]; /* With nothing in common with them. */
static double values[ROWS];
static double other[ROWS];

static void fill(void)
{
    for (int i = 0; i < ROWS; i++) {
        times_a[i] = 1000000 + i * 1000;
        times_b[i] = 1000333 + i * 777;
        values[i] = (double)(i * 7 % 31) / 4;
        other[i] = i;
    }
}

static bool reads_back(const struct block *block, const struct block_series *series)
{
    int64_t times[ROWS];
    double got[ROWS];
    uint32_t rows = block_rows(block, series->slot);
    size_t at = 0;

    if (rows == 0 || block_read_times(block, block->entries[series->slot].times, times, NULL) ||
        block_read_field(block, series->slot, 0, 0, rows, got, NULL))
        return false;
    for (uint32_t i = 0; i < rows; i++) {
        if (sample_is_absent(got[i]))
            continue;
        if (at == series->count || times[i] != series->time_ms[at] ||
            memcmp(&got[i], &series->values[0][at], sizeof(double)) != 0)
            return false;
        at++;
    }
    return at == series->count;
}

TEST(series_with_shared_missing_and_own_times_come_back)
{
    struct column_encoder *encoder = column_encoder_new();
    struct buf bytes CLEANUP(buf_done) = {0};
    struct block_info info;
    struct block block;

    fill();
    struct block_series series[] = {
        {.slot = 0, .count = ROWS, .time_ms = times_a, .values = {values}},
        {.slot = 5, .count = ROWS, .time_ms = times_a, .values = {other}},
        {.slot = 9, .count = ROWS - 40, .time_ms = times_a + 40, .values = {values}},
        {.slot = 11, .count = 3, .time_ms = times_a + 90, .values = {values}},
        {.slot = 63, .count = ROWS, .time_ms = times_b, .values = {values}},
        {.slot = 62, .count = 0},
    };
    block_encode(encoder, series, ARRAY_COUNT(series), 1, COLUMN_BEST, &bytes, &info);
    ASSERT(block_parse(buf_view(&bytes), info.crc, &block, NULL) == ERR_NONE);
    EXPECT(block.times_count == 3); /* Shared; three rows; its own. */
    EXPECT(info.min_ms == 1000000 && info.rows == ROWS && info.samples == 4 * ROWS - 37);
    for (size_t i = 0; i < 5; i++)
        EXPECT(reads_back(&block, &series[i]));
    EXPECT(block_rows(&block, 62) == 0);
    column_encoder_free(encoder);
}

TEST(every_damaged_byte_is_noticed)
{
    struct column_encoder *encoder = column_encoder_new();
    struct buf bytes CLEANUP(buf_done) = {0};
    struct block_info info;
    struct block block;
    double got[ROWS];
    int64_t times[ROWS];
    int unnoticed = 0;

    fill();
    struct block_series series = {.slot = 3, .count = ROWS, .time_ms = times_b, .values = {values}};
    block_encode(encoder, &series, 1, 1, COLUMN_FAST, &bytes, &info);
    for (size_t at = 0; at < bytes.size; at++) {
        bytes.data[at] = (char)(bytes.data[at] ^ 0x40);
        if (block_parse(buf_view(&bytes), info.crc, &block, NULL) == ERR_NONE &&
            block_read_times(&block, 0, times, NULL) == ERR_NONE &&
            block_read_field(&block, 3, 0, 0, ROWS, got, NULL) == ERR_NONE)
            unnoticed++;
        bytes.data[at] = (char)(bytes.data[at] ^ 0x40);
    }
    EXPECT(unnoticed == 0);
    for (size_t size = 0; size < bytes.size; size++)
        EXPECT(block_parse((struct str){bytes.data, size}, info.crc, &block, NULL) != ERR_NONE);
    column_encoder_free(encoder);
}

struct seen {
    struct pending_row rows[64];
    struct str sketches[64];
    size_t count;
};

static enum err see(void *self, const struct pending_row *row, struct str sketch, struct why *why)
{
    struct seen *seen = self;

    (void)why; /* Nothing is refused here. */
    seen->rows[seen->count] = *row;
    seen->sketches[seen->count++] = sketch;
    return ERR_NONE;
}

TEST(pending_rows_come_back_bit_for_bit)
{
    static const double some[] = {0,       -0.0,       1,   -1,    255,    256,       1e15, 0x1p54,
                                  -0x1p54, 0x1p54 - 2, 0.1, 1e300, 5e-324, -INFINITY, 1.5,  3};
    struct pending_row rows[ARRAY_COUNT(some)];
    struct buf bytes CLEANUP(buf_done) = {0};
    struct seen seen = {.count = 0};
    const struct pending_visitor visitor = {see, &seen};

    for (uint32_t i = 0; i < ARRAY_COUNT(some); i++)
        rows[i] = (struct pending_row){0, i < 9 ? 100 + i : 7 * i, 1000 + i / 9, some[i]};
    pending_encode(rows, NULL, ARRAY_COUNT(some), &bytes);
    ASSERT(pending_decode(buf_view(&bytes), &visitor, NULL) == ERR_NONE);
    ASSERT(seen.count == ARRAY_COUNT(some));
    for (size_t i = 0; i < seen.count; i++)
        EXPECT(memcmp(&seen.rows[i], &rows[i], sizeof(rows[i])) == 0);
}

TEST(pending_sketches_come_back)
{
    struct pending_row rows[] = {{0, 4, 1000, 2}, {0, 5, 1000, 3}, {0, 9, 900, 4}};
    struct str sketches[] = {STR("one"), STR(""), STR("three")};
    struct buf bytes CLEANUP(buf_done) = {0};
    struct seen seen = {.count = 0};

    pending_encode(rows, sketches, 3, &bytes);
    ASSERT(pending_decode(buf_view(&bytes), &(struct pending_visitor){see, &seen}, NULL) ==
           ERR_NONE);
    ASSERT(seen.count == 3);
    EXPECT(str_eq(seen.sketches[0], sketches[0]) && str_eq(seen.sketches[2], sketches[2]));
    EXPECT(seen.sketches[1].data != NULL && seen.sketches[1].size == 0);
    for (size_t size = 0; size < bytes.size; size++) {
        seen.count = 0;
        enum err err = pending_decode((struct str){bytes.data, size},
                                      &(struct pending_visitor){see, &seen}, NULL);
        EXPECT(err == ERR_CORRUPT || seen.count < 3);
    }
}

static enum err count_set(void *self, unsigned slot, const struct labels *labels, struct why *why)
{
    unsigned *count = self;

    (void)why; /* Nothing is refused here. */
    EXPECT(slot == *count && labels->count == 2);
    ++*count;
    return ERR_NONE;
}

TEST(rosters_come_back_and_cut_ones_are_refused)
{
    struct label_pool *pool = label_pool_new(1 << 20);
    const struct labels *sets[GROUP_SERIES];
    struct buf bytes CLEANUP(buf_done) = {0};
    unsigned count = 0;
    char text[24];

    for (int i = 0; i < GROUP_SERIES; i++) {
        (void)snprintf(text, sizeof(text), "value %d", i);
        struct label pairs[] = {{LABEL_NAME, STR("metric")}, {STR("label"), str_of(text)}};
        ASSERT(label_pool_get(pool, pairs, 2, &sets[i], NULL) == ERR_NONE);
    }
    roster_encode(sets, GROUP_SERIES, &bytes);
    EXPECT(roster_decode(buf_view(&bytes), &(struct roster_visitor){count_set, &count}, NULL) ==
           ERR_NONE);
    EXPECT(count == GROUP_SERIES);
    for (size_t size = 0; size < bytes.size; size++) {
        count = 0;
        EXPECT(roster_decode((struct str){bytes.data, size},
                             &(struct roster_visitor){count_set, &count}, NULL) != ERR_NONE);
    }
    label_pool_unref(pool);
}

TEST_MAIN
