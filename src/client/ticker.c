/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that counts: once a second it counts what each operation did in that second and
 * calls the program's collectors. It has all signals blocked and starts with the first record. */
#include "client/sender.h"

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

static void tick_operation(struct sonde *sonde, uint32_t index)
{
    struct sonde_operation *operation = &sonde->operations[index];
    uint64_t count = client_count(sonde, index);
    /* Less than before: reset since. */
    uint64_t done = count >= operation->ticked_count ? count - operation->ticked_count : count;

    if (sonde->sender != NULL && done > 0)
        operation->slow_ns = slow_of(operation);
    operation->ticked_count = count;
    atomic_store(&operation->now_rps, done);
    if (done > atomic_load(&operation->peak_rps))
        atomic_store(&operation->peak_rps, done);
}

static void tick(struct sonde *sonde)
{
    uint32_t known = atomic_load(&sonde->operation_names.count);
    uint64_t overall = 0;

    if (atomic_load(&sonde->level) < SONDE_STANDARD)
        return;
    for (uint32_t i = 0; i < known; i++) {
        tick_operation(sonde, i);
        overall += atomic_load(&sonde->operations[i].now_rps);
    }
    atomic_store(&sonde->overall_now_rps, overall);
    if (overall > atomic_load(&sonde->overall_peak_rps))
        atomic_store(&sonde->overall_peak_rps, overall);
}

static void call_collectors(struct sonde *sonde)
{
    struct collector collectors[SONDE_COLLECTORS_MAX];

    (void)pthread_mutex_lock(&sonde->lock); /* Ours alone; cannot fail. */
    size_t count = sonde->collector_count;
    for (size_t i = 0; i < count; i++)
        collectors[i] = sonde->collectors[i];
    (void)pthread_mutex_unlock(&sonde->lock); /* Locked above. */
    for (size_t i = 0; i < count; i++)
        collectors[i].collect(sonde, collectors[i].self);
}

static void *ticker_main(void *argument)
{
    struct sonde *sonde = argument;
    struct timespec next;

    (void)clock_gettime(CLOCK_MONOTONIC, &next); /* Cannot fail with this clock. */
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
        tick(sonde);
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
