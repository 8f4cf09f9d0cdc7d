/* SPDX-License-Identifier: Apache-2.0 */
/* loop - one thread that waits for sockets, timers, signals and word from other threads.
 *
 * Watches, timers and tasks are embedded in the objects that own them, so an event costs no
 * allocation; the loop only links them. Everything here belongs to the thread that runs the loop,
 * except loop_send, loop_post and loop_stop, which any thread may call.
 *
 * A callback may stop, change or free any watch or timer, its own included, and reuse its task:
 * the loop does not touch an object after calling it. A task that waits stays where it is. */
#pragma once
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

struct loop;

struct loop_options {
    /* A timer is never early and at most this late; the slack lets neighbours share one wake-up.
     * 0 takes the default of 1 ms; LOOP_PRECISE asks for the finest the kernel has. */
    int64_t timer_slack_ns;
    size_t posts_max; /* Bound of loop_post's queue; 0 takes 4096. */
    /* While rounds follow each other faster than this, it sleeps so long before it looks for more,
     * so that one wake-up serves several events; timers stay on time. 0: never. */
    int64_t gather_ns;
};

#define LOOP_PRECISE INT64_C(-1)

CHECKED enum err loop_open(const struct loop_options *options, struct loop **ret_loop,
                           struct why *why);
/* The caller has stopped its watches and timers first. Posts still queued are run, so that what
 * they own is freed. Always returns NULL. */
struct loop *loop_close(struct loop *loop);

/* Runs until loop_stop. ERR_IO: the kernel refused to wait; nothing was lost. */
CHECKED enum err loop_run(struct loop *loop, struct why *why);
/* One round: waits at most timeout_ns (-1: as long as it takes), runs what is due. */
CHECKED enum err loop_once(struct loop *loop, int64_t timeout_ns, struct why *why);
void loop_stop(struct loop *loop); /* Any thread. The round under way is finished. */

/* Monotonic time at the start of this round: one clock reading serves the whole round. */
int64_t loop_now_ns(const struct loop *loop);
bool loop_is_current(const struct loop *loop); /* Does the calling thread run this loop? */

/* ---- Watches: readiness of file descriptors, level-triggered. ---- */

struct loop_watch {
    /* events is the EPOLL… set that is ready. */
    void (*ready)(struct loop_watch *watch, uint32_t events);
    int fd;
    uint32_t events; /* What is waited for now; kept by the loop. */
    bool active;
};

/* Fills in the watch and starts it; the caller keeps the descriptor. */
CHECKED enum err loop_watch_start(struct loop *loop, struct loop_watch *watch, int fd,
                                  uint32_t events,
                                  void (*ready)(struct loop_watch *watch, uint32_t events),
                                  struct why *why);
/* Waits for another set from now on. 0 still reports EPOLLERR and EPOLLHUP. Free when equal. */
void loop_watch_change(struct loop *loop, struct loop_watch *watch, uint32_t events);
/* Call before closing the descriptor. Harmless when not active. */
void loop_watch_stop(struct loop *loop, struct loop_watch *watch);

/* ---- Timers. ---- */

struct loop_timer {
    void (*expired)(struct loop_timer *timer);
    int64_t deadline_ns; /* Monotonic. */
    uint32_t slot;       /* 1 + place in the loop's heap, 0 when not running. */
};

/* (Re)starts the timer. Moving a running timer later is a single store: the heap catches up when
 * the old time comes. So one timer per connection, pushed back on each request, costs nothing. */
void loop_timer_start(struct loop *loop, struct loop_timer *timer, int64_t deadline_ns,
                      void (*expired)(struct loop_timer *timer));
void loop_timer_stop(struct loop *loop, struct loop_timer *timer); /* Harmless when stopped. */

static inline bool loop_timer_running(const struct loop_timer *timer)
{
    return timer->slot != 0;
}

/* ---- Tasks: work handed to the loop. ---- */

struct loop_task {
    struct loop_task *next;
    void (*run)(struct loop_task *task);
};

/* Any thread. Runs the task once on the loop; the storage is the caller's and stays untouched by
 * the caller until then. Cannot fail, so it is the way for answers that must arrive. */
void loop_send(struct loop *loop, struct loop_task *task);

/* Loop thread. Runs now what other threads have sent, for those who must not close before. */
void loop_run_inbox(struct loop *loop);

/* Loop thread. Runs the task at the end of this round, before waiting again. */
void loop_defer(struct loop *loop, struct loop_task *task);

/* Any thread. Runs run(arg) on the loop. ERR_BUSY: posts_max are waiting already. */
CHECKED enum err loop_post(struct loop *loop, void (*run)(void *arg), void *arg);

/* ---- Signals. ---- */

/* Delivers `signal_number` to the loop instead of interrupting. It is blocked in the calling
 * thread: call before other threads start, so that they inherit it. One callback per signal;
 * NULL stops the delivery and leaves the signal blocked. */
CHECKED enum err loop_signal(struct loop *loop, int signal_number,
                             void (*caught)(void *self, int signal_number), void *self,
                             struct why *why);

struct loop_stats {
    uint64_t rounds;
    uint64_t events;
    uint64_t timers_fired;
    uint64_t tasks_run;
    uint64_t posts_refused;
    size_t timers_running;
};

void loop_stats(struct loop *loop, struct loop_stats *ret_stats); /* Loop thread. */
