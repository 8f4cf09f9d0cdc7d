/* SPDX-License-Identifier: Apache-2.0 */
/* daemon - wires the house: opens every object bottom-up, runs the loop, closes top-down, and hands
 * each only what it uses.
 *
 * One thread, the loop's, from open to close; the objects start their own. */
#pragma once
#include "base/err.h"
#include "cli/config.h"

struct daemon;

struct daemon_options {
    /* Consumed: the daemon frees it, and replaces it on a reload. */
    struct config *config;
    /* Reads the configuration again, for SIGHUP; the daemon frees what it gives. */
    struct config *(*reload)(void *self);
    void *reload_self;
};

/* Also blocks SIGTERM, SIGINT and SIGHUP for the whole process and takes them over.
 * ERR_EXISTS: the port is in use; ERR_BUSY: another daemon has the data folder; ERR_DENIED: the
 * folder or the port is not ours to use; ERR_INVALID: the configuration asks for what cannot be. */
CHECKED enum err daemon_open(struct daemon_options *options, struct daemon **ret_daemon,
                             struct why *why);

/* Returns after a signal, when what was in flight is answered and committed. */
CHECKED enum err daemon_run(struct daemon *daemon, struct why *why);
struct daemon *daemon_close(struct daemon *daemon); /* Always returns NULL. */

/* "http://127.0.0.1:7070": what a browser on this machine opens. Lives as long as the daemon. */
const char *daemon_url(const struct daemon *daemon);
