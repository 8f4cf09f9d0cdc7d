/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/clock.h"
#include "io/workers.h"

#include <pthread.h>
#include <unistd.h>

struct sum {
    struct job job;
    pthread_t thread;
    char name[16];
    uint64_t result;
    int ran;
    int done;
    int *order;
};

static void add_up(struct job *job)
{
    struct sum *sum = CONTAINER_OF(job, struct sum, job);

    sum->ran++;
    sum->thread = pthread_self();
    (void)pthread_getname_np(sum->thread, sum->name, sizeof(sum->name));
    for (uint64_t i = 0; i <= 1000; i++)
        sum->result += i;
}

static void wait_for_cancel(struct job *job)
{
    struct sum *sum = CONTAINER_OF(job, struct sum, job);

    sum->ran++;
    while (!job_cancelled(job))
        usleep(1000);
}

static void note(struct job *job)
{
    struct sum *sum = CONTAINER_OF(job, struct sum, job);

    sum->done++;
    if (sum->order != NULL)
        ++*sum->order;
}

static void open_both(struct loop **ret_loop, struct workers **ret_workers, size_t threads,
                      size_t jobs_max)
{
    struct why why = WHY_INIT;

    EXPECT(loop_open(NULL, ret_loop, &why) == ERR_NONE);
    EXPECT(workers_open(&(struct workers_options){*ret_loop, threads, jobs_max}, ret_workers,
                        &why) == ERR_NONE);
}

static void turn(struct loop *loop)
{
    struct why why = WHY_INIT;

    EXPECT(loop_once(loop, 10 * CLOCK_NS_PER_MS, &why) == ERR_NONE);
}

TEST(jobs_run_elsewhere_and_come_back_to_the_loop)
{
    enum { COUNT = 200 };
    struct loop *loop;
    struct workers *workers;
    struct workers_stats stats;
    struct sum *sums = calloc(COUNT, sizeof(*sums));
    int done = 0;

    open_both(&loop, &workers, 3, COUNT);
    for (int i = 0; i < COUNT; i++) {
        sums[i].job.run = add_up;
        sums[i].job.done = note;
        sums[i].order = &done;
        EXPECT(workers_submit(workers, &sums[i].job) == ERR_NONE);
    }
    int64_t end_ns = clock_monotonic_ns() + 20 * CLOCK_NS_PER_S;
    while (done < COUNT && clock_monotonic_ns() < end_ns)
        turn(loop);
    for (int i = 0; i < COUNT; i++) {
        EXPECT(sums[i].ran == 1 && sums[i].done == 1);
        EXPECT(sums[i].result == 500500);
        EXPECT(!pthread_equal(sums[i].thread, pthread_self()));
        EXPECT_TEXT(sums[i].name, "sonde-worker");
    }
    workers_stats(workers, &stats);
    EXPECT(stats.submitted == COUNT && stats.pending == 0 && stats.threads == 3);
    EXPECT(workers_close(workers) == NULL);
    loop_close(loop);
    free(sums);
}

TEST(a_full_queue_says_busy_and_cancelled_jobs_are_skipped)
{
    struct loop *loop;
    struct workers *workers;
    struct workers_stats stats;
    struct sum blocker = {.job = {.run = wait_for_cancel, .done = note}};
    struct sum waiting[3] = {0};
    int submitted = 0;

    open_both(&loop, &workers, 1, 2);
    EXPECT(workers_submit(workers, &blocker.job) == ERR_NONE);
    do { /* Until the only thread has taken the blocker. */
        usleep(1000);
        workers_stats(workers, &stats);
    } while (stats.waiting > 0);
    for (int i = 0; i < 3; i++) {
        waiting[i].job = (struct job){.run = add_up, .done = note};
        submitted += workers_submit(workers, &waiting[i].job) == ERR_NONE;
    }
    EXPECT(submitted == 2);
    job_cancel(&waiting[0].job);
    job_cancel(&blocker.job);
    int64_t end_ns = clock_monotonic_ns() + 20 * CLOCK_NS_PER_S;
    while (waiting[1].done == 0 && clock_monotonic_ns() < end_ns)
        turn(loop);
    EXPECT(blocker.ran == 1 && blocker.done == 1);
    EXPECT(waiting[0].ran == 0 && waiting[0].done == 1);
    EXPECT(waiting[1].ran == 1 && waiting[1].done == 1);
    EXPECT(waiting[2].ran == 0 && waiting[2].done == 0);
    workers_stats(workers, &stats);
    EXPECT(stats.refused == 1 && stats.cancelled == 2);
    workers_close(workers);
    loop_close(loop);
}

TEST(closing_cancels_and_finishes_every_job)
{
    struct loop *loop;
    struct workers *workers;
    struct sum sums[4] = {0};

    open_both(&loop, &workers, 1, 10);
    for (int i = 0; i < 4; i++) {
        sums[i].job = (struct job){.run = wait_for_cancel, .done = note};
        EXPECT(workers_submit(workers, &sums[i].job) == ERR_NONE);
    }
    workers_close(workers);
    for (int i = 0; i < 4; i++)
        EXPECT(sums[i].done == 1);
    loop_close(loop);
}

TEST_MAIN
