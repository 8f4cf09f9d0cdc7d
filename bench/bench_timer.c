/* SPDX-License-Identifier: Apache-2.0 */
/* What a timer costs: begin and end recorded, beside two bare clock readings; on one thread, on two
 * at once, and disabled. CPU time of the thread, medians of many rounds. Prints key=value words. */
#include "sonde/sonde.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum {
    ROUNDS = 31,
    LOOPS = 1000000,
};

static double now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now); /* Cannot fail with this clock. */
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;

    return (left > right) - (left < right);
}

static double median_ns(void (*work)(void *self), void *self)
{
    double rounds[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        double start = now_ns();
        work(self);
        rounds[i] = (now_ns() - start) / LOOPS;
    }
    qsort(rounds, ROUNDS, sizeof(*rounds), by_value);
    return rounds[ROUNDS / 2];
}

static void two_clocks(void *self)
{
    volatile long *sink = self;
    struct timespec now;

    for (int i = 0; i < LOOPS; i++) {
        (void)clock_gettime(CLOCK_MONOTONIC, &now); /* Cannot fail with this clock. */
        *sink = now.tv_nsec;
        (void)clock_gettime(CLOCK_MONOTONIC, &now); /* Likewise. */
        *sink = now.tv_nsec;
    }
}

static void timers(void *self)
{
    struct sonde_timer timer;

    for (int i = 0; i < LOOPS; i++) {
        sonde_timer_begin(&timer, self);
        (void)sonde_timer_end(&timer); /* Only recorded. */
    }
}

static void scopes(void *self)
{
    for (int i = 0; i < LOOPS; i++) {
        SONDE_SCOPE(self, "retrieval");
    }
}

struct racer {
    pthread_t thread;
    struct sonde_operation *operation;
    double ns;
};

static void *race(void *argument)
{
    struct racer *racer = argument;

    racer->ns = median_ns(timers, racer->operation);
    return NULL;
}

int main(void)
{
    struct sonde *sonde = sonde_open(NULL);
    struct sonde_operation *operation = sonde_operation(sonde, "bench");
    struct racer racers[2] = {{.operation = operation}, {.operation = operation}};
    long sink = 0;

    double clocks_ns = median_ns(two_clocks, &sink);
    double timer_ns = median_ns(timers, operation);
    double scope_ns = median_ns(scopes, sonde);
    for (int i = 0; i < 2; i++) {
        if (pthread_create(&racers[i].thread, NULL, race, &racers[i]) != 0)
            return EXIT_FAILURE;
    }
    for (int i = 0; i < 2; i++)
        (void)pthread_join(racers[i].thread, NULL); /* Created above. */
    sonde_set_level(sonde, SONDE_DISABLED);
    double disabled_ns = median_ns(timers, operation);

    printf("two_clocks_ns=%.1f timer_ns=%.1f timer_vs_clock_ratio=%.2f scope_ns=%.1f\n", clocks_ns,
           timer_ns, timer_ns / clocks_ns, scope_ns);
    printf("thread_1_ns=%.1f thread_2_ns=%.1f timers_per_s_per_thread=%.0f disabled_ns=%.2f\n",
           racers[0].ns, racers[1].ns,
           1e9 / (racers[0].ns > racers[1].ns ? racers[0].ns : racers[1].ns), disabled_ns);
    sonde_close(sonde);
    return EXIT_SUCCESS;
}
