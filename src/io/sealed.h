/* SPDX-License-Identifier: Apache-2.0 */
/* sealed - a connection between two of ours that share a secret: TLS 1.3 with a key made of it, so
 * that both sides prove they know it, nobody else reads along, and no certificate is needed. With
 * the empty secret everybody may talk; what is said is still unreadable for others.
 *
 * Blocking with a deadline, for command lines; one thread; the process ignores SIGPIPE. Writing and
 * reading pass whole frames: a kind, and bytes. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct sealed;

enum { SEALED_SECRET_MIN = 16 }; /* Bytes of a secret that is worth its name. */

struct sealed_frame {
    uint8_t kind;
    struct str bytes; /* Holds until the next call. */
};

/* Connects to HOST:PORT and shakes hands. ERR_UPSTREAM: nobody there, or nobody who speaks so;
 * ERR_UNAUTHENTICATED: the other side knows another secret. */
CHECKED enum err sealed_connect(struct str host, uint16_t port, struct str secret,
                                int64_t deadline_ns, struct sealed **ret_sealed, struct why *why);
/* Over an accepted connection, which is the session's from now on, also after an error. */
CHECKED enum err sealed_accept(int fd, struct str secret, int64_t deadline_ns,
                               struct sealed **ret_sealed, struct why *why);
struct sealed *sealed_close(struct sealed *sealed); /* Always returns NULL. */

CHECKED enum err sealed_send(struct sealed *sealed, uint8_t kind, struct str bytes,
                             int64_t deadline_ns, struct why *why);
/* The next frame that is whole; *ret_any false: there is none yet. A frame of more than
 * size_max bytes is ERR_TOO_LARGE; ERR_CLOSED: the other side is gone. Does not block. */
CHECKED enum err sealed_poll(struct sealed *sealed, size_t size_max, struct sealed_frame *ret_frame,
                             bool *ret_any, struct why *why);
/* The same, waiting for it. ERR_TIMEOUT. */
CHECKED enum err sealed_receive(struct sealed *sealed, size_t size_max, int64_t deadline_ns,
                                struct sealed_frame *ret_frame, struct why *why);
/* Readable when there may be something to poll for, once sealed_poll has found nothing. */
int sealed_fd(const struct sealed *sealed);
