/* SPDX-License-Identifier: Apache-2.0 */
/* load_request - what somebody asks a daemon to put load on (the schema LoadRequest), as the words
 * of `sonde load`. Pure; in the arena. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum { LOAD_REQUEST_ARGUMENTS_MAX = 64 };

struct load_request {
    struct arena *arena;
    const char
        *items[LOAD_REQUEST_ARGUMENTS_MAX + 1]; /* The program first; NULL behind the last. */
    size_t count;
    struct str title;
    int64_t length_ms; /* At most. */
};

/* ERR_INVALID names the key. A value cannot become an option. */
CHECKED enum err load_request_read(struct str body, struct arena *arena,
                                   struct load_request *ret_request, struct why *why);
