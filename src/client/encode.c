/* SPDX-License-Identifier: Apache-2.0 */
/* The bodies of the sender's posts: OTLP's export requests.
 *
 * Of an operation two metrics are told:
 *
 *     sonde.operation.calls     a cumulative sum by outcome, so that a post sent twice counts once
 *     sonde.operation.duration  an exponential histogram of what came since the last one told
 *
 * The library's buckets (35 to an octave) are written as scale 8 (256 to an octave), each as the
 * one bucket that holds the value it stands for, which shifts a quantile by less than 0.14 %. */
#include "client/sender.h"
#include "sketch/quantile_key.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SCALE = 8,
    SPAN_BYTES_MAX = SONDE_SPAN_BYTES_MAX + 512,
    /* 42 octaves of a byte each where nothing is, ten bytes each where something is, and the rest.
     */
    OPERATION_BYTES_MAX = 48 * 1024,
    CUMULATIVE = 2,
    DELTA = 1,
};

/* ---- Who sends. ---- */

/* "key=value,key=value", as every OpenTelemetry SDK reads it. */
static void write_environment(struct wire *wire)
{
    const char *at = getenv("OTEL_RESOURCE_ATTRIBUTES");
    char key[SONDE_NAME_BYTES_MAX + 1];

    while (at != NULL && *at != '\0') {
        size_t size = strcspn(at, ",");
        const char *equals = memchr(at, '=', size);
        size_t key_size = equals == NULL ? 0 : (size_t)(equals - at);
        if (key_size > 0 && key_size < sizeof(key)) {
            memcpy(key, at, key_size);
            key[key_size] = '\0';
            if (strcmp(key, "service.name") != 0 && strcmp(key, "service.instance.id") != 0)
                wire_attribute_text(wire, 1, key, equals + 1, size - key_size - 1);
        }
        at += size + (at[size] == ',');
    }
}

static void write_attribute(struct wire *wire, uint32_t field, const char *key, const char *value)
{
    wire_attribute_text(wire, field, key, value, strlen(value));
}

/* The block of this process, in which one of this scope: both are left open. */
struct block {
    size_t resource_begun;
    size_t scope_begun;
};

static struct block begin_block(struct wire *wire, const struct sonde *sonde)
{
    struct block block = {.resource_begun = wire_begin(wire, 1)};
    char host[65] = "";
    char instance[96];

    (void)gethostname(host, sizeof(host) - 1); /* Else it stays empty. */
    (void)snprintf(instance, sizeof(instance), "%s:%ld", host, (long)getpid()); /* Fits. */
    size_t begun = wire_begin(wire, 1);
    write_attribute(wire, 1, "service.name", sonde->service_name);
    write_attribute(wire, 1, "service.instance.id", instance);
    write_attribute(wire, 1, "host.name", host);
    wire_attribute_integer(wire, 1, "process.pid", getpid());
    write_attribute(wire, 1, "telemetry.sdk.name", "sonde");
    write_attribute(wire, 1, "telemetry.sdk.version", sonde_version());
    write_environment(wire);
    wire_end(wire, begun);
    block.scope_begun = wire_begin(wire, 2);
    begun = wire_begin(wire, 1);
    wire_text(wire, 1, "sonde");
    wire_text(wire, 2, sonde_version());
    wire_end(wire, begun);
    return block;
}

static void end_block(struct wire *wire, const struct block *block)
{
    wire_end(wire, block->scope_begun);
    wire_end(wire, block->resource_begun);
}

static struct wire body_of(struct sender *sender)
{
    return (struct wire){sender->body, 0, sizeof(sender->body), false};
}

/* ---- Spans. ---- */

static void write_span(struct wire *wire, const struct span_slot *slot)
{
    enum { STATUS_ERROR = 2 };
    size_t begun = wire_begin(wire, 2);

    wire_bytes(wire, 1, slot->context.trace_id, sizeof(slot->context.trace_id));
    wire_bytes(wire, 2, slot->context.span_id, sizeof(slot->context.span_id));
    if (!client_is_nowhere(&slot->parent))
        wire_bytes(wire, 4, slot->parent.span_id, sizeof(slot->parent.span_id));
    wire_text(wire, 5, slot->operation->name);
    wire_varint(wire, 6, slot->kind);
    wire_fixed64(wire, 7, (uint64_t)slot->start_unix_ns);
    wire_fixed64(wire, 8, (uint64_t)slot->end_unix_ns);
    wire_raw(wire, slot->attributes, slot->attributes_size);
    if (slot->failed) {
        size_t status = wire_begin(wire, 15);
        if (slot->message[0] != '\0')
            wire_text(wire, 2, slot->message);
        wire_varint(wire, 3, STATUS_ERROR);
        wire_end(wire, status);
    }
    wire_fixed32(wire, 16, slot->context.flags);
    wire_end(wire, begun);
}

uint64_t client_encode_spans(struct sender *sender, struct wire *wire)
{
    const struct span_slot *slot = client_ring_at(&sender->ring, 0);
    uint64_t count = 0;

    if (slot == NULL)
        return 0;
    *wire = body_of(sender);
    struct block block = begin_block(wire, sender->sonde);
    for (; slot != NULL && wire->capacity - wire->size >= SPAN_BYTES_MAX;
         slot = client_ring_at(&sender->ring, count)) {
        write_span(wire, slot);
        count++;
    }
    end_block(wire, &block);
    return count;
}

/* ---- Operations. ---- */

struct times {
    uint64_t since_ns; /* Of what is cumulative. */
    uint64_t told_ns;  /* Of what is told since the last time. */
    uint64_t now_ns;
};

static void write_count(struct wire *wire, const struct times *times, const char *operation,
                        const char *outcome, uint64_t count)
{
    size_t begun = wire_begin(wire, 1);

    write_attribute(wire, 7, "operation", operation);
    write_attribute(wire, 7, "outcome", outcome);
    wire_fixed64(wire, 2, times->since_ns);
    wire_fixed64(wire, 3, times->now_ns);
    wire_fixed64(wire, 6, count);
    wire_end(wire, begun);
}

static void write_calls(struct wire *wire, const struct times *times, const char *name,
                        const struct told *now)
{
    size_t begun = wire_begin(wire, 2);

    wire_text(wire, 1, "sonde.operation.calls");
    wire_text(wire, 2, "Calls of an operation, by how they ended.");
    wire_text(wire, 3, "{call}");
    size_t sum = wire_begin(wire, 7);
    write_count(wire, times, name, "ok", now->count - now->failures);
    write_count(wire, times, name, "error", now->failures);
    wire_varint(wire, 2, CUMULATIVE);
    wire_varint(wire, 3, true);
    wire_end(wire, sum);
    wire_end(wire, begun);
}

/* The bucket of scale 8 that holds the value for which a bucket of ours stands, in seconds. */
static int32_t scaled(size_t bucket)
{
    return (int32_t)floor(log2(quantile_key_value((int32_t)bucket, 0) / 1e9) * (1 << SCALE));
}

static uint64_t since_told(const struct told *now, const struct told *before, size_t bucket)
{
    return now->buckets[bucket] - before->buckets[bucket];
}

static void write_buckets(struct wire *wire, const struct told *now, const struct told *before)
{
    size_t begun = wire_begin(wire, 8);
    size_t first = 0;

    while (first < BUCKETS && since_told(now, before, first) == 0)
        first++;
    int32_t next = first < BUCKETS ? scaled(first) : 0;
    wire_varint(wire, 1, ((uint64_t)(int64_t)next << 1) ^ (uint64_t)((int64_t)next >> 63));
    size_t counts = wire_begin(wire, 2);
    for (size_t i = first; i < BUCKETS; i++) {
        uint64_t count = since_told(now, before, i);
        if (count == 0)
            continue;
        for (int32_t place = scaled(i); next < place; next++)
            wire_raw_varint(wire, 0);
        wire_raw_varint(wire, count);
        next++;
    }
    wire_end(wire, counts);
    wire_end(wire, begun);
}

static void write_duration(struct wire *wire, const struct times *times, const char *name,
                           const struct told *now, const struct told *before)
{
    size_t begun = wire_begin(wire, 2);

    wire_text(wire, 1, "sonde.operation.duration");
    wire_text(wire, 2, "How long calls of an operation took.");
    wire_text(wire, 3, "s");
    size_t histogram = wire_begin(wire, 10);
    size_t point = wire_begin(wire, 1);
    write_attribute(wire, 1, "operation", name);
    wire_fixed64(wire, 2, times->told_ns);
    wire_fixed64(wire, 3, times->now_ns);
    wire_fixed64(wire, 4, now->count - before->count);
    wire_number(wire, 5, (double)(now->sum_ns - before->sum_ns) / 1e9);
    wire_varint(wire, 6, SCALE << 1); /* Zigzag. */
    write_buckets(wire, now, before);
    wire_end(wire, point);
    wire_varint(wire, 2, DELTA);
    wire_end(wire, histogram);
    wire_end(wire, begun);
}

/* A bucket read while a thread counts in it may be one ahead of what was read before. Never less.
 */
static void take_totals(const struct sonde_operation *operation, struct told *now)
{
    struct totals totals;

    now->epoch = atomic_load(&operation->sonde->epoch);
    client_totals(operation, &totals);
    now->count = totals.count;
    now->failures = totals.failures < totals.count ? totals.failures : totals.count;
    now->sum_ns = totals.sum_ns;
    memcpy(now->buckets, totals.buckets, sizeof(now->buckets));
}

static bool is_less(const struct told *now, const struct told *before)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        if (now->buckets[i] < before->buckets[i])
            return true;
    }
    return now->count < before->count;
}

/* False: nothing to tell of it. */
static bool write_operation(struct sender *sender, struct wire *wire, uint32_t index,
                            int64_t now_ms, const struct times *times)
{
    const struct sonde_operation *operation = &sender->sonde->operations[index];
    struct told *before = &sender->told[index];
    struct told *now = &sender->next[index];
    struct times own = *times;

    now->time_ms = 0;
    take_totals(operation, now);
    if (before->time_ms != 0 && (before->epoch != now->epoch || is_less(now, before))) {
        memset(before, 0, sizeof(*before)); /* Reset since: all that is counted is new. */
        before->time_ms = now_ms;
    }
    bool is_new = now->count != before->count;
    if (!is_new && (now->count == 0 || now_ms - before->time_ms < KEEP_ALIVE_MS))
        return false;
    now->time_ms = now_ms;
    own.told_ns = before->time_ms == 0
                      ? times->since_ns
                      : times->now_ns - (uint64_t)(now_ms - before->time_ms) * UINT64_C(1000000);
    write_calls(wire, &own, operation->name, now);
    if (is_new)
        write_duration(wire, &own, operation->name, now, before);
    return true;
}

static struct times times_of(const struct sonde *sonde)
{
    return (struct times){.since_ns = (uint64_t)atomic_load(&sonde->since_unix_ns),
                          .now_ns = (uint64_t)client_unix_ns()};
}

bool client_encode_operations(struct sender *sender, struct wire *wire, uint32_t *at,
                              int64_t now_ms)
{
    uint32_t known = atomic_load(&sender->sonde->operation_names.count);
    struct times times = times_of(sender->sonde);
    bool any = false;

    *wire = body_of(sender);
    struct block block = begin_block(wire, sender->sonde);
    for (; *at < known && wire->capacity - wire->size >= OPERATION_BYTES_MAX; (*at)++)
        any |= write_operation(sender, wire, *at, now_ms, &times);
    end_block(wire, &block);
    return any;
}

/* ---- Counters and gauges. ---- */

static void write_sum(struct wire *wire, const struct times *times, const char *name,
                      const char *reason, uint64_t value)
{
    size_t begun = wire_begin(wire, 2);

    wire_text(wire, 1, name);
    size_t sum = wire_begin(wire, 7);
    size_t point = wire_begin(wire, 1);
    if (reason != NULL)
        write_attribute(wire, 7, "reason", reason);
    wire_fixed64(wire, 2, times->since_ns);
    wire_fixed64(wire, 3, times->now_ns);
    wire_fixed64(wire, 6, value);
    wire_end(wire, point);
    wire_varint(wire, 2, CUMULATIVE);
    wire_varint(wire, 3, true);
    wire_end(wire, sum);
    wire_end(wire, begun);
}

static void write_gauge(struct wire *wire, const struct times *times, const char *name,
                        double value)
{
    size_t begun = wire_begin(wire, 2);

    wire_text(wire, 1, name);
    size_t gauge = wire_begin(wire, 5);
    size_t point = wire_begin(wire, 1);
    wire_fixed64(wire, 3, times->now_ns);
    wire_number(wire, 4, value);
    wire_end(wire, point);
    wire_end(wire, gauge);
    wire_end(wire, begun);
}

bool client_encode_values(struct sender *sender, struct wire *wire)
{
    struct sonde *sonde = sender->sonde;
    uint32_t counters = atomic_load(&sonde->counter_names.count);
    uint32_t gauges = atomic_load(&sonde->gauge_names.count);
    struct times times = times_of(sonde);
    struct sonde_drops drops;

    *wire = body_of(sender);
    struct block block = begin_block(wire, sonde);
    for (uint32_t i = 0; i < counters; i++)
        write_sum(wire, &times, sonde->counters[i].name, NULL,
                  sonde_count_value(&sonde->counters[i]));
    for (uint32_t i = 0; i < gauges; i++)
        write_gauge(wire, &times, sonde->gauges[i].name, sonde_gauge_value(&sonde->gauges[i]));
    sonde_read_drops(sonde, &drops);
    static const char dropped[] = "sonde.client.dropped";
    write_sum(wire, &times, dropped, "records", drops.records);
    write_sum(wire, &times, dropped, "names_cut", drops.names_cut);
    write_sum(wire, &times, dropped, "names_shared", drops.names_shared);
    write_sum(wire, &times, dropped, "spans", atomic_load(&sender->spans_dropped));
    end_block(wire, &block);
    return !wire->full;
}
