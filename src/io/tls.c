/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL behind five calls. Its error queue is emptied before each call, since SSL_get_error reads
 * whatever another call left there. */
#include "base/str.h"
#include "io/tls_priv.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#define TLS_MAGIC UINT32_C(0x544c5353)

struct tls_server {
    uint32_t magic;
    SSL_CTX *context;
    char *certificate_path;
    char *key_path;
};

/* The first error of OpenSSL's queue as a sentence's end. */
static enum err fail_openssl(struct why *why, enum err err, const char *path, const char *what)
{
    unsigned long code = ERR_peek_error();
    const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);

    err = ERR_SYSTEM_ERROR(code) ? fail_errno(why, ERR_GET_REASON(code), "%s: %s", path, what)
                                 : fail(why, err, "%s: %s: %s", path, what,
                                        reason == NULL ? "unknown reason" : reason);
    ERR_clear_error();
    return err;
}

/* Picks what we like best of what the client offers. */
static int choose_protocol(SSL *ssl, const unsigned char **ret_chosen, unsigned char *ret_size,
                           const unsigned char *offered, unsigned offered_size, void *argument)
{
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    unsigned char *chosen;

    (void)ssl;
    (void)argument;
    if (SSL_select_next_proto(&chosen, ret_size, ours, sizeof(ours) - 1, offered, offered_size) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301: no_application_protocol. */
    *ret_chosen = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static enum err load(SSL_CTX *context, const char *certificate_path, const char *key_path,
                     struct why *why)
{
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(context, certificate_path) != 1)
        return fail_openssl(why, ERR_INVALID, certificate_path, "reading the TLS certificate");
    if (SSL_CTX_use_PrivateKey_file(context, key_path, SSL_FILETYPE_PEM) != 1)
        return fail_openssl(why, ERR_INVALID, key_path, "reading the TLS key");
    if (SSL_CTX_check_private_key(context) != 1)
        return fail_openssl(why, ERR_INVALID, key_path, "the key does not fit the certificate");
    return ERR_NONE;
}

static enum err context_new(const char *certificate_path, const char *key_path,
                            SSL_CTX **ret_context, struct why *why)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    if (context == NULL)
        must_memory(sizeof(*ret_context));
    (void)SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION); /* A known version. */
    (void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                           SSL_OP_CIPHER_SERVER_PREFERENCE |
                                           SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                        SSL_MODE_RELEASE_BUFFERS);
    /* Tickets resume sessions without memory of ours. */
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    enum err err = load(context, certificate_path, key_path, why);
    if (err != ERR_NONE) {
        SSL_CTX_free(context);
        return err;
    }
    *ret_context = context;
    return ERR_NONE;
}

static char *copy_text(const char *text)
{
    char *copy = strdup(text);

    if (copy == NULL)
        must_memory(strlen(text));
    return copy;
}

enum err tls_server_open(const char *certificate_path, const char *key_path,
                         struct tls_server **ret_server, struct why *why)
{
    SSL_CTX *context;

    TRY(context_new(certificate_path, key_path, &context, why));
    struct tls_server *server = calloc(1, sizeof(*server));
    if (server == NULL)
        must_memory(sizeof(*server));
    server->magic = TLS_MAGIC;
    server->context = context;
    server->certificate_path = copy_text(certificate_path);
    server->key_path = copy_text(key_path);
    *ret_server = server;
    return ERR_NONE;
}

enum err tls_server_reload(struct tls_server *server, struct why *why)
{
    SSL_CTX *context;

    MUST_BE(server, TLS_MAGIC);
    TRY(context_new(server->certificate_path, server->key_path, &context, why));
    SSL_CTX_free(server->context); /* Sessions hold references of their own. */
    server->context = context;
    return ERR_NONE;
}

struct tls_server *tls_server_close(struct tls_server *server)
{
    if (server != NULL) {
        MUST_BE(server, TLS_MAGIC);
        SSL_CTX_free(server->context);
        free(server->certificate_path);
        free(server->key_path);
        server->magic = 0;
        free(server);
    }
    return NULL;
}

/* ---- Sessions. ---- */

struct tls_session *tls_session_open(struct tls_server *server, int fd)
{
    struct tls_session *session = calloc(1, sizeof(*session));

    MUST_BE(server, TLS_MAGIC);
    if (session == NULL)
        must_memory(sizeof(*session));
    session->ssl = SSL_new(server->context);
    if (session->ssl == NULL || SSL_set_fd(session->ssl, fd) != 1)
        must_memory(sizeof(*session));
    SSL_set_accept_state(session->ssl);
    return session;
}

struct tls_session *tls_session_close(struct tls_session *session)
{
    if (session != NULL) {
        /* Or OpenSSL would take the session for spoilt, and a client could not resume it. */
        if (!SSL_is_server(session->ssl))
            SSL_set_shutdown(session->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(session->ssl);
        free(session);
    }
    return NULL;
}

static enum tls_result result_of(struct tls_session *session, int result)
{
    switch (SSL_get_error(session->ssl, result)) {
    case SSL_ERROR_NONE:
        return TLS_DONE;
    case SSL_ERROR_WANT_READ:
        return TLS_WANTS_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANTS_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_CLOSED;
    default:
        return TLS_FAILED;
    }
}

/* OpenSSL tells by its queue of errors what a call met with, so nothing of an earlier one may be
 * left there. To look costs a fifth of clearing, and there is hardly ever anything. */
static void forget_errors(void)
{
    if (ERR_peek_error() != 0)
        ERR_clear_error();
}

enum tls_result tls_handshake(struct tls_session *session)
{
    forget_errors();
    return result_of(session, SSL_do_handshake(session->ssl));
}

bool tls_chose_http2(const struct tls_session *session)
{
    const unsigned char *chosen;
    unsigned size;

    SSL_get0_alpn_selected(session->ssl, &chosen, &size);
    return size == 2 && memcmp(chosen, "h2", 2) == 0;
}

/* Has OpenSSL nothing to hand over, and the socket nothing for OpenSSL? To hear that from OpenSSL
 * costs a tenth of a request. */
static bool is_dry(const struct tls_session *session)
{
    return session->drained && SSL_has_pending(session->ssl) == 0;
}

enum tls_result tls_read(struct tls_session *session, void *data, size_t size, size_t *ret_size)
{
    if (is_dry(session))
        return TLS_WANTS_READ;
    forget_errors();
    return result_of(session, SSL_read_ex(session->ssl, data, size, ret_size));
}

enum tls_result tls_write(struct tls_session *session, const void *data, size_t size,
                          size_t *ret_size)
{
    forget_errors();
    return result_of(session, SSL_write_ex(session->ssl, data, size, ret_size));
}

void tls_shutdown(struct tls_session *session)
{
    forget_errors();
    (void)SSL_shutdown(session->ssl); /* A courtesy: the connection closes either way. */
    forget_errors();
}
