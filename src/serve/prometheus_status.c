/* SPDX-License-Identifier: Apache-2.0 */
/* What Prometheus' users and tools ask beside queries: versions, flags, health words. Everything
 * here is true of this daemon; what it has none of (rules, alerts, targets) is an empty list. */
#include "serve/server_priv.h"

#include "base/clock.h"
#include "base/json.h"
#include "sonde_version.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static struct json begin(struct call *call)
{
    call->answer.content_type = MEDIA_JSON;
    struct json json = json_begin(&call->answer.body);
    json_open(&json, '{');
    json_put_text(&json, "status", "success");
    json_key(&json, "data");
    return json;
}

static void end(struct call *call, struct json *json)
{
    json_close(json, '}');
    call_answer(call);
}

/* Grafana reads the version to know which calls it may make; the language here is version 3's. */
void route_buildinfo(struct call *call)
{
    struct json json = begin(call);

    json_open(&json, '{');
    json_put_text(&json, "version", "3.0.0");
    json_put_text(&json, "revision", "sonde " SONDE_VERSION);
    json_put_text(&json, "branch", "");
    json_put_text(&json, "buildUser", "");
    json_put_text(&json, "buildDate", "");
    json_put_text(&json, "goVersion", "");
    json_put_text(&json, "application", "sonde");
    json_key(&json, "features");
    json_open(&json, '{');
    json_close(&json, '}');
    json_close(&json, '}');
    end(call, &json);
}

void route_runtimeinfo(struct call *call)
{
    const struct server *server = call->server;
    struct json json = begin(call);
    char started[CLOCK_TEXT_SIZE];
    struct rlimit files = {0};

    clock_text(started, server->started_ms);
    (void)getrlimit(RLIMIT_NOFILE, &files); /* Cannot fail for this resource. */
    json_open(&json, '{');
    json_put_text(&json, "startTime", started);
    json_put_str(&json, "CWD", server->options.data_path);
    json_put_bool(&json, "reloadConfigSuccess", true);
    json_put_i64(&json, "corruptionCount", 0);
    json_put_i64(&json, "GOMAXPROCS", sysconf(_SC_NPROCESSORS_ONLN));
    json_put_u64(&json, "openFilesMax", files.rlim_cur);
    json_close(&json, '}');
    end(call, &json);
}

void route_config(struct call *call)
{
    struct json json = begin(call);

    json_open(&json, '{');
    json_put_text(&json, "yaml", "");
    json_close(&json, '}');
    end(call, &json);
}

void route_flags(struct call *call)
{
    const struct server_options *options = &call->server->options;
    struct json json = begin(call);
    char text[32];

    json_open(&json, '{');
    json_put_str(&json, "storage.tsdb.path", options->data_path);
    (void)snprintf(text, sizeof(text), "%llds", (long long)(options->query_timeout_ms / 1000));
    json_put_text(&json, "query.timeout", text);
    (void)snprintf(text, sizeof(text), "%u", options->queries_max);
    json_put_text(&json, "query.max-concurrency", text);
    json_put_text(&json, "query.lookback-delta", "5m");
    json_close(&json, '}');
    end(call, &json);
}

void route_rules(struct call *call)
{
    call_answer_text(call, 200, MEDIA_JSON,
                     STR("{\"status\":\"success\",\"data\":{\"groups\":[]}}"));
}

void route_alerts(struct call *call)
{
    call_answer_text(call, 200, MEDIA_JSON,
                     STR("{\"status\":\"success\",\"data\":{\"alerts\":[]}}"));
}

void route_healthy(struct call *call)
{
    call_answer_text(call, 200, MEDIA_TEXT, STR("sonde is Healthy.\n"));
}

void route_healthz(struct call *call)
{
    call_answer_text(call, 200, MEDIA_TEXT, STR("ok\n"));
}

void route_readyz(struct call *call)
{
    struct why why = WHY_INIT;

    if (call->server->is_ready) {
        call_answer_text(call, 200, MEDIA_TEXT, STR("ready\n"));
        return;
    }
    (void)fail(&why, ERR_CLOSED,
               call->server->is_stopping ? "the daemon is stopping" : "the daemon is starting");
    call_fail(call, ERR_CLOSED, &why);
}
