/* SPDX-License-Identifier: Apache-2.0 */
#include "export/target.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

static const int64_t PAUSE_FIRST_NS = 500 * CLOCK_NS_PER_MS;
static const int64_t PAUSE_LAST_NS = 60 * CLOCK_NS_PER_S;
static const int64_t PATIENCE_NS = 2 * CLOCK_NS_PER_S; /* Worth waiting for. */
static const uint32_t HICCUPS = 2;                     /* Failures that are no reason to leave. */

static const char *const http_paths[OTLP_SIGNAL_COUNT] = {
    [OTLP_TRACES] = "/v1/traces",
    [OTLP_METRICS] = "/v1/metrics",
    [OTLP_LOGS] = "/v1/logs",
};
static const char *const grpc_paths[OTLP_SIGNAL_COUNT] = {
    [OTLP_TRACES] = "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    [OTLP_METRICS] = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    [OTLP_LOGS] = "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
};

static const struct scheme {
    struct str text;
    const char *spoken; /* What libcurl calls it. */
    bool is_grpc;
} schemes[] = {
    {{"http://", 7}, "http://", false},
    {{"https://", 8}, "https://", false},
    {{"grpc://", 7}, "http://", true},
    {{"grpcs://", 8}, "https://", true},
};

static const struct scheme *scheme_of(struct str url)
{
    for (size_t i = 0; i < ARRAY_COUNT(schemes); i++) {
        if (str_starts(url, schemes[i].text) && url.size > schemes[i].text.size)
            return &schemes[i];
    }
    return NULL;
}

enum err target_check(struct str url, struct why *why)
{
    const struct scheme *scheme = scheme_of(url);

    if (scheme == NULL) {
        (void)fail(why, ERR_INVALID, "'%.*s' is no address to export to", STR_ARG(url));
        hint(why, "write http://HOST:4318 or https://…, or grpc://HOST:4317 or grpcs://…");
        return ERR_INVALID;
    }
    for (size_t i = 0; i < url.size; i++) {
        if ((unsigned char)url.data[i] <= ' ' || url.data[i] == 0x7f)
            return fail(why, ERR_INVALID, "the address '%.*s' holds a space or a control character",
                        STR_ARG(url));
    }
    struct str rest = {url.data + scheme->text.size, url.size - scheme->text.size};
    if (memchr(rest.data, '@', rest.size) != NULL) {
        (void)fail(why, ERR_INVALID, "the address holds a user or password, which logs would show");
        hint(why, "send them as a header: SONDE_EXPORT_HEADERS='authorization=Basic …'");
        return ERR_INVALID;
    }
    struct str host = str_split(&rest, '/');
    if (host.size == 0)
        return fail(why, ERR_INVALID, "'%.*s' names no host", STR_ARG(url));
    if (scheme->is_grpc && rest.size > 0)
        return fail(why, ERR_INVALID, "'%.*s' has a path, and gRPC has its own", STR_ARG(url));
    return ERR_NONE;
}

static char *make_text(const char *format, ...) PRINTF_LIKE(1, 2);
static char *make_text(const char *format, ...)
{
    struct buf text = {0};
    va_list arguments;

    va_start(arguments, format);
    buf_vprintf(&text, format, arguments);
    va_end(arguments);
    (void)buf_cstr(&text); /* Ends it. */
    return text.data;
}

/* A URL that names the signal's path already is taken as it is. */
static char *url_for(const struct scheme *scheme, struct str rest, const char *path)
{
    while (str_ends(rest, STR("/")))
        rest.size--;
    if (str_ends(rest, str_of(path)))
        path = "";
    return make_text("%s%.*s%s", scheme->spoken, STR_ARG(rest), path);
}

enum err target_init(struct target *target, struct str url, struct why *why)
{
    TRY(target_check(url, why));
    const struct scheme *scheme = scheme_of(url);
    struct str rest = {url.data + scheme->text.size, url.size - scheme->text.size};
    *target = (struct target){
        .name = make_text("%.*s", STR_ARG(url)),
        .is_grpc = scheme->is_grpc,
        .seed = str_hash(url, (uint64_t)clock_monotonic_ns()),
    };
    for (size_t i = 0; i < OTLP_SIGNAL_COUNT; i++)
        target->url[i] = url_for(scheme, rest, scheme->is_grpc ? grpc_paths[i] : http_paths[i]);
    return ERR_NONE;
}

void target_done(struct target *target)
{
    free(target->name);
    for (size_t i = 0; i < OTLP_SIGNAL_COUNT; i++)
        free(target->url[i]);
    *target = (struct target){0};
}

bool target_is_free(const struct target *target, int64_t now_ns, int64_t *ret_wake_ns)
{
    *ret_wake_ns =
        target->failures > 0 && target->in_flight > 0 ? INT64_MAX : target->not_before_ns;
    if (now_ns < target->not_before_ns)
        return false;
    /* After a failure one message tries the way, not a crowd. */
    return target->failures == 0 || target->in_flight == 0;
}

bool target_is_worth_waiting(const struct target *target, int64_t now_ns)
{
    return target->failures < HICCUPS && target->not_before_ns - now_ns < PATIENCE_NS;
}

void target_began(struct target *target)
{
    target->in_flight++;
}

/* Doubled each time, and spread: senders that were cut off together do not come back together. */
static int64_t pause_ns(struct target *target)
{
    int64_t pause = PAUSE_FIRST_NS;

    for (uint32_t i = 1; i < target->failures && pause < PAUSE_LAST_NS; i++)
        pause *= 2;
    if (pause > PAUSE_LAST_NS)
        pause = PAUSE_LAST_NS;
    target->seed = target->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return pause / 2 + (int64_t)((target->seed >> 33) % (uint64_t)(pause / 2));
}

void target_ended(struct target *target, const struct answer_meaning *meaning, int64_t now_ns)
{
    MUST(target->in_flight > 0);
    target->in_flight--;
    if (meaning->verdict == VERDICT_LATER || meaning->verdict == VERDICT_MISTAKEN) {
        target->failures++;
        int64_t wait_ns = pause_ns(target);
        if (wait_ns < meaning->wait_ns)
            wait_ns = meaning->wait_ns;
        if (target->not_before_ns < now_ns + wait_ns)
            target->not_before_ns = now_ns + wait_ns;
        return;
    }
    target->failures = 0;
    target->not_before_ns = 0;
}
