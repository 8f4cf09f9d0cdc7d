/* SPDX-License-Identifier: Apache-2.0 */
/* A conversation is: connect if there is no connection left, write the head and the body, read the
 * head of the answer, skip its body. A kept connection that turns out to be closed by the other
 * side is made anew once. What is not plain (no Content-Length, too long) ends the connection,
 * which is always safe. */
#include "client/post.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    SLICE_MS = 50,     /* So soon a hurry is noticed. */
    HURRIED_MS = 1000, /* What is left of a wait then. */
    HEAD_BYTES_MAX = 8192,
    BODY_BYTES_MAX = 65536, /* Of an answer; a longer one ends the connection. */
};

static int64_t now_ms(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* Cannot fail with this clock. */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool complain(struct post *post, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Always false. */
static bool complain(struct post *post, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(post->error, sizeof(post->error), format, arguments); /* Cut if need be. */
    va_end(arguments);
    return false;
}

/* ---- The address. ---- */

static bool copy_part(char *place, size_t capacity, const char *from, const char *end)
{
    size_t size = (size_t)(end - from);

    if (size == 0 || size >= capacity)
        return false;
    memcpy(place, from, size);
    place[size] = '\0';
    return true;
}

static bool read_host(struct post *post, const char **at)
{
    const char *start = *at;
    const char *end = start + strcspn(start, ":/?#");

    if (*start == '[') {
        start++;
        end = start + strcspn(start, "]");
        if (*end != ']')
            return false;
    }
    *at = end + (*end == ']');
    return copy_part(post->host, sizeof(post->host), start, end);
}

static bool read_port(struct post *post, const char **at)
{
    memcpy(post->port, "7070", sizeof("7070"));
    if (**at != ':')
        return true;
    const char *start = *at + 1;
    *at = start + strspn(start, "0123456789");
    return copy_part(post->port, sizeof(post->port), start, *at) && atoi(post->port) > 0 &&
           atoi(post->port) < 65536;
}

bool post_init(struct post *post, const char *endpoint)
{
    static const char scheme[] = "http://";

    *post = (struct post){.fd = -1};
    if (strncasecmp(endpoint, scheme, sizeof(scheme) - 1) != 0)
        return complain(post, "the endpoint must begin with http://");
    const char *at = endpoint + sizeof(scheme) - 1;
    if (!read_host(post, &at) || !read_port(post, &at) || (*at != '\0' && *at != '/'))
        return complain(post, "the endpoint is not http://HOST:PORT");
    size_t size = strlen(at);
    while (size > 0 && at[size - 1] == '/')
        size--;
    if (strpbrk(at, " \r\n\t?#") != NULL || size >= sizeof(post->prefix))
        return complain(post, "the endpoint's path is not plain");
    memcpy(post->prefix, at, size);
    return true;
}

/* ---- Waiting. ---- */

/* False: the deadline is over. Errors of the socket show at the next call on it. */
static bool wait_for(struct post *post, short events, int64_t *deadline_ms)
{
    for (;;) {
        int64_t now = now_ms();
        if (atomic_load(&post->hurry) && *deadline_ms > now + HURRIED_MS)
            *deadline_ms = now + HURRIED_MS;
        int64_t left = *deadline_ms - now;
        if (left <= 0)
            return complain(post, "%s:%s did not answer in time", post->host, post->port);
        struct pollfd waiting = {.fd = post->fd, .events = events};
        int ready = poll(&waiting, 1, (int)(left < SLICE_MS ? left : SLICE_MS));
        if (ready > 0)
            return true;
    }
}

static bool connect_to(struct post *post, const struct addrinfo *address, int64_t *deadline_ms)
{
    int error = 0;
    socklen_t size = sizeof(error);

    post->fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (post->fd < 0)
        return complain(post, "no socket: %s", strerrordesc_np(errno));
    if (connect(post->fd, address->ai_addr, address->ai_addrlen) == 0)
        return true;
    error = errno;
    if (error == EINPROGRESS && wait_for(post, POLLOUT, deadline_ms)) {
        if (getsockopt(post->fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0)
            return true;
    }
    if (error != EINPROGRESS)
        (void)complain(post, "%s:%s: %s", post->host, post->port, strerrordesc_np(error));
    post_hang_up(post);
    return false;
}

static bool reach(struct post *post, int64_t *deadline_ms)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *addresses = NULL;
    /* The usual name must not wait for any server of names. */
    const char *host = strcasecmp(post->host, "localhost") == 0 ? "127.0.0.1" : post->host;

    int error = getaddrinfo(host, post->port, &hints, &addresses);
    if (error != 0)
        return complain(post, "%s is not known: %s", post->host, gai_strerror(error));
    bool connected = false;
    for (struct addrinfo *each = addresses; each != NULL && !connected; each = each->ai_next)
        connected = connect_to(post, each, deadline_ms);
    freeaddrinfo(addresses);
    return connected;
}

void post_hang_up(struct post *post)
{
    if (post->fd >= 0)
        (void)close(post->fd); /* Nothing more is wanted of it. */
    post->fd = -1;
}

/* ---- The conversation. ---- */

static bool write_all(struct post *post, const char *data, size_t size, int64_t *deadline_ms)
{
    while (size > 0) {
        ssize_t written = send(post->fd, data, size, MSG_NOSIGNAL);
        if (written > 0) {
            data += written;
            size -= (size_t)written;
        } else if (written < 0 && errno != EAGAIN && errno != EINTR) {
            return complain(post, "%s:%s: %s", post->host, post->port, strerrordesc_np(errno));
        } else if (!wait_for(post, POLLOUT, deadline_ms)) {
            return false;
        }
    }
    return true;
}

struct answer_head {
    char text[HEAD_BYTES_MAX + 1];
    size_t size;      /* Read so far, may reach into the body. */
    size_t head_size; /* With the empty line; 0: not there yet. */
};

/* *ret_closed: the other side ended without a byte, as a server does with a kept connection. */
static bool read_head(struct post *post, struct answer_head *head, int64_t *deadline_ms,
                      bool *ret_closed)
{
    *ret_closed = false;
    head->size = 0;
    for (;;) {
        ssize_t size = recv(post->fd, head->text + head->size, HEAD_BYTES_MAX - head->size, 0);
        if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
            if (!wait_for(post, POLLIN, deadline_ms))
                return false;
            continue;
        }
        if (size <= 0) {
            *ret_closed = head->size == 0;
            return complain(post, "%s:%s closed the connection", post->host, post->port);
        }
        head->size += (size_t)size;
        head->text[head->size] = '\0';
        const char *end = strstr(head->text, "\r\n\r\n");
        if (end != NULL) {
            head->head_size = (size_t)(end - head->text) + 4;
            return true;
        }
        if (head->size == HEAD_BYTES_MAX)
            return complain(post, "%s:%s answers too much", post->host, post->port);
    }
}

/* The value of a header as text into the head, or NULL. */
static const char *header(const struct answer_head *head, const char *name)
{
    size_t size = strlen(name);
    const char *line = strstr(head->text, "\r\n");

    for (; line != NULL && line < head->text + head->head_size - 4; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, size) == 0 && line[size] == ':')
            return line + size + 1 + strspn(line + size + 1, " \t");
    }
    return NULL;
}

static bool skip_body(struct post *post, const struct answer_head *head, int64_t *deadline_ms)
{
    const char *length = header(head, "content-length");
    char rest[1024];

    if (length == NULL || strspn(length, "0123456789") == 0)
        return false;
    int64_t left = strtoll(length, NULL, 10) - (int64_t)(head->size - head->head_size);
    if (left > BODY_BYTES_MAX)
        return false;
    while (left > 0) {
        ssize_t size = recv(post->fd, rest, left < 1024 ? (size_t)left : 1024, 0);
        if (size > 0)
            left -= size;
        else if (size == 0 || (errno != EAGAIN && errno != EINTR) ||
                 !wait_for(post, POLLIN, deadline_ms))
            return false;
    }
    return left == 0;
}

static struct post_answer finish(struct post *post, struct answer_head *head, int64_t *deadline_ms)
{
    struct post_answer answer = {.retry_after_s = -1};
    const char *retry = header(head, "retry-after");
    const char *connection = header(head, "connection");

    if (sscanf(head->text, "HTTP/1.%*1[01] %3d", &answer.status) != 1 || answer.status < 200) {
        (void)complain(post, "%s:%s does not speak HTTP", post->host, post->port); /* False. */
        answer.status = 0;
        post_hang_up(post);
        return answer;
    }
    if (retry != NULL && strspn(retry, "0123456789") > 0)
        answer.retry_after_s = strtoll(retry, NULL, 10);
    bool stays = connection == NULL || strncasecmp(connection, "close", 5) != 0;
    if (!skip_body(post, head, deadline_ms) || !stays)
        post_hang_up(post);
    return answer;
}

/* False: no answer; *ret_again when a kept connection was stale, and nothing has been taken. */
static bool converse(struct post *post, const char *start, size_t start_size, const void *body,
                     size_t size, int64_t *deadline_ms, struct post_answer *ret_answer,
                     bool *ret_again)
{
    struct answer_head head = {.size = 0};
    bool kept = post->fd >= 0;
    bool closed = false;

    *ret_again = false;
    if (!kept && !reach(post, deadline_ms))
        return false;
    bool written =
        write_all(post, start, start_size, deadline_ms) && write_all(post, body, size, deadline_ms);
    if (!written || !read_head(post, &head, deadline_ms, &closed)) {
        post_hang_up(post);
        *ret_again = kept && (!written || closed);
        return false;
    }
    *ret_answer = finish(post, &head, deadline_ms);
    return ret_answer->status != 0;
}

struct post_answer post_send(struct post *post, const char *path, const void *body, size_t size,
                             int64_t timeout_ms)
{
    char start[POST_HOST_BYTES_MAX + POST_PATH_BYTES_MAX + 256];
    struct post_answer answer = {.retry_after_s = -1};
    int64_t deadline_ms = now_ms() + timeout_ms;
    bool is_v6 = strchr(post->host, ':') != NULL;
    bool again;

    int start_size = snprintf(start, sizeof(start),
                              "POST %s%s HTTP/1.1\r\nHost: %s%s%s:%s\r\n"
                              "Content-Type: application/x-protobuf\r\n"
                              "User-Agent: libsonde\r\nContent-Length: %zu\r\n\r\n",
                              post->prefix, path, is_v6 ? "[" : "", post->host, is_v6 ? "]" : "",
                              post->port, size);
    if (start_size < 0 || (size_t)start_size >= sizeof(start)) {
        (void)complain(post, "the path is too long"); /* False. */
        return answer;
    }
    if (!converse(post, start, (size_t)start_size, body, size, &deadline_ms, &answer, &again) &&
        again)
        (void)converse(post, start, (size_t)start_size, body, size, &deadline_ms, &answer,
                       &again); /* Without a status the answer says so. */
    return answer;
}
