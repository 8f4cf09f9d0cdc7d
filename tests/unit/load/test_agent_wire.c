/* SPDX-License-Identifier: Apache-2.0 */
#include "load/agent_wire.h"

#include "stats/random.h"
#include "test.h"

#include <stdlib.h>

enum { AGENTS = 3, INTERVALS = 4, STEPS = 2, ANSWERS = 3000 };

/* What all agents saw together, had one thread counted it. */
static struct tally *together;
static struct stream_tally *streams_together;

static void see(struct tally *tally, struct stream_tally *streams, struct random *random)
{
    for (int i = 0; i < ANSWERS; i++) {
        int64_t latency_ns = (int64_t)exp(9 + 11 * random_unit(random));
        unsigned status = random_below(random, 10) == 0 ? 503 : 200;
        struct tally *const tallies[] = {tally, together};
        for (size_t k = 0; k < 2; k++) {
            tally_answer(tallies[k], latency_ns, latency_ns / 2, latency_ns / 3, status);
            if (status == 503) {
                tallies[k]->failures++;
                tallies[k]->faults[FAULT_STATUS]++;
            }
            tallies[k]->bytes_in += (uint64_t)latency_ns;
        }
        histogram_add(&streams->gap, latency_ns);
        histogram_add(&streams_together->gap, latency_ns);
        streams->tokens_out++;
        streams_together->tokens_out++;
    }
}

TEST(what_agents_send_adds_up_to_what_one_would_have_counted)
{
    struct random random = random_begin(11);
    struct tally *sum = calloc(1, sizeof(*sum)), *came = calloc(1, sizeof(*came));
    struct stream_tally *streams_sum = calloc(1, sizeof(*streams_sum));
    struct stream_tally *streams_came = calloc(1, sizeof(*streams_came));
    together = calloc(1, sizeof(*together));
    streams_together = calloc(1, sizeof(*streams_together));

    for (int i = 0; i < AGENTS * INTERVALS; i++) {
        struct tally *seen = calloc(1, sizeof(*seen));
        struct stream_tally *streams = calloc(1, sizeof(*streams));
        struct buf out CLEANUP(buf_done) = {0};
        bool has_streams;
        size_t step;
        see(seen, streams, &random);
        agent_put_step(&out, 1, seen, streams);
        struct str rest = buf_view(&out);
        ASSERT(agent_take_step(&rest, STEPS, &step, came, streams_came, &has_streams, NULL) ==
               ERR_NONE);
        ASSERT(step == 1 && has_streams && rest.size == 0);
        tally_merge(sum, came);
        stream_tally_merge(streams_sum, streams_came);
        free(seen);
        free(streams);
    }
    EXPECT(sum->requests == (uint64_t)AGENTS * INTERVALS * ANSWERS);
    /* Bucket by bucket the same, so every quantile is. */
    EXPECT(memcmp(sum, together, sizeof(*sum)) == 0);
    EXPECT(memcmp(streams_sum, streams_together, sizeof(*streams_sum)) == 0);
    for (double q = 0; q <= 1; q += 0.001)
        EXPECT(histogram_at(&sum->latency, q) == histogram_at(&together->latency, q));
    free(sum);
    free(came);
    free(streams_sum);
    free(streams_came);
    free(together);
    free(streams_together);
}

TEST(an_interval_ends_with_its_links_and_nothing_may_be_missing)
{
    struct tally *tally = calloc(1, sizeof(*tally)), *came = calloc(1, sizeof(*came));
    struct tally_links *links = calloc(1, sizeof(*links)), *links_came = calloc(1, sizeof(*links));
    struct buf out CLEANUP(buf_done) = {0};
    struct stream_tally *streams = calloc(1, sizeof(*streams));
    bool has_streams;
    int64_t until_ns = 0;
    size_t step;

    tally_answer(tally, 1000000, 900000, 800000, 200);
    links->arrivals = 17;
    links->backlog_max = 3;
    links->users_active = -1; /* For a moment. */
    histogram_add(&links->lateness, 12345);
    agent_put_step(&out, 0, tally, NULL);
    agent_put_links(&out, 1500, links);
    for (size_t size = 0; size <= out.size; size++) {
        struct str rest = {out.data, size};
        enum err err = agent_take_step(&rest, STEPS, &step, came, streams, &has_streams, NULL);
        if (err == ERR_NONE)
            err = agent_take_step(&rest, STEPS, &step, came, streams, &has_streams, NULL);
        if (err == ERR_NONE)
            err = agent_take_links(rest, &until_ns, links_came, NULL);
        EXPECT(err == (size == out.size ? ERR_NONE : ERR_CORRUPT));
    }
    EXPECT(step == STEPS && until_ns == 1500);
    links->users_active = 0;
    EXPECT(memcmp(links, links_came, sizeof(*links)) == 0);
    struct str rest = buf_view(&out);
    EXPECT(agent_take_step(&rest, 0, &step, came, streams, &has_streams, NULL) == ERR_CORRUPT);
    free(tally);
    free(came);
    free(links);
    free(links_came);
    free(streams);
}

TEST(a_refusal_arrives_in_its_own_words)
{
    struct why said = WHY_INIT, heard = WHY_INIT;
    struct buf out CLEANUP(buf_done) = {0};

    (void)fail(&said, ERR_BUSY, "it is making another load");
    hint(&said, "wait for it");
    agent_put_refusal(&out, &said);
    EXPECT(agent_take_refusal(buf_view(&out), &heard) == ERR_BUSY);
    EXPECT(str_eq(str_of(heard.text), str_of(said.text)));
    EXPECT(str_eq(str_of(heard.hint), str_of(said.hint)));
    EXPECT(agent_take_refusal(STR("\x00"), &heard) == ERR_CORRUPT);
}

TEST(greetings_plans_and_ends_are_bounded)
{
    struct buf out CLEANUP(buf_done) = {0};
    const struct agent_end end = {
        123456789, 42, 0.75, true, false, {.run = 5, .count = 1, .slowest = {{9, 8, 7, 1, true}}}};
    struct agent_hello hello;
    struct agent_planned planned;
    struct agent_end ended;
    uint64_t number;

    agent_put_hello(&out, STR("1.2.3"));
    ASSERT(agent_take_hello(buf_view(&out), &hello, NULL) == ERR_NONE);
    EXPECT(hello.protocol == AGENT_PROTOCOL && str_eq(hello.version, STR("1.2.3")));
    buf_clear(&out);
    agent_put_planned(&out, &(struct agent_planned){7, 2});
    ASSERT(agent_take_planned(buf_view(&out), &planned, NULL) == ERR_NONE);
    EXPECT(planned.steps == 7 && planned.threads == 2);
    buf_clear(&out);
    agent_put_end(&out, &end);
    ASSERT(agent_take_end(buf_view(&out), STEPS, &ended, NULL) == ERR_NONE);
    EXPECT(ended.trail.run == 5 && ended.trail.count == 1 && ended.trail.slowest[0].failed &&
           ended.trail.slowest[0].latency_ns == 9 && ended.trail.slowest[0].low == 7);
    EXPECT(agent_take_end(buf_view(&out), 1, &(struct agent_end){0}, NULL) == ERR_CORRUPT);
    EXPECT(ended.measured_ns == end.measured_ns && ended.cpu_ns == 42 && ended.busiest == 0.75 &&
           ended.saturated && !ended.interrupted);
    buf_clear(&out);
    agent_put_number(&out, 1001);
    EXPECT(agent_take_number(buf_view(&out), 1001, &number, NULL) == ERR_NONE && number == 1001);
    EXPECT(agent_take_number(buf_view(&out), 1000, &number, NULL) == ERR_CORRUPT);
}

TEST_MAIN
