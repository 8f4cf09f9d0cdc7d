/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL reads through a BIO of ours that looks at the socket once per readiness: a recv that
 * returns less than asked has emptied it, and until the watch speaks again the next read is told
 * "later" without asking the kernel. With read-ahead, a record that has arrived whole costs one
 * recv instead of three (its head, its body, and the one that finds nothing). */
#include "io/tls_client.h"

#include "base/err.h"
#include "io/tls_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define TLS_CLIENT_MAGIC UINT32_C(0x544c5343)

struct tls_client {
    uint32_t magic;
    SSL_CTX *context;
    BIO_METHOD *method;
};

struct tls_peer {
    struct tls_client *client;
    char *host;
    bool host_is_address;
    unsigned char alpn[16]; /* As the wire wants it: a length, a name. */
    unsigned alpn_size;
    SSL_SESSION *session; /* Of the last handshake, or NULL. */
};

/* ---- The BIO. ---- */

static int bio_write(BIO *bio, const char *data, int size)
{
    const struct tls_session *session = BIO_get_data(bio);
    ssize_t sent = send(session->fd, data, (size_t)size, MSG_NOSIGNAL);

    BIO_clear_retry_flags(bio);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_write(bio);
    return (int)sent;
}

static int bio_read(BIO *bio, char *data, int size)
{
    struct tls_session *session = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (session->drained) {
        BIO_set_retry_read(bio);
        return -1;
    }
    ssize_t count = recv(session->fd, data, (size_t)size, 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        session->drained = true;
        BIO_set_retry_read(bio);
    } else if (count > 0 && count < size) {
        session->drained = !session->to_the_end;
    }
    return (int)count;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0; /* Nothing is kept back. */
}

/* ---- What is trusted. ---- */

static int new_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_peer *peer = SSL_get_app_data(ssl);

    SSL_SESSION_free(peer->session);
    peer->session = session;
    return 1; /* The reference is ours now. */
}

static enum err trust(SSL_CTX *context, const struct tls_client_options *options, struct why *why)
{
    if (options->unverified)
        return ERR_NONE;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    ERR_clear_error();
    if (options->ca_file == NULL) {
        (void)SSL_CTX_set_default_verify_paths(context); /* Without any, nothing is trusted. */
        return ERR_NONE;
    }
    if (SSL_CTX_load_verify_locations(context, options->ca_file, NULL) == 1)
        return ERR_NONE;
    unsigned long code = ERR_peek_error();
    enum err err =
        ERR_SYSTEM_ERROR(code)
            ? fail_errno(why, ERR_GET_REASON(code), "%s: reading authorities", options->ca_file)
            : fail(why, ERR_INVALID, "%s: holds no certificate in PEM form", options->ca_file);
    ERR_clear_error();
    return err;
}

static SSL_CTX *context_new(const struct tls_client_options *options)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    if (context == NULL)
        must_memory(sizeof(context));
    (void)SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION); /* A known version. */
    (void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                           SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                        (options->small ? SSL_MODE_RELEASE_BUFFERS : 0));
    SSL_CTX_set_read_ahead(context, 1);
    if (options->without_resumption) {
        (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
        (void)SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    } else {
        (void)SSL_CTX_set_session_cache_mode(context,
                                             SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(context, new_session);
    }
    return context;
}

enum err tls_client_open(const struct tls_client_options *options, struct tls_client **ret_client,
                         struct why *why)
{
    SSL_CTX *context = context_new(options);
    enum err err = trust(context, options, why);

    if (err != ERR_NONE) {
        SSL_CTX_free(context);
        return err;
    }
    struct tls_client *client = calloc(1, sizeof(*client));
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "sonde");
    if (client == NULL || method == NULL)
        must_memory(sizeof(*client));
    (void)BIO_meth_set_write(method, bio_write); /* These only store a pointer. */
    (void)BIO_meth_set_read(method, bio_read);
    (void)BIO_meth_set_ctrl(method, bio_control);
    client->magic = TLS_CLIENT_MAGIC;
    client->context = context;
    client->method = method;
    *ret_client = client;
    return ERR_NONE;
}

struct tls_client *tls_client_close(struct tls_client *client)
{
    if (client != NULL) {
        MUST_BE(client, TLS_CLIENT_MAGIC);
        SSL_CTX_free(client->context);
        BIO_meth_free(client->method);
        client->magic = 0;
        free(client);
    }
    return NULL;
}

/* ---- Peers. ---- */

struct tls_peer *tls_peer_new(struct tls_client *client, const char *host, const char *alpn)
{
    struct tls_peer *peer = calloc(1, sizeof(*peer));
    char address[sizeof(struct in6_addr)];

    MUST_BE(client, TLS_CLIENT_MAGIC);
    if (peer == NULL || (peer->host = strdup(host)) == NULL)
        must_memory(sizeof(*peer));
    peer->client = client;
    peer->host_is_address =
        inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
    if (alpn != NULL) {
        size_t size = strlen(alpn);
        MUST(size < sizeof(peer->alpn));
        peer->alpn[0] = (unsigned char)size;
        memcpy(peer->alpn + 1, alpn, size);
        peer->alpn_size = (unsigned)size + 1;
    }
    return peer;
}

struct tls_peer *tls_peer_free(struct tls_peer *peer)
{
    if (peer != NULL) {
        SSL_SESSION_free(peer->session);
        free(peer->host);
        free(peer);
    }
    return NULL;
}

static void name_peer(SSL *ssl, const struct tls_peer *peer)
{
    if (peer->host_is_address) {
        (void)X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), peer->host); /* It is one. */
        return;
    }
    /* Both fail only without memory, and then the handshake does. */
    (void)SSL_set_tlsext_host_name(ssl, peer->host);
    (void)SSL_set1_host(ssl, peer->host);
}

struct tls_session *tls_peer_connect(struct tls_peer *peer, int fd)
{
    struct tls_session *session = calloc(1, sizeof(*session));
    BIO *bio = BIO_new(peer->client->method);

    if (session == NULL || bio == NULL || (session->ssl = SSL_new(peer->client->context)) == NULL)
        must_memory(sizeof(*session));
    BIO_set_data(bio, session);
    session->fd = fd;
    BIO_set_init(bio, 1);
    SSL_set_bio(session->ssl, bio, bio);
    SSL_set_app_data(session->ssl, peer);
    name_peer(session->ssl, peer);
    if (peer->alpn_size > 0)
        (void)SSL_set_alpn_protos(session->ssl, peer->alpn, peer->alpn_size); /* As above. */
    if (peer->session != NULL)
        (void)SSL_set_session(session->ssl, peer->session); /* Else a full handshake. */
    SSL_set_connect_state(session->ssl);
    return session;
}

/* ---- Sessions. ---- */

void tls_session_readable(struct tls_session *session, bool to_the_end)
{
    session->drained = false;
    session->to_the_end = to_the_end;
}

bool tls_session_resumed(const struct tls_session *session)
{
    return SSL_session_reused(session->ssl) == 1;
}

bool tls_session_speaks(const struct tls_session *session, const char *alpn)
{
    const unsigned char *chosen;
    unsigned size;

    SSL_get0_alpn_selected(session->ssl, &chosen, &size);
    return size == strlen(alpn) && memcmp(chosen, alpn, size) == 0;
}
