/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a group, on the writer thread:
 *
 *     wait for a batch ─► accept by every sink ─► more waiting, and room? ─┐
 *            ▲                    ▲───────────────────────────────────────┘
 *            │                    ▼ no
 *     tell each `done` ◄── commit of every sink
 *
 * A batch that the durable sink refuses is answered with its reason and shown to nobody else. */
#include "hub/hub.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/ring.h"
#include "hub/admit.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    GROUP_BATCHES = 256,
    TICK_NS = 1000000000,
};

struct hub {
    struct hub_limits limits;
    struct ring *ring;
    struct sink sinks[HUB_SINKS_MAX];
    size_t sink_count;
    pthread_t writer;
    bool running;
    struct batch *group[GROUP_BATCHES];
    uint64_t kept[GROUP_BATCHES]; /* Rows of each that the sinks did not turn away. */
    size_t group_count;
    size_t group_rows;
    int64_t next_tick_ns;
    pthread_mutex_t stats_lock;
    struct hub_stats stats;
};

struct hub *hub_new(const struct hub_limits *limits)
{
    struct hub *hub = calloc(1, sizeof(*hub));

    if (hub == NULL)
        must_memory(sizeof(*hub));
    hub->limits = *limits;
    hub->ring = ring_new(HUB_RING_BATCHES);
    MUST(pthread_mutex_init(&hub->stats_lock, NULL) == 0);
    return hub;
}

struct hub *hub_free(struct hub *hub)
{
    if (hub != NULL) {
        hub_stop(hub);
        ring_free(hub->ring);
        MUST(pthread_mutex_destroy(&hub->stats_lock) == 0);
        free(hub);
    }
    return NULL;
}

void hub_add_sink(struct hub *hub, const struct sink_ops *ops, void *self)
{
    MUST(!hub->running && hub->sink_count < HUB_SINKS_MAX);
    hub->sinks[hub->sink_count++] = (struct sink){ops, self};
}

static struct hub_stats *stats_lock(struct hub *hub)
{
    MUST(pthread_mutex_lock(&hub->stats_lock) == 0);
    return &hub->stats;
}

static void stats_unlock(struct hub *hub)
{
    MUST(pthread_mutex_unlock(&hub->stats_lock) == 0);
}

/* Tells the sender how it ended, and ends the batch. */
static void conclude(struct batch *batch, uint64_t accepted, enum err err, const struct why *why)
{
    struct batch_outcome outcome = {
        .err = err,
        .why = err != ERR_NONE ? why : &batch->rejected_why,
        .accepted_count = err == ERR_NONE ? accepted : 0,
        .rejected_count = batch->rejected_count,
    };

    if (batch->done != NULL)
        batch->done(batch->done_self, &outcome);
    batch_free(batch);
}

static void count_sink_error(struct hub *hub, const struct sink *sink, const struct why *why)
{
    log_why(LOG_WARNING, sink->ops->name, why);
    stats_lock(hub)->sink_errors++;
    stats_unlock(hub);
}

/* False when the durable sink refused it: then it is concluded and gone. */
static bool show(struct hub *hub, struct batch *batch)
{
    struct why why = WHY_INIT;

    for (size_t i = 0; i < hub->sink_count; i++) {
        const struct sink *sink = &hub->sinks[i];
        enum err err = sink->ops->accept(sink->self, batch, &why);
        if (err == ERR_NONE)
            continue;
        if (!sink->ops->durable) {
            count_sink_error(hub, sink, &why);
            continue;
        }
        stats_lock(hub)->failed_batches++;
        stats_unlock(hub);
        conclude(batch, 0, err, &why);
        return false;
    }
    return true;
}

static void take(struct hub *hub, struct batch *batch)
{
    uint64_t rejected_before = batch->rejected_count;

    if (!show(hub, batch))
        return;
    /* What admission rejected is no longer in the batch; what sinks rejected still is. */
    uint64_t rejected = batch->rejected_count - rejected_before;
    uint64_t rows = batch_row_count(batch);
    hub->kept[hub->group_count] = rows > rejected ? rows - rejected : 0;
    hub->group_rows += hub->kept[hub->group_count];
    hub->group[hub->group_count++] = batch;
}

/* The first error of a durable sink; others are counted. */
static enum err commit_sinks(struct hub *hub, struct why *why)
{
    enum err result = ERR_NONE;

    for (size_t i = 0; i < hub->sink_count; i++) {
        const struct sink *sink = &hub->sinks[i];
        struct why sink_why = WHY_INIT;
        if (sink->ops->commit == NULL)
            continue;
        enum err err = sink->ops->commit(sink->self, &sink_why);
        if (err == ERR_NONE)
            continue;
        if (!sink->ops->durable) {
            count_sink_error(hub, sink, &sink_why);
        } else if (result == ERR_NONE) {
            result = err;
            *why = sink_why;
        }
    }
    return result;
}

static void commit_group(struct hub *hub)
{
    struct why why = WHY_INIT;
    uint64_t rejected = 0;

    if (hub->group_count == 0)
        return;
    int64_t start_ns = clock_monotonic_ns();
    enum err err = commit_sinks(hub, &why);
    for (size_t i = 0; i < hub->group_count; i++)
        rejected += hub->group[i]->rejected_count;

    struct hub_stats *stats = stats_lock(hub);
    stats->commits++;
    stats->commit_ns += clock_monotonic_ns() - start_ns;
    stats->rejected_rows += rejected;
    if (err == ERR_NONE)
        stats->rows += hub->group_rows;
    else
        stats->failed_batches += hub->group_count;
    stats_unlock(hub);

    for (size_t i = 0; i < hub->group_count; i++)
        conclude(hub->group[i], hub->kept[i], err, &why);
    hub->group_count = 0;
    hub->group_rows = 0;
}

static void tick_sinks(struct hub *hub)
{
    int64_t now_ns = clock_monotonic_ns();

    if (now_ns < hub->next_tick_ns)
        return;
    hub->next_tick_ns = now_ns + TICK_NS;
    for (size_t i = 0; i < hub->sink_count; i++) {
        if (hub->sinks[i].ops->tick != NULL)
            hub->sinks[i].ops->tick(hub->sinks[i].self, clock_now_ms());
    }
}

static void *writer_main(void *argument)
{
    struct hub *hub = argument;
    struct batch *batch;

    while ((batch = ring_pop_wait(hub->ring, TICK_NS)) != NULL || !ring_is_closed(hub->ring)) {
        for (; batch != NULL; batch = ring_pop(hub->ring)) {
            take(hub, batch);
            if (hub->group_count == GROUP_BATCHES || hub->group_rows >= HUB_GROUP_ROWS)
                break;
        }
        commit_group(hub);
        tick_sinks(hub);
    }
    return NULL;
}

enum err hub_start(struct hub *hub, struct why *why)
{
    int error = pthread_create(&hub->writer, NULL, writer_main, hub);

    if (error != 0)
        return fail_errno(why, error, "cannot start the writer thread");
    (void)pthread_setname_np(hub->writer, "sonde-writer"); /* Only a name. */
    hub->running = true;
    return ERR_NONE;
}

void hub_stop(struct hub *hub)
{
    ring_close(hub->ring);
    if (hub->running) {
        MUST(pthread_join(hub->writer, NULL) == 0);
        hub->running = false;
    }
    struct why why = WHY_INIT;
    struct batch *batch;
    (void)fail(&why, ERR_CLOSED, "sonde is stopping"); /* Fills why. */
    while ((batch = ring_pop(hub->ring)) != NULL)
        conclude(batch, 0, ERR_CLOSED, &why);
}

static enum err push(struct hub *hub, struct batch *batch, struct why *why)
{
    if (ring_push(hub->ring, batch))
        return ERR_NONE;
    if (ring_is_closed(hub->ring))
        return fail(why, ERR_CLOSED, "sonde is stopping");
    enum err err = fail(why, ERR_BUSY, "%d batches are waiting to be written", HUB_RING_BATCHES);
    hint(why, "send again in a second");
    return err;
}

enum err hub_submit(struct hub *hub, struct batch **batch, struct why *why)
{
    struct batch *mine = TAKE(*batch);
    struct why own_why = WHY_INIT;

    enum err err = admit_batch(&hub->limits, clock_now_ms(), mine, &own_why);
    uint64_t rejected = mine->rejected_count;
    if (err == ERR_NONE)
        err = push(hub, mine, &own_why); /* From here on it is the writer's. */
    struct hub_stats *stats = stats_lock(hub);
    stats->batches += err == ERR_NONE;
    stats->refused_batches += err == ERR_BUSY;
    stats->rejected_rows += err != ERR_NONE ? rejected : 0;
    stats_unlock(hub);
    if (err != ERR_NONE) {
        if (why != NULL)
            *why = own_why;
        conclude(mine, 0, err, &own_why);
    }
    return err;
}

/* What hub_submit_wait sleeps on. */
struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t told;
    bool is_told;
    enum err err;
    struct why why;
};

static void waiter_tell(void *self, const struct batch_outcome *outcome)
{
    struct waiter *waiter = self;

    MUST(pthread_mutex_lock(&waiter->lock) == 0);
    waiter->err = outcome->err;
    waiter->why = *outcome->why;
    waiter->is_told = true;
    MUST(pthread_cond_signal(&waiter->told) == 0);
    MUST(pthread_mutex_unlock(&waiter->lock) == 0);
}

enum err hub_submit_wait(struct hub *hub, struct batch **batch, struct why *why)
{
    struct waiter waiter = {.lock = PTHREAD_MUTEX_INITIALIZER, .told = PTHREAD_COND_INITIALIZER};

    (*batch)->done = waiter_tell;
    (*batch)->done_self = &waiter;
    (void)hub_submit(hub, batch, NULL); /* The waiter is told the same. */
    MUST(pthread_mutex_lock(&waiter.lock) == 0);
    while (!waiter.is_told)
        MUST(pthread_cond_wait(&waiter.told, &waiter.lock) == 0);
    MUST(pthread_mutex_unlock(&waiter.lock) == 0);
    MUST(pthread_mutex_destroy(&waiter.lock) == 0);
    MUST(pthread_cond_destroy(&waiter.told) == 0);
    if (waiter.err != ERR_NONE && why != NULL)
        *why = waiter.why;
    return waiter.err;
}

void hub_read_stats(struct hub *hub, struct hub_stats *ret_stats)
{
    *ret_stats = *stats_lock(hub);
    stats_unlock(hub);
    ret_stats->waiting = ring_count(hub->ring);
}
