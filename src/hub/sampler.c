/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts lie in a table of fixed size, four places to a set: a trace that finds no place pushes
 * out the one that was met longest ago. A verdict that was pushed out is found again by the trace's
 * id, if it was the share's; another is not, which is counted.
 *
 * What is slow is told by two sketches for each operation, of these ten minutes and those before.
 */
#include "hub/sampler.h"

#include "base/clock.h"
#include "base/map.h"
#include "sketch/quantile.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    WAYS = 4,
    SETS = SAMPLER_TRACES / WAYS,
    NAME_MAX = 256, /* Bytes of a service's or operation's name that count. */
    SKETCH_BUCKETS = 256,
    PERIOD_MINUTES = 10,
    THRESHOLD_EVERY = 64, /* Requests from one look at the quantile to the next. */
};

enum verdict {
    VERDICT_NONE,
    VERDICT_ERROR,
    VERDICT_ATTRIBUTE,
    VERDICT_SLOW,
    VERDICT_RARE,
    VERDICT_RATIO,
    VERDICT_DROPPED,
    VERDICT_COUNT
};

struct known_trace {
    uint8_t trace_id[TRACE_ID_BYTES];
    uint32_t tenant; /* Hash. */
    uint32_t spans;  /* That stayed. */
    uint32_t met;    /* Counts up, for finding the one met longest ago. */
    uint8_t verdict;
    bool judged; /* Asked for already: what comes now is late. */
};

struct operation {
    struct quantile *now, *before;
    int64_t period;
    double slow_s; /* More is slow. */
    uint32_t unlooked;
    int64_t minute;
    uint32_t in_minute;
    char key[];
};

struct sampler {
    struct sampler_options options;
    struct known_trace *traces; /* SETS * WAYS; made when first used. */
    struct map operations;
    uint32_t clock;
    int64_t minute;
    atomic_uint_fast64_t verdicts[VERDICT_COUNT]; /* Traces. */
    atomic_uint_fast64_t kept_spans;
    atomic_uint_fast64_t dropped_spans;
    atomic_uint_fast64_t late_spans;
    atomic_uint_fast64_t cut_spans; /* Of traces with too many. */
    atomic_uint_fast64_t forgotten; /* Verdicts pushed out. */
};

static void count(atomic_uint_fast64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

enum err sampler_add_rule(struct sampler_options *options, struct str text, struct why *why)
{
    struct str rest = text;
    struct str key = str_trim(str_split(&rest, '='));

    if (options->rules_count == SAMPLER_RULES_MAX)
        return fail(why, ERR_LIMIT, "at most %d attributes can be kept by", SAMPLER_RULES_MAX);
    if (key.size == 0) {
        (void)fail(why, ERR_INVALID, "'%.*s' names no attribute", STR_ARG(text));
        hint(why, "write key=value, or key for any value");
        return ERR_INVALID;
    }
    options->rules[options->rules_count++] =
        (struct sampler_rule){key, rest.data == NULL ? STR_NONE : str_trim(rest)};
    return ERR_NONE;
}

struct sampler *sampler_new(const struct sampler_options *options)
{
    struct sampler *sampler = calloc(1, sizeof(*sampler));

    if (sampler == NULL)
        must_memory(sizeof(*sampler));
    sampler->options = *options;
    sampler->operations.seed = (uint64_t)clock_monotonic_ns();
    return sampler;
}

struct sampler *sampler_free(struct sampler *sampler)
{
    if (sampler == NULL)
        return NULL;
    MAP_EACH (&sampler->operations, entry) {
        struct operation *operation = entry->value;
        quantile_free(operation->now);
        quantile_free(operation->before);
        free(operation);
    }
    map_done(&sampler->operations);
    free(sampler->traces);
    free(sampler);
    return NULL;
}

/* ---- Verdicts that are known. ---- */

static uint32_t hash_tenant(const char *tenant)
{
    return (uint32_t)str_hash(str_of(tenant), 7);
}

static struct known_trace *set_of(struct sampler *sampler, uint32_t tenant, const uint8_t *trace_id)
{
    uint64_t hash = str_hash((struct str){(const char *)trace_id, TRACE_ID_BYTES}, tenant);

    if (sampler->traces == NULL) {
        sampler->traces = calloc((size_t)SETS * WAYS, sizeof(*sampler->traces));
        if (sampler->traces == NULL)
            must_memory((size_t)SETS * WAYS * sizeof(*sampler->traces));
    }
    return &sampler->traces[(hash & (SETS - 1)) * WAYS];
}

/* NULL: nothing is known of it. */
static struct known_trace *find_trace(struct sampler *sampler, const char *tenant,
                                      const uint8_t *trace_id)
{
    uint32_t tenant_hash = hash_tenant(tenant);
    struct known_trace *set = set_of(sampler, tenant_hash, trace_id);

    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].verdict != VERDICT_NONE && set[i].tenant == tenant_hash &&
            memcmp(set[i].trace_id, trace_id, TRACE_ID_BYTES) == 0) {
            set[i].met = ++sampler->clock;
            return &set[i];
        }
    }
    return NULL;
}

static struct known_trace *add_trace(struct sampler *sampler, const char *tenant,
                                     const uint8_t *trace_id, enum verdict verdict)
{
    uint32_t tenant_hash = hash_tenant(tenant);
    struct known_trace *set = set_of(sampler, tenant_hash, trace_id);
    struct known_trace *place = set;

    sampler->clock++;
    for (size_t i = 0; i < WAYS && place->verdict != VERDICT_NONE; i++) {
        if (set[i].verdict == VERDICT_NONE ||
            sampler->clock - set[i].met > sampler->clock - place->met)
            place = &set[i];
    }
    if (place->verdict != VERDICT_NONE && place->verdict < VERDICT_RATIO)
        count(&sampler->forgotten);
    *place = (struct known_trace){
        .tenant = tenant_hash, .met = sampler->clock, .verdict = (uint8_t)verdict};
    memcpy(place->trace_id, trace_id, TRACE_ID_BYTES);
    count(&sampler->verdicts[verdict]);
    return place;
}

/* ---- Operations. ---- */

static struct str cut(struct str text)
{
    return (struct str){text.data, text.size < NAME_MAX ? text.size : NAME_MAX};
}

static void append(char *key, size_t *size, struct str text)
{
    if (text.size > 0)
        memcpy(key + *size, text.data, text.size);
    *size += text.size;
    key[(*size)++] = '\0';
}

/* NULL: there are as many as may be. */
static struct operation *find_operation(struct sampler *sampler, const char *tenant,
                                        const struct span *span)
{
    char key[BATCH_TENANT_BYTES + 2 * (NAME_MAX + 1)];
    size_t size = 0;

    append(key, &size, str_of(tenant));
    append(key, &size, cut(span->resource->service_name));
    append(key, &size, cut(span->name));
    struct operation *operation = map_get(&sampler->operations, (struct str){key, size});
    if (operation != NULL || sampler->operations.count == SAMPLER_OPERATIONS_MAX)
        return operation;
    operation = calloc(1, sizeof(*operation) + size);
    if (operation == NULL)
        must_memory(sizeof(*operation) + size);
    memcpy(operation->key, key, size);
    operation->now = quantile_new(0, SKETCH_BUCKETS);
    operation->before = quantile_new(0, SKETCH_BUCKETS);
    operation->slow_s = -1;
    (void)map_put(&sampler->operations, (struct str){operation->key, size}, operation);
    return operation;
}

static void turn_sketches(struct operation *operation, int64_t period)
{
    struct quantile *before = operation->before;

    if (period == operation->period)
        return;
    operation->before = operation->now;
    operation->now = before;
    quantile_clear(operation->now);
    if (period != operation->period + 1)
        quantile_clear(operation->before); /* Long ago. */
    operation->period = period;
    operation->unlooked = 0;
}

static bool is_slow(const struct sampler *sampler, struct operation *operation, double duration_s)
{
    double quantile = sampler->options.slow_quantile;

    turn_sketches(operation, sampler->minute / PERIOD_MINUTES);
    if (operation->unlooked == 0) {
        const struct quantile *sketch = operation->before;
        if (quantile_count(sketch) < SAMPLER_COUNT_MIN)
            sketch = operation->now;
        operation->slow_s =
            quantile_count(sketch) < SAMPLER_COUNT_MIN ? -1 : quantile_at(sketch, quantile);
        operation->unlooked = THRESHOLD_EVERY;
    }
    operation->unlooked--;
    bool slow = quantile < 1 && operation->slow_s >= 0 && duration_s > operation->slow_s;
    quantile_add(operation->now, duration_s);
    return slow;
}

static bool is_rare(const struct sampler *sampler, struct operation *operation)
{
    if (operation->minute != sampler->minute) {
        operation->minute = sampler->minute;
        operation->in_minute = 0;
    }
    if (operation->in_minute >= sampler->options.rare_per_minute)
        return false;
    operation->in_minute++;
    return true;
}

/* ---- Reasons to stay. ---- */

static bool value_is(const struct value *value, struct str wanted)
{
    char text[32];

    if (wanted.data == NULL)
        return true;
    switch (value->kind) {
    case VALUE_TEXT:
        return str_eq(value->text, wanted);
    case VALUE_BOOL:
        return str_eq(value->boolean ? STR("true") : STR("false"), wanted);
    case VALUE_INTEGER:
        (void)snprintf(text, sizeof(text), "%lld", (long long)value->integer); /* Fits. */
        return str_eq(str_of(text), wanted);
    case VALUE_DOUBLE:
        return str_eq((struct str){text, str_from_double(text, value->number)}, wanted);
    case VALUE_EMPTY:
    case VALUE_BYTES:
    case VALUE_LIST:
    case VALUE_MAP:
        break;
    }
    return false;
}

static bool has_attribute(const struct sampler *sampler, const struct span *span)
{
    for (size_t i = 0; i < sampler->options.rules_count; i++) {
        const struct sampler_rule *rule = &sampler->options.rules[i];
        const struct value *value = attributes_get(&span->attributes, rule->key);
        if (value == NULL)
            value = attributes_get(&span->resource->attributes, rule->key);
        if (value != NULL && value_is(value, rule->value))
            return true;
    }
    return false;
}

/* Where a service begins to work on a request. */
static bool is_entry(const struct span *span)
{
    static const uint8_t none[SPAN_ID_BYTES];

    return span->kind == SPAN_KIND_SERVER || span->kind == SPAN_KIND_CONSUMER ||
           memcmp(span->parent_span_id, none, SPAN_ID_BYTES) == 0;
}

static enum verdict reason_of(struct sampler *sampler, const char *tenant, const struct span *span)
{
    struct operation *operation = is_entry(span) ? find_operation(sampler, tenant, span) : NULL;
    double duration_s = span->end_ns > span->start_ns
                            ? (double)((uint64_t)span->end_ns - (uint64_t)span->start_ns) / 1e9
                            : 0;
    /* Both count the request, whatever the reason is. */
    bool slow = operation != NULL && is_slow(sampler, operation, duration_s);
    bool rare = operation != NULL && is_rare(sampler, operation);

    if (span->status == SPAN_STATUS_ERROR)
        return VERDICT_ERROR;
    if (has_attribute(sampler, span))
        return VERDICT_ATTRIBUTE;
    if (slow)
        return VERDICT_SLOW;
    return rare ? VERDICT_RARE : VERDICT_NONE;
}

void sampler_note(void *self, const char *tenant, const struct span *span)
{
    struct sampler *sampler = self;
    enum verdict reason = reason_of(sampler, tenant, span);
    struct known_trace *trace = find_trace(sampler, tenant, span->trace_id);

    if (trace != NULL && trace->judged)
        count(&sampler->late_spans);
    if (reason == VERDICT_NONE)
        return;
    if (trace == NULL) {
        (void)add_trace(sampler, tenant, span->trace_id, reason);
    } else if (trace->verdict == VERDICT_DROPPED) { /* What is left of it stays. */
        trace->verdict = (uint8_t)reason;
        count(&sampler->verdicts[reason]);
    }
}

/* ---- Verdicts. ---- */

/* By the random bits of the id, so that whoever samples by it keeps the same traces. */
static bool is_in_share(const struct sampler *sampler, const uint8_t *trace_id)
{
    uint64_t random = 0;

    for (size_t i = TRACE_ID_BYTES - 7; i < TRACE_ID_BYTES; i++)
        random = random << 8 | trace_id[i];
    return (double)random >= (1 - sampler->options.ratio) * 0x1p56;
}

bool sampler_keeps(void *self, const char *tenant, const struct span *span)
{
    struct sampler *sampler = self;
    struct known_trace *trace = find_trace(sampler, tenant, span->trace_id);

    if (trace == NULL)
        trace = add_trace(sampler, tenant, span->trace_id,
                          is_in_share(sampler, span->trace_id) ? VERDICT_RATIO : VERDICT_DROPPED);
    trace->judged = true;
    if (trace->verdict == VERDICT_DROPPED) {
        count(&sampler->dropped_spans);
        return false;
    }
    if (sampler->options.spans_max > 0 && trace->spans >= sampler->options.spans_max) {
        count(&sampler->cut_spans);
        return false;
    }
    trace->spans++;
    count(&sampler->kept_spans);
    return true;
}

static enum err accept(void *self, struct batch *batch, struct why *why)
{
    struct sampler *sampler = self;

    (void)why; /* It only looks. */
    sampler->minute = clock_now_ms() / 60000;
    for (size_t i = 0; i < batch->spans.count; i++)
        sampler_note(sampler, batch->tenant, &batch->spans.items[i]);
    return ERR_NONE;
}

/* ---- Its numbers. ---- */

static const char *const verdict_names[VERDICT_COUNT] = {
    [VERDICT_ERROR] = "error", [VERDICT_ATTRIBUTE] = "attribute", [VERDICT_SLOW] = "slow",
    [VERDICT_RARE] = "rare",   [VERDICT_RATIO] = "ratio",         [VERDICT_DROPPED] = "dropped",
};

enum err sampler_self(void *part, struct self_report *report, struct why *why)
{
    struct sampler *sampler = part;
    const struct {
        struct self_metric metric;
        atomic_uint_fast64_t *counter;
    } rows[] = {
        {{"sonde_sampling_spans_total", "Spans by what became of them.", METRIC_COUNTER, "fate",
          "kept"},
         &sampler->kept_spans},
        {{"sonde_sampling_spans_total", "Spans by what became of them.", METRIC_COUNTER, "fate",
          "dropped"},
         &sampler->dropped_spans},
        {{"sonde_sampling_spans_total", "Spans by what became of them.", METRIC_COUNTER, "fate",
          "over_trace_limit"},
         &sampler->cut_spans},
        {{"sonde_sampling_late_spans_total", "Spans that came after their trace's verdict.",
          METRIC_COUNTER, NULL, NULL},
         &sampler->late_spans},
        {{"sonde_sampling_forgotten_verdicts_total",
          "Verdicts pushed out by those of newer traces.", METRIC_COUNTER, NULL, NULL},
         &sampler->forgotten},
    };

    for (size_t i = VERDICT_ERROR; i < VERDICT_COUNT; i++) {
        const struct self_metric metric = {"sonde_sampling_traces_total",
                                           "Traces by the reason for which they stay, or dropped.",
                                           METRIC_COUNTER, "verdict", verdict_names[i]};
        TRY(self_write(report, &metric, (double)atomic_load(&sampler->verdicts[i]), why));
    }
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        TRY(self_write(report, &rows[i].metric, (double)atomic_load(rows[i].counter), why));
    return ERR_NONE;
}

const struct sink_ops sampler_sink = {.name = "sampler", .accept = accept};
