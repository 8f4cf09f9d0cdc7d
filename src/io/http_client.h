/* SPDX-License-Identifier: Apache-2.0 */
/* http_client - asks others over HTTP and HTTPS, many at a time, on the loop; by libcurl.
 *
 * libcurl is loaded when the first call is made, so that a process which never asks anybody does
 * not carry it. Connections are kept and shared between calls. Certificates are verified. Loop
 * thread only. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "io/http.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct http_client;
struct http_call;

struct http_call_options {
    const char *url;    /* http:// or https:// */
    const char *method; /* NULL: POST with a body, else GET. */
    const struct http_header *headers;
    size_t headers_count;
    struct buf *body;          /* Moved: empty afterwards. NULL: none. */
    int64_t timeout_ns;        /* For all of it; 0: 30 s. */
    size_t response_bytes_max; /* After decompression; 0: 16 MiB. */
    const char *ca_file;       /* PEM; NULL: the system's authorities. */
    bool unverified;           /* Takes any certificate: for those who ask for it by name. */
    bool only_http2;           /* As gRPC wants it, also without TLS. */
    bool follow_redirects;     /* At most 5, to http and https only. */
};

/* How a call ended; all is valid during finished() only. */
struct http_reply {
    enum err err;          /* ERR_NONE: there is a status, whatever it says. */
    const struct why *why; /* With err. */
    int status;
    const struct http_header *headers;
    size_t headers_count;
    struct str body;
    int64_t duration_ns;
};

struct http_client *http_client_new(struct loop *loop);
/* Drops calls under way without a word. Not from within finished(). Returns NULL. */
struct http_client *http_client_free(struct http_client *client);

/* finished(self, reply) is called once, later, after which the call is gone; ret_call may be NULL.
 * reply->err: ERR_TIMEOUT, ERR_TOO_LARGE, ERR_UPSTREAM (not reached, broken, not to be trusted).
 * ERR_INVALID: the URL or a header; ERR_UNSUPPORTED: no libcurl here; finished is not called. */
CHECKED enum err http_client_send(struct http_client *client,
                                  const struct http_call_options *options,
                                  void (*finished)(void *self, const struct http_reply *reply),
                                  void *self, struct http_call **ret_call, struct why *why);

/* Forgets the call; finished is not called. Not from within its own finished(). */
void http_call_cancel(struct http_call *call);

size_t http_client_pending(const struct http_client *client); /* Calls under way. */
