/* SPDX-License-Identifier: Apache-2.0 */
/* post - hands one body to an HTTP server and waits for its status: for the sender's own thread.
 *
 * One kept connection. Every wait has a deadline and ends early when `hurry` is set. Descriptors
 * are closed on exec; no signal is raised. Plain http only: who must cross a network has a daemon
 * on this machine that does. One thread at a time. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    POST_HOST_BYTES_MAX = 255,
    POST_PATH_BYTES_MAX = 255,
    POST_ERROR_BYTES_MAX = 127,
};

struct post {
    char host[POST_HOST_BYTES_MAX + 1]; /* Without the brackets of an IPv6 address. */
    char port[6];
    char prefix[POST_PATH_BYTES_MAX + 1]; /* Of the path, without a slash at its end. */
    int fd;                               /* -1: no connection. */
    atomic_bool hurry;                    /* Set by others: every wait ends soon. */
    char error[POST_ERROR_BYTES_MAX + 1]; /* Of the last call that did not get a status. */
};

/* False: not "http://HOST[:PORT][/PREFIX]"; error says why. The port is 7070 when not told. */
bool post_init(struct post *post, const char *endpoint);
void post_hang_up(struct post *post);

struct post_answer {
    int status;            /* 0: none; post->error says why. */
    int64_t retry_after_s; /* -1: not told. */
};

/* Sends body to prefix + path as application/x-protobuf. */
struct post_answer post_send(struct post *post, const char *path, const void *body, size_t size,
                             int64_t timeout_ms);
