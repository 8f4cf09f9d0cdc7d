/* SPDX-License-Identifier: Apache-2.0 */
/* request - a step as bytes of HTTP/1. Pure; any thread. */
#pragma once
#include "base/buf.h"
#include "load/plan.h"

/* Checks the step's method, target and fields, and writes step->wire when nothing in it changes
 * from user to user. ERR_INVALID: what could not be sent as it is. */
CHECKED enum err request_prepare(struct plan *plan, struct step *step, struct why *why);

/* Appends a whole request: the given pieces, Host, Content-Length, and the preset fields that
 * headers does not name. */
struct request_pieces {
    struct str method, target, authority;
    const struct origin *origin; /* By a proxy, the whole URL is asked for. */
    const struct http_header *headers;
    size_t headers_count;
    struct str body;
    struct str traceparent; /* STR_NONE: none. */
    bool keep_alive;
};
void request_write(const struct request_pieces *pieces, struct buf *out);

/* Is it a field of a connection, which HTTP/2 must not carry? */
bool request_is_about_connection(struct str name);
