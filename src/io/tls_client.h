/* SPDX-License-Identifier: Apache-2.0 */
/* tls_client - the client's side of TLS 1.2 and 1.3, for those who make connections by the
 * thousand. The sessions are those of tls.h: tls_handshake, tls_read, tls_write, tls_session_close.
 *
 * A tls_client is what is trusted; a tls_peer is a host that is connected to again and again, and
 * remembers the last session, so that the next connection takes it up. One thread each.
 *
 * A session reads the socket only when tls_session_readable has said that there is something: with
 * an edge-triggered watch, no recv is spent on finding nothing. */
#pragma once
#include "io/tls.h"

struct tls_client;
struct tls_peer;

struct tls_client_options {
    const char *ca_file; /* PEM; NULL: the system's authorities. */
    bool unverified;     /* Takes any certificate: for those who ask for it by name. */
    bool without_resumption;
    bool small; /* Gives buffers back between records: for very many connections. */
};

/* ERR_NOT_FOUND, ERR_DENIED, ERR_INVALID: the file of authorities. */
CHECKED enum err tls_client_open(const struct tls_client_options *options,
                                 struct tls_client **ret_client, struct why *why);
struct tls_client *tls_client_close(struct tls_client *client); /* Always returns NULL. */

/* host is verified and told to the server (SNI), but an address is only verified. alpn: "h2",
 * "http/1.1", or NULL. Both are copied. The client outlives its peers. */
struct tls_peer *tls_peer_new(struct tls_client *client, const char *host, const char *alpn);
struct tls_peer *tls_peer_free(struct tls_peer *peer); /* Always returns NULL. */

/* A session over a connected, non-blocking socket, which stays the caller's. */
struct tls_session *tls_peer_connect(struct tls_peer *peer, int fd);

/* There is something to read; to_the_end: the peer has closed, so read until that is found. */
void tls_session_readable(struct tls_session *session, bool to_the_end);
bool tls_session_resumed(const struct tls_session *session);
/* After the handshake: did the server choose the protocol that the peer offered? */
bool tls_session_speaks(const struct tls_session *session, const char *alpn);
