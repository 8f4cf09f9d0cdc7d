/* SPDX-License-Identifier: Apache-2.0 */
/* WebSocket (RFC 6455) on a link: the handshake is the greeting, then each request is one message
 * and each answer as many messages as the step says.
 *
 *     0: FIN and opcode   1: MASK and size   (2 or 8 more bytes of size)   mask, from us   payload
 *
 * Payloads of data frames are counted, and shown to whoever looks, as they come; only a frame's
 * head and control frames (125 bytes at most) wait until they are whole. Messages that come while
 * nobody waits are dropped, as a page would do that does not listen. */
#include "base/base64.h"
#include "base/clock.h"
#include "load/driver.h"
#include "load/link.h"
#include "load/request.h"
#include "load/user.h"

#include <openssl/evp.h>
#include <stdlib.h>

enum {
    HEAD_BYTES_MAX = 32 << 10,
    KEY_BYTES = 16,
    FRAME_HEAD_BYTES_MAX = 14,
    CONTROL_BYTES_MAX = 125,
};

enum opcode {
    OPCODE_MORE = 0,
    OPCODE_TEXT = 1,
    OPCODE_BINARY = 2,
    OPCODE_CLOSE = 8,
    OPCODE_PING = 9,
    OPCODE_PONG = 10,
};

struct websocket {
    struct buf accept; /* What the server must answer to our key. */
    uint8_t opcode;    /* Of the frame under way. */
    bool fin;
    bool in_message; /* A message's last frame is still to come. */
    bool is_told;    /* The message under way has been for somebody from its start. */
    bool said_close;
    uint32_t messages; /* Of the answer under way. */
};

static struct websocket *websocket_of(struct link *link)
{
    return link->state_of_protocol;
}

/* ---- The handshake. ---- */

static void make_accept(struct str key, struct buf *out)
{
    struct buf text CLEANUP(buf_done) = {0};
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;

    buf_str(&text, key);
    buf_text(&text, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    if (EVP_Digest(text.data, text.size, digest, &size, EVP_sha1(), NULL) != 1)
        must_memory(sizeof(digest));
    base64_write((struct str){(const char *)digest, size}, out);
}

static void greet(struct link *link)
{
    struct websocket *websocket = calloc(1, sizeof(*websocket));
    const struct origin *origin = link->origin;
    struct buf key CLEANUP(buf_done) = {0};
    struct buf request CLEANUP(buf_done) = {0};
    uint64_t nonce[KEY_BYTES / sizeof(uint64_t)];

    if (websocket == NULL)
        must_memory(sizeof(*websocket));
    for (size_t i = 0; i < ARRAY_COUNT(nonce); i++)
        nonce[i] = random_u64(&link->driver->random);
    base64_write((struct str){(const char *)nonce, sizeof(nonce)}, &key);
    make_accept(buf_view(&key), &websocket->accept);
    link->state_of_protocol = websocket;
    buf_printf(&request,
               "GET %.*s HTTP/1.1\r\nHost: %.*s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %.*s\r\n",
               STR_ARG(origin->target), STR_ARG(origin->authority), STR_ARG(buf_view(&key)));
    for (size_t i = 0; i < origin->headers_count; i++)
        buf_printf(&request, "%.*s: %.*s\r\n", STR_ARG(origin->headers[i].name),
                   STR_ARG(origin->headers[i].value));
    buf_text(&request, "\r\n");
    link_write(link, buf_view(&request));
}

/* Reads the answer to the handshake off the front of *bytes. False: the link is gone, or more has
 * to come. */
static bool read_greeting(struct link *link, struct str *bytes)
{
    static const struct http1_limits limits = {.head_bytes_max = HEAD_BYTES_MAX,
                                               .fields_max = HTTP_FIELDS_MAX};
    struct websocket *websocket = websocket_of(link);
    struct http1 parser;
    bool done;

    http1_init(&parser, HTTP1_RESPONSE, &limits, false);
    if (http1_parse(&parser, bytes->data, bytes->size, &done, NULL) != ERR_NONE) {
        link_fail(link, FAULT_BAD_RESPONSE);
        return false;
    }
    if (!done)
        return false;
    if (parser.head.status != 101 ||
        !str_eq(http_head_get(&parser.head, STR("sec-websocket-accept")),
                buf_view(&websocket->accept))) {
        link_fail(link, FAULT_UPGRADE);
        return false;
    }
    *bytes = (struct str){bytes->data + parser.head_bytes, bytes->size - parser.head_bytes};
    uint32_t epoch = link->epoch;
    link_ready(link);
    return link->epoch == epoch;
}

/* ---- Sending. ---- */

/* Appends a whole frame, masked as clients must. */
static void write_frame(struct driver *driver, enum opcode opcode, struct str payload,
                        struct buf *out)
{
    uint64_t mask = random_u64(&driver->random);
    uint8_t bytes[4];

    buf_byte(out, (uint8_t)(0x80 | opcode));
    if (payload.size < 126) {
        buf_byte(out, (uint8_t)(0x80 | payload.size));
    } else if (payload.size < 65536) {
        buf_byte(out, 0x80 | 126);
        buf_byte(out, (uint8_t)(payload.size >> 8));
        buf_byte(out, (uint8_t)payload.size);
    } else {
        buf_byte(out, 0x80 | 127);
        for (int shift = 56; shift >= 0; shift -= 8)
            buf_byte(out, (uint8_t)((uint64_t)payload.size >> shift));
    }
    memcpy(bytes, &mask, sizeof(bytes));
    buf_append(out, bytes, sizeof(bytes));
    char *to = buf_reserve(out, payload.size);
    for (size_t i = 0; i < payload.size; i++)
        to[i] = (char)(payload.data[i] ^ bytes[i & 3]);
    out->size += payload.size;
}

static void send_message(struct link *link, struct user *user)
{
    struct driver *driver = link->driver;
    const struct step *step = user->step;
    struct str payload = step->wire;
    uint32_t epoch = link->epoch;

    if (user_changes(user)) {
        struct http_header fields[PLAN_HEADERS_MAX + 1];
        payload = user_request(user, fields).body;
    }
    buf_clear(&driver->scratch);
    write_frame(driver, step->is_binary ? OPCODE_BINARY : OPCODE_TEXT, payload, &driver->scratch);
    user_list_append(&link->underway, user);
    user_sent(user, driver->now_ns);
    websocket_of(link)->messages = 0;
    websocket_of(link)->is_told = !websocket_of(link)->in_message;
    link->body_bytes = 0;
    COUNTER_ADD(driver_tally(driver, user)->bytes_out, driver->scratch.size);
    link_write(link, buf_view(&driver->scratch));
    if (link->epoch == epoch && step->ending.messages == 0) {
        (void)user_list_take(&link->underway);
        user_answered(user, 0, clock_monotonic_ns());
    }
}

static void send_control(struct link *link, enum opcode opcode, struct str payload)
{
    struct buf frame CLEANUP(buf_done) = {0};

    write_frame(link->driver, opcode, payload, &frame);
    link_write(link, buf_view(&frame));
}

/* ---- Receiving. ---- */

/* A frame's head off the front of *bytes. 0: more has to come, -1: it is none. */
static int read_frame_head(struct link *link, struct str *bytes)
{
    struct websocket *websocket = websocket_of(link);
    const uint8_t *head = (const uint8_t *)bytes->data;

    if (bytes->size < 2)
        return 0;
    uint64_t size = head[1] & 127;
    size_t head_size = size == 127 ? 10 : size == 126 ? 4 : 2;
    if (bytes->size < head_size)
        return 0;
    if (head_size > 2) {
        size = 0;
        for (size_t i = 2; i < head_size; i++)
            size = size << 8 | head[i];
    }
    websocket->opcode = head[0] & 15;
    websocket->fin = (head[0] & 0x80) != 0;
    bool is_control = websocket->opcode >= OPCODE_CLOSE;
    bool is_more = websocket->opcode == OPCODE_MORE;
    /* Reserved bits, masks from a server, unknown opcodes, frames that do not fit together. */
    if ((head[0] & 0x70) != 0 || (head[1] & 0x80) != 0 || websocket->opcode > OPCODE_PONG ||
        (websocket->opcode > OPCODE_BINARY && !is_control) ||
        (is_control && (size > CONTROL_BYTES_MAX || !websocket->fin)) ||
        (!is_control && is_more != websocket->in_message) || size > INT64_MAX)
        return -1;
    *bytes = (struct str){bytes->data + head_size, bytes->size - head_size};
    link->body_left = size;
    link->in_body = true;
    if (!is_control)
        websocket->in_message = !websocket->fin;
    return 1;
}

/* A data frame has come to its end. */
static void finish_frame(struct link *link, int64_t now_ns)
{
    struct websocket *websocket = websocket_of(link);
    struct user *user = link->underway.first;

    link->in_body = false;
    if (!websocket->fin)
        return;
    bool counts = user != NULL && websocket->is_told;
    websocket->is_told = true;
    if (!counts || ++websocket->messages < user->step->ending.messages)
        return;
    (void)user_list_take(&link->underway);
    link->answers++;
    user_answered(user, 0, now_ns);
}

static bool read_data(struct link *link, struct str *bytes, int64_t now_ns)
{
    struct user *user = link->underway.first;
    size_t size = bytes->size < link->body_left ? bytes->size : (size_t)link->body_left;

    link->body_left -= size;
    link->body_bytes += size;
    if (user != NULL && link->body_bytes > link->driver->plan->answer_bytes_max) {
        link_fail(link, FAULT_TOO_LARGE);
        return false;
    }
    if (user != NULL && websocket_of(link)->is_told) {
        user_first_byte(user, now_ns);
        if (user_looks(user) && size > 0)
            user_body(user, (struct str){bytes->data, size}, now_ns);
    }
    *bytes = (struct str){bytes->data + size, bytes->size - size};
    if (link->body_left > 0)
        return true;
    uint32_t epoch = link->epoch;
    finish_frame(link, now_ns);
    return link->epoch == epoch;
}

/* False: the link is gone, or more has to come. */
static bool read_control(struct link *link, struct str *bytes)
{
    struct websocket *websocket = websocket_of(link);
    uint32_t epoch = link->epoch;

    if (bytes->size < link->body_left)
        return false;
    struct str payload = {bytes->data, (size_t)link->body_left};
    *bytes = (struct str){bytes->data + payload.size, bytes->size - payload.size};
    link->in_body = false;
    if (websocket->opcode == OPCODE_PING) {
        send_control(link, OPCODE_PONG, payload);
    } else if (websocket->opcode == OPCODE_CLOSE) {
        websocket->said_close = true;
        send_control(link, OPCODE_CLOSE, payload);
        if (link->epoch != epoch)
            return false;
        if (link->underway.first == NULL)
            COUNTER_ADD(link->driver->counts->closed_early, 1);
        link_close(link);
    }
    return link->epoch == epoch;
}

/* Works bytes off; returns what has to wait for more, or data NULL when the link is gone. */
static struct str work_off(struct link *link, struct str bytes, int64_t now_ns)
{
    uint32_t epoch = link->epoch;

    if (link->state == LINK_GREETING && !read_greeting(link, &bytes))
        return link->epoch == epoch ? bytes : STR_NONE;
    for (;;) {
        const struct websocket *websocket = websocket_of(link);
        bool more;
        if (!link->in_body) {
            int found = read_frame_head(link, &bytes);
            if (found < 0)
                link_fail(link, FAULT_BAD_RESPONSE);
            if (found <= 0)
                return found < 0 ? STR_NONE : bytes;
        }
        if (websocket->opcode >= OPCODE_CLOSE) {
            more = read_control(link, &bytes);
        } else {
            more = read_data(link, &bytes, now_ns);
            if (more && link->in_body)
                return bytes;
        }
        if (!more)
            return link->epoch == epoch ? bytes : STR_NONE;
    }
}

static void receive(struct link *link, struct str bytes, int64_t now_ns)
{
    struct buf joined CLEANUP(buf_done) = link->input;

    link->input = (struct buf){0};
    link->driver->now_ns = now_ns;
    if (link->underway.first != NULL)
        COUNTER_ADD(driver_tally(link->driver, link->underway.first)->bytes_in, bytes.size);
    if (joined.size > 0) {
        buf_str(&joined, bytes);
        bytes = buf_view(&joined);
    }
    struct str rest = work_off(link, bytes, now_ns);
    if (rest.data != NULL && rest.size > 0)
        buf_str(&link->input, rest);
}

static void hung_up(struct link *link)
{
    struct user *user = link->underway.first;

    if (link->state == LINK_GREETING)
        link_fail(link, FAULT_UPGRADE);
    else if (user != NULL)
        link_fail(link, link->in_body ? FAULT_SHORT_BODY : FAULT_CLOSED);
    else
        link_close(link);
}

static void closed(struct link *link)
{
    struct websocket *websocket = websocket_of(link);

    if (websocket == NULL)
        return;
    if (!websocket->said_close) {
        struct buf frame CLEANUP(buf_done) = {0};
        write_frame(link->driver, OPCODE_CLOSE, STR("\x03\xe8"), &frame); /* 1000: all is well. */
        link_last_words(link, buf_view(&frame));
    }
    link->state_of_protocol = NULL;
    buf_done(&websocket->accept);
    free(websocket);
}

const struct protocol protocol_websocket = {
    .name = "WebSocket",
    .greet = greet,
    .send = send_message,
    .receive = receive,
    .hung_up = hung_up,
    .closed = closed,
};
