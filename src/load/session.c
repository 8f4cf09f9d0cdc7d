/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a request that change are written one behind the other into one buf, first by their
 * places, because it moves while it grows. */
#include "load/session.h"

#include "load/data.h"
#include "load/prompt.h"
#include "load/script.h"

#include <stdlib.h>

enum { HEAD_BYTES_MAX = 64 << 10, VALUE_BYTES_MAX = 1 << 20 };

struct session *session_new(const struct plan *plan, uint32_t user)
{
    struct session *session = calloc(1, sizeof(*session));
    struct buf *values = calloc(plan->variables_count + 1, sizeof(*values));

    if (session == NULL || values == NULL)
        must_memory(sizeof(*session));
    session->plan = plan;
    session->user = user;
    session->values = values;
    return session;
}

struct session *session_free(struct session *session)
{
    if (session == NULL)
        return NULL;
    for (size_t i = 0; i < session->plan->variables_count; i++)
        buf_done(&session->values[i]);
    free(session->values);
    cookies_done(&session->cookies);
    buf_done(&session->request);
    buf_done(&session->head);
    buf_done(&session->body);
    stream_done(&session->stream);
    free(session);
    return NULL;
}

void session_set(struct session *session, size_t variable, struct str value)
{
    struct buf *kept = &session->values[variable];

    buf_clear(kept);
    if (value.size <= VALUE_BYTES_MAX)
        buf_str(kept, value);
}

void session_begin(struct session *session, struct random *random)
{
    const struct plan *plan = session->plan;

    for (size_t i = 0; i < plan->variables_count; i++)
        session_set(session, i, plan->presets[i]);
    cookies_clear(&session->cookies);
    for (struct data *data = plan->data; data != NULL; data = data->also)
        data_take(data, session, random);
    session->turn = 0;
}

/* ---- Requests. ---- */

struct part {
    size_t start, end;
};

static struct part write_part(struct session *session, const struct template *template,
                              struct random *random)
{
    struct part part = {.start = session->request.size};

    template_write(template, session, random, &session->request);
    part.end = session->request.size;
    return part;
}

static struct str text_of(const struct session *session, struct part part)
{
    return (struct str){session->request.data + part.start, part.end - part.start};
}

/* What was filled in must not begin a new line: a value from outside could smuggle a field. */
static void defuse(struct session *session, struct part part)
{
    for (size_t i = part.start; i < part.end; i++) {
        uint8_t byte = (uint8_t)session->request.data[i];
        if (byte < ' ' && byte != '\t')
            session->request.data[i] = ' ';
    }
}

/* Nor may it end a request line. */
static void write_target(struct session *session, const struct template *template,
                         struct random *random, struct part *part)
{
    struct buf plain CLEANUP(buf_done) = {0};

    part->start = session->request.size;
    template_write(template, session, random, &plain);
    for (size_t i = 0; i < plain.size; i++) {
        uint8_t byte = (uint8_t)plain.data[i];
        if (byte <= ' ' || byte == 0x7f)
            buf_printf(&session->request, "%%%02X", byte);
        else
            buf_byte(&session->request, byte);
    }
    part->end = session->request.size;
}

struct request_pieces session_request(struct session *session, const struct step *step,
                                      struct random *random, struct http_header *fields)
{
    const struct script *script = step->script;
    const struct origin *origin = session->plan->origins[step->origin];
    struct part headers[PLAN_HEADERS_MAX];
    struct part target, cookie, body;
    size_t count = step->headers_count;

    buf_clear(&session->request);
    write_target(session, &script->target, random, &target);
    for (size_t i = 0; i < count; i++) {
        headers[i] = write_part(session, &script->headers[i], random);
        defuse(session, headers[i]);
    }
    cookie.start = session->request.size;
    if (session->plan->keeps_cookies)
        cookies_write(&session->cookies, step->origin, scheme_is_tls(origin->scheme),
                      text_of(session, target), &session->request);
    cookie.end = session->request.size;
    body.start = session->request.size;
    if (script->prompt != NULL)
        prompt_write(script->prompt, session, random, &session->request);
    else
        template_write(&script->body, session, random, &session->request);
    body.end = session->request.size;
    for (size_t i = 0; i < count; i++)
        fields[i] = (struct http_header){step->headers[i].name, text_of(session, headers[i])};
    if (cookie.end > cookie.start)
        fields[count++] = (struct http_header){STR("cookie"), text_of(session, cookie)};
    return (struct request_pieces){.method = step->method,
                                   .target = text_of(session, target),
                                   .authority = origin->authority,
                                   .origin = origin,
                                   .headers = fields,
                                   .headers_count = count,
                                   .body = text_of(session, body),
                                   .keep_alive = session->plan->keep_alive};
}

/* ---- Answers. ---- */

void session_answer(struct session *session)
{
    buf_clear(&session->head);
    buf_clear(&session->body);
    session->overflowed = false;
    stream_begin(&session->stream);
}

void session_field(struct session *session, const struct step *step, struct str name,
                   struct str value)
{
    const struct script *script = step->script;

    if (session->plan->keeps_cookies && str_eq_nocase(name, STR("set-cookie")))
        cookies_take(&session->cookies, step->origin, step->target, value);
    if (script == NULL || !script->wants_head)
        return;
    if (session->head.size + name.size + value.size > HEAD_BYTES_MAX) {
        session->overflowed = true;
        return;
    }
    buf_str(&session->head, name);
    buf_byte(&session->head, ':');
    buf_str(&session->head, value);
    buf_byte(&session->head, '\n');
}

void session_body(struct session *session, struct str piece)
{
    if (session->body.size + piece.size > PLAN_CAPTURE_BYTES_MAX)
        session->overflowed = true;
    else
        buf_str(&session->body, piece);
}
