/* SPDX-License-Identifier: Apache-2.0 */
/* Crash safety, from outside: a child ingests as fast as it can and is killed at any moment, a
 * hundred times; a log is cut at many places, as a power failure leaves it. What was acknowledged
 * is there exactly once, and what was not is there whole or not at all. */
#include "store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

/* 2026-11-10 20:00 UTC, so that the rows cross midnight. */
#define START_MS (INT64_C(1794268800) * 1000 + 20 * CLOCK_MS_PER_DAY / 24)

enum { KILLS = 100, SERIES = 20, STEP_MS = 5000, WAIT_US_MAX = 30000 };

static double value_of(int64_t row, int number)
{
    return (double)((row * 31 + number * 17) % 977) / 4;
}

static void fill(struct fixture *fixture, struct batch *batch, int64_t row)
{
    for (int number = 0; number < SERIES; number++)
        fixture_add(fixture, batch, "kill", number, START_MS + row * STEP_MS,
                    value_of(row, number));
}

/* Never returns: each acknowledged row's number goes into the pipe. */
static _Noreturn void ingest(struct fixture *fixture, int64_t row, int pipe_fd)
{
    if (!fixture_open(fixture))
        _exit(1);
    for (;; row++) {
        struct batch *batch = fixture_batch(fixture);
        fill(fixture, batch, row);
        if (fixture_send(fixture, batch) != 0 ||
            write(pipe_fd, &row, sizeof(row)) != (ssize_t)sizeof(row))
            _exit(1);
        if (row % 8 == 3 && store_compact(fixture->store, &fixture->why) != ERR_NONE)
            _exit(1);
        if (row % 16 == 0)
            store_tick(fixture->store, clock_now_ms());
    }
}

/* Starts a child, kills it, and returns the last row that it acknowledged, or row - 1. */
static int64_t run_and_kill(struct fixture *fixture, int64_t row, unsigned wait_us, bool *ret_good)
{
    int fds[2];
    int64_t acknowledged = row - 1;
    int64_t next;
    int status = 0;

    *ret_good = false;
    if (pipe(fds) != 0)
        return acknowledged;
    pid_t child = fork();
    if (child == 0) {
        (void)close(fds[0]);
        ingest(fixture, row, fds[1]);
    }
    (void)close(fds[1]);
    /* From the first row on, so that the kill meets ingest and not only the start. */
    if (wait_us % 4 != 0 && read(fds[0], &next, sizeof(next)) == (ssize_t)sizeof(next))
        acknowledged = next;
    (void)usleep(wait_us);
    (void)kill(child, SIGKILL);
    (void)waitpid(child, &status, 0);
    while (read(fds[0], &next, sizeof(next)) == (ssize_t)sizeof(next))
        acknowledged = next;
    (void)close(fds[0]);
    *ret_good = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    return acknowledged;
}

/* Rows that are there, 0 … return - 1, or -1 when anything is missing, double or wrong. */
static int64_t count_rows(struct fixture *fixture)
{
    int64_t rows = -1;

    for (int number = 0; number < SERIES; number++) {
        struct samples samples = fixture_read(fixture, "kill", number, 0, INT64_MAX / 2);
        if (rows >= 0 && (int64_t)samples.count != rows)
            return -1;
        rows = (int64_t)samples.count;
        for (int64_t row = 0; row < rows; row++) {
            if (samples.time_ms[row] != START_MS + row * STEP_MS ||
                samples.value[row] != value_of(row, number))
                return -1;
        }
    }
    return rows;
}

/* Opens, checks and counts in a process of its own, which mostly ends without closing, so that the
 * next start meets what the kill left. */
static int64_t verify(struct fixture *fixture, bool clean)
{
    int fds[2];
    int64_t rows = -1;

    if (pipe(fds) != 0)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        if (fixture_open(fixture))
            rows = count_rows(fixture);
        if (clean)
            fixture->store = store_close(fixture->store);
        _exit(write(fds[1], &rows, sizeof(rows)) == (ssize_t)sizeof(rows) ? 0 : 1);
    }
    (void)close(fds[1]);
    if (read(fds[0], &rows, sizeof(rows)) != (ssize_t)sizeof(rows))
        rows = -1;
    (void)close(fds[0]);
    (void)waitpid(child, NULL, 0);
    return rows;
}

TEST(what_was_acknowledged_survives_a_hundred_kills_exactly_once)
{
    struct fixture fixture = fixture_new();
    int64_t row = 0;

    fixture.options.head_bytes = 8 << 10; /* Seals come often, compactions too. */
    srand(7);
    for (int i = 0; i < KILLS; i++) {
        bool killed;
        int64_t acknowledged =
            run_and_kill(&fixture, row, (unsigned)(rand() % WAIT_US_MAX), &killed);
        int64_t rows = verify(&fixture, i % 5 == 4);
        if (!killed || rows < acknowledged + 1)
            printf("# kill %d: %lld rows, %lld acknowledged\n", i, (long long)rows,
                   (long long)acknowledged + 1);
        ASSERT(killed && rows >= acknowledged + 1);
        row = rows;
    }
    printf("# %lld rows of %d series\n", (long long)row, SERIES);
    EXPECT(row > KILLS);
    fixture_done(&fixture);
}

static void copy_file(const char *from, const char *to, size_t size_max)
{
    struct buf content CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;

    if (file_read(from, 1 << 28, &content, &why) != ERR_NONE)
        return; /* Not there. */
    if (content.size > size_max)
        content.size = size_max;
    if (file_write(to, buf_view(&content), 0640, &why) != ERR_NONE)
        abort();
}

/* Copies the tenant of fixture to that of copy, the day's log cut at `size`. */
static void copy_cut(const struct fixture *fixture, const struct fixture *copy, size_t size)
{
    static const char *const names[] = {"catalog.db", "catalog.db-wal", "2026-11-10.db",
                                        "2026-11-10.db-wal"};
    char from[256];
    char to[256];

    (void)snprintf(to, sizeof(to), "%s/default", copy->folder);
    if (file_make_folder(to, NULL) != ERR_NONE)
        abort();
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        (void)snprintf(from, sizeof(from), "%s/default/%s", fixture->folder, names[i]);
        (void)snprintf(to, sizeof(to), "%s/default/%s", copy->folder, names[i]);
        copy_file(from, to, i == 3 ? size : SIZE_MAX);
    }
}

static uint64_t log_size(const struct fixture *fixture)
{
    char path[256];
    uint64_t size = 0;

    (void)snprintf(path, sizeof(path), "%s/default/2026-11-10.db-wal", fixture->folder);
    return file_size(path, &size, NULL) == ERR_NONE ? size : 0;
}

TEST(a_log_cut_anywhere_leaves_whole_batches)
{
    enum { ROWS = 40, CUTS = 150 };
    struct fixture fixture = fixture_new();
    uint64_t sizes[ROWS]; /* Of the log after each commit. */
    int64_t before = -1;

    ASSERT(fixture_open(&fixture));
    for (int64_t row = 0; row < ROWS; row++) {
        struct batch *batch = fixture_batch(&fixture);
        fill(&fixture, batch, row);
        ASSERT(fixture_send(&fixture, batch) == 0);
        sizes[row] = log_size(&fixture);
    }
    uint64_t whole = log_size(&fixture);
    ASSERT(whole > 4096);
    for (int i = 0; i <= CUTS; i++) {
        struct fixture copy = fixture_new();
        uint64_t size = whole * (uint64_t)i / CUTS;
        copy_cut(&fixture, &copy, size);
        ASSERT(fixture_open(&copy));
        int64_t rows = count_rows(&copy);
        EXPECT(rows >= before);
        for (int64_t row = 0; row < ROWS; row++)
            EXPECT(sizes[row] > size || rows > row); /* Committed before the cut: there. */
        before = rows;
        fixture_done(&copy);
    }
    EXPECT(before == ROWS);
    fixture_done(&fixture);
}

TEST_MAIN
