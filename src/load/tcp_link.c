/* SPDX-License-Identifier: Apache-2.0 */
/* Plain TCP (or TLS) on a link: bytes go out as they are, and what comes back is complete where the
 * step says: behind certain bytes, after so many, or when the peer closes.
 *
 * One user at a time: without frames nobody could tell two answers apart. */
#include "base/clock.h"
#include "load/driver.h"
#include "load/link.h"
#include "load/request.h"
#include "load/user.h"

static void send_bytes(struct link *link, struct user *user)
{
    struct driver *driver = link->driver;
    struct str wire = user->step->wire;
    const struct ending *ending = &user->step->ending;

    if (user_changes(user)) {
        struct http_header fields[PLAN_HEADERS_MAX + 1];
        wire = user_request(user, fields).body;
    }
    uint32_t epoch = link->epoch;
    user_list_append(&link->underway, user);
    user_sent(user, driver->now_ns);
    link->body_bytes = 0;
    COUNTER_ADD(driver_tally(driver, user)->bytes_out, wire.size);
    if (wire.size > 0)
        link_write(link, wire);
    if (link->epoch == epoch && ending->until.size == 0 && ending->size == 0 && !ending->to_close) {
        (void)user_list_take(&link->underway); /* Nothing is expected. */
        user_answered(user, 0, clock_monotonic_ns());
    }
}

static void finish(struct link *link, int64_t now_ns)
{
    struct user *user = user_list_take(&link->underway);

    link->answers++;
    buf_clear(&link->input);
    user_answered(user, 0, now_ns);
}

/* Has the answer come to its end? The last bytes are kept, for an end that is cut in two. */
static bool is_complete(struct link *link, const struct ending *ending, struct str bytes)
{
    if (ending->size > 0)
        return link->body_bytes >= ending->size;
    if (ending->until.size == 0)
        return false;
    buf_str(&link->input, bytes);
    if (str_find_str(buf_view(&link->input), ending->until) >= 0)
        return true;
    if (link->input.size >= ending->until.size)
        buf_consume(&link->input, link->input.size - ending->until.size + 1);
    return false;
}

static void receive(struct link *link, struct str bytes, int64_t now_ns)
{
    struct driver *driver = link->driver;
    struct user *user = link->underway.first;

    driver->now_ns = now_ns;
    if (user == NULL)
        return; /* A greeting, or more than was asked for. */
    user_first_byte(user, now_ns);
    COUNTER_ADD(driver_tally(driver, user)->bytes_in, bytes.size);
    link->body_bytes += bytes.size;
    if (link->body_bytes > driver->plan->answer_bytes_max) {
        link_fail(link, FAULT_TOO_LARGE);
        return;
    }
    if (user_looks(user))
        user_body(user, bytes, now_ns);
    if (is_complete(link, &user->step->ending, bytes))
        finish(link, now_ns);
}

static void hung_up(struct link *link)
{
    struct user *user = link->underway.first;

    if (user != NULL && user->step->ending.to_close) {
        (void)user_list_take(&link->underway);
        link_close(link);
        user_answered(user, 0, clock_monotonic_ns());
    } else if (user != NULL) {
        link_fail(link, link->body_bytes > 0 ? FAULT_SHORT_BODY : FAULT_CLOSED);
    } else {
        link_close(link);
    }
}

const struct protocol protocol_tcp = {
    .name = "TCP",
    .send = send_bytes,
    .receive = receive,
    .hung_up = hung_up,
};
