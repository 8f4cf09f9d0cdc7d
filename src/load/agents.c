/* SPDX-License-Identifier: Apache-2.0 */
/* Intervals wait in a queue for each agent until every other one has brought the same interval,
 * then they become one. All agents cut the run at the same places, counted from their own start, so
 * the order alone says which belong together; who has ended, or is lost, is waited for no more. */
#include "load/agents.h"

#include "base/clock.h"
#include "io/sealed.h"
#include "load/account.h"
#include "load/agent_wire.h"

#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

enum { QUEUE_MAX = 512, PINGS = 5, HEARS_MS = 20 };
#define SLICE_NS      (CLOCK_NS_PER_S / 2)
#define PING_EVERY_NS CLOCK_NS_PER_S
#define START_LEAD_NS (150 * CLOCK_NS_PER_MS)

struct agent {
    struct outcome_agent *told;
    struct sealed *sealed; /* NULL: it has ended, or is lost. */
    struct buf queue[QUEUE_MAX];
    size_t first, count;
    int64_t heard_ns;
    int64_t round_ns; /* A word there, and its answer. */
    struct agent_end end;
    struct tally_links links;
    struct histogram latency;
};

struct agents {
    const struct agents_options *options;
    struct plan *plan;
    struct parcel *parcel;
    const struct engine_watch *watch;
    struct agent *items;
    size_t count;
    struct account account;
    struct outcome *outcome;
    struct tally *fresh;
    struct stream_tally *streams_fresh;
    int64_t start_ns;
    int64_t pinged_ns;
    int interrupts_heeded;
};

static void *zeroed(size_t count, size_t size)
{
    void *memory = calloc(count, size);

    if (memory == NULL)
        must_memory(count * size);
    return memory;
}

static int64_t within(int64_t ns)
{
    return clock_monotonic_ns() + ns;
}

static int interrupts_of(const struct agents *agents)
{
    const struct engine_watch *watch = agents->watch;

    return watch == NULL || watch->interrupts == NULL ? 0 : atomic_load(watch->interrupts);
}

/* ---- Names. ---- */

static enum err read_name(struct str name, struct str *ret_host, uint16_t *ret_port,
                          struct why *why)
{
    struct str text = str_trim(name);
    struct str host = text;
    uint64_t port = AGENT_PORT;
    size_t colon = text.size;

    while (colon > 0 && text.data[colon - 1] != ':' && text.data[colon - 1] != ']')
        colon--;
    bool bracketed = text.size > 0 && text.data[0] == '[';
    bool has_port = colon > 0 && text.data[colon - 1] == ':' &&
                    (bracketed || str_find(text, ':') == (ptrdiff_t)colon - 1);
    if (has_port) {
        host.size = colon - 1;
        if (!str_to_u64((struct str){text.data + colon, text.size - colon}, &port))
            port = 0;
    }
    if (bracketed && host.size > 2 && host.data[host.size - 1] == ']')
        host = (struct str){host.data + 1, host.size - 2};
    if (host.size == 0 || host.size >= OUTCOME_AGENT_NAME_SIZE - 8 || port == 0 || port > 65535 ||
        text.size >= OUTCOME_AGENT_NAME_SIZE)
        return fail(why, ERR_INVALID, "--agents: '%.*s' is not HOST or HOST:PORT", STR_ARG(name));
    *ret_host = host;
    *ret_port = (uint16_t)port;
    return ERR_NONE;
}

enum err agents_check(const struct agents_options *options, struct why *why)
{
    struct str host, other_host;
    uint16_t port, other_port;

    if (options->count > PLAN_PARTS_MAX)
        return fail(why, ERR_LIMIT, "--agents: there may be %d", PLAN_PARTS_MAX);
    for (size_t i = 0; i < options->count; i++) {
        TRY(read_name(options->names[i], &host, &port, why));
        for (size_t j = 0; j < i; j++) {
            TRY(read_name(options->names[j], &other_host, &other_port, why));
            if (port == other_port && str_eq(host, other_host))
                return fail(why, ERR_INVALID, "--agents: %.*s is named twice",
                            STR_ARG(options->names[i]));
        }
    }
    return ERR_NONE;
}

/* ---- Talking. ---- */

static enum err name_agent(const struct agent *agent, enum err err, struct why *why)
{
    if (err != ERR_NONE && why != NULL)
        why_prefix(why, "agent %s", agent->told->name);
    return err;
}

static enum err say(const struct agent *agent, enum agent_word word, const struct buf *bytes,
                    struct why *why)
{
    struct str text = bytes == NULL ? STR("") : buf_view(bytes);

    return sealed_send(agent->sealed, (uint8_t)word, text, within(AGENT_ANSWER_NS), why);
}

/* Waits for that word; somebody may lose patience. */
static enum err hear_word(const struct agents *agents, struct agent *agent, enum agent_word word,
                          int64_t patience_ns, struct str *ret_bytes, struct why *why)
{
    int64_t deadline_ns = within(patience_ns);
    struct sealed_frame frame;
    enum err err;

    do {
        int64_t slice_ns = within(SLICE_NS);
        err = sealed_receive(agent->sealed, AGENT_FRAME_BYTES_MAX,
                             slice_ns < deadline_ns ? slice_ns : deadline_ns, &frame, why);
        if (err == ERR_TIMEOUT && interrupts_of(agents) > 0)
            return fail(why, ERR_CANCELLED, "interrupted before the start");
    } while (err == ERR_TIMEOUT && clock_monotonic_ns() < deadline_ns);
    TRY(err);
    if (frame.kind == AGENT_REFUSED)
        return agent_take_refusal(frame.bytes, why);
    if (frame.kind != word)
        return fail(why, ERR_CORRUPT, "it said %u where %u was due", frame.kind, (unsigned)word);
    *ret_bytes = frame.bytes;
    agent->heard_ns = clock_monotonic_ns();
    return ERR_NONE;
}

static enum err hear(const struct agents *agents, struct agent *agent, enum agent_word word,
                     struct str *ret_bytes, struct why *why)
{
    return name_agent(agent, hear_word(agents, agent, word, AGENT_ANSWER_NS, ret_bytes, why), why);
}

/* ---- Before the start. ---- */

static enum err greet(const struct agents *agents, struct agent *agent, struct why *why)
{
    struct buf out CLEANUP(buf_done) = {0};
    struct agent_hello hello;
    struct str bytes;

    agent_put_hello(&out, agents->options->version);
    TRY(say(agent, AGENT_HELLO, &out, why));
    TRY(hear_word(agents, agent, AGENT_HELLO, AGENT_HELLO_NS, &bytes, why));
    TRY(agent_take_hello(bytes, &hello, why));
    if (hello.protocol == AGENT_PROTOCOL && str_eq(hello.version, agents->options->version))
        return ERR_NONE;
    enum err err =
        fail(why, ERR_UNSUPPORTED, "it is sonde %.*s (protocol %llu), and this is %.*s (%d)",
             STR_ARG(hello.version), (unsigned long long)hello.protocol,
             STR_ARG(agents->options->version), AGENT_PROTOCOL);
    hint(why, "run the same version on all machines of a load");
    return err;
}

static enum err connect_to(const struct agents *agents, struct agent *agent, struct why *why)
{
    struct str host;
    uint16_t port;

    TRY(read_name(str_of(agent->told->name), &host, &port, why));
    enum err err = sealed_connect(host, port, agents->options->secret, within(AGENT_HELLO_NS),
                                  &agent->sealed, why);
    if (err == ERR_UNAUTHENTICATED)
        hint(why, "--token-from must name the same secret here and there");
    else if (err != ERR_NONE)
        hint(why, "is `sonde load agent` running there, and may this machine reach it?");
    TRY(err);
    return greet(agents, agent, why);
}

static enum err send_parcels(struct agents *agents, struct why *why)
{
    for (size_t i = 0; i < agents->count; i++) {
        struct buf out CLEANUP(buf_done) = {0};
        agents->parcel->figures.part = i;
        agents->parcel->figures.parts = agents->count;
        agents->parcel->figures.seed = agents->plan->seed;
        agents->parcel->figures.trace_run = agents->plan->trace_run;
        parcel_write(agents->parcel, &out);
        TRY(name_agent(&agents->items[i], say(&agents->items[i], AGENT_PARCEL, &out, why), why));
    }
    return ERR_NONE;
}

static enum err hear_planned(struct agents *agents, struct why *why)
{
    unsigned threads = 0;

    for (size_t i = 0; i < agents->count; i++) {
        struct agent *agent = &agents->items[i];
        struct agent_planned planned;
        struct str bytes;
        TRY(hear(agents, agent, AGENT_PLANNED, &bytes, why));
        TRY(name_agent(agent, agent_take_planned(bytes, &planned, why), why));
        if (planned.steps != agents->plan->steps_count)
            return name_agent(agent, fail(why, ERR_CORRUPT, "it understood another plan"), why);
        agent->told->threads = planned.threads;
        threads += (unsigned)planned.threads;
    }
    agents->plan->threads = threads;
    return ERR_NONE;
}

static enum err measure_round(struct agents *agents, struct agent *agent, struct why *why)
{
    struct str bytes;

    agent->round_ns = INT64_MAX;
    for (int i = 0; i < PINGS; i++) {
        int64_t begin_ns = clock_monotonic_ns();
        TRY(name_agent(agent, say(agent, AGENT_PING, NULL, why), why));
        TRY(hear(agents, agent, AGENT_PONG, &bytes, why));
        int64_t took_ns = clock_monotonic_ns() - begin_ns;
        if (took_ns < agent->round_ns)
            agent->round_ns = took_ns;
    }
    agent->told->round_ms = (double)agent->round_ns / (double)CLOCK_NS_PER_MS;
    return ERR_NONE;
}

static enum err go(struct agents *agents, struct why *why)
{
    int64_t slowest_ns = 0;

    for (size_t i = 0; i < agents->count; i++) {
        if (agents->items[i].round_ns > slowest_ns)
            slowest_ns = agents->items[i].round_ns;
    }
    agents->start_ns = within(START_LEAD_NS + slowest_ns);
    for (size_t i = 0; i < agents->count; i++) {
        struct agent *agent = &agents->items[i];
        struct buf out CLEANUP(buf_done) = {0};
        int64_t delay_ns = agents->start_ns - clock_monotonic_ns() - agent->round_ns / 2;
        agent_put_number(&out, delay_ns < 0 ? 0 : (uint64_t)delay_ns);
        TRY(name_agent(agent, say(agent, AGENT_GO, &out, why), why));
        agent->heard_ns = clock_monotonic_ns();
    }
    agents->outcome->started_ns = agents->start_ns;
    agents->outcome->started_ms =
        clock_now_ms() + (agents->start_ns - clock_monotonic_ns()) / CLOCK_NS_PER_MS;
    return ERR_NONE;
}

/* All or none: whatever fails here ends the others too, since their connections close. */
static enum err begin(struct agents *agents, struct why *why)
{
    struct str bytes;

    for (size_t i = 0; i < agents->count; i++)
        TRY(name_agent(&agents->items[i], connect_to(agents, &agents->items[i], why), why));
    TRY(send_parcels(agents, why));
    TRY(hear_planned(agents, why));
    for (size_t i = 0; i < agents->count; i++)
        TRY(name_agent(&agents->items[i], say(&agents->items[i], AGENT_OPEN, NULL, why), why));
    for (size_t i = 0; i < agents->count; i++)
        TRY(hear(agents, &agents->items[i], AGENT_READY, &bytes, why));
    for (size_t i = 0; i < agents->count; i++)
        TRY(measure_round(agents, &agents->items[i], why));
    return go(agents, why);
}

/* ---- While it runs. ---- */

static void lose(struct agents *agents, struct agent *agent, const struct why *why)
{
    struct outcome_agent *told = agent->told;

    agent->sealed = sealed_close(agent->sealed);
    told->state = OUTCOME_AGENT_LOST;
    told->left_s = (double)(agent->heard_ns - agents->start_ns) / (double)CLOCK_NS_PER_S;
    (void)snprintf(told->reason, sizeof(told->reason), "%s", why->text);
}

static void tell_all(struct agents *agents, enum agent_word word, uint64_t number)
{
    struct buf out CLEANUP(buf_done) = {0};

    agent_put_number(&out, number);
    for (size_t i = 0; i < agents->count; i++) {
        struct why why = WHY_INIT;
        struct agent *agent = &agents->items[i];
        if (agent->sealed != NULL && say(agent, word, &out, &why) != ERR_NONE)
            lose(agents, agent, &why);
    }
}

static void heed_interrupts(struct agents *agents)
{
    int interrupts = interrupts_of(agents);

    if (interrupts <= agents->interrupts_heeded)
        return;
    agents->interrupts_heeded = interrupts;
    agents->outcome->interrupted = true;
    tell_all(agents, AGENT_STOP, interrupts > 1 ? 2 : 1);
}

static enum err take_frame(struct agents *agents, struct agent *agent,
                           const struct sealed_frame *frame, struct why *why)
{
    agent->heard_ns = clock_monotonic_ns();
    switch (frame->kind) {
    case AGENT_PONG:
        return ERR_NONE;
    case AGENT_INTERVAL:
        if (agent->count == QUEUE_MAX)
            return fail(why, ERR_LIMIT, "it is too far ahead of the others");
        buf_str(&agent->queue[(agent->first + agent->count++) % QUEUE_MAX], frame->bytes);
        return ERR_NONE;
    case AGENT_END:
        TRY(agent_take_end(frame->bytes, agents->plan->steps_count, &agent->end, why));
        agent->sealed = sealed_close(agent->sealed);
        if (agent->end.interrupted) {
            agent->told->state = OUTCOME_AGENT_ENDED;
            agent->told->left_s = (double)agent->end.measured_ns / (double)CLOCK_NS_PER_S;
            (void)snprintf(agent->told->reason, sizeof(agent->told->reason),
                           "it was ended at its own machine");
        }
        return ERR_NONE;
    case AGENT_REFUSED:
        return agent_take_refusal(frame->bytes, why);
    default:
        return fail(why, ERR_CORRUPT, "it said %u during the run", frame->kind);
    }
}

static void read_agent(struct agents *agents, struct agent *agent)
{
    struct why why = WHY_INIT;
    struct sealed_frame frame;
    enum err err = ERR_NONE;
    bool any = true;

    while (err == ERR_NONE && any && agent->sealed != NULL) {
        err = sealed_poll(agent->sealed, AGENT_FRAME_BYTES_MAX, &frame, &any, &why);
        if (err == ERR_NONE && any)
            err = take_frame(agents, agent, &frame, &why);
    }
    if (err == ERR_NONE && agent->sealed != NULL &&
        clock_monotonic_ns() - agent->heard_ns > AGENT_SILENCE_NS)
        err = fail(&why, ERR_TIMEOUT, "it fell silent");
    if (err != ERR_NONE)
        lose(agents, agent, &why);
}

static void wait_for_words(struct agents *agents)
{
    struct pollfd fds[PLAN_PARTS_MAX];
    nfds_t count = 0;

    for (size_t i = 0; i < agents->count; i++) {
        if (agents->items[i].sealed != NULL)
            fds[count++] = (struct pollfd){sealed_fd(agents->items[i].sealed), POLLIN, 0};
    }
    (void)poll(fds, count, HEARS_MS); /* A signal may cut it short: then we look earlier. */
}

/* ---- Adding up. ---- */

static enum err add_interval(struct agents *agents, struct agent *agent, struct str rest,
                             int64_t *ret_until_ns, struct why *why)
{
    size_t steps = agents->plan->steps_count;
    size_t step;
    bool has_streams;

    for (;;) {
        TRY(agent_take_step(&rest, steps, &step, agents->fresh, agents->streams_fresh, &has_streams,
                            why));
        if (step == steps)
            return agent_take_links(rest, ret_until_ns, &agent->links, why);
        account_add(&agents->account, step, agents->fresh,
                    has_streams ? agents->streams_fresh : NULL);
        agent->told->requests += agents->fresh->requests;
        agent->told->failures += agents->fresh->failures;
        histogram_merge(&agent->latency, &agents->fresh->latency);
    }
}

static void merge_one(struct agents *agents)
{
    struct outcome *outcome = agents->outcome;
    int64_t latest_ns = agents->account.point_ns + 1;

    for (size_t i = 0; i < agents->count; i++) {
        struct agent *agent = &agents->items[i];
        struct why why = WHY_INIT;
        int64_t until_ns = 0;
        if (agent->count == 0)
            continue;
        struct buf *frame = &agent->queue[agent->first];
        enum err err = add_interval(agents, agent, buf_view(frame), &until_ns, &why);
        buf_done(frame);
        agent->first = (agent->first + 1) % QUEUE_MAX;
        agent->count--;
        if (err != ERR_NONE && agent->sealed != NULL)
            lose(agents, agent, &why);
        latest_ns = until_ns > latest_ns ? until_ns : latest_ns;
    }
    tally_links_clear(&outcome->links);
    for (size_t i = 0; i < agents->count; i++)
        tally_links_merge(&outcome->links, &agents->items[i].links);
    account_end_interval(&agents->account, latest_ns);
    if (agents->watch != NULL && agents->watch->look != NULL && !outcome->aborted &&
        agents->watch->look(agents->watch->self, outcome)) {
        outcome->aborted = true;
        tell_all(agents, AGENT_STOP, 1);
    }
}

/* Has everybody brought the next interval who still will? */
static bool is_complete(const struct agents *agents)
{
    bool any = false;

    for (size_t i = 0; i < agents->count; i++) {
        const struct agent *agent = &agents->items[i];
        if (agent->count == 0 && agent->sealed != NULL)
            return false;
        any = any || agent->count > 0;
    }
    return any;
}

static bool is_over(const struct agents *agents)
{
    for (size_t i = 0; i < agents->count; i++) {
        if (agents->items[i].sealed != NULL || agents->items[i].count > 0)
            return false;
    }
    return true;
}

static void watch_run(struct agents *agents)
{
    agents->pinged_ns = clock_monotonic_ns();
    while (!is_over(agents)) {
        wait_for_words(agents);
        if (agents->watch != NULL && agents->watch->attend != NULL)
            agents->watch->attend(agents->watch->self);
        heed_interrupts(agents);
        if (clock_monotonic_ns() - agents->pinged_ns > PING_EVERY_NS) {
            agents->pinged_ns = clock_monotonic_ns();
            tell_all(agents, AGENT_PING, 0);
        }
        for (size_t i = 0; i < agents->count; i++) {
            if (agents->items[i].sealed != NULL)
                read_agent(agents, &agents->items[i]);
        }
        while (is_complete(agents))
            merge_one(agents);
    }
}

static void sum_up(struct agents *agents)
{
    struct outcome *outcome = agents->outcome;
    double duration_s = 0;

    for (size_t i = 0; i < agents->count; i++) {
        struct agent *agent = &agents->items[i];
        struct outcome_agent *told = agent->told;
        told->p50_ms = histogram_at(&agent->latency, 0.5) / (double)CLOCK_NS_PER_MS;
        told->p99_ms = histogram_at(&agent->latency, 0.99) / (double)CLOCK_NS_PER_MS;
        told->late_p99_ms = histogram_at(&agent->links.lateness, 0.99) / (double)CLOCK_NS_PER_MS;
        told->dropped = agent->links.dropped;
        told->busiest = agent->end.busiest;
        told->cpu_s = (double)agent->end.cpu_ns / (double)CLOCK_NS_PER_S;
        told->saturated = agent->end.saturated;
        for (size_t k = 0; k < agent->end.trail.count; k++)
            agent->end.trail.slowest[k].intended_ns += outcome->started_ns;
        if (agent->end.trail.run != 0)
            trail_merge(&outcome->trail, &agent->end.trail);
        duration_s = fmax(duration_s, (double)agent->end.measured_ns / (double)CLOCK_NS_PER_S);
        outcome->cpu_s += told->cpu_s;
        outcome->busiest = fmax(outcome->busiest, told->busiest);
        outcome->saturated = outcome->saturated || told->saturated;
    }
    if (duration_s > 0)
        outcome->elapsed_s = duration_s; /* Else all are lost: as far as they came. */
    outcome->duration_s = outcome->elapsed_s;
    outcome->finished = true;
}

/* ---- The whole. ---- */

static void open_all(struct agents *agents)
{
    struct outcome *outcome = agents->outcome;

    account_open(&agents->account, agents->plan, outcome);
    outcome->agents = zeroed(agents->count, sizeof(*outcome->agents));
    outcome->agents_count = agents->count;
    agents->items = zeroed(agents->count, sizeof(*agents->items));
    agents->fresh = zeroed(1, sizeof(*agents->fresh));
    agents->streams_fresh = zeroed(1, sizeof(*agents->streams_fresh));
    for (size_t i = 0; i < agents->count; i++) {
        agents->items[i].told = &outcome->agents[i];
        (void)snprintf(outcome->agents[i].name, sizeof(outcome->agents[i].name), "%.*s",
                       STR_ARG(str_trim(agents->options->names[i])));
    }
}

static void close_all(struct agents *agents)
{
    for (size_t i = 0; i < agents->count; i++) {
        struct agent *agent = &agents->items[i];
        (void)sealed_close(agent->sealed);
        for (size_t k = 0; k < agent->count; k++)
            buf_done(&agent->queue[(agent->first + k) % QUEUE_MAX]);
    }
    free(agents->items);
    free(agents->fresh);
    free(agents->streams_fresh);
    account_close(&agents->account);
}

enum err agents_run(const struct agents_options *options, struct plan *plan, struct parcel *parcel,
                    const struct engine_watch *watch, struct outcome *ret_outcome, struct why *why)
{
    struct agents agents = {.options = options,
                            .plan = plan,
                            .parcel = parcel,
                            .watch = watch,
                            .count = options->count,
                            .outcome = ret_outcome};

    TRY(agents_check(options, why));
    open_all(&agents);
    enum err err = begin(&agents, why);
    if (err == ERR_NONE) {
        watch_run(&agents);
        sum_up(&agents);
    }
    close_all(&agents);
    return err;
}
