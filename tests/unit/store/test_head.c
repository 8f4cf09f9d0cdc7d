/* SPDX-License-Identifier: Apache-2.0 */
#include "store/head.h"
#include "test.h"

enum { ROWS = 1000, SERIES = 5, STEP_MS = 1000, BOUND_BYTES = 1 << 20 };

struct fixture {
    struct epoch epoch;
    struct head head;
};

static void begin(struct fixture *fixture)
{
    uint32_t number;

    epoch_init(&fixture->epoch);
    head_init(&fixture->head, &fixture->epoch);
    head_add_group(&fixture->head, &number)->used = SERIES;
}

static void end(struct fixture *fixture)
{
    head_done(&fixture->head);
    epoch_done(&fixture->epoch);
}

/* Series 0 and 1 share their times; 2 begins late, 3 leaves them on its way, 4 is back in time. */
static int64_t time_of(uint32_t id, int row)
{
    switch (id) {
    case 2:
        return (row + 7) * STEP_MS;
    case 3:
        return row * STEP_MS + (row >= 100);
    case 4:
        return (ROWS - row) * STEP_MS;
    default:
        return row * STEP_MS;
    }
}

static void fill(struct fixture *fixture)
{
    for (int row = 0; row < ROWS; row++) {
        for (uint32_t id = 0; id < SERIES; id++) {
            struct head_row now = {.time_ms = time_of(id, row), .value = row * 10 + id};
            head_append(&fixture->head, id, 0, &now);
        }
    }
}

TEST(each_series_reads_its_own_times_and_values)
{
    struct fixture fixture;
    struct epoch_reader reader;
    struct head_rows rows = {0};

    begin(&fixture);
    fill(&fixture);
    epoch_enter(&fixture.epoch, &reader);
    for (uint32_t id = 0; id < SERIES; id++) {
        head_read(&fixture.head, &reader, id, 0, INT64_MAX / 2, &rows);
        EXPECT(rows.count == ROWS && rows.sorted == (id != 4));
        int row = 0;
        for (size_t i = 0; i < rows.slice_count; i++) {
            for (size_t k = 0; k < rows.slices[i].count; k++, row++) {
                EXPECT(head_slice_ms(&rows.slices[i], k) == time_of(id, row));
                EXPECT(rows.slices[i].values[k] == row * 10 + id);
            }
        }
    }
    epoch_leave(&fixture.epoch, &reader);
    head_rows_done(&rows);
    end(&fixture);
}

TEST(the_writer_finds_a_row_by_its_time_and_collects_all_sorted)
{
    struct fixture fixture;
    struct head_row row;
    struct block_series series[GROUP_SERIES];
    struct arena *arena = arena_new(BOUND_BYTES);

    begin(&fixture);
    fill(&fixture);
    EXPECT(head_find(&fixture.head, 3, 0, 200 * STEP_MS + 1, &row) && row.value == 2003);
    EXPECT(!head_find(&fixture.head, 3, 0, 200 * STEP_MS, &row));
    EXPECT(head_find(&fixture.head, 1, 0, 200 * STEP_MS, &row) && row.value == 2001);
    EXPECT(head_collect(&fixture.head, 0, 0, arena, series) == SERIES);
    for (size_t id = 0; id < SERIES; id++) {
        EXPECT(series[id].count == ROWS);
        for (size_t i = 1; i < series[id].count; i++)
            EXPECT(series[id].time_ms[i - 1] < series[id].time_ms[i]);
    }
    arena_free(arena);
    end(&fixture);
}

TEST(a_seal_gives_all_memory_back)
{
    struct fixture fixture;

    begin(&fixture);
    fill(&fixture);
    EXPECT(fixture.head.chunk_bytes > 0);
    head_sealed(&fixture.head, 0);
    EXPECT(fixture.head.chunk_bytes == 0 && !head_has_rows(&fixture.head, 0, 0));
    end(&fixture);
}

TEST_MAIN
