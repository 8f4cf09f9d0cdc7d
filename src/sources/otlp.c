/* SPDX-License-Identifier: Apache-2.0 */
/* The batch takes the request's bytes over and its rows point into them: no text is copied until a
 * sink keeps it. */
#include "sources/otlp.h"

#include "base/clock.h"
#include "base/map.h"
#include "codec/otlp_json.h"
#include "codec/otlp_metrics.h"
#include "codec/strategies.h"
#include "hub/hub.h"
#include "sources/root_rates.h"
#include "sources/span_metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { TENANTS_AT_ONCE = 4096 };

#define METRICS_BYTES ((size_t)64 << 20) /* Remembered of one tenant. */

static const enum otlp_message requests[OTLP_SIGNAL_COUNT] = {
    [OTLP_TRACES] = OTLP_M_TRACES,
    [OTLP_METRICS] = OTLP_M_METRICS,
    [OTLP_LOGS] = OTLP_M_LOGS,
};

struct tenant_metrics {
    char tenant[BATCH_TENANT_BYTES];
    pthread_mutex_t lock;
    struct otlp_metrics *metrics;
    struct span_metrics *spans;
    struct root_rates *roots;
    int64_t turned_ms; /* When the rates last turned. */
};

struct otlp_receiver {
    pthread_mutex_t lock;
    struct map tenants; /* Name to struct tenant_metrics. */
};

static void lock(pthread_mutex_t *mutex)
{
    int code = pthread_mutex_lock(mutex);

    MUST(code == 0);
}

static void unlock(pthread_mutex_t *mutex)
{
    int code = pthread_mutex_unlock(mutex);

    MUST(code == 0);
}

struct otlp_receiver *otlp_receiver_new(void)
{
    struct otlp_receiver *receiver = calloc(1, sizeof(*receiver));

    if (receiver == NULL)
        must_memory(sizeof(*receiver));
    (void)pthread_mutex_init(&receiver->lock, NULL); /* Cannot fail without attributes. */
    return receiver;
}

struct otlp_receiver *otlp_receiver_free(struct otlp_receiver *receiver)
{
    if (receiver == NULL)
        return NULL;
    MAP_EACH (&receiver->tenants, entry) {
        struct tenant_metrics *tenant = entry->value;
        otlp_metrics_free(tenant->metrics);
        span_metrics_free(tenant->spans);
        root_rates_free(tenant->roots);
        (void)pthread_mutex_destroy(&tenant->lock); /* Fails only while it is locked. */
        free(tenant);
    }
    map_done(&receiver->tenants);
    (void)pthread_mutex_destroy(&receiver->lock);
    free(receiver);
    return NULL;
}

/* Tenants are as many as the store lets in; one that it refuses is remembered here all the same, at
 * a few hundred bytes. */
static struct tenant_metrics *find_tenant(struct otlp_receiver *receiver, const char *name)
{
    lock(&receiver->lock);
    struct tenant_metrics *tenant = map_get(&receiver->tenants, str_of(name));
    if (tenant == NULL) {
        tenant = calloc(1, sizeof(*tenant));
        if (tenant == NULL)
            must_memory(sizeof(*tenant));
        (void)snprintf(tenant->tenant, sizeof(tenant->tenant), "%s", name); /* Names fit. */
        (void)pthread_mutex_init(&tenant->lock, NULL); /* Cannot fail without attributes. */
        tenant->metrics = otlp_metrics_new(METRICS_BYTES);
        tenant->spans = span_metrics_new();
        tenant->roots = root_rates_new();
        tenant->turned_ms = clock_now_ms();
        (void)map_put(&receiver->tenants, str_of(tenant->tenant), tenant);
    }
    unlock(&receiver->lock);
    return tenant;
}

static enum err read_metrics(struct otlp_receiver *receiver, struct batch *batch, struct why *why)
{
    struct tenant_metrics *tenant = find_tenant(receiver, batch->tenant);

    lock(&tenant->lock);
    enum err err = otlp_read_metrics(tenant->metrics, buf_view(&batch->payload), batch, why);
    unlock(&tenant->lock);
    return err;
}

static enum err read_traces(struct otlp_receiver *receiver, const struct otlp_request *request,
                            struct batch *batch, struct why *why)
{
    TRY((request->read == NULL ? otlp_read_traces : request->read)(buf_view(&batch->payload), batch,
                                                                   why));
    struct tenant_metrics *tenant = find_tenant(receiver, batch->tenant);
    lock(&tenant->lock);
    span_metrics_add(tenant->spans, batch->spans.items, batch->spans.count);
    root_rates_add(tenant->roots, batch->spans.items, batch->spans.count);
    unlock(&tenant->lock);
    return ERR_NONE;
}

static enum err take_body(const struct otlp_request *request, struct batch *batch, struct why *why)
{
    struct buf body CLEANUP(buf_done) = *request->body;

    *request->body = (struct buf){0};
    if (request->is_json)
        return otlp_json_read(buf_view(&body), requests[request->signal], &batch->payload, why);
    batch->payload = body;
    body = (struct buf){0};
    return ERR_NONE;
}

enum err otlp_receive(struct otlp_receiver *receiver, const struct otlp_request *request,
                      struct batch **ret_batch, struct why *why)
{
    struct batch *batch CLEANUP(batch_freep) = batch_new(request->tenant, "otlp", OTLP_BATCH_BYTES);

    batch->time_ms = clock_now_ms();
    TRY(take_body(request, batch, why));
    if (request->signal == OTLP_TRACES)
        TRY(read_traces(receiver, request, batch, why));
    else if (request->signal == OTLP_LOGS)
        TRY(otlp_read_logs(buf_view(&batch->payload), batch, why));
    else
        TRY(read_metrics(receiver, batch, why));
    *ret_batch = TAKE(batch);
    return ERR_NONE;
}

static void tell_tenant(struct tenant_metrics *tenant, struct hub *hub, int64_t now_ms)
{
    struct batch *batch = batch_new(tenant->tenant, "span_metrics", OTLP_BATCH_BYTES);
    struct why why = WHY_INIT;

    batch->time_ms = now_ms;
    lock(&tenant->lock);
    enum err err = span_metrics_write(tenant->spans, now_ms, batch, &why);
    root_rates_turn(tenant->roots, (double)(now_ms - tenant->turned_ms) / 1000);
    tenant->turned_ms = now_ms;
    unlock(&tenant->lock);
    if (err == ERR_NONE && batch->samples.count > 0)
        (void)hub_submit(hub, &batch, &why); /* Refusals are counted there. */
    batch_free(batch);
}

void otlp_receiver_tell(struct otlp_receiver *receiver, struct hub *hub, int64_t now_ms)
{
    struct tenant_metrics *tenants[TENANTS_AT_ONCE];
    size_t count = 0;

    lock(&receiver->lock);
    MAP_EACH (&receiver->tenants, entry) {
        if (count < TENANTS_AT_ONCE)
            tenants[count++] = entry->value; /* They stay as long as the receiver. */
    }
    unlock(&receiver->lock);
    for (size_t i = 0; i < count; i++)
        tell_tenant(tenants[i], hub, now_ms);
}

void otlp_receiver_each(struct otlp_receiver *receiver, const char *tenant,
                        void (*visit)(void *self, const struct span_series *series), void *self)
{
    struct tenant_metrics *found;

    lock(&receiver->lock);
    found = map_get(&receiver->tenants, str_of(tenant));
    unlock(&receiver->lock);
    if (found == NULL)
        return; /* It has sent nothing. */
    lock(&found->lock);
    span_metrics_each(found->spans, visit, self);
    unlock(&found->lock);
}

static double tell_share(void *self, struct str service, struct str operation, double per_second)
{
    return root_rates_share(self, service, operation, per_second);
}

static void tell_each(void *self, struct str service, void (*visit)(void *, struct str operation),
                      void *visit_self)
{
    root_rates_each(self, service, visit, visit_self);
}

void otlp_receiver_tell_sampling(struct otlp_receiver *receiver, const char *tenant,
                                 const struct strategies *strategies, struct str service,
                                 struct buf *out)
{
    struct tenant_metrics *found = find_tenant(receiver, tenant);
    const struct strategies_traffic traffic = {found->roots, tell_share, tell_each};

    lock(&found->lock);
    strategies_write(strategies, service, &traffic, out);
    unlock(&found->lock);
}
