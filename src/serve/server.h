/* SPDX-License-Identifier: Apache-2.0 */
/* server - answers people and tools over HTTP, from what the daemon keeps.
 *
 * Owns the listening sockets and what is needed to answer; borrows the parts that it asks. All
 * functions belong to the loop thread unless said otherwise. The parts outlive the server. */
#pragma once
#include "base/err.h"
#include "base/str.h"
#include "io/http_server.h"
#include "serve/auth.h"

struct collectors;
struct exemplars;
struct exporter;
struct hub;
struct loop;
struct scraper;
struct self_report;
struct sources;
struct store;
struct tls_server;
struct workers;
struct sink_ops;

struct server_options {
    struct loop *loop;
    struct workers *workers;
    struct store *store;
    struct exemplars *exemplars;
    struct hub *hub;
    struct sources *sources;          /* NULL: nothing is collected here. */
    struct collectors *collectors;    /* Shown; NULL: there are none. */
    struct scraper *scraper;          /* Shown; NULL: nothing is fetched. */
    struct exporter *exporter;        /* Shown; NULL: nothing is exported. */
    const struct http_limits *limits; /* NULL: the defaults. */
    struct auth_options auth;
    const struct str *origins; /* Pages that may send from a browser (serve/origins.h); copied. */
    size_t origins_count;
    struct str profile;   /* "development"; shown. */
    struct str data_path; /* Shown. */
    struct str
        strategies_path; /* Sampling (codec/strategies.h), read anew for each answer; or NONE. */
    struct str sla_path; /* Promises (report/promises.h), read anew for each answer; STR_NONE. */

    /* Zero takes the default. */
    int64_t query_timeout_ms;  /* 120 s; a request may ask for less. */
    size_t query_memory_bytes; /* 256 MiB for one question. */
    uint32_t queries_max;      /* 128 questions worked on or waiting; then 429. */
    uint32_t live_max;         /* 512 live subscriptions in all. */
};

struct server;

CHECKED enum err server_open(const struct server_options *options, struct server **ret_server,
                             struct why *why);
/* After server_stop has called back, or at once for a hard end. The hub has stopped and the workers
 * are closed by then; the loop is still open. Always returns NULL. */
struct server *server_close(struct server *server);

/* As http_server_listen, refusing ERR_DENIED what auth does not allow. */
CHECKED enum err server_listen(struct server *server, struct str address, struct tls_server *tls,
                               uint16_t *ret_port, struct why *why);

/* From now on /readyz says yes. */
void server_set_ready(struct server *server, bool is_ready);

/* Says goodbye: live streams are closed, what is in flight may finish until deadline_ns
 * (monotonic); then stopped(self) is called from the loop. */
void server_stop(struct server *server, int64_t deadline_ns, void (*stopped)(void *self),
                 void *self);

/* The sink that tells live streams that something new was committed: add it to the hub after the
 * store, with the server as self. Its calls come from the hub's writer thread. */
extern const struct sink_ops server_live_sink;

/* The server's part of the daemon's numbers about itself (hub/self.h); part is the server. Called
 * from the thread that collects; reads a copy that the loop keeps fresh. */
CHECKED enum err server_self(void *part, struct self_report *report, struct why *why);
