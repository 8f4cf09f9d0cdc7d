/* SPDX-License-Identifier: Apache-2.0 */
/* A loop that turns until the one call has ended. */
#include "cli/remote.h"
#include "base/clock.h"
#include "codec/json_tree.h"
#include "io/http_client.h"
#include "io/loop.h"

enum { ERROR_BYTES_MAX = 1 << 20 };

void remote_add_param(struct buf *form, const char *name, struct str value)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";

    if (form->size > 0)
        buf_byte(form, '&');
    buf_printf(form, "%s=", name);
    for (size_t i = 0; i < value.size; i++) {
        unsigned char byte = (unsigned char)value.data[i];
        if (byte != 0 && strchr(plain, byte) != NULL)
            buf_byte(form, byte);
        else
            buf_printf(form, "%%%02X", byte);
    }
}

/* ---- The call. ---- */

struct wait {
    struct loop *loop;
    int *ret_status;
    struct buf *ret_body;
    struct why *why;
    enum err err;
};

static void finished(void *self, const struct http_reply *reply)
{
    struct wait *wait = self;

    wait->err = reply->err;
    if (reply->err == ERR_NONE) {
        *wait->ret_status = reply->status;
        buf_clear(wait->ret_body);
        buf_str(wait->ret_body, reply->body);
    } else if (wait->why != NULL) {
        *wait->why = *reply->why;
    }
    loop_stop(wait->loop);
}

static enum err send_request(struct http_client *client, const struct remote_request *request,
                             struct wait *wait, struct why *why)
{
    struct buf url CLEANUP(buf_done) = {0};
    struct buf token CLEANUP(buf_done) = {0};
    struct buf form CLEANUP(buf_done) = {0};
    struct http_header headers[2];
    struct http_call_options call = {
        .timeout_ns = request->timeout_ms * CLOCK_NS_PER_MS,
        .response_bytes_max = request->body_bytes_max,
        .headers = headers,
        .ca_file = request->ca_file,
        .method = request->method,
    };

    struct str base = request->url;
    while (str_ends(base, STR("/")))
        base.size--;
    if (str_find_str(base, STR("://")) < 0)
        buf_text(&url, "http://");
    buf_printf(&url, "%.*s%s", STR_ARG(base), request->path);
    call.url = buf_cstr(&url);
    if (request->token != NULL) {
        buf_printf(&token, "Bearer %s", request->token);
        headers[call.headers_count++] =
            (struct http_header){STR("authorization"), buf_view(&token)};
    }
    if (request->form.size > 0 || request->json.size > 0) {
        bool is_json = request->json.size > 0;
        headers[call.headers_count++] = (struct http_header){
            STR("content-type"),
            is_json ? STR("application/json") : STR("application/x-www-form-urlencoded")};
        buf_str(&form, is_json ? request->json : request->form);
        call.body = &form;
    }
    TRY(http_client_send(client, &call, finished, wait, NULL, why));
    return loop_run(wait->loop, why);
}

enum err remote_ask(const struct remote_request *request, int *ret_status, struct buf *ret_body,
                    struct why *why)
{
    struct wait wait = {.ret_status = ret_status, .ret_body = ret_body, .why = why};

    TRY(loop_open(&(struct loop_options){0}, &wait.loop, why));
    struct http_client *client = http_client_new(wait.loop);
    enum err err = send_request(client, request, &wait, why);
    if (err == ERR_NONE)
        err = wait.err;
    http_client_free(client);
    loop_close(wait.loop);
    if (err == ERR_UPSTREAM || err == ERR_TIMEOUT)
        hint(why, "is a daemon there? Start one with 'sonde serve', or name another with --url or "
                  "SONDE_URL");
    else if (err == ERR_UNSUPPORTED)
        hint(why, "asking a daemon needs libcurl: apt install libcurl4");
    return err;
}

/* ---- Errors in answers. ---- */

static enum err err_of_status(int status)
{
    switch (status) {
    case 400:
    case 422:
        return ERR_INVALID;
    case 401:
        return ERR_UNAUTHENTICATED;
    case 404:
        return ERR_NOT_FOUND;
    default:
        return status >= 400 && status < 500 ? ERR_DENIED : ERR_IO;
    }
}

static struct str text_at(const struct node *node, const char *key)
{
    const struct node *child = node_get(node, key);

    return child != NULL && child->kind == NODE_SCALAR ? child->text : STR_NONE;
}

/* Prometheus' form has the sentence in "error" itself, ours an object there. */
enum err remote_fail(int status, struct str body, struct why *why)
{
    struct arena *arena = arena_new(ERROR_BYTES_MAX * 4);
    const struct node *root = NULL;
    int64_t position;
    enum err err = err_of_status(status);

    if (json_read(body, "answer", ERROR_BYTES_MAX, arena, &root, NULL) != ERR_NONE)
        root = NULL;
    const struct node *error = node_get(root, "error");
    const struct node *holder = error != NULL && error->kind == NODE_MAP ? error : root;
    struct str text = text_at(holder, holder == root ? "error" : "message");
    struct str advice = text_at(holder, "hint");
    if (text.size > 0)
        (void)fail(why, err, "%.*s", STR_ARG(text));
    else
        (void)fail(why, err, "the daemon answered %d", status);
    if (advice.size > 0)
        hint(why, "%.*s", STR_ARG(advice));
    const struct node *place = node_get(holder, "position");
    if (place != NULL && node_i64(place, &position, NULL) == ERR_NONE && why != NULL)
        why->position = (int32_t)position;
    arena_free(arena);
    return err;
}
