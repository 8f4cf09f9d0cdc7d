/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/health.h"
#include "fake_view.h"
#include "test.h"

#define NOW_MS  INT64_C(1800000000000)
#define STEP_MS 5000
#define HOUR_MS (INT64_C(3600) * 1000)
#define HOST    "instance", "a"

struct look {
    struct arena *arena;
    struct finding_list *list;
    enum err err;
};

static struct look look_at(void *state, struct fake_view *fake, int64_t now_ms)
{
    struct look look = {.arena = arena_new((size_t)64 << 20)};
    const struct analysis_input input = {
        .view = &fake->view, .now_ms = now_ms, .arena = look.arena};

    look.list = ARENA_NEW(look.arena, struct finding_list);
    look.err = analysis_health.run(state, &input, look.list, NULL);
    return look;
}

static const struct finding *found(const struct look *look, const char *id)
{
    for (size_t i = 0; i < look->list->count; i++) {
        if (str_eq(look->list->items[i].id, str_of(id)))
            return &look->list->items[i];
    }
    return NULL;
}

static bool says(struct str text, const char *part)
{
    return str_find_str(text, str_of(part)) >= 0;
}

/* An hour of one constant. */
static void constant(struct fake_view *fake, double value)
{
    fake_line(fake, NOW_MS - HOUR_MS, NOW_MS, STEP_MS, value, value);
}

/* An hour of a counter that grows by `rate` a second. */
static void counter(struct fake_view *fake, double rate)
{
    fake_line(fake, NOW_MS - HOUR_MS, NOW_MS, STEP_MS, 0, rate * 3600);
}

/* A machine as most are: idle, with room everywhere. */
static struct fake_view *quiet_machine(void)
{
    struct fake_view *fake = fake_new();
    static const char *const cpus[] = {"0", "1"};

    for (size_t i = 0; i < ARRAY_COUNT(cpus); i++) {
        fake_add(fake, "node_cpu_seconds_total", HOST, "cpu", cpus[i], "mode", "idle", NULL);
        counter(fake, 0.97);
        fake_add(fake, "node_cpu_seconds_total", HOST, "cpu", cpus[i], "mode", "user", NULL);
        counter(fake, 0.03);
    }
    fake_add(fake, "node_pressure_cpu_waiting_seconds_total", HOST, NULL);
    counter(fake, 0.01);
    fake_add(fake, "node_load1", HOST, NULL);
    constant(fake, 0.2);
    fake_add(fake, "node_memory_MemTotal_bytes", HOST, NULL);
    constant(fake, 16e9);
    fake_add(fake, "node_memory_MemAvailable_bytes", HOST, NULL);
    constant(fake, 12e9);
    fake_add(fake, "node_vmstat_oom_kill", HOST, NULL);
    constant(fake, 3);
    fake_add(fake, "node_timex_sync_status", HOST, NULL);
    constant(fake, 1);
    fake_add(fake, "node_procs_blocked", HOST, NULL);
    constant(fake, 0);
    return fake;
}

static void add_disk(struct fake_view *fake, const char *mountpoint, double size, double first,
                     double last)
{
    fake_add(fake, "node_filesystem_size_bytes", HOST, "mountpoint", mountpoint, "device",
             "/dev/sda1", "fstype", "ext4", NULL);
    constant(fake, size);
    fake_add(fake, "node_filesystem_readonly", HOST, "mountpoint", mountpoint, "device",
             "/dev/sda1", "fstype", "ext4", NULL);
    constant(fake, 0);
    fake_add(fake, "node_filesystem_avail_bytes", HOST, "mountpoint", mountpoint, "device",
             "/dev/sda1", "fstype", "ext4", NULL);
    fake_line(fake, NOW_MS - HOUR_MS, NOW_MS, STEP_MS, first, last);
}

TEST(a_quiet_machine_is_silent)
{
    struct fake_view *fake = quiet_machine();
    void *state = analysis_health.open();

    add_disk(fake, "/", 100e9, 60e9, 60e9);
    struct look look = look_at(state, fake, NOW_MS);
    EXPECT(look.err == ERR_NONE);
    for (size_t i = 0; i < look.list->count; i++)
        printf("# %.*s: %.*s\n", STR_ARG(look.list->items[i].id),
               STR_ARG(look.list->items[i].evidence));
    EXPECT(look.list->count == 0);
    EXPECT_TEXT(finding_status(look.list), "ok");
    arena_free(look.arena);
    analysis_health.close(state);
    fake_free(fake);
}

TEST(an_empty_store_is_silent)
{
    struct fake_view *fake = fake_new();
    void *state = analysis_health.open();

    struct look look = look_at(state, fake, NOW_MS);
    EXPECT(look.err == ERR_NONE && look.list->count == 0);
    arena_free(look.arena);
    analysis_health.close(state);
    fake_free(fake);
}

TEST(a_saturated_cpu_is_told_with_who_uses_it)
{
    struct fake_view *fake = fake_new();
    void *state = analysis_health.open();

    fake_add(fake, "node_cpu_seconds_total", HOST, "cpu", "0", "mode", "idle", NULL);
    counter(fake, 0.02);
    fake_add(fake, "node_pressure_cpu_waiting_seconds_total", HOST, NULL);
    counter(fake, 0.9);
    fake_add(fake, "namedprocess_namegroup_cpu_seconds_total", HOST, "groupname", "miner", "mode",
             "user", NULL);
    counter(fake, 0.85);
    struct look look = look_at(state, fake, NOW_MS);
    const struct finding *finding = found(&look, "cpu_saturated@a");
    ASSERT(finding != NULL);
    EXPECT(finding->severity == SEVERITY_CRITICAL);
    EXPECT(says(finding->claim, "90 %"));
    EXPECT(says(finding->evidence, "miner 85 %"));
    EXPECT_TEXT(finding_status(look.list), "critical");
    arena_free(look.arena);
    analysis_health.close(state);
    fake_free(fake);
}

TEST(pressure_on_an_idle_machine_is_no_finding)
{
    struct fake_view *fake = fake_new();
    void *state = analysis_health.open();

    fake_add(fake, "node_cpu_seconds_total", HOST, "cpu", "0", "mode", "idle", NULL);
    counter(fake, 0.6);
    fake_add(fake, "node_pressure_cpu_waiting_seconds_total", HOST, NULL);
    counter(fake, 0.9);
    struct look look = look_at(state, fake, NOW_MS);
    EXPECT(look.list->count == 0);
    arena_free(look.arena);
    analysis_health.close(state);
    fake_free(fake);
}

TEST(without_pressure_figures_the_load_is_judged)
{
    struct fake_view *fake = fake_new();
    void *state = analysis_health.open();

    fake_add(fake, "node_cpu_seconds_total", HOST, "cpu", "0", "mode", "idle", NULL);
    counter(fake, 0.02);
    fake_add(fake, "node_load1", HOST, NULL);
    constant(fake, 3);
    struct look look = look_at(state, fake, NOW_MS);
    const struct finding *finding = found(&look, "cpu_queue@a");
    ASSERT(finding != NULL);
    EXPECT(finding->severity == SEVERITY_WARNING);
    EXPECT(says(finding->claim, "3 tasks"));
    EXPECT(!says(finding->evidence, "Most CPU time"));
    arena_free(look.arena);
    analysis_health.close(state);
    fake_free(fake);
}

TEST(short_memory_is_told_from_its_share)
{
    struct fake_view *fake = fake_new();
    void *state = analysis_health.open();

    fake_add(fake, "node_memory_MemTotal_bytes", HOST, NULL);
    constant(fake, 16e9);
    fake_add(fake, "node_memory_MemAvailable_bytes", HOST, NULL);
    constant(fake, 0.2e9);
    fake_add(fake, "namedprocess_namegroup_memory_bytes", HOST, "groupname", "java", "memtype",
             "resident", NULL);
    constant(fake, 12884901888.0);
    struct look look = look_at(state, fake, NOW_MS);
    const struct finding *finding = found(&look, "memory_short@a");
    ASSERT(finding != NULL);
    EXPECT(finding->severity == SEVERITY_CRITICAL);
    EXPECT(says(finding->claim, "1.2 %"));
    EXPECT(says(finding->evidence, "java 12 GiB"));
    arena_free(look.arena);
    analysis_health.close(state);
    fake_free(fake);
}

TEST(an_old_out_of_memory_kill_is_history_and_a_new_one_is_news)
{
    struct fake_view *fake = quiet_machine();
    void *state = analysis_health.open();
    struct fake_series *kills = NULL;

    for (size_t i = 0; i < fake->count; i++) {
        if (str_eq(labels_get(fake->series[i]->labels, LABEL_NAME), STR("node_vmstat_oom_kill")))
            kills = fake->series[i];
    }
    for (size_t i = kills->count - 60; i < kills->count; i++)
        kills->values[i] = 4;
    struct look look = look_at(state, fake, NOW_MS);
    const struct finding *finding = found(&look, "out_of_memory_kill@a");
    ASSERT(finding != NULL);
    EXPECT(finding->severity == SEVERITY_CRITICAL);
    arena_free(look.arena);
    analysis_health.close(state);
    fake_free(fake);
}

TEST(full_disks_are_told_worst_first)
{
    struct fake_view *fake = quiet_machine();
    void *state = analysis_health.open();

    add_disk(fake, "/", 100e9, 5e9, 5e9);
    add_disk(fake, "/var", 100e9, 1e9, 1e9);
    add_disk(fake, "/big", 10e12, 500e9, 500e9);
    struct look look = look_at(state, fake, NOW_MS);
    ASSERT(look.list->count == 2);
    EXPECT(str_eq(look.list->items[0].id, STR("disk_full:/var@a")));
    EXPECT(look.list->items[0].severity == SEVERITY_CRITICAL);
    EXPECT(says(look.list->items[0].claim, "/var is 99 % full"));
    EXPECT(says(look.list->items[0].next_step, "du -xh --max-depth=2 /var"));
    EXPECT(str_eq(look.list->items[1].id, STR("disk_full:/@a")));
    EXPECT(look.list->items[1].severity == SEVERITY_WARNING);
    arena_free(look.arena);
    analysis_health.close(state);
    fake_free(fake);
}

TEST(a_disk_that_fills_is_told_with_the_time_left)
{
    struct fake_view *fake = quiet_machine();
    void *state = analysis_health.open();

    /* 20 GB left after losing 10 GB in an hour: full in two hours. */
    add_disk(fake, "/", 100e9, 30e9, 20e9);
    struct look look = look_at(state, fake, NOW_MS);
    const struct finding *finding = found(&look, "disk_filling:/@a");
    ASSERT(finding != NULL);
    EXPECT(finding->severity == SEVERITY_CRITICAL);
    EXPECT(says(finding->claim, "2 hours"));
    arena_free(look.arena);
    analysis_health.close(state);
    fake_free(fake);
}

TEST(a_disk_that_became_read_only_is_told_and_one_that_always_was_is_not)
{
    struct fake_view *fake = quiet_machine();
    void *state = analysis_health.open();

    fake_add(fake, "node_filesystem_readonly", HOST, "mountpoint", "/data", "device", "/dev/sdb",
             "fstype", "ext4", NULL);
    fake_line(fake, NOW_MS - HOUR_MS, NOW_MS - 60000, STEP_MS, 0, 0);
    fake_line(fake, NOW_MS - 55000, NOW_MS, STEP_MS, 1, 1);
    fake_add(fake, "node_filesystem_readonly", HOST, "mountpoint", "/image", "device", "/dev/sdc",
             "fstype", "ext4", NULL);
    constant(fake, 1);
    struct look look = look_at(state, fake, NOW_MS);
    EXPECT(found(&look, "disk_read_only:/data@a") != NULL);
    EXPECT(found(&look, "disk_read_only:/image@a") == NULL);
    arena_free(look.arena);
    analysis_health.close(state);
    fake_free(fake);
}

/* The value of the last sample of the available space, to move it about. */
static void set_available(struct fake_view *fake, int64_t now_ms, double value)
{
    struct fake_series *series = fake->series[fake->count - 1];

    for (size_t i = fake->count - 3; i < fake->count - 1; i++) {
        struct fake_series *other = fake->series[i];
        other->times_ms[other->count] = now_ms;
        other->values[other->count] = other->values[other->count - 1];
        other->count++;
    }
    series->times_ms[series->count] = now_ms;
    series->values[series->count++] = value;
}

TEST(a_finding_stays_until_it_is_calm_by_a_margin_and_for_a_while)
{
    struct fake_view *fake = quiet_machine();
    void *state = analysis_health.open();
    const char *id = "disk_full:/@a";
    const struct {
        int64_t after_ms;
        double available;
        bool is_found;
    } steps[] = {
        {0, 9.9e9, true},       /* 90.1 %: found. */
        {5000, 10.5e9, true},   /* 89.5 %: below where it began, above where it ends. */
        {10000, 20e9, true},    /* 80 %: calm, but only just now. */
        {40000, 20e9, true},    /* Calm for half a minute. */
        {45000, 9e9, true},     /* Back before it was forgotten: still the same finding. */
        {50000, 20e9, true},    /* Calm again … */
        {111000, 20e9, false},  /* … and for a minute: forgotten. */
        {116000, 10.5e9, false} /* The margin is only for those that were found. */
    };

    add_disk(fake, "/", 100e9, 20e9, 20e9);
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        int64_t now_ms = NOW_MS + 5000 + steps[i].after_ms;
        set_available(fake, now_ms, steps[i].available);
        struct look look = look_at(state, fake, now_ms);
        const struct finding *finding = found(&look, id);
        if ((finding != NULL) != steps[i].is_found)
            printf("# step %zu\n", i);
        EXPECT((finding != NULL) == steps[i].is_found);
        if (finding != NULL)
            EXPECT(finding->since_ms == NOW_MS + 5000);
        arena_free(look.arena);
    }
    analysis_health.close(state);
    fake_free(fake);
}

TEST(an_unsynchronised_clock_is_only_said)
{
    struct fake_view *fake = fake_new();
    void *state = analysis_health.open();

    fake_add(fake, "node_timex_sync_status", HOST, NULL);
    constant(fake, 0);
    struct look look = look_at(state, fake, NOW_MS);
    ASSERT(look.list->count == 1);
    EXPECT(look.list->items[0].severity == SEVERITY_INFO);
    EXPECT_TEXT(finding_status(look.list), "ok");
    arena_free(look.arena);
    analysis_health.close(state);
    fake_free(fake);
}

TEST(two_machines_are_told_apart)
{
    struct fake_view *fake = fake_new();
    void *state = analysis_health.open();

    fake_add(fake, "node_memory_MemTotal_bytes", "instance", "a", NULL);
    constant(fake, 16e9);
    fake_add(fake, "node_memory_MemAvailable_bytes", "instance", "a", NULL);
    constant(fake, 0.1e9);
    fake_add(fake, "node_memory_MemTotal_bytes", "instance", "b", NULL);
    constant(fake, 16e9);
    fake_add(fake, "node_memory_MemAvailable_bytes", "instance", "b", NULL);
    constant(fake, 8e9);
    struct look look = look_at(state, fake, NOW_MS);
    EXPECT(found(&look, "memory_short@a") != NULL);
    EXPECT(found(&look, "memory_short@b") == NULL);
    arena_free(look.arena);
    analysis_health.close(state);
    fake_free(fake);
}

TEST_MAIN
