/* SPDX-License-Identifier: Apache-2.0 */
/* url - where a request goes. Borrowed pieces of the text; any thread. */
#pragma once
#include "base/err.h"
#include "base/str.h"

enum scheme { SCHEME_HTTP, SCHEME_HTTPS, SCHEME_WS, SCHEME_WSS, SCHEME_TCP, SCHEME_COUNT };

struct url {
    enum scheme scheme;
    struct str host; /* An IPv6 address without its brackets. */
    uint16_t port;
    struct str authority; /* As the Host field wants it: without a default port. */
    struct str path;      /* With the query, without the fragment; "/" when the text has none. */
    struct str user_info; /* "user:password", or STR_NONE. */
};

/* "http://host:8080/path?q", "https", "ws", "wss", "tcp://host:port"; without a scheme, http.
 * ERR_INVALID says what is wrong. */
CHECKED enum err url_parse(struct str text, struct url *ret_url, struct why *why);

const char *scheme_name(enum scheme scheme);
bool scheme_is_tls(enum scheme scheme);
