/* SPDX-License-Identifier: Apache-2.0 */
/* cookies - what a user's servers asked it to remember (RFC 6265, as far as a client of known hosts
 * needs it): by origin, with Path and Secure heeded; Max-Age of 0 or less, or an Expires that has
 * passed, forgets. Belongs to its user's thread. */
#pragma once
#include "base/buf.h"

enum { COOKIES_MAX = 64, COOKIE_BYTES_MAX = 4096 };

struct cookie {
    size_t origin;
    struct buf name, value, path;
    bool secure;
};

struct cookies {
    struct cookie *items; /* COOKIES_MAX of them, made with the first cookie. */
    size_t count;
};

void cookies_done(struct cookies *cookies);
void cookies_clear(struct cookies *cookies);

/* A Set-Cookie field of an answer to `target` (path and query). Too large ones, and those over
 * COOKIES_MAX, are not remembered. */
void cookies_take(struct cookies *cookies, size_t origin, struct str target, struct str field);

/* "a=1; b=2" for a request; nothing when none fits. */
void cookies_write(const struct cookies *cookies, size_t origin, bool is_secure, struct str target,
                   struct buf *out);
