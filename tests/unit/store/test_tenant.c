/* SPDX-License-Identifier: Apache-2.0 */
/* What the store does with input and disks that are not as they should be. */
#include "model/metric.h"
#include "store_fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define NOON_MS (INT64_C(1794312000) * 1000) /* 2026-11-10 12:00 UTC. */

/* A small file system that only this process sees, and that goes with it. */
static bool mount_small(const char *path, unsigned long flags, const char *options)
{
    static bool alone;

    if (!alone)
        alone =
            unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    return alone && mount("none", path, "tmpfs", flags, options) == 0;
}

static size_t count_of(struct fixture *fixture, const char *name, int number)
{
    return fixture_read(fixture, name, number, 0, INT64_MAX / 2).count;
}

TEST(late_samples_within_the_window_are_kept_in_order)
{
    struct fixture fixture = fixture_new();

    ASSERT(fixture_open(&fixture));
    EXPECT(fixture_put(&fixture, "late", 1, NOON_MS, 1) == 0);
    EXPECT(fixture_put(&fixture, "late", 1, NOON_MS - 1000, 2) == 0);
    EXPECT(fixture_put(&fixture, "late", 1, NOON_MS - fixture.options.out_of_order_ms, 3) == 0);
    EXPECT(fixture_put(&fixture, "late", 1, NOON_MS - fixture.options.out_of_order_ms - 1, 4) == 1);
    EXPECT(strstr(fixture.why.text, "'late'") != NULL);
    struct samples samples = fixture_read(&fixture, "late", 1, 0, INT64_MAX / 2);
    ASSERT(samples.count == 3);
    EXPECT(samples.value[0] == 3 && samples.value[1] == 2 && samples.value[2] == 1);
    struct store_stats stats;
    EXPECT(store_compact(fixture.store, &fixture.why) == ERR_NONE);
    store_read_stats(fixture.store, &stats);
    EXPECT(stats.rejected_old == 1);
    samples = fixture_read(&fixture, "late", 1, 0, INT64_MAX / 2);
    EXPECT(samples.count == 3 && samples.value[0] == 3);
    fixture_done(&fixture);
}

TEST(the_same_sample_twice_is_kept_once_and_another_value_is_refused)
{
    struct fixture fixture = fixture_new();

    ASSERT(fixture_open(&fixture));
    EXPECT(fixture_put(&fixture, "twice", 1, NOON_MS, 1) == 0);
    EXPECT(fixture_put(&fixture, "twice", 1, NOON_MS, 1) == 0);
    EXPECT(fixture_put(&fixture, "twice", 1, NOON_MS, 2) == 1);
    EXPECT(count_of(&fixture, "twice", 1) == 1);
    EXPECT(store_compact(fixture.store, &fixture.why) == ERR_NONE); /* Sealed: not in memory. */
    EXPECT(fixture_put(&fixture, "twice", 1, NOON_MS, 1) == 0);
    struct samples samples = fixture_read(&fixture, "twice", 1, 0, INT64_MAX / 2);
    EXPECT(samples.count == 1 && samples.value[0] == 1);
    fixture.store = store_close(fixture.store);
    ASSERT(fixture_open(&fixture));
    EXPECT(count_of(&fixture, "twice", 1) == 1);
    fixture_done(&fixture);
}

TEST(every_bit_of_a_value_comes_back)
{
    static const double values[] = {0.0, -0.0, 1.5, -1e300, 5e-324, 9007199254740993.0, 0.1};
    struct fixture fixture = fixture_new();
    int count = (int)ARRAY_COUNT(values);

    ASSERT(fixture_open(&fixture));
    for (int i = 0; i < count; i++)
        EXPECT(fixture_put(&fixture, "bits", 1, NOON_MS + i, values[i]) == 0);
    EXPECT(fixture_put(&fixture, "bits", 1, NOON_MS + count, metric_stale()) == 0);
    EXPECT(fixture_put(&fixture, "bits", 1, NOON_MS + count + 1, INFINITY) == 0);
    for (int pass = 0; pass < 2; pass++) {
        struct samples samples = fixture_read(&fixture, "bits", 1, 0, INT64_MAX / 2);
        ASSERT(samples.count == ARRAY_COUNT(values) + 2);
        EXPECT(memcmp(samples.value, values, sizeof(values)) == 0);
        EXPECT(metric_is_stale(samples.value[count]) && isinf(samples.value[count + 1]));
        fixture.store = store_close(fixture.store); /* Seals. */
        ASSERT(fixture_open(&fixture));
    }
    fixture_done(&fixture);
}

TEST(a_batch_that_straddles_midnight_lies_in_two_files)
{
    struct fixture fixture = fixture_new();
    struct batch *batch;
    char path[128];

    ASSERT(fixture_open(&fixture));
    batch = fixture_batch(&fixture);
    for (int i = -5; i < 5; i++)
        fixture_add(&fixture, batch, "midnight", 1, NOON_MS + CLOCK_MS_PER_DAY / 2 + i * 1000, i);
    EXPECT(fixture_send(&fixture, batch) == 0);
    EXPECT(count_of(&fixture, "midnight", 1) == 10);
    (void)snprintf(path, sizeof(path), "%s/default/2026-11-11.db", fixture.folder);
    EXPECT(access(path, F_OK) == 0);
    fixture.store = store_close(fixture.store);
    ASSERT(fixture_open(&fixture));
    EXPECT(count_of(&fixture, "midnight", 1) == 10);
    fixture_done(&fixture);
}

TEST(an_explosion_of_labels_is_stopped_counted_and_named)
{
    struct fixture fixture = fixture_new();
    struct batch *batch;

    fixture.options.series_per_metric_max = 100;
    ASSERT(fixture_open(&fixture));
    batch = fixture_batch(&fixture);
    for (int i = 0; i < 150; i++)
        fixture_add(&fixture, batch, "exploding", i, NOON_MS, i);
    fixture_add(&fixture, batch, "calm", 1, NOON_MS, 1);
    EXPECT(fixture_send(&fixture, batch) == 50);
    EXPECT(strstr(fixture.why.text, "'exploding'") != NULL);
    EXPECT(count_of(&fixture, "calm", 1) == 1);
    EXPECT(count_of(&fixture, "exploding", 99) == 1 && count_of(&fixture, "exploding", 100) == 0);
    EXPECT(fixture_put(&fixture, "exploding", 5, NOON_MS + 1000, 1) == 0); /* Known: goes on. */
    fixture_done(&fixture);
}

TEST(a_folder_is_open_only_once)
{
    struct fixture fixture = fixture_new();
    struct store *second = NULL;

    ASSERT(fixture_open(&fixture));
    EXPECT(store_open(&fixture.options, &second, &fixture.why) == ERR_BUSY);
    EXPECT(fixture.why.hint[0] != '\0');
    fixture_done(&fixture);
}

TEST(a_folder_that_cannot_be_written_is_refused_with_the_next_step)
{
    struct fixture fixture = fixture_new();

    if (geteuid() == 0 && !mount_small(fixture.folder, MS_RDONLY, "size=64k"))
        SKIP("root may write everywhere, and cannot mount here");
    (void)chmod(fixture.folder, 0500);
    fixture.options.path = fixture.folder;
    enum err err = store_open(&fixture.options, &fixture.store, &fixture.why);
    EXPECT(err == ERR_DENIED || err == ERR_IO);
    EXPECT(strstr(fixture.why.text, fixture.folder) != NULL && fixture.why.hint[0] != '\0');
    (void)umount(fixture.folder);
    (void)chmod(fixture.folder, 0700);
    fixture_done(&fixture);
}

TEST(a_full_disk_refuses_serves_reads_and_recovers_by_itself)
{
    struct fixture fixture = fixture_new();
    char path[128];
    int sent = 0;
    int answer = 0;

    if (!mount_small(fixture.folder, 0, "size=3m"))
        SKIP("cannot mount a small file system here");
    (void)snprintf(path, sizeof(path), "%s/ballast", fixture.folder);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    ASSERT(fd >= 0 && ftruncate(fd, 0) == 0);
    fixture.options.free_bytes_min = 0; /* Until the disk itself says no. */
    ASSERT(fixture_open(&fixture));
    EXPECT(fixture_put(&fixture, "full", 0, NOON_MS, 0) == 0);
    ASSERT(posix_fallocate(fd, 0, 2200 << 10) == 0);
    for (; answer == 0 && sent < 20000; sent++)
        answer = fixture_put(&fixture, "full", 0, NOON_MS + 1 + sent, 0.1 * sent);
    sent -= 1; /* The last one was refused. */
    EXPECT(answer == -1 && fixture.why.err == ERR_FULL);
    EXPECT(count_of(&fixture, "full", 0) == (size_t)sent + 1);
    EXPECT(fixture.notice[0] != '\0');
    ASSERT(ftruncate(fd, 0) == 0);
    for (int i = 0; i < 300 && answer != 0; i++) { /* It looks once a second. */
        (void)usleep(10000);
        answer = fixture_put(&fixture, "full", 0, NOON_MS + 1 + sent, 7);
    }
    EXPECT(answer == 0);
    EXPECT(count_of(&fixture, "full", 0) == (size_t)sent + 2);
    fixture.store = store_close(fixture.store);
    ASSERT(fixture_open(&fixture));
    EXPECT(count_of(&fixture, "full", 0) == (size_t)sent + 2);
    fixture.store = store_close(fixture.store);
    (void)close(fd);
    (void)umount(fixture.folder);
    fixture_done(&fixture);
}

static void overwrite(struct fixture *fixture, const char *name, off_t at, size_t size)
{
    char path[128];
    char *noise = calloc(1, size);

    (void)snprintf(path, sizeof(path), "%s/default/%s", fixture->folder, name);
    memset(noise, 0x5a, size);
    int fd = open(path, O_RDWR);
    if (fd < 0 || pwrite(fd, noise, size, at) != (ssize_t)size)
        abort();
    (void)close(fd);
    free(noise);
}

TEST(a_damaged_day_is_named_and_set_aside_and_the_rest_served)
{
    struct fixture fixture = fixture_new();
    char path[128];

    ASSERT(fixture_open(&fixture));
    EXPECT(fixture_put(&fixture, "day", 1, NOON_MS, 1) == 0);
    EXPECT(fixture_put(&fixture, "day", 1, NOON_MS + CLOCK_MS_PER_DAY, 2) == 0);
    fixture.store = store_close(fixture.store);
    overwrite(&fixture, "2026-11-10.db", 0, 4096);
    ASSERT(fixture_open(&fixture));
    EXPECT(strstr(fixture.notice, "2026-11-10.db") != NULL);
    (void)snprintf(path, sizeof(path), "%s/default/2026-11-10.db.corrupt", fixture.folder);
    EXPECT(access(path, F_OK) == 0);
    struct samples samples = fixture_read(&fixture, "day", 1, 0, INT64_MAX / 2);
    EXPECT(samples.count == 1 && samples.value[0] == 2);
    EXPECT(fixture_put(&fixture, "day", 1, NOON_MS + CLOCK_MS_PER_DAY + 1, 3) == 0);
    fixture_done(&fixture);
}

TEST(a_lost_catalog_is_made_anew_from_the_days)
{
    struct fixture fixture = fixture_new();

    ASSERT(fixture_open(&fixture));
    for (int number = 0; number < 200; number++)
        EXPECT(fixture_put(&fixture, "named", number, NOON_MS, number) == 0);
    fixture.store = store_close(fixture.store);
    overwrite(&fixture, "catalog.db", 0, 4096);
    ASSERT(fixture_open(&fixture));
    EXPECT(strstr(fixture.notice, "200 series") != NULL);
    for (int number = 0; number < 200; number++) {
        struct samples samples = fixture_read(&fixture, "named", number, 0, INT64_MAX / 2);
        EXPECT(samples.count == 1 && samples.value[0] == number);
    }
    EXPECT(fixture_put(&fixture, "named", 500, NOON_MS + 1000, 1) == 0);
    EXPECT(count_of(&fixture, "named", 500) == 1);
    fixture_done(&fixture);
}

TEST(retention_by_size_removes_the_oldest_days_first)
{
    struct fixture fixture = fixture_new();
    struct store_stats stats;

    fixture.options.size_bytes_max = 400 << 10;
    ASSERT(fixture_open(&fixture));
    for (int day = 0; day < 12; day++) {
        struct batch *batch = fixture_batch(&fixture);
        for (int i = 0; i < 5000; i++)
            fixture_add(&fixture, batch, "big", 1, NOON_MS + day * CLOCK_MS_PER_DAY + i * 1000,
                        (double)((uint32_t)i * 2654435761u));
        EXPECT(fixture_send(&fixture, batch) == 0);
    }
    for (int i = 0; i < 40; i++)
        store_tick(fixture.store, clock_now_ms() + (2 + i) * CLOCK_MS_PER_DAY);
    store_read_stats(fixture.store, &stats);
    EXPECT(stats.days_removed > 0 && stats.disk_bytes <= 2 * fixture.options.size_bytes_max);
    EXPECT(fixture_read(&fixture, "big", 1, NOON_MS + 11 * CLOCK_MS_PER_DAY, INT64_MAX / 2).count >
           0);
    fixture_done(&fixture);
}

TEST_MAIN
