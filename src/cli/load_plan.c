/* SPDX-License-Identifier: Apache-2.0 */
/* From flags, and perhaps a scenario file, to a plan. What the command line says goes before what
 * the file says, and that before the defaults: settings are taken twice, once all of them, and
 * after the file those that were told. */
#include "base/base64.h"
#include "base/nearest.h"
#include "cli/load.h"
#include "load/parcel.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

enum { RATE_PER_THREAD = 20000, STREAMS_PER_THREAD = 2048 };

bool load_is_told(const struct load *load, enum load_option option)
{
    const struct options *options = load->invocation->options;

    return options_is_set(options, option) &&
           options_origin(options, option)->source == OPTION_FROM_FLAG;
}

/* ---- Requests. ---- */

enum err load_read_headers(const struct load *load, struct plan *plan, struct step *step,
                           const struct http_header *more, size_t more_count, struct why *why)
{
    const struct str *items;
    size_t count = options_list(load->invocation->options, LOAD_HEADER, &items);
    struct http_header *headers =
        ARENA_ARRAY(plan->arena, count + more_count + 1, struct http_header);

    if (headers == NULL)
        return arena_spent(plan->arena, "the headers", why);
    for (size_t i = 0; i < more_count; i++)
        headers[i] = more[i];
    for (size_t i = 0; i < count; i++) {
        struct str value = items[i];
        struct str name = str_trim(str_split(&value, ':'));
        if (value.data == NULL || name.size == 0)
            return fail(why, ERR_INVALID, "--header: '%.*s' is not NAME: VALUE", STR_ARG(items[i]));
        headers[more_count + i] = (struct http_header){name, str_trim(value)};
    }
    step->headers = headers;
    step->headers_count = more_count + count;
    return ERR_NONE;
}

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum err load_unescape(struct plan *plan, struct str text, struct str *ret_bytes, struct why *why)
{
    static const char from[] = "rnt\\0";
    static const char to[] = "\r\n\t\\\0";
    struct buf bytes CLEANUP(buf_done) = {0};

    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '\\' || i + 1 == text.size) {
            buf_byte(&bytes, (uint8_t)text.data[i]);
            continue;
        }
        char escape = text.data[++i];
        const char *found = escape == '\0' ? NULL : strchr(from, escape);
        if (escape == 'x' && i + 2 < text.size && hex_of(text.data[i + 1]) >= 0 &&
            hex_of(text.data[i + 2]) >= 0) {
            buf_byte(&bytes, (uint8_t)(hex_of(text.data[i + 1]) << 4 | hex_of(text.data[i + 2])));
            i += 2;
        } else if (found != NULL) {
            buf_byte(&bytes, (uint8_t)to[found - from]);
        } else {
            return fail(why, ERR_INVALID, "'\\%c' is none of \\r, \\n, \\t, \\0, \\\\, \\xHH",
                        escape);
        }
    }
    *ret_bytes = arena_str(plan->arena, buf_view(&bytes));
    return ret_bytes->data == NULL ? arena_spent(plan->arena, "the plan", why) : ERR_NONE;
}

static enum err read_body(struct load_run *run, struct step *step, struct why *why)
{
    const struct options *options = run->load->invocation->options;
    const char *path = options_cstr(options, LOAD_BODY_FILE);
    struct buf body CLEANUP(buf_done) = {0};

    step->body = options_text(options, LOAD_BODY);
    if (path != NULL) {
        TRY(parcel_file(run->plan->parcel, path, LOAD_BODY_BYTES_MAX, &body, why));
        step->body = arena_str(run->plan->arena, buf_view(&body));
        if (step->body.data == NULL)
            return arena_spent(run->plan->arena, "the body", why);
    }
    if (step->body.data != NULL)
        step->method = STR("POST");
    if (options_is_set(options, LOAD_METHOD))
        step->method = options_text(options, LOAD_METHOD);
    return ERR_NONE;
}

enum err load_read_connect_to(const struct load *load, struct plan *plan, struct origin *origin,
                              struct why *why)
{
    struct str text = options_text(load->invocation->options, LOAD_CONNECT_TO);
    struct url url;

    if (text.data == NULL)
        return ERR_NONE;
    const char *address = arena_printf(plan->arena, "tcp://%s%.*s",
                                       text.data[0] == ':' ? "127.0.0.1" : "", STR_ARG(text));
    if (address == NULL)
        return arena_spent(plan->arena, "the address", why);
    TRY(url_parse(str_of(address), &url, why));
    origin->connect_host = url.host;
    origin->connect_port = url.port;
    return ERR_NONE;
}

/* gRPC frames a message with a byte for compression and four for its size. */
static enum err frame_message(struct plan *plan, struct step *step, struct why *why)
{
    static const struct http_header fields[] = {{{"content-type", 12}, {"application/grpc", 16}},
                                                {{"te", 2}, {"trailers", 8}}};
    struct http_header *headers =
        ARENA_ARRAY(plan->arena, step->headers_count + ARRAY_COUNT(fields), struct http_header);
    struct buf frame CLEANUP(buf_done) = {0};

    buf_byte(&frame, 0);
    for (int shift = 24; shift >= 0; shift -= 8)
        buf_byte(&frame, (uint8_t)(step->body.size >> shift));
    buf_str(&frame, step->body);
    step->body = arena_str(plan->arena, buf_view(&frame));
    if (headers == NULL || step->body.data == NULL)
        return arena_spent(plan->arena, "the message", why);
    memcpy(headers, fields, sizeof(fields));
    if (step->headers_count > 0)
        memcpy(headers + ARRAY_COUNT(fields), step->headers,
               step->headers_count * sizeof(*headers));
    step->headers = headers;
    step->headers_count += ARRAY_COUNT(fields);
    step->method = STR("POST");
    step->is_grpc = true;
    plan->http = HTTP_CHOICE_2;
    return ERR_NONE;
}

static enum err read_ending(struct load_run *run, struct step *step, struct why *why)
{
    const struct options *options = run->load->invocation->options;
    struct str until = options_text(options, LOAD_UNTIL);

    step->ending.messages = (uint32_t)options_i64(options, LOAD_REPLIES);
    if (str_eq(until, STR("close")))
        step->ending.to_close = true;
    else if (!str_to_u64(until, &step->ending.size))
        TRY(load_unescape(run->plan, until, &step->ending.until, why));
    return ERR_NONE;
}

static enum err plan_url(struct load_run *run, struct why *why)
{
    struct plan *plan = run->plan;
    struct op op = {.kind = OP_REQUEST};
    struct scenario *scenario;
    struct step *step;
    struct url url;
    size_t index;

    TRY(url_parse(str_of(run->load->where), &url, why));
    TRY(plan_origin(plan, &url, &index, why));
    struct origin *origin = plan->origins[index];
    TRY(load_read_connect_to(run->load, plan, origin, why));
    TRY(plan_step(plan, "request", &step, why));
    step->origin = index;
    step->target = url.path;
    TRY(load_read_headers(run->load, plan, step, NULL, 0, why));
    TRY(read_body(run, step, why));
    if (origin->wire == WIRE_WEBSOCKET) {
        origin->headers = step->headers;
        origin->headers_count = step->headers_count;
    }
    if (origin->wire == WIRE_TCP && options_is_set(run->load->invocation->options, LOAD_BODY))
        TRY(load_unescape(plan, step->body, &step->body, why));
    TRY(read_ending(run, step, why));
    if (options_bool(run->load->invocation->options, LOAD_GRPC))
        TRY(frame_message(plan, step, why));
    plan->title = arena_printf(plan->arena, "%s", run->load->where);
    op.step = step;
    return plan_scenario(plan, "url", 1, &op, 1, &scenario, why);
}

/* ---- The load. ---- */

/* What the command line wants, else the file, else the default. */
static struct scenario_load wanted_load(const struct load_run *run,
                                        const struct scenario_load *said)
{
    const struct load *load = run->load;
    const struct options *options = load->invocation->options;
    struct scenario_load wanted = *said;

    if (load_is_told(load, LOAD_CONNECTIONS) || wanted.users == 0)
        wanted.users = (double)options_i64(options, LOAD_CONNECTIONS);
    if (load_is_told(load, LOAD_RATE))
        wanted.rate = options_double(options, LOAD_RATE);
    if (load_is_told(load, LOAD_LENGTH) || wanted.length_ns == 0)
        wanted.length_ns = options_ms(options, LOAD_LENGTH) * 1000000;
    if (load_is_told(load, LOAD_PATTERN))
        wanted.pattern = options_text(options, LOAD_PATTERN);
    else if (load_is_told(load, LOAD_RATE) || load_is_told(load, LOAD_LENGTH) ||
             load_is_told(load, LOAD_CONNECTIONS))
        wanted.pattern = STR_NONE;
    if (load_is_told(load, LOAD_TEST))
        wanted.test = options_text(options, LOAD_TEST);
    if (run->probe_ns > 0) {
        wanted.length_ns = run->probe_ns;
        wanted.pattern = wanted.test = STR_NONE;
    }
    if (run->probe_connections > 0)
        wanted.users = run->probe_connections;
    if (run->has_level && run->level_is_rate)
        wanted.rate = run->level;
    else if (run->has_level)
        wanted.users = run->level;
    return wanted;
}

static enum err find_kind(struct load_run *run, struct str name, struct why *why)
{
    struct nearest nearest = nearest_begin(name);

    if (name.data == NULL)
        return ERR_NONE;
    run->kind = kind_find(name);
    if (run->kind != NULL)
        return ERR_NONE;
    for (size_t i = 0; i < kinds_count; i++)
        nearest_offer(&nearest, str_of(kinds[i]->name));
    enum err err = fail(why, ERR_INVALID, "--test: there is no test '%.*s'", STR_ARG(name));
    struct str meant = nearest_found(&nearest);
    if (meant.size > 0)
        hint(why, "did you mean %.*s?", STR_ARG(meant));
    else
        hint(why, "there are smoke, load, stress, spike, volume, endurance and scalability");
    return err;
}

static enum err plan_load(struct load_run *run, const struct scenario_load *said, struct why *why)
{
    struct scenario_load wanted = wanted_load(run, said);
    struct plan *plan = run->plan;
    double level = wanted.rate > 0 ? wanted.rate : wanted.users;
    bool lasts = load_is_told(run->load, LOAD_LENGTH) || said->length_ns > 0;

    TRY(find_kind(run, wanted.test, why));
    plan->model = wanted.rate > 0 ? MODEL_OPEN : MODEL_CLOSED;
    plan->connections = (unsigned)wanted.users * plan->lanes;
    if (run->kind != NULL)
        return run->kind->shape(plan, wanted.rate > 0 ? level : level * plan->lanes,
                                lasts ? wanted.length_ns : run->kind->length_ns, why);
    if (wanted.pattern.data == NULL)
        return pattern_line(&plan->pattern, wanted.rate > 0 ? level : level * plan->lanes,
                            wanted.rate > 0 ? level : level * plan->lanes, wanted.length_ns, why);
    TRY(pattern_parse(wanted.pattern, &plan->pattern, why));
    if (plan->model == MODEL_CLOSED && !load_is_told(run->load, LOAD_CONNECTIONS))
        plan->connections = (unsigned)ceil(pattern_peak(&plan->pattern));
    return ERR_NONE;
}

/* ---- Settings. ---- */

/* One for each processor where users go as fast as they can, half of them if the target needs the
 * others; on a schedule only as many as it needs, because a thread more is one that takes time from
 * the target, and wakes the machine for less. */
static unsigned threads_of(const struct load_run *run, int64_t told)
{
    const struct plan *plan = run->plan;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    double wanted = PLAN_THREADS_MAX;

    if (told > 0)
        return (unsigned)told;
    if (processors > 1 && plan_is_local(plan))
        processors /= 2;
    if (plan->model == MODEL_OPEN)
        wanted = 1 + pattern_peak(&plan->pattern) / plan->parts / RATE_PER_THREAD;
    if (run->load->target == LOAD_TARGET_LLM)
        wanted = 1 + (double)plan->connections / plan->parts / STREAMS_PER_THREAD;
    if (processors >= 1 && wanted > (double)processors)
        wanted = (double)processors;
    return wanted > PLAN_THREADS_MAX ? PLAN_THREADS_MAX : (unsigned)wanted;
}

/* Is the option to be taken? Those of the command line always, the others before a file has
 * spoken. */
static bool takes(const struct load *load, enum load_option option, bool only_told)
{
    return load_is_told(load, option) ||
           (!only_told && options_is_set(load->invocation->options, option));
}

static enum err plan_settings(struct load_run *run, bool only_told, struct why *why)
{
    const struct load *load = run->load;
    const struct options *options = load->invocation->options;
    struct plan *plan = run->plan;

    if (takes(load, LOAD_HTTP2, only_told))
        plan->http = options_bool(options, LOAD_HTTP2) ? HTTP_CHOICE_2 : HTTP_CHOICE_1;
    bool is_http2 = plan->http == HTTP_CHOICE_2 || options_bool(options, LOAD_GRPC);
    plan->lanes = (unsigned)options_i64(options, is_http2 ? LOAD_STREAMS : LOAD_PIPELINE);
    if (takes(load, LOAD_TIMEOUT, only_told))
        plan->timeout_ns = options_ms(options, LOAD_TIMEOUT) * 1000000;
    if (takes(load, LOAD_WARMUP, only_told))
        plan->warmup_ns = options_ms(options, LOAD_WARMUP) * 1000000;
    if (takes(load, LOAD_GRACE, only_told))
        plan->grace_ns = options_ms(options, LOAD_GRACE) * 1000000;
    if (takes(load, LOAD_REQUESTS, only_told))
        plan->requests_max = (uint64_t)options_i64(options, LOAD_REQUESTS);
    if (takes(load, LOAD_CLOSE, only_told))
        plan->keep_alive = !options_bool(options, LOAD_CLOSE);
    if (takes(load, LOAD_INSECURE, only_told))
        plan->verify_tls = !options_bool(options, LOAD_INSECURE);
    if (takes(load, LOAD_ARRIVALS, only_told))
        plan->arrivals = (enum arrivals)options_i64(options, LOAD_ARRIVALS);
    if (takes(load, LOAD_BURSTINESS, only_told))
        plan->gamma_shape = options_double(options, LOAD_BURSTINESS);
    if (takes(load, LOAD_THINK, only_told))
        TRY(think_parse(options_text(options, LOAD_THINK), &plan->think, why));
    plan->seed = (uint64_t)options_i64(options, LOAD_SEED);
    plan->resolves_each = options_bool(options, LOAD_RESOLVE_EACH);
    return ERR_NONE;
}

static enum err plan_proxy(struct load_run *run, struct why *why)
{
    struct str text = options_text(run->load->invocation->options, LOAD_PROXY);
    const char *user;
    struct plan *plan = run->plan;
    struct url url;

    if (text.data == NULL)
        return ERR_NONE;
    TRY(url_parse(text, &url, why));
    if (url.scheme != SCHEME_HTTP || url.path.size > 1)
        return fail(why, ERR_INVALID, "--proxy: '%.*s' is not http://HOST:PORT", STR_ARG(text));
    if (url.user_info.data != NULL)
        return fail(why, ERR_INVALID,
                    "--proxy: a password on the command line is seen by every "
                    "user; put NAME:PASSWORD in SONDE_PROXY_USER");
    TRY(parcel_variable(plan->parcel, "SONDE_PROXY_USER", &user, why));
    plan->proxy = (struct proxy){.host = url.host, .port = url.port};
    if (user != NULL) {
        struct buf word CLEANUP(buf_done) = {0};
        buf_text(&word, "Basic ");
        base64_write(str_of(user), &word);
        plan->proxy.authorization = arena_str(plan->arena, buf_view(&word));
        if (plan->proxy.authorization.data == NULL)
            return arena_spent(plan->arena, "the plan", why);
    }
    return ERR_NONE;
}

/* ---- Criteria. ---- */

static enum err read_criterion(struct load_run *run, struct str text, struct why *why)
{
    if (run->criteria_count == JUDGEMENT_CRITERIA_MAX)
        return fail(why, ERR_LIMIT, "there are more than %d criteria", JUDGEMENT_CRITERIA_MAX);
    struct criterion *criterion = &run->criteria[run->criteria_count++];
    TRY(criterion_parse(text, criterion, why));
    return criterion_check(criterion, run->plan, why);
}

static enum err read_criteria(struct load_run *run, struct why *why)
{
    const struct str *items;
    size_t count = options_list(run->load->invocation->options, LOAD_CRITERION, &items);

    for (size_t i = 0; i < count; i++)
        TRY(read_criterion(run, items[i], why));
    for (size_t i = 0; i < run->plan->criteria_count; i++)
        TRY(read_criterion(run, run->plan->criteria[i], why));
    return ERR_NONE;
}

/* Authorities are opened by their path. */
static enum err plan_authorities(struct load_run *run, struct why *why)
{
    enum { AUTHORITIES_BYTES_MAX = 16 << 20, PATH_SIZE = 64 };
    const char *path = options_cstr(run->load->invocation->options, LOAD_CA);
    struct plan *plan = run->plan;
    struct buf bytes CLEANUP(buf_done) = {0};
    char in_memory[PATH_SIZE];

    plan->ca_file = path;
    if (path == NULL || plan->parcel == NULL)
        return ERR_NONE;
    if (!plan->parcel->arrived)
        return parcel_file(plan->parcel, path, AUTHORITIES_BYTES_MAX, &bytes, why);
    TRY(parcel_path(plan->parcel, path, AUTHORITIES_BYTES_MAX, in_memory, why));
    plan->ca_file = arena_printf(plan->arena, "%s", in_memory);
    return plan->ca_file == NULL ? arena_spent(plan->arena, "the plan", why) : ERR_NONE;
}

enum err load_plan_make(struct load_run *run, struct why *why)
{
    struct scenario_load said = {0};

    TRY(plan_settings(run, false, why));
    TRY(plan_authorities(run, why));
    TRY(plan_proxy(run, why));
    switch (run->load->target) {
    case LOAD_TARGET_URL:
        TRY(plan_url(run, why));
        break;
    case LOAD_TARGET_LLM:
        TRY(load_llm_plan(run, why));
        break;
    case LOAD_TARGET_FILE:
        TRY(scenario_read(run->plan, run->load->where, &said, why));
        TRY(plan_settings(run, true, why));
        break;
    }
    TRY(plan_load(run, &said, why));
    TRY(plan_finish(run->plan, why));
    run->plan->threads = threads_of(run, options_i64(run->load->invocation->options, LOAD_THREADS));
    return read_criteria(run, why);
}
