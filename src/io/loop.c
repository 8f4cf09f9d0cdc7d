/* SPDX-License-Identifier: Apache-2.0 */
/* One epoll set, one heap of timers, one lock-free inbox.
 *
 * A round: read the clock, run due timers, wait, run ready watches, run the inbox, run what was
 * deferred. While a batch of epoll events is worked off, a callback may stop a watch that has an
 * event further down in the batch; loop_watch_stop strikes that event out, so a freed object is
 * never called.
 *
 * Timers are a 4-ary heap of (key, timer). The key is the deadline at the time of insertion. A
 * timer moved later keeps its place, and when its key comes up it is put back with the new
 * deadline. The key is thus never later than the deadline, and no timer fires late by more than
 * the slack.
 *
 * The inbox is a stack that any thread pushes to and the loop takes whole and turns round.
 * The one who pushes to an empty inbox writes the eventfd; the others need not. */
#include "io/loop.h"

#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENTS_PER_ROUND = 256,
    HEAP_ARITY = 4,
    HEAP_CAPACITY_FIRST = 64,
    POSTS_MAX_DEFAULT = 4096,
    SIGNALS = 65,
};

#define LOOP_MAGIC       UINT32_C(0x4c4f4f50)
#define SLACK_DEFAULT_NS CLOCK_NS_PER_MS
#define WAIT_MAX_NS      (INT64_C(3600) * CLOCK_NS_PER_S)

struct heap_entry {
    int64_t key_ns;
    struct loop_timer *timer;
};

struct post {
    struct loop_task task;
    struct loop *loop;
    void (*run)(void *arg);
    void *arg;
    struct post *next_free;
};

struct signal_handler {
    void (*caught)(void *self, int signal_number);
    void *self;
};

struct loop {
    uint32_t magic;
    int epoll_fd;
    int64_t now_ns;
    int64_t slack_ns;
    int64_t gather_ns;
    int64_t round_ns; /* When the last round had something to do. */
    bool precise;     /* epoll_pwait2 is there. */
    atomic_bool stopped;
    _Atomic(pthread_t) thread;
    atomic_bool thread_known;

    struct epoll_event events[EVENTS_PER_ROUND];
    int event_next; /* While a batch is worked off: the first not yet called. */
    int event_count;

    struct heap_entry *heap;
    size_t heap_count;
    size_t heap_capacity;

    _Atomic(struct loop_task *) inbox;
    struct loop_watch wake;
    struct loop_task *deferred;
    struct loop_task **deferred_tail;

    pthread_mutex_t posts_lock;
    struct post *posts_free;
    size_t posts_count; /* Allocated so far. */
    size_t posts_max;
    struct post **posts; /* All of them, to free. */
    uint64_t posts_refused;

    struct loop_watch signals;
    sigset_t signal_set;
    struct signal_handler signal_handlers[SIGNALS];

    struct loop_stats stats;
};

/* ---- Timers. ---- */

static void heap_put(struct loop *loop, size_t index, struct heap_entry entry)
{
    loop->heap[index] = entry;
    entry.timer->slot = (uint32_t)index + 1;
}

static void heap_up(struct loop *loop, size_t index, struct heap_entry entry)
{
    while (index > 0) {
        size_t parent = (index - 1) / HEAP_ARITY;
        if (loop->heap[parent].key_ns <= entry.key_ns)
            break;
        heap_put(loop, index, loop->heap[parent]);
        index = parent;
    }
    heap_put(loop, index, entry);
}

static size_t heap_least_child(const struct loop *loop, size_t index)
{
    size_t first = index * HEAP_ARITY + 1;
    size_t least = first;

    for (size_t child = first; child < first + HEAP_ARITY && child < loop->heap_count; child++) {
        if (loop->heap[child].key_ns < loop->heap[least].key_ns)
            least = child;
    }
    return least;
}

static void heap_down(struct loop *loop, size_t index, struct heap_entry entry)
{
    while (index * HEAP_ARITY + 1 < loop->heap_count) {
        size_t child = heap_least_child(loop, index);
        if (entry.key_ns <= loop->heap[child].key_ns)
            break;
        heap_put(loop, index, loop->heap[child]);
        index = child;
    }
    heap_put(loop, index, entry);
}

static void heap_remove(struct loop *loop, size_t index)
{
    struct heap_entry last = loop->heap[--loop->heap_count];

    if (index == loop->heap_count)
        return;
    if (last.key_ns < loop->heap[index].key_ns)
        heap_up(loop, index, last);
    else
        heap_down(loop, index, last);
}

static void heap_grow(struct loop *loop)
{
    size_t capacity = loop->heap_capacity == 0 ? HEAP_CAPACITY_FIRST : loop->heap_capacity * 2;
    struct heap_entry *heap = realloc(loop->heap, capacity * sizeof(*heap));

    if (heap == NULL)
        must_memory(capacity * sizeof(*heap));
    loop->heap = heap;
    loop->heap_capacity = capacity;
}

void loop_timer_start(struct loop *loop, struct loop_timer *timer, int64_t deadline_ns,
                      void (*expired)(struct loop_timer *timer))
{
    timer->expired = expired;
    timer->deadline_ns = deadline_ns;
    if (timer->slot == 0) {
        if (loop->heap_count == loop->heap_capacity)
            heap_grow(loop);
        loop->heap_count++;
        heap_up(loop, loop->heap_count - 1, (struct heap_entry){deadline_ns, timer});
        return;
    }
    size_t index = timer->slot - 1;
    MUST(index < loop->heap_count && loop->heap[index].timer == timer);
    if (deadline_ns < loop->heap[index].key_ns)
        heap_up(loop, index, (struct heap_entry){deadline_ns, timer});
}

void loop_timer_stop(struct loop *loop, struct loop_timer *timer)
{
    if (timer->slot == 0)
        return;
    size_t index = timer->slot - 1;
    MUST(index < loop->heap_count && loop->heap[index].timer == timer);
    heap_remove(loop, index);
    timer->slot = 0;
}

static void run_timers(struct loop *loop)
{
    while (loop->heap_count > 0 && loop->heap[0].key_ns <= loop->now_ns) {
        struct loop_timer *timer = loop->heap[0].timer;
        if (timer->deadline_ns > loop->now_ns) {
            heap_down(loop, 0, (struct heap_entry){timer->deadline_ns, timer});
            continue;
        }
        heap_remove(loop, 0);
        timer->slot = 0;
        loop->stats.timers_fired++;
        timer->expired(timer);
    }
}

/* How long the round may sleep: until the first key plus slack, so that neighbours share it. */
static int64_t wait_ns(const struct loop *loop, int64_t timeout_ns)
{
    if (loop->deferred != NULL)
        return 0;
    int64_t wait = timeout_ns < 0 || timeout_ns > WAIT_MAX_NS ? WAIT_MAX_NS : timeout_ns;
    if (loop->heap_count > 0) {
        int64_t first = loop->heap[0].key_ns - loop->now_ns;
        first = first < 0 ? 0 : first + loop->slack_ns;
        if (first < wait)
            wait = first;
    }
    return wait;
}

/* ---- Waiting. ---- */

static int wait_for_events(struct loop *loop, int64_t wait)
{
    if (loop->precise) {
        struct timespec timeout = {wait / CLOCK_NS_PER_S, wait % CLOCK_NS_PER_S};
        int count = epoll_pwait2(loop->epoll_fd, loop->events, EVENTS_PER_ROUND, &timeout, NULL);
        if (count >= 0 || errno != ENOSYS)
            return count;
        loop->precise = false;
    }
    /* Rounded up: waking early would spin until the deadline. */
    int wait_ms = (int)((wait + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS);
    return epoll_wait(loop->epoll_fd, loop->events, EVENTS_PER_ROUND, wait_ms);
}

/* Sleeps on where waking up for the next event alone would be soon. */
static void gather(struct loop *loop, int64_t wait)
{
    if (loop->gather_ns == 0 || wait == 0 || loop->now_ns - loop->round_ns > loop->gather_ns)
        return;
    int64_t nap_ns = wait > 0 && wait < loop->gather_ns ? wait : loop->gather_ns;
    struct timespec nap = {.tv_nsec = (long)nap_ns};
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL); /* A signal only ends it early. */
    loop->now_ns = clock_monotonic_ns();
}

static void run_events(struct loop *loop, int count)
{
    loop->event_count = count;
    loop->event_next = 0;
    while (loop->event_next < loop->event_count) {
        struct epoll_event *event = &loop->events[loop->event_next++];
        struct loop_watch *watch = event->data.ptr;
        if (watch == NULL)
            continue;
        loop->stats.events++;
        watch->ready(watch, event->events);
    }
    loop->event_count = 0;
}

static void run_deferred(struct loop *loop)
{
    struct loop_task *task = loop->deferred;

    loop->deferred = NULL;
    loop->deferred_tail = &loop->deferred;
    while (task != NULL) {
        struct loop_task *next = task->next;
        loop->stats.tasks_run++;
        task->run(task);
        task = next;
    }
}

enum err loop_once(struct loop *loop, int64_t timeout_ns, struct why *why)
{
    MUST_BE(loop, LOOP_MAGIC);
    atomic_store_explicit(&loop->thread, pthread_self(), memory_order_relaxed);
    atomic_store_explicit(&loop->thread_known, true, memory_order_release);
    loop->now_ns = clock_monotonic_ns();
    run_timers(loop);

    gather(loop, wait_ns(loop, timeout_ns));
    int count = wait_for_events(loop, wait_ns(loop, timeout_ns));
    if (count < 0 && errno != EINTR)
        return fail_errno(why, errno, "waiting for events");
    loop->now_ns = clock_monotonic_ns();
    loop->stats.rounds++;
    if (count > 0) {
        loop->round_ns = loop->now_ns;
        run_events(loop, count);
    }
    run_timers(loop);
    run_deferred(loop);
    return ERR_NONE;
}

enum err loop_run(struct loop *loop, struct why *why)
{
    while (!atomic_load_explicit(&loop->stopped, memory_order_acquire))
        TRY(loop_once(loop, -1, why));
    atomic_store_explicit(&loop->stopped, false, memory_order_relaxed);
    return ERR_NONE;
}

static void wake(struct loop *loop)
{
    uint64_t one = 1;

    /* The counter cannot overflow: the loop reads it, and only the first sender writes. */
    while (write(loop->wake.fd, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
}

void loop_stop(struct loop *loop)
{
    atomic_store_explicit(&loop->stopped, true, memory_order_release);
    wake(loop);
}

int64_t loop_now_ns(const struct loop *loop)
{
    return loop->now_ns;
}

bool loop_is_current(const struct loop *loop)
{
    return atomic_load_explicit(&loop->thread_known, memory_order_acquire) &&
           pthread_equal(atomic_load_explicit(&loop->thread, memory_order_relaxed), pthread_self());
}

/* ---- Watches. ---- */

enum err loop_watch_start(struct loop *loop, struct loop_watch *watch, int fd, uint32_t events,
                          void (*ready)(struct loop_watch *watch, uint32_t events), struct why *why)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    MUST(!watch->active);
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return fail_errno(why, errno, "watching descriptor %d", fd);
    *watch = (struct loop_watch){.ready = ready, .fd = fd, .events = events, .active = true};
    return ERR_NONE;
}

void loop_watch_change(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    if (!watch->active || watch->events == events)
        return;
    /* Only a closed descriptor could make this fail, and that is the owner's bug. */
    MUST(epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) == 0);
    watch->events = events;
}

void loop_watch_stop(struct loop *loop, struct loop_watch *watch)
{
    if (!watch->active)
        return;
    MUST(epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL) == 0);
    watch->active = false;
    for (int i = loop->event_next; i < loop->event_count; i++) {
        if (loop->events[i].data.ptr == watch)
            loop->events[i].data.ptr = NULL;
    }
}

/* ---- Tasks. ---- */

void loop_send(struct loop *loop, struct loop_task *task)
{
    struct loop_task *head = atomic_load_explicit(&loop->inbox, memory_order_relaxed);

    do {
        task->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&loop->inbox, &head, task, memory_order_release,
                                                    memory_order_relaxed));
    if (head == NULL)
        wake(loop);
}

void loop_defer(struct loop *loop, struct loop_task *task)
{
    task->next = NULL;
    *loop->deferred_tail = task;
    loop->deferred_tail = &task->next;
}

/* Takes the whole inbox and runs it in the order of arrival. */
void loop_run_inbox(struct loop *loop)
{
    struct loop_task *task = atomic_exchange_explicit(&loop->inbox, NULL, memory_order_acquire);
    struct loop_task *ordered = NULL;

    while (task != NULL) {
        struct loop_task *next = task->next;
        task->next = ordered;
        ordered = task;
        task = next;
    }
    while (ordered != NULL) {
        struct loop_task *next = ordered->next;
        loop->stats.tasks_run++;
        ordered->run(ordered);
        ordered = next;
    }
}

static void woken(struct loop_watch *watch, uint32_t events)
{
    struct loop *loop = CONTAINER_OF(watch, struct loop, wake);
    uint64_t count;

    (void)events; /* Only readability is waited for. */
    /* Before taking the inbox: a task pushed after the exchange writes the eventfd again. */
    while (read(watch->fd, &count, sizeof(count)) < 0 && errno == EINTR) {
    }
    loop_run_inbox(loop);
}

static struct post *post_take(struct loop *loop)
{
    struct post *post = loop->posts_free;

    if (post != NULL) {
        loop->posts_free = post->next_free;
        return post;
    }
    if (loop->posts_count == loop->posts_max) {
        loop->posts_refused++;
        return NULL;
    }
    post = calloc(1, sizeof(*post));
    if (post == NULL)
        must_memory(sizeof(*post));
    loop->posts[loop->posts_count++] = post;
    return post;
}

static void post_run(struct loop_task *task)
{
    struct post *post = CONTAINER_OF(task, struct post, task);
    struct loop *loop = post->loop;
    void (*run)(void *arg) = post->run;
    void *arg = post->arg;

    pthread_mutex_lock(&loop->posts_lock);
    post->next_free = loop->posts_free;
    loop->posts_free = post;
    pthread_mutex_unlock(&loop->posts_lock);
    run(arg);
}

enum err loop_post(struct loop *loop, void (*run)(void *arg), void *arg)
{
    pthread_mutex_lock(&loop->posts_lock);
    struct post *post = post_take(loop);
    pthread_mutex_unlock(&loop->posts_lock);
    if (post == NULL)
        return ERR_BUSY;
    post->task.run = post_run;
    post->loop = loop;
    post->run = run;
    post->arg = arg;
    loop_send(loop, &post->task);
    return ERR_NONE;
}

/* ---- Signals. ---- */

static void signals_ready(struct loop_watch *watch, uint32_t events)
{
    struct loop *loop = CONTAINER_OF(watch, struct loop, signals);
    struct signalfd_siginfo info;

    (void)events; /* Only readability is waited for. */
    while (read(watch->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo >= SIGNALS)
            continue;
        const struct signal_handler handler = loop->signal_handlers[info.ssi_signo];
        if (handler.caught != NULL)
            handler.caught(handler.self, (int)info.ssi_signo);
    }
}

enum err loop_signal(struct loop *loop, int signal_number,
                     void (*caught)(void *self, int signal_number), void *self, struct why *why)
{
    sigset_t one;

    if (signal_number <= 0 || signal_number >= SIGNALS)
        return fail(why, ERR_INVALID, "there is no signal %d", signal_number);
    (void)sigemptyset(&one);              /* Cannot fail. */
    (void)sigaddset(&one, signal_number); /* Checked above. */
    int error = pthread_sigmask(SIG_BLOCK, &one, NULL);
    if (error != 0)
        return fail_errno(why, error, "blocking signal %d", signal_number);
    if (caught == NULL)
        (void)sigdelset(&loop->signal_set, signal_number); /* Checked above. */
    else
        (void)sigaddset(&loop->signal_set, signal_number); /* Checked above. */
    loop->signal_handlers[signal_number] = (struct signal_handler){caught, self};

    int old_fd = loop->signals.active ? loop->signals.fd : -1;
    int fd = signalfd(old_fd, &loop->signal_set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return fail_errno(why, errno, "receiving signal %d", signal_number);
    if (old_fd >= 0)
        return ERR_NONE;
    enum err err = loop_watch_start(loop, &loop->signals, fd, EPOLLIN, signals_ready, why);
    if (err != ERR_NONE)
        close(fd);
    return err;
}

/* ---- Life. ---- */

static struct loop *loop_new(const struct loop_options *options)
{
    static const struct loop_options defaults = {0};
    struct loop *loop = calloc(1, sizeof(*loop));

    if (loop == NULL)
        must_memory(sizeof(*loop));
    if (options == NULL)
        options = &defaults;
    loop->magic = LOOP_MAGIC;
    loop->epoll_fd = -1;
    loop->precise = true;
    loop->slack_ns = options->timer_slack_ns;
    if (loop->slack_ns == 0)
        loop->slack_ns = SLACK_DEFAULT_NS;
    if (loop->slack_ns < 0)
        loop->slack_ns = 0;
    loop->gather_ns = options->gather_ns;
    loop->posts_max = options->posts_max == 0 ? POSTS_MAX_DEFAULT : options->posts_max;
    loop->posts = calloc(loop->posts_max, sizeof(struct post *));
    if (loop->posts == NULL)
        must_memory(loop->posts_max * sizeof(struct post *));
    loop->deferred_tail = &loop->deferred;
    loop->now_ns = clock_monotonic_ns();
    (void)sigemptyset(&loop->signal_set); /* Cannot fail. */
    pthread_mutex_init(&loop->posts_lock, NULL);
    return loop;
}

enum err loop_open(const struct loop_options *options, struct loop **ret_loop, struct why *why)
{
    struct loop *loop = loop_new(options);
    enum err err;

    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0) {
        err = fail_errno(why, errno, "making an event loop");
        loop_close(loop);
        return err;
    }
    int wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (wake_fd < 0) {
        err = fail_errno(why, errno, "making the loop's doorbell");
        loop_close(loop);
        return err;
    }
    err = loop_watch_start(loop, &loop->wake, wake_fd, EPOLLIN, woken, why);
    if (err != ERR_NONE) {
        close(wake_fd);
        loop_close(loop);
        return err;
    }
    *ret_loop = loop;
    return ERR_NONE;
}

static void close_watch(struct loop *loop, struct loop_watch *watch)
{
    if (!watch->active)
        return;
    int fd = watch->fd;
    loop_watch_stop(loop, watch);
    close(fd);
}

struct loop *loop_close(struct loop *loop)
{
    if (loop == NULL)
        return NULL;
    MUST_BE(loop, LOOP_MAGIC);
    while (atomic_load_explicit(&loop->inbox, memory_order_acquire) != NULL ||
           loop->deferred != NULL) {
        loop_run_inbox(loop);
        run_deferred(loop);
    }
    close_watch(loop, &loop->signals);
    close_watch(loop, &loop->wake);
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    for (size_t i = 0; i < loop->posts_count; i++)
        free(loop->posts[i]);
    free(loop->posts);
    free(loop->heap);
    pthread_mutex_destroy(&loop->posts_lock);
    loop->magic = 0;
    free(loop);
    return NULL;
}

void loop_stats(struct loop *loop, struct loop_stats *ret_stats)
{
    *ret_stats = loop->stats;
    pthread_mutex_lock(&loop->posts_lock);
    ret_stats->posts_refused = loop->posts_refused;
    pthread_mutex_unlock(&loop->posts_lock);
    ret_stats->timers_running = loop->heap_count;
}
