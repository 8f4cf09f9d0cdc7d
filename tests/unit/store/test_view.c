/* SPDX-License-Identifier: Apache-2.0 */
#include "store_fixture.h"

#include <pthread.h>

#define NOON_MS (INT64_C(1794312000) * 1000) /* 2026-11-10 12:00 UTC. */

static size_t select_count(struct fixture *fixture, const struct matcher *matchers, size_t count)
{
    struct store_view *view = fixture_view(fixture);
    struct series_set set = {0};

    arena_clear(fixture->arena);
    if (view->ops->select(view, matchers, count, 0, INT64_MAX / 2, fixture->arena, &set,
                          &fixture->why) != ERR_NONE)
        abort();
    for (size_t i = 1; i < set.count; i++)
        EXPECT(labels_compare(set.items[i - 1].labels, set.items[i].labels) < 0);
    store_view_release(view);
    return set.count;
}

static bool ends_in_seven(const void *regex, struct str value)
{
    (void)regex;
    return str_ends(value, STR("7"));
}

static bool is_empty_or_one(const void *regex, struct str value)
{
    (void)regex;
    return value.size == 0 || str_eq(value, STR("1"));
}

static void fill(struct fixture *fixture, int series)
{
    struct batch *batch = fixture_batch(fixture);

    for (int number = series - 1; number >= 0; number--) { /* Not in the order of labels. */
        fixture_add(fixture, batch, "a", number, NOON_MS, number);
        fixture_add(fixture, batch, "b", number, NOON_MS, number);
    }
    if (fixture_send(fixture, batch) != 0)
        abort();
}

TEST(all_four_matchers_select_what_they_say)
{
    struct fixture fixture = fixture_new();
    struct matcher regex = {MATCH_REGEX, STR("number"), STR(".*7"), ends_in_seven, NULL, NULL, 0};
    struct matcher not_regex = regex;
    struct matcher name = fixture_is("__name__", "a");
    struct matcher not = {.op = MATCH_NOT_EQUAL, .name = STR("number"), .value = STR("3")};
    struct matcher absent = fixture_is("nobody", "");
    struct matcher open = {MATCH_REGEX, STR("nobody"), STR("1|"), is_empty_or_one, NULL, NULL, 0};
    struct str literals[] = {STR("5"), STR("12"), STR("nobody")};
    struct matcher listed = {
        MATCH_REGEX, STR("number"), STR("5|12|nobody"), ends_in_seven, NULL, literals, 3};

    ASSERT(fixture_open(&fixture));
    fill(&fixture, 100);
    not_regex.op = MATCH_NOT_REGEX;
    EXPECT(select_count(&fixture, NULL, 0) == 200);
    EXPECT(select_count(&fixture, &name, 1) == 100);
    EXPECT(select_count(&fixture, &regex, 1) == 20);
    EXPECT(select_count(&fixture, &not_regex, 1) == 180);
    EXPECT(select_count(&fixture, (struct matcher[]){name, regex}, 2) == 10);
    EXPECT(select_count(&fixture, (struct matcher[]){regex, not_regex}, 2) == 0);
    EXPECT(select_count(&fixture, (struct matcher[]){not, name}, 2) == 99);
    EXPECT(select_count(&fixture, (struct matcher[]){absent, name}, 2) == 100);
    EXPECT(select_count(&fixture, (struct matcher[]){open, regex}, 2) == 20);
    EXPECT(select_count(&fixture, &listed, 1) == 4);
    struct matcher nothing = fixture_is("number", "100");
    EXPECT(select_count(&fixture, &nothing, 1) == 0);
    fixture_done(&fixture);
}

TEST(names_and_values_are_listed_sorted)
{
    struct fixture fixture = fixture_new();
    struct matcher name = fixture_is("__name__", "a");
    struct str_list list;

    ASSERT(fixture_open(&fixture));
    fill(&fixture, 12);
    struct store_view *view = fixture_view(&fixture);
    EXPECT(view->ops->labels(view, NULL, 0, STR_NONE, 0, INT64_MAX / 2, fixture.arena, &list,
                             &fixture.why) == ERR_NONE);
    EXPECT(list.count == 2 && str_eq(list.items[0], LABEL_NAME));
    EXPECT(view->ops->labels(view, &name, 1, STR("number"), 0, INT64_MAX / 2, fixture.arena, &list,
                             &fixture.why) == ERR_NONE);
    EXPECT(list.count == 12 && str_eq(list.items[2], STR("10")));
    EXPECT(view->ops->labels(view, &name, 1, LABEL_NAME, 0, INT64_MAX / 2, fixture.arena, &list,
                             &fixture.why) == ERR_NONE);
    EXPECT(list.count == 1 && str_eq(list.items[0], STR("a")));
    store_view_release(view);
    fixture_done(&fixture);
}

TEST(descriptions_of_metrics_are_kept)
{
    struct fixture fixture = fixture_new();
    struct metric_info info = {STR("a"), STR("bytes"), STR("How much."), METRIC_GAUGE};
    struct metric_info_list list;

    ASSERT(fixture_open(&fixture));
    for (int pass = 0; pass < 2; pass++) {
        struct batch *batch = fixture_batch(&fixture);
        info.kind = pass == 0 ? METRIC_GAUGE : METRIC_COUNTER;
        EXPECT(batch_info(batch, &info, &fixture.why) == ERR_NONE);
        EXPECT(fixture_send(&fixture, batch) == 0);
    }
    fixture.store = store_close(fixture.store);
    ASSERT(fixture_open(&fixture));
    struct store_view *view = fixture_view(&fixture);
    EXPECT(view->ops->metadata(view, STR("a"), fixture.arena, &list, &fixture.why) == ERR_NONE);
    EXPECT(list.count == 1 && list.items[0].kind == METRIC_COUNTER);
    EXPECT(list.count == 1 && str_eq(list.items[0].help, STR("How much.")));
    EXPECT(view->ops->metadata(view, STR_NONE, fixture.arena, &list, &fixture.why) == ERR_NONE);
    EXPECT(list.count == 1);
    store_view_release(view);
    fixture_done(&fixture);
}

/* The value at a moment, or -1. */
static double at(struct fixture *fixture, const char *name, int64_t at_ms, int64_t lookback_ms)
{
    struct store_view *view = fixture_view(fixture);
    struct matcher matcher = fixture_is("__name__", name);
    struct series_set set = {0};
    int64_t time_ms[4];
    double value[4];

    arena_clear(fixture->arena);
    enum err err = view->ops->select(view, &matcher, 1, at_ms - lookback_ms, at_ms, fixture->arena,
                                     &set, &fixture->why);
    if (err == ERR_NONE && set.count == 1)
        err = view->ops->instant(view, &set, at_ms, lookback_ms, fixture->arena, time_ms, value,
                                 &fixture->why);
    store_view_release(view);
    return err == ERR_NONE && set.count == 1 && time_ms[0] != INT64_MIN ? value[0] : -1;
}

TEST(a_moment_has_the_last_sample_of_its_window_wherever_it_lies)
{
    struct fixture fixture = fixture_new();

    ASSERT(fixture_open(&fixture));
    for (int i = 0; i < 300; i++)
        EXPECT(fixture_put(&fixture, "m", 1, NOON_MS + i * 10000, i) == 0);
    for (int pass = 0; pass < 3; pass++) { /* In memory, in blocks, after opening. */
        EXPECT(at(&fixture, "m", NOON_MS + 1000000, 300000) == 100);
        EXPECT(at(&fixture, "m", NOON_MS + 1009999, 300000) == 100);
        EXPECT(at(&fixture, "m", NOON_MS + 1009999, 9999) == -1); /* Left-open. */
        EXPECT(at(&fixture, "m", NOON_MS + 1009999, 10000) == 100);
        EXPECT(at(&fixture, "m", NOON_MS - 1, 300000) == -1);
        EXPECT(at(&fixture, "m", NOON_MS + 299 * 10000 + 299999, 300000) == 299);
        EXPECT(at(&fixture, "m", NOON_MS + 299 * 10000 + 300000, 300000) == -1);
        if (pass == 0) {
            EXPECT(store_compact(fixture.store, &fixture.why) == ERR_NONE);
        } else {
            fixture.store = store_close(fixture.store);
            ASSERT(fixture_open(&fixture));
        }
    }
    fixture_done(&fixture);
}

/* Readers ask while the writer appends, adds series, seals, compacts and rolls over midnight: every
 * answer is a prefix of what is being written, and none is shorter than what was committed before
 * it was asked. */
enum { CROWD_SERIES = 40, CROWD_ROWS = 1500, CROWD_READERS = 3, CROWD_STEP_MS = 20000 };

struct crowd {
    struct store *store;
    _Atomic int committed; /* Rows. */
    _Atomic bool over;
    _Atomic int questions;
    _Atomic int wrong;
};

static double crowd_value(int number, size_t row)
{
    return (double)(((uint32_t)row * 40503u + (uint32_t)number * 977u) % 10007u) / 8;
}

static bool answer_is_right(const struct samples *samples, int number, int least)
{
    if ((int)samples->count < least)
        return false;
    for (size_t row = 0; row < samples->count; row++) {
        if (samples->time_ms[row] != NOON_MS + (int64_t)row * CROWD_STEP_MS ||
            samples->value[row] != crowd_value(number, row))
            return false;
    }
    return true;
}

static bool ask_once(struct crowd *crowd, struct arena *arena, int number)
{
    struct store_view *view = NULL;
    struct series_set set = {0};
    struct samples samples = {0};
    struct read_request request = {.from_ms = 0, .to_ms = INT64_MAX / 2};
    struct why why = WHY_INIT;
    char text[16];
    int least = atomic_load(&crowd->committed);

    arena_clear(arena);
    (void)snprintf(text, sizeof(text), "%d", number);
    struct matcher matcher = {.op = MATCH_EQUAL, .name = STR("number"), .value = str_of(text)};
    if (store_view(crowd->store, "default", NULL, &view, &why) != ERR_NONE)
        return least == 0;
    enum err err = view->ops->select(view, &matcher, 1, 0, INT64_MAX / 2, arena, &set, &why);
    if (err == ERR_NONE && set.count == 1)
        err = view->ops->read(view, &set, &request, arena, &samples, &why);
    store_view_release(view);
    return err == ERR_NONE && answer_is_right(&samples, number, least);
}

static void *keep_asking(void *self)
{
    struct crowd *crowd = self;
    struct arena *arena = arena_new(1 << 26);

    for (int number = 0; !atomic_load(&crowd->over); number = (number + 7) % CROWD_SERIES) {
        if (atomic_load(&crowd->committed) == 0)
            continue;
        if (!ask_once(crowd, arena, number))
            atomic_fetch_add(&crowd->wrong, 1);
        atomic_fetch_add(&crowd->questions, 1);
    }
    arena_free(arena);
    return NULL;
}

static bool write_crowd(struct fixture *fixture, struct crowd *crowd)
{
    for (int row = 0; row < CROWD_ROWS; row++) {
        struct batch *batch = fixture_batch(fixture);
        for (int number = 0; number < CROWD_SERIES; number++)
            fixture_add(fixture, batch, "crowd", number, NOON_MS + row * CROWD_STEP_MS,
                        crowd_value(number, (size_t)row));
        fixture_add(fixture, batch, "new", 1000 + row, NOON_MS + row * CROWD_STEP_MS, row);
        if (fixture_send(fixture, batch) != 0)
            return false;
        atomic_store(&crowd->committed, row + 1);
        if (row % 100 == 99)
            store_tick(fixture->store, clock_now_ms());
    }
    return true;
}

TEST(readers_see_every_committed_row_once_while_the_writer_goes_on)
{
    struct fixture fixture = fixture_new();
    struct crowd crowd = {0};
    pthread_t readers[CROWD_READERS];

    fixture.options.head_bytes = 8 << 10;
    ASSERT(fixture_open(&fixture));
    crowd.store = fixture.store;
    for (int i = 0; i < CROWD_READERS; i++)
        ASSERT(pthread_create(&readers[i], NULL, keep_asking, &crowd) == 0);
    EXPECT(write_crowd(&fixture, &crowd));
    atomic_store(&crowd.over, true);
    for (int i = 0; i < CROWD_READERS; i++)
        (void)pthread_join(readers[i], NULL);
    printf("# %d questions beside %d commits\n", atomic_load(&crowd.questions), CROWD_ROWS);
    EXPECT(atomic_load(&crowd.wrong) == 0);
    EXPECT(atomic_load(&crowd.questions) > 10);
    fixture_done(&fixture);
}

TEST_MAIN
