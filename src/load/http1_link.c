/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1 on a link: requests go out as they are, answers come back in the same order, so the first
 * user under way is the one that an answer belongs to. More than one is under way only where
 * pipelining was asked for.
 *
 *     head ─► body by length, in chunks, or until the peer closes ─► the next answer's head
 *
 * Bodies are counted and dropped unless the user looks into them. An answer that comes in one
 * piece, the usual case, is never copied; only the start of a head that is cut off waits in
 * link->input. */
#include "base/clock.h"
#include "load/driver.h"
#include "load/link.h"
#include "load/request.h"
#include "load/script.h"
#include "load/user.h"

enum { HEAD_BYTES_MAX = 32 << 10 };

static const struct http1_limits limits = {.head_bytes_max = HEAD_BYTES_MAX,
                                           .fields_max = HTTP_FIELDS_MAX};

static void send_request(struct link *link, struct user *user)
{
    struct driver *driver = link->driver;
    struct str wire = user->step->wire;

    if (user_changes(user)) {
        struct http_header fields[PLAN_HEADERS_MAX + 1];
        struct request_pieces pieces = user_request(user, fields);
        char parent[TRAIL_PARENT_SIZE];
        if (user->step->is_traced) {
            trail_write_parent(driver->trail.run, user->trace_low, parent);
            pieces.traceparent = (struct str){parent, sizeof(parent)};
        }
        buf_clear(&driver->scratch);
        request_write(&pieces, &driver->scratch);
        wire = buf_view(&driver->scratch);
    } else if (user->step->is_traced) {
        buf_clear(&driver->scratch);
        buf_str(&driver->scratch, wire);
        trail_write_parent(driver->trail.run, user->trace_low,
                           driver->scratch.data + user->step->trace_at);
        wire = buf_view(&driver->scratch);
    }
    user_list_append(&link->underway, user);
    user_sent(user, driver->now_ns);
    COUNTER_ADD(driver_tally(driver, user)->bytes_out, wire.size);
    link_write(link, wire);
}

/* ---- Heads. ---- */

static struct str rest_of(struct str bytes, size_t used)
{
    return (struct str){bytes.data + used, bytes.size - used};
}

static void begin_body(struct link *link, const struct head_memo *head)
{
    link->status = head->status;
    link->body = (enum http1_framing)head->framing;
    link->body_left = head->content_length;
    link->body_bytes = 0;
    link->keep_alive = head->keep_alive;
    link->in_body = true;
    if (link->body == HTTP1_BODY_CHUNKED)
        http1_chunked_init(&link->chunked);
}

static struct head_memo *memo_of(struct link *link, const struct step *step)
{
    return &link->driver->heads[step->index % HEAD_MEMOS];
}

/* Are the fields of the answer looked at? */
static bool wants_fields(const struct link *link, const struct step *step)
{
    return step->script != NULL && (step->script->wants_head || link->driver->plan->keeps_cookies);
}

static bool is_remembered(const struct head_memo *memo, const struct step *step, struct str bytes)
{
    return memo->size > 0 && bytes.size >= memo->size && memo->head_asked == step->head_asked &&
           memcmp(bytes.data, memo->bytes, memo->size) == 0;
}

static void remember(struct head_memo *memo, const struct step *step, const struct http1 *parser,
                     const char *bytes)
{
    memo->size = parser->head_bytes <= HEAD_MEMO_BYTES ? (uint16_t)parser->head_bytes : 0;
    memo->content_length = parser->content_length;
    memo->status = parser->head.status;
    memo->framing = (uint8_t)parser->framing;
    memo->keep_alive = parser->keep_alive;
    memo->head_asked = step->head_asked;
    memcpy(memo->bytes, bytes, memo->size);
}

enum progress { PROGRESS_MORE, PROGRESS_WAIT, PROGRESS_GONE };

/* Reads a head that is not remembered from the front of *bytes. WAIT: it is not complete. */
static enum progress parse_head(struct link *link, struct str *bytes)
{
    const struct step *step = link->underway.first->step;
    struct head_memo *memo = memo_of(link, step);
    struct http1 parser;
    bool done;

    http1_init(&parser, HTTP1_RESPONSE, &limits, step->head_asked);
    if (http1_parse(&parser, bytes->data, bytes->size, &done, NULL) != ERR_NONE ||
        (done && parser.head.status == 101)) { /* Nobody asked for another protocol. */
        link_fail(link, FAULT_BAD_RESPONSE);
        return PROGRESS_GONE;
    }
    if (!done)
        return PROGRESS_WAIT;
    if (wants_fields(link, step)) {
        for (size_t i = 0; i < parser.head.fields_count; i++)
            user_field(link->underway.first, http_span_str(&parser.head, parser.head.names[i]),
                       http_span_str(&parser.head, parser.head.values[i]));
    }
    if (parser.head.status >= 200) {
        remember(memo, step, &parser, bytes->data);
        begin_body(link, memo);
    }
    *bytes = rest_of(*bytes, parser.head_bytes);
    return PROGRESS_MORE;
}

static enum progress read_head(struct link *link, struct str *bytes)
{
    const struct step *step = link->underway.first->step;
    const struct head_memo *memo = memo_of(link, step);

    if (!is_remembered(memo, step, *bytes) || wants_fields(link, step))
        return parse_head(link, bytes);
    begin_body(link, memo);
    *bytes = rest_of(*bytes, memo->size);
    return PROGRESS_MORE;
}

/* ---- Bodies. ---- */

static bool take_body(struct link *link, struct str piece, int64_t now_ns)
{
    struct user *user = link->underway.first;

    link->body_bytes += piece.size;
    if (link->body_bytes > link->driver->plan->answer_bytes_max) {
        link_fail(link, FAULT_TOO_LARGE);
        return false;
    }
    if (user_looks(user) && piece.size > 0)
        user_body(user, piece, now_ns);
    return true;
}

/* The answer is complete: the link is ready for the next before the user hears of it. */
static enum progress finish_answer(struct link *link, int64_t now_ns)
{
    struct user *user = user_list_take(&link->underway);
    uint32_t epoch = link->epoch;
    unsigned status = link->status;

    link->in_body = false;
    link->answers++;
    if (!link->keep_alive || !link->driver->plan->keep_alive)
        link_close(link);
    user_answered(user, status, now_ns);
    return link->epoch == epoch ? PROGRESS_MORE : PROGRESS_GONE;
}

static enum progress read_chunks(struct link *link, struct str *bytes, int64_t now_ns)
{
    bool done = false;

    while (bytes->size > 0 && !done) {
        struct str piece;
        size_t used;
        if (http1_chunked_next(&link->chunked, *bytes, &used, &piece, &done, NULL) != ERR_NONE) {
            link_fail(link, FAULT_BAD_RESPONSE);
            return PROGRESS_GONE;
        }
        *bytes = rest_of(*bytes, used);
        if (!take_body(link, piece, now_ns))
            return PROGRESS_GONE;
    }
    return done ? finish_answer(link, now_ns) : PROGRESS_WAIT;
}

static enum progress read_length(struct link *link, struct str *bytes, int64_t now_ns)
{
    size_t size = bytes->size < link->body_left ? bytes->size : (size_t)link->body_left;

    link->body_left -= size;
    if (!take_body(link, (struct str){bytes->data, size}, now_ns))
        return PROGRESS_GONE;
    *bytes = rest_of(*bytes, size);
    return link->body_left == 0 ? finish_answer(link, now_ns) : PROGRESS_WAIT;
}

static enum progress read_body(struct link *link, struct str *bytes, int64_t now_ns)
{
    switch (link->body) {
    case HTTP1_BODY_NONE:
        return finish_answer(link, now_ns);
    case HTTP1_BODY_LENGTH:
        return read_length(link, bytes, now_ns);
    case HTTP1_BODY_CHUNKED:
        return read_chunks(link, bytes, now_ns);
    case HTTP1_BODY_UNTIL_CLOSE:
        break;
    }
    if (!take_body(link, *bytes, now_ns))
        return PROGRESS_GONE;
    bytes->size = 0;
    return PROGRESS_WAIT;
}

/* ---- The protocol. ---- */

/* Works bytes off; returns what is left, the start of a head, or data NULL when the link is gone.
 */
static struct str work_off(struct link *link, struct str bytes, int64_t now_ns)
{
    while (bytes.size > 0 || (link->in_body && link->body == HTTP1_BODY_NONE) ||
           (link->in_body && link->body == HTTP1_BODY_LENGTH && link->body_left == 0)) {
        enum progress progress;
        if (link->underway.first == NULL) {
            link_close(link); /* An answer to nothing: whatever it is, nobody can be blamed. */
            return STR_NONE;
        }
        if (bytes.size > 0)
            user_first_byte(link->underway.first, now_ns);
        progress = link->in_body ? read_body(link, &bytes, now_ns) : read_head(link, &bytes);
        if (progress == PROGRESS_GONE)
            return STR_NONE;
        if (progress == PROGRESS_WAIT)
            break;
    }
    return bytes;
}

static void receive(struct link *link, struct str bytes, int64_t now_ns)
{
    struct driver *driver = link->driver;

    driver->now_ns = now_ns;
    if (link->underway.first != NULL)
        COUNTER_ADD(driver_tally(driver, link->underway.first)->bytes_in, bytes.size);
    if (link->input.size == 0) {
        struct str rest = work_off(link, bytes, now_ns);
        if (rest.data != NULL && rest.size > 0)
            buf_append(&link->input, rest.data, rest.size);
        return;
    }
    /* The link may close, and its input with it, while the bytes are looked at. */
    struct buf joined CLEANUP(buf_done) = link->input;

    link->input = (struct buf){0};
    buf_append(&joined, bytes.data, bytes.size);
    struct str rest = work_off(link, buf_view(&joined), now_ns);
    if (rest.data != NULL && rest.size > 0)
        buf_append(&link->input, rest.data, rest.size);
}

static void hung_up(struct link *link)
{
    int64_t now_ns = clock_monotonic_ns();
    struct user *user = link->underway.first;

    if (user == NULL) {
        link_close(link);
    } else if (link->in_body && link->body == HTTP1_BODY_UNTIL_CLOSE) {
        link->keep_alive = false;
        (void)finish_answer(link, now_ns); /* The link is gone either way. */
    } else if (link->in_body || link->input.size > 0) {
        link_fail(link, FAULT_SHORT_BODY);
    } else {
        link_fail(link, FAULT_CLOSED);
    }
}

const struct protocol protocol_http1 = {
    .name = "HTTP/1.1",
    .send = send_request,
    .receive = receive,
    .hung_up = hung_up,
};
