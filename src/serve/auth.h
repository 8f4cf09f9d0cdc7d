/* SPDX-License-Identifier: Apache-2.0 */
/* auth - who asks, for which tenant, and what they may do.
 *
 * Two ways in today: a bearer token that the operator configured, or coming from this machine
 * itself (loopback), which makes an administrator of the default tenant. A request that a proxy
 * passed on is not from this machine, wherever the proxy runs. Whoever is let in without a token
 * must also name a host that is ours, so that no web page can rebind its own name to our address.
 *
 * Read-only after auth_new; any thread. */
#pragma once
#include "base/err.h"
#include "base/str.h"
#include "model/batch.h"

struct exchange;

enum role {
    ROLE_PUBLIC, /* Nobody needs to be known: health checks, the empty dashboard page. */
    ROLE_VIEWER, /* May ask. */
    ROLE_WRITER, /* May also send data in. */
    ROLE_ADMIN,  /* May also change how the daemon works. */
};

const char *role_name(enum role role); /* "viewer" */
bool role_parse(struct str name, enum role *ret_role);

struct identity {
    enum role role;
    char tenant[BATCH_TENANT_BYTES];
};

#define AUTH_TOKENS_MAX      256
#define AUTH_TOKEN_BYTES_MIN 16
#define AUTH_TOKEN_BYTES_MAX 256
#define AUTH_HOSTS_MAX       64

struct auth_token {
    struct str token;
    struct str tenant; /* Empty: "default". */
    enum role role;
};

struct auth_options {
    const struct auth_token *tokens;
    size_t tokens_count;
    /* Names by which browsers may call us beside localhost, addresses and this host's name. */
    const struct str *hosts;
    size_t hosts_count;
    bool loopback_needs_token; /* Even from this machine. */
    bool open; /* Everyone who can reach us is an administrator: no tokens at all. */
};

struct auth;

/* Copies the options. ERR_INVALID: a token is too short or unprintable; ERR_LIMIT: too many. */
CHECKED enum err auth_new(const struct auth_options *options, struct auth **ret_auth,
                          struct why *why);
struct auth *auth_free(struct auth *auth); /* Always returns NULL. */
void auth_freep(struct auth **auth);       /* For CLEANUP. */

/* Tokens from a file: a line each, "TOKEN [viewer|writer|admin] [TENANT]", '#' begins a comment;
 * without a role a viewer. The texts live in the arena. ERR_INVALID names the line. */
CHECKED enum err auth_read_tokens(struct str content, const char *name, struct arena *arena,
                                  struct auth_token **ret_tokens, size_t *ret_count,
                                  struct why *why);

/* May the server listen there? ERR_DENIED beyond loopback without tokens, unless open. */
CHECKED enum err auth_check_listen(const struct auth *auth, struct str address, struct why *why);

/* ERR_UNAUTHENTICATED: a token is needed, or the one given is not known; ERR_DENIED: the Host is
 * not ours. For needed == ROLE_PUBLIC everyone passes. */
CHECKED enum err auth_identify(const struct auth *auth, const struct exchange *exchange,
                               enum role needed, struct identity *ret_identity, struct why *why);

/* ERR_DENIED when a browser brings the request from another site. For requests that change
 * something and for WebSockets, which no same-origin rule protects. */
CHECKED enum err auth_check_origin(const struct exchange *exchange, struct why *why);
