/* SPDX-License-Identifier: Apache-2.0 */
#include "report/promises.h"
#include "base/json.h"
#include "codec/node.h"
#include "codec/yaml.h" /* JSON is YAML, too. */

/* ---- Reading. ---- */

static const char *const ROOT_KEYS[] = {
    "max_p50_latency_ms", "max_p95_latency_ms", "max_p99_latency_ms",
    "min_throughput_rps", "min_success_rate",   "operations",
    "services",           "journeys",           "from",
};
static const char *const TARGET_KEYS[] = {
    "max_p50_latency_ms", "max_p95_latency_ms", "max_p99_latency_ms",
    "min_throughput_rps", "min_success_rate",
};
static const char *const SERVICE_KEYS[] = {
    "max_p50_latency_ms", "max_p95_latency_ms", "max_p99_latency_ms",
    "min_throughput_rps", "min_success_rate",   "operations",
};
static const char *const JOURNEY_KEYS[] = {
    "name", "description", "service", "operation", "max_response_time_ms", "min_success_rate",
};
static const char *const FROM_KEYS[] = {"service", "range", "report"};

struct reading {
    struct arena *arena;
    struct promises *promises;
    struct why *why;
};

static enum err keep_text(const struct reading *reading, struct str text, struct str *ret_text)
{
    *ret_text = arena_str(reading->arena, text);
    return ret_text->data == NULL ? arena_spent(reading->arena, "the promises", reading->why)
                                  : ERR_NONE;
}

static enum err read_optional_text(const struct reading *reading, const struct node *map,
                                   const char *key, struct str *ret_text)
{
    const struct node *node = node_get(map, key);
    struct str text;

    *ret_text = STR_NONE;
    if (node == NULL)
        return ERR_NONE;
    TRY(node_text(node, &text, reading->why));
    return keep_text(reading, text, ret_text);
}

static enum err read_target(const struct reading *reading, const struct node *node, bool is_ratio,
                            double *ret_value)
{
    struct why *why = reading->why;

    if (is_ratio)
        return node_ratio(node, ret_value, why);
    TRY(node_double(node, ret_value, why));
    if (!(*ret_value >= 0) || isinf(*ret_value))
        return node_fail(node, why, "a target is a number that is not negative");
    return ERR_NONE;
}

static enum err read_targets(const struct reading *reading, const struct node *map,
                             struct sla_targets *ret_targets)
{
    *ret_targets = SLA_TARGETS_NONE;
    for (int kind = 0; kind < SLA_KIND_COUNT; kind++) {
        const struct node *node = node_get(map, sla_key((enum sla_kind)kind));
        if (node != NULL)
            TRY(read_target(reading, node, kind == SLA_SUCCESS_RATE,
                            sla_target(ret_targets, (enum sla_kind)kind)));
    }
    return ERR_NONE;
}

static enum err add_promise(const struct reading *reading, const struct promise *promise,
                            const struct node *node)
{
    if (reading->promises->count == PROMISES_MAX)
        return node_fail(node, reading->why, "more than %d promises", PROMISES_MAX);
    reading->promises->items[reading->promises->count++] = *promise;
    return ERR_NONE;
}

static enum err read_operations(const struct reading *reading, const struct node *map,
                                struct str service)
{
    if (map == NULL)
        return ERR_NONE;
    TRY(node_map(map, reading->why));
    NODE_EACH(map, node)
    {
        struct promise promise = {.service = service};
        TRY(node_map(node, reading->why));
        TRY(node_only(node, TARGET_KEYS, ARRAY_COUNT(TARGET_KEYS), reading->why));
        TRY(keep_text(reading, node->key, &promise.operation));
        TRY(read_targets(reading, node, &promise.targets));
        TRY(add_promise(reading, &promise, node));
    }
    return ERR_NONE;
}

static enum err read_services(const struct reading *reading, const struct node *map)
{
    if (map == NULL)
        return ERR_NONE;
    TRY(node_map(map, reading->why));
    NODE_EACH(map, node)
    {
        struct promise promise = {.operation = STR_NONE};
        TRY(node_map(node, reading->why));
        TRY(node_only(node, SERVICE_KEYS, ARRAY_COUNT(SERVICE_KEYS), reading->why));
        TRY(keep_text(reading, node->key, &promise.service));
        TRY(read_targets(reading, node, &promise.targets));
        TRY(add_promise(reading, &promise, node));
        TRY(read_operations(reading, node_get(node, "operations"), promise.service));
    }
    return ERR_NONE;
}

static enum err read_journey(const struct reading *reading, const struct node *map)
{
    struct journey journey = {.targets = SLA_TARGETS_NONE};
    const struct node *node;
    struct str text;

    TRY(node_map(map, reading->why));
    TRY(node_only(map, JOURNEY_KEYS, ARRAY_COUNT(JOURNEY_KEYS), reading->why));
    TRY(node_need(map, "name", &node, reading->why));
    TRY(node_text(node, &text, reading->why));
    TRY(keep_text(reading, text, &journey.name));
    TRY(node_need(map, "operation", &node, reading->why));
    TRY(node_text(node, &text, reading->why));
    TRY(keep_text(reading, text, &journey.operation));
    TRY(read_optional_text(reading, map, "service", &journey.service));
    node = node_get(map, "max_response_time_ms");
    if (node != NULL)
        TRY(read_target(reading, node, false, &journey.targets.max_p95_latency_ms));
    node = node_get(map, "min_success_rate");
    if (node != NULL)
        TRY(read_target(reading, node, true, &journey.targets.min_success_rate));
    reading->promises->journeys[reading->promises->journeys_count++] = journey;
    return ERR_NONE;
}

static enum err read_journeys(const struct reading *reading, const struct node *list)
{
    if (list == NULL)
        return ERR_NONE;
    TRY(node_list(list, reading->why));
    if (list->count > PROMISES_MAX)
        return node_fail(list, reading->why, "more than %d journeys", PROMISES_MAX);
    reading->promises->journeys = ARENA_ARRAY(reading->arena, list->count + 1, struct journey);
    if (reading->promises->journeys == NULL)
        return arena_spent(reading->arena, "the promises", reading->why);
    NODE_EACH(list, node)
    TRY(read_journey(reading, node));
    return ERR_NONE;
}

static enum err read_from(const struct reading *reading, const struct node *map)
{
    struct promises *promises = reading->promises;

    if (map == NULL)
        return ERR_NONE;
    TRY(node_map(map, reading->why));
    TRY(node_only(map, FROM_KEYS, ARRAY_COUNT(FROM_KEYS), reading->why));
    TRY(read_optional_text(reading, map, "service", &promises->from_service));
    TRY(read_optional_text(reading, map, "report", &promises->from_report));
    const struct node *range = node_get(map, "range");
    if (range == NULL)
        return ERR_NONE;
    TRY(node_duration_ms(range, &promises->from_range_ms, reading->why));
    if (promises->from_range_ms <= 0)
        return node_fail(range, reading->why, "a range is longer than nothing");
    return ERR_NONE;
}

enum err promises_read(struct str text, const char *name, struct arena *arena,
                       struct promises *ret_promises, struct why *why)
{
    struct promises promises = {.overall = SLA_TARGETS_NONE};
    const struct reading reading = {arena, &promises, why};
    const struct node *root;

    TRY(yaml_read(text, name, arena, &root, why));
    promises.items = ARENA_ARRAY(arena, PROMISES_MAX, struct promise);
    if (promises.items == NULL)
        return arena_spent(arena, "the promises", why);
    if (root->kind != NODE_NULL) {
        TRY(node_map(root, why));
        TRY(node_only(root, ROOT_KEYS, ARRAY_COUNT(ROOT_KEYS), why));
    }
    TRY(read_targets(&reading, root, &promises.overall));
    TRY(read_operations(&reading, node_get(root, "operations"), STR_NONE));
    TRY(read_services(&reading, node_get(root, "services")));
    TRY(read_journeys(&reading, node_get(root, "journeys")));
    TRY(read_from(&reading, node_get(root, "from")));
    *ret_promises = promises;
    return ERR_NONE;
}

bool promises_any(const struct promises *promises)
{
    bool any = sla_is_set(&promises->overall) || promises->journeys_count > 0;

    for (size_t i = 0; i < promises->count; i++)
        any |= sla_is_set(&promises->items[i].targets);
    return any;
}

enum err promises_add_journeys(struct promises *promises, const struct promises *more,
                               struct arena *arena, struct why *why)
{
    size_t count = promises->journeys_count + more->journeys_count;
    struct journey *journeys = ARENA_ARRAY(arena, count + 1, struct journey);

    if (journeys == NULL)
        return arena_spent(arena, "the journeys", why);
    for (size_t i = 0; i < promises->journeys_count; i++)
        journeys[i] = promises->journeys[i];
    for (size_t i = 0; i < more->journeys_count; i++)
        journeys[promises->journeys_count + i] = more->journeys[i];
    promises->journeys = journeys;
    promises->journeys_count = count;
    return ERR_NONE;
}

/* ---- Judging. ---- */

struct judging {
    struct arena *arena;
    struct verdict *verdict;
    size_t capacity;
    struct why *why;
    struct str journey; /* The one that is judged. */
};

static enum err add_line(struct judging *judging, enum status status, struct str service,
                         struct str operation, struct str sentence)
{
    struct verdict *verdict = judging->verdict;

    if (verdict->count == judging->capacity) {
        size_t capacity = judging->capacity * 2 + 64;
        struct verdict_line *lines = ARENA_ARRAY(judging->arena, capacity, struct verdict_line);
        if (lines == NULL)
            return arena_spent(judging->arena, "the verdict", judging->why);
        if (verdict->count > 0)
            memcpy(lines, verdict->lines, verdict->count * sizeof(lines[0]));
        verdict->lines = lines;
        judging->capacity = capacity;
    }
    struct str kept = arena_str(judging->arena, sentence);
    if (kept.data == NULL)
        return arena_spent(judging->arena, "the verdict", judging->why);
    verdict->lines[verdict->count++] =
        (struct verdict_line){status, service, operation, judging->journey, kept};
    verdict->broken_count += status == STATUS_BAD;
    verdict->unmeasured_count += status == STATUS_INFO;
    return ERR_NONE;
}

/* A promise of what nobody called: perhaps its name is spelt otherwise in the program. */
static enum err add_unmeasured(struct judging *judging, const char *what, struct str name,
                               struct str operation)
{
    struct buf sentence CLEANUP(buf_done) = {0};
    bool is_operation = operation.data != NULL;

    buf_printf(&sentence, "%s '%.*s' was not measured: no calls", what, STR_ARG(name));
    if (is_operation && !str_eq(name, operation))
        buf_printf(&sentence, " of '%.*s'", STR_ARG(operation));
    return add_line(judging, STATUS_INFO, is_operation ? STR_NONE : name, operation,
                    buf_view(&sentence));
}

/* Sentences of one set of targets; *ret_count is how many are broken. prefix comes before each. */
static enum err judge_targets(struct judging *judging, const struct sla_targets *targets,
                              const struct sla_measure *measure, struct str prefix,
                              struct str service, struct str operation)
{
    struct sla_violation violations[SLA_KIND_COUNT];
    size_t count = sla_check(targets, measure, violations);

    for (size_t i = 0; i < count; i++) {
        struct buf sentence CLEANUP(buf_done) = {0};
        buf_str(&sentence, prefix);
        sla_write(&sentence, operation, &violations[i]);
        TRY(add_line(judging, STATUS_BAD, service, operation, buf_view(&sentence)));
    }
    return ERR_NONE;
}

static bool is_of(struct str wanted, struct str name)
{
    return wanted.data == NULL || str_eq(wanted, name);
}

static enum err judge_service(struct judging *judging, const struct promise *promise,
                              const struct services *measured)
{
    if (!sla_is_set(&promise->targets)) /* Only its operations are promised something. */
        return ERR_NONE;
    for (size_t i = 0; i < measured->totals_count; i++) {
        const struct service_total *total = &measured->totals[i];
        struct buf prefix CLEANUP(buf_done) = {0};
        if (!str_eq(total->service, promise->service) || total->numbers.measure.count == 0)
            continue;
        judging->verdict->judged_count++;
        buf_printf(&prefix, "Service '%.*s': ", STR_ARG(total->service));
        return judge_targets(judging, &promise->targets, &total->numbers.measure, buf_view(&prefix),
                             total->service, STR_NONE);
    }
    return add_unmeasured(judging, "Service", promise->service, STR_NONE);
}

static enum err judge_operation(struct judging *judging, const struct promise *promise,
                                const struct services *measured)
{
    bool found = false;

    if (!sla_is_set(&promise->targets))
        return ERR_NONE;
    for (size_t i = 0; i < measured->operations_count; i++) {
        const struct service_operation *operation = &measured->operations[i];
        if (!str_eq(operation->operation, promise->operation) ||
            !is_of(promise->service, operation->service) || operation->numbers.measure.count == 0)
            continue;
        found = true;
        TRY(judge_targets(judging, &promise->targets, &operation->numbers.measure, STR(""),
                          operation->service, operation->operation));
    }
    judging->verdict->judged_count += found;
    return found ? ERR_NONE
                 : add_unmeasured(judging, "Operation", promise->operation, promise->operation);
}

static enum err judge_measured_journey(struct judging *judging, const struct journey *journey,
                                       const struct service_operation *operation)
{
    const struct sla_measure *measure = &operation->numbers.measure;
    double p95_ms = measure->p95_ms;
    double target_ms = journey->targets.max_p95_latency_ms;
    double rate = measure->success_rate;
    double target_rate = journey->targets.min_success_rate;
    struct buf sentence CLEANUP(buf_done) = {0};
    bool broken = false;

    if (p95_ms > target_ms) {
        buf_printf(&sentence, "Journey '%.*s' P95 response time (%.1fms) exceeds target (%.1fms)",
                   STR_ARG(journey->name), p95_ms, target_ms);
        TRY(add_line(judging, STATUS_BAD, operation->service, operation->operation,
                     buf_view(&sentence)));
        broken = true;
    }
    if (rate < target_rate) {
        buf_clear(&sentence);
        buf_printf(&sentence, "Journey '%.*s' success rate (%.1f%%) below target (%.1f%%)",
                   STR_ARG(journey->name), rate * 100, target_rate * 100);
        TRY(add_line(judging, STATUS_BAD, operation->service, operation->operation,
                     buf_view(&sentence)));
        broken = true;
    }
    if (broken)
        return ERR_NONE;
    if (isnan(p95_ms) && !isnan(target_ms)) {
        buf_printf(&sentence,
                   "Journey '%.*s' was measured in part: success rate %.1f%%, durations unknown",
                   STR_ARG(journey->name), rate * 100);
        return add_line(judging, STATUS_INFO, operation->service, operation->operation,
                        buf_view(&sentence));
    }
    buf_printf(&sentence, "Journey '%.*s' is kept: ", STR_ARG(journey->name));
    if (!isnan(p95_ms))
        buf_printf(&sentence, "P95 %.1fms, ", p95_ms);
    buf_printf(&sentence, "success rate %.1f%%", rate * 100);
    return add_line(judging, STATUS_GOOD, operation->service, operation->operation,
                    buf_view(&sentence));
}

static enum err judge_journey(struct judging *judging, const struct journey *journey,
                              const struct services *measured)
{
    bool found = false;

    judging->journey = journey->name;
    for (size_t i = 0; i < measured->operations_count; i++) {
        const struct service_operation *operation = &measured->operations[i];
        if (!str_eq(operation->operation, journey->operation) ||
            !is_of(journey->service, operation->service) || operation->numbers.measure.count == 0)
            continue;
        found = true;
        TRY(judge_measured_journey(judging, journey, operation));
    }
    judging->verdict->judged_count += found;
    return found ? ERR_NONE : add_unmeasured(judging, "Journey", journey->name, journey->operation);
}

enum err promises_judge(const struct promises *promises, const struct services *measured,
                        struct arena *arena, struct verdict *ret_verdict, struct why *why)
{
    struct verdict verdict = {0};
    struct judging judging = {arena, &verdict, 0, why, STR_NONE};

    verdict.judged_count +=
        sla_is_set(&promises->overall) && measured->all.numbers.measure.count > 0;
    TRY(judge_targets(&judging, &promises->overall, &measured->all.numbers.measure, STR(""),
                      STR_NONE, STR_NONE));
    for (size_t i = 0; i < promises->count; i++) {
        const struct promise *promise = &promises->items[i];
        if (promise->operation.data == NULL)
            TRY(judge_service(&judging, promise, measured));
        else
            TRY(judge_operation(&judging, promise, measured));
    }
    for (size_t i = 0; i < promises->journeys_count; i++)
        TRY(judge_journey(&judging, &promises->journeys[i], measured));
    *ret_verdict = verdict;
    return ERR_NONE;
}

const struct sla_targets *promises_of(const struct promises *promises, struct str service,
                                      struct str operation)
{
    const struct sla_targets *found = NULL;

    for (size_t i = 0; i < promises->count; i++) {
        const struct promise *promise = &promises->items[i];
        bool same = operation.data == NULL ? promise->operation.data == NULL
                                           : str_eq(promise->operation, operation);
        if (!same || !is_of(promise->service, service))
            continue;
        if (promise->service.data != NULL)
            return &promise->targets;
        found = &promise->targets;
    }
    return found;
}

const char *promises_status_name(enum status status)
{
    return status == STATUS_BAD ? "broken" : status == STATUS_GOOD ? "kept" : "unknown";
}

/* ---- Suggesting. ---- */

static void write_targets(struct buf *out, const char *indent, const struct sla_measure *measure,
                          double latency_factor, double throughput_factor)
{
    struct sla_targets targets = sla_suggest(measure, latency_factor, throughput_factor);

    for (int kind = 0; kind < SLA_KIND_COUNT; kind++) {
        double target = *sla_target(&targets, (enum sla_kind)kind);
        if (!isnan(target))
            buf_printf(out, target >= 1e5 ? "%s%s: %.0f\n" : "%s%s: %.6g\n", indent,
                       sla_key((enum sla_kind)kind), target);
    }
}

void promises_suggest(const struct services *measured, double latency_factor,
                      double throughput_factor, struct buf *out)
{
    buf_printf(out,
               "# What was measured, latencies times %g, throughput times %g. Look at each before "
               "you promise it.\n",
               latency_factor, throughput_factor);
    if (measured->all.numbers.measure.count == 0) {
        buf_text(out, "# Nothing was measured.\n");
        return;
    }
    write_targets(out, "", &measured->all.numbers.measure, latency_factor, throughput_factor);
    buf_text(out, "services:\n");
    for (size_t i = 0; i < measured->totals_count; i++) {
        const struct service_total *total = &measured->totals[i];
        buf_text(out, "  ");
        json_str(out, total->service); /* A JSON string is a YAML one. */
        buf_text(out, ":\n    operations:\n");
        for (size_t j = total->first; j < total->first + total->count; j++) {
            buf_text(out, "      ");
            json_str(out, measured->operations[j].operation);
            buf_text(out, ":\n");
            write_targets(out, "        ", &measured->operations[j].numbers.measure, latency_factor,
                          throughput_factor);
        }
    }
}
