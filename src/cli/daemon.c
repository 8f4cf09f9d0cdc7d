/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, bottom-up; closing is the same list backwards:
 *
 *     config ► loop (signals) ► workers ► store, exemplars ► hub ► exporter ► sources ► collectors
 *            ► scraper ► tls ► server ► listen
 *
 * Then things start to move: the hub's writer, the sampler, and at last /readyz.
 *
 * Ending has an order too. The server stops first, so that whoever waits for an answer gets it
 * while hub and store still work; then the sampler, so that nothing new comes; then the hub commits
 * what waits; and the store seals. A second signal skips the waiting. */
#include "cli/daemon.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/exporting.h"
#include "cli/port_owner.h"
#include "cli/self_watch.h"
#include "cli/service.h"
#include "codec/strategies.h"
#include "hub/hub.h"
#include "hub/sampler.h"
#include "hub/self.h"
#include "io/http_client.h"
#include "io/http_server.h"
#include "io/loop.h"
#include "io/tls.h"
#include "io/workers.h"
#include "serve/server.h"
#include "sources/collectors.h"
#include "sources/prometheus.h"
#include "sources/sources.h"
#include "store/exemplars.h"
#include "store/store.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define DRAIN_NS (5 * CLOCK_NS_PER_S) /* For what is in flight when a signal comes. */

enum {
    DAEMON_MAGIC = 0x64616d6e,
    TOKENS_BYTES_MAX = 1 << 20,
    ARENA_BYTES_MAX = 4 << 20,
    STRATEGIES_ARENA_BYTES = 64 << 20,
};

struct daemon {
    uint32_t magic;
    struct config *config;
    struct config *(*reload)(void *self);
    void *reload_self;

    struct loop *loop;
    struct workers *workers;
    struct store *store;
    struct exemplars *exemplars;
    struct hub *hub;
    struct exporter *exporter; /* Where something is exported. */
    struct sources *sources;
    struct sampler *sampler; /* NULL: all traces stay. */
    struct collectors *collectors;
    struct http_client *client; /* With targets only. */
    struct scraper *scraper;
    struct tls_server *tls;
    struct server *server;
    struct self_watch *self;
    struct arena *arena; /* Texts of options that the objects borrow. */

    char url[300];
    bool stopping;
    struct loop_timer watchdog;
    int64_t watchdog_ns;
};

/* The store as sinks: hub is no floor that the store sees, so the tables are made here. */
static const struct sink_ops store_sink = {
    .name = "store",
    .accept = store_accept,
    .commit = store_commit,
    .tick = store_tick,
    .durable = true,
};

static const struct sink_ops exemplars_sink = {
    .name = "exemplars",
    .accept = exemplars_accept,
    .tick = exemplars_tick,
};

/* ---- Store. ---- */

static void store_notice(void *self, const char *sentence)
{
    (void)self;
    log_line(LOG_WARNING, "store", "%s", sentence);
}

/* Without anything to decide there is no sampler, and spans do not wait. */
static enum err open_sampler(struct daemon *daemon, struct why *why)
{
    const struct options *options = daemon->config->options;
    struct sampler_options sampler = {
        .ratio = options_double(options, SETTING_SAMPLING_RATIO),
        .slow_quantile = options_double(options, SETTING_SAMPLING_SLOW),
        .rare_per_minute = (uint32_t)options_i64(options, SETTING_SAMPLING_RARE),
        .spans_max = (uint32_t)options_i64(options, SETTING_SAMPLING_TRACE_SPANS_MAX),
    };
    const struct str *rules;
    size_t count = options_list(options, SETTING_SAMPLING_KEEP, &rules);

    for (size_t i = 0; i < count; i++) {
        enum err err = sampler_add_rule(&sampler, rules[i], why);
        if (err != ERR_NONE)
            why_prefix(why, "sampling.keep");
        TRY(err);
    }
    if (sampler.ratio < 1 || sampler.spans_max > 0)
        daemon->sampler = sampler_new(&sampler);
    return ERR_NONE;
}

static enum err open_store(struct daemon *daemon, struct why *why)
{
    const struct options *options = daemon->config->options;
    struct store_options store = store_options_default;

    store.path = config_data_path(daemon->config);
    store.out_of_order_ms = options_ms(options, SETTING_STORE_OUT_OF_ORDER);
    store.retention_raw_ms = options_ms(options, SETTING_RETENTION_RAW);
    store.retention_minute_ms = options_ms(options, SETTING_RETENTION_MINUTE);
    store.retention_hour_ms = options_ms(options, SETTING_RETENTION_HOUR);
    store.size_bytes_max = (uint64_t)options_i64(options, SETTING_RETENTION_SIZE);
    store.free_bytes_min = (uint64_t)options_i64(options, SETTING_STORE_FREE_MIN);
    store.series_per_metric_max = (uint32_t)options_i64(options, SETTING_STORE_METRIC_SERIES_MAX);
    store.series_per_tenant_max = (uint32_t)options_i64(options, SETTING_STORE_SERIES_MAX);
    store.notice = store_notice;
    if (daemon->sampler != NULL)
        store.judge = (struct store_judge){
            .self = daemon->sampler,
            .wait_ms = options_ms(options, SETTING_SAMPLING_WAIT),
            .waiting_max = (uint64_t)options_i64(options, SETTING_SAMPLING_WAITING_MAX),
            .noted = sampler_note,
            .keeps = sampler_keeps,
        };
    daemon->exemplars = exemplars_new(store.retention_raw_ms);
    return store_open(&store, &daemon->store, why);
}

/* ---- Hub and sources. ---- */

static void make_hub(struct daemon *daemon)
{
    const struct options *options = daemon->config->options;
    struct hub_limits limits = hub_limits_default;

    limits.labels_per_series_max = (uint32_t)options_i64(options, SETTING_INGEST_LABELS_MAX);
    limits.label_value_bytes_max = (uint32_t)options_i64(options, SETTING_INGEST_LABEL_VALUE_MAX);
    limits.future_ms_max = options_ms(options, SETTING_INGEST_FUTURE_MAX);
    daemon->hub = hub_new(&limits);
    if (daemon->sampler != NULL)
        hub_add_sink(daemon->hub, &sampler_sink, daemon->sampler);
    hub_add_sink(daemon->hub, &store_sink, daemon->store);
    hub_add_sink(daemon->hub, &exemplars_sink, daemon->exemplars);
}

static enum err open_exporter(struct daemon *daemon, struct why *why)
{
    struct exporter_options options;
    bool is_wanted;

    TRY(exporting_read(daemon->config, &options, &is_wanted, why));
    if (!is_wanted)
        return ERR_NONE;
    TRY(exporter_open(&options, &daemon->exporter, why));
    hub_add_sink(daemon->hub, &exporter_sink, daemon->exporter);
    return ERR_NONE;
}

/* The list's items end in NUL, so they serve as C strings. */
static const char *const *names_off(struct daemon *daemon)
{
    const struct str *items;
    size_t count = options_list(daemon->config->options, SETTING_COLLECT_OFF, &items);
    const char **names = ARENA_ARRAY(daemon->arena, count + 1, const char *);

    MUST(names != NULL);
    for (size_t i = 0; i < count; i++)
        names[i] = items[i].data;
    return names;
}

static enum err open_sources(struct daemon *daemon, struct why *why)
{
    const struct options *options = daemon->config->options;
    const struct sources_options sources = {
        .period_ms = options_ms(options, SETTING_COLLECT_PERIOD),
        .instance = options_cstr(options, SETTING_COLLECT_INSTANCE),
        .job = options_cstr(options, SETTING_COLLECT_JOB),
        .disabled = names_off(daemon),
        .textfile_folder = options_cstr(options, SETTING_COLLECT_TEXTFILES),
        .cgroups_max = (size_t)options_i64(options, SETTING_COLLECT_CGROUPS_MAX),
        .groups_max = (size_t)options_i64(options, SETTING_COLLECT_GROUPS_MAX),
    };

    return sources_open(&sources, daemon->hub, &daemon->sources, why);
}

static enum err open_collectors(struct daemon *daemon, struct why *why)
{
    const struct config *config = daemon->config;
    struct collector_options *collectors =
        ARENA_ARRAY(daemon->arena, config->collectors_count + 1, struct collector_options);

    if (collectors == NULL)
        return arena_spent(daemon->arena, "the collectors", why);
    for (size_t i = 0; i < config->collectors_count; i++)
        collectors[i] = (struct collector_options){
            .name = config->collectors[i].name,
            .command = config->collectors[i].command,
            .period_ms = config->collectors[i].period_ms,
            .timeout_ms = config->collectors[i].timeout_ms,
        };
    return collectors_open(collectors, config->collectors_count,
                           options_cstr(config->options, SETTING_COLLECT_INSTANCE), daemon->loop,
                           daemon->hub, &daemon->collectors, why);
}

/* Numbers about ourselves, at the pace of the rest but not faster than once a second. */
static void watch_self(struct daemon *daemon)
{
    const struct options *options = daemon->config->options;
    int64_t period_ms = options_ms(options, SETTING_COLLECT_PERIOD);
    const struct self_watch_options watch = {
        .loop = daemon->loop,
        .hub = daemon->hub,
        .period_ms = period_ms < 1000 ? 1000 : period_ms,
        .instance = options_cstr(options, SETTING_COLLECT_INSTANCE),
    };

    daemon->self = self_watch_new(&watch);
    self_watch_add(daemon->self, self_process, NULL);
    self_watch_add(daemon->self, self_hub, daemon->hub);
    self_watch_add(daemon->self, self_store, daemon->store);
    self_watch_add(daemon->self, self_exemplars, daemon->exemplars);
    self_watch_add(daemon->self, self_sources, daemon->sources);
    self_watch_add(daemon->self, server_self, daemon->server);
    if (daemon->sampler != NULL)
        self_watch_add(daemon->self, sampler_self, daemon->sampler);
    if (daemon->exporter != NULL)
        self_watch_add(daemon->self, exporter_self, daemon->exporter);
}

static enum err open_scraper(struct daemon *daemon, struct why *why)
{
    const struct config *config = daemon->config;
    struct scrape_target *targets =
        ARENA_ARRAY(daemon->arena, config->targets_count + 1, struct scrape_target);

    if (config->targets_count == 0)
        return ERR_NONE;
    if (targets == NULL)
        return arena_spent(daemon->arena, "the scrape targets", why);
    for (size_t i = 0; i < config->targets_count; i++)
        targets[i] = (struct scrape_target){
            .url = config->targets[i].url,
            .period_ms = config->targets[i].period_ms,
            .timeout_ms = config->targets[i].timeout_ms,
            .labels = config->targets[i].labels,
            .labels_count = config->targets[i].labels_count,
        };
    daemon->client = http_client_new(daemon->loop);
    return scraper_open(targets, config->targets_count, daemon->loop, daemon->client, daemon->hub,
                        &daemon->scraper, why);
}

/* ---- Server. ---- */

static enum err open_tls(struct daemon *daemon, struct why *why)
{
    const struct options *options = daemon->config->options;

    if (!options_is_set(options, SETTING_TLS_CERTIFICATE))
        return ERR_NONE;
    return tls_server_open(options_cstr(options, SETTING_TLS_CERTIFICATE),
                           options_cstr(options, SETTING_TLS_KEY), &daemon->tls, why);
}

static enum err read_tokens(struct daemon *daemon, struct auth_options *auth, struct why *why)
{
    const struct options *options = daemon->config->options;
    const char *path = options_cstr(options, SETTING_TOKEN_FILE);
    struct buf text CLEANUP(buf_done) = {0};
    struct auth_token *tokens = NULL;
    size_t count = 0;

    if (path != NULL) {
        TRY(file_read(path, TOKENS_BYTES_MAX, &text, why));
        TRY(auth_read_tokens(buf_view(&text), path, daemon->arena, &tokens, &count, why));
    }
    struct auth_token *all = ARENA_ARRAY(daemon->arena, count + 1, struct auth_token);
    if (all == NULL)
        return arena_spent(daemon->arena, "the tokens", why);
    for (size_t i = 0; i < count; i++)
        all[i] = tokens[i];
    if (options_is_set(options, SETTING_TOKEN))
        all[count++] = (struct auth_token){
            .token = options_text(options, SETTING_TOKEN),
            .role = ROLE_ADMIN,
        };
    auth->tokens = all;
    auth->tokens_count = count;
    return ERR_NONE;
}

/* The file is read for each answer; what is wrong with it now is told now. */
static enum err check_strategies(struct daemon *daemon, struct why *why)
{
    const char *path = options_cstr(daemon->config->options, SETTING_SAMPLING_STRATEGIES);
    struct arena *arena CLEANUP(arena_freep) = arena_new(STRATEGIES_ARENA_BYTES);
    struct buf text CLEANUP(buf_done) = {0};
    const struct strategies *strategies;

    if (path == NULL)
        return ERR_NONE;
    TRY(file_read(path, STRATEGIES_BYTES_MAX, &text, why));
    return strategies_read(buf_view(&text), path, arena, &strategies, why);
}

static enum err open_server(struct daemon *daemon, struct why *why)
{
    const struct options *options = daemon->config->options;
    struct http_limits limits = http_limits_default;
    struct server_options server = {
        .loop = daemon->loop,
        .workers = daemon->workers,
        .store = daemon->store,
        .exemplars = daemon->exemplars,
        .hub = daemon->hub,
        .sources = daemon->sources,
        .collectors = daemon->collectors,
        .scraper = daemon->scraper,
        .exporter = daemon->exporter,
        .limits = &limits,
        .profile = options_text(options, SETTING_PROFILE),
        .data_path = options_text(options, SETTING_DATA),
        .sla_path = options_text(options, SETTING_SLA_FILE),
        .strategies_path = options_text(options, SETTING_SAMPLING_STRATEGIES),
        .query_timeout_ms = options_ms(options, SETTING_QUERY_TIMEOUT),
        .query_memory_bytes = (size_t)options_i64(options, SETTING_QUERY_MEMORY),
        .queries_max = (uint32_t)options_i64(options, SETTING_QUERY_CONCURRENT),
        .live_max = (uint32_t)options_i64(options, SETTING_LIVE_MAX),
    };

    limits.body_bytes_max = (size_t)options_i64(options, SETTING_HTTP_BODY_MAX);
    limits.connections_max = (size_t)options_i64(options, SETTING_HTTP_CONNECTIONS_MAX);
    limits.connections_per_peer_max =
        (size_t)options_i64(options, SETTING_HTTP_CONNECTIONS_PER_PEER);
    limits.head_ns_max = options_ms(options, SETTING_HTTP_HEADER_TIMEOUT) * CLOCK_NS_PER_MS;
    limits.request_ns_max = options_ms(options, SETTING_HTTP_REQUEST_TIMEOUT) * CLOCK_NS_PER_MS;
    limits.idle_ns_max = options_ms(options, SETTING_HTTP_IDLE_TIMEOUT) * CLOCK_NS_PER_MS;
    server.auth.loopback_needs_token = options_bool(options, SETTING_LOOPBACK_NEEDS_TOKEN);
    server.auth.open = options_bool(options, SETTING_OPEN_TO_ALL);
    server.auth.hosts_count = options_list(options, SETTING_HOSTS, &server.auth.hosts);
    server.origins_count = options_list(options, SETTING_OTLP_ORIGINS, &server.origins);
    TRY(read_tokens(daemon, &server.auth, why));
    TRY(check_strategies(daemon, why));
    TRY(server_open(&server, &daemon->server, why));
    hub_add_sink(daemon->hub, &server_live_sink, daemon->server);
    return ERR_NONE;
}

/* Names the process that has the port, and the way out. */
static void explain_port(const struct daemon *daemon, struct str address, struct why *why)
{
    char name[PORT_OWNER_NAME_BYTES];
    size_t colon = address.size;
    int64_t port;
    pid_t pid;

    while (colon > 0 && address.data[colon - 1] != ':')
        colon--;
    if (!str_to_i64((struct str){address.data + colon, address.size - colon}, &port) ||
        !port_owner_find((uint16_t)port, &pid, name))
        return;
    (void)fail(why, ERR_EXISTS, "%.*s is in use by %s (process %d)", STR_ARG(address), name,
               (int)pid);
    if (strcmp(name, "sonde") == 0)
        hint(why,
             "a sonde is running already: open it in the browser, stop it (kill %d), or choose "
             "another port with --listen",
             (int)pid);
    else
        hint(why, "stop it, or choose another port, as in: sonde serve --listen 127.0.0.1:%d",
             (int)port + 1);
}

static void make_url(struct daemon *daemon, struct str address, uint16_t port)
{
    size_t colon = address.size;

    while (colon > 0 && address.data[colon - 1] != ':')
        colon--;
    struct str host = {address.data, colon == 0 ? 0 : colon - 1};
    if (host.size == 0 || str_eq(host, STR("0.0.0.0")) || str_eq(host, STR("[::]")))
        host = STR("127.0.0.1");
    (void)snprintf(daemon->url, sizeof(daemon->url), "%s://%.*s:%u",
                   daemon->tls == NULL ? "http" : "https", STR_ARG(host), port);
}

/* One of OpenTelemetry's ports. That somebody else has it is an error only where it was asked for.
 */
static enum err listen_otlp_port(struct daemon *daemon, size_t setting, struct why *why)
{
    const struct options *options = daemon->config->options;
    struct why port_why = WHY_INIT;
    uint16_t port;

    enum err err = server_listen(daemon->server, options_text(options, setting), daemon->tls, &port,
                                 &port_why);
    if (err == ERR_NONE) {
        log_line(LOG_DEBUG, "daemon", "%s: listening on port %u", setting_rows[setting].name, port);
        return ERR_NONE;
    }
    why_prefix(&port_why, "%s", setting_rows[setting].name);
    if (options_origin(options, setting)->source == OPTION_FROM_DEFAULT && err == ERR_EXISTS) {
        log_line(LOG_INFO, "daemon", "%s; OpenTelemetry is taken on the main port", port_why.text);
        return ERR_NONE;
    }
    if (why != NULL)
        *why = port_why;
    return err;
}

static enum err listen_otlp(struct daemon *daemon, struct why *why)
{
    if (!options_bool(daemon->config->options, SETTING_OTLP_ENABLED))
        return ERR_NONE;
    TRY(listen_otlp_port(daemon, SETTING_OTLP_GRPC, why));
    return listen_otlp_port(daemon, SETTING_OTLP_HTTP, why);
}

static enum err start_listening(struct daemon *daemon, struct why *why)
{
    struct str address = options_text(daemon->config->options, SETTING_LISTEN);
    uint16_t port;
    enum err err = server_listen(daemon->server, address, daemon->tls, &port, why);

    if (err == ERR_EXISTS)
        explain_port(daemon, address, why);
    if (err != ERR_NONE)
        return err;
    make_url(daemon, address, port);
    return listen_otlp(daemon, why);
}

/* ---- Signals. ---- */

static void drained(void *self)
{
    struct daemon *daemon = self;

    MUST_BE(daemon, DAEMON_MAGIC);
    loop_stop(daemon->loop);
}

static void on_stop(void *self, int signal_number)
{
    struct daemon *daemon = self;

    MUST_BE(daemon, DAEMON_MAGIC);
    if (daemon->stopping) {
        log_line(LOG_WARNING, "daemon", "a second signal: not waiting for what is in flight");
        loop_stop(daemon->loop);
        return;
    }
    daemon->stopping = true;
    service_notify("STOPPING=1");
    log_line(LOG_INFO, "daemon", "%s: finishing what is in flight",
             signal_number == SIGINT ? "SIGINT" : "SIGTERM");
    server_set_ready(daemon->server, false);
    server_stop(daemon->server, clock_monotonic_ns() + DRAIN_NS, drained, daemon);
}

static bool same_value(const struct config *one, const struct config *two, size_t setting)
{
    struct buf a CLEANUP(buf_done) = {0};
    struct buf b CLEANUP(buf_done) = {0};

    options_write(one->options, setting, &a);
    options_write(two->options, setting, &b);
    return str_eq(buf_view(&a), buf_view(&b));
}

/* Takes over what can change while running, and says what cannot. */
static void take_over(struct daemon *daemon, const struct config *fresh)
{
    size_t changed = 0;

    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if ((setting_rows[i].flags & OPTION_SECRET) != 0 || same_value(daemon->config, fresh, i))
            continue;
        changed++;
        if ((setting_rows[i].flags & OPTION_LIVE) == 0)
            log_line(LOG_WARNING, "daemon", "%s has changed; it takes effect at the next start",
                     setting_rows[i].name);
        else
            log_line(LOG_INFO, "daemon", "%s has changed", setting_rows[i].name);
    }
    log_setup((enum log_level)options_i64(fresh->options, SETTING_LOG_LEVEL),
              options_i64(daemon->config->options, SETTING_LOG_FORMAT) == 1);
    const struct store_retention retention = {
        .raw_ms = options_ms(fresh->options, SETTING_RETENTION_RAW),
        .minute_ms = options_ms(fresh->options, SETTING_RETENTION_MINUTE),
        .hour_ms = options_ms(fresh->options, SETTING_RETENTION_HOUR),
        .size_bytes_max = (uint64_t)options_i64(fresh->options, SETTING_RETENTION_SIZE),
    };
    store_set_retention(daemon->store, &retention);
    exemplars_set_keep(daemon->exemplars, retention.raw_ms);
    if (changed == 0)
        log_line(LOG_INFO, "daemon", "the configuration is as it was");
}

static void on_reload(void *self, int signal_number)
{
    struct daemon *daemon = self;
    struct why why = WHY_INIT;
    char state[80];

    (void)signal_number;
    MUST_BE(daemon, DAEMON_MAGIC);
    (void)snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld",
                   (long long)(clock_monotonic_ns() / CLOCK_NS_PER_US));
    service_notify(state);
    if (daemon->tls != NULL && tls_server_reload(daemon->tls, &why) != ERR_NONE)
        log_why(LOG_ERROR, "daemon", &why);
    struct config *fresh = daemon->reload(daemon->reload_self);
    if (config_check(fresh, &why) != ERR_NONE) {
        log_why(LOG_ERROR, "daemon", &why);
        log_line(LOG_ERROR, "daemon", "the configuration stays as it was");
    } else {
        take_over(daemon, fresh);
    }
    config_free(fresh);
    service_notify("READY=1");
}

static void on_watchdog(struct loop_timer *timer)
{
    struct daemon *daemon = CONTAINER_OF(timer, struct daemon, watchdog);

    service_notify("WATCHDOG=1");
    loop_timer_start(daemon->loop, timer, loop_now_ns(daemon->loop) + daemon->watchdog_ns,
                     on_watchdog);
}

/* ---- Life. ---- */

static enum err open_loop(struct daemon *daemon, struct why *why)
{
    TRY(loop_open(&(struct loop_options){0}, &daemon->loop, why));
    TRY(loop_signal(daemon->loop, SIGTERM, on_stop, daemon, why));
    TRY(loop_signal(daemon->loop, SIGINT, on_stop, daemon, why));
    return loop_signal(daemon->loop, SIGHUP, on_reload, daemon, why);
}

static enum err open_workers(struct daemon *daemon, struct why *why)
{
    const struct workers_options options = {
        .loop = daemon->loop,
        .threads = (size_t)options_i64(daemon->config->options, SETTING_WORKERS),
    };

    return workers_open(&options, &daemon->workers, why);
}

static enum err open_all(struct daemon *daemon, struct why *why)
{
    TRY(open_loop(daemon, why));
    TRY(open_workers(daemon, why));
    TRY(open_sampler(daemon, why));
    TRY(open_store(daemon, why));
    make_hub(daemon);
    TRY(open_exporter(daemon, why));
    TRY(open_sources(daemon, why));
    TRY(open_collectors(daemon, why));
    TRY(open_scraper(daemon, why));
    TRY(open_tls(daemon, why));
    TRY(open_server(daemon, why));
    TRY(start_listening(daemon, why));
    watch_self(daemon);
    if (daemon->exporter != NULL)
        TRY(exporter_start(daemon->exporter, why));
    TRY(hub_start(daemon->hub, why));
    TRY(sources_start(daemon->sources, why));
    self_watch_start(daemon->self);
    return ERR_NONE;
}

enum err daemon_open(struct daemon_options *options, struct daemon **ret_daemon, struct why *why)
{
    struct daemon *daemon = calloc(1, sizeof(*daemon));

    if (daemon == NULL)
        must_memory(sizeof(*daemon));
    daemon->magic = DAEMON_MAGIC;
    daemon->config = TAKE(options->config);
    daemon->reload = options->reload;
    daemon->reload_self = options->reload_self;
    daemon->arena = arena_new(ARENA_BYTES_MAX);
    enum err err = open_all(daemon, why);
    if (err != ERR_NONE) {
        daemon_close(daemon);
        return err;
    }
    *ret_daemon = daemon;
    return ERR_NONE;
}

enum err daemon_run(struct daemon *daemon, struct why *why)
{
    daemon->watchdog_ns = service_watchdog_ns();
    if (daemon->watchdog_ns > 0)
        on_watchdog(&daemon->watchdog);
    server_set_ready(daemon->server, true);
    service_notify("READY=1");
    return loop_run(daemon->loop, why);
}

struct daemon *daemon_close(struct daemon *daemon)
{
    if (daemon == NULL)
        return NULL;
    MUST_BE(daemon, DAEMON_MAGIC);
    if (daemon->loop != NULL)
        loop_timer_stop(daemon->loop, &daemon->watchdog);
    daemon->self = self_watch_free(daemon->self);
    daemon->collectors = collectors_close(daemon->collectors);
    daemon->scraper = scraper_close(daemon->scraper);
    daemon->client = http_client_free(daemon->client);
    if (daemon->sources != NULL)
        sources_stop(daemon->sources);
    if (daemon->hub != NULL)
        hub_stop(daemon->hub);
    daemon->workers = workers_close(daemon->workers);
    daemon->server = server_close(daemon->server);
    daemon->tls = tls_server_close(daemon->tls);
    daemon->sources = sources_close(daemon->sources);
    daemon->hub = hub_free(daemon->hub);
    daemon->exporter = exporter_close(daemon->exporter);
    daemon->exemplars = exemplars_free(daemon->exemplars);
    daemon->store = store_close(daemon->store);
    daemon->sampler = sampler_free(daemon->sampler);
    daemon->loop = daemon->loop == NULL ? NULL : loop_close(daemon->loop);
    daemon->arena = arena_free(daemon->arena);
    daemon->config = config_free(daemon->config);
    daemon->magic = 0;
    free(daemon);
    return NULL;
}

const char *daemon_url(const struct daemon *daemon)
{
    return daemon->url;
}
