/* SPDX-License-Identifier: Apache-2.0 */
/* One request, one connection, closed by the daemon when the answer is complete. */
#include "cli/remote.h"
#include "base/clock.h"
#include "base/file.h"
#include "codec/json_tree.h"
#include "io/http1.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    HOST_BYTES = 256,
    PORT_BYTES = 8,
    READ_BYTES = 65536,
    ERROR_BYTES_MAX = 1 << 20,
};

struct place {
    char host[HOST_BYTES]; /* Without brackets. */
    char port[PORT_BYTES];
    char authority[HOST_BYTES + PORT_BYTES + 4];
};

/* ---- URL. ---- */

static enum err read_place(struct str url, struct place *place, struct why *why)
{
    struct str rest = url;

    if (str_starts(url, STR("https://"))) {
        (void)fail(why, ERR_UNSUPPORTED, "%.*s: this command speaks plain HTTP only", STR_ARG(url));
        hint(why, "ask the daemon through a tunnel (ssh -L 7070:127.0.0.1:7070 HOST)");
        return ERR_UNSUPPORTED;
    }
    if (str_starts(url, STR("http://")))
        rest = (struct str){url.data + 7, url.size - 7};
    struct str authority = str_split(&rest, '/');
    if (rest.size > 0 || authority.size == 0)
        return fail(why, ERR_INVALID, "'%.*s' is not a URL such as %s", STR_ARG(url),
                    REMOTE_URL_DEFAULT);
    size_t colon = authority.size;
    while (colon > 0 && authority.data[colon - 1] != ':' && authority.data[colon - 1] != ']')
        colon--;
    bool has_port = colon > 0 && authority.data[colon - 1] == ':';
    struct str host = {authority.data, has_port ? colon - 1 : authority.size};
    struct str port =
        has_port ? (struct str){authority.data + colon, authority.size - colon} : STR("80");
    if (str_starts(host, STR("[")) && str_ends(host, STR("]")) && host.size > 2)
        host = (struct str){host.data + 1, host.size - 2};
    if (host.size == 0 || host.size >= HOST_BYTES || port.size == 0 || port.size >= PORT_BYTES ||
        !http_is_field_value(authority))
        return fail(why, ERR_INVALID, "'%.*s' is not a URL such as %s", STR_ARG(url),
                    REMOTE_URL_DEFAULT);
    (void)snprintf(place->host, sizeof(place->host), "%.*s", STR_ARG(host));
    (void)snprintf(place->port, sizeof(place->port), "%.*s", STR_ARG(port));
    (void)snprintf(place->authority, sizeof(place->authority), "%.*s", STR_ARG(authority));
    return ERR_NONE;
}

void remote_add_param(struct buf *form, const char *name, struct str value)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";

    if (form->size > 0)
        buf_byte(form, '&');
    buf_printf(form, "%s=", name);
    for (size_t i = 0; i < value.size; i++) {
        unsigned char byte = (unsigned char)value.data[i];
        if (byte != 0 && strchr(plain, byte) != NULL)
            buf_byte(form, byte);
        else
            buf_printf(form, "%%%02X", byte);
    }
}

/* ---- The connection. ---- */

static enum err wait_for(int fd, short events, int64_t deadline_ns, struct why *why)
{
    struct pollfd wait = {.fd = fd, .events = events};

    for (;;) {
        int64_t left_ms = (deadline_ns - clock_monotonic_ns()) / CLOCK_NS_PER_MS;
        int ready = left_ms <= 0 ? 0 : poll(&wait, 1, left_ms > 60000 ? 60000 : (int)left_ms);
        if (ready > 0)
            return ERR_NONE;
        if (ready < 0 && errno != EINTR)
            return fail_errno(why, errno, "cannot wait for the daemon");
        if (left_ms <= 0)
            return fail(why, ERR_TIMEOUT, "the daemon did not answer in time");
    }
}

static int connect_to(const struct addrinfo *address, int64_t deadline_ns)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error = 0;
    socklen_t size = sizeof(error);

    if (fd < 0)
        return -1;
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
        return fd;
    if (errno == EINPROGRESS && wait_for(fd, POLLOUT, deadline_ns, NULL) == ERR_NONE &&
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0)
        return fd;
    error = error != 0 ? error : errno;
    (void)close(fd); /* Never connected. */
    errno = error;
    return -1;
}

static enum err open_connection(const struct place *place, int64_t deadline_ns, int *ret_fd,
                                struct why *why)
{
    const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    struct addrinfo *found;
    int error = getaddrinfo(place->host, place->port, &wanted, &found);

    if (error != 0)
        return fail(why, ERR_UPSTREAM, "%s: %s", place->host, gai_strerror(error));
    int fd = -1;
    for (const struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next)
        fd = connect_to(at, deadline_ns);
    error = errno;
    freeaddrinfo(found);
    if (fd >= 0) {
        *ret_fd = fd;
        return ERR_NONE;
    }
    (void)fail(why, ERR_UPSTREAM, "no daemon answers at %s: %s", place->authority, strerror(error));
    hint(why, "start one with 'sonde serve', or name another with --url");
    return ERR_UPSTREAM;
}

static enum err send_all(int fd, struct str bytes, int64_t deadline_ns, struct why *why)
{
    while (bytes.size > 0) {
        ssize_t size = send(fd, bytes.data, bytes.size, MSG_NOSIGNAL);
        if (size < 0 && errno == EAGAIN) {
            TRY(wait_for(fd, POLLOUT, deadline_ns, why));
            continue;
        }
        if (size < 0)
            return fail(why, ERR_UPSTREAM, "the daemon closed the connection: %s", strerror(errno));
        bytes = (struct str){bytes.data + size, bytes.size - (size_t)size};
    }
    return ERR_NONE;
}

static void write_request(const struct remote_request *request, const struct place *place,
                          struct buf *out)
{
    bool post = request->form.size > 0;

    buf_printf(out, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nAccept: */*\r\n",
               post ? "POST" : "GET", request->path, place->authority);
    if (request->token != NULL)
        buf_printf(out, "Authorization: Bearer %s\r\n", request->token);
    if (post)
        buf_printf(out,
                   "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %zu\r\n",
                   request->form.size);
    buf_text(out, "\r\n");
    buf_str(out, request->form);
}

/* ---- The answer. ---- */

static enum err receive_all(int fd, size_t bytes_max, int64_t deadline_ns, struct buf *answer,
                            struct why *why)
{
    for (;;) {
        char *room = buf_reserve(answer, READ_BYTES);
        ssize_t size = recv(fd, room, READ_BYTES, 0);
        if (size == 0)
            return ERR_NONE;
        if (size < 0 && errno == EAGAIN) {
            TRY(wait_for(fd, POLLIN, deadline_ns, why));
            continue;
        }
        if (size < 0)
            return fail(why, ERR_UPSTREAM, "the daemon broke the connection off: %s",
                        strerror(errno));
        answer->size += (size_t)size;
        if (answer->size > bytes_max + HTTP_HEAD_BYTES_MAX)
            return fail(why, ERR_TOO_LARGE, "the answer is larger than %zu bytes", bytes_max);
    }
}

static enum err join_chunks(struct str rest, struct buf *body, struct why *why)
{
    struct http1_chunked chunked;
    bool done = false;

    http1_chunked_init(&chunked);
    while (!done && rest.size > 0) {
        struct str piece;
        size_t used;
        TRY(http1_chunked_next(&chunked, rest, &used, &piece, &done, why));
        buf_str(body, piece);
        rest = (struct str){rest.data + used, rest.size - used};
    }
    return done ? ERR_NONE : fail(why, ERR_UPSTREAM, "the answer was cut short");
}

static enum err read_answer(const struct buf *answer, int *ret_status, struct buf *body,
                            struct why *why)
{
    const struct http1_limits limits = {
        .head_bytes_max = HTTP_HEAD_BYTES_MAX,
        .fields_max = HTTP_FIELDS_MAX,
    };
    struct http1 parser;
    bool done;

    http1_init(&parser, HTTP1_RESPONSE, &limits, false);
    enum err err = http1_parse(&parser, answer->data, answer->size, &done, why);
    if (err != ERR_NONE || !done) {
        (void)fail(why, ERR_UPSTREAM, "what answers there does not speak HTTP");
        hint(why, "is the port right?");
        return ERR_UPSTREAM;
    }
    struct str rest = {answer->data + parser.head_bytes, answer->size - parser.head_bytes};
    *ret_status = parser.head.status;
    if (parser.framing == HTTP1_BODY_CHUNKED)
        return join_chunks(rest, body, why);
    if (parser.framing == HTTP1_BODY_LENGTH && rest.size < parser.content_length)
        return fail(why, ERR_UPSTREAM, "the answer was cut short");
    buf_str(body, rest);
    return ERR_NONE;
}

enum err remote_ask(const struct remote_request *request, int *ret_status, struct buf *ret_body,
                    struct why *why)
{
    int64_t deadline_ns = clock_monotonic_ns() + request->timeout_ms * CLOCK_NS_PER_MS;
    struct buf message CLEANUP(buf_done) = {0};
    struct buf answer CLEANUP(buf_done) = {0};
    struct place place;
    int fd CLEANUP(file_closep) = -1;

    if (request->token != NULL && !http_is_field_value(str_of(request->token)))
        return fail(why, ERR_INVALID, "the token holds control characters");
    TRY(read_place(request->url, &place, why));
    TRY(open_connection(&place, deadline_ns, &fd, why));
    write_request(request, &place, &message);
    TRY(send_all(fd, buf_view(&message), deadline_ns, why));
    TRY(receive_all(fd, request->body_bytes_max, deadline_ns, &answer, why));
    buf_clear(ret_body);
    return read_answer(&answer, ret_status, ret_body, why);
}

/* ---- Errors in answers. ---- */

static enum err err_of_status(int status)
{
    switch (status) {
    case 400:
    case 422:
        return ERR_INVALID;
    case 401:
        return ERR_UNAUTHENTICATED;
    case 404:
        return ERR_NOT_FOUND;
    default:
        return status >= 400 && status < 500 ? ERR_DENIED : ERR_IO;
    }
}

static struct str text_at(const struct node *node, const char *key)
{
    const struct node *child = node_get(node, key);

    return child != NULL && child->kind == NODE_SCALAR ? child->text : STR_NONE;
}

/* Prometheus' form has the sentence in "error" itself, ours an object there. */
enum err remote_fail(int status, struct str body, struct why *why)
{
    struct arena *arena = arena_new(ERROR_BYTES_MAX * 4);
    const struct node *root = NULL;
    int64_t position;
    enum err err = err_of_status(status);

    if (json_read(body, "answer", ERROR_BYTES_MAX, arena, &root, NULL) != ERR_NONE)
        root = NULL;
    const struct node *error = node_get(root, "error");
    const struct node *holder = error != NULL && error->kind == NODE_MAP ? error : root;
    struct str text = text_at(holder, holder == root ? "error" : "message");
    struct str advice = text_at(holder, "hint");
    if (text.size > 0)
        (void)fail(why, err, "%.*s", STR_ARG(text));
    else
        (void)fail(why, err, "the daemon answered %d", status);
    if (advice.size > 0)
        hint(why, "%.*s", STR_ARG(advice));
    const struct node *place = node_get(holder, "position");
    if (place != NULL && node_i64(place, &position, NULL) == ERR_NONE && why != NULL)
        why->position = (int32_t)position;
    arena_free(arena);
    return err;
}
