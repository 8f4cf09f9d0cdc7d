/* SPDX-License-Identifier: Apache-2.0 */
/* One trace explained. What is found out is analysis/trace_explain's; here it becomes JSON. The
 * tree is built in an arena of its own beside that of the spans, each with the budget of a
 * question. */
#include "serve/params.h"
#include "serve/server_priv.h"
#include "serve/trace_finding.h"
#include "serve/trace_skeleton.h"
#include "store/trace_read.h"

#include <stdlib.h>

enum {
    PATH_MAX_STRETCHES = 20000,
    OPERATIONS_MAX = 200,
    SERVICES_MAX = 100,
    SKEWED_MAX = 20000,
};

/* ---- Where the time went. ---- */

static int dearest_first(const void *a, const void *b)
{
    const struct trace_operation *left = a;
    const struct trace_operation *right = b;

    if (left->critical_ns != right->critical_ns)
        return left->critical_ns > right->critical_ns ? -1 : 1;
    if (left->self_ns != right->self_ns)
        return left->self_ns > right->self_ns ? -1 : 1;
    int order = str_compare(left->service, right->service);
    return order != 0 ? order : str_compare(left->name, right->name);
}

static void put_times(struct json *json, const struct trace_operation *operation)
{
    json_put_u64(json, "calls", operation->calls);
    json_put_u64(json, "errors", operation->errors);
    json_put_i64(json, "total_ns", operation->total_ns);
    json_put_i64(json, "self_ns", operation->self_ns);
    json_put_i64(json, "critical_ns", operation->critical_ns);
}

static void put_operations(struct json *json, const struct trace_operation *sorted, size_t count)
{
    json_key(json, "operations");
    json_open(json, '[');
    for (size_t i = 0; i < count && i < OPERATIONS_MAX; i++) {
        json_open(json, '{');
        json_put_str(json, "service", sorted[i].service);
        json_put_str(json, "name", sorted[i].name);
        put_times(json, &sorted[i]);
        json_close(json, '}');
    }
    json_close(json, ']');
}

/* The operations of a service become one; those of the dearest come first, so it stays so nearly.
 */
static size_t sum_by_service(const struct trace_operation *operations, size_t count,
                             struct trace_operation services[SERVICES_MAX])
{
    size_t used = 0;

    for (size_t i = 0; i < count; i++) {
        size_t at = 0;
        while (at < used && !str_eq(services[at].service, operations[i].service))
            at++;
        if (at == SERVICES_MAX)
            continue;
        if (at == used)
            services[used++] = (struct trace_operation){.service = operations[i].service};
        services[at].calls += operations[i].calls;
        services[at].errors += operations[i].errors;
        services[at].total_ns = trace_sum_ns(services[at].total_ns, operations[i].total_ns);
        services[at].self_ns = trace_sum_ns(services[at].self_ns, operations[i].self_ns);
        services[at].critical_ns =
            trace_sum_ns(services[at].critical_ns, operations[i].critical_ns);
    }
    qsort(services, used, sizeof(*services), dearest_first);
    return used;
}

static enum err put_accounts(struct arena *arena, struct json *json, const struct trace_tree *tree,
                             struct why *why)
{
    size_t count = tree->operations_count;
    struct trace_operation *sorted = ARENA_ARRAY(arena, count + 1, struct trace_operation);
    struct trace_operation *services = ARENA_ARRAY(arena, SERVICES_MAX, struct trace_operation);

    if (sorted == NULL || services == NULL)
        return arena_spent(arena, "the times of operations", why);
    if (count > 0)
        memcpy(sorted, tree->operations, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), dearest_first);
    put_operations(json, sorted, count);
    size_t services_count = sum_by_service(sorted, count, services);
    json_key(json, "services");
    json_open(json, '[');
    for (size_t i = 0; i < services_count; i++) {
        json_open(json, '{');
        json_put_str(json, "service", services[i].service);
        put_times(json, &services[i]);
        json_close(json, '}');
    }
    json_close(json, ']');
    return ERR_NONE;
}

static void put_path(struct json *json, const struct trace_explained *explained)
{
    const struct trace_path *path = &explained->path;

    json_key(json, "critical_path");
    json_open(json, '[');
    for (size_t i = 0; i < path->count && i < PATH_MAX_STRETCHES; i++) {
        const struct span *span = explained->tree.nodes[path->items[i].node].span;
        if (span == NULL)
            continue; /* Between two roots nothing is known. */
        json_open(json, '{');
        trace_id_put(json, "span_id", span->span_id, SPAN_ID_BYTES);
        json_put_i64(json, "start_ns", path->items[i].from_ns);
        json_put_i64(json, "duration_ns", path->items[i].to_ns - path->items[i].from_ns);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_put_bool(json, "critical_path_is_cut", path->count > PATH_MAX_STRETCHES);
}

/* ---- What it is. ---- */

static void put_root(struct json *json, const struct trace_tree *tree)
{
    json_key(json, "root");
    if (tree->root == TRACE_NONE) {
        json_add_null(json);
        return;
    }
    const struct span *span = tree->nodes[tree->root].span;
    json_open(json, '{');
    trace_id_put(json, "span_id", span->span_id, SPAN_ID_BYTES);
    json_put_str(json, "service", span->resource->service_name);
    json_put_str(json, "name", span->name);
    json_close(json, '}');
}

static void put_flaws(struct json *json, const struct trace_tree *tree)
{
    uint32_t told = 0;

    json_key(json, "skewed");
    json_open(json, '[');
    for (uint32_t i = 1; i < tree->count && told < SKEWED_MAX; i++) {
        if ((tree->nodes[i].flags & TRACE_SKEWED) == 0)
            continue;
        told++;
        json_open(json, '{');
        trace_id_put(json, "span_id", tree->nodes[i].span->span_id, SPAN_ID_BYTES);
        json_put_i64(json, "shift_ns", tree->nodes[i].shift_ns);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_key(json, "flaws");
    json_open(json, '{');
    json_put_bool(json, "root_missing", tree->root == TRACE_NONE);
    json_put_u64(json, "roots", tree->roots);
    json_put_u64(json, "orphans", tree->orphans);
    json_put_u64(json, "duplicates", tree->duplicates);
    json_put_u64(json, "cycles", tree->cycles);
    json_put_u64(json, "negative", tree->negatives);
    json_put_u64(json, "skewed", tree->skewed);
    json_put_u64(json, "detached", tree->detached);
    json_close(json, '}');
}

static enum err write_explained(struct call *call, struct arena *arena, const uint8_t *id,
                                const struct trace_explained *explained, bool without_attributes,
                                struct why *why)
{
    const struct trace_tree *tree = &explained->tree;
    struct json json = json_begin(&call->answer.body);

    json_open(&json, '{');
    trace_id_put(&json, "trace_id", id, TRACE_ID_BYTES);
    json_put_i64(&json, "start_ns", tree->nodes[0].start_ns);
    json_put_i64(&json, "duration_ns", trace_node_ns(&tree->nodes[0]));
    json_put_u64(&json, "span_count", tree->count - 1);
    json_put_u64(&json, "error_count", tree->errors);
    json_put_bool(&json, "without_attributes", without_attributes);
    put_root(&json, tree);
    put_path(&json, explained);
    TRY(put_accounts(arena, &json, tree, why));
    put_flaws(&json, tree);
    json_key(&json, "findings");
    json_open(&json, '[');
    for (size_t i = 0; i < explained->findings_count; i++)
        trace_finding_write(&json, &explained->findings[i], tree, &(struct trace_met){0});
    json_close(&json, ']');
    json_close(&json, '}');
    call->answer.content_type = MEDIA_JSON;
    return ERR_NONE;
}

/* Whole when it fits, else its skeleton: then statements and addresses are not known. */
static enum err read_spans(struct call *call, const uint8_t *id, struct arena *arena,
                           struct span_list *ret_spans, bool *ret_without_attributes,
                           struct why *why)
{
    enum err err = call->view->ops->traces->trace(call->view, id, arena, ret_spans, why);

    *ret_without_attributes = err == ERR_LIMIT;
    if (err != ERR_LIMIT)
        return err;
    arena_clear(arena);
    return trace_skeleton_read(call->view, id, arena, ret_spans, why);
}

static enum err work_explain(struct call *call, struct why *why)
{
    struct arena *arena CLEANUP(arena_freep) =
        arena_new_beside(call->arena, arena_budget(call->arena));
    struct arena *spans_arena CLEANUP(arena_freep) =
        arena_new_beside(call->arena, arena_budget(call->arena));
    struct trace_explained explained;
    uint8_t id[TRACE_ID_BYTES];
    struct span_list spans;
    bool without_attributes;

    if (!trace_id_read(call->captures[0], id))
        return fail(why, ERR_INVALID, "'%.*s' is no trace id: up to 32 hexadecimal digits",
                    STR_ARG(call->captures[0]));
    if (call->view->ops->traces == NULL)
        return fail(why, ERR_NOT_FOUND, "nothing was kept for the tenant '%s' yet",
                    call->identity.tenant);
    TRY(read_spans(call, id, spans_arena, &spans, &without_attributes, why));
    if (spans.count == 0)
        return fail(why, ERR_NOT_FOUND, "there is no trace %.*s", STR_ARG(call->captures[0]));
    TRY(trace_explain(spans.items, spans.count, arena, &explained, why));
    return write_explained(call, arena, id, &explained, without_attributes, why);
}

void route_trace_explain(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_explain);
}
