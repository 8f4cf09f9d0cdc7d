/* SPDX-License-Identifier: Apache-2.0 */
/* remote - asks a running daemon over HTTP or HTTPS and waits for the answer.
 *
 * Blocking; one thread. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

#define REMOTE_URL_DEFAULT "http://127.0.0.1:7070"

struct remote_request {
    struct str url;     /* "http://HOST:PORT". */
    const char *path;   /* "/api/v1/query". */
    struct str form;    /* Sent as application/x-www-form-urlencoded; empty: GET. */
    struct str json;    /* Or this, as application/json. */
    const char *method; /* NULL: GET, or POST with either of them. */
    const char *token;  /* Bearer token, or NULL. */
    int64_t timeout_ms; /* For all of it. */
    size_t body_bytes_max;
    const char *ca_file; /* PEM, for HTTPS; NULL: the system's authorities. */
};

/* *ret_body is overwritten. ERR_UPSTREAM: nobody answers there, or nobody to be trusted;
 * ERR_INVALID: not a URL; ERR_TIMEOUT; ERR_TOO_LARGE; ERR_UNSUPPORTED: no libcurl here. Any status
 * is an answer. */
CHECKED enum err remote_ask(const struct remote_request *request, int *ret_status,
                            struct buf *ret_body, struct why *why);

/* Appends "name=value" in the form's encoding, with '&' before it where due. */
void remote_add_param(struct buf *form, const char *name, struct str value);

/* The error that a body of ours or of Prometheus' API tells, with message and hint. */
enum err remote_fail(int status, struct str body, struct why *why);
