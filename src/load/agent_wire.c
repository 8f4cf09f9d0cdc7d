/* SPDX-License-Identifier: Apache-2.0 */
/* Everything is a row of varints. Counters and histograms are mostly zero and go as pairs: how many
 * places further, and what stands there.
 *
 *     counters   pairs: count, then (gap, value) each
 *     histogram  counters of the buckets, sum_ns, max_ns; its count is their sum
 *     tally      counters, three histograms
 *     step       number + 1, whether streams follow (0, 1), tally, perhaps a stream tally
 *     links      0, until_ns, counters, four levels, five histograms
 */
#include "load/agent_wire.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

enum {
    TALLY_COUNTERS = offsetof(struct tally, latency) / sizeof(uint64_t),
    STREAM_COUNTERS = offsetof(struct stream_tally, ttft) / sizeof(uint64_t),
    LINKS_COUNTERS = offsetof(struct tally_links, backlog_max) / sizeof(uint64_t),
    MILLIONTHS = 1000000,
};

static enum err damaged(const char *what, struct why *why)
{
    return fail(why, ERR_CORRUPT, "%s that came is damaged", what);
}

/* ---- Numbers. ---- */

static bool take_i64(struct str *rest, int64_t *ret_value)
{
    uint64_t value;

    if (!buf_take_varint(rest, &value) || value > INT64_MAX)
        return false;
    *ret_value = (int64_t)value;
    return true;
}

/* What may never be below 0, but for a moment. */
static void put_i64(struct buf *out, int64_t value)
{
    buf_varint(out, value < 0 ? 0 : (uint64_t)value);
}

static void put_counters(struct buf *out, const uint64_t *counters, size_t count)
{
    uint64_t pairs = 0;
    size_t before = 0;

    for (size_t i = 0; i < count; i++)
        pairs += counters[i] != 0;
    buf_varint(out, pairs);
    for (size_t i = 0; i < count; i++) {
        if (counters[i] == 0)
            continue;
        buf_varint(out, i - before);
        buf_varint(out, counters[i]);
        before = i;
    }
}

/* Into counters that are all zero. */
static bool take_counters(struct str *rest, uint64_t *counters, size_t count)
{
    uint64_t pairs, gap, value;
    size_t at = 0;

    if (!buf_take_varint(rest, &pairs) || pairs > count)
        return false;
    for (uint64_t i = 0; i < pairs; i++) {
        if (!buf_take_varint(rest, &gap) || !buf_take_varint(rest, &value) || gap >= count - at ||
            (gap == 0 && i > 0) || value == 0)
            return false;
        at += (size_t)gap;
        counters[at] = value;
    }
    return true;
}

static void put_histogram(struct buf *out, const struct histogram *histogram)
{
    put_counters(out, histogram->counts, HISTOGRAM_BUCKETS);
    buf_varint(out, histogram->sum_ns);
    put_i64(out, histogram->max_ns);
}

static bool take_histogram(struct str *rest, struct histogram *histogram)
{
    if (!take_counters(rest, histogram->counts, HISTOGRAM_BUCKETS) ||
        !buf_take_varint(rest, &histogram->sum_ns) || !take_i64(rest, &histogram->max_ns) ||
        histogram->max_ns > HISTOGRAM_MAX_NS)
        return false;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (histogram->counts[i] > UINT64_MAX - histogram->count)
            return false;
        histogram->count += histogram->counts[i];
    }
    return true;
}

/* ---- Hello, and how it goes on. ---- */

void agent_put_hello(struct buf *out, struct str version)
{
    buf_varint(out, AGENT_PROTOCOL);
    buf_str(out, version);
}

enum err agent_take_hello(struct str bytes, struct agent_hello *ret_hello, struct why *why)
{
    if (!buf_take_varint(&bytes, &ret_hello->protocol) || bytes.size > AGENT_VERSION_MAX ||
        !str_is_utf8(bytes))
        return damaged("the greeting", why);
    ret_hello->version = bytes;
    return ERR_NONE;
}

void agent_put_planned(struct buf *out, const struct agent_planned *planned)
{
    buf_varint(out, planned->steps);
    buf_varint(out, planned->threads);
}

enum err agent_take_planned(struct str bytes, struct agent_planned *ret_planned, struct why *why)
{
    if (!buf_take_varint(&bytes, &ret_planned->steps) ||
        !buf_take_varint(&bytes, &ret_planned->threads) || bytes.size > 0 ||
        ret_planned->threads > PLAN_THREADS_MAX)
        return damaged("the answer to the plan", why);
    return ERR_NONE;
}

void agent_put_end(struct buf *out, const struct agent_end *end)
{
    put_i64(out, end->measured_ns);
    put_i64(out, end->cpu_ns);
    put_i64(out, (int64_t)(fmin(end->busiest, 1e6) * MILLIONTHS));
    buf_varint(out, (uint64_t)end->saturated | (uint64_t)end->interrupted << 1);
    buf_varint(out, end->trail.run);
    buf_varint(out, end->trail.count);
    for (size_t i = 0; i < end->trail.count; i++) {
        const struct trail_request *request = &end->trail.slowest[i];
        put_i64(out, request->latency_ns);
        put_i64(out, request->intended_ns);
        buf_varint(out, request->low);
        buf_varint(out, request->step << 1 | request->failed);
    }
}

static bool take_trail(struct str *rest, size_t steps_count, struct trail *trail)
{
    uint64_t count, step;

    if (!buf_take_varint(rest, &trail->run) || !buf_take_varint(rest, &count) ||
        count > TRAIL_SLOWEST_MAX)
        return false;
    trail->count = (size_t)count;
    for (size_t i = 0; i < trail->count; i++) {
        struct trail_request *request = &trail->slowest[i];
        if (!take_i64(rest, &request->latency_ns) || !take_i64(rest, &request->intended_ns) ||
            request->intended_ns > INT64_MAX / 2 || !buf_take_varint(rest, &request->low) ||
            !buf_take_varint(rest, &step) || step >> 1 >= steps_count)
            return false;
        request->step = (size_t)(step >> 1);
        request->failed = (step & 1) != 0;
    }
    return true;
}

enum err agent_take_end(struct str bytes, size_t steps_count, struct agent_end *ret_end,
                        struct why *why)
{
    int64_t busiest;
    uint64_t flags;

    if (!take_i64(&bytes, &ret_end->measured_ns) || !take_i64(&bytes, &ret_end->cpu_ns) ||
        !take_i64(&bytes, &busiest) || !buf_take_varint(&bytes, &flags) || flags > 3)
        return damaged("the end", why);
    ret_end->trail = (struct trail){0};
    if (!take_trail(&bytes, steps_count, &ret_end->trail) || bytes.size > 0)
        return damaged("the end", why);
    ret_end->busiest = (double)busiest / MILLIONTHS;
    ret_end->saturated = (flags & 1) != 0;
    ret_end->interrupted = (flags & 2) != 0;
    return ERR_NONE;
}

void agent_put_number(struct buf *out, uint64_t number)
{
    buf_varint(out, number);
}

enum err agent_take_number(struct str bytes, uint64_t most, uint64_t *ret_number, struct why *why)
{
    uint64_t number;

    if (!buf_take_varint(&bytes, &number) || bytes.size > 0 || number > most)
        return damaged("a number", why);
    *ret_number = number;
    return ERR_NONE;
}

void agent_put_refusal(struct buf *out, const struct why *why)
{
    struct str text = str_of(why->text);

    buf_varint(out, why->err);
    buf_varint(out, text.size);
    buf_str(out, text);
    buf_text(out, why->hint);
}

enum err agent_take_refusal(struct str bytes, struct why *why)
{
    uint64_t code, size;

    if (!buf_take_varint(&bytes, &code) || code == ERR_NONE || code >= ERR_COUNT ||
        !buf_take_varint(&bytes, &size) || size > bytes.size || size >= WHY_TEXT_SIZE ||
        bytes.size - size >= WHY_HINT_SIZE || !str_is_utf8(bytes))
        return damaged("a refusal", why);
    enum err err = fail(why, (enum err)code, "%.*s", (int)size, bytes.data);
    if (bytes.size > size)
        hint(why, "%.*s", (int)(bytes.size - size), bytes.data + size);
    return err;
}

/* ---- An interval. ---- */

void agent_put_step(struct buf *out, size_t step, const struct tally *tally,
                    const struct stream_tally *streams)
{
    buf_varint(out, step + 1);
    buf_varint(out, streams != NULL);
    put_counters(out, &tally->requests, TALLY_COUNTERS);
    put_histogram(out, &tally->latency);
    put_histogram(out, &tally->service);
    put_histogram(out, &tally->first_byte);
    if (streams == NULL)
        return;
    put_counters(out, &streams->streams, STREAM_COUNTERS);
    put_histogram(out, &streams->ttft);
    put_histogram(out, &streams->gap);
    put_histogram(out, &streams->tpot);
    put_histogram(out, &streams->e2e);
}

void agent_put_links(struct buf *out, int64_t until_ns, const struct tally_links *links)
{
    buf_varint(out, 0);
    put_i64(out, until_ns);
    put_counters(out, &links->connects, LINKS_COUNTERS);
    put_i64(out, links->backlog_max);
    put_i64(out, links->backlog);
    put_i64(out, links->users_active);
    put_i64(out, links->connections_open);
    put_histogram(out, &links->dns);
    put_histogram(out, &links->connect);
    put_histogram(out, &links->tls);
    put_histogram(out, &links->lateness);
    put_histogram(out, &links->queued);
}

static bool take_tally(struct str *rest, struct tally *tally)
{
    memset(tally, 0, sizeof(*tally));
    return take_counters(rest, &tally->requests, TALLY_COUNTERS) &&
           take_histogram(rest, &tally->latency) && take_histogram(rest, &tally->service) &&
           take_histogram(rest, &tally->first_byte);
}

static bool take_streams(struct str *rest, struct stream_tally *streams)
{
    memset(streams, 0, sizeof(*streams));
    return take_counters(rest, &streams->streams, STREAM_COUNTERS) &&
           take_histogram(rest, &streams->ttft) && take_histogram(rest, &streams->gap) &&
           take_histogram(rest, &streams->tpot) && take_histogram(rest, &streams->e2e);
}

enum err agent_take_step(struct str *rest, size_t steps_count, size_t *ret_step,
                         struct tally *tally, struct stream_tally *streams, bool *ret_streams,
                         struct why *why)
{
    uint64_t number, flag;

    if (!buf_take_varint(rest, &number) || number > steps_count)
        return damaged("an interval", why);
    *ret_streams = false;
    *ret_step = number == 0 ? steps_count : (size_t)number - 1;
    if (number == 0)
        return ERR_NONE;
    if (!buf_take_varint(rest, &flag) || flag > 1 || !take_tally(rest, tally) ||
        (flag == 1 && !take_streams(rest, streams)))
        return damaged("an interval", why);
    *ret_streams = flag == 1;
    return ERR_NONE;
}

enum err agent_take_links(struct str rest, int64_t *ret_until_ns, struct tally_links *links,
                          struct why *why)
{
    memset(links, 0, sizeof(*links));
    if (!take_i64(&rest, ret_until_ns) || !take_counters(&rest, &links->connects, LINKS_COUNTERS) ||
        !take_i64(&rest, &links->backlog_max) || !take_i64(&rest, &links->backlog) ||
        !take_i64(&rest, &links->users_active) || !take_i64(&rest, &links->connections_open) ||
        !take_histogram(&rest, &links->dns) || !take_histogram(&rest, &links->connect) ||
        !take_histogram(&rest, &links->tls) || !take_histogram(&rest, &links->lateness) ||
        !take_histogram(&rest, &links->queued) || rest.size > 0)
        return damaged("an interval", why);
    return ERR_NONE;
}
