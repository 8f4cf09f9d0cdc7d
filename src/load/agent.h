/* SPDX-License-Identifier: Apache-2.0 */
/* agent - the other machine's side of a shared load: one session, from the greeting to the end of
 * one run (agent_wire.h). It makes no traffic but what the one who holds the connection asks for,
 * and ends when that one falls silent.
 *
 * Blocking; one thread, beside the drivers of the run. */
#pragma once
#include "base/err.h"
#include "base/str.h"
#include "load/parcel.h"

#include <stdatomic.h>

struct plan;

struct agent_host {
    void *self;
    struct str secret;
    struct str version; /* Of this program. */
    /* May another run begin? ERR_BUSY and why not. */
    enum err (*admit)(void *self, struct why *why);
    void (*leave)(void *self); /* The run is over: another may begin. */
    /* A finished plan of what came; it stays the host's. */
    enum err (*make)(void *self, struct parcel *parcel, const struct plan **ret_plan,
                     struct why *why);
    const atomic_int *interrupts; /* Of somebody at this machine: as in engine.h. */
};

struct agent_report {
    uint64_t requests;
    uint64_t failures;
    double duration_s;
    bool ran;
};

/* Takes the accepted connection. What is an error here was told to the other side, where that was
 * possible. */
CHECKED enum err agent_serve(int fd, const struct agent_host *host, struct agent_report *ret_report,
                             struct why *why);
