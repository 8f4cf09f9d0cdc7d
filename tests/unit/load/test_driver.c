/* SPDX-License-Identifier: Apache-2.0 */
/* A driver against a port where nobody listens: what it does by itself can be told exactly. */
#include "load/driver.h"

#include "base/clock.h"
#include "load/engine.h"
#include "test.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

/* A loopback port that nobody listens on while the descriptor is open. */
static int closed_port(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        printf("# no port\n");
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static struct plan *make_plan(uint16_t port, enum model model, double level, int64_t length_ns)
{
    struct plan *plan = plan_new(1 << 20);
    struct op op = {.kind = OP_REQUEST};
    struct scenario *scenario;
    struct step *step;
    struct url url;
    char text[64];
    struct why why = WHY_INIT;

    (void)snprintf(text, sizeof(text), "http://127.0.0.1:%u/", port);
    plan->model = model;
    plan->connections = 4;
    plan->threads = 2;
    if (url_parse(str_of(text), &url, &why) != ERR_NONE ||
        plan_step(plan, "s", &step, &why) != ERR_NONE ||
        plan_origin(plan, &url, &step->origin, &why) != ERR_NONE ||
        (op.step = step, plan_scenario(plan, "s", 1, &op, 1, &scenario, &why)) != ERR_NONE ||
        pattern_line(&plan->pattern, level, level, length_ns, &why) != ERR_NONE ||
        plan_finish(plan, &why) != ERR_NONE)
        printf("# %s\n", why.text);
    return plan;
}

TEST(arrivals_come_as_often_as_the_pattern_says)
{
    static const enum arrivals arrivals[] = {ARRIVALS_CONSTANT, ARRIVALS_POISSON, ARRIVALS_GAMMA};
    uint16_t port;
    int fd = closed_port(&port);

    for (size_t i = 0; i < sizeof(arrivals) / sizeof(arrivals[0]); i++) {
        struct plan *plan = make_plan(port, MODEL_OPEN, 1000, 400 * CLOCK_NS_PER_MS);
        struct outcome *outcome = calloc(1, sizeof(*outcome));
        plan->arrivals = arrivals[i];
        plan->gamma_shape = 0.5;
        ASSERT(engine_run(plan, NULL, outcome, NULL) == ERR_NONE);
        if (arrivals[i] == ARRIVALS_CONSTANT)
            EXPECT(outcome->links.arrivals == 400);
        else
            EXPECT(outcome->links.arrivals > 250 && outcome->links.arrivals < 550);
        EXPECT(outcome->total.requests == outcome->total.faults[FAULT_REFUSED]);
        EXPECT(outcome->total.requests + outcome->links.dropped == outcome->links.arrivals);
        EXPECT(outcome->total.latency.count == 0);
        outcome_done(outcome);
        free(outcome);
        (void)plan_free(plan);
    }
    (void)close(fd);
}

TEST(users_that_fail_at_once_take_breath)
{
    uint16_t port;
    int fd = closed_port(&port);
    struct plan *plan = make_plan(port, MODEL_CLOSED, 4, 300 * CLOCK_NS_PER_MS);
    struct outcome *outcome = calloc(1, sizeof(*outcome));

    ASSERT(engine_run(plan, NULL, outcome, NULL) == ERR_NONE);
    EXPECT(outcome->total.requests > 8 && outcome->total.requests < 400);
    EXPECT(outcome->total.failures == outcome->total.requests);
    outcome_done(outcome);
    free(outcome);
    (void)plan_free(plan);
    (void)close(fd);
}

TEST(a_number_of_iterations_is_kept)
{
    uint16_t port;
    int fd = closed_port(&port);
    struct plan *plan = make_plan(port, MODEL_CLOSED, 4, 20 * CLOCK_NS_PER_S);
    struct outcome *outcome = calloc(1, sizeof(*outcome));

    plan->requests_max = 13;
    ASSERT(engine_run(plan, NULL, outcome, NULL) == ERR_NONE);
    EXPECT(outcome->total.requests == 13);
    EXPECT(outcome->links.iterations == 13);
    outcome_done(outcome);
    free(outcome);
    (void)plan_free(plan);
    (void)close(fd);
}

/* Runs every part of a load, one after the other, and adds up what came. */
static struct outcome *run_parts(uint16_t port, unsigned parts, void (*change)(struct plan *plan),
                                 uint64_t *ret_arrivals)
{
    struct outcome *sum = calloc(1, sizeof(*sum));

    *ret_arrivals = 0;
    for (unsigned part = 0; part < parts; part++) {
        struct plan *plan = make_plan(port, MODEL_OPEN, 1000, 300 * CLOCK_NS_PER_MS);
        struct outcome *outcome = calloc(1, sizeof(*outcome));
        plan->part = part;
        plan->parts = parts;
        plan->threads = part + 1; /* Machines may be different. */
        change(plan);
        if (engine_run(plan, NULL, outcome, NULL) != ERR_NONE)
            printf("# a part did not run\n");
        tally_merge(&sum->total, &outcome->total);
        *ret_arrivals += outcome->links.arrivals;
        sum->links.iterations += outcome->links.iterations;
        outcome_done(outcome);
        free(outcome);
        (void)plan_free(plan);
    }
    return sum;
}

static void is_constant(struct plan *plan)
{
    plan->arrivals = ARRIVALS_CONSTANT;
}

static void comes_in_bursts(struct plan *plan)
{
    plan->arrivals = ARRIVALS_GAMMA;
    plan->gamma_shape = 0.5;
}

static void is_closed(struct plan *plan)
{
    plan->model = MODEL_CLOSED;
    plan->requests_max = 11;
}

TEST(the_parts_of_a_load_are_together_the_whole)
{
    uint16_t port;
    int fd = closed_port(&port);
    uint64_t arrivals, alone;

    free(run_parts(port, 3, is_constant, &arrivals));
    EXPECT(arrivals == 300);
    /* The schedule of bursts is the same, whoever carries out which part of it. */
    free(run_parts(port, 1, comes_in_bursts, &alone));
    free(run_parts(port, 4, comes_in_bursts, &arrivals));
    EXPECT(arrivals == alone && alone > 150 && alone < 450);
    struct outcome *sum = run_parts(port, 3, is_closed, &arrivals);
    EXPECT(sum->total.requests == 11 && sum->links.iterations == 11);
    free(sum);
    (void)close(fd);
}

TEST(things_are_dealt_out_to_parts_without_a_rest)
{
    struct plan *plan = plan_new(1 << 16);

    for (plan->parts = 1; plan->parts <= PLAN_PARTS_MAX; plan->parts++) {
        for (uint64_t total = 0; total < 200; total += 7) {
            uint64_t sum = 0, least = UINT64_MAX, most = 0;
            for (plan->part = 0; plan->part < plan->parts; plan->part++) {
                uint64_t share = plan_share(plan, total);
                sum += share;
                least = share < least ? share : least;
                most = share > most ? share : most;
            }
            EXPECT(sum == total && most - least <= 1);
        }
    }
    (void)plan_free(plan);
}

TEST_MAIN
