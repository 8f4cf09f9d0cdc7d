/* SPDX-License-Identifier: Apache-2.0 */
/* Retention on demand. Only the hub's writer may touch files, so the call is left in a place where
 * the writer looks when it is idle, about once a second (live.c's sink); it cleans up and sends the
 * call back to the loop. One at a time. */
#include "serve/server_priv.h"

#include "base/json.h"
#include "store/store.h"

static void cleaned(struct loop_task *task)
{
    struct call *call = CONTAINER_OF(task, struct call, task);

    MUST_BE(call, CALL_MAGIC);
    atomic_fetch_sub(&call->server->handed_over, 1);
    call_answer(call);
}

void cleanup_tick(struct server *server, int64_t now_ms)
{
    struct call *call = atomic_exchange(&server->cleanup, NULL);
    struct store_stats before;
    struct store_stats after;

    if (call == NULL)
        return;
    store_read_stats(server->options.store, &before);
    store_retain(server->options.store, now_ms);
    store_read_stats(server->options.store, &after);

    struct json json = json_begin(&call->answer.body);
    call->answer.content_type = MEDIA_JSON;
    json_open(&json, '{');
    json_put_u64(&json, "removed_files_count", after.days_removed - before.days_removed);
    json_put_u64(&json, "removed_bytes",
                 before.disk_bytes > after.disk_bytes ? before.disk_bytes - after.disk_bytes : 0);
    json_put_u64(&json, "remaining_bytes", after.disk_bytes);
    json_key(&json, "oldest_ms");
    if (after.oldest_ms == INT64_MAX)
        json_add_null(&json);
    else
        json_add_i64(&json, after.oldest_ms);
    json_close(&json, '}');
    call->task.run = cleaned;
    atomic_fetch_add(&server->handed_over, 1);
    loop_send(server->options.loop, &call->task);
}

void cleanup_abandon(struct server *server)
{
    struct call *call = atomic_exchange(&server->cleanup, NULL);
    struct why why = WHY_INIT;

    if (call != NULL)
        call_fail(call, fail(&why, ERR_CLOSED, "the daemon is stopping"), &why);
}

void route_cleanup(struct call *call)
{
    struct call *none = NULL;
    struct why why = WHY_INIT;

    if (call->server->is_stopping)
        call_fail(call, fail(&why, ERR_CLOSED, "the daemon is stopping"), &why);
    else if (!atomic_compare_exchange_strong(&call->server->cleanup, &none, call))
        call_fail(call, fail(&why, ERR_BUSY, "a cleanup is under way already"), &why);
}
