/* SPDX-License-Identifier: Apache-2.0 */
/* Walks the registry: every source opens, collects twice and closes, and whatever it sends can be
 * sent. Leaks and bad reads are the sanitizers' to find. One that the machine has nothing for says
 * so. */
#include "base/clock.h"
#include "sources/sources.h"

#include "test.h"

static const struct label base[] = {{STR("instance"), STR("host")}, {STR("job"), STR("node")}};

/* Everything that tables hold goes into the batch, described. */
static enum err write_all(struct source *source, struct label_pool *pool, int64_t time_ms,
                          struct batch *batch, struct why *why)
{
    struct table_target target = {
        .pool = pool,
        .base = base,
        .base_count = ARRAY_COUNT(base),
        .batch = batch,
        .time_ms = time_ms,
        .describe = true,
    };

    batch_hold(batch, pool);
    for (size_t i = 0; i < source->table_count; i++)
        TRY(table_write(source->tables[i], &target, why));
    return ERR_NONE;
}

static bool is_described(const struct batch *batch, struct str name)
{
    for (size_t i = 0; i < batch->infos.count; i++) {
        if (str_eq(batch->infos.items[i].name, name))
            return batch->infos.items[i].help.size > 0;
    }
    return false;
}

static void check_samples(const struct source_kind *kind, const struct batch *batch,
                          int64_t time_ms)
{
    for (size_t i = 0; i < batch->samples.count; i++) {
        const struct sample *sample = &batch->samples.items[i];
        struct str name = labels_get(sample->labels, LABEL_NAME);
        bool good = sample->time_ms == time_ms && name.size > 0 &&
                    str_eq(labels_get(sample->labels, STR("job")), STR("node")) &&
                    is_described(batch, name);
        EXPECT(good);
        if (!good)
            printf("# %s: %.*s\n", kind->name, STR_ARG(name));
    }
}

static void walk(const struct source_kind *kind, const struct source_options *options)
{
    struct buf scratch CLEANUP(buf_done) = {0};
    struct label_pool *pool = label_pool_new(16 << 20);
    struct source source;
    struct why why = WHY_INIT;

    EXPECT(kind->name != NULL && kind->summary != NULL && kind->collect != NULL);
    enum err err = source_open(&source, kind, options, &scratch, &why);
    for (int64_t time_ms = 1000; err == ERR_NONE && time_ms <= 2000; time_ms += 1000) {
        struct batch *batch = batch_new("default", "test", 16 << 20);
        err = source_collect(&source, time_ms, batch, &why);
        EXPECT(write_all(&source, pool, time_ms, batch, &why) == ERR_NONE);
        check_samples(kind, batch, time_ms);
        batch_free(batch);
    }
    EXPECT(err == ERR_NONE || err == ERR_UNSUPPORTED);
    EXPECT(err == ERR_NONE || why.text[0] != '\0');
    printf("# %-20s %s\n", kind->name, err == ERR_NONE ? "ran" : why.text);
    source_close(&source);
    source_close(&source); /* Twice does no harm. */
    label_pool_unref(pool);
}

static struct source_options options_for(const char *proc, const char *sys, const char *root,
                                         struct process_table *processes)
{
    return (struct source_options){
        .paths = {proc, sys, root},
        .cgroups_max = 50,
        .groups_max = 50,
        .processes = processes,
    };
}

TEST(every_source_opens_collects_twice_and_closes)
{
    struct process_table *processes = process_table_new("/proc", "");
    struct source_options options = options_for("/proc", "/sys", "", processes);

    EXPECT(source_kind_count() > 0);
    for (size_t i = 0; i < source_kind_count(); i++)
        walk(source_kind_at(i), &options);
    process_table_free(processes);
}

TEST(every_source_bears_a_machine_that_has_nothing)
{
    struct process_table *processes = process_table_new("/nonexistent/proc", "/nonexistent");
    struct source_options options =
        options_for("/nonexistent/proc", "/nonexistent/sys", "/nonexistent", processes);

    for (size_t i = 0; i < source_kind_count(); i++)
        walk(source_kind_at(i), &options);
    process_table_free(processes);
}

TEST(names_are_told_apart)
{
    for (size_t i = 0; i < source_kind_count(); i++)
        EXPECT(source_kind_find(source_kind_at(i)->name) == source_kind_at(i));
    EXPECT(source_kind_find("no such source") == NULL);
}

TEST(ticks_by_hand_send_all_sources_at_the_planned_time)
{
    struct sources *sources;
    struct why why = WHY_INIT;

    ASSERT(sources_open(NULL, NULL, &sources, &why) == ERR_NONE);
    for (int64_t time_ms = 10000; time_ms < 13000; time_ms += 1000) {
        struct batch *batch = batch_new("default", "test", 16 << 20);
        EXPECT(sources_tick(sources, time_ms, batch, &why) == ERR_NONE);
        EXPECT(batch->samples.count > 100);
        for (size_t i = 0; i < batch->samples.count; i++)
            EXPECT(batch->samples.items[i].time_ms == time_ms);
        batch_free(batch);
    }
    struct source_status status;
    for (size_t i = 0; i < sources_count(sources); i++) {
        sources_status(sources, i, &status);
        EXPECT(status.state != SOURCE_FAILED);
    }
    sources_close(sources);
}

TEST(a_source_that_is_off_stays_off_and_an_unknown_one_is_named)
{
    static const char *const off[] = {"cpu", NULL};
    static const char *const unknown[] = {"cpuu", NULL};
    struct sources_options options = {.disabled = off};
    struct sources *sources;
    struct why why = WHY_INIT;
    struct batch *batch = batch_new("default", "test", 16 << 20);

    ASSERT(sources_open(&options, NULL, &sources, &why) == ERR_NONE);
    EXPECT(sources_tick(sources, 1000, batch, &why) == ERR_NONE);
    for (size_t i = 0; i < batch->samples.count; i++)
        EXPECT(!str_eq(labels_get(batch->samples.items[i].labels, LABEL_NAME),
                       STR("node_cpu_seconds_total")));
    sources_close(sources);
    batch_free(batch);
    options.disabled = unknown;
    EXPECT(sources_open(&options, NULL, &sources, &why) == ERR_INVALID);
    EXPECT(strstr(why.text, "cpuu") != NULL);
}

TEST_MAIN
