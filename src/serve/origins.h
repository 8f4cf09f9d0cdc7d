/* SPDX-License-Identifier: Apache-2.0 */
/* origins - pages of other sites that may send spans from a browser.
 *
 * A browser asks before it lets a page post elsewhere (CORS). What is said yes to are only the
 * calls that take spans, metrics and logs in; nothing can be read through them, and a token is
 * needed as ever where one is needed.
 *
 * Read-only after origins_new; any thread. */
#pragma once
#include "base/err.h"
#include "base/str.h"

#define ORIGINS_MAX 64

struct call;
struct origins;

/* Each "https://shop.example.com", the same with a star for what stands before ".example.com", or
 * "*" alone. Copied.
 * ERR_INVALID: one is none of these; ERR_LIMIT: too many. */
CHECKED enum err origins_new(const struct str *items, size_t count, struct origins **ret_origins,
                             struct why *why);
struct origins *origins_free(struct origins *origins); /* Always returns NULL. */

bool origins_allow(const struct origins *origins, struct str origin);

/* When a page that may do so sends the request: adds the headers by which the browser knows. */
bool origins_admit(const struct origins *origins, struct call *call);

/* The same of the question that a browser asks before: what it may send. */
void origins_answer_preflight(const struct origins *origins, struct call *call);
