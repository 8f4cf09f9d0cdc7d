/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that looks at the drivers also talks: between looks it answers pings and hears whether
 * it is to stop, after each look it sends what came. The drivers know nothing of it.
 *
 * Whoever asked for the traffic is gone when the connection ends or nothing was heard for
 * AGENT_SILENCE_NS: then the run ends at once, because nobody is left to stop it. */
#include "load/agent.h"

#include "base/clock.h"
#include "io/sealed.h"
#include "load/agent_wire.h"
#include "load/driver.h"
#include "load/engine.h"

enum { HEARS_BYTES_MAX = 1 << 10 };
#define SEND_NS      (15 * CLOCK_NS_PER_S)
#define DELAY_NS_MAX (60 * CLOCK_NS_PER_S)

struct session {
    struct sealed *sealed;
    const struct agent_host *host;
    struct buf out;      /* The interval that is being put together. */
    int64_t heard_ns;    /* When the other side last said something. */
    int64_t started_ns;  /* The clock of the run; 0: not yet. */
    atomic_int ends;     /* As in engine.h: of the other side, and of this machine. */
    bool ended_here;     /* By somebody at this machine, before the other side asked for it. */
    bool lost;           /* Nobody is left to talk to. */
    struct why lost_why; /* … because. */
};

static int64_t within(int64_t ns)
{
    return clock_monotonic_ns() + ns;
}

static enum err say(struct session *session, enum agent_word word, const struct buf *bytes,
                    struct why *why)
{
    return sealed_send(session->sealed, (uint8_t)word, bytes == NULL ? STR("") : buf_view(bytes),
                       within(SEND_NS), why);
}

/* Waits for that word and no other. */
static enum err hear(struct session *session, enum agent_word word, size_t size_max,
                     int64_t patience_ns, struct str *ret_bytes, struct why *why)
{
    struct sealed_frame frame;

    TRY(sealed_receive(session->sealed, size_max, within(patience_ns), &frame, why));
    if (frame.kind != word)
        return fail(why, ERR_CORRUPT, "the other side said %u where %u was due", frame.kind,
                    (unsigned)word);
    *ret_bytes = frame.bytes;
    session->heard_ns = clock_monotonic_ns();
    return ERR_NONE;
}

static void lose(struct session *session, const struct why *why)
{
    session->lost = true;
    session->lost_why = *why;
    atomic_store(&session->ends, 2);
}

/* ---- While it runs. ---- */

static void ask_to_end(struct session *session, int how)
{
    if (how > atomic_load(&session->ends))
        atomic_store(&session->ends, how);
}

static enum err answer_ping(struct session *session, struct str bytes, struct why *why)
{
    struct buf pong CLEANUP(buf_done) = {0};

    buf_str(&pong, bytes);
    return say(session, AGENT_PONG, &pong, why);
}

/* What may be said at any time. */
static enum err take_word(struct session *session, const struct sealed_frame *frame,
                          struct why *why)
{
    uint64_t number;

    session->heard_ns = clock_monotonic_ns();
    switch (frame->kind) {
    case AGENT_PING:
        return answer_ping(session, frame->bytes, why);
    case AGENT_STOP:
        TRY(agent_take_number(frame->bytes, 2, &number, why));
        ask_to_end(session, (int)number);
        return ERR_NONE;
    default:
        return fail(why, ERR_CORRUPT, "the other side said %u during the run", frame->kind);
    }
}

static void attend(void *self)
{
    struct session *session = self;
    struct why why = WHY_INIT;
    enum err err = ERR_NONE;
    bool any = true;

    int interrupts = atomic_load(session->host->interrupts);
    session->ended_here =
        session->ended_here || (interrupts > 0 && atomic_load(&session->ends) == 0);
    ask_to_end(session, interrupts);
    while (err == ERR_NONE && any && !session->lost) {
        struct sealed_frame frame;
        err = sealed_poll(session->sealed, HEARS_BYTES_MAX, &frame, &any, &why);
        if (err == ERR_NONE && any)
            err = take_word(session, &frame, &why);
    }
    if (err == ERR_NONE && clock_monotonic_ns() - session->heard_ns > AGENT_SILENCE_NS)
        err = fail(&why, ERR_TIMEOUT, "the other side fell silent");
    if (err != ERR_NONE && !session->lost)
        lose(session, &why);
}

/* Everything is ready here: waits for the word that it is everywhere. */
static enum err start(void *self, int64_t *start_ns, struct why *why)
{
    struct session *session = self;
    struct sealed_frame frame;
    uint64_t delay_ns;

    TRY(say(session, AGENT_READY, NULL, why));
    for (;;) {
        TRY(sealed_receive(session->sealed, HEARS_BYTES_MAX, within(AGENT_ANSWER_NS), &frame, why));
        if (frame.kind == AGENT_GO)
            break;
        TRY(take_word(session, &frame, why));
        if (atomic_load(&session->ends) > 0)
            return fail(why, ERR_CANCELLED, "stopped before the start");
    }
    TRY(agent_take_number(frame.bytes, (uint64_t)DELAY_NS_MAX, &delay_ns, why));
    session->heard_ns = clock_monotonic_ns();
    *start_ns = session->started_ns = session->heard_ns + (int64_t)delay_ns;
    return ERR_NONE;
}

static void brought(void *self, size_t step, const struct tally *tally,
                    const struct stream_tally *streams)
{
    struct session *session = self;

    agent_put_step(&session->out, step, tally, streams);
}

static bool look(void *self, const struct outcome *outcome)
{
    struct session *session = self;
    struct why why = WHY_INIT;

    agent_put_links(&session->out, clock_monotonic_ns() - session->started_ns, &outcome->links);
    if (!session->lost && say(session, AGENT_INTERVAL, &session->out, &why) != ERR_NONE)
        lose(session, &why);
    buf_clear(&session->out);
    return false;
}

/* ---- From the greeting to the end. ---- */

static enum err greet(struct session *session, struct why *why)
{
    struct buf out CLEANUP(buf_done) = {0};
    struct agent_hello hello;
    struct str bytes;

    TRY(hear(session, AGENT_HELLO, HEARS_BYTES_MAX, AGENT_HELLO_NS, &bytes, why));
    TRY(agent_take_hello(bytes, &hello, why));
    bool same = hello.protocol == AGENT_PROTOCOL && str_eq(hello.version, session->host->version);
    if (!same)
        (void)fail(why, ERR_UNSUPPORTED, "sonde %.*s cannot share a load with sonde %.*s",
                   STR_ARG(hello.version), STR_ARG(session->host->version));
    /* The other side says it too, in its own words. */
    agent_put_hello(&out, session->host->version);
    TRY(say(session, AGENT_HELLO, &out, same ? why : NULL));
    return same ? ERR_NONE : ERR_UNSUPPORTED;
}

static enum err take_plan(struct session *session, struct parcel **ret_parcel,
                          const struct plan **ret_plan, struct why *why)
{
    struct buf out CLEANUP(buf_done) = {0};
    struct str bytes;

    TRY(hear(session, AGENT_PARCEL, PARCEL_BYTES_MAX, AGENT_ANSWER_NS, &bytes, why));
    TRY(parcel_read(bytes, ret_parcel, why));
    TRY(session->host->make(session->host->self, *ret_parcel, ret_plan, why));
    agent_put_planned(&out,
                      &(struct agent_planned){(*ret_plan)->steps_count, driver_count(*ret_plan)});
    TRY(say(session, AGENT_PLANNED, &out, why));
    return hear(session, AGENT_OPEN, 0, AGENT_ANSWER_NS, &bytes, why);
}

static enum err end(struct session *session, const struct outcome *outcome, struct why *why)
{
    struct buf out CLEANUP(buf_done) = {0};
    struct agent_end end = {
        .measured_ns = (int64_t)(outcome->duration_s * (double)CLOCK_NS_PER_S),
        .cpu_ns = (int64_t)(outcome->cpu_s * (double)CLOCK_NS_PER_S),
        .busiest = outcome->busiest,
        .saturated = outcome->saturated,
        .interrupted = session->ended_here,
    };

    end.trail = outcome->trail;
    for (size_t i = 0; i < end.trail.count; i++)
        end.trail.slowest[i].intended_ns -= outcome->started_ns;
    agent_put_end(&out, &end);
    return say(session, AGENT_END, &out, why);
}

static enum err run(struct session *session, const struct plan *plan, struct agent_report *report,
                    struct why *why)
{
    const struct engine_watch watch = {.start = start,
                                       .brought = brought,
                                       .look = look,
                                       .attend = attend,
                                       .self = session,
                                       .interrupts = &session->ends};
    struct outcome outcome = {0};
    enum err err = engine_run(plan, &watch, &outcome, why);

    session->host->leave(session->host->self); /* Before the other side may come again. */
    if (err == ERR_NONE && session->lost) {
        *why = session->lost_why;
        err = why->err;
    } else if (err == ERR_NONE) {
        err = end(session, &outcome, why);
    }
    report->ran = outcome.finished;
    report->requests = outcome.total.requests;
    report->failures = outcome.total.failures;
    report->duration_s = outcome.duration_s;
    outcome_done(&outcome);
    return err;
}

static enum err serve(struct session *session, struct agent_report *report, struct why *why)
{
    struct parcel *parcel CLEANUP(parcel_freep) = NULL;
    const struct plan *plan;

    TRY(greet(session, why));
    TRY(session->host->admit(session->host->self, why));
    TRY(take_plan(session, &parcel, &plan, why));
    return run(session, plan, report, why);
}

enum err agent_serve(int fd, const struct agent_host *host, struct agent_report *ret_report,
                     struct why *why)
{
    struct session session = {.host = host};
    struct buf out CLEANUP(buf_done) = {0};
    struct why own = WHY_INIT;

    *ret_report = (struct agent_report){0};
    TRY(sealed_accept(fd, host->secret, within(AGENT_HELLO_NS), &session.sealed, why));
    enum err err = serve(&session, ret_report, &own);
    if (err != ERR_NONE && !session.lost && err != ERR_CLOSED) {
        agent_put_refusal(&out, &own);
        (void)say(&session, AGENT_REFUSED, &out, NULL); /* As far as somebody still listens. */
    }
    if (err != ERR_NONE && why != NULL)
        *why = own;
    buf_done(&session.out);
    (void)sealed_close(session.sealed);
    return err;
}
