/* SPDX-License-Identifier: Apache-2.0 */
/* {"subscribe":[…],"unsubscribe":[…]}: what is ended goes first, so that one message can replace a
 * whole set within the bounds. */
#include "serve/live_priv.h"

#include "base/clock.h"
#include "codec/json_tree.h"

#include <stdlib.h>

#define LIVE_MESSAGE_BYTES (256 * 1024) /* Of one request of the client's. */

/* ---- Subscriptions. ---- */

void subscription_free(struct subscription *subscription)
{
    promql_free(subscription->expression);
    buf_done(&subscription->message);
    buf_done(&subscription->error);
    free(subscription);
}

void subscription_end(struct subscription *subscription)
{
    struct live *live = subscription->peer->live;

    subscription->peer->subscriptions_count--;
    subscription->peer = NULL;
    live->stats.subscriptions--;
    atomic_store(&live->wanted, live->stats.subscriptions);
    if (!subscription->in_round)
        subscription_free(subscription);
}

static bool unsubscribe(struct peer *peer, struct str id)
{
    for (struct subscription **at = &peer->subscriptions; *at != NULL; at = &(*at)->next) {
        if (str_eq(id_of(*at), id)) {
            struct subscription *subscription = *at;
            *at = subscription->next;
            subscription_end(subscription);
            return true;
        }
    }
    return false;
}

static enum err check_room(struct peer *peer, struct why *why)
{
    struct live *live = peer->live;
    uint32_t most = live->server->options.live_max;

    if (peer->subscriptions_count < LIVE_PER_CONNECTION_MAX && live->stats.subscriptions < most)
        return ERR_NONE;
    live->stats.refused++;
    (void)fail(why, ERR_LIMIT,
               peer->subscriptions_count >= LIVE_PER_CONNECTION_MAX
                   ? "this connection has %u live subscriptions already"
                   : "the daemon has %u live subscriptions already",
               peer->subscriptions_count >= LIVE_PER_CONNECTION_MAX ? LIVE_PER_CONNECTION_MAX
                                                                    : most);
    hint(why, "end some, or ask /api/v1/query from time to time instead");
    return ERR_LIMIT;
}

static enum err parse(struct str text, struct promql_expression **ret_expression, struct why *why)
{
    CLEANUP(promql_freep) struct promql_expression *expression = NULL;

    TRY(promql_parse(text, &expression, why));
    if (promql_type(expression) != PROMQL_VECTOR && promql_type(expression) != PROMQL_SCALAR) {
        (void)fail(why, ERR_INVALID, "only instant vectors and scalars can be watched");
        hint(why, "put a function such as rate(...) around the range");
        return ERR_INVALID;
    }
    *ret_expression = TAKE(expression);
    return ERR_NONE;
}

static enum err read_step(const struct node *item, int64_t *ret_step_ms, struct why *why)
{
    const struct node *step = node_get(item, "step_ms");

    *ret_step_ms = CLOCK_MS_PER_S;
    if (step == NULL)
        return ERR_NONE;
    TRY(node_i64(step, ret_step_ms, why));
    if (*ret_step_ms < LIVE_STEP_MS_MIN || *ret_step_ms > LIVE_STEP_MS_MAX)
        return node_fail(step, why, "step_ms is from %d to %d", LIVE_STEP_MS_MIN, LIVE_STEP_MS_MAX);
    return ERR_NONE;
}

static enum err subscribe(struct peer *peer, struct str id, const struct node *item,
                          struct why *why)
{
    CLEANUP(promql_freep) struct promql_expression *expression = NULL;
    const struct node *expr;
    struct str text;
    int64_t step_ms;

    TRY(node_need(item, "expr", &expr, why));
    TRY(node_text(expr, &text, why));
    TRY(read_step(item, &step_ms, why));
    TRY(parse(text, &expression, why));
    (void)unsubscribe(peer, id); /* The same id again replaces what it was. */
    TRY(check_room(peer, why));

    struct subscription *subscription = calloc(1, sizeof(*subscription));
    if (subscription == NULL)
        must_memory(sizeof(*subscription));
    subscription->peer = peer;
    subscription->expression = TAKE(expression);
    subscription->step_ms = step_ms;
    memcpy(subscription->tenant, peer->identity.tenant, sizeof(subscription->tenant));
    subscription->id_size = id.size;
    memcpy(subscription->id, id.data, id.size);
    subscription->next = peer->subscriptions;
    peer->subscriptions = subscription;
    peer->subscriptions_count++;
    peer->live->stats.subscriptions++;
    atomic_store(&peer->live->wanted, peer->live->stats.subscriptions);
    return ERR_NONE;
}

/* ---- What a peer says. ---- */

static enum err read_id(const struct node *node, struct str *ret_id, struct why *why)
{
    TRY(node_text(node, ret_id, why));
    if (ret_id->size == 0 || ret_id->size > LIVE_ID_BYTES_MAX)
        return node_fail(node, why, "an id has 1 to %d bytes", LIVE_ID_BYTES_MAX);
    return ERR_NONE;
}

/* Each subscription succeeds or fails for itself, and says so under its id. */
static enum err read_subscribe(struct peer *peer, const struct node *list, struct why *why)
{
    TRY(node_list(list, why));
    NODE_EACH(list, item)
    {
        struct why own = WHY_INIT;
        const struct node *node;
        struct str id = STR_NONE;

        enum err err = node_need(item, "id", &node, &own);
        if (err == ERR_NONE)
            err = read_id(node, &id, &own);
        if (err == ERR_NONE)
            err = subscribe(peer, id, item, &own);
        if (err != ERR_NONE)
            peer_send_error(peer, id, err, &own);
    }
    return ERR_NONE;
}

static enum err read_unsubscribe(struct peer *peer, const struct node *list, struct why *why)
{
    TRY(node_list(list, why));
    NODE_EACH(list, item)
    {
        struct str id;
        TRY(node_text(item, &id, why));
        (void)unsubscribe(peer, id); /* Ending what is not there is harmless. */
    }
    return ERR_NONE;
}

enum err peer_read(struct peer *peer, struct str message, struct arena *arena, struct why *why)
{
    static const char *const keys[] = {"subscribe", "unsubscribe"};
    const struct node *root;

    TRY(json_read(message, "message", LIVE_MESSAGE_BYTES, arena, &root, why));
    TRY(node_map(root, why));
    TRY(node_only(root, keys, ARRAY_COUNT(keys), why));
    const struct node *ended = node_get(root, "unsubscribe");
    const struct node *begun = node_get(root, "subscribe");
    if (ended != NULL)
        TRY(read_unsubscribe(peer, ended, why));
    if (begun != NULL)
        TRY(read_subscribe(peer, begun, why));
    return ERR_NONE;
}
