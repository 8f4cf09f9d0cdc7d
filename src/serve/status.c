/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon itself does: status, what the store holds, whether anything is collected, and the
 * description of it all. */
#include "serve/params.h"
#include "serve/server_priv.h"

#include "base/clock.h"
#include "base/json.h"
#include "export/exporter.h"
#include "sonde_version.h"
#include "sources/collectors.h"
#include "sources/prometheus.h"
#include "sources/sources.h"
#include "store/store.h"

#include <math.h>

static void add_number(struct json *json, const char *key, double value)
{
    json_key(json, key);
    json_add_double(json, value);
}

static void add_count(struct json *json, const char *key, uint64_t value)
{
    json_key(json, key);
    json_add_u64(json, value);
}

static void add_text(struct json *json, const char *key, const char *value)
{
    json_key(json, key);
    json_add_text(json, value);
}

static void add_source(struct json *json, const struct source_status *status)
{
    json_open(json, '{');
    add_text(json, "name", status->name);
    add_text(json, "summary", status->summary);
    add_text(json, "state", source_state_name(status->state));
    add_text(json, "error", status->error[0] == '\0' ? NULL : status->error);
    json_key(json, "period_ms");
    json_add_i64(json, status->period_ms);
    add_number(json, "collect_s", status->duration_s);
    add_count(json, "series", status->series);
    add_count(json, "failures", status->failures);
    json_close(json, '}');
}

static void add_sources(struct json *json, struct sources *sources)
{
    struct source_status status;

    json_key(json, "sources");
    json_open(json, '[');
    for (size_t i = 0; sources != NULL && i < sources_count(sources); i++) {
        sources_status(sources, i, &status);
        add_source(json, &status);
    }
    json_close(json, ']');
}

/* Programs of the user's, and pages that are fetched. */
static void add_others(struct json *json, const struct server_options *options)
{
    struct source_status status;

    json_key(json, "collectors");
    json_open(json, '[');
    for (size_t i = 0; options->collectors != NULL && i < collectors_count(options->collectors);
         i++) {
        collectors_status(options->collectors, i, &status);
        add_source(json, &status);
    }
    json_close(json, ']');
    json_key(json, "targets");
    json_open(json, '[');
    for (size_t i = 0; options->scraper != NULL && i < scraper_count(options->scraper); i++) {
        scraper_status(options->scraper, i, &status);
        add_source(json, &status);
    }
    json_close(json, ']');
}

static void add_store(struct json *json, const struct store_stats *stats)
{
    json_key(json, "store");
    json_open(json, '{');
    add_count(json, "series", stats->series);
    add_count(json, "series_active", stats->series_active);
    add_count(json, "samples", stats->samples);
    add_count(json, "bytes", stats->disk_bytes);
    add_count(json, "memory_bytes", stats->memory_bytes);
    json_key(json, "oldest_ms");
    if (stats->oldest_ms == INT64_MAX)
        json_add_null(json);
    else
        json_add_i64(json, stats->oldest_ms);
    add_count(json, "pending_rows", stats->pending_rows);
    add_count(json, "pending_samples", stats->pending_samples);
    add_count(json, "blocks", stats->blocks_written);
    add_count(json, "commits", stats->commits);
    add_number(json, "commit_s", (double)stats->commit_ns / 1e9);
    add_count(json, "damaged_files", stats->damaged_files);
    add_count(json, "rejected_old", stats->rejected_old);
    add_count(json, "rejected_duplicate", stats->rejected_duplicate);
    add_count(json, "rejected_series_limit", stats->rejected_series_limit);
    json_key(json, "is_full");
    json_add_bool(json, stats->full);
    json_close(json, '}');
}

static void add_hub(struct json *json, struct hub *hub)
{
    struct hub_stats stats;

    hub_read_stats(hub, &stats);
    json_key(json, "hub");
    json_open(json, '{');
    add_count(json, "batches", stats.batches);
    add_count(json, "rows", stats.rows);
    add_count(json, "rejected_rows", stats.rejected_rows);
    add_count(json, "refused_batches", stats.refused_batches);
    add_count(json, "failed_batches", stats.failed_batches);
    add_count(json, "waiting_batches", stats.waiting);
    json_close(json, '}');
}

/* What is handed on, a part for each signal that has a target. */
static void add_export(struct json *json, struct exporter *exporter)
{
    struct exporter_status status;

    json_key(json, "export");
    json_open(json, '{');
    for (size_t i = 0; exporter != NULL && i < OTLP_SIGNAL_COUNT; i++) {
        exporter_read_status(exporter, (enum otlp_signal)i, &status);
        if (status.targets_count == 0)
            continue;
        json_key(json, exporter_signal_names[i]);
        json_open(json, '{');
        add_text(json, "target", status.target);
        add_count(json, "targets", status.targets_count);
        json_key(json, "is_failing");
        json_add_bool(json, status.is_failing);
        add_text(json, "complaint", status.complaint[0] == '\0' ? NULL : status.complaint);
        add_count(json, "queued_items", status.queued_items);
        add_count(json, "queued_bytes", status.queued_bytes);
        add_count(json, "sent_items", status.sent_items);
        add_count(json, "refused_items", status.refused_items);
        add_count(json, "dropped_items", status.dropped_items);
        add_count(json, "failures", status.failures);
        json_key(json, "sent_ms");
        if (status.sent_ms == 0)
            json_add_null(json);
        else
            json_add_i64(json, status.sent_ms);
        json_close(json, '}');
    }
    json_close(json, '}');
}

static void add_limits(struct json *json, const struct server *server)
{
    struct http_stats http;

    http_server_stats(server->http, &http);
    json_key(json, "limits");
    json_open(json, '{');
    add_number(json, "query_timeout_s", (double)server->options.query_timeout_ms / 1e3);
    add_count(json, "query_memory_bytes", server->options.query_memory_bytes);
    add_count(json, "queries", server->options.queries_max);
    add_count(json, "live_subscriptions", server->options.live_max);
    add_count(json, "connections", http.connections_max);
    json_close(json, '}');
}

void route_status(struct call *call)
{
    const struct server *server = call->server;
    struct json json = json_begin(&call->answer.body);
    struct store_stats stats;

    store_read_stats(server->options.store, &stats);
    call->answer.content_type = MEDIA_JSON;
    json_open(&json, '{');
    add_text(&json, "status", "success");
    json_key(&json, "data");
    json_open(&json, '{');
    add_text(&json, "version", SONDE_VERSION);
    add_number(&json, "uptime_s", (double)(clock_monotonic_ns() - server->started_ns) / 1e9);
    add_text(&json, "tenant", call->identity.tenant);
    add_text(&json, "role", role_name(call->identity.role));
    json_key(&json, "profile");
    json_add_str(&json, server->options.profile);
    json_key(&json, "data_path");
    json_add_str(&json, server->options.data_path);
    add_sources(&json, server->options.sources);
    add_others(&json, &server->options);
    add_store(&json, &stats);
    add_hub(&json, server->options.hub);
    add_export(&json, server->options.exporter);
    add_limits(&json, server);
    json_close(&json, '}');
    json_close(&json, '}');
    call_answer(call);
}

/* Of Prometheus' answer only what is true here: the head is what is not sealed yet. */
void route_tsdb(struct call *call)
{
    struct json json = json_begin(&call->answer.body);
    struct store_stats stats;

    store_read_stats(call->server->options.store, &stats);
    call->answer.content_type = MEDIA_JSON;
    json_open(&json, '{');
    add_text(&json, "status", "success");
    json_key(&json, "data");
    json_open(&json, '{');
    json_key(&json, "headStats");
    json_open(&json, '{');
    add_count(&json, "numSeries", stats.series);
    add_count(&json, "chunkCount", stats.pending_rows);
    json_key(&json, "minTime");
    json_add_i64(&json, stats.oldest_ms == INT64_MAX ? 0 : stats.oldest_ms);
    json_key(&json, "maxTime");
    json_add_i64(&json, clock_now_ms());
    json_close(&json, '}');
    json_close(&json, '}');
    json_close(&json, '}');
    call_answer(call);
}

void route_openapi(struct call *call)
{
    call_answer_text(call, 200, MEDIA_JSON, buf_view(&call->server->openapi));
}

/* ---- /profiling: is anything collected, and the switch. ---- */

static void answer_profiling(struct call *call)
{
    struct sources *sources = call->server->options.sources;
    struct json json = json_begin(&call->answer.body);

    call->answer.content_type = MEDIA_JSON;
    json_open(&json, '{');
    json_key(&json, "is_collecting");
    json_add_bool(&json, sources != NULL && !sources_paused(sources));
    add_text(&json, "state", sources != NULL && !sources_paused(sources) ? "running" : "stopped");
    add_number(&json, "uptime_s", (double)(clock_monotonic_ns() - call->server->started_ns) / 1e9);
    add_sources(&json, sources);
    json_close(&json, '}');
    call_answer(call);
}

void route_profiling_status(struct call *call)
{
    answer_profiling(call);
}

static void set_paused(struct call *call, bool is_paused)
{
    struct sources *sources = call->server->options.sources;
    struct why why = WHY_INIT;

    if (sources == NULL) {
        (void)fail(&why, ERR_UNSUPPORTED, "this daemon collects nothing itself");
        hint(&why, "start it without switching its sources off");
        call_fail(call, ERR_UNSUPPORTED, &why);
        return;
    }
    sources_pause(sources, is_paused);
    answer_profiling(call);
}

void route_profiling_start(struct call *call)
{
    set_paused(call, false);
}

void route_profiling_stop(struct call *call)
{
    set_paused(call, true);
}
