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
#include "load/driver.h"
#include "load/link.h"

#define BREATH_FIRST_NS CLOCK_NS_PER_MS
#define BREATH_MAX_NS   CLOCK_NS_PER_S

static void expired(struct loop_timer *timer);
static void issue(struct user *user, int64_t intended_ns);

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
    user->scenario = choose(user->driver);
    user->step_index = 0;
    user->iteration_failed = false;
    issue(user, intended_ns);
}

static void issue(struct user *user, int64_t intended_ns)
{
    struct driver *driver = user->driver;
    const struct step *step = user->scenario->steps[user->step_index];

    user->step = step;
    user->intended_ns = intended_ns;
    user->sent_ns = 0;
    user->first_byte_ns = 0;
    user->state = USER_WAITING;
    user->link = &user->links[step->origin];
    user->deadline_ns = intended_ns + step->timeout_ns;
    driver->waiting++;
    loop_timer_start(driver->loop, &user->timeout, user->deadline_ns, expired);
    link_submit(user->link, user);
}

static void woken(struct loop_timer *timer)
{
    struct user *user = CONTAINER_OF(timer, struct user, wake);
    struct driver *driver = user->driver;
    int64_t now_ns = clock_monotonic_ns();

    driver->now_ns = now_ns;
    if (driver->ending) {
        user->state = USER_ASLEEP;
        return;
    }
    if (user->scenario != NULL && user->step_index > 0)
        issue(user, timer->deadline_ns); /* What the pause ended at is when it was meant to be. */
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
    user->scenario = NULL;
    user->step_index = 0;
    if (user->failures_in_row > 0 && driver->plan->model == MODEL_CLOSED && !driver->ending) {
        unsigned shift = user->failures_in_row > 10 ? 10 : user->failures_in_row - 1;
        int64_t breath_ns = BREATH_FIRST_NS << shift;
        rest(user, now_ns + (breath_ns > BREATH_MAX_NS ? BREATH_MAX_NS : breath_ns));
        return;
    }
    driver_user_free(driver, user, now_ns);
}

/* After an answer: the next step, or the end of the iteration. */
static void go_on(struct user *user, int64_t now_ns)
{
    struct driver *driver = user->driver;
    const struct scenario *scenario = user->scenario;

    if (user->iteration_failed || ++user->step_index == scenario->steps_count || driver->ending) {
        finish_iteration(user, now_ns);
        return;
    }
    int64_t pause_ns = driver_draw(driver, &scenario->pause);
    if (pause_ns > 0)
        rest(user, now_ns + pause_ns);
    else
        issue(user, now_ns);
}

/* ---- How requests end. ---- */

static bool is_failure(unsigned status)
{
    return status >= 400 && status < TALLY_STATUS_MAX;
}

void user_answered(struct user *user, unsigned status, int64_t now_ns)
{
    struct driver *driver = user->driver;
    struct tally *tally = driver_tally(driver, user);
    int64_t first_ns = user->first_byte_ns == 0 ? now_ns : user->first_byte_ns;

    driver->waiting--;
    tally_answer(tally, now_ns - user->intended_ns, now_ns - user->sent_ns,
                 first_ns - user->sent_ns, status);
    user->failures_in_row = 0;
    if (is_failure(status)) {
        COUNTER_ADD(tally->failures, 1);
        COUNTER_ADD(tally->faults[FAULT_STATUS], 1);
        user->iteration_failed = true;
    }
    user->state = USER_ASLEEP;
    go_on(user, now_ns);
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
