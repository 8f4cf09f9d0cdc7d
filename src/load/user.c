/* SPDX-License-Identifier: Apache-2.0 */
/* The way of a user through its steps.
 *
 * A request fails late or at once; when it fails at once (no port, refused on loopback) the next
 * one must not follow from within the same call, or a dead target would eat the stack. So after a
 * failure the closed model always takes a breath by the wake timer, longer with each failure in a
 * row; the open model waits for the next arrival anyway.
 *
 * The timeout timer is never stopped between requests: pushing it back is a single store, and when
 * it fires for a user who has its answer, nothing happens. */
#include "load/user.h"

#include "base/clock.h"
#include "load/draw.h"
#include "load/driver.h"
#include "load/link.h"
#include "load/prompt.h"
#include "load/script.h"
#include "load/session.h"

#define BREATH_FIRST_NS CLOCK_NS_PER_MS
#define BREATH_MAX_NS   CLOCK_NS_PER_S

enum { OPS_AT_ONCE = 1000 };

static void expired(struct loop_timer *timer);
static void go_on(struct user *user, int64_t now_ns);

void user_init(struct user *user, struct driver *driver, uint32_t index, struct link *links)
{
    *user = (struct user){.driver = driver, .index = index, .links = links, .state = USER_ASLEEP};
}

void user_done(struct user *user)
{
    if (user->driver == NULL)
        return;
    loop_timer_stop(user->driver->loop, &user->timeout);
    loop_timer_stop(user->driver->loop, &user->wake);
    user->session = session_free(user->session);
}

/* ---- Iterations. ---- */

static const struct scenario *choose(struct driver *driver)
{
    const struct plan *plan = driver->plan;
    double total = 0;

    if (plan->scenarios_count == 1)
        return plan->scenarios[0];
    for (size_t i = 0; i < plan->scenarios_count; i++)
        total += plan->scenarios[i]->weight;
    double left = random_unit(&driver->random) * total;
    for (size_t i = 0; i + 1 < plan->scenarios_count; i++) {
        left -= plan->scenarios[i]->weight;
        if (left < 0)
            return plan->scenarios[i];
    }
    return plan->scenarios[plan->scenarios_count - 1];
}

void user_begin(struct user *user, int64_t intended_ns)
{
    struct driver *driver = user->driver;

    user->scenario = choose(driver);
    driver->iterating++;
    user->op_index = 0;
    user->iteration_failed = false;
    user->has_sent = false;
    if (driver->plan->has_scripts && user->session == NULL)
        user->session = session_new(driver->plan, driver_number(driver, user->index));
    if (user->session != NULL)
        session_begin(user->session, &driver->random);
    go_on(user, intended_ns);
}

static void issue(struct user *user, const struct step *step, int64_t intended_ns)
{
    struct driver *driver = user->driver;

    user->step = step;
    user->has_sent = true;
    user->intended_ns = intended_ns;
    user->sent_ns = 0;
    user->first_byte_ns = 0;
    user->body = step->body;
    user->state = USER_WAITING;
    user->link = &user->links[step->origin];
    user->deadline_ns = intended_ns + step->timeout_ns;
    if (step->is_traced)
        user->trace_low = trail_next(&driver->trail);
    driver->waiting++;
    if (step->script != NULL)
        session_answer(user->session);
    loop_timer_start(driver->loop, &user->timeout, user->deadline_ns, expired);
    link_submit(user->link, user);
}

/* When the time is over nothing is begun any more; iterations that were asked for by number are
 * finished. */
static bool user_is_cut(const struct user *user)
{
    return user->driver->ending && !(user->driver->finishing && user->scenario != NULL);
}

static void woken(struct loop_timer *timer)
{
    struct user *user = CONTAINER_OF(timer, struct user, wake);
    struct driver *driver = user->driver;
    int64_t now_ns = clock_monotonic_ns();

    driver->now_ns = now_ns;
    if (user_is_cut(user)) {
        user->state = USER_ASLEEP;
        return;
    }
    if (user->scenario != NULL)
        go_on(user, timer->deadline_ns); /* What the pause ended at is when it was meant to be. */
    else
        driver_user_free(driver, user, now_ns);
}

static void rest(struct user *user, int64_t until_ns)
{
    user->state = USER_RESTING;
    loop_timer_start(user->driver->loop, &user->wake, until_ns, woken);
}

static void finish_iteration(struct user *user, int64_t now_ns)
{
    struct driver *driver = user->driver;

    COUNTER_ADD(driver->counts->iterations, 1);
    driver->iterating--;
    bool idle = !user->has_sent;
    user->scenario = NULL;
    user->op_index = 0;
    if (user->session != NULL)
        user->session->iteration++;
    if (user->failures_in_row > 0 && driver->plan->model == MODEL_CLOSED && !driver->ending) {
        unsigned shift = user->failures_in_row > 10 ? 10 : user->failures_in_row - 1;
        int64_t breath_ns = BREATH_FIRST_NS << shift;
        rest(user, now_ns + (breath_ns > BREATH_MAX_NS ? BREATH_MAX_NS : breath_ns));
        return;
    }
    /* An iteration that had nothing to send must not be followed at once by the next. */
    if (idle)
        rest(user, now_ns + BREATH_FIRST_NS);
    else
        driver_user_free(driver, user, now_ns);
}

/* One turn of a loop is over: is there another? */
static bool turns_again(struct user *user, const struct op *op)
{
    struct session *session = user->session;

    if (++session->loops[op->loop] >= op->times)
        return false;
    if (op->prompt != NULL && !prompt_has_turn(op->prompt, session))
        return false;
    return op->condition == NULL || !condition_holds(op->condition, session, &user->driver->random);
}

/* Does what is no request; returns how long to pause, 0 not to. */
static int64_t take_op(struct user *user, const struct op *op)
{
    switch (op->kind) {
    case OP_REQUEST:
        return 0;
    case OP_PAUSE:
        return draw_think(&user->driver->random, &op->pause);
    case OP_UNLESS:
        if (!condition_holds(op->condition, user->session, &user->driver->random))
            user->op_index = op->to;
        return 0;
    case OP_LOOP:
        user->session->loops[op->loop] = 0;
        return 0;
    case OP_AGAIN:
        if (turns_again(user, op))
            user->op_index = op->to;
        return 0;
    }
    return 0;
}

/* To the next request or pause, or to the end of the iteration. Loops that send nothing must not
 * hold up the thread. */
static void go_on(struct user *user, int64_t now_ns)
{
    const struct scenario *scenario = user->scenario;

    for (int i = 0; i < OPS_AT_ONCE && user->op_index < scenario->ops_count; i++) {
        const struct op *op = &scenario->ops[user->op_index++];
        if (op->kind == OP_REQUEST) {
            issue(user, op->step, now_ns);
            return;
        }
        int64_t pause_ns = take_op(user, op);
        if (pause_ns > 0) {
            rest(user, now_ns + pause_ns);
            return;
        }
    }
    if (user->op_index < scenario->ops_count)
        rest(user, now_ns + BREATH_FIRST_NS);
    else
        finish_iteration(user, now_ns);
}

/* After an answer: the next step, or the end of the iteration. */
static void answered(struct user *user, int64_t now_ns)
{
    struct driver *driver = user->driver;

    if (user->iteration_failed || user->op_index == user->scenario->ops_count ||
        user_is_cut(user)) {
        finish_iteration(user, now_ns);
        return;
    }
    int64_t pause_ns = draw_think(&driver->random, &user->scenario->pause);
    if (pause_ns > 0)
        rest(user, now_ns + pause_ns);
    else
        go_on(user, now_ns);
}

/* ---- How requests end. ---- */

void user_field(struct user *user, struct str name, struct str value)
{
    session_field(user->session, user->step, name, value);
}

static struct histogram *gaps_of(struct user *user)
{
    struct stream_tally *tally = driver_streams(user->driver, user);

    return tally == NULL ? NULL : &tally->gap;
}

void user_body(struct user *user, struct str piece, int64_t now_ns)
{
    const struct script *script = user->step->script;
    struct session *session = user->session;

    if (script->is_stream && !stream_feed(&session->stream, piece, now_ns, gaps_of(user)))
        session->stream.failed = true;
    if (script->wants_body)
        session_body(session, piece);
}

bool user_has_cookies(const struct user *user)
{
    return user->session->cookies.count > 0;
}

struct request_pieces user_request(struct user *user, struct http_header *fields)
{
    struct request_pieces pieces =
        session_request(user->session, user->step, &user->driver->random, fields);

    user->body = pieces.body;
    return pieces;
}

/* Was it one of the slowest? */
static void remember(struct user *user, int64_t now_ns, bool failed)
{
    struct driver *driver = user->driver;
    int64_t latency_ns = now_ns - user->intended_ns;

    if (!user->step->is_traced || user->intended_ns < driver->measured_from_ns ||
        !trail_wants(&driver->trail, latency_ns))
        return;
    trail_keep(&driver->trail, &(struct trail_request){.latency_ns = latency_ns,
                                                       .intended_ns = user->intended_ns,
                                                       .low = user->trace_low,
                                                       .step = user->step->index,
                                                       .failed = failed});
}

static enum fault judge_stream(struct user *user, int64_t now_ns)
{
    struct stream *stream = &user->session->stream;

    stream_finish(stream, now_ns, gaps_of(user));
    if (stream->failed)
        return FAULT_STREAM_ERROR;
    if (stream->chunks == 0)
        return FAULT_NO_TOKEN;
    if (!stream->ended)
        return FAULT_CUT_STREAM;
    struct stream_tally *tally = driver_streams(user->driver, user);
    if (tally != NULL)
        stream_tally_add(tally, stream, user->sent_ns, &user->driver->plan->slo);
    return FAULT_COUNT;
}

/* Is a complete answer also a good one? FAULT_COUNT: it is. */
static enum fault judge(struct user *user, unsigned status, int64_t now_ns)
{
    const struct script *script = user->step->script;
    const struct session *session = user->session;

    if (!script_status_is_good(script, status))
        return FAULT_STATUS;
    if (user->step->is_grpc && !user->grpc_ok)
        return FAULT_GRPC;
    if (script == NULL)
        return FAULT_COUNT;
    if (session->overflowed)
        return FAULT_TOO_LARGE;
    if (script->is_stream) {
        enum fault fault = judge_stream(user, now_ns);
        if (fault != FAULT_COUNT)
            return fault;
    }
    const struct answer answer = {.status = status,
                                  .head = buf_view(&session->head),
                                  .body = buf_view(&session->body),
                                  .took_ns = now_ns - user->sent_ns};
    return script_look(script, &answer, user->session, &user->driver->random);
}

void user_answered(struct user *user, unsigned status, int64_t now_ns)
{
    struct driver *driver = user->driver;
    struct tally *tally = driver_tally(driver, user);
    int64_t first_ns = user->first_byte_ns == 0 ? now_ns : user->first_byte_ns;
    enum fault fault = judge(user, status, now_ns);

    driver->waiting--;
    tally_answer(tally, now_ns - user->intended_ns, now_ns - user->sent_ns,
                 first_ns - user->sent_ns, status);
    remember(user, now_ns, fault != FAULT_COUNT);
    user->failures_in_row = 0;
    if (fault != FAULT_COUNT) {
        COUNTER_ADD(tally->failures, 1);
        COUNTER_ADD(tally->faults[fault], 1);
        user->iteration_failed = true;
    }
    user->state = USER_ASLEEP;
    if (driver->stamps) { /* The answer is older than this moment. */
        now_ns = clock_monotonic_ns();
        driver->now_ns = now_ns;
    }
    answered(user, now_ns);
}

void user_failed(struct user *user, enum fault fault, int64_t now_ns)
{
    struct driver *driver = user->driver;
    struct tally *tally = driver_tally(driver, user);

    driver->waiting--;
    driver->now_ns = now_ns;
    tally_fault(tally, fault);
    if (fault == FAULT_TIMEOUT || fault == FAULT_CONNECT_TIMEOUT) {
        histogram_add(&tally->latency, now_ns - user->intended_ns);
        if (user->sent_ns > 0)
            histogram_add(&tally->service, now_ns - user->sent_ns);
        remember(user, now_ns, true);
    }
    user->failures_in_row++;
    user->iteration_failed = true;
    user->state = USER_ASLEEP;
    finish_iteration(user, now_ns);
}

static void expired(struct loop_timer *timer)
{
    struct user *user = CONTAINER_OF(timer, struct user, timeout);
    enum fault fault = user->sent_ns == 0 ? FAULT_CONNECT_TIMEOUT : FAULT_TIMEOUT;

    if (user->state != USER_WAITING || timer->deadline_ns < user->deadline_ns)
        return;
    link_forget(user->link, user);
    user_failed(user, fault, clock_monotonic_ns());
}
