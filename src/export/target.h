/* SPDX-License-Identifier: Apache-2.0 */
/* target - one receiver of OTLP: how it is spoken to, and whether it is to be spoken to now.
 *
 * http:// and https:// are OTLP/HTTP with protobuf, to the signal's path below the URL; grpc:// and
 * grpcs:// are OTLP/gRPC. One that fails is left alone for a while, longer each time. One thread.
 */
#pragma once
#include "export/answer.h"

struct target {
    char *name; /* The URL as it was given, without user and password. */
    char *url[OTLP_SIGNAL_COUNT];
    bool is_grpc;
    uint32_t failures; /* In a row. */
    uint32_t in_flight;
    int64_t not_before_ns; /* Monotonic. */
    uint64_t seed;         /* Of its back-off's jitter. */
};

/* ERR_INVALID: what is wrong with the URL. */
CHECKED enum err target_init(struct target *target, struct str url, struct why *why);
void target_done(struct target *target);

/* Checks a URL only; for configurations. */
CHECKED enum err target_check(struct str url, struct why *why);

/* May be given a message now? When not, *ret_wake_ns is when to ask again, or INT64_MAX when an
 * answer that is under way comes first. */
bool target_is_free(const struct target *target, int64_t now_ns, int64_t *ret_wake_ns);
/* Is it worth waiting for, instead of going to the next? A first failure may be a hiccup. */
bool target_is_worth_waiting(const struct target *target, int64_t now_ns);

void target_began(struct target *target);
/* With what the answer came to. */
void target_ended(struct target *target, const struct answer_meaning *meaning, int64_t now_ns);
