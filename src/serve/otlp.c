/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP says exactly how a receiver answers, because senders act on it: 200 means that it is kept,
 * 429 and 503 that it may be sent again, everything else that it may not. All kept leaves
 * partial_success unset; some kept tells how many were not and why, and is no reason to send again.
 *
 * gRPC is the same calls with the message in a frame and the status in the trailers. */
#include "serve/otlp.h"

#include "base/clock.h"
#include "codec/otlp_answer.h"
#include "hub/hub.h"
#include "io/grpc.h"
#include "serve/ingest.h"
#include "serve/server_priv.h"
#include "sources/otlp.h"

#define FULL_RETRY_S 30 /* A full disk does not empty in a second. */

static bool is_json(const struct call *call)
{
    return str_starts(exchange_header(call->exchange, STR("content-type")),
                      STR("application/json"));
}

static enum otlp_signal signal_of(const struct call *call)
{
    struct str name = str_of(call->route->name);

    if (str_ends(name, STR("traces")))
        return OTLP_TRACES;
    return str_ends(name, STR("metrics")) ? OTLP_METRICS : OTLP_LOGS;
}

/* ---- Answering. ---- */

static int retry_after_s(enum err err)
{
    if (err == ERR_FULL)
        return FULL_RETRY_S;
    return err == ERR_BUSY || err == ERR_CLOSED || err == ERR_CANCELLED ? 1 : 0;
}

/* A request that is too much of something is bad data here: 422 is no status of OTLP's. */
static int status_of(enum err err)
{
    return err == ERR_LIMIT || err == ERR_EXISTS ? 400 : err_http_status(err);
}

static void end_call(struct call *call)
{
    struct arena *arena = TAKE(call->arena);

    arena_free(arena);
}

static void fail_grpc(struct call *call, enum err err, const struct why *why)
{
    struct buf details CLEANUP(buf_done) = {0};
    enum otlp_code code = otlp_code_of(err);

    otlp_write_status(code, false, why, retry_after_s(err), &details);
    end_call(call);
    grpc_respond(call->exchange, &(struct grpc_answer){
                                     .status = (enum grpc_status)code, /* The same numbers. */
                                     .sentence = str_of(why->text),
                                     .details = buf_view(&details),
                                 });
}

void otlp_fail(struct call *call, enum err err, const struct why *why)
{
    struct answer *answer = &call->answer;
    struct why bare = WHY_INIT;

    if (why == NULL || why->text[0] == '\0') {
        (void)fail(&bare, err, "%s", err_text(err)); /* Only fills in the sentence. */
        why = &bare;
    }
    if (call->form == FORM_GRPC && grpc_is_call(call->exchange)) {
        fail_grpc(call, err, why);
        return;
    }
    buf_clear(&answer->body);
    otlp_write_status(otlp_code_of(err), is_json(call), why, retry_after_s(err), &answer->body);
    answer->content_type = is_json(call) ? MEDIA_JSON : STR("application/x-protobuf");
    answer->status = status_of(err);
    if (retry_after_s(err) > 0)
        call_header(call, "Retry-After", err == ERR_FULL ? STR("30") : STR("1"));
    else if (err == ERR_UNAUTHENTICATED)
        call_header(call, "WWW-Authenticate", STR("Bearer realm=\"sonde\""));
    call_answer(call);
}

static void answer_kept(struct call *call)
{
    struct str message = call->rejected_count > 0 ? str_of(call->why.text) : call->warning;
    bool as_json = is_json(call) && call->form == FORM_OTLP;

    otlp_write_answer(signal_of(call), as_json, call->rejected_count, message, &call->answer.body);
    if (call->form == FORM_GRPC) {
        struct buf body = call->answer.body;
        call->answer.body = (struct buf){0};
        end_call(call);
        grpc_respond(call->exchange, &(struct grpc_answer){.status = GRPC_OK, .message = &body});
        return;
    }
    call->answer.content_type = as_json ? MEDIA_JSON : STR("application/x-protobuf");
    call->answer.as_is = true;
    call_answer(call);
}

void otlp_finish(struct call *call)
{
    bool is_row_trouble = call->err == ERR_INVALID || call->err == ERR_LIMIT;

    /* Nothing was kept, for reasons of the rows: that too is told as partial success. */
    if (call->err == ERR_NONE || (is_row_trouble && call->rejected_count > 0)) {
        atomic_fetch_add_explicit(&call->server->counters.pushed_rows, call->accepted_count,
                                  memory_order_relaxed);
        answer_kept(call);
        return;
    }
    otlp_fail(call, call->err, &call->why);
}

/* ---- Taking in. ---- */

/* What is not known must be ignored; a list without the one name that matters is a mistake that the
 * sender would otherwise never hear of: snake_case, or metrics sent as traces. */
static struct str warn(enum otlp_signal signal, struct str json)
{
    static const struct {
        struct str name;
        struct str warning;
    } wanted[] = {
        [OTLP_TRACES] = {STR("\"resourceSpans\""),
                         STR("nothing was taken: the JSON has no resourceSpans (names are "
                             "lowerCamelCase)")},
        [OTLP_METRICS] = {STR("\"resourceMetrics\""),
                          STR("nothing was taken: the JSON has no resourceMetrics (names are "
                              "lowerCamelCase)")},
        [OTLP_LOGS] = {STR("\"resourceLogs\""),
                       STR("nothing was taken: the JSON has no resourceLogs (names are "
                           "lowerCamelCase)")},
    };

    if (memchr(json.data, '[', json.size) == NULL || str_find_str(json, wanted[signal].name) >= 0)
        return STR("");
    return wanted[signal].warning;
}

static enum err work_export(struct call *call, struct why *why)
{
    struct buf body CLEANUP(buf_done) = {0};
    struct batch *batch = NULL;
    struct otlp_request request = {
        .signal = signal_of(call),
        .is_json = is_json(call),
        .tenant = call->identity.tenant,
        .body = &body,
    };

    if (call->form == FORM_GRPC)
        TRY(grpc_read_message(call->exchange, call->server->limits.body_bytes_max, &body, why));
    else
        exchange_take_body(call->exchange, &body);
    if (request.is_json && body.size > 0)
        call->warning = warn(request.signal, buf_view(&body));
    TRY(otlp_receive(call->server->otlp, &request, &batch, why));
    ingest_hand_over(call, &batch, INGEST_OTLP);
    return ERR_NONE;
}

static void export_http(struct call *call)
{
    struct str type = exchange_header(call->exchange, STR("content-type"));
    struct why why = WHY_INIT;

    if (is_json(call) || str_starts(type, STR("application/x-protobuf"))) {
        call_work(call, CALL_NEEDS_ARENA, work_export);
        return;
    }
    (void)fail(&why, ERR_INVALID, "the Content-Type '%.*s' is not one of OTLP's", STR_ARG(type));
    hint(&why, "send application/x-protobuf or application/json");
    otlp_fail(call, ERR_INVALID, &why);
}

static void export_grpc(struct call *call)
{
    struct why why = WHY_INIT;

    if (grpc_is_call(call->exchange)) {
        call_work(call, CALL_NEEDS_ARENA, work_export);
        return;
    }
    (void)fail(&why, ERR_INVALID, "this address takes gRPC calls");
    hint(&why, "speak HTTP/2 with Content-Type application/grpc, or post to /v1/traces");
    otlp_fail(call, ERR_INVALID, &why);
}

void route_otlp_traces(struct call *call)
{
    export_http(call);
}

void route_otlp_metrics(struct call *call)
{
    export_http(call);
}

void route_otlp_logs(struct call *call)
{
    export_http(call);
}

void route_grpc_traces(struct call *call)
{
    export_grpc(call);
}

void route_grpc_metrics(struct call *call)
{
    export_grpc(call);
}

void route_grpc_logs(struct call *call)
{
    export_grpc(call);
}

/* ---- Spans as metrics. ---- */

static void on_timer(struct loop_timer *timer);

static void tell_run(struct job *job)
{
    struct server *server = CONTAINER_OF(job, struct server, otlp_job);

    MUST_BE(server, SERVER_MAGIC);
    otlp_receiver_tell(server->otlp, server->options.hub, clock_now_ms());
}

static void tell_done(struct job *job)
{
    struct server *server = CONTAINER_OF(job, struct server, otlp_job);

    if (!server->is_stopping)
        otlp_start(server);
}

static void on_timer(struct loop_timer *timer)
{
    struct server *server = CONTAINER_OF(timer, struct server, otlp_timer);

    server->otlp_job = (struct job){.run = tell_run, .done = tell_done};
    if (workers_submit(server->options.workers, &server->otlp_job) != ERR_NONE)
        otlp_start(server); /* Too busy now: the counters keep it for the next time. */
}

void otlp_start(struct server *server)
{
    loop_timer_start(server->options.loop, &server->otlp_timer,
                     clock_monotonic_ns() + OTLP_METRICS_PERIOD_MS * CLOCK_NS_PER_MS, on_timer);
}
