/* SPDX-License-Identifier: Apache-2.0 */
/* tls - the server's side of TLS 1.2 and 1.3 over a non-blocking socket, by OpenSSL.
 *
 * A tls_server is a certificate with its key; a tls_session is one connection. Loop thread only. */
#pragma once
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct tls_server;
struct tls_session;

/* Reads PEM files: the certificate with its chain, and its key.
 * ERR_NOT_FOUND, ERR_DENIED, ERR_INVALID: names the file and what is wrong with it. */
CHECKED enum err tls_server_open(const char *certificate_path, const char *key_path,
                                 struct tls_server **ret_server, struct why *why);
/* Reads the files again; new connections use them, old ones go on. On error nothing changes. */
CHECKED enum err tls_server_reload(struct tls_server *server, struct why *why);
struct tls_server *tls_server_close(struct tls_server *server); /* Always returns NULL. */

/* What a session's call came to. */
enum tls_result {
    TLS_DONE,
    TLS_WANTS_READ,  /* Call again when the socket is readable. */
    TLS_WANTS_WRITE, /* Call again when it is writable. */
    TLS_CLOSED,      /* The peer said goodbye. */
    TLS_FAILED,
};

struct tls_session *tls_session_open(struct tls_server *server, int fd);
struct tls_session *tls_session_close(struct tls_session *session); /* Always returns NULL. */

enum tls_result tls_handshake(struct tls_session *session);
bool tls_chose_http2(const struct tls_session *session); /* By ALPN; after the handshake. */
enum tls_result tls_read(struct tls_session *session, void *data, size_t size, size_t *ret_size);
enum tls_result tls_write(struct tls_session *session, const void *data, size_t size,
                          size_t *ret_size);
void tls_shutdown(struct tls_session *session); /* Says goodbye, without waiting for an answer. */
