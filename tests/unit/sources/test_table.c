/* SPDX-License-Identifier: Apache-2.0 */
#include "sources/table.h"

#include "sources/staleness.h"
#include "test.h"

static const struct column columns[] = {
    {"disk_reads_total", "Reads.", METRIC_COUNTER, NULL, NULL},
    {"disk_seconds_total", "Time.", METRIC_COUNTER, "mode", "read"},
    {"disk_seconds_total", "Time.", METRIC_COUNTER, "mode", "write"},
};
static const char *const keys[] = {"device"};
static const struct label base[] = {{STR("job"), STR("node")}};

struct fixture {
    struct table *table;
    struct label_pool *pool;
    struct batch *batch;
    int64_t time_ms;
};

static struct fixture fixture_new(void)
{
    return (struct fixture){
        .table = table_new(columns, ARRAY_COUNT(columns), keys, 1),
        .pool = label_pool_new(1 << 20),
        .batch = batch_new("default", "test", 1 << 20),
    };
}

static void done(struct fixture *fixture)
{
    table_free(fixture->table);
    label_pool_unref(fixture->pool);
    batch_free(fixture->batch);
}

static struct row *row_of(struct fixture *fixture, const char *device)
{
    struct str value = str_of(device);

    return table_row(fixture->table, &value);
}

/* Sends what the table holds into an empty batch; how many samples that gave. */
static size_t send(struct fixture *fixture)
{
    struct why why = WHY_INIT;

    batch_clear(fixture->batch);
    batch_hold(fixture->batch, fixture->pool);
    fixture->time_ms += 1000;
    struct table_target target = {.pool = fixture->pool,
                                  .base = base,
                                  .base_count = 1,
                                  .batch = fixture->batch,
                                  .time_ms = fixture->time_ms};
    EXPECT(table_write(fixture->table, &target, &why) == ERR_NONE);
    return fixture->batch->samples.count;
}

/* The value that was sent for a series, or -1. */
static double sent(const struct fixture *fixture, const char *series)
{
    for (size_t i = 0; i < fixture->batch->samples.count; i++) {
        struct buf text CLEANUP(buf_done) = {0};
        labels_write(&text, fixture->batch->samples.items[i].labels);
        if (str_eq(buf_view(&text), str_of(series)))
            return fixture->batch->samples.items[i].value;
    }
    return -1;
}

TEST(rows_become_series_with_keys_base_and_extra_labels)
{
    struct fixture fixture = fixture_new();

    table_begin(fixture.table);
    struct row *row = row_of(&fixture, "sda");
    row_set(row, 0, 7);
    row_set(row, 2, 1.5);
    EXPECT(send(&fixture) == 2);
    EXPECT(sent(&fixture, "disk_reads_total{device=\"sda\",job=\"node\"}") == 7);
    EXPECT(sent(&fixture, "disk_seconds_total{device=\"sda\",job=\"node\",mode=\"write\"}") == 1.5);
    EXPECT(fixture.batch->infos.count == 2);
    done(&fixture);
}

TEST(values_are_sent_again_until_the_next_round)
{
    struct fixture fixture = fixture_new();

    table_begin(fixture.table);
    row_set(row_of(&fixture, "sda"), 0, 7);
    EXPECT(send(&fixture) == 1);
    const struct labels *labels = fixture.batch->samples.items[0].labels;
    EXPECT(send(&fixture) == 1);
    EXPECT(fixture.batch->samples.items[0].labels == labels);
    EXPECT(fixture.batch->samples.items[0].time_ms == 2000);
    EXPECT(fixture.batch->infos.count == 0);
    done(&fixture);
}

TEST(what_is_gone_leaves_one_stale_marker)
{
    struct fixture fixture = fixture_new();

    table_begin(fixture.table);
    row_set(row_of(&fixture, "sda"), 0, 1);
    row_set(row_of(&fixture, "sda"), 1, 1);
    row_set(row_of(&fixture, "sdb"), 0, 2);
    EXPECT(send(&fixture) == 3);

    table_begin(fixture.table);
    row_set(row_of(&fixture, "sda"), 0, 3);
    EXPECT(send(&fixture) == 3);
    EXPECT(sent(&fixture, "disk_reads_total{device=\"sda\",job=\"node\"}") == 3);
    EXPECT(metric_is_stale(sent(&fixture, "disk_reads_total{device=\"sdb\",job=\"node\"}")));
    EXPECT(metric_is_stale(
        sent(&fixture, "disk_seconds_total{device=\"sda\",job=\"node\",mode=\"read\"}")));
    EXPECT(send(&fixture) == 1);
    EXPECT(table_series_count(fixture.table) == 1);

    table_forget(fixture.table);
    EXPECT(send(&fixture) == 1 && metric_is_stale(fixture.batch->samples.items[0].value));
    EXPECT(send(&fixture) == 0);
    done(&fixture);
}

TEST(another_pool_makes_the_labels_anew)
{
    struct fixture fixture = fixture_new();

    table_begin(fixture.table);
    row_set(row_of(&fixture, "sda"), 0, 1);
    EXPECT(send(&fixture) == 1);
    batch_clear(fixture.batch); /* The old pool dies with its last holder. */
    label_pool_unref(fixture.pool);
    fixture.pool = label_pool_new(1 << 20);
    EXPECT(send(&fixture) == 1);
    EXPECT(sent(&fixture, "disk_reads_total{device=\"sda\",job=\"node\"}") == 1);
    done(&fixture);
}

TEST(columns_found_at_run_time_join_rows_that_exist)
{
    struct fixture fixture = fixture_new();

    table_begin(fixture.table);
    row_set(row_of(&fixture, "sda"), 0, 1);
    size_t column = table_add_column(fixture.table,
                                     &(struct column){"found", "Found.", METRIC_GAUGE, NULL, NULL});
    row_set(row_of(&fixture, "sda"), column, 5);
    EXPECT(send(&fixture) == 2);
    EXPECT(sent(&fixture, "found{device=\"sda\",job=\"node\"}") == 5);
    done(&fixture);
}

TEST(rows_over_the_bound_are_refused_and_counted)
{
    struct fixture fixture = fixture_new();
    char name[32];

    table_begin(fixture.table);
    for (int i = 0; i < TABLE_ROWS_MAX + 10; i++) {
        (void)snprintf(name, sizeof(name), "d%d", i);
        row_set(row_of(&fixture, name), 0, i);
    }
    EXPECT(table_refused(fixture.table) == 10);
    done(&fixture);
}

static void add(struct batch *batch, struct label_pool *pool, const char *name, double value)
{
    struct label pair = {LABEL_NAME, str_of(name)};
    const struct labels *labels;
    struct why why = WHY_INIT;

    batch_hold(batch, pool);
    EXPECT(label_pool_get(pool, &pair, 1, &labels, &why) == ERR_NONE);
    EXPECT(batch_sample(batch, labels, 1, value, &why) == ERR_NONE);
}

TEST(what_a_sender_stops_telling_ends_even_across_pools)
{
    struct staleness staleness = {0};
    struct why why = WHY_INIT;

    for (int round = 0; round < 3; round++) {
        struct label_pool *pool = label_pool_new(1 << 20);
        struct batch *batch = batch_new("default", "test", 1 << 20);
        add(batch, pool, "stays", 1);
        if (round == 0)
            add(batch, pool, "goes", 2);
        size_t count = batch->samples.count;
        EXPECT(staleness_update(&staleness, batch, 0, 0, 5, &why) == ERR_NONE);
        EXPECT(batch->samples.count == (round == 1 ? count + 1 : count));
        if (round == 1) {
            const struct sample *marker = &batch->samples.items[count];
            EXPECT(metric_is_stale(marker->value) && marker->time_ms == 5);
            EXPECT(str_eq(labels_get(marker->labels, LABEL_NAME), STR("goes")));
        }
        label_pool_unref(pool);
        batch_free(batch);
    }
    staleness_done(&staleness);
}

TEST_MAIN
