/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_priv.h"
#include "sketch/quantile_key.h"
#include "test.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sonde *opened(void)
{
    struct sonde_options options;

    sonde_options_init(&options);
    options.service_name = "test";
    return sonde_open(&options);
}

TEST(the_buckets_are_those_of_the_sketch)
{
    EXPECT(quantile_key(1, 0) == 0 && quantile_key(3600e9, 0) < BUCKETS);
    EXPECT(quantile_error(0) <= SONDE_RELATIVE_ERROR);
}

TEST(statistics_are_those_of_what_was_recorded)
{
    struct sonde *sonde = opened();
    struct sonde_operation *operation = sonde_operation(sonde, "retrieval");
    struct sonde_stats stats;

    EXPECT(!sonde_operation_stats(operation, &stats) && stats.success_rate == 1);
    for (int i = 1; i <= 1000; i++)
        sonde_record(operation, i * INT64_C(1000000), i % 10 == 0);
    ASSERT(sonde_operation_stats(operation, &stats));
    EXPECT(stats.count == 1000 && stats.failures == 100 && stats.successes == 900);
    EXPECT_NEAR(stats.success_rate, 0.9, 1e-12);
    EXPECT_NEAR(stats.mean_ms, 500.5, 1e-9);
    EXPECT(stats.min_ms == 1 && stats.max_ms == 1000);
    EXPECT_NEAR(stats.p50_ms, 500, 5.01);
    EXPECT_NEAR(stats.p95_ms, 950, 9.51);
    EXPECT_NEAR(stats.p99_ms, 990, 9.91);
    EXPECT_NEAR(stats.p999_ms, 999, 10);
    EXPECT(stats.throughput_rps > 0 && stats.throughput_peak_rps > 0);
    ASSERT(sonde_overall_stats(sonde, &stats));
    EXPECT(stats.count == 1000);
    sonde_close(sonde);
}

TEST(a_scope_times_its_block_and_can_fail)
{
    struct sonde *sonde = opened();
    struct sonde_stats stats;

    for (int i = 0; i < 3; i++) {
        SONDE_SCOPE_AS(timer, sonde, "sleep");
        usleep(2000);
        if (i == 1)
            sonde_timer_fail(&timer);
    }
    ASSERT(sonde_operation_stats(sonde_operation(sonde, "sleep"), &stats));
    EXPECT(stats.count == 3 && stats.failures == 1 && stats.min_ms >= 2);
    sonde_close(sonde);
}

TEST(a_timer_ends_once)
{
    struct sonde *sonde = opened();
    struct sonde_operation *operation = sonde_operation(sonde, "once");
    struct sonde_timer timer;
    struct sonde_stats stats;

    sonde_timer_begin(&timer, operation);
    EXPECT(sonde_timer_end(&timer) >= 0);
    EXPECT(sonde_timer_end(&timer) == 0);
    EXPECT(sonde_operation_stats(operation, &stats) && stats.count == 1);
    sonde_close(sonde);
}

TEST(nothing_is_recorded_when_disabled_or_null)
{
    struct sonde *sonde = opened();
    struct sonde_operation *operation = sonde_operation(sonde, "x");
    struct sonde_timer timer;
    struct sonde_stats stats;

    sonde_set_level(sonde, SONDE_DISABLED);
    sonde_timer_begin(&timer, operation);
    EXPECT(sonde_timer_end(&timer) == 0);
    sonde_record(operation, 5, false);
    EXPECT(!sonde_operation_stats(operation, &stats));
    sonde_close(sonde);

    EXPECT(sonde_operation(NULL, "x") == NULL);
    sonde_timer_begin(&timer, NULL);
    sonde_timer_note(&timer, "a", "b");
    sonde_timer_fail(&timer);
    EXPECT(sonde_timer_end(&timer) == 0 && sonde_timer_end(NULL) == 0);
    sonde_record(NULL, 1, true);
    sonde_count_add(NULL, 1);
    sonde_gauge_set(NULL, 1);
    sonde_reset(NULL);
    EXPECT(!sonde_overall_stats(NULL, &stats) && isnan(sonde_quantile_ms(NULL, 0.5)));
    sonde_close(NULL);
}

TEST(names_over_the_limit_are_cut_and_counted)
{
    struct sonde *sonde = opened();
    struct sonde_drops drops;
    char longer[400];
    char name[32];

    memset(longer, 'n', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    EXPECT(strlen(sonde_operation_name(sonde_operation(sonde, longer))) == SONDE_NAME_BYTES_MAX);
    EXPECT(sonde_operation(sonde, longer) == sonde_operation(sonde, longer));
    for (int i = 0; i < SONDE_OPERATIONS_MAX + 10; i++) {
        (void)snprintf(name, sizeof(name), "operation %d", i); /* Fits. */
        EXPECT(sonde_operation(sonde, name) != NULL);
    }
    EXPECT_TEXT(sonde_operation_name(sonde_operation(sonde, "one too many")), "other");
    EXPECT_TEXT(sonde_operation_name(sonde_operation(sonde, "operation 7")), "operation 7");
    sonde_read_drops(sonde, &drops);
    EXPECT(drops.names_cut == 3 && drops.names_shared > 0);
    sonde_close(sonde);
}

TEST(a_reset_starts_from_zero)
{
    struct sonde *sonde = opened();
    struct sonde_operation *operation = sonde_operation(sonde, "x");
    struct sonde_stats stats;

    sonde_record(operation, 100, true);
    sonde_count_add(sonde_counter(sonde, "c"), 5);
    sonde_reset(sonde);
    EXPECT(!sonde_operation_stats(operation, &stats));
    EXPECT(sonde_count_value(sonde_counter(sonde, "c")) == 0);
    EXPECT(sonde_operations(sonde, NULL, 0) == 0);
    sonde_record(operation, 7000000, false);
    ASSERT(sonde_operation_stats(operation, &stats));
    EXPECT(stats.count == 1 && stats.failures == 0 && stats.min_ms == 7 && stats.max_ms == 7);
    sonde_close(sonde);
}

TEST(the_slowest_call_keeps_its_metadata)
{
    struct sonde *sonde = opened();
    struct sonde_operation *operation = sonde_operation(sonde, "x");
    char metadata[64];
    char tiny[6];

    sonde_set_level(sonde, SONDE_DETAILED);
    EXPECT(sonde_slowest(operation, metadata, sizeof(metadata)) == -1);
    for (int i = 0; i < 3; i++) {
        struct sonde_timer timer;
        sonde_timer_begin(&timer, operation);
        sonde_timer_note(&timer, "round", i == 1 ? "slow" : "fast");
        sonde_timer_note(&timer, "user", "7");
        usleep(i == 1 ? 200000 : 10);
        EXPECT(sonde_timer_end(&timer) > 0);
    }
    EXPECT(sonde_slowest(operation, metadata, sizeof(metadata)) >= 200000000);
    EXPECT_TEXT(metadata, "round=slow user=7");
    EXPECT(sonde_slowest(operation, tiny, sizeof(tiny)) > 0);
    EXPECT_TEXT(tiny, "round");
    sonde_close(sonde);
}

TEST(metadata_over_the_limit_is_cut_and_counted)
{
    struct sonde *sonde = opened();
    struct sonde_operation *operation = sonde_operation(sonde, "x");
    struct sonde_timer timer;
    struct sonde_drops drops;
    char metadata[SONDE_METADATA_BYTES_MAX];
    char longer[400];

    for (size_t i = 0; i + 2 < sizeof(longer); i += 2)
        memcpy(longer + i, "ü", 2);
    longer[sizeof(longer) - 2] = '\0';
    sonde_set_level(sonde, SONDE_DETAILED);
    sonde_timer_begin(&timer, operation);
    sonde_timer_note(&timer, "k", longer);
    sonde_timer_note(&timer, "another", "one");
    usleep(1);
    EXPECT(sonde_timer_end(&timer) > 0);
    EXPECT(sonde_slowest(operation, metadata, sizeof(metadata)) > 0);
    EXPECT(strlen(metadata) == 2 + 188 && strncmp(metadata, "k=üü", 6) == 0);
    sonde_read_drops(sonde, &drops);
    EXPECT(drops.names_cut == 2);
    sonde_close(sonde);
}

static void *die_in_the_midst(void *argument)
{
    struct sonde_operation *operation = argument;
    struct sonde_timer timer;

    sonde_record(operation, 1000, false);
    sonde_timer_begin(&timer, operation);
    pthread_exit(NULL);
}

static void *wait_to_be_cancelled(void *argument)
{
    struct sonde_operation *operation = argument;
    struct sonde_timer timer;

    sonde_record(operation, 1000, false);
    sonde_timer_begin(&timer, operation);
    (void)pause(); /* Only cancelling ends it. */
    return NULL;
}

TEST(a_thread_that_dies_in_a_timer_loses_only_that)
{
    struct sonde *sonde = opened();
    struct sonde_operation *operation = sonde_operation(sonde, "x");
    struct sonde_stats stats;
    pthread_t thread;

    for (int i = 0; i < 100; i++) {
        bool cancelled = i % 2 == 0;
        ASSERT(pthread_create(&thread, NULL, cancelled ? wait_to_be_cancelled : die_in_the_midst,
                              operation) == 0);
        if (cancelled) {
            usleep(1000);
            EXPECT(pthread_cancel(thread) == 0);
        }
        EXPECT(pthread_join(thread, NULL) == 0);
    }
    /* One cancelled before it recorded tells nothing; that none is told twice shows all the same.
     */
    EXPECT(sonde_operation_stats(operation, &stats) && stats.count >= 50 && stats.count <= 100);
    EXPECT(sonde->lanes_used <= 2);
    sonde_close(sonde);
}

enum { THREADS = 16, EACH = 62500 };

/* The thread sanitizer cannot follow threads that a forked child starts, so there it has no ticker.
 */
static void start_nothing(struct sonde *sonde)
{
#ifdef __SANITIZE_THREAD__
    atomic_store(&sonde->ticker_wanted, true);
#else
    (void)sonde; /* Starts its ticker, as always. */
#endif
}

struct crowd {
    struct sonde *sonde;
    atomic_int halfway;
};

static void *time_many(void *argument)
{
    struct crowd *crowd = argument;
    struct sonde_operation *operation = sonde_operation(crowd->sonde, "shared");

    for (int i = 0; i < EACH; i++) {
        struct sonde_timer timer;
        sonde_timer_begin(&timer, operation);
        if (i % 2 == 0)
            sonde_timer_fail(&timer);
        (void)sonde_timer_end(&timer); /* Only recorded. */
        if (i == EACH / 2)
            (void)atomic_fetch_add(&crowd->halfway, 1);
    }
    return NULL;
}

/* In a child forked among threads that record: it starts from zero, records, reports, ends. */
static bool child_works(struct sonde *sonde)
{
    struct sonde_operation *operation = sonde_operation(sonde, "shared");
    struct sonde_stats stats;

    start_nothing(sonde);
    if (sonde_operation_stats(operation, &stats))
        return false;
    for (int i = 0; i < 1000; i++)
        sonde_record(operation, 2000, false);
    bool counted = sonde_operation_stats(operation, &stats) && stats.count == 1000;
    sonde_close(sonde);
    return counted;
}

/* The address sanitizer of gcc 12 does not guard its allocator's locks over a fork: a child among
 * threads may wait for ever for one that nobody holds. There the fork comes when they have ended.
 */
#ifdef __SANITIZE_ADDRESS__
#define FORKS_AMONG_THREADS false
#else
#define FORKS_AMONG_THREADS true
#endif

static void join_all(pthread_t threads[THREADS])
{
    for (int i = 0; i < THREADS; i++)
        EXPECT(pthread_join(threads[i], NULL) == 0);
}

TEST(a_million_timers_of_sixteen_threads_are_all_there_and_a_fork_in_the_midst_starts_anew)
{
    struct crowd crowd = {.sonde = opened()};
    struct sonde_stats stats;
    pthread_t threads[THREADS];
    int status = -1;

    for (int i = 0; i < THREADS; i++)
        ASSERT(pthread_create(&threads[i], NULL, time_many, &crowd) == 0);
    for (int i = 0; i < 20; i++)
        (void)sonde_overall_stats(crowd.sonde, &stats); /* Reading meanwhile must be harmless. */
    while (atomic_load(&crowd.halfway) == 0)
        usleep(100);
    if (!FORKS_AMONG_THREADS)
        join_all(threads);
    pid_t child = fork();
    if (child == 0)
        _exit(child_works(crowd.sonde) ? 0 : 1);
    ASSERT(child > 0 && waitpid(child, &status, 0) == child);
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    if (FORKS_AMONG_THREADS)
        join_all(threads);
    ASSERT(sonde_operation_stats(sonde_operation(crowd.sonde, "shared"), &stats));
    EXPECT(stats.count == (uint64_t)THREADS * EACH && stats.failures == stats.count / 2);
    sonde_close(crowd.sonde);
}

enum { RACERS = 8, RACES = 300, LAPS = 200 };

struct race {
    struct sonde *sonde;
    pthread_barrier_t start;
};

static void *take_a_lane_and_record(void *argument)
{
    struct race *race = argument;
    struct sonde_operation *operation = sonde_operation(race->sonde, "race");

    (void)pthread_barrier_wait(&race->start); /* Tells only which thread was the last. */
    for (int i = 0; i < LAPS; i++)
        sonde_record(operation, 1000, false);
    return NULL;
}

/* Two threads in one lane would write over each other's counts. */
TEST(threads_that_begin_together_never_get_the_same_lane)
{
    for (int round = 0; round < RACES; round++) {
        struct race race = {.sonde = opened()};
        pthread_t threads[RACERS];
        struct sonde_stats stats;

        ASSERT(pthread_barrier_init(&race.start, NULL, RACERS) == 0);
        for (int i = 0; i < RACERS; i++)
            ASSERT(pthread_create(&threads[i], NULL, take_a_lane_and_record, &race) == 0);
        for (int i = 0; i < RACERS; i++)
            ASSERT(pthread_join(threads[i], NULL) == 0);
        ASSERT(sonde_operation_stats(sonde_operation(race.sonde, "race"), &stats));
        ASSERT(stats.count == RACERS * LAPS);
        ASSERT(pthread_barrier_destroy(&race.start) == 0);
        sonde_close(race.sonde);
    }
}

TEST(threads_that_come_and_go_share_lanes)
{
    struct crowd crowd = {.sonde = opened()};
    struct sonde *sonde = crowd.sonde;
    struct sonde_stats stats;

    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        ASSERT(pthread_create(&thread, NULL, time_many, &crowd) == 0);
        EXPECT(pthread_join(thread, NULL) == 0);
    }
    EXPECT(sonde->lanes_used == 1 && sonde->histograms_used == 1);
    EXPECT(sonde_overall_stats(sonde, &stats) && stats.count == 20 * EACH);
    sonde_close(sonde);
}

TEST(a_full_bucket_spills_and_loses_nothing)
{
    struct sonde *sonde = opened();
    struct sonde_operation *operation = sonde_operation(sonde, "x");
    struct sonde_stats stats;

    sonde_record(operation, 1000000, false);
    struct histogram *histogram = &sonde->histograms[0];
    int32_t index = quantile_key(1e6, 0);
    histogram->buckets[index] = UINT32_MAX;
    histogram->count = UINT32_MAX;
    for (int i = 0; i < 5; i++)
        sonde_record(operation, 1000000, true);
    ASSERT(sonde_operation_stats(operation, &stats));
    EXPECT(stats.count == UINT64_C(4294967300) && stats.failures == 5);
    EXPECT(stats.min_ms == 1 && stats.max_ms == 1);
    sonde_close(sonde);
}

TEST(a_child_starts_from_zero_and_the_parent_goes_on)
{
    struct sonde *sonde = opened();
    struct sonde_operation *operation = sonde_operation(sonde, "x");
    struct sonde_stats stats;
    int status = -1;

    for (int i = 0; i < 10; i++)
        sonde_record(operation, 1000, false);
    pid_t child = fork();
    if (child == 0) {
        start_nothing(sonde);
        bool empty = !sonde_operation_stats(operation, &stats);
        sonde_record(operation, 2000, false);
        bool counts = sonde_operation_stats(operation, &stats) && stats.count == 1;
        sonde_close(sonde);
        _exit(empty && counts ? 0 : 1);
    }
    ASSERT(child > 0 && waitpid(child, &status, 0) == child);
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    sonde_record(operation, 1000, false);
    EXPECT(sonde_operation_stats(operation, &stats) && stats.count == 11);
    sonde_close(sonde);
}

static void *stay(void *argument)
{
    struct sonde **handle = argument;

    sonde_record(sonde_operation(handle[0], "x"), 1, false);
    sonde_close(handle[0]);
    handle[1] = opened();
    sonde_record(sonde_operation(handle[1], "y"), 1, false);
    return NULL;
}

TEST(a_handle_opened_in_the_place_of_a_closed_one_is_another)
{
    struct sonde *handles[2] = {opened(), NULL};
    struct sonde_stats stats;
    pthread_t thread;

    sonde_record(sonde_operation(handles[0], "x"), 1, false);
    ASSERT(pthread_create(&thread, NULL, stay, handles) == 0);
    EXPECT(pthread_join(thread, NULL) == 0);
    sonde_record(sonde_operation(handles[1], "y"), 1, false);
    EXPECT(sonde_overall_stats(handles[1], &stats) && stats.count == 2);
    sonde_close(handles[1]);
}

TEST(more_handles_than_there_are_places_are_refused)
{
    struct sonde *handles[HANDLES_MAX];

    for (int i = 0; i < HANDLES_MAX; i++)
        EXPECT((handles[i] = opened()) != NULL);
    EXPECT(opened() == NULL);
    for (int i = 0; i < HANDLES_MAX; i++)
        sonde_close(handles[i]);
}

static void set_gauge(struct sonde *sonde, void *self)
{
    sonde_gauge_set(sonde_gauge(sonde, "queue"), 42);
    atomic_store((atomic_bool *)self, true);
}

TEST(collectors_are_called_and_seconds_are_counted)
{
    struct sonde *sonde = opened();
    struct sonde_operation *operation = sonde_operation(sonde, "x");
    struct sonde_stats stats;
    atomic_bool called = false;

    EXPECT(sonde_collect(sonde, set_gauge, &called));
    for (int i = 0; i < 50; i++)
        sonde_record(operation, 1000, false);
    for (int i = 0; i < 500 && (!atomic_load(&called) || operation->peak_rps == 0); i++)
        usleep(10000);
    EXPECT(sonde_gauge_value(sonde_gauge(sonde, "queue")) == 42);
    /* A tick that comes late counts them over more than a second: see the test after the next. */
    EXPECT(sonde_operation_stats(operation, &stats) && operation->peak_rps > 0 &&
           operation->peak_rps <= 50);
    sonde_close(sonde);
}

static void count_up(struct sonde *sonde, void *self)
{
    (void)sonde; /* Only counts. */
    (void)atomic_fetch_add((_Atomic int *)self, 1);
}

TEST(a_collector_taken_back_is_not_called_again)
{
    struct sonde *sonde = opened();
    _Atomic int first = 0;
    _Atomic int second = 0;

    for (int i = 0; i < SONDE_COLLECTORS_MAX - 1; i++)
        EXPECT(sonde_collect(sonde, count_up, &first));
    EXPECT(sonde_collect(sonde, count_up, &second));
    EXPECT(!sonde_collect(sonde, count_up, &second));
    for (int i = 0; i < 500 && atomic_load(&second) == 0; i++)
        usleep(10000);
    sonde_collect_stop(sonde, count_up, &first);
    int before = atomic_load(&first);
    int seen = atomic_load(&second);
    for (int i = 0; i < 500 && atomic_load(&second) == seen; i++)
        usleep(10000);
    EXPECT(atomic_load(&second) > seen && atomic_load(&first) == before);
    EXPECT(sonde_collect(sonde, count_up, &first));
    sonde_collect_stop(sonde, count_up, &second);
    sonde_collect_stop(NULL, count_up, &second);
    sonde_close(sonde);
}

static void be_slow(struct sonde *sonde, void *self)
{
    struct sonde_operation *operation = self;

    for (int i = 0; i < 300; i++)
        sonde_record(operation, 1000, false);
    (void)sonde; /* Only slow. */
    usleep(1900000);
}

TEST(a_late_second_is_told_per_second)
{
    struct sonde *sonde = opened();
    struct sonde_operation *operation = sonde_operation(sonde, "x");

    EXPECT(sonde_collect(sonde, be_slow, operation));
    for (int i = 0; i < 1000 && operation->peak_rps == 0; i++)
        usleep(10000);
    EXPECT(operation->peak_rps > 50 && operation->peak_rps < 200);
    sonde_close(sonde);
}

TEST_MAIN
