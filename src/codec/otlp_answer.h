/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_answer - what a receiver says: the export response, and google.rpc.Status for errors, in
 * protobuf or JSON. Pure; any thread. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "codec/otlp.h"

/* The codes of google.rpc, which are also gRPC's. */
enum otlp_code {
    OTLP_CODE_OK = 0,
    OTLP_CODE_CANCELLED = 1,
    OTLP_CODE_UNKNOWN = 2,
    OTLP_CODE_INVALID_ARGUMENT = 3,
    OTLP_CODE_DEADLINE_EXCEEDED = 4,
    OTLP_CODE_NOT_FOUND = 5,
    OTLP_CODE_PERMISSION_DENIED = 7,
    OTLP_CODE_RESOURCE_EXHAUSTED = 8,
    OTLP_CODE_UNIMPLEMENTED = 12,
    OTLP_CODE_INTERNAL = 13,
    OTLP_CODE_UNAVAILABLE = 14,
    OTLP_CODE_UNAUTHENTICATED = 16,
};

enum otlp_code otlp_code_of(enum err err);

/* Appends the response of a signal. All kept: partial_success stays unset. message says why some
 * were not, or is a warning when rejected_count is 0; "" for none. */
void otlp_write_answer(enum otlp_signal signal, bool as_json, uint64_t rejected_count,
                       struct str message, struct buf *out);

/* Appends a google.rpc.Status. retry_after_s > 0 adds RetryInfo (protobuf only; JSON senders go by
 * the header). */
void otlp_write_status(enum otlp_code code, bool as_json, const struct why *why, int retry_after_s,
                       struct buf *out);
