/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl's multi interface, driven by the loop: it tells which sockets to watch and when to be
 * woken, we tell it what happened, and then look which calls are finished.
 *
 * libcurl is met through a table of functions that dlopen fills when the first call is made. */
#include "io/http_client.h"

#include "base/clock.h"
#include "io/loop.h"

/* The checking macros would bypass the table. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

#include <dlfcn.h>
#include <stdlib.h>

#define CLIENT_MAGIC       UINT32_C(0x48434c49)
#define CALL_MAGIC         UINT32_C(0x4843414c)
#define TIMEOUT_DEFAULT_NS (30 * CLOCK_NS_PER_S)

enum {
    RESPONSE_DEFAULT_BYTES = 16 << 20,
    HEADERS_BYTES_MAX = 64 * 1024,
    HEADERS_MAX = 128,
    REDIRECTS_MAX = 5,
    CONNECTIONS_KEPT = 32,
};

#define CURL_FUNCTIONS(F)       \
    F(curl_global_init)         \
    F(curl_easy_init)           \
    F(curl_easy_setopt)         \
    F(curl_easy_getinfo)        \
    F(curl_easy_cleanup)        \
    F(curl_easy_strerror)       \
    F(curl_slist_append)        \
    F(curl_slist_free_all)      \
    F(curl_multi_init)          \
    F(curl_multi_setopt)        \
    F(curl_multi_cleanup)       \
    F(curl_multi_add_handle)    \
    F(curl_multi_remove_handle) \
    F(curl_multi_socket_action) \
    F(curl_multi_assign)        \
    F(curl_multi_info_read)

struct curl_table {
#define F(name) __typeof__(&name) name;
    CURL_FUNCTIONS(F)
#undef F
};

struct http_client {
    uint32_t magic;
    struct loop *loop;
    void *library; /* NULL until the first call. */
    struct curl_table curl;
    CURLM *multi;
    struct loop_timer timer;
    struct http_call *calls;
    size_t calls_count;
};

struct http_call {
    uint32_t magic;
    struct http_client *client;
    struct http_call *next;
    struct http_call *previous;
    CURL *easy;
    struct curl_slist *headers;
    struct buf body;
    struct buf reply_head; /* Names and values, without what stands between. */
    struct http_span spans[HEADERS_MAX][2];
    size_t headers_count;
    struct buf reply_body;
    size_t response_bytes_max;
    bool too_large;
    int64_t started_ns;
    void (*finished)(void *self, const struct http_reply *reply);
    void *self;
    char complaint[CURL_ERROR_SIZE];
};

/* A socket of libcurl's. */
struct socket_watch {
    struct loop_watch watch;
    struct http_client *client;
};

/* ---- What libcurl calls while data comes. ---- */

static size_t take_body(char *data, size_t size, size_t count, void *self)
{
    struct http_call *call = self;
    size_t bytes = size * count;

    if (bytes > call->response_bytes_max - call->reply_body.size) {
        call->too_large = true;
        return 0; /* Ends the transfer. */
    }
    buf_append(&call->reply_body, data, bytes);
    return bytes;
}

static struct http_span keep(struct http_call *call, struct str text)
{
    struct http_span span = {(uint16_t)call->reply_head.size, (uint16_t)text.size};

    buf_str(&call->reply_head, text);
    return span;
}

/* One line of a header; a status line starts anew, as after 100 or a redirect. */
static size_t take_header(char *data, size_t size, size_t count, void *self)
{
    struct http_call *call = self;
    struct str line = {data, size * count};
    struct str rest = line;

    if (str_starts(line, STR("HTTP/"))) {
        buf_clear(&call->reply_head);
        call->headers_count = 0;
        return line.size;
    }
    struct str name = str_split(&rest, ':');
    if (rest.data == NULL)
        return line.size;
    if (call->reply_head.size + line.size > HEADERS_BYTES_MAX - 1 ||
        call->headers_count == HEADERS_MAX) {
        call->too_large = true;
        return 0; /* Ends the transfer. */
    }
    call->spans[call->headers_count][0] = keep(call, name);
    call->spans[call->headers_count][1] = keep(call, str_trim(rest));
    call->headers_count++;
    return line.size;
}

/* ---- The end of a call. ---- */

static void call_free(struct http_call *call)
{
    struct http_client *client = call->client;

    if (call->easy != NULL) {
        (void)client->curl.curl_multi_remove_handle(client->multi, call->easy); /* Or not added. */
        client->curl.curl_easy_cleanup(call->easy);
        client->curl.curl_slist_free_all(call->headers);
    }
    if (call->previous != NULL)
        call->previous->next = call->next;
    else if (client->calls == call)
        client->calls = call->next;
    if (call->next != NULL)
        call->next->previous = call->previous;
    client->calls_count--;
    buf_done(&call->body);
    buf_done(&call->reply_head);
    buf_done(&call->reply_body);
    call->magic = 0;
    free(call);
}

static enum err explain(struct http_call *call, CURLcode code, struct why *why)
{
    const char *complaint =
        call->complaint[0] != '\0' ? call->complaint : call->client->curl.curl_easy_strerror(code);

    if (call->too_large)
        return fail(why, ERR_TOO_LARGE, "the answer is more than %zu bytes",
                    call->response_bytes_max);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return fail(why, ERR_TIMEOUT, "no answer in time: %s", complaint);
    enum err err = fail(why, ERR_UPSTREAM, "%s", complaint);
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        hint(why, "name the authority that signed the certificate");
    return err;
}

static void finish(struct http_call *call, CURLcode code)
{
    struct http_client *client = call->client;
    struct http_header headers[HEADERS_MAX];
    struct why why = WHY_INIT;
    long status = 0;
    struct http_reply reply = {
        .why = &why, .headers = headers, .headers_count = call->headers_count};

    for (size_t i = 0; i < call->headers_count; i++) {
        const struct http_span *span = call->spans[i];
        const char *base = call->reply_head.data;
        headers[i] = (struct http_header){{base + span[0].offset, span[0].size},
                                          {base + span[1].offset, span[1].size}};
    }
    if (code != CURLE_OK)
        reply.err = explain(call, code, &why);
    /* Leaves 0 when there was no answer. */
    (void)client->curl.curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    reply.status = (int)status;
    reply.body = buf_view(&call->reply_body);
    reply.duration_ns = loop_now_ns(client->loop) - call->started_ns;
    call->finished(call->self, &reply);
    call_free(call);
}

static void finish_what_is_done(struct http_client *client)
{
    CURLMsg *message;
    int left;

    while ((message = client->curl.curl_multi_info_read(client->multi, &left)) != NULL) {
        void *call = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        /* The pointer that new_easy stored. */
        (void)client->curl.curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
        MUST_BE((struct http_call *)call, CALL_MAGIC);
        finish(call, code);
    }
}

/* ---- Events. ---- */

static void act(struct http_client *client, curl_socket_t socket, int what)
{
    int running;

    /* An error of the multi handle itself would be our misuse; calls report theirs on their own. */
    (void)client->curl.curl_multi_socket_action(client->multi, socket, what, &running);
    finish_what_is_done(client);
}

static void socket_ready(struct loop_watch *watch, uint32_t events)
{
    struct socket_watch *socket = CONTAINER_OF(watch, struct socket_watch, watch);
    int what = 0;

    if ((events & (EPOLLIN | EPOLLHUP)) != 0)
        what |= CURL_CSELECT_IN;
    if ((events & EPOLLOUT) != 0)
        what |= CURL_CSELECT_OUT;
    if ((events & EPOLLERR) != 0)
        what |= CURL_CSELECT_ERR;
    act(socket->client, watch->fd, what); /* May free the watch. */
}

static void timer_expired(struct loop_timer *timer)
{
    act(CONTAINER_OF(timer, struct http_client, timer), CURL_SOCKET_TIMEOUT, 0);
}

static int set_timer(CURLM *multi, long timeout_ms, void *self)
{
    struct http_client *client = self;

    (void)multi;
    if (timeout_ms < 0)
        loop_timer_stop(client->loop, &client->timer);
    else /* Even 0 waits for the loop: libcurl must not be called from here. */
        loop_timer_start(client->loop, &client->timer,
                         loop_now_ns(client->loop) + timeout_ms * CLOCK_NS_PER_MS, timer_expired);
    return 0;
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *self, void *watch_of_socket)
{
    struct http_client *client = self;
    struct socket_watch *socket = watch_of_socket;
    uint32_t events = ((what & CURL_POLL_IN) != 0 ? (uint32_t)EPOLLIN : 0) |
                      ((what & CURL_POLL_OUT) != 0 ? (uint32_t)EPOLLOUT : 0);

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (socket != NULL)
            loop_watch_stop(client->loop, &socket->watch);
        free(socket);
        return 0;
    }
    if (socket != NULL) {
        loop_watch_change(client->loop, &socket->watch, events);
        return 0;
    }
    socket = calloc(1, sizeof(*socket));
    if (socket == NULL)
        must_memory(sizeof(*socket));
    socket->client = client;
    if (loop_watch_start(client->loop, &socket->watch, fd, events, socket_ready, NULL) !=
        ERR_NONE) {
        free(socket);
        return -1; /* libcurl fails the transfer. */
    }
    (void)client->curl.curl_multi_assign(client->multi, fd, socket); /* fd is one of its own. */
    return 0;
}

/* ---- Starting. ---- */

static enum err load_functions(struct http_client *client, struct why *why)
{
#define F(name)                                                   \
    *(void **)&client->curl.name = dlsym(client->library, #name); \
    if (client->curl.name == NULL)                                \
        return fail(why, ERR_UNSUPPORTED, "libcurl lacks " #name);
    CURL_FUNCTIONS(F)
#undef F
    return ERR_NONE;
}

static enum err load(struct http_client *client, struct why *why)
{
    if (client->multi != NULL)
        return ERR_NONE;
    if (client->library == NULL)
        client->library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (client->library == NULL) {
        enum err err = fail(why, ERR_UNSUPPORTED, "libcurl cannot be loaded: %s", dlerror());
        hint(why, "install the package libcurl4");
        return err;
    }
    TRY(load_functions(client, why));
    if (client->curl.curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return fail(why, ERR_UNSUPPORTED, "libcurl does not start");
    client->multi = client->curl.curl_multi_init();
    if (client->multi == NULL)
        must_memory(sizeof(*client));
    /* Known options with valid values: these cannot fail. */
    (void)client->curl.curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
    (void)client->curl.curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    (void)client->curl.curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    (void)client->curl.curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    (void)client->curl.curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS,
                                         (long)CONNECTIONS_KEPT);
    return ERR_NONE;
}

static enum err add_headers(struct http_call *call, const struct http_call_options *options,
                            struct why *why)
{
    struct buf line = {0};
    enum err err = ERR_NONE;

    for (size_t i = 0; i < options->headers_count && err == ERR_NONE; i++) {
        const struct http_header *header = &options->headers[i];
        if (!http_is_token(header->name) || !http_is_field_value(header->value) ||
            memchr(header->value.data, '\0', header->value.size) != NULL) {
            err = fail(why, ERR_INVALID, "'%.*s' is not a header that can be sent",
                       STR_ARG(header->name));
            break;
        }
        buf_clear(&line);
        buf_str(&line, header->name);
        buf_text(&line, header->value.size == 0 ? ";" : ": "); /* ";" is how libcurl takes "". */
        buf_str(&line, header->value);
        struct curl_slist *longer =
            call->client->curl.curl_slist_append(call->headers, buf_cstr(&line));
        if (longer == NULL)
            must_memory(line.size);
        call->headers = longer;
    }
    buf_done(&line);
    return err;
}

static enum err set_options(struct http_call *call, const struct http_call_options *options,
                            struct why *why)
{
    __typeof__(&curl_easy_setopt) set = call->client->curl.curl_easy_setopt;
    int64_t timeout_ns = options->timeout_ns == 0 ? TIMEOUT_DEFAULT_NS : options->timeout_ns;
    CURLcode code = CURLE_OK;

#define SET(option, value) (code = code != CURLE_OK ? code : set(call->easy, option, value))
    SET(CURLOPT_URL, options->url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_NOPROGRESS, 1L);
    SET(CURLOPT_USERAGENT, "sonde");
    SET(CURLOPT_ACCEPT_ENCODING, ""); /* All that it can undo. */
    SET(CURLOPT_TIMEOUT_MS, (long)(timeout_ns / CLOCK_NS_PER_MS));
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, call);
    SET(CURLOPT_HEADERFUNCTION, take_header);
    SET(CURLOPT_HEADERDATA, call);
    SET(CURLOPT_ERRORBUFFER, call->complaint);
    SET(CURLOPT_PRIVATE, call);
    SET(CURLOPT_HTTPHEADER, call->headers);
    if (call->body.size > 0 || options->body != NULL) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDS, call->body.size == 0 ? "" : call->body.data);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.size);
    }
    if (options->method != NULL && strcmp(options->method, "HEAD") == 0)
        SET(CURLOPT_NOBODY, 1L);
    else if (options->method != NULL)
        SET(CURLOPT_CUSTOMREQUEST, options->method);
    if (options->ca_file != NULL)
        SET(CURLOPT_CAINFO, options->ca_file);
    if (options->unverified) {
        SET(CURLOPT_SSL_VERIFYPEER, 0L);
        SET(CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (options->only_http2) {
        SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
        /* Else libcurl is content when the body is there, and does not wait for the trailers. */
        SET(CURLOPT_IGNORE_CONTENT_LENGTH, 1L);
        /* libcurl 7.88 cannot use such a connection a second time: "error in the framing layer". */
        SET(CURLOPT_FRESH_CONNECT, 1L);
        SET(CURLOPT_FORBID_REUSE, 1L);
    }
    if (options->follow_redirects) {
        SET(CURLOPT_FOLLOWLOCATION, 1L);
        SET(CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    }
#undef SET
    return code == CURLE_OK ? ERR_NONE
                            : fail(why, ERR_INVALID, "%s: %s", options->url,
                                   call->client->curl.curl_easy_strerror(code));
}

static enum err check_options(const struct http_call_options *options, struct why *why)
{
    struct str url = str_of(options->url);

    if (!str_starts(url, STR("http://")) && !str_starts(url, STR("https://")))
        return fail(why, ERR_INVALID, "'%s' does not start with http:// or https://", options->url);
    if (!http_is_field_value(url) || memchr(url.data, ' ', url.size) != NULL)
        return fail(why, ERR_INVALID, "the URL holds a space or a control character");
    if (options->method != NULL && !http_is_token(str_of(options->method)))
        return fail(why, ERR_INVALID, "'%s' is not a method", options->method);
    return ERR_NONE;
}

static struct http_call *call_new(struct http_client *client,
                                  const struct http_call_options *options)
{
    struct http_call *call = calloc(1, sizeof(*call));

    if (call == NULL)
        must_memory(sizeof(*call));
    call->magic = CALL_MAGIC;
    call->client = client;
    call->started_ns = loop_now_ns(client->loop);
    call->response_bytes_max =
        options->response_bytes_max == 0 ? RESPONSE_DEFAULT_BYTES : options->response_bytes_max;
    if (options->body != NULL) {
        call->body = *options->body;
        *options->body = (struct buf){0};
    }
    call->next = client->calls;
    if (call->next != NULL)
        call->next->previous = call;
    client->calls = call;
    client->calls_count++;
    return call;
}

enum err http_client_send(struct http_client *client, const struct http_call_options *options,
                          void (*finished)(void *self, const struct http_reply *reply), void *self,
                          struct http_call **ret_call, struct why *why)
{
    MUST_BE(client, CLIENT_MAGIC);
    TRY(check_options(options, why));
    TRY(load(client, why));
    struct http_call *call = call_new(client, options);
    call->finished = finished;
    call->self = self;
    call->easy = client->curl.curl_easy_init();
    if (call->easy == NULL)
        must_memory(sizeof(*call));
    enum err err = add_headers(call, options, why);
    if (err == ERR_NONE)
        err = set_options(call, options, why);
    if (err == ERR_NONE &&
        client->curl.curl_multi_add_handle(client->multi, call->easy) != CURLM_OK)
        err = fail(why, ERR_INTERNAL, "libcurl refuses the call");
    if (err != ERR_NONE) {
        call_free(call);
        return err;
    }
    if (ret_call != NULL)
        *ret_call = call;
    return ERR_NONE;
}

void http_call_cancel(struct http_call *call)
{
    MUST_BE(call, CALL_MAGIC);
    call_free(call);
}

size_t http_client_pending(const struct http_client *client)
{
    return client->calls_count;
}

/* ---- Life. ---- */

struct http_client *http_client_new(struct loop *loop)
{
    struct http_client *client = calloc(1, sizeof(*client));

    if (client == NULL)
        must_memory(sizeof(*client));
    client->magic = CLIENT_MAGIC;
    client->loop = loop;
    return client;
}

struct http_client *http_client_free(struct http_client *client)
{
    if (client == NULL)
        return NULL;
    MUST_BE(client, CLIENT_MAGIC);
    while (client->calls != NULL)
        call_free(client->calls);
    if (client->multi != NULL)
        (void)client->curl.curl_multi_cleanup(client->multi); /* Closes the sockets it kept. */
    loop_timer_stop(client->loop, &client->timer);
    /* The library stays loaded: its TLS library registers work for the end of the process. */
    client->magic = 0;
    free(client);
    return NULL;
}
