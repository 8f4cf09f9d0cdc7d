/* SPDX-License-Identifier: Apache-2.0 */
#include "load/capacity.h"

#include "test.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/* A server with a true capacity. Each probe sees it somewhat moved, and is now and then plainly
 * wrong. */
struct server {
    double capacity;
    double wobble;         /* Relative, either way. */
    unsigned wrong_one_in; /* 0: never. */
    uint64_t random;
    bool is_silent;  /* What it answers beyond its capacity is not known. */
    double collapse; /* Share of the capacity that is answered beyond it; 0: all. */
};

static uint64_t draw(struct server *server)
{
    server->random = server->random * 6364136223846793005u + 1442695040888963407u;
    return server->random >> 33;
}

static bool keeps(struct server *server, double rate)
{
    double moved = ((double)draw(server) / (double)(1u << 30) - 1) * server->wobble;
    bool kept = rate <= server->capacity * (1 + moved);

    return server->wrong_one_in != 0 && draw(server) % server->wrong_one_in == 0 ? !kept : kept;
}

/* What it answers when asked for too much, somewhat wrongly measured. */
static double beyond(struct server *server, double rate)
{
    double moved = ((double)draw(server) / (double)(1u << 30) - 1) * server->wobble;

    if (server->is_silent || rate <= server->capacity)
        return NAN;
    return server->capacity * (server->collapse > 0 ? server->collapse : 1) * (1 + moved);
}

static struct capacity_answer search(struct server *server, double start, size_t *ret_probes)
{
    struct capacity capacity;
    struct capacity_probe probe;

    capacity_init(&capacity, start, 0.01);
    while (capacity_next(&capacity, &probe))
        capacity_tell(&capacity, &probe, keeps(server, probe.rate), beyond(server, probe.rate));
    *ret_probes = capacity.probes_count;
    return capacity_answer(&capacity);
}

TEST(a_quiet_server_is_found_within_three_percent)
{
    static const double truths[] = {0.7, 3, 10, 40, 400, 12345, 98765};

    for (size_t i = 0; i < sizeof(truths) / sizeof(*truths); i++) {
        struct server server = {.capacity = truths[i], .random = i, .is_silent = true};
        size_t probes;
        struct capacity_answer answer = search(&server, 10, &probes);
        EXPECT(answer.confirmed);
        EXPECT(answer.kept <= truths[i] && truths[i] < answer.broken);
        EXPECT(answer.broken <= answer.kept * 1.0301);
        EXPECT(probes <= 26);
    }
}

TEST(a_noisy_server_is_found_within_five_percent_nearly_always)
{
    unsigned good = 0, rounds = 2000;

    for (unsigned i = 0; i < rounds; i++) {
        struct server server = {.capacity = 400, .wobble = 0.02, .wrong_one_in = 40, .random = i};
        size_t probes;
        struct capacity_answer answer = search(&server, 10, &probes);
        good += answer.confirmed && fabs(answer.kept - 400) <= 20;
    }
    EXPECT(good >= rounds * 95 / 100);
}

TEST(what_is_answered_beyond_the_capacity_shortens_the_search)
{
    static const double truths[] = {0.7, 3, 11, 40.1, 401, 12345, 98765};

    for (size_t i = 0; i < sizeof(truths) / sizeof(*truths); i++) {
        struct server told = {.capacity = truths[i], .random = i}, silent = told;
        size_t probes, probes_silent;
        silent.is_silent = true;
        struct capacity_answer answer = search(&told, 10, &probes);
        (void)search(&silent, 10, &probes_silent);
        EXPECT(answer.confirmed);
        EXPECT(answer.kept <= truths[i] && truths[i] < answer.broken);
        EXPECT(answer.broken <= answer.kept * 1.0301);
        EXPECT_NEAR(answer.beyond, truths[i], truths[i] * 1e-9);
        EXPECT(probes + 2 <= probes_silent);
    }
}

TEST(a_service_that_collapses_beyond_its_capacity_is_found_all_the_same)
{
    for (double collapse = 0.1; collapse < 1.5; collapse += 0.07) {
        struct server server = {.capacity = 400, .collapse = collapse, .random = 7};
        size_t probes;
        struct capacity_answer answer = search(&server, 10, &probes);
        EXPECT(answer.confirmed && answer.kept <= 400 && 400 < answer.broken);
        EXPECT(probes <= 26 + CAPACITY_AIMS_MAX);
    }
}

TEST(each_end_says_what_it_rests_on)
{
    struct capacity capacity;
    struct capacity_probe probe;

    capacity_init(&capacity, 10, 0.01);
    for (int i = 0; i < 7 && capacity_next(&capacity, &probe); i++) /* 10 … 640: brief ones. */
        capacity_tell(&capacity, &probe, probe.rate <= 400, NAN);
    struct capacity_answer answer = capacity_answer(&capacity);
    EXPECT(answer.kept_votes.count == 0 && answer.broken_votes.count == 0);
    while (capacity_next(&capacity, &probe))
        capacity_tell(&capacity, &probe, probe.rate <= 400, NAN);
    answer = capacity_answer(&capacity);
    EXPECT(answer.kept_votes.agreed == 2 && answer.kept_votes.count == 2);
    EXPECT(answer.broken_votes.agreed == 2 && answer.broken_votes.count == 2);
}

TEST(a_lie_on_the_way_up_is_seen_through)
{
    struct capacity capacity;
    struct capacity_probe probe;
    bool lied = false;

    capacity_init(&capacity, 10, 0.01);
    while (capacity_next(&capacity, &probe)) {
        bool lie = !lied && probe.rate > 150;
        lied = lied || lie;
        capacity_tell(&capacity, &probe, lie ? probe.rate > 400 : probe.rate <= 400, NAN);
    }
    struct capacity_answer answer = capacity_answer(&capacity);
    EXPECT(lied && answer.confirmed);
    EXPECT_NEAR(answer.kept, 400, 20);
}

TEST(nothing_kept_and_nothing_broken_are_answers_too)
{
    struct server none = {.capacity = 0}, endless = {.capacity = 1e12};
    size_t probes;
    struct capacity_answer answer = search(&none, 10, &probes);

    EXPECT(isnan(answer.kept) && answer.broken <= 0.01 && !answer.confirmed);
    answer = search(&endless, 10, &probes);
    EXPECT(isnan(answer.broken) && answer.kept >= CAPACITY_RATE_MAX && !answer.confirmed);
}

TEST(probes_end_also_where_every_one_is_a_coin)
{
    for (unsigned i = 0; i < 500; i++) {
        struct server server = {.capacity = 400, .wrong_one_in = 2, .random = i};
        size_t probes;
        (void)search(&server, 10, &probes);
        EXPECT(probes <= CAPACITY_PROBES_MAX);
    }
}

TEST_MAIN
