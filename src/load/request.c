/* SPDX-License-Identifier: Apache-2.0 */
/* A request that never changes is written once, here, and sent as it is millions of times. */
#include "load/request.h"

#include "load/script.h"
#include "load/trail.h"

#include <inttypes.h>

static bool names(const struct request_pieces *pieces, struct str name)
{
    for (size_t i = 0; i < pieces->headers_count; i++) {
        if (str_eq_nocase(pieces->headers[i].name, name))
            return true;
    }
    return false;
}

static bool has_body(struct str method, struct str body)
{
    return body.size > 0 || str_eq(method, STR("POST")) || str_eq(method, STR("PUT")) ||
           str_eq(method, STR("PATCH"));
}

void request_write(const struct request_pieces *pieces, struct buf *out)
{
    buf_str(out, pieces->method);
    buf_byte(out, ' ');
    if (pieces->origin->by_proxy && !pieces->origin->tunnels)
        buf_printf(out, "http://%.*s", STR_ARG(pieces->authority));
    if (pieces->target.size == 0 || pieces->target.data[0] == '?')
        buf_byte(out, '/');
    buf_str(out, pieces->target);
    buf_text(out, " HTTP/1.1\r\n");
    if (!names(pieces, STR("host")))
        buf_printf(out, "Host: %.*s\r\n", STR_ARG(pieces->authority));
    if (!names(pieces, STR("user-agent")))
        buf_text(out, "User-Agent: sonde\r\n");
    if (!pieces->keep_alive && !names(pieces, STR("connection")))
        buf_text(out, "Connection: close\r\n");
    for (size_t i = 0; i < pieces->headers_count; i++)
        buf_printf(out, "%.*s: %.*s\r\n", STR_ARG(pieces->headers[i].name),
                   STR_ARG(pieces->headers[i].value));
    if (pieces->traceparent.data != NULL)
        buf_printf(out, "traceparent: %.*s\r\n", STR_ARG(pieces->traceparent));
    if (has_body(pieces->method, pieces->body) && !names(pieces, STR("content-length")))
        buf_printf(out, "Content-Length: %zu\r\n", pieces->body.size);
    buf_text(out, "\r\n");
    buf_str(out, pieces->body);
}

static enum err check_step(const struct step *step, struct why *why)
{
    bool changes = step->script != NULL && step->script->changes; /* Checked when filled in. */

    if (!http_is_token(step->method))
        return fail(why, ERR_INVALID, "step %s: '%.*s' is no HTTP method", step->name,
                    STR_ARG(step->method));
    for (size_t i = 0; !changes && i < step->target.size; i++) {
        uint8_t byte = (uint8_t)step->target.data[i];
        if (byte <= ' ' || byte == 0x7f)
            return fail(why, ERR_INVALID, "step %s: the path holds a space or a control character",
                        step->name);
    }
    if (step->headers_count > PLAN_HEADERS_MAX)
        return fail(why, ERR_LIMIT, "step %s: more than %d headers", step->name, PLAN_HEADERS_MAX);
    for (size_t i = 0; i < step->headers_count; i++) {
        const struct http_header *header = &step->headers[i];
        if (!http_is_token(header->name) || (!changes && !http_is_field_value(header->value)))
            return fail(why, ERR_INVALID, "step %s: '%.*s' is no header that can be sent",
                        step->name, STR_ARG(header->name));
    }
    if (step->body.size > PLAN_BODY_BYTES_MAX)
        return fail(why, ERR_LIMIT, "step %s: the body is larger than %d bytes", step->name,
                    PLAN_BODY_BYTES_MAX);
    return ERR_NONE;
}

bool request_is_about_connection(struct str name)
{
    static const struct str names[] = {{"connection", 10},         {"host", 4},
                                       {"keep-alive", 10},         {"proxy-connection", 16},
                                       {"transfer-encoding", 17},  {"upgrade", 7},
                                       {"proxy-authorization", 19}};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (str_eq_nocase(name, names[i]))
            return true;
    }
    return false;
}

/* HTTP/2 has lower-case names, and no fields about the connection (RFC 9113 section 8.2). */
static enum err prepare_fields(struct plan *plan, struct step *step, struct why *why)
{
    struct http_header *fields =
        ARENA_ARRAY(plan->arena, step->headers_count + 1, struct http_header);

    if (fields == NULL)
        return arena_spent(plan->arena, "the headers", why);
    step->fields_count = 0;
    for (size_t i = 0; i < step->headers_count; i++) {
        struct str name = arena_str(plan->arena, step->headers[i].name);
        if (name.data == NULL)
            return arena_spent(plan->arena, "the headers", why);
        for (size_t j = 0; j < name.size; j++) {
            if (name.data[j] >= 'A' && name.data[j] <= 'Z')
                ((char *)name.data)[j] |= 0x20; /* The copy is ours. */
        }
        if (!request_is_about_connection(name))
            fields[step->fields_count++] = (struct http_header){name, step->headers[i].value};
    }
    step->fields = fields;
    return ERR_NONE;
}

/* Unless somebody gave it a traceparent already. */
static bool is_traced(const struct plan *plan, const struct step *step)
{
    const struct request_pieces pieces = {.headers = step->headers,
                                          .headers_count = step->headers_count};

    return plan->trace_run != 0 && !names(&pieces, STR("traceparent"));
}

static enum err write_wire(struct plan *plan, struct step *step, struct why *why)
{
    static const char mark[] = "\r\ntraceparent: ";
    struct buf wire CLEANUP(buf_done) = {0};
    char parent[TRAIL_PARENT_SIZE];

    trail_write_parent(plan->trace_run, 0, parent);
    request_write(&(struct request_pieces){.method = step->method,
                                           .target = step->target,
                                           .authority = plan->origins[step->origin]->authority,
                                           .origin = plan->origins[step->origin],
                                           .headers = step->headers,
                                           .headers_count = step->headers_count,
                                           .body = step->body,
                                           .traceparent = step->is_traced
                                                              ? (struct str){parent, sizeof(parent)}
                                                              : STR_NONE,
                                           .keep_alive = plan->keep_alive},
                  &wire);
    step->wire = arena_str(plan->arena, buf_view(&wire));
    if (step->wire.data == NULL)
        return arena_spent(plan->arena, "the requests", why);
    /* No value of a field holds a line's end, so the first is the field itself. */
    if (step->is_traced)
        step->trace_at = (size_t)str_find_str(step->wire, str_of(mark)) + sizeof(mark) - 1;
    return ERR_NONE;
}

enum err request_prepare(struct plan *plan, struct step *step, struct why *why)
{
    enum wire spoken = plan->origins[step->origin]->wire;

    if (spoken == WIRE_TCP || spoken == WIRE_WEBSOCKET) {
        if (step->script == NULL || !step->script->changes)
            step->wire = step->body.size == 0 ? STR("") : step->body;
        return ERR_NONE;
    }
    TRY(check_step(step, why));
    TRY(prepare_fields(plan, step, why));
    step->head_asked = str_eq(step->method, STR("HEAD"));
    step->is_traced = is_traced(plan, step);
    if (step->script != NULL && step->script->changes)
        return ERR_NONE;
    return write_wire(plan, step, why);
}
