/* SPDX-License-Identifier: Apache-2.0 */
/* answer - what a receiver of OTLP meant by its reply, over HTTP and over gRPC. Pure. */
#pragma once
#include "codec/otlp.h"
#include "io/http_client.h"

enum verdict {
    VERDICT_ARRIVED,
    VERDICT_LATER,     /* To be sent again, after wait_ns where it said so. */
    VERDICT_TOO_LARGE, /* In smaller pieces perhaps. */
    VERDICT_REFUSED,   /* This message never: it is bad data to the receiver. */
    VERDICT_MISTAKEN,  /* Not the message is wrong but where or how it is sent: address, token. */
};

struct answer_meaning {
    enum verdict verdict;
    uint64_t rejected_items; /* Of one that arrived. */
    int64_t wait_ns;         /* 0: the receiver did not say. */
    struct why why;          /* Unless all arrived; also its warnings. */
};

/* now_ms: for a Retry-After that is a date. */
void answer_read(const struct http_reply *reply, bool is_grpc, int64_t now_ms,
                 struct answer_meaning *ret_meaning);
