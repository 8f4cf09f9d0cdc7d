/* SPDX-License-Identifier: Apache-2.0 */
/* One bounded ring from the loop to the threads; the loop's own inbox on the way back, which
 * cannot refuse. The list of jobs under way is the loop's alone, so it needs no lock. */
#include "io/workers.h"

#include "base/ring.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS_MIN = 2, THREADS_MAX = 16, JOBS_MAX_DEFAULT = 256 };

#define WORKERS_MAGIC UINT32_C(0x574f524b)

struct workers {
    uint32_t magic;
    struct loop *loop;
    struct ring *queue;
    pthread_t *threads;
    size_t threads_count;
    struct job *jobs; /* Submitted and not done. */
    bool closing;
    struct workers_stats stats;
};

/* ---- On the loop. ---- */

static void job_back(struct loop_task *task)
{
    struct job *job = CONTAINER_OF(task, struct job, task);
    struct workers *workers = job->workers;

    if (job->previous != NULL)
        job->previous->next = job->next;
    else
        workers->jobs = job->next;
    if (job->next != NULL)
        job->next->previous = job->previous;
    workers->stats.pending--;
    workers->stats.cancelled += job_cancelled(job);
    job->done(job);
}

enum err workers_submit(struct workers *workers, struct job *job)
{
    MUST_BE(workers, WORKERS_MAGIC);
    if (workers->closing)
        return ERR_CLOSED;
    job->workers = workers;
    job->task.run = job_back;
    atomic_store_explicit(&job->cancelled, false, memory_order_relaxed);
    if (!ring_push(workers->queue, job)) {
        workers->stats.refused++;
        return ERR_BUSY;
    }
    job->previous = NULL;
    job->next = workers->jobs;
    if (job->next != NULL)
        job->next->previous = job;
    workers->jobs = job;
    workers->stats.submitted++;
    workers->stats.pending++;
    return ERR_NONE;
}

void job_cancel(struct job *job)
{
    atomic_store_explicit(&job->cancelled, true, memory_order_release);
}

bool job_cancelled(const struct job *job)
{
    return atomic_load_explicit(&job->cancelled, memory_order_acquire);
}

/* ---- On a worker. ---- */

static void *work(void *self)
{
    struct workers *workers = self;
    struct job *job;

    while ((job = ring_pop_wait(workers->queue, -1)) != NULL) {
        if (!job_cancelled(job))
            job->run(job);
        loop_send(workers->loop, &job->task);
    }
    return NULL;
}

/* ---- Life. ---- */

static size_t choose_threads(size_t wanted)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    if (wanted > 0)
        return wanted;
    if (processors < THREADS_MIN)
        return THREADS_MIN;
    return processors > THREADS_MAX ? THREADS_MAX : (size_t)processors;
}

/* Signals are for the loop: a worker is started with all of them blocked. */
static enum err start_threads(struct workers *workers, size_t count, struct why *why)
{
    sigset_t all, before;
    int error = 0;

    (void)sigfillset(&all);                            /* Cannot fail. */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* Cannot fail. */
    while (workers->threads_count < count && error == 0) {
        error = pthread_create(&workers->threads[workers->threads_count], NULL, work, workers);
        if (error == 0) {
            /* Only a name: without it the thread works as well. */
            (void)pthread_setname_np(workers->threads[workers->threads_count], "sonde-worker");
            workers->threads_count++;
        }
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL); /* Cannot fail. */
    return error == 0 ? ERR_NONE : fail_errno(why, error, "starting a worker thread");
}

enum err workers_open(const struct workers_options *options, struct workers **ret_workers,
                      struct why *why)
{
    size_t count = choose_threads(options->threads);
    struct workers *workers = calloc(1, sizeof(*workers));

    if (workers == NULL)
        must_memory(sizeof(*workers));
    workers->magic = WORKERS_MAGIC;
    workers->loop = options->loop;
    workers->queue = ring_new(options->jobs_max == 0 ? JOBS_MAX_DEFAULT : options->jobs_max);
    workers->threads = calloc(count, sizeof(*workers->threads));
    if (workers->threads == NULL)
        must_memory(count * sizeof(*workers->threads));
    enum err err = start_threads(workers, count, why);
    if (err != ERR_NONE) {
        workers_close(workers);
        return err;
    }
    *ret_workers = workers;
    return ERR_NONE;
}

struct workers *workers_close(struct workers *workers)
{
    if (workers == NULL)
        return NULL;
    MUST_BE(workers, WORKERS_MAGIC);
    workers->closing = true;
    for (struct job *job = workers->jobs; job != NULL; job = job->next)
        job_cancel(job);
    ring_close(workers->queue);
    for (size_t i = 0; i < workers->threads_count; i++)
        MUST(pthread_join(workers->threads[i], NULL) == 0);
    /* All have been sent to the loop's inbox by now. */
    while (workers->jobs != NULL)
        loop_run_inbox(workers->loop);
    ring_free(workers->queue);
    free(workers->threads);
    workers->magic = 0;
    free(workers);
    return NULL;
}

void workers_stats(const struct workers *workers, struct workers_stats *ret_stats)
{
    *ret_stats = workers->stats;
    ret_stats->waiting = ring_count(workers->queue);
    ret_stats->threads = workers->threads_count;
}
