/* SPDX-License-Identifier: Apache-2.0 */
/* tls_priv - what a session is made of, for the server's side and the client's. */
#pragma once
#include "io/tls.h"

#include <openssl/ssl.h>

struct tls_session {
    SSL *ssl;
    /* Of the client's side. */
    int fd;
    bool drained;    /* The last read emptied the socket, and nothing was heard since. */
    bool to_the_end; /* The peer has closed; a short read says nothing. */
};
