/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/call.h"
#include "serve/server_priv.h"

#include "base/clock.h"
#include "base/json.h"
#include "io/workers.h"
#include "serve/otlp.h"
#include "serve/tenant_view.h"
#include "store/store_read.h"

/* What browsers may do with our answers: nothing but show them, from our own files. */
static const struct http_header security_headers[] = {
    {STR("X-Content-Type-Options"), STR("nosniff")},
    {STR("Content-Security-Policy"),
     STR("default-src 'self'; connect-src 'self'; img-src 'self' data:; object-src 'none'; "
         "base-uri 'none'; form-action 'self'; frame-ancestors 'none'")},
    {STR("X-Frame-Options"), STR("DENY")},
    {STR("Referrer-Policy"), STR("no-referrer")},
    {STR("Cross-Origin-Resource-Policy"), STR("same-origin")},
};

struct call *call_new(struct server *server, struct exchange *exchange)
{
    struct call *call = ARENA_NEW(exchange_arena(exchange), struct call);

    if (call == NULL)
        return NULL;
    call->magic = CALL_MAGIC;
    call->server = server;
    call->exchange = exchange;
    call->why = WHY_INIT;
    exchange_set_data(exchange, call);
    return call;
}

void call_header(struct call *call, const char *name, struct str value)
{
    MUST(call->answer.headers_count < CALL_HEADERS_MAX - ARRAY_COUNT(security_headers));
    call->answer.headers[call->answer.headers_count++] = (struct http_header){str_of(name), value};
}

void call_answer(struct call *call)
{
    struct answer *answer = &call->answer;
    struct buf body = answer->body;
    struct arena *arena = TAKE(call->arena);

    answer->body = (struct buf){0};
    for (size_t i = 0; i < ARRAY_COUNT(security_headers); i++)
        answer->headers[answer->headers_count++] = security_headers[i];
    const struct http_response response = {
        .status = answer->status,
        .content_type = answer->content_type,
        .etag = answer->etag,
        .headers = answer->headers,
        .headers_count = answer->headers_count,
        .body = body.size > 0 ? &body : NULL,
        .static_body = answer->static_body,
        .as_is = answer->as_is,
    };
    exchange_respond(call->exchange, &response);
    buf_done(&body);
    arena_free(arena);
}

void call_answer_text(struct call *call, int status, struct str content_type, struct str text)
{
    call->answer.status = status;
    call->answer.content_type = content_type;
    call->answer.static_body = text;
    call_answer(call);
}

struct prometheus_error {
    const char *type;
    int status;
};

/* Prometheus' own words and statuses; anything else keeps ours. */
static struct prometheus_error prometheus_error(bool is_evaluation, enum err err)
{
    switch (err) {
    case ERR_INVALID:
    case ERR_LIMIT:
        return is_evaluation ? (struct prometheus_error){"execution", 422}
                             : (struct prometheus_error){"bad_data", 400};
    case ERR_TIMEOUT:
        return (struct prometheus_error){"timeout", 503};
    case ERR_CANCELLED:
        return (struct prometheus_error){"canceled", 503};
    case ERR_NOT_FOUND:
        return (struct prometheus_error){"not_found", 404};
    case ERR_BUSY:
    case ERR_FULL:
    case ERR_CLOSED:
        return (struct prometheus_error){"unavailable", err_http_status(err)};
    case ERR_CORRUPT:
    case ERR_IO:
    case ERR_INTERNAL:
        return (struct prometheus_error){"internal", 500};
    default:
        return (struct prometheus_error){err_code(err), err_http_status(err)};
    }
}

/* As Jaeger's query service, with the hint behind the message. */
static int jaeger_error(enum err err, const struct why *why, const char *text, struct buf *body)
{
    struct json json = json_begin(body);
    struct buf message CLEANUP(buf_done) = {0};
    int status = err == ERR_LIMIT ? 500 : err_http_status(err); /* It knows no 422. */

    buf_text(&message, text);
    if (why != NULL && why->hint[0] != '\0')
        buf_printf(&message, "; %s", why->hint);
    json_open(&json, '{');
    json_put_text(&json, "data", NULL);
    json_put_i64(&json, "total", 0);
    json_put_i64(&json, "limit", 0);
    json_put_i64(&json, "offset", 0);
    json_key(&json, "errors");
    json_open(&json, '[');
    json_open(&json, '{');
    json_put_i64(&json, "code", status);
    json_put_str(&json, "msg", buf_view(&message));
    json_close(&json, '}');
    json_close(&json, ']');
    json_close(&json, '}');
    return status;
}

int call_error_body(enum route_form form, bool is_evaluation, enum err err, const struct why *why,
                    struct buf *body)
{
    struct json json = json_begin(body);
    const char *text = why == NULL || why->text[0] == '\0' ? err_text(err) : why->text;
    int status = err_http_status(err);

    if (form == FORM_JAEGER)
        return jaeger_error(err, why, text, body);
    json_open(&json, '{');
    if (form == FORM_PROMETHEUS) {
        struct prometheus_error error = prometheus_error(is_evaluation, err);
        status = error.status;
        json_put_text(&json, "status", "error");
        json_put_text(&json, "errorType", error.type);
        json_key(&json, "error");
    } else {
        json_key(&json, "error");
        json_open(&json, '{');
        json_put_text(&json, "code", err_code(err));
        json_key(&json, "message");
    }
    json_add_text(&json, text);
    if (why != NULL && why->hint[0] != '\0') {
        json_put_text(&json, "hint", why->hint);
    }
    if (why != NULL && why->position >= 0) {
        json_put_i64(&json, "position", why->position);
    }
    if (form != FORM_PROMETHEUS)
        json_close(&json, '}');
    json_close(&json, '}');
    return status;
}

void call_fail(struct call *call, enum err err, const struct why *why)
{
    struct answer *answer = &call->answer;

    if (call->form == FORM_OTLP || call->form == FORM_GRPC) {
        otlp_fail(call, err, why);
        return;
    }
    buf_clear(&answer->body);
    answer->static_body = STR_NONE;
    answer->etag = STR_NONE;
    answer->as_is = false;
    answer->content_type = MEDIA_JSON;
    answer->status = call_error_body(call->form, call->is_evaluation, err, why, &answer->body);
    if (answer->status == 429 || answer->status == 503) {
        char *seconds = arena_printf(exchange_arena(call->exchange), "%d",
                                     call->retry_after_s > 0 ? call->retry_after_s : 1);
        call_header(call, "Retry-After", seconds == NULL ? STR("1") : str_of(seconds));
    } else if (answer->status == 401) {
        call_header(call, "WWW-Authenticate", STR("Bearer realm=\"sonde\""));
    }
    call_answer(call);
}

/* ---- On a worker, and back. ---- */

static void work_run(struct job *job)
{
    struct call *call = CONTAINER_OF(job, struct call, job);
    struct server *server = call->server;
    int64_t began_ns = clock_monotonic_ns();
    const struct http_header *params;
    size_t params_count;

    if (exchange_cancelled(call->exchange)) {
        call->err = fail(&call->why, ERR_CANCELLED, "nobody waits for the answer any more");
        atomic_fetch_add_explicit(&server->counters.questions_cancelled, 1, memory_order_relaxed);
        return;
    }
    call->arena = arena_pool_take(server->arenas, server->options.query_memory_bytes);
    call->err = exchange_params(call->exchange, &params, &params_count, &call->why);
    if (call->err == ERR_NONE && call->needs == CALL_NEEDS_VIEW)
        call->err = tenant_view_open(server->options.store, call->identity.tenant,
                                     exchange_cancel_flag(call->exchange), &call->view, &call->why);
    if (call->err == ERR_NONE) {
        enum err err = call->work(call, &call->why);
        if (err != ERR_NONE)
            call->err = err; /* Else the writer may be setting it by now: see ingest.c. */
    }
    store_view_releasep(&call->view);
    atomic_fetch_add_explicit(&server->counters.question_ns,
                              (uint64_t)(clock_monotonic_ns() - began_ns), memory_order_relaxed);
}

static void work_done(struct job *job)
{
    struct call *call = CONTAINER_OF(job, struct call, job);
    struct server *server = call->server;

    server->questions_open--;
    atomic_fetch_add_explicit(&server->counters.questions, 1, memory_order_relaxed);
    if (--call->parts == 0)
        call->finish(call);
}

static void finish(struct call *call)
{
    if (call->err == ERR_NONE) {
        call_answer(call);
        return;
    }
    atomic_fetch_add_explicit(&call->server->counters.questions_failed, 1, memory_order_relaxed);
    call_fail(call, call->err, &call->why);
}

static void refuse(struct call *call, struct why *why)
{
    atomic_fetch_add_explicit(&call->server->counters.questions_refused, 1, memory_order_relaxed);
    hint(why, "ask again in a second, or ask fewer questions at a time");
    call_fail(call, ERR_BUSY, why);
}

void call_work(struct call *call, enum call_needs needs,
               enum err (*work)(struct call *call, struct why *why))
{
    struct server *server = call->server;
    struct why why = WHY_INIT;

    call->needs = needs;
    call->work = work;
    call->parts = 1;
    call->finish = finish;
    if (server->questions_open >= server->options.queries_max) {
        (void)fail(&why, ERR_BUSY, "%u questions are being worked on already",
                   server->questions_open);
        refuse(call, &why);
        return;
    }
    call->job = (struct job){.run = work_run, .done = work_done};
    call->err = ERR_CLOSED; /* The answer when the workers end before the call's turn. */
    if (workers_submit(server->options.workers, &call->job) != ERR_NONE) {
        (void)fail(&why, ERR_BUSY, "too much work is waiting");
        refuse(call, &why);
        return;
    }
    server->questions_open++;
}
