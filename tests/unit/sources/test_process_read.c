/* SPDX-License-Identifier: Apache-2.0 */
/* Also of the table above it. */
#include "sources/process_read.h"

#include "sources/disk_name.h"
#include "sources/mounts.h"
#include "test.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static struct process_entry parse(const char *text, bool *ret_ok)
{
    struct process_reader reader = {.tick_s = 0.01, .page_bytes = 4096, .boot_s = 1000};
    struct process_entry process = {0};

    *ret_ok = process_parse_stat(&reader, str_of(text), &process);
    return process;
}

TEST(a_name_with_brackets_and_blanks_is_read_whole)
{
    bool ok;
    struct process_entry process =
        parse("42 (a) b (c) S 1 42 42 0 -1 4194304 120 0 3 0 250 50 0 0 20 0 4 0 5000 "
              "1048576 10 18446744073709551615 1 1 0 0 0",
              &ok);

    ASSERT(ok);
    EXPECT_TEXT(process.name, "a) b (c");
    EXPECT(process.state == 'S' && process.ppid == 1 && !process.kernel);
    EXPECT_NEAR(process.counters.user_s, 2.5, 1e-9);
    EXPECT_NEAR(process.counters.system_s, 0.5, 1e-9);
    EXPECT(process.counters.minor_faults == 120 && process.counters.major_faults == 3);
    EXPECT(process.threads == 4 && process.vms_bytes == 1048576 && process.rss_bytes == 40960);
    EXPECT_NEAR(process.start_time_s, 1050, 1e-9);
}

TEST(broken_stat_lines_are_refused)
{
    static const char *const broken[] = {"",
                                         "42",
                                         "42 (x",
                                         "42 x) S",
                                         "42 (x) S 1 2 3",
                                         "42 (x) SS 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18"};
    bool ok;

    for (size_t i = 0; i < ARRAY_COUNT(broken); i++) {
        (void)parse(broken[i], &ok);
        EXPECT(!ok);
    }
}

static struct process_row *find(struct process_row *rows, size_t count, pid_t pid)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i].pid == pid)
            return &rows[i];
    }
    return NULL;
}

TEST(this_process_is_in_the_table_with_what_it_uses)
{
    struct process_table *table = process_table_new("/proc", "");
    struct arena *arena = arena_new(16 << 20);
    struct process_query query = {.pss = true};
    struct process_row *rows;
    struct why why = WHY_INIT;
    size_t count;
    int64_t time_ms;

    ASSERT(process_table_read(table, &query, arena, &rows, &count, &time_ms, &why) == ERR_NONE);
    struct process_row *self = find(rows, count, getpid());
    ASSERT(self != NULL);
    EXPECT(self->ppid == getppid() && self->rss_bytes > 100000 && self->threads >= 1);
    EXPECT(self->command.size > 0 && self->user.size > 0);
    EXPECT(isnan(self->cpu_percent)); /* Nothing to compare with yet. */
    EXPECT(self->fds >= 3);
    EXPECT(isnan(self->pss_bytes) || self->pss_bytes > 0);
    arena_free(arena);
    process_table_free(table);
}

TEST(a_busy_process_shows_its_cpu_and_one_that_ended_is_gone)
{
    struct process_table *table = process_table_new("/proc", "");
    struct arena *arena = arena_new(16 << 20);
    struct process_query query = {.sort = PROCESS_BY_CPU};
    struct process_row *rows;
    struct why why = WHY_INIT;
    size_t count;
    int64_t time_ms;

    pid_t child = fork();
    if (child == 0) {
        for (volatile unsigned i = 0;; i++)
            continue;
    }
    ASSERT(process_table_refresh(table, &why) == ERR_NONE);
    struct process_row *row = NULL;
    for (int i = 0; i < 100 && (row == NULL || !(row->cpu_percent > 0)); i++) {
        usleep(100 * 1000);
        ASSERT(process_table_refresh(table, &why) == ERR_NONE);
        ASSERT(process_table_read(table, &query, arena, &rows, &count, &time_ms, &why) == ERR_NONE);
        row = find(rows, count, child);
    }
    EXPECT(row != NULL && row->cpu_percent > 0);
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    ASSERT(process_table_refresh(table, &why) == ERR_NONE);
    ASSERT(process_table_read(table, &query, arena, &rows, &count, &time_ms, &why) == ERR_NONE);
    EXPECT(find(rows, count, child) == NULL);
    arena_free(arena);
    process_table_free(table);
}

TEST(mounts_are_unescaped_and_kernel_file_systems_left_out)
{
    struct mounts mounts = {0};

    mounts_parse(&mounts, STR("/dev/sda1 / ext4 rw,relatime 0 0\n"
                              "proc /proc proc rw 0 0\n"
                              "/dev/sdb1 /mnt/my\\040disk xfs ro,noatime 0 0\n"
                              "/dev/sdb1 /mnt/my\\040disk xfs ro,noatime 0 0\n"
                              "host:/x /data nfs4 rw 0 0\n"
                              "overlay /var/lib/docker/overlay2/x/merged overlay rw 0 0\n"
                              "tmpfs /run/lock tmpfs rw 0 0\n"
                              "tmpfs /running tmpfs rw 0 0\n"
                              "broken\n"));
    ASSERT(mounts.count == 4);
    EXPECT_TEXT(mounts.items[0].point, "/");
    EXPECT(!mounts.items[0].readonly && !mounts.items[0].network);
    EXPECT_TEXT(mounts.items[1].point, "/mnt/my disk");
    EXPECT(mounts.items[1].readonly);
    EXPECT(mounts.items[2].network);
    EXPECT_TEXT(mounts.items[3].point, "/running");
    mounts_done(&mounts);
}

TEST(partitions_and_loop_devices_are_no_disks)
{
    static const char *const disks[] = {"sda",   "vda", "nvme0n1", "dm-0",   "md0",
                                        "zram0", "sr0", "mmcblk0", "ramdisk"};
    static const char *const others[] = {"sda1",  "vdb12", "xvda1", "nvme0n1p2",
                                         "loop7", "ram0",  "fd0",   ""};

    for (size_t i = 0; i < ARRAY_COUNT(disks); i++)
        EXPECT(disk_is_told(str_of(disks[i])));
    for (size_t i = 0; i < ARRAY_COUNT(others); i++)
        EXPECT(!disk_is_told(str_of(others[i])));
}

TEST_MAIN
