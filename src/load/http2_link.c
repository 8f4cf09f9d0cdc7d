/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 on a link, by nghttp2: each user under way is a stream.
 *
 * Requests that are wished for while bytes are worked off are only submitted then; what nghttp2 has
 * to say is sent in one piece when the bytes are done. Windows are as large as they can be, so that
 * flow control of ours never slows the peer down.
 *
 * After a GOAWAY the streams that the peer has not looked at are sent again on the next connection,
 * as RFC 9113 section 6.8 allows; that is no failure of theirs. */
#include "base/clock.h"
#include "load/driver.h"
#include "load/link.h"
#include "load/request.h"
#include "load/user.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>

enum { FIELDS_FIXED = 7, WINDOW_BITS = 30 };

struct http2 {
    nghttp2_session *session;
    bool receiving;
    bool draining; /* The peer takes no new streams. */
    int64_t now_ns;
};

static struct http2 *http2_of(struct link *link)
{
    return link->state_of_protocol;
}

/* Sends what nghttp2 has ready. */
static void flush(struct link *link)
{
    struct http2 *http2 = http2_of(link);
    uint32_t epoch = link->epoch;
    struct buf *out = &link->driver->scratch;
    const uint8_t *data;
    ssize_t size;

    buf_clear(out);
    while ((size = nghttp2_session_mem_send(http2->session, &data)) > 0)
        buf_append(out, data, (size_t)size);
    if (size < 0) {
        link_fail(link, FAULT_BAD_RESPONSE);
        return;
    }
    if (out->size > 0)
        link_write(link, buf_view(out));
    if (link->epoch == epoch && link->underway.first == NULL &&
        (http2->draining || (!nghttp2_session_want_read(http2->session) &&
                             !nghttp2_session_want_write(http2->session))))
        link_close(link);
}

/* ---- Requests. ---- */

static nghttp2_nv field(struct str name, struct str value)
{
    return (nghttp2_nv){.name = (uint8_t *)name.data,
                        .namelen = name.size,
                        .value = (uint8_t *)value.data,
                        .valuelen = value.size,
                        .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

static ssize_t read_body(nghttp2_session *session, int32_t stream, uint8_t *out, size_t size,
                         uint32_t *flags, nghttp2_data_source *source, void *self)
{
    struct user *user = source->ptr;
    struct str body = user->body;
    size_t left = body.size - user->body_sent;
    size_t piece = left < size ? left : size;

    (void)session;
    (void)stream;
    (void)self;
    memcpy(out, body.data + user->body_sent, piece);
    user->body_sent += piece;
    if (user->body_sent == body.size)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)piece;
}

/* A request that changes: nghttp2 copies what is put together for this one alone, and writes names
 * in lower case. */
static size_t put_changing_fields(const struct link *link, struct user *user,
                                  nghttp2_nv fields[PLAN_HEADERS_MAX + FIELDS_FIXED])
{
    struct http_header headers[PLAN_HEADERS_MAX + 1];
    struct request_pieces pieces = user_request(user, headers);
    bool tls = scheme_is_tls(link->origin->scheme);
    bool named = false;
    size_t count = 0;

    fields[count++] = field(STR(":method"), pieces.method);
    fields[count++] = field(STR(":scheme"), tls ? STR("https") : STR("http"));
    fields[count++] = field(STR(":authority"), pieces.authority);
    fields[count++] = field(STR(":path"), pieces.target);
    for (size_t i = 0; i < pieces.headers_count; i++) {
        if (request_is_about_connection(headers[i].name))
            continue;
        named = named || str_eq_nocase(headers[i].name, STR("user-agent"));
        fields[count++] = field(headers[i].name, headers[i].value);
    }
    if (!named)
        fields[count++] = field(STR("user-agent"), STR("sonde"));
    for (size_t i = 0; i < count; i++)
        fields[i].flags = NGHTTP2_NV_FLAG_NONE;
    return count;
}

static size_t put_fields(const struct link *link, const struct step *step,
                         nghttp2_nv fields[PLAN_HEADERS_MAX + FIELDS_FIXED])
{
    bool tls = scheme_is_tls(link->origin->scheme);
    bool named = false;
    size_t count = 0;

    fields[count++] = field(STR(":method"), step->method);
    fields[count++] = field(STR(":scheme"), tls ? STR("https") : STR("http"));
    fields[count++] = field(STR(":authority"), link->origin->authority);
    fields[count++] = field(STR(":path"), step->target);
    for (size_t i = 0; i < step->fields_count; i++) {
        named = named || str_eq(step->fields[i].name, STR("user-agent"));
        fields[count++] = field(step->fields[i].name, step->fields[i].value);
    }
    if (!named)
        fields[count++] = field(STR("user-agent"), STR("sonde"));
    return count;
}

static void send_request(struct link *link, struct user *user)
{
    nghttp2_nv fields[PLAN_HEADERS_MAX + FIELDS_FIXED];
    struct http2 *http2 = http2_of(link);
    struct driver *driver = link->driver;
    const struct step *step = user->step;
    nghttp2_data_provider provider = {.source.ptr = user, .read_callback = read_body};
    char parent[TRAIL_PARENT_SIZE];

    if (http2->draining) {
        user_list_append(&link->waiting, user);
        return;
    }
    size_t count = user_changes(user) ? put_changing_fields(link, user, fields)
                                      : put_fields(link, step, fields);
    if (step->is_traced) {
        trail_write_parent(driver->trail.run, user->trace_low, parent);
        fields[count] = field(STR("traceparent"), (struct str){parent, sizeof(parent)});
        fields[count++].flags = NGHTTP2_NV_FLAG_NO_COPY_NAME;
    }
    user->body_sent = 0;
    user->body_received = 0;
    user->status = 0;
    user->grpc_ok = false;
    user->stream = nghttp2_submit_request(http2->session, NULL, fields, count,
                                          user->body.size > 0 ? &provider : NULL, user);
    user_list_append(&link->underway, user);
    user_sent(user, driver->now_ns);
    COUNTER_ADD(driver_tally(driver, user)->bytes_out,
                user_changes(user) ? user->body.size : step->wire.size);
    if (user->stream < 0) {
        /* Stream ids are used up (2^31): a new connection. */
        http2->draining = true;
        (void)user_list_remove(&link->underway, user);
        user_list_append(&link->waiting, user);
    }
    if (!http2->receiving)
        flush(link);
}

static void forget(struct link *link, struct user *user)
{
    struct http2 *http2 = http2_of(link);

    if (!user_list_remove(&link->underway, user))
        return;
    nghttp2_session_set_stream_user_data(http2->session, user->stream, NULL);
    /* Both fail only when the stream is gone already, or without memory. */
    (void)nghttp2_submit_rst_stream(http2->session, NGHTTP2_FLAG_NONE, user->stream,
                                    NGHTTP2_CANCEL);
    if (!http2->receiving)
        flush(link);
}

/* ---- Answers: nghttp2's callbacks. ---- */

static struct user *user_of(nghttp2_session *session, int32_t stream)
{
    return nghttp2_session_get_stream_user_data(session, stream);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *self)
{
    struct link *link = self;
    struct user *user = user_of(session, frame->hd.stream_id);
    struct str field_name = {(const char *)name, name_size};
    struct str field_value = {(const char *)value, value_size};
    uint64_t status;

    (void)flags;
    if (user == NULL)
        return 0;
    user_first_byte(user, http2_of(link)->now_ns);
    if (str_eq(field_name, STR(":status"))) {
        if (str_to_u64(field_value, &status) && status < 1000)
            user->status = (uint16_t)status;
        return 0;
    }
    if (user->step->is_grpc && str_eq(field_name, STR("grpc-status")))
        user->grpc_ok = str_eq(field_value, STR("0"));
    if (user_looks(user))
        user_field(user, field_name, field_value);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t size, void *self)
{
    struct link *link = self;
    struct user *user = user_of(session, stream);

    (void)flags;
    if (user == NULL)
        return 0;
    user->body_received += size;
    if (user->body_received > link->driver->plan->answer_bytes_max) {
        (void)user_list_remove(&link->underway, user);
        nghttp2_session_set_stream_user_data(session, stream, NULL);
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
        user_failed(user, FAULT_TOO_LARGE, http2_of(link)->now_ns);
        return 0;
    }
    if (user_looks(user))
        user_body(user, (struct str){(const char *)data, size}, http2_of(link)->now_ns);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t error, void *self)
{
    struct link *link = self;
    struct http2 *http2 = http2_of(link);
    struct user *user = user_of(session, stream);

    if (user == NULL || !user_list_remove(&link->underway, user))
        return 0;
    if (error == NGHTTP2_REFUSED_STREAM && http2->draining) {
        user_list_append(&link->waiting, user);
        return 0;
    }
    link->answers++;
    if (error == NGHTTP2_NO_ERROR && user->status != 0)
        user_answered(user, user->status, http2->now_ns);
    else
        user_failed(user, FAULT_STREAM_RESET, http2->now_ns);
    return 0;
}

/* Streams after the last one that the peer will look at are sent again on the next connection. */
static void take_back(struct link *link, int32_t last)
{
    struct user_list underway = link->underway;
    struct user *user;

    link->underway = (struct user_list){0};
    while ((user = user_list_take(&underway)) != NULL) {
        bool unseen = user->stream > last && user->status == 0;
        if (unseen)
            nghttp2_session_set_stream_user_data(http2_of(link)->session, user->stream, NULL);
        user_list_append(unseen ? &link->waiting : &link->underway, user);
    }
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *self)
{
    struct link *link = self;

    (void)session;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        http2_of(link)->draining = true;
        take_back(link, frame->goaway.last_stream_id);
    }
    return 0;
}

/* A request that was submitted just before the peer said GOAWAY never left. */
static int on_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int reason, void *self)
{
    struct link *link = self;
    struct user *user = link->underway.first;

    (void)session;
    (void)reason;
    while (user != NULL && user->stream != frame->hd.stream_id)
        user = user->next;
    if (user == NULL || frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    http2_of(link)->draining = true;
    (void)user_list_remove(&link->underway, user);
    user_list_append(&link->waiting, user);
    return 0;
}

/* ---- The protocol. ---- */

static void open_session(struct link *link, struct http2 *http2)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;

    if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0)
        must_memory(sizeof(*http2));
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_not_sent);
    nghttp2_option_set_no_closed_streams(option, 1);
    if (nghttp2_session_client_new2(&http2->session, callbacks, link, option) != 0)
        must_memory(sizeof(*http2));
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
}

static void greet(struct link *link)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (1u << WINDOW_BITS) - 1},
    };
    struct http2 *http2 = calloc(1, sizeof(*http2));

    if (http2 == NULL)
        must_memory(sizeof(*http2));
    open_session(link, http2);
    link->state_of_protocol = http2;
    /* Both fail only without memory, and then sending does. */
    (void)nghttp2_submit_settings(http2->session, NGHTTP2_FLAG_NONE, settings,
                                  ARRAY_COUNT(settings));
    (void)nghttp2_session_set_local_window_size(http2->session, NGHTTP2_FLAG_NONE, 0,
                                                (1 << WINDOW_BITS) - 1);
    /* The peer's settings may come later: until then its defaults hold. */
    uint32_t epoch = link->epoch;
    http2->receiving = true; /* The first requests go out together with the greeting. */
    link_ready(link);
    if (link->epoch != epoch)
        return;
    http2->receiving = false;
    flush(link);
}

static void receive(struct link *link, struct str bytes, int64_t now_ns)
{
    struct http2 *http2 = http2_of(link);
    struct driver *driver = link->driver;
    uint32_t epoch = link->epoch;

    driver->now_ns = now_ns;
    http2->now_ns = now_ns;
    http2->receiving = true;
    if (link->underway.first != NULL)
        COUNTER_ADD(driver_tally(driver, link->underway.first)->bytes_in, bytes.size);
    ssize_t used =
        nghttp2_session_mem_recv(http2->session, (const uint8_t *)bytes.data, bytes.size);
    if (link->epoch == epoch && used < 0)
        link_fail(link, FAULT_BAD_RESPONSE);
}

static void settle(struct link *link)
{
    http2_of(link)->receiving = false;
    flush(link);
}

/* Those under way fail as closed; those who wait go on with the next connection. */
static void hung_up(struct link *link)
{
    link_close(link);
}

static void closed(struct link *link)
{
    struct http2 *http2 = http2_of(link);

    if (http2 == NULL)
        return;
    link->state_of_protocol = NULL;
    nghttp2_session_del(http2->session);
    free(http2);
}

const struct protocol protocol_http2 = {
    .name = "HTTP/2",
    .alpn = "h2",
    .greet = greet,
    .send = send_request,
    .receive = receive,
    .settle = settle,
    .hung_up = hung_up,
    .forget = forget,
    .closed = closed,
};
