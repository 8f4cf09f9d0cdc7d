/* SPDX-License-Identifier: Apache-2.0 */
/* The server's numbers about itself. The collecting thread reads atomics and a copy of the HTTP
 * figures that the loop renews every second; nothing here waits for the loop. */
#include "serve/live.h"
#include "serve/server_priv.h"

#include "hub/self.h"
#include "sonde_version.h"

struct row {
    struct self_metric metric;
    double value;
};

#define COUNTER(name, help)                    \
    {                                          \
        name, help, METRIC_COUNTER, NULL, NULL \
    }
#define GAUGE(name, help)                    \
    {                                        \
        name, help, METRIC_GAUGE, NULL, NULL \
    }
#define REQUESTS(status_class)                                                                 \
    {                                                                                          \
        "sonde_http_requests_total", "Requests answered, by class of status.", METRIC_COUNTER, \
            "class", status_class                                                              \
    }
#define REFUSED(reason)                                                                        \
    {                                                                                          \
        "sonde_http_refused_total", "What the server turned away, by reason.", METRIC_COUNTER, \
            "reason", reason                                                                   \
    }

static enum err write_rows(struct self_report *report, const struct row *rows, size_t count,
                           struct why *why)
{
    for (size_t i = 0; i < count; i++)
        TRY(self_write(report, &rows[i].metric, rows[i].value, why));
    return ERR_NONE;
}

static enum err write_http(struct self_report *report, const struct http_stats *http,
                           struct why *why)
{
    const struct row rows[] = {
        {REQUESTS("1xx"), (double)http->requests_1xx},
        {REQUESTS("2xx"), (double)http->requests_2xx},
        {REQUESTS("3xx"), (double)http->requests_3xx},
        {REQUESTS("4xx"), (double)http->requests_4xx},
        {REQUESTS("5xx"), (double)http->requests_5xx},
        {REFUSED("connections"), (double)http->connections_refused},
        {REFUSED("connections_peer"), (double)http->connections_refused_peer},
        {REFUSED("files"), (double)http->connections_refused_files},
        {REFUSED("timeout"), (double)http->connections_timed_out},
        {REFUSED("flood"), (double)http->connections_flooded},
        {REFUSED("handshake"), (double)http->handshakes_failed},
        {REFUSED("syntax"), (double)http->parse_errors},
        {REFUSED("body"), (double)http->bodies_refused},
        {REFUSED("slow_reader"), (double)http->queue_overflows},
        {COUNTER("sonde_http_received_bytes_total", "Bytes read from peers."),
         (double)http->bytes_in},
        {COUNTER("sonde_http_sent_bytes_total", "Bytes sent to peers."), (double)http->bytes_out},
        {COUNTER("sonde_http_connections_total", "Connections accepted."),
         (double)http->connections_accepted},
        {GAUGE("sonde_http_connections", "Connections open."), (double)http->connections_open},
        {GAUGE("sonde_http_requests_open", "Requests being worked on."),
         (double)http->exchanges_open},
        {GAUGE("sonde_http_websockets", "WebSockets open."), (double)http->websockets_open},
        {COUNTER("sonde_http_cancelled_total", "Requests whose peer went before the answer."),
         (double)http->cancelled},
    };

    return write_rows(report, rows, ARRAY_COUNT(rows), why);
}

static enum err write_questions(struct self_report *report, const struct server *server,
                                struct why *why)
{
    const struct server_counters *counters = &server->counters;
    const struct row rows[] = {
        {COUNTER("sonde_questions_total", "Questions worked on."),
         (double)atomic_load(&counters->questions)},
        {COUNTER("sonde_questions_failed_total", "Questions answered with an error."),
         (double)atomic_load(&counters->questions_failed)},
        {COUNTER("sonde_questions_refused_total", "Questions answered \"later\"."),
         (double)atomic_load(&counters->questions_refused)},
        {COUNTER("sonde_questions_cancelled_total", "Questions that nobody waited for any more."),
         (double)atomic_load(&counters->questions_cancelled)},
        {COUNTER("sonde_questions_seconds_total", "Time that workers spent on questions."),
         (double)atomic_load(&counters->question_ns) / 1e9},
        {COUNTER("sonde_http_denied_total", "Requests without the right to what they asked."),
         (double)atomic_load(&counters->denied)},
        {COUNTER("sonde_pushed_rows_total", "Rows that senders were told are kept."),
         (double)atomic_load(&counters->pushed_rows)},
    };

    return write_rows(report, rows, ARRAY_COUNT(rows), why);
}

static enum err write_live(struct self_report *report, const struct live_stats *live,
                           struct why *why)
{
    const struct row rows[] = {
        {GAUGE("sonde_live_subscriptions", "Expressions that are pushed as they change."),
         (double)live->subscriptions},
        {COUNTER("sonde_live_messages_total", "Messages pushed to live streams."),
         (double)live->pushed},
        {COUNTER("sonde_live_dropped_total", "Messages that a slow peer did not get."),
         (double)live->dropped},
        {COUNTER("sonde_live_refused_total", "Subscriptions over a bound."), (double)live->refused},
    };
    const struct self_metric build = {"sonde_build_info", "The version that runs; always 1.",
                                      METRIC_GAUGE, "version", SONDE_VERSION};

    TRY(write_rows(report, rows, ARRAY_COUNT(rows), why));
    return self_write(report, &build, 1, why);
}

enum err server_self(void *part, struct self_report *report, struct why *why)
{
    struct server *server = part;
    struct http_stats http;
    struct live_stats live;

    MUST_BE(server, SERVER_MAGIC);
    pthread_mutex_lock(&server->stats_lock);
    http = server->http_stats;
    live = server->live_stats;
    pthread_mutex_unlock(&server->stats_lock);
    TRY(write_http(report, &http, why));
    TRY(write_questions(report, server, why));
    return write_live(report, &live, why);
}
