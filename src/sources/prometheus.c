/* SPDX-License-Identifier: Apache-2.0 */
#include "sources/prometheus.h"

#include "base/clock.h"
#include "base/log.h"
#include "codec/prometheus.h"
#include "hub/hub.h"
#include "io/http_client.h"
#include "io/loop.h"
#include "sources/staleness.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PERIOD_MS_MIN = 100,
    MEMO_BYTES = 64 << 20,
    POOL_BYTES = 1 << 20,
    LABELS_BYTES = 64 << 10,
    BATCH_SPARE_BYTES = 1 << 20,
    DESCRIBE_EVERY = 40, /* Fetches between two readings of kinds and helps. */
};

enum { UP, DURATION, SAMPLES };

static const struct column columns[] = {
    [UP] = {"up", "Whether the target answered with metrics.", METRIC_GAUGE, NULL, NULL},
    [DURATION] = {"scrape_duration_seconds", "How long the target took.", METRIC_GAUGE, NULL, NULL},
    [SAMPLES] = {"scrape_samples_scraped", "Samples that the target told.", METRIC_GAUGE, NULL,
                 NULL},
};

static const char accepted[] =
    "text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1";

struct target {
    struct scraper *owner;
    struct arena *arena; /* Of url and labels. */
    const char *url;
    struct label labels[PROMETHEUS_BASE_MAX];
    size_t labels_count;
    int64_t period_ms;
    int64_t timeout_ms;

    struct loop_timer timer;
    int64_t planned_ms; /* Of the fetch under way or the next. */
    struct http_call *call;
    int64_t time_ms; /* That the samples of the fetch under way carry. */
    uint64_t fetches;
    struct label_memo *memo;
    struct staleness staleness;
    struct table *table;
    struct label_pool *pool;
    bool failing;
    struct source_status status; /* Under the lock. */
};

struct scraper {
    struct loop *loop;
    struct http_client *client;
    struct hub *hub;
    struct target *items;
    size_t count;
    pthread_mutex_t lock;
};

/* ---- After a fetch. ---- */

static enum err take_reply(struct target *target, const struct http_reply *reply,
                           struct batch *batch, struct why *why)
{
    struct prometheus_options options = {
        .now_ms = target->time_ms,
        .base = target->labels,
        .base_count = target->labels_count,
        .describe = target->fetches % DESCRIBE_EVERY == 1,
    };

    if (reply->err != ERR_NONE) {
        *why = *reply->why;
        return reply->err;
    }
    if (reply->status != 200)
        return fail(why, ERR_UPSTREAM, "%s answered %d", target->url, reply->status);
    for (size_t i = 0; i < reply->headers_count; i++) {
        if (str_eq_nocase(reply->headers[i].name, STR("content-type")))
            options.format = prometheus_format_of(reply->headers[i].value);
    }
    return prometheus_read(reply->body, target->url, &options, target->memo, batch, why);
}

static void note(struct target *target, enum err err, const struct why *why, int64_t duration_ns,
                 size_t samples)
{
    struct scraper *owner = target->owner;

    MUST(pthread_mutex_lock(&owner->lock) == 0);
    target->status.state = err == ERR_NONE ? SOURCE_RUNNING : SOURCE_FAILED;
    target->status.failures += err != ERR_NONE;
    target->status.duration_s = (double)duration_ns / 1e9;
    target->status.series = samples;
    (void)snprintf(target->status.error, sizeof(target->status.error), "%s",
                   err == ERR_NONE ? "" : why->text);
    MUST(pthread_mutex_unlock(&owner->lock) == 0);
    if (err != ERR_NONE && !target->failing)
        log_line(LOG_WARNING, "scrape", "%s is down: %s", target->url, why->text);
    else if (err == ERR_NONE && target->failing)
        log_line(LOG_INFO, "scrape", "%s answers again", target->url);
    target->failing = err != ERR_NONE;
}

static enum err tell_fetch(struct target *target, enum err err, int64_t duration_ns, size_t samples,
                           struct batch *batch, struct why *why)
{
    struct table_target write = {
        .pool = target->pool,
        .base = target->labels,
        .base_count = target->labels_count,
        .batch = batch,
        .time_ms = target->time_ms,
        .describe = target->fetches % DESCRIBE_EVERY == 1,
    };

    batch_hold(batch, target->pool);
    table_begin(target->table);
    struct row *row = source_row(target->table);
    row_set(row, UP, err == ERR_NONE);
    row_set(row, DURATION, (double)duration_ns / 1e9);
    row_set(row, SAMPLES, (double)samples);
    return table_write(target->table, &write, why);
}

static void finish(struct target *target, const struct http_reply *reply)
{
    struct batch *batch = batch_new("default", "scrape", reply->body.size * 2 + BATCH_SPARE_BYTES);
    struct why why = WHY_INIT;

    target->fetches++;
    batch->time_ms = target->time_ms;
    enum err err = take_reply(target, reply, batch, &why);
    if (err != ERR_NONE)
        batch->samples.count = batch->infos.count = 0;
    size_t samples = batch->samples.count;
    note(target, err, &why, reply->duration_ns, samples);
    if (staleness_update(&target->staleness, batch, 0, 0, target->time_ms, &why) != ERR_NONE ||
        tell_fetch(target, err, reply->duration_ns, samples, batch, &why) != ERR_NONE ||
        hub_submit(target->owner->hub, &batch, &why) != ERR_NONE)
        log_line(LOG_WARNING, "scrape", "%s: samples are lost: %s", target->url, why.text);
    batch_free(batch);
}

static void finished(void *self, const struct http_reply *reply)
{
    struct target *target = self;

    target->call = NULL;
    finish(target, reply);
}

/* ---- The schedule. ---- */

static void due(struct loop_timer *timer);

/* The next multiple of the period by the wall clock. */
static void plan_next(struct target *target)
{
    int64_t now_ms = clock_now_ms();

    target->planned_ms = (now_ms / target->period_ms + 1) * target->period_ms;
    loop_timer_start(target->owner->loop, &target->timer,
                     clock_monotonic_ns() + (target->planned_ms - now_ms) * CLOCK_NS_PER_MS, due);
}

static void fetch(struct target *target)
{
    const struct http_header headers[] = {{STR("accept"), str_of(accepted)}};
    struct http_call_options options = {
        .url = target->url,
        .headers = headers,
        .headers_count = ARRAY_COUNT(headers),
        .timeout_ns = target->timeout_ms * CLOCK_NS_PER_MS,
        .response_bytes_max = SCRAPE_BODY_BYTES,
        .follow_redirects = true,
    };
    struct why why = WHY_INIT;

    enum err err =
        http_client_send(target->owner->client, &options, finished, target, &target->call, &why);
    if (err != ERR_NONE)
        finish(target, &(struct http_reply){.err = err, .why = &why});
}

static void due(struct loop_timer *timer)
{
    struct target *target = CONTAINER_OF(timer, struct target, timer);
    int64_t planned_ms = target->planned_ms;

    plan_next(target);
    if (target->call != NULL)
        return; /* One at a time. */
    target->time_ms = planned_ms;
    fetch(target);
}

/* ---- Opening and closing. ---- */

/* "http://user@host:9100/metrics" has the instance "host:9100"; a missing port is the scheme's. */
static struct str instance_of(struct arena *arena, struct str url)
{
    bool tls = str_starts(url, STR("https://"));
    size_t skip = tls ? 8 : 7;
    struct str host = {url.data + skip, url.size - skip};

    for (size_t i = 0; i < host.size; i++) {
        if (host.data[i] == '/' || host.data[i] == '?' || host.data[i] == '#')
            host.size = i;
    }
    ptrdiff_t at = str_find(host, '@');
    if (at >= 0)
        host = (struct str){host.data + at + 1, host.size - (size_t)at - 1};
    bool address6 = host.size > 0 && host.data[0] == '[';
    struct str tail = host;
    ptrdiff_t bracket = address6 ? str_find(host, ']') : -1;
    if (bracket >= 0)
        tail = (struct str){host.data + bracket, host.size - (size_t)bracket};
    if (str_find(tail, ':') >= 0)
        return arena_str(arena, host);
    return str_of(arena_printf(arena, "%.*s:%d", STR_ARG(host), tls ? 443 : 80));
}

static bool has_label(const struct target *target, struct str name)
{
    for (size_t i = 0; i < target->labels_count; i++) {
        if (str_eq(target->labels[i].name, name))
            return true;
    }
    return false;
}

static enum err copy_labels(struct target *target, const struct scrape_target *options,
                            struct why *why)
{
    if (options->labels_count > PROMETHEUS_BASE_MAX - 2)
        return fail(why, ERR_LIMIT, "%s: more than %d labels", target->url,
                    PROMETHEUS_BASE_MAX - 2);
    for (size_t i = 0; i < options->labels_count; i++)
        target->labels[target->labels_count++] =
            (struct label){arena_str(target->arena, options->labels[i].name),
                           arena_str(target->arena, options->labels[i].value)};
    if (!has_label(target, STR("instance")))
        target->labels[target->labels_count++] =
            (struct label){STR("instance"), instance_of(target->arena, options->url)};
    if (!has_label(target, STR("job")))
        target->labels[target->labels_count++] = (struct label){STR("job"), STR("scrape")};
    for (size_t i = 0; i < target->labels_count; i++) {
        if (target->labels[i].name.data == NULL || target->labels[i].value.data == NULL)
            return arena_spent(target->arena, "the labels of a target", why);
    }
    return ERR_NONE;
}

static enum err target_init(struct scraper *scraper, struct target *target,
                            const struct scrape_target *options, struct why *why)
{
    target->owner = scraper;
    target->arena = arena_new(LABELS_BYTES);
    if (!str_starts(options->url, STR("http://")) && !str_starts(options->url, STR("https://")))
        return fail(why, ERR_INVALID, "the target '%.*s' is no http:// or https:// URL",
                    STR_ARG(options->url));
    struct str url = arena_str(target->arena, options->url); /* NUL stands behind it. */
    if (url.data == NULL)
        return arena_spent(target->arena, "the URL of a target", why);
    target->url = url.data;
    TRY(copy_labels(target, options, why));
    target->period_ms = options->period_ms == 0 ? SCRAPE_PERIOD_MS : options->period_ms;
    if (target->period_ms < PERIOD_MS_MIN)
        return fail(why, ERR_INVALID, "%s may be asked every %d ms at most", target->url,
                    PERIOD_MS_MIN);
    target->timeout_ms = options->timeout_ms <= 0 ? SCRAPE_TIMEOUT_MS : options->timeout_ms;
    if (target->timeout_ms > target->period_ms)
        target->timeout_ms = target->period_ms;
    target->memo = label_memo_new(MEMO_BYTES);
    target->pool = label_pool_new(POOL_BYTES);
    target->table = table_new(columns, ARRAY_COUNT(columns), NULL, 0);
    target->status = (struct source_status){
        .name = "scrape",
        .summary = target->url,
        .state = SOURCE_RUNNING,
        .period_ms = target->period_ms,
    };
    plan_next(target);
    return ERR_NONE;
}

enum err scraper_open(const struct scrape_target *targets, size_t count, struct loop *loop,
                      struct http_client *client, struct hub *hub, struct scraper **ret_scraper,
                      struct why *why)
{
    if (count > SCRAPE_TARGETS_MAX)
        return fail(why, ERR_LIMIT, "%zu targets are over %d", count, SCRAPE_TARGETS_MAX);
    struct scraper *scraper = calloc(1, sizeof(*scraper));
    if (scraper == NULL)
        must_memory(sizeof(*scraper));
    MUST(pthread_mutex_init(&scraper->lock, NULL) == 0);
    scraper->loop = loop;
    scraper->client = client;
    scraper->hub = hub;
    scraper->items = calloc(count + 1, sizeof(*scraper->items));
    if (scraper->items == NULL)
        must_memory(count * sizeof(*scraper->items));
    for (size_t i = 0; i < count; i++) {
        scraper->count++;
        enum err err = target_init(scraper, &scraper->items[i], &targets[i], why);
        if (err != ERR_NONE) {
            scraper_close(scraper);
            return err;
        }
    }
    *ret_scraper = scraper;
    return ERR_NONE;
}

struct scraper *scraper_close(struct scraper *scraper)
{
    if (scraper == NULL)
        return NULL;
    for (size_t i = 0; i < scraper->count; i++) {
        struct target *target = &scraper->items[i];
        loop_timer_stop(scraper->loop, &target->timer);
        if (target->call != NULL)
            http_call_cancel(target->call);
        staleness_done(&target->staleness);
        table_free(target->table);
        label_pool_unref(target->pool);
        label_memo_free(target->memo);
        arena_free(target->arena);
    }
    free(scraper->items);
    (void)pthread_mutex_destroy(&scraper->lock); /* Nobody holds it. */
    free(scraper);
    return NULL;
}

size_t scraper_count(const struct scraper *scraper)
{
    return scraper->count;
}

void scraper_status(struct scraper *scraper, size_t index, struct source_status *ret_status)
{
    MUST(index < scraper->count);
    MUST(pthread_mutex_lock(&scraper->lock) == 0);
    *ret_status = scraper->items[index].status;
    MUST(pthread_mutex_unlock(&scraper->lock) == 0);
}
