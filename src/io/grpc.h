/* SPDX-License-Identifier: Apache-2.0 */
/* grpc - unary gRPC calls over an exchange: one message in, one message and a status out.
 *
 * A handler of the HTTP server that meets grpc_is_call() reads the message with grpc_read_message
 * (any one thread) and answers with grpc_respond (loop thread). The body must have come as it is
 * (raw_body): gRPC compresses messages, not bodies. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

struct exchange;

enum grpc_status {
    GRPC_OK = 0,
    GRPC_CANCELLED = 1,
    GRPC_UNKNOWN = 2,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_NOT_FOUND = 5,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_UNAUTHENTICATED = 16,
};

/* Does the request say that it is a gRPC call, and can it be one (HTTP/2)? */
bool grpc_is_call(const struct exchange *exchange);

/* The only message of the request, decompressed. ERR_INVALID: none, several, or a broken frame;
 * ERR_UNSUPPORTED: a compression that is not known; ERR_TOO_LARGE: more than bytes_max;
 * ERR_TIMEOUT: the caller's deadline has passed already. */
CHECKED enum err grpc_read_message(struct exchange *exchange, size_t bytes_max,
                                   struct buf *ret_message, struct why *why);

/* Time that grpc-timeout allows in ns; INT64_MAX without, or when it says nothing sensible. */
int64_t grpc_timeout_ns(struct str text);

struct grpc_answer {
    enum grpc_status status;
    struct str sentence; /* For a status that is not OK. */
    struct str details;  /* A google.rpc.Status, or STR_NONE. */
    struct buf *message; /* Of GRPC_OK; moved. */
};

/* Answers and gives the exchange back. */
void grpc_respond(struct exchange *exchange, const struct grpc_answer *answer);
