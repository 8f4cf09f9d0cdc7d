/* SPDX-License-Identifier: Apache-2.0 */
/* A load that is shared with agents, each a thread of this process behind a real connection. */
#include "load/agents.h"

#include "base/clock.h"
#include "load/agent.h"
#include "test.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { AGENTS = 3, REQUESTS = 20 };

static int bound_port(uint16_t *ret_port)
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

/* Users against a port where nobody listens: each request fails at once, and counts. */
static struct plan *make_plan(uint16_t target, const struct parcel_figures *figures)
{
    struct plan *plan = plan_new(1 << 20);
    struct op op = {.kind = OP_REQUEST};
    struct scenario *scenario;
    struct step *step;
    struct url url;
    char text[64];
    struct why why = WHY_INIT;

    (void)snprintf(text, sizeof(text), "http://127.0.0.1:%u/", target);
    plan->connections = AGENTS;
    plan->requests_max = REQUESTS;
    plan->part = (unsigned)figures->part;
    plan->parts = (unsigned)figures->parts;
    if (url_parse(str_of(text), &url, &why) != ERR_NONE ||
        plan_step(plan, "s", &step, &why) != ERR_NONE ||
        plan_origin(plan, &url, &step->origin, &why) != ERR_NONE ||
        (op.step = step, plan_scenario(plan, "s", 1, &op, 1, &scenario, &why)) != ERR_NONE ||
        pattern_line(&plan->pattern, AGENTS, AGENTS, 60 * CLOCK_NS_PER_S, &why) != ERR_NONE ||
        plan_finish(plan, &why) != ERR_NONE)
        printf("# %s\n", why.text);
    return plan;
}

struct helper {
    pthread_t thread;
    int listener;
    uint16_t port, target;
    const char *version;
    enum err admits;
    struct plan *plan;
    atomic_int interrupts;
    struct agent_report report;
    enum err err;
};

static enum err admit(void *self, struct why *why)
{
    struct helper *helper = self;

    return helper->admits == ERR_NONE ? ERR_NONE : fail(why, helper->admits, "not now");
}

static void leave(void *self)
{
    (void)self;
}

static enum err make(void *self, struct parcel *parcel, const struct plan **ret_plan,
                     struct why *why)
{
    struct helper *helper = self;

    (void)why;
    helper->plan = make_plan(helper->target, &parcel->figures);
    *ret_plan = helper->plan;
    return ERR_NONE;
}

static void *help(void *argument)
{
    struct helper *helper = argument;
    const struct agent_host host = {.self = helper,
                                    .secret = STR("the secret of this test"),
                                    .version = str_of(helper->version),
                                    .admit = admit,
                                    .leave = leave,
                                    .make = make,
                                    .interrupts = &helper->interrupts};
    int fd = accept(helper->listener, NULL, NULL);
    struct why why = WHY_INIT;

    if (fd < 0)
        return NULL; /* Nobody came: it was shut down. */
    helper->err = agent_serve(fd, &host, &helper->report, &why);
    helper->plan = plan_free(helper->plan);
    return NULL;
}

struct team {
    struct helper helpers[AGENTS];
    char texts[AGENTS][32];
    struct str names[AGENTS];
    struct agents_options options;
    int target_fd;
    struct plan *plan;
    struct parcel *parcel;
    struct outcome *outcome;
};

static void assemble(struct team *team, const char *secret)
{
    uint16_t target;

    (void)signal(SIGPIPE, SIG_IGN);
    memset(team, 0, sizeof(*team));
    team->target_fd = bound_port(&target);
    for (size_t i = 0; i < AGENTS; i++) {
        struct helper *helper = &team->helpers[i];
        helper->target = target;
        helper->version = "1.0";
        helper->listener = bound_port(&helper->port);
        (void)listen(helper->listener, 4);
        (void)snprintf(team->texts[i], sizeof(team->texts[i]), "127.0.0.1:%u", helper->port);
        team->names[i] = str_of(team->texts[i]);
    }
    team->options = (struct agents_options){team->names, AGENTS, str_of(secret), STR("1.0")};
    team->parcel = parcel_new();
    team->plan = make_plan(target, &(struct parcel_figures){.parts = AGENTS});
    team->outcome = calloc(1, sizeof(*team->outcome));
}

static enum err run(struct team *team, struct why *why)
{
    for (size_t i = 0; i < AGENTS; i++) {
        if (pthread_create(&team->helpers[i].thread, NULL, help, &team->helpers[i]) != 0)
            printf("# no thread\n");
    }
    enum err err = agents_run(&team->options, team->plan, team->parcel, NULL, team->outcome, why);
    for (size_t i = 0; i < AGENTS; i++) {
        (void)shutdown(team->helpers[i].listener, SHUT_RDWR);
        pthread_join(team->helpers[i].thread, NULL);
    }
    return err;
}

static void dismiss(struct team *team)
{
    for (size_t i = 0; i < AGENTS; i++)
        (void)close(team->helpers[i].listener);
    (void)close(team->target_fd);
    outcome_done(team->outcome);
    free(team->outcome);
    (void)plan_free(team->plan);
    (void)parcel_free(team->parcel);
}

TEST(what_agents_did_is_one_outcome)
{
    static struct team team;
    struct why why = WHY_INIT;
    uint64_t points = 0;

    assemble(&team, "the secret of this test");
    enum err err = run(&team, &why);
    if (err != ERR_NONE)
        printf("# %s\n", why.text);
    ASSERT(err == ERR_NONE);
    EXPECT(team.outcome->total.requests == REQUESTS);
    EXPECT(team.outcome->steps[0].requests == REQUESTS);
    EXPECT(team.outcome->total.faults[FAULT_REFUSED] == REQUESTS);
    EXPECT(team.outcome->links.iterations == REQUESTS);
    EXPECT(team.outcome->finished && outcome_agents_lost(team.outcome) == 0);
    for (size_t i = 0; i < team.outcome->points_count; i++)
        points += team.outcome->points[i].requests;
    EXPECT(points == REQUESTS);
    for (size_t i = 0; i < AGENTS; i++) {
        const struct outcome_agent *agent = &team.outcome->agents[i];
        EXPECT(agent->requests == team.helpers[i].report.requests);
        EXPECT(agent->requests == (i < REQUESTS % AGENTS ? 7 : 6));
        EXPECT(team.helpers[i].err == ERR_NONE);
    }
    dismiss(&team);
}

TEST(one_that_cannot_keeps_all_from_starting)
{
    static const struct {
        const char *secret, *version;
        enum err admits, wanted;
    } cases[] = {{"the secret of this test", "1.0", ERR_BUSY, ERR_BUSY},
                 {"the secret of this test", "1.1", ERR_NONE, ERR_UNSUPPORTED},
                 {"another secret of a test", "1.0", ERR_NONE, ERR_UNAUTHENTICATED}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        static struct team team;
        struct why why = WHY_INIT;
        assemble(&team, cases[i].secret);
        team.helpers[1].version = cases[i].version;
        team.helpers[1].admits = cases[i].admits;
        EXPECT(run(&team, &why) == cases[i].wanted);
        EXPECT(strstr(why.text, team.texts[cases[i].wanted == ERR_UNAUTHENTICATED ? 0 : 1]) !=
               NULL);
        EXPECT(team.outcome->total.requests == 0 && !team.outcome->finished);
        for (size_t k = 0; k < AGENTS; k++)
            EXPECT(!team.helpers[k].report.ran);
        dismiss(&team);
    }
}

TEST(names_are_hosts_and_ports)
{
    static const struct {
        const char *first, *second;
        enum err wanted;
    } cases[] = {{"h", "h:7080", ERR_NONE},   {"[::1]:1", "[::1]:2", ERR_NONE},
                 {"::1", "::2", ERR_NONE},    {"h", "h:7079", ERR_INVALID},
                 {"a:0", "b", ERR_INVALID},   {"a:65536", "b", ERR_INVALID},
                 {":7079", "b", ERR_INVALID}, {"a:b", "c", ERR_INVALID},
                 {"", "b", ERR_INVALID},      {"::1", "[::1]:7079", ERR_INVALID}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct str names[] = {str_of(cases[i].first), str_of(cases[i].second)};
        const struct agents_options options = {.names = names, .count = 2};
        EXPECT(agents_check(&options, NULL) == cases[i].wanted);
        if (agents_check(&options, NULL) != cases[i].wanted)
            printf("# %s %s\n", cases[i].first, cases[i].second);
    }
}

TEST_MAIN
