/* SPDX-License-Identifier: Apache-2.0 */
/* A parcel goes round: filled from the queue, given to the first target that is free, and, by the
 * answer, forgotten, given again, or taken apart:
 *
 *     empty ─► full ─► under way ─┬─► arrived, or refused for good ─► forgotten, empty
 *                ▲                ├─► later ──► full
 *                │                └─► refused or too large, of several rows ─► one row at a time
 *                └───────────────────────────────────────────────────────────────┘
 *
 * The order of targets is asked anew for each parcel: so a target that is well again gets the next
 * one, and the way back from the second to the first needs no rule of its own. */
#include "export/exporter_priv.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>

enum {
    ROWS_MAX = 256, /* Of the queue, joined in one message. */
    GZIP_BYTES_MIN = 512,
    RESPONSE_BYTES_MAX = 1 << 20,
    HEADERS_OWN = 5,
};

static const size_t MESSAGE_BYTES_MIN = (size_t)1 << 20; /* Joined until it has so many. */
static const int64_t QUEUE_RETRY_NS = 5 * CLOCK_NS_PER_S;

static void on_timer(struct loop_timer *timer)
{
    route_pump(CONTAINER_OF(timer, struct route, timer));
}

/* ---- Which target. ---- */

/* NULL: none now; *ret_wake_ns is when to ask again, INT64_MAX: after an answer. */
static struct target *choose(struct route *route, int64_t now_ns, int64_t *ret_wake_ns)
{
    *ret_wake_ns = INT64_MAX;
    for (size_t i = 0; i < route->targets_count; i++) {
        struct target *target = &route->targets[i];
        int64_t wake_ns;
        if (target_is_free(target, now_ns, &wake_ns))
            return target;
        if (wake_ns < *ret_wake_ns)
            *ret_wake_ns = wake_ns;
        if (target_is_worth_waiting(target, now_ns))
            return NULL;
    }
    return NULL;
}

static void note_target(struct route *route, const struct target *target)
{
    if (route->status.target == target->name)
        return;
    if (route->status.target != NULL)
        log_line(target == &route->targets[0] ? LOG_INFO : LOG_WARNING, "export", "%s go to %s now",
                 exporter_signal_names[route->signal], target->name);
    exporter_lock(route->exporter);
    route->status.target = target->name;
    exporter_unlock(route->exporter);
}

/* ---- Filling. ---- */

/* Of one that is taken apart: its next row. False: there is none any more. */
static bool fill_single(struct parcel *parcel, enum err *ret_err, struct why *why)
{
    struct route *route = parcel->route;

    *ret_err = queue_read(route->exporter->reader, route->signal, parcel->split_at, 1, 0,
                          &parcel->body, &parcel->rows, why);
    if (*ret_err != ERR_NONE)
        return false;
    parcel->split_at = parcel->rows.last_id;
    if (parcel->rows.last_id != 0 && parcel->rows.last_id <= parcel->split_end)
        return true;
    parcel->split_end = 0;
    buf_clear(&parcel->body);
    return false;
}

static enum err fill_parcel(struct parcel *parcel, struct why *why)
{
    struct route *route = parcel->route;
    struct queue_reader *reader = route->exporter->reader;
    enum err err = ERR_NONE;

    buf_clear(&parcel->body);
    while (parcel->split_end > 0 && !parcel->is_full && err == ERR_NONE) {
        if (!fill_single(parcel, &err, why))
            break;
        parcel->is_full = parcel->rows.rows > 0; /* Else its checksum is wrong. */
    }
    while (err == ERR_NONE && parcel->split_end == 0 && !parcel->is_full) {
        err = queue_read(reader, route->signal, route->read_id, ROWS_MAX, MESSAGE_BYTES_MIN,
                         &parcel->body, &parcel->rows, why);
        if (err != ERR_NONE || parcel->rows.last_id == 0)
            break;
        route->read_id = parcel->rows.last_id;
        parcel->is_full = parcel->rows.rows > 0;
        if (!parcel->is_full)
            queue_forget(route->exporter->queue, route->signal, parcel->rows.first_id,
                         parcel->rows.last_id);
    }
    return err;
}

/* ---- Sending. ---- */

static void finished(void *self, const struct http_reply *reply);

/* | flag: compressed | length, big end first | message | */
static void make_grpc_body(struct exporter *exporter, struct str message, bool compress,
                           struct buf *out)
{
    uint8_t head[5] = {compress};

    buf_append(out, head, sizeof(head));
    if (compress)
        http_gzip_compress(exporter->gzip, message, out);
    else
        buf_str(out, message);
    size_t size = out->size - sizeof(head);
    for (int i = 0; i < 4; i++)
        out->data[4 - i] = (char)(size >> (8 * i) & 0xff);
}

static void make_body(struct exporter *exporter, const struct parcel *parcel, bool compress,
                      struct buf *out)
{
    struct str message = buf_view(&parcel->body);

    if (parcel->target->is_grpc)
        make_grpc_body(exporter, message, compress, out);
    else if (compress)
        http_gzip_compress(exporter->gzip, message, out);
    else
        buf_str(out, message);
}

static enum err post(struct parcel *parcel, struct why *why)
{
    struct exporter *exporter = parcel->route->exporter;
    struct http_header headers[EXPORT_HEADERS_MAX + HEADERS_OWN];
    bool is_grpc = parcel->target->is_grpc;
    bool compress = exporter->options.gzip && parcel->body.size >= GZIP_BYTES_MIN;
    struct buf body = {0};
    size_t count = 0;
    char timeout[32];

    (void)snprintf(timeout, sizeof(timeout), "%lldm", (long long)exporter->options.timeout_ms);
    headers[count++] = (struct http_header){
        STR("Content-Type"), is_grpc ? STR("application/grpc") : STR("application/x-protobuf")};
    if (is_grpc) {
        headers[count++] = (struct http_header){STR("TE"), STR("trailers")};
        headers[count++] = (struct http_header){STR("grpc-timeout"), str_of(timeout)};
    }
    if (compress)
        headers[count++] = (struct http_header){
            is_grpc ? STR("grpc-encoding") : STR("Content-Encoding"), STR("gzip")};
    for (size_t i = 0; i < exporter->headers_count; i++)
        headers[count++] = exporter->headers[i];
    make_body(exporter, parcel, compress, &body);
    const struct http_call_options options = {
        .url = parcel->target->url[parcel->route->signal],
        .headers = headers,
        .headers_count = count,
        .body = &body,
        .timeout_ns = exporter->options.timeout_ms * CLOCK_NS_PER_MS,
        .response_bytes_max = RESPONSE_BYTES_MAX,
        .ca_file = exporter->options.ca_file,
        .unverified = exporter->options.unverified,
        .only_http2 = is_grpc,
    };
    enum err err = http_client_send(exporter->client, &options, finished, parcel, NULL, why);
    buf_done(&body); /* Empty when it was taken. */
    return err;
}

/* ---- Answers. ---- */

static void forget(struct parcel *parcel)
{
    queue_forget(parcel->route->exporter->queue, parcel->route->signal, parcel->rows.first_id,
                 parcel->rows.last_id);
    parcel->is_full = false;
}

static void split(struct parcel *parcel)
{
    parcel->split_at = parcel->rows.first_id - 1;
    parcel->split_end = parcel->rows.last_id;
    parcel->is_full = false;
}

static void log_answer(const struct route *route, const struct target *target, bool was_failing,
                       const struct parcel *parcel, const struct answer_meaning *meaning)
{
    const char *name = exporter_signal_names[route->signal];

    switch (meaning->verdict) {
    case VERDICT_ARRIVED:
        if (was_failing)
            log_line(LOG_INFO, "export", "%s takes %s again", target->name, name);
        if (meaning->why.text[0] != '\0')
            log_line(LOG_WARNING, "export", "%s took %s in part: %s", target->name, name,
                     meaning->why.text);
        break;
    case VERDICT_LATER:
    case VERDICT_MISTAKEN:
        if (!was_failing)
            log_line(LOG_WARNING, "export", "%s cannot go to %s, and wait: %s", name, target->name,
                     meaning->why.text);
        break;
    case VERDICT_TOO_LARGE:
    case VERDICT_REFUSED:
        if (parcel->rows.rows == 1)
            log_line(LOG_WARNING, "export", "%s refuses %llu %s for good: %s", target->name,
                     (unsigned long long)parcel->rows.items, name, meaning->why.text);
        break;
    }
}

static void count_answer(struct route *route, const struct parcel *parcel,
                         const struct answer_meaning *meaning)
{
    struct exporter_status *status = &route->status;
    uint64_t items = parcel->rows.items;
    uint64_t rejected = meaning->rejected_items < items ? meaning->rejected_items : items;

    exporter_lock(route->exporter);
    status->is_failing = meaning->verdict == VERDICT_LATER || meaning->verdict == VERDICT_MISTAKEN;
    status->failures += status->is_failing;
    if (meaning->verdict == VERDICT_ARRIVED) {
        status->sent_items += items - rejected;
        status->refused_items += rejected;
        status->sent_ms = clock_now_ms();
    } else if (!status->is_failing && parcel->rows.rows == 1) {
        status->refused_items += items;
    }
    if (meaning->why.text[0] != '\0')
        (void)snprintf(status->complaint, sizeof(status->complaint), "%s", meaning->why.text);
    exporter_unlock(route->exporter);
}

static void conclude(struct parcel *parcel, const struct answer_meaning *meaning)
{
    struct route *route = parcel->route;
    struct target *target = TAKE(parcel->target);
    bool was_failing = target->failures > 0;

    target_ended(target, meaning, clock_monotonic_ns());
    log_answer(route, target, was_failing, parcel, meaning);
    count_answer(route, parcel, meaning);
    if (meaning->verdict == VERDICT_ARRIVED)
        forget(parcel);
    else if (meaning->verdict == VERDICT_TOO_LARGE || meaning->verdict == VERDICT_REFUSED) {
        if (parcel->rows.rows > 1)
            split(parcel);
        else
            forget(parcel);
    }
}

static void finished(void *self, const struct http_reply *reply)
{
    struct parcel *parcel = self;
    struct answer_meaning meaning;

    answer_read(reply, parcel->target->is_grpc, clock_now_ms(), &meaning);
    conclude(parcel, &meaning);
    route_pump(parcel->route);
}

static void send_parcel(struct parcel *parcel, struct target *target)
{
    struct answer_meaning meaning = {.verdict = VERDICT_MISTAKEN, .why = WHY_INIT};

    note_target(parcel->route, target);
    parcel->target = target;
    target_began(target);
    if (post(parcel, &meaning.why) == ERR_NONE)
        return;
    conclude(parcel, &meaning); /* Kept: libcurl may be installed, an address mended. */
    loop_timer_start(parcel->route->exporter->loop, &parcel->route->timer, target->not_before_ns,
                     on_timer);
}

void route_pump(struct route *route)
{
    struct exporter *exporter = route->exporter;
    int64_t now_ns = clock_monotonic_ns();

    for (size_t i = 0; i < PARCELS; i++) {
        struct parcel *parcel = &route->parcels[i];
        struct why why = WHY_INIT;
        int64_t wake_ns;
        if (parcel->target != NULL)
            continue;
        struct target *target = choose(route, now_ns, &wake_ns);
        if (target == NULL) {
            if (wake_ns != INT64_MAX)
                loop_timer_start(exporter->loop, &route->timer, wake_ns, on_timer);
            return;
        }
        if (!parcel->is_full && fill_parcel(parcel, &why) != ERR_NONE) {
            log_why(LOG_WARNING, "export", &why);
            loop_timer_start(exporter->loop, &route->timer, now_ns + QUEUE_RETRY_NS, on_timer);
            return;
        }
        if (parcel->is_full)
            send_parcel(parcel, target);
    }
}
