/* SPDX-License-Identifier: Apache-2.0 */
/* The answer has two conditions, which come in either order: the worker has let go of the call, and
 * the writer has said how the batch ended. `parts` counts those still missing; both arrive on the
 * loop, so it needs no lock. */
#include "serve/ingest.h"
#include "serve/server_priv.h"

#include "base/clock.h"
#include "base/json.h"
#include "codec/json_tree.h"
#include "hub/hub.h"
#include "model/batch.h"
#include "serve/otlp.h"
#include "serve/push_pool.h"
#include "sources/push.h"

#include <math.h>

#define FULL_RETRY_S 30 /* A full disk does not empty in a second. */

static void write_account(struct call *call)
{
    struct json json = json_begin(&call->answer.body);

    call->answer.content_type = MEDIA_JSON;
    json_open(&json, '{');
    json_put_u64(&json, "accepted_count", call->accepted_count);
    json_put_u64(&json, "rejected_count", call->rejected_count);
    if (call->rejected_count > 0) {
        json_put_text(&json, "message", call->why.text);
        if (call->why.hint[0] != '\0') {
            json_put_text(&json, "hint", call->why.hint);
        }
    }
    json_close(&json, '}');
}

static void answer_kept(struct call *call)
{
    bool is_whole = call->rejected_count == 0;

    bool is_nothing = !is_whole && call->accepted_count == 0;

    if (!is_whole && (call->ingest_answer == INGEST_REMOTE ||
                      (is_nothing && call->ingest_answer == INGEST_LATER))) {
        call_fail(call, ERR_INVALID, &call->why);
    } else if (is_whole && call->ingest_answer != INGEST_COUNTS) {
        call->answer.status = call->ingest_answer == INGEST_LATER ? 202 : 204;
        call_answer(call);
    } else {
        if (call->ingest_answer == INGEST_LATER)
            call->answer.status = 202;
        write_account(call);
        call_answer(call);
    }
}

static void finish(struct call *call)
{
    if (call->ingest_answer == INGEST_OTLP) {
        otlp_finish(call);
        return;
    }
    if (call->err == ERR_NONE) {
        atomic_fetch_add_explicit(&call->server->counters.pushed_rows, call->accepted_count,
                                  memory_order_relaxed);
        answer_kept(call);
        return;
    }
    if (call->err == ERR_FULL)
        call->retry_after_s = FULL_RETRY_S;
    call_fail(call, call->err, &call->why);
}

static void part_arrived(struct loop_task *task)
{
    struct call *call = CONTAINER_OF(task, struct call, task);

    MUST_BE(call, CALL_MAGIC);
    atomic_fetch_sub(&call->server->handed_over, 1);
    if (--call->parts == 0)
        call->finish(call);
}

/* On the hub's writer thread, or on the worker when the batch was refused at once. */
static void batch_ended(void *self, const struct batch_outcome *outcome)
{
    struct call *call = self;

    MUST_BE(call, CALL_MAGIC);
    call->err = outcome->err;
    call->accepted_count = outcome->accepted_count;
    call->rejected_count = outcome->rejected_count;
    if (outcome->why != NULL)
        call->why = *outcome->why;
    call->task.run = part_arrived;
    loop_send(call->server->options.loop, &call->task);
}

void ingest_hand_over(struct call *call, struct batch **batch, enum ingest_answer answer)
{
    struct why why = WHY_INIT;

    call->ingest_answer = answer;
    call->finish = finish;
    call->parts = 2;
    atomic_fetch_add(&call->server->handed_over, 1);
    (*batch)->done = batch_ended;
    (*batch)->done_self = call;
    /* Whatever it says, batch_ended was or will be told the same. */
    (void)hub_submit(call->server->options.hub, batch, &why);
}

/* ---- Named metrics as JSON. ---- */

struct pushed {
    struct label pairs[LABEL_COUNT_MAX];
    size_t count;
    int64_t time_ms;
    double value;
    struct metric_info info;
};

static enum err read_labels(const struct node *labels, struct pushed *pushed, struct why *why)
{
    if (labels == NULL)
        return ERR_NONE;
    TRY(node_map(labels, why));
    NODE_EACH(labels, item)
    {
        struct str value;
        if (pushed->count == ARRAY_COUNT(pushed->pairs))
            return node_fail(labels, why, "more than %d labels", LABEL_COUNT_MAX);
        TRY(node_text(item, &value, why));
        pushed->pairs[pushed->count++] = (struct label){item->key, value};
    }
    return ERR_NONE;
}

static enum err read_info(const struct node *item, struct pushed *pushed, struct why *why)
{
    const struct node *kind = node_get(item, "kind");
    const struct node *unit = node_get(item, "unit");
    const struct node *help = node_get(item, "help");
    struct str text;

    pushed->info.kind = METRIC_GAUGE;
    if (kind != NULL) {
        TRY(node_text(kind, &text, why));
        pushed->info.kind = metric_kind_parse(text);
        if (pushed->info.kind != METRIC_GAUGE && pushed->info.kind != METRIC_COUNTER)
            return node_fail(kind, why, "'%.*s' is no kind: write gauge or counter", STR_ARG(text));
    }
    if (unit != NULL)
        TRY(node_text(unit, &pushed->info.unit, why));
    if (help != NULL)
        TRY(node_text(help, &pushed->info.help, why));
    return ERR_NONE;
}

static enum err read_metric(const struct node *item, int64_t now_ms, struct pushed *pushed,
                            struct why *why)
{
    static const char *const keys[] = {"name", "value", "time_ms", "labels",
                                       "kind", "unit",  "help"};
    const struct node *node;

    *pushed = (struct pushed){.time_ms = now_ms};
    TRY(node_map(item, why));
    TRY(node_only(item, keys, ARRAY_COUNT(keys), why));
    TRY(node_need(item, "name", &node, why));
    TRY(node_text(node, &pushed->info.name, why));
    pushed->pairs[pushed->count++] = (struct label){LABEL_NAME, pushed->info.name};
    TRY(node_need(item, "value", &node, why));
    TRY(node_double(node, &pushed->value, why));
    node = node_get(item, "time_ms");
    if (node != NULL)
        TRY(node_i64(node, &pushed->time_ms, why));
    TRY(read_labels(node_get(item, "labels"), pushed, why));
    return read_info(item, pushed, why);
}

static enum err fill_batch(const struct node *list, struct label_pool *pool, struct batch *batch,
                           struct why *why)
{
    int64_t now_ms = clock_now_ms();

    batch->time_ms = now_ms;
    batch_hold(batch, pool);
    NODE_EACH(list, item)
    {
        const struct labels *labels;
        struct pushed pushed;

        TRY(read_metric(item, now_ms, &pushed, why));
        enum err err = label_pool_get(pool, pushed.pairs, pushed.count, &labels, why);
        if (err == ERR_INVALID)
            return node_fail(item, why, "%s", why->text);
        TRY(err);
        TRY(batch_info(batch, &pushed.info, why));
        TRY(batch_sample(batch, labels, pushed.time_ms, pushed.value, why));
    }
    if (batch->samples.count == 0)
        return fail(why, ERR_INVALID, "body: metrics is empty");
    return ERR_NONE;
}

static enum err work_push(struct call *call, struct why *why)
{
    static const char *const keys[] = {"metrics"};
    CLEANUP(batch_freep) struct batch *batch = NULL;
    const struct node *root;
    const struct node *list;
    struct str body = exchange_body(call->exchange);

    TRY(json_read(body, "body", body.size, call->arena, &root, why));
    TRY(node_map(root, why));
    TRY(node_only(root, keys, ARRAY_COUNT(keys), why));
    TRY(node_need(root, "metrics", &list, why));
    TRY(node_list(list, why));
    batch = batch_new(call->identity.tenant, "push", INGEST_BATCH_BYTES);
    struct label_pool *pool = label_pool_new(INGEST_BATCH_BYTES);
    enum err err = fill_batch(list, pool, batch, why);
    label_pool_unref(pool);
    TRY(err);
    ingest_hand_over(call, &batch, INGEST_COUNTS);
    return ERR_NONE;
}

void route_performance_push(struct call *call)
{
    call_work(call, CALL_NEEDS_ARENA, work_push);
}

/* ---- Prometheus' text and remote write. ---- */

static struct push_options push_options(const struct call *call)
{
    return (struct push_options){
        .tenant = call->identity.tenant,
        .limit_bytes = call->server->limits.body_bytes_max,
    };
}

static enum err work_import(struct call *call, struct why *why)
{
    const struct push_options options = push_options(call);
    struct push *push = push_pool_take(call->server->pushes, call->identity.tenant, "text");
    struct batch *batch = NULL;

    enum err err =
        push_text(push, exchange_body(call->exchange),
                  exchange_header(call->exchange, STR("content-type")), &options, &batch, why);
    push_pool_give(call->server->pushes, push);
    TRY(err);
    ingest_hand_over(call, &batch, INGEST_EMPTY);
    return ERR_NONE;
}

void route_import_prometheus(struct call *call)
{
    call_work(call, CALL_NEEDS_ARENA, work_import);
}

static enum err work_remote_write(struct call *call, struct why *why)
{
    const struct push_options options = push_options(call);
    struct push *push = push_pool_take(call->server->pushes, call->identity.tenant, "remote_write");
    struct batch *batch = NULL;

    enum err err = push_remote_write(push, exchange_body(call->exchange), &options, &batch, why);
    push_pool_give(call->server->pushes, push);
    TRY(err);
    ingest_hand_over(call, &batch, INGEST_REMOTE);
    return ERR_NONE;
}

/* Content-Encoding is snappy, always, and part of the protocol: what else is sent is refused here
 * because the body comes as it is. */
void route_remote_write(struct call *call)
{
    struct str coding = exchange_header(call->exchange, STR("content-encoding"));
    struct str type = exchange_header(call->exchange, STR("content-type"));
    struct why why = WHY_INIT;

    if (coding.size > 0 && !str_eq_nocase(coding, STR("snappy"))) {
        (void)fail(&why, ERR_INVALID, "Content-Encoding is %.*s", STR_ARG(coding));
        hint(&why, "remote write 1.0 is always compressed with snappy");
    } else if (str_find_str(type, STR("io.prometheus.write.v2")) >= 0) {
        (void)fail(&why, ERR_INVALID, "remote write 2.0 is not spoken here");
        hint(&why, "set protobuf_message: prometheus.WriteRequest in the sender");
    } else {
        call_work(call, CALL_NEEDS_ARENA, work_remote_write);
        return;
    }
    call_fail(call, ERR_INVALID, &why);
}
