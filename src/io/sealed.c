/* SPDX-License-Identifier: Apache-2.0 */
/* The key is PBKDF2 of the secret: whoever records a handshake, or pretends to be the other side,
 * pays for each guess. Keys of the session come from a Diffie-Hellman exchange beside it, so a
 * secret that becomes known later opens nothing that was recorded.
 *
 * A frame: kind (1 byte), size (4 bytes, little-endian), bytes. */
#include "io/sealed.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { KEY_BYTES = 32, KEY_ROUNDS = 20000, HEAD_BYTES = 5, PIECE_BYTES = 64 << 10 };
#define IDENTITY "sonde"
#define SALT     "sonde sealed 1"

struct sealed {
    int fd;
    SSL_CTX *context;
    SSL *ssl;
    uint8_t key[KEY_BYTES];
    struct buf in;
    size_t taken; /* Of in: the frame that was handed out. */
    bool ended;   /* The other side will say nothing more. */
};

/* ---- The key. ---- */

static SSL_SESSION *session_of(struct sealed *sealed, SSL *ssl)
{
    static const unsigned char cipher_id[] = {0x13, 0x01}; /* TLS_AES_128_GCM_SHA256. */
    const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, cipher_id);
    SSL_SESSION *session = SSL_SESSION_new();

    if (session == NULL)
        must_memory(sizeof(session));
    if (cipher == NULL || SSL_SESSION_set1_master_key(session, sealed->key, KEY_BYTES) != 1 ||
        SSL_SESSION_set_cipher(session, cipher) != 1 ||
        SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) != 1) {
        SSL_SESSION_free(session);
        return NULL;
    }
    return session;
}

static int use_key(SSL *ssl, const EVP_MD *digest, const unsigned char **ret_identity,
                   size_t *ret_size, SSL_SESSION **ret_session)
{
    struct sealed *sealed = SSL_get_app_data(ssl);

    *ret_session = NULL;
    if (digest != NULL && EVP_MD_get_type(digest) != NID_sha256)
        return 1; /* Another digest was chosen: without us. */
    *ret_session = session_of(sealed, ssl);
    *ret_identity = (const unsigned char *)IDENTITY;
    *ret_size = sizeof(IDENTITY) - 1;
    return *ret_session != NULL;
}

static int find_key(SSL *ssl, const unsigned char *identity, size_t size, SSL_SESSION **ret_session)
{
    struct sealed *sealed = SSL_get_app_data(ssl);

    *ret_session = NULL;
    if (size != sizeof(IDENTITY) - 1 || memcmp(identity, IDENTITY, size) != 0)
        return 1;
    *ret_session = session_of(sealed, ssl);
    return *ret_session != NULL;
}

static struct sealed *sealed_new(int fd, bool is_server, struct str secret)
{
    struct sealed *sealed = calloc(1, sizeof(*sealed));
    SSL_CTX *context = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());

    if (sealed == NULL || context == NULL)
        must_memory(sizeof(*sealed));
    MUST(PKCS5_PBKDF2_HMAC(secret.data, (int)secret.size, (const unsigned char *)SALT,
                           sizeof(SALT) - 1, KEY_ROUNDS, EVP_sha256(), KEY_BYTES,
                           sealed->key) == 1);
    (void)SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION); /* A known version. */
    MUST(SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") == 1);
    (void)SSL_CTX_set_num_tickets(context, 0); /* There is nothing to take up again. */
    (void)SSL_CTX_set_mode(context,
                           SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    sealed->fd = fd;
    sealed->context = context;
    sealed->ssl = SSL_new(context);
    if (sealed->ssl == NULL || SSL_set_fd(sealed->ssl, fd) != 1)
        must_memory(sizeof(*sealed));
    (void)SSL_set_app_data(sealed->ssl, sealed);
    if (is_server)
        SSL_set_psk_find_session_callback(sealed->ssl, find_key);
    else
        SSL_set_psk_use_session_callback(sealed->ssl, use_key);
    return sealed;
}

struct sealed *sealed_close(struct sealed *sealed)
{
    if (sealed == NULL)
        return NULL;
    ERR_clear_error();
    if (SSL_is_init_finished(sealed->ssl))
        (void)SSL_shutdown(sealed->ssl); /* A goodbye, if it still gets through. */
    SSL_free(sealed->ssl);
    SSL_CTX_free(sealed->context);
    ERR_clear_error();
    (void)close(sealed->fd);
    OPENSSL_cleanse(sealed->key, sizeof(sealed->key));
    buf_done(&sealed->in);
    free(sealed);
    return NULL;
}

int sealed_fd(const struct sealed *sealed)
{
    return sealed->fd;
}

/* ---- Waiting. ---- */

/* What OpenSSL has against the other side. Who does not know the secret fails at the binder, and is
 * told so by an alert. */
static enum err fail_openssl(struct why *why)
{
    unsigned long code = ERR_peek_error();
    const char *text = code == 0 ? NULL : ERR_reason_error_string(code);

    switch (ERR_GET_REASON(code)) {
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
        return fail(why, ERR_CLOSED, "the other side closed the connection");
    case SSL_R_BINDER_DOES_NOT_VERIFY:
    case SSL_R_TLSV1_ALERT_DECRYPT_ERROR:
    case SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER:
        return fail(why, ERR_UNAUTHENTICATED, "the other side knows another secret");
    default:
        return fail(why, ERR_UPSTREAM, "somebody else answers there (%s)",
                    text == NULL ? "unknown reason" : text);
    }
}

static enum err wait_for(int fd, short events, int64_t deadline_ns, struct why *why)
{
    for (;;) {
        struct pollfd poll_fd = {.fd = fd, .events = events};
        int64_t left_ns = deadline_ns - clock_monotonic_ns();
        if (left_ns <= 0)
            return fail(why, ERR_TIMEOUT, "no answer came in time");
        int64_t left_ms = left_ns / CLOCK_NS_PER_MS + 1;
        int count = poll(&poll_fd, 1, left_ms > 1000 ? 1000 : (int)left_ms);
        if (count > 0)
            return ERR_NONE;
        if (count < 0 && errno != EINTR)
            return fail_errno(why, errno, "waiting for the other side");
    }
}

/* What an SSL call wants before it is called again; an error where it wants nothing. */
static enum err wait_as_wanted(struct sealed *sealed, int result, int64_t deadline_ns,
                               struct why *why)
{
    int error = errno;

    switch (SSL_get_error(sealed->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return wait_for(sealed->fd, POLLIN, deadline_ns, why);
    case SSL_ERROR_WANT_WRITE:
        return wait_for(sealed->fd, POLLOUT, deadline_ns, why);
    case SSL_ERROR_ZERO_RETURN:
        return fail(why, ERR_CLOSED, "the other side closed the connection");
    case SSL_ERROR_SYSCALL:
        if (error != 0 && error != ECONNRESET && error != EPIPE)
            return fail_errno(why, error, "the connection broke");
        return fail(why, ERR_CLOSED, "the other side closed the connection");
    default:
        return fail_openssl(why);
    }
}

/* ---- Opening. ---- */

static enum err shake_hands(struct sealed *sealed, bool is_server, int64_t deadline_ns,
                            struct why *why)
{
    for (;;) {
        ERR_clear_error();
        errno = 0;
        int result = is_server ? SSL_accept(sealed->ssl) : SSL_connect(sealed->ssl);
        if (result == 1)
            break;
        TRY(wait_as_wanted(sealed, result, deadline_ns, why));
    }
    /* A stranger with any certificate could have come so far. */
    if (SSL_session_reused(sealed->ssl) != 1)
        return fail(why, ERR_UPSTREAM, "somebody else answers there");
    return ERR_NONE;
}

static enum err make_ready(int fd, struct why *why)
{
    int on = 1;
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return fail_errno(why, errno, "preparing a connection");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* Sooner, if it may be. */
    return ERR_NONE;
}

static enum err open_over(int fd, bool is_server, struct str secret, int64_t deadline_ns,
                          struct sealed **ret_sealed, struct why *why)
{
    struct sealed *sealed = sealed_new(fd, is_server, secret);
    enum err err = make_ready(fd, why);

    if (err == ERR_NONE)
        err = shake_hands(sealed, is_server, deadline_ns, why);
    if (err != ERR_NONE) {
        (void)sealed_close(sealed);
        return err;
    }
    *ret_sealed = sealed;
    return ERR_NONE;
}

enum err sealed_accept(int fd, struct str secret, int64_t deadline_ns, struct sealed **ret_sealed,
                       struct why *why)
{
    return open_over(fd, true, secret, deadline_ns, ret_sealed, why);
}

static enum err connect_one(const struct addrinfo *address, int64_t deadline_ns, int *ret_fd,
                            struct why *why)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error = 0;
    socklen_t size = sizeof(error);

    if (fd < 0)
        return fail_errno(why, errno, "making a socket");
    enum err err = ERR_NONE;
    if (connect(fd, address->ai_addr, address->ai_addrlen) < 0) {
        error = errno;
        if (error == EINPROGRESS) {
            err = wait_for(fd, POLLOUT, deadline_ns, why);
            if (err == ERR_NONE && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
                error = errno;
        }
        if (err == ERR_NONE && error != 0)
            err = fail(why, ERR_UPSTREAM, "%s", strerror(error));
    }
    if (err != ERR_NONE) {
        (void)close(fd);
        return err;
    }
    *ret_fd = fd;
    return ERR_NONE;
}

enum err sealed_connect(struct str host, uint16_t port, struct str secret, int64_t deadline_ns,
                        struct sealed **ret_sealed, struct why *why)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char name[256], service[8];
    enum err err = ERR_NONE;
    int fd = -1;

    (void)snprintf(name, sizeof(name), "%.*s", STR_ARG(host));
    (void)snprintf(service, sizeof(service), "%u", port);
    int result = getaddrinfo(name, service, &hints, &found);
    if (result != 0)
        return fail(why, ERR_UPSTREAM, "the name could not be resolved: %s",
                    result == EAI_SYSTEM ? "the resolver failed" : gai_strerror(result));
    for (const struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next)
        err = connect_one(at, deadline_ns, &fd, why);
    freeaddrinfo(found);
    if (fd < 0)
        return err;
    return open_over(fd, false, secret, deadline_ns, ret_sealed, why);
}

/* ---- Frames. ---- */

static enum err send_all(struct sealed *sealed, const char *data, size_t size, int64_t deadline_ns,
                         struct why *why)
{
    while (size > 0) {
        size_t sent = 0;
        ERR_clear_error();
        errno = 0;
        int result = SSL_write_ex(sealed->ssl, data, size, &sent);
        if (result != 1)
            TRY(wait_as_wanted(sealed, result, deadline_ns, why));
        data += sent;
        size -= sent;
    }
    return ERR_NONE;
}

enum err sealed_send(struct sealed *sealed, uint8_t kind, struct str bytes, int64_t deadline_ns,
                     struct why *why)
{
    struct buf head CLEANUP(buf_done) = {0};

    MUST(bytes.size <= UINT32_MAX);
    buf_byte(&head, kind);
    buf_u32(&head, (uint32_t)bytes.size);
    if (bytes.size <= PIECE_BYTES) { /* In one piece: a packet, and a record, less. */
        buf_str(&head, bytes);
        return send_all(sealed, head.data, head.size, deadline_ns, why);
    }
    TRY(send_all(sealed, head.data, head.size, deadline_ns, why));
    return send_all(sealed, bytes.data, bytes.size, deadline_ns, why);
}

/* Is a whole frame there? */
static enum err look_for_frame(struct sealed *sealed, size_t size_max,
                               struct sealed_frame *ret_frame, bool *ret_any, struct why *why)
{
    const uint8_t *head = (const uint8_t *)sealed->in.data;

    *ret_any = false;
    if (sealed->in.size < HEAD_BYTES)
        return ERR_NONE;
    size_t size = head[1] | (size_t)head[2] << 8 | (size_t)head[3] << 16 | (size_t)head[4] << 24;
    if (size > size_max)
        return fail(why, ERR_TOO_LARGE, "the other side sent a message of %zu bytes; %zu may be",
                    size, size_max);
    if (sealed->in.size < HEAD_BYTES + size)
        return ERR_NONE;
    *ret_frame = (struct sealed_frame){head[0], {sealed->in.data + HEAD_BYTES, size}};
    sealed->taken = HEAD_BYTES + size;
    *ret_any = true;
    return ERR_NONE;
}

static void drop_taken(struct sealed *sealed)
{
    if (sealed->taken == 0)
        return;
    sealed->in.size -= sealed->taken;
    memmove(sealed->in.data, sealed->in.data + sealed->taken, sealed->in.size);
    sealed->taken = 0;
}

enum err sealed_poll(struct sealed *sealed, size_t size_max, struct sealed_frame *ret_frame,
                     bool *ret_any, struct why *why)
{
    drop_taken(sealed);
    for (;;) {
        size_t count = 0;
        TRY(look_for_frame(sealed, size_max, ret_frame, ret_any, why));
        if (*ret_any)
            return ERR_NONE;
        if (sealed->ended)
            return fail(why, ERR_CLOSED, "the other side closed the connection");
        ERR_clear_error();
        errno = 0;
        char *room = buf_reserve(&sealed->in, PIECE_BYTES);
        int result = SSL_read_ex(sealed->ssl, room, PIECE_BYTES, &count);
        sealed->in.size += count;
        if (result == 1)
            continue;
        int error = SSL_get_error(sealed->ssl, result);
        if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
            return ERR_NONE;
        sealed->ended = true; /* However it ended. */
    }
}

enum err sealed_receive(struct sealed *sealed, size_t size_max, int64_t deadline_ns,
                        struct sealed_frame *ret_frame, struct why *why)
{
    bool any;

    for (;;) {
        TRY(sealed_poll(sealed, size_max, ret_frame, &any, why));
        if (any)
            return ERR_NONE;
        TRY(wait_for(sealed->fd, POLLIN, deadline_ns, why));
    }
}
