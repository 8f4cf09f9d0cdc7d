/* SPDX-License-Identifier: Apache-2.0 */
/* Head sampling is the clients': their samplers ask here, again and again, what to do, and pass the
 * decision on in the flags of traceparent. The strategies are read from their file for each answer,
 * so an edit counts at once. */
#include "base/file.h"
#include "codec/strategies.h"
#include "serve/server_priv.h"
#include "sources/otlp.h"

static enum err read_strategies(struct call *call, const struct strategies **ret_strategies,
                                struct why *why)
{
    struct str path = call->server->options.strategies_path;
    struct buf name CLEANUP(buf_done) = {0};
    struct buf text CLEANUP(buf_done) = {0};

    *ret_strategies = strategies_default();
    if (path.size == 0)
        return ERR_NONE;
    buf_str(&name, path);
    TRY(file_read(buf_cstr(&name), STRATEGIES_BYTES_MAX, &text, why));
    return strategies_read(buf_view(&text), buf_cstr(&name), call->arena, ret_strategies, why);
}

static enum err work_sampling(struct call *call, struct why *why)
{
    const struct strategies *strategies;
    struct str service = call_parameter(call, "service");

    if (service.data == NULL)
        return fail(why, ERR_INVALID, "'service' parameter must be provided once");
    enum err err = read_strategies(call, &strategies, why);
    if (err == ERR_INVALID || err == ERR_NOT_FOUND)
        err = ERR_INTERNAL; /* It is the operator's mistake, not the client's. */
    TRY(err);
    otlp_receiver_tell_sampling(call->server->otlp, call->identity.tenant, strategies, service,
                                &call->answer.body);
    call->answer.content_type = MEDIA_JSON;
    return ERR_NONE;
}

void route_sampling(struct call *call)
{
    call_work(call, CALL_NEEDS_ARENA, work_sampling);
}
