/* SPDX-License-Identifier: Apache-2.0 */
/* A request that never changes is written once, here, and sent as it is millions of times. */
#include "load/request.h"

#include <inttypes.h>

bool request_is_template(struct str text)
{
    return str_find_str(text, STR("${")) >= 0;
}

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
    if (has_body(pieces->method, pieces->body) && !names(pieces, STR("content-length")))
        buf_printf(out, "Content-Length: %zu\r\n", pieces->body.size);
    buf_text(out, "\r\n");
    buf_str(out, pieces->body);
}

static enum err check_step(const struct step *step, struct why *why)
{
    if (!http_is_token(step->method))
        return fail(why, ERR_INVALID, "step %s: '%.*s' is no HTTP method", step->name,
                    STR_ARG(step->method));
    for (size_t i = 0; i < step->target.size; i++) {
        uint8_t byte = (uint8_t)step->target.data[i];
        if (byte <= ' ' || byte == 0x7f)
            return fail(why, ERR_INVALID, "step %s: the path holds a space or a control character",
                        step->name);
    }
    if (step->headers_count > PLAN_HEADERS_MAX)
        return fail(why, ERR_LIMIT, "step %s: more than %d headers", step->name, PLAN_HEADERS_MAX);
    for (size_t i = 0; i < step->headers_count; i++) {
        const struct http_header *header = &step->headers[i];
        if (!http_is_token(header->name) || !http_is_field_value(header->value))
            return fail(why, ERR_INVALID, "step %s: '%.*s' is no header that can be sent",
                        step->name, STR_ARG(header->name));
    }
    if (step->body.size > PLAN_BODY_BYTES_MAX)
        return fail(why, ERR_LIMIT, "step %s: the body is larger than %d bytes", step->name,
                    PLAN_BODY_BYTES_MAX);
    return ERR_NONE;
}

static bool changes(const struct step *step)
{
    bool changes = request_is_template(step->target) || request_is_template(step->body);

    for (size_t i = 0; i < step->headers_count && !changes; i++)
        changes = request_is_template(step->headers[i].value);
    return changes;
}

/* HTTP/2 has lower-case names, and no fields about the connection (RFC 9113 section 8.2). */
static enum err prepare_fields(struct plan *plan, struct step *step, struct why *why)
{
    static const struct str dropped[] = {{"connection", 10},        {"host", 4},
                                         {"keep-alive", 10},        {"proxy-connection", 16},
                                         {"transfer-encoding", 17}, {"upgrade", 7}};
    struct http_header *fields =
        ARENA_ARRAY(plan->arena, step->headers_count + 1, struct http_header);

    if (fields == NULL)
        return arena_spent(plan->arena, "the headers", why);
    for (size_t i = 0; i < step->headers_count; i++) {
        struct str name = arena_str(plan->arena, step->headers[i].name);
        bool kept = true;
        if (name.data == NULL)
            return arena_spent(plan->arena, "the headers", why);
        for (size_t j = 0; j < ARRAY_COUNT(dropped); j++)
            kept = kept && !str_eq_nocase(name, dropped[j]);
        for (size_t j = 0; j < name.size; j++) {
            if (name.data[j] >= 'A' && name.data[j] <= 'Z')
                ((char *)name.data)[j] |= 0x20; /* The copy is ours. */
        }
        if (kept)
            fields[step->fields_count++] = (struct http_header){name, step->headers[i].value};
    }
    step->fields = fields;
    return ERR_NONE;
}

enum err request_prepare(struct plan *plan, struct step *step, struct why *why)
{
    struct buf wire CLEANUP(buf_done) = {0};

    TRY(check_step(step, why));
    TRY(prepare_fields(plan, step, why));
    step->head_asked = str_eq(step->method, STR("HEAD"));
    if (changes(step))
        return ERR_NONE;
    request_write(&(struct request_pieces){.method = step->method,
                                           .target = step->target,
                                           .authority = plan->origins[step->origin]->authority,
                                           .headers = step->headers,
                                           .headers_count = step->headers_count,
                                           .body = step->body,
                                           .keep_alive = plan->keep_alive},
                  &wire);
    step->wire = arena_str(plan->arena, buf_view(&wire));
    return step->wire.data == NULL ? arena_spent(plan->arena, "the requests", why) : ERR_NONE;
}
