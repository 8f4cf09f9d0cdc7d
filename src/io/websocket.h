/* SPDX-License-Identifier: Apache-2.0 */
/* websocket - one WebSocket of the HTTP server (RFC 6455); framing by wslay.
 *
 * Born by exchange_upgrade_websocket. Lives until `closed` has been called, and not longer. Loop
 * thread only. Pings, pongs, UTF-8 checks and close handshakes need no help from the handler. */
#pragma once
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct websocket;

enum websocket_close {
    WEBSOCKET_CLOSE_NORMAL = 1000,
    WEBSOCKET_CLOSE_GOING_AWAY = 1001,
    WEBSOCKET_CLOSE_PROTOCOL = 1002,
    WEBSOCKET_CLOSE_POLICY = 1008,
    WEBSOCKET_CLOSE_TOO_LARGE = 1009,
    WEBSOCKET_CLOSE_INTERNAL = 1011,
    WEBSOCKET_CLOSE_TRY_LATER = 1013,
};

struct websocket_handler {
    /* A whole message, valid during the call. */
    void (*message)(void *self, struct websocket *websocket, struct str message, bool is_text);
    /* The queue has fallen below a quarter of its limit after a send was refused. Optional. */
    void (*drained)(void *self, struct websocket *websocket);
    /* The last call: the pointer is dead afterwards. code is the peer's, or 1006 without one. */
    void (*closed)(void *self, struct websocket *websocket, int code);
};

/* Copies the message into the queue. ERR_BUSY: the peer is too slow, the queue is full and the
 * message was dropped (counted); ERR_CLOSED: a close is under way. */
CHECKED enum err websocket_send_text(struct websocket *websocket, struct str text);
CHECKED enum err websocket_send_binary(struct websocket *websocket, struct str bytes);

size_t websocket_queued_bytes(const struct websocket *websocket);

/* Sends a close frame behind what is queued; `closed` follows when the peer has answered or
 * after 5 s. reason at most 123 bytes. */
void websocket_close(struct websocket *websocket, enum websocket_close code, struct str reason);
