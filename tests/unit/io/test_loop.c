/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/clock.h"
#include "io/loop.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

static struct loop *open_loop(const struct loop_options *options)
{
    struct loop *loop = NULL;
    struct why why = WHY_INIT;

    if (loop_open(options, &loop, &why) != ERR_NONE)
        printf("# %s\n", why.text);
    return loop;
}

static void once(struct loop *loop, int64_t timeout_ns)
{
    struct why why = WHY_INIT;

    EXPECT(loop_once(loop, timeout_ns, &why) == ERR_NONE);
}

/* ---- Timers. ---- */

struct alarm {
    struct loop_timer timer;
    struct loop *loop;
    int64_t fired_ns;
    int fired;
};

static void ring_alarm(struct loop_timer *timer)
{
    struct alarm *alarm = CONTAINER_OF(timer, struct alarm, timer);

    alarm->fired++;
    alarm->fired_ns = clock_monotonic_ns();
}

TEST(timers_fire_in_order_and_never_early)
{
    enum { COUNT = 500 };
    struct loop *loop = open_loop(NULL);
    struct alarm *alarms = calloc(COUNT, sizeof(*alarms));
    int64_t start = clock_monotonic_ns();
    unsigned random = 12345;
    int fired = 0;

    for (int i = 0; i < COUNT; i++) {
        random = random * 1103515245 + 12345;
        loop_timer_start(loop, &alarms[i].timer, start + (random >> 8) % 30000000, ring_alarm);
    }
    /* Every third is moved, some forth, some back; every fifth is stopped. */
    for (int i = 0; i < COUNT; i += 3) {
        random = random * 1103515245 + 12345;
        loop_timer_start(loop, &alarms[i].timer, start + (random >> 8) % 30000000, ring_alarm);
    }
    for (int i = 0; i < COUNT; i += 5)
        loop_timer_stop(loop, &alarms[i].timer);
    while (clock_monotonic_ns() < start + 60000000)
        once(loop, 5000000);
    for (int i = 0; i < COUNT; i++) {
        EXPECT(alarms[i].fired == (i % 5 != 0));
        EXPECT(alarms[i].fired == 0 || alarms[i].fired_ns >= alarms[i].timer.deadline_ns);
        EXPECT(!loop_timer_running(&alarms[i].timer));
        fired += alarms[i].fired;
    }
    EXPECT(fired == COUNT - COUNT / 5);
    free(alarms);
    EXPECT(loop_close(loop) == NULL);
}

TEST(a_timer_pushed_back_fires_once_at_its_last_deadline)
{
    struct loop *loop = open_loop(NULL);
    struct alarm alarm = {0};
    int64_t start = clock_monotonic_ns();

    for (int i = 1; i <= 20; i++)
        loop_timer_start(loop, &alarm.timer, start + i * CLOCK_NS_PER_MS, ring_alarm);
    while (clock_monotonic_ns() < start + 40 * CLOCK_NS_PER_MS)
        once(loop, 5 * CLOCK_NS_PER_MS);
    EXPECT(alarm.fired == 1);
    EXPECT(alarm.fired_ns >= start + 20 * CLOCK_NS_PER_MS);
    loop_close(loop);
}

TEST(a_precise_loop_wakes_within_its_slack)
{
    struct loop *loop = open_loop(&(struct loop_options){.timer_slack_ns = LOOP_PRECISE});
    int64_t best = INT64_MAX;

    for (int i = 0; i < 20; i++) {
        struct alarm alarm = {0};
        int64_t deadline = clock_monotonic_ns() + 300000;
        loop_timer_start(loop, &alarm.timer, deadline, ring_alarm);
        while (alarm.fired == 0)
            once(loop, -1);
        EXPECT(alarm.fired_ns >= deadline);
        if (alarm.fired_ns - deadline < best)
            best = alarm.fired_ns - deadline;
    }
    /* The best of many: a busy machine may delay any single one. */
    EXPECT(best < CLOCK_NS_PER_MS);
    loop_close(loop);
}

/* ---- Watches. ---- */

struct pipe_end {
    struct loop_watch watch;
    struct loop *loop;
    struct pipe_end *victim;
    int events;
};

static void read_end(struct loop_watch *watch, uint32_t events)
{
    struct pipe_end *end = CONTAINER_OF(watch, struct pipe_end, watch);
    char byte;

    (void)events;
    EXPECT(read(watch->fd, &byte, 1) == 1);
    end->events++;
    if (end->victim != NULL)
        loop_watch_stop(end->loop, &end->victim->watch);
}

TEST(a_watch_stopped_by_another_in_the_same_round_is_not_called)
{
    struct loop *loop = open_loop(NULL);
    struct pipe_end ends[2] = {0};
    int pipes[2][2];
    struct why why = WHY_INIT;

    for (int i = 0; i < 2; i++) {
        ASSERT(pipe(pipes[i]) == 0);
        ends[i].loop = loop;
        ends[i].victim = &ends[1 - i];
        ASSERT(loop_watch_start(loop, &ends[i].watch, pipes[i][0], EPOLLIN, read_end, &why) ==
               ERR_NONE);
        ASSERT(write(pipes[i][1], "x", 1) == 1);
    }
    once(loop, 0);
    EXPECT(ends[0].events + ends[1].events == 1);
    for (int i = 0; i < 2; i++) {
        loop_watch_stop(loop, &ends[i].watch);
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
    loop_close(loop);
}

TEST(a_watch_waits_for_what_it_was_changed_to)
{
    struct loop *loop = open_loop(NULL);
    struct pipe_end end = {.loop = loop};
    int fds[2];
    struct why why = WHY_INIT;

    ASSERT(pipe(fds) == 0);
    ASSERT(loop_watch_start(loop, &end.watch, fds[0], EPOLLIN, read_end, &why) == ERR_NONE);
    ASSERT(write(fds[1], "xy", 2) == 2);
    loop_watch_change(loop, &end.watch, 0);
    once(loop, 0);
    EXPECT(end.events == 0);
    loop_watch_change(loop, &end.watch, EPOLLIN);
    once(loop, 0);
    once(loop, 0); /* Level-triggered: the second byte is reported again. */
    EXPECT(end.events == 2);
    loop_watch_stop(loop, &end.watch);
    close(fds[0]);
    close(fds[1]);
    loop_close(loop);
}

TEST(watching_a_closed_descriptor_is_an_error)
{
    struct loop *loop = open_loop(NULL);
    struct pipe_end end = {.loop = loop};
    struct why why = WHY_INIT;

    EXPECT(loop_watch_start(loop, &end.watch, 1000000, EPOLLIN, read_end, &why) == ERR_IO);
    EXPECT(!end.watch.active);
    loop_watch_stop(loop, &end.watch);
    loop_close(loop);
}

/* ---- Tasks and posts. ---- */

enum { THREADS = 4, SENDS = 20000 };

struct sender {
    struct loop *loop;
    struct counted *tasks;
    uint64_t *run;
    uint64_t posted;
};

struct counted {
    struct loop_task task;
    uint64_t *run;
};

static void count_task(struct loop_task *task)
{
    ++*CONTAINER_OF(task, struct counted, task)->run;
}

static void count_post(void *arg)
{
    ++*(uint64_t *)arg;
}

static void *send_many(void *self)
{
    struct sender *sender = self;

    for (int i = 0; i < SENDS; i++) {
        sender->tasks[i] = (struct counted){{NULL, count_task}, sender->run};
        loop_send(sender->loop, &sender->tasks[i].task);
        while (i % 4 == 0 && loop_post(sender->loop, count_post, sender->run) != ERR_NONE)
            usleep(100);
    }
    return NULL;
}

TEST(everything_sent_from_other_threads_is_run_once)
{
    struct loop *loop = open_loop(&(struct loop_options){.posts_max = 64});
    struct sender senders[THREADS];
    pthread_t threads[THREADS];
    uint64_t run = 0; /* Only the loop's thread counts. */
    int64_t end_ns = clock_monotonic_ns() + 30 * CLOCK_NS_PER_S;

    for (int i = 0; i < THREADS; i++) {
        senders[i] = (struct sender){loop, calloc(SENDS, sizeof(struct counted)), &run, 0};
        ASSERT(pthread_create(&threads[i], NULL, send_many, &senders[i]) == 0);
    }
    while (run < THREADS * (SENDS + SENDS / 4) && clock_monotonic_ns() < end_ns)
        once(loop, 10 * CLOCK_NS_PER_MS);
    EXPECT(run == THREADS * (SENDS + SENDS / 4));
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        free(senders[i].tasks);
    }
    loop_close(loop);
}

TEST(posts_are_bounded_and_run_when_the_loop_closes)
{
    struct loop *loop = open_loop(&(struct loop_options){.posts_max = 3});
    struct loop_stats stats;
    uint64_t run = 0;

    for (int i = 0; i < 3; i++)
        EXPECT(loop_post(loop, count_post, &run) == ERR_NONE);
    EXPECT(loop_post(loop, count_post, &run) == ERR_BUSY);
    loop_stats(loop, &stats);
    EXPECT(stats.posts_refused == 1);
    once(loop, 0);
    EXPECT(run == 3);
    EXPECT(loop_post(loop, count_post, &run) == ERR_NONE);
    loop_close(loop);
    EXPECT(run == 4);
}

struct again {
    struct loop_task task;
    struct loop *loop;
    int left;
};

static void defer_again(struct loop_task *task)
{
    struct again *again = CONTAINER_OF(task, struct again, task);

    if (--again->left > 0)
        loop_defer(again->loop, task);
}

TEST(a_deferred_task_may_defer_itself_without_stopping_the_loop)
{
    struct loop *loop = open_loop(NULL);
    struct again again = {{NULL, defer_again}, loop, 3};

    loop_defer(loop, &again.task);
    for (int i = 3; i > 0; i--) {
        EXPECT(again.left == i);
        once(loop, -1); /* Does not sleep: there is work. */
    }
    EXPECT(again.left == 0);
    loop_close(loop);
}

static void stop_loop(void *arg)
{
    loop_stop(arg);
}

TEST(a_loop_runs_until_it_is_stopped_from_within_or_without)
{
    struct loop *loop = open_loop(NULL);
    struct why why = WHY_INIT;

    EXPECT(!loop_is_current(loop));
    EXPECT(loop_post(loop, stop_loop, loop) == ERR_NONE);
    EXPECT(loop_run(loop, &why) == ERR_NONE);
    EXPECT(loop_is_current(loop));
    loop_stop(loop);
    EXPECT(loop_run(loop, &why) == ERR_NONE);
    loop_close(loop);
}

/* ---- Signals. ---- */

static void catch (void *self, int signal_number)
{
    *(int *)self += signal_number;
}

TEST(signals_come_as_events)
{
    struct loop *loop = open_loop(NULL);
    struct why why = WHY_INIT;
    int caught = 0;

    ASSERT(loop_signal(loop, SIGUSR1, catch, &caught, &why) == ERR_NONE);
    ASSERT(loop_signal(loop, SIGUSR2, catch, &caught, &why) == ERR_NONE);
    EXPECT(kill(getpid(), SIGUSR1) == 0);
    EXPECT(kill(getpid(), SIGUSR2) == 0);
    once(loop, CLOCK_NS_PER_S);
    EXPECT(caught == SIGUSR1 + SIGUSR2);
    EXPECT(loop_signal(loop, 0, catch, &caught, &why) == ERR_INVALID);
    EXPECT(loop_signal(loop, 65, catch, &caught, &why) == ERR_INVALID);
    loop_close(loop);
}

TEST_MAIN
