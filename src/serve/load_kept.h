/* SPDX-License-Identifier: Apache-2.0 */
/* load_kept - reports of loads that are kept, as records of kind "load_run": those that the daemon
 * made, and those that were made elsewhere. Any thread, but what takes a call: that of the call. */
#pragma once
#include "base/err.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

struct call;
struct store;

enum { LOAD_ID_SIZE = 48 };
#define LOAD_KEPT_BYTES ((size_t)512 << 20) /* That reading one may take. */

struct load_kept {
    struct str id;
    int64_t started_ms;
    struct str body; /* JSON: "id", "started_ms", "state", "report" or "error". */
};

/* The oldest ones make room. */
CHECKED enum err load_kept_add(struct store *store, const char *tenant,
                               const struct load_kept *kept, struct why *why);

/* Answers with the one that the path names, and how this machine did meanwhile. */
void load_kept_get(struct call *call);
/* Goes on with the list that the answer's body has begun, and ends it. */
void load_kept_list(struct call *call);
