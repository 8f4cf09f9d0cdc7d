/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that counts: once a second it counts what each operation did in that second and
 * calls the program's collectors. It has all signals blocked and starts with the first record.
 *
 * A second that came late, for a collector took its time or the machine slept, is longer than one:
 * what was done in it is told per second, and seconds that were missed are not made up for. */
#include "client/sender.h"

#include <math.h>
#include <signal.h>
#include <time.h>

enum {
    TICK_S = 1,
    SLOW_CALLS_MIN = 100, /* Fewer do not tell what is slow. */
};

/* What is slower than this is worth a span whatever the sampling says. */
static int64_t slow_of(const struct sonde_operation *operation)
{
    struct totals totals;

    client_totals(operation, &totals);
    return totals.count < SLOW_CALLS_MIN ? 0 : (int64_t)client_quantile_ns(&totals, 0.99);
}

static void note_rate(_Atomic uint64_t *now_rps, _Atomic uint64_t *peak_rps, uint64_t done,
                      double seconds)
{
    uint64_t rate = (uint64_t)llround((double)done / seconds);

    atomic_store(now_rps, rate);
    if (rate > atomic_load(peak_rps))
        atomic_store(peak_rps, rate);
}

struct done {
    uint64_t calls;
    uint64_t failures;
};

/* Returns what was done since the last tick. */
static struct done tick_operation(struct sonde *sonde, uint32_t index, double seconds)
{
    struct sonde_operation *operation = &sonde->operations[index];
    uint32_t epoch = atomic_load(&sonde->epoch);
    uint64_t failures;
    uint64_t count = client_count(sonde, index, &failures);
    /* After a reset all that is counted is new. */
    bool goes_on = operation->ticked_epoch == epoch && count >= operation->ticked_count &&
                   failures >= operation->ticked_failures;
    const struct done done = {
        .calls = goes_on ? count - operation->ticked_count : count,
        .failures = goes_on ? failures - operation->ticked_failures : failures,
    };

    if (sonde->sender != NULL && done.calls > 0)
        operation->slow_ns = slow_of(operation);
    operation->ticked_count = count;
    operation->ticked_failures = failures;
    operation->ticked_epoch = epoch;
    note_rate(&operation->now_rps, &operation->peak_rps, done.calls, seconds);
    return done;
}

static void tick(struct sonde *sonde, double seconds)
{
    uint32_t known = atomic_load(&sonde->operation_names.count);
    struct done overall = {0, 0};

    if (atomic_load(&sonde->level) < SONDE_STANDARD)
        return;
    for (uint32_t i = 0; i < known; i++) {
        struct done done = tick_operation(sonde, i, seconds);
        overall.calls += done.calls;
        overall.failures += done.failures;
    }
    note_rate(&sonde->overall_now_rps, &sonde->overall_peak_rps, overall.calls, seconds);
    (void)pthread_mutex_lock(&sonde->lock); /* Ours alone; cannot fail. */
    sonde->seconds[sonde->seconds_count++ % SECONDS_MAX] =
        (struct second){client_unix_ns() / 1000000, (double)overall.calls / seconds,
                        (double)overall.failures / seconds};
    (void)pthread_mutex_unlock(&sonde->lock); /* Locked above. */
}

/* The lock of collecting is held around each call, so that who takes a collector back knows when it
 * has ended; the handle's own is not, for a collector may look names up. */
static void call_collectors(struct sonde *sonde)
{
    for (size_t i = 0; i < SONDE_COLLECTORS_MAX; i++) {
        (void)pthread_mutex_lock(&sonde->collect_lock); /* Ours alone; cannot fail. */
        (void)pthread_mutex_lock(&sonde->lock);         /* Likewise. */
        struct collector collector =
            i < sonde->collector_count ? sonde->collectors[i] : (struct collector){NULL, NULL};
        (void)pthread_mutex_unlock(&sonde->lock); /* Locked above. */
        if (collector.collect != NULL)
            collector.collect(sonde, collector.self);
        (void)pthread_mutex_unlock(&sonde->collect_lock); /* Locked above. */
        if (collector.collect == NULL)
            return;
    }
}

static double seconds_between(const struct timespec *from, const struct timespec *to)
{
    return (double)(to->tv_sec - from->tv_sec) + (double)(to->tv_nsec - from->tv_nsec) / 1e9;
}

/* The counting itself, at the time that ret_last becomes. */
static void tick_now(struct sonde *sonde, struct timespec *last, struct timespec *next)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* Cannot fail with this clock. */
    double seconds = seconds_between(last, &now);
    if (seconds > 0)
        tick(sonde, seconds);
    *last = now;
    if (seconds_between(next, &now) > TICK_S)
        *next = now;
}

static void *ticker_main(void *argument)
{
    struct sonde *sonde = argument;
    struct timespec next;

    (void)clock_gettime(CLOCK_MONOTONIC, &next); /* Cannot fail with this clock. */
    struct timespec last = next;
    (void)pthread_mutex_lock(&sonde->tick_lock); /* Ours alone; cannot fail. */
    while (!sonde->stopping) {
        next.tv_sec += TICK_S;
        /* Woken early or late makes no difference but to one second's count. */
        while (!sonde->stopping &&
               pthread_cond_timedwait(&sonde->tick_stop, &sonde->tick_lock, &next) == 0)
            ;
        if (sonde->stopping)
            break;
        (void)pthread_mutex_unlock(&sonde->tick_lock); /* Locked here. */
        call_collectors(sonde);
        tick_now(sonde, &last, &next);
        (void)pthread_mutex_lock(&sonde->tick_lock); /* Ours alone; cannot fail. */
    }
    (void)pthread_mutex_unlock(&sonde->tick_lock); /* Locked here. */
    return NULL;
}

void client_ticker_start(struct sonde *sonde)
{
    sigset_t all;
    sigset_t before;

    if (atomic_load(&sonde->ticker_wanted) || atomic_load(&sonde->level) == SONDE_DISABLED)
        return;
    atomic_store(&sonde->ticker_wanted, true); /* One try: without it only throughput is missing. */
    (void)sigfillset(&all);                    /* Cannot fail. */
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
        return;
    sonde->ticker_runs = pthread_create(&sonde->ticker, NULL, ticker_main, sonde) == 0;
    if (sonde->ticker_runs)
        (void)pthread_setname_np(sonde->ticker, "sonde-client"); /* Only a name. */
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);           /* As it was. */
    if (sonde->sender != NULL)
        client_sender_start(sonde->sender);
}

void client_ticker_stop(struct sonde *sonde)
{
    (void)pthread_mutex_lock(&sonde->tick_lock); /* Ours alone; cannot fail. */
    sonde->stopping = true;
    (void)pthread_cond_signal(&sonde->tick_stop);  /* Cannot fail. */
    (void)pthread_mutex_unlock(&sonde->tick_lock); /* Locked above. */
    if (sonde->ticker_runs)
        (void)pthread_join(sonde->ticker, NULL); /* Its own thread: cannot fail. */
    sonde->ticker_runs = false;
}
