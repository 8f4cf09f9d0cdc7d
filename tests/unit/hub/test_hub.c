/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "hub/admit.h"
#include "hub/hub.h"
#include "test.h"

#include <pthread.h>
#include <unistd.h>

/* A sink that counts, and fails when told to. Its fields are the writer's until the hub stopped. */
struct recorder {
    uint64_t rows;
    uint64_t committed;
    uint64_t commits;
    enum err accept_err;
    enum err commit_err;
    atomic_bool wait;
};

static enum err recorder_accept(void *self, struct batch *batch, struct why *why)
{
    struct recorder *recorder = self;

    while (atomic_load(&recorder->wait))
        usleep(1000);
    if (recorder->accept_err != ERR_NONE)
        return fail(why, recorder->accept_err, "refused");
    recorder->rows += batch_row_count(batch);
    return ERR_NONE;
}

static enum err recorder_commit(void *self, struct why *why)
{
    struct recorder *recorder = self;

    recorder->commits++;
    if (recorder->commit_err != ERR_NONE)
        return fail(why, recorder->commit_err, "disk on fire");
    recorder->committed = recorder->rows;
    return ERR_NONE;
}

static const struct sink_ops durable_ops = {
    .name = "recorder", .accept = recorder_accept, .commit = recorder_commit, .durable = true};
static const struct sink_ops loose_ops = {
    .name = "loose", .accept = recorder_accept, .commit = recorder_commit};

static struct hub *running_hub(struct recorder *durable, struct recorder *loose)
{
    struct hub *hub = hub_new(&hub_limits_default);

    hub_add_sink(hub, &durable_ops, durable);
    if (loose != NULL)
        hub_add_sink(hub, &loose_ops, loose);
    EXPECT(hub_start(hub, NULL) == ERR_NONE);
    return hub;
}

static struct batch *batch_of(int rows, int64_t time_ms)
{
    struct batch *batch = batch_new("default", "test", 1 << 20);
    struct label_pool *pool = label_pool_new(1 << 16);
    struct label pairs[] = {{LABEL_NAME, STR("up")}};
    const struct labels *labels = NULL;

    EXPECT(label_pool_get(pool, pairs, 1, &labels, NULL) == ERR_NONE);
    batch_hold(batch, pool);
    label_pool_unref(pool);
    for (int i = 0; i < rows; i++)
        EXPECT(batch_sample(batch, labels, time_ms + i, i, NULL) == ERR_NONE);
    return batch;
}

TEST(a_sender_hears_yes_after_the_commit)
{
    struct recorder durable = {0};
    struct recorder loose = {0};
    struct hub *hub = running_hub(&durable, &loose);
    struct batch *batch = batch_of(3, 1000);
    struct hub_stats stats;

    EXPECT(hub_submit_wait(hub, &batch, NULL) == ERR_NONE);
    EXPECT(batch == NULL);
    hub_stop(hub);
    EXPECT(durable.committed == 3 && loose.committed == 3);
    hub_read_stats(hub, &stats);
    EXPECT(stats.rows == 3 && stats.commits == 1);
    hub_free(hub);
}

TEST(a_failed_commit_is_the_answer_to_its_senders)
{
    struct recorder durable = {.commit_err = ERR_FULL};
    struct hub *hub = running_hub(&durable, NULL);
    struct batch *batch = batch_of(1, 1000);
    struct why why = WHY_INIT;

    EXPECT(hub_submit_wait(hub, &batch, &why) == ERR_FULL);
    EXPECT_TEXT(why.text, "disk on fire");
    hub_free(hub);
}

TEST(what_the_durable_sink_refuses_is_shown_to_nobody_else)
{
    struct recorder durable = {.accept_err = ERR_FULL};
    struct recorder loose = {0};
    struct hub *hub = running_hub(&durable, &loose);
    struct batch *batch = batch_of(1, 1000);

    EXPECT(hub_submit_wait(hub, &batch, NULL) == ERR_FULL);
    hub_stop(hub);
    EXPECT(loose.rows == 0);
    hub_free(hub);
}

TEST(errors_of_other_sinks_do_not_reach_the_sender)
{
    struct recorder durable = {0};
    struct recorder loose = {.accept_err = ERR_IO, .commit_err = ERR_IO};
    struct hub *hub = running_hub(&durable, &loose);
    struct batch *batch = batch_of(1, 1000);
    struct hub_stats stats;

    EXPECT(hub_submit_wait(hub, &batch, NULL) == ERR_NONE);
    hub_stop(hub);
    hub_read_stats(hub, &stats);
    EXPECT(stats.sink_errors == 2);
    hub_free(hub);
}

TEST(a_full_ring_says_later)
{
    struct recorder durable = {.wait = true};
    struct hub *hub = running_hub(&durable, NULL);
    struct why why = WHY_INIT;
    enum err err = ERR_NONE;
    int accepted = 0;

    while (err == ERR_NONE) {
        struct batch *batch = batch_of(1, 1000);
        err = hub_submit(hub, &batch, &why);
        accepted += err == ERR_NONE;
        ASSERT(accepted <= HUB_RING_BATCHES + 1);
    }
    EXPECT(err == ERR_BUSY && why.hint[0] != '\0');
    atomic_store(&durable.wait, false);
    hub_stop(hub);
    EXPECT(durable.committed == (uint64_t)accepted);
    struct batch *batch = batch_of(1, 1000);
    EXPECT(hub_submit(hub, &batch, &why) == ERR_CLOSED);
    hub_free(hub);
}

TEST(samples_of_the_future_are_turned_away_and_the_rest_kept)
{
    struct recorder durable = {0};
    struct hub *hub = running_hub(&durable, NULL);
    struct batch *batch = batch_of(1, 1000);
    struct why why = WHY_INIT;

    EXPECT(batch_sample(batch, batch->samples.items[0].labels, clock_now_ms() + 3600000, 1, NULL) ==
           ERR_NONE);
    EXPECT(hub_submit_wait(hub, &batch, NULL) == ERR_NONE);
    batch = batch_of(1, clock_now_ms() + 3600000);
    EXPECT(hub_submit_wait(hub, &batch, &why) == ERR_INVALID);
    EXPECT(strstr(why.text, "future") != NULL);
    hub_stop(hub);
    EXPECT(durable.committed == 1);
    hub_free(hub);
}

TEST(tenants_have_plain_names)
{
    EXPECT(admit_is_tenant(STR("default")) && admit_is_tenant(STR("team-7_a")));
    EXPECT(!admit_is_tenant(STR("")) && !admit_is_tenant(STR("../x")) &&
           !admit_is_tenant(STR("A")));
    EXPECT(!admit_is_tenant(STR("_x")) && !admit_is_tenant(STR("a.b")));
}

struct submitter {
    pthread_t thread;
    struct hub *hub;
};

static void *submit_many(void *argument)
{
    struct submitter *submitter = argument;

    for (int i = 0; i < 50; i++) {
        struct batch *batch = batch_of(2, 1000);
        EXPECT(hub_submit_wait(submitter->hub, &batch, NULL) == ERR_NONE);
    }
    return NULL;
}

TEST(many_senders_share_commits)
{
    struct recorder durable = {0};
    struct hub *hub = running_hub(&durable, NULL);
    struct submitter submitters[4];

    for (size_t i = 0; i < ARRAY_COUNT(submitters); i++) {
        submitters[i].hub = hub;
        ASSERT(pthread_create(&submitters[i].thread, NULL, submit_many, &submitters[i]) == 0);
    }
    for (size_t i = 0; i < ARRAY_COUNT(submitters); i++)
        EXPECT(pthread_join(submitters[i].thread, NULL) == 0);
    hub_stop(hub);
    EXPECT(durable.committed == 400 && durable.commits <= 200);
    hub_free(hub);
}

TEST_MAIN
