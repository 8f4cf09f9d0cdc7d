/* SPDX-License-Identifier: Apache-2.0 */
/* plan - all that a run is to do, decided before the first request and read-only from then on.
 *
 * Built by one thread (from flags by cli/load, from a file by scenario.h) in an arena of its own;
 * read by every driver. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "io/http.h"
#include "load/pattern.h"
#include "load/url.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

enum {
    PLAN_ORIGINS_MAX = 64,
    PLAN_SCENARIOS_MAX = 64,
    PLAN_STEPS_MAX = 1000, /* Of all scenarios. */
    PLAN_CONNECTIONS_MAX = 1000000,
    PLAN_THREADS_MAX = 64,
    PLAN_ADDRESSES_MAX = 16,
    PLAN_HEADERS_MAX = 100,
    PLAN_CRITERIA_MAX = 100,
    PLAN_LANES_MAX = 1000,
    PLAN_PARTS_MAX = 64,
    PLAN_VARIABLES_MAX = 1000,
    PLAN_OPS_MAX = 2000, /* Of a scenario. */
    PLAN_LOOPS_MAX = 4,  /* Within each other. */
    PLAN_LOOP_TIMES_MAX = 1000000,
    PLAN_BODY_BYTES_MAX = 64 << 20,   /* Of a request. */
    PLAN_CAPTURE_BYTES_MAX = 4 << 20, /* Of an answer that is looked into. */
};

enum wire { WIRE_HTTP1, WIRE_HTTP2, WIRE_WEBSOCKET, WIRE_TCP };

/* Whom connections are made to. */
struct origin {
    enum scheme scheme;
    struct str host;
    struct str authority;
    uint16_t port;
    struct str connect_host; /* Where the connection goes in fact; else the host. */
    uint16_t connect_port;
    enum wire wire;
    bool by_proxy;                     /* connect_host is a proxy that is told the request's URL. */
    bool tunnels;                      /* … a proxy that is asked for a tunnel first. */
    struct str target;                 /* Of a WebSocket: what the handshake asks for. */
    const struct http_header *headers; /* … and says beside what it must. */
    size_t headers_count;
    struct sockaddr_storage addresses[PLAN_ADDRESSES_MAX];
    size_t addresses_count;
    int64_t resolve_ns; /* How long the name took to resolve. */
};

struct data;
struct script;

/* When the answer of a protocol without a frame of its own is complete. */
struct ending {
    struct str until;  /* TCP: after these bytes. */
    uint64_t size;     /* TCP: after so many; 0: see until. */
    bool to_close;     /* TCP: when the peer closes. None of these: nothing is waited for. */
    uint32_t messages; /* WebSocket: after so many; 0: once the message is sent. */
};

/* One request that users send. */
struct step {
    const char *name;
    size_t index;  /* Among all steps of the plan. */
    size_t origin; /* Index. */
    struct str method;
    struct str target;                 /* Path and query. */
    const struct http_header *headers; /* Beside Host and Content-Length. */
    size_t headers_count;
    const struct http_header *fields; /* The same for HTTP/2: names in lower case, without those
                                         that belong to a connection. */
    size_t fields_count;
    struct str body;
    struct str wire; /* The request as HTTP/1 wants it, when nothing in it changes; else NONE. */
    size_t trace_at; /* Where in wire the value of traceparent stands. */
    bool is_traced;  /* Each request carries a trace id of its own; see plan->trace_run. */
    bool head_asked; /* HEAD: the answer has no body. */
    bool is_grpc;    /* A unary call: its status comes behind the body. */
    bool is_binary;  /* A WebSocket message that is no text. */
    struct ending ending;
    struct script *script; /* What changes and what is looked at; NULL: nothing. */
    int64_t timeout_ns;    /* Of this step. */
};

enum think { THINK_NONE, THINK_CONSTANT, THINK_UNIFORM, THINK_EXPONENTIAL, THINK_LOGNORMAL };

struct think_time {
    enum think kind;
    double a_ns; /* The time; the least; the mean; the median. */
    double b_ns; /* The most of THINK_UNIFORM; sigma, without unit, of THINK_LOGNORMAL. */
};

/* What a user does next. */
enum op_kind {
    OP_REQUEST,
    OP_PAUSE,
    OP_UNLESS, /* Jumps to `to` when the condition does not hold. */
    OP_LOOP,   /* A loop begins: its counter is 0. */
    OP_AGAIN,  /* Its end: back to `to` while there are turns left and the condition is not met. */
};

struct condition;
struct parcel;
struct prompt;

struct op {
    enum op_kind kind;
    const struct step *step;
    struct think_time pause;
    const struct condition *condition; /* OP_AGAIN: may be NULL. */
    const struct prompt *prompt;       /* OP_AGAIN: as long as its conversation has turns. */
    uint32_t to;
    uint32_t loop;  /* Index of the counter. */
    uint32_t times; /* Turns at most. */
};

struct scenario {
    const char *name;
    double weight;
    const struct op *ops;
    size_t ops_count;
    struct think_time pause; /* Between steps. */
};

/* Promises that an LLM's answer must keep to count as good; 0: no such promise. */
struct slo {
    int64_t ttft_ns, tpot_ns, e2e_ns;
};

/* US dollars for a million tokens; 0 in all: nobody asks. */
struct price {
    double input, cached, output;
};

struct proxy {
    struct str host;
    uint16_t port;
    struct str authorization; /* "Basic …", or STR_NONE. */
};

enum model { MODEL_CLOSED, MODEL_OPEN };
enum arrivals { ARRIVALS_CONSTANT, ARRIVALS_POISSON, ARRIVALS_GAMMA };
enum http_choice { HTTP_CHOICE_1, HTTP_CHOICE_2 };

struct plan {
    struct arena *arena;
    const char *title; /* What is told in reports. */
    struct origin *origins[PLAN_ORIGINS_MAX];
    size_t origins_count;
    struct scenario *scenarios[PLAN_SCENARIOS_MAX];
    size_t scenarios_count;
    struct step *steps[PLAN_STEPS_MAX];
    size_t steps_count;
    struct str variables[PLAN_VARIABLES_MAX]; /* Names; users have the values. */
    struct str presets[PLAN_VARIABLES_MAX];   /* What they are at first. */
    size_t variables_count;
    struct data *data; /* Rows that users take variables from; a list, see data.h. */
    bool has_scripts;  /* Users need a session. */
    bool has_streams;  /* Some step's answer is a token stream. */
    bool keeps_cookies;
    struct str criteria[PLAN_CRITERIA_MAX]; /* As written; for whoever judges (criterion.h). */
    size_t criteria_count;
    struct slo slo;
    struct price price;
    struct proxy proxy; /* host NONE: without. */

    enum model model;
    struct pattern pattern; /* Users of the closed model, arrivals a second of the open one. */
    enum arrivals arrivals;
    double gamma_shape;      /* Of ARRIVALS_GAMMA: 1 is Poisson, less is burstier. */
    struct think_time think; /* Between iterations of a user; closed model. */

    unsigned threads;
    unsigned connections; /* Users, over all threads; a user has a connection to each origin. */
    unsigned lanes; /* Users that share a connection: streams of HTTP/2, pipelined requests. */
    enum http_choice http;
    bool keep_alive;
    bool resolves_each; /* Each connection asks for the name anew. */
    bool verify_tls;
    const char *ca_file; /* PEM; NULL: the system's authorities. */
    bool session_reuse;

    int64_t timeout_ns;
    int64_t warmup_ns;     /* Requests meant to start before are not counted. */
    int64_t grace_ns;      /* How long answers are waited for after the end. */
    uint64_t requests_max; /* 0: as the pattern lasts. */
    uint64_t answer_bytes_max;
    uint32_t backlog_max; /* Arrivals that may wait, a thread. */
    bool trace_only_here; /* … and none do where the targets are not on this machine. */
    uint64_t trace_run;   /* HTTP requests carry a traceparent, and this begins their trace ids
                             (trail.h); 0: none do. */
    uint64_t seed;

    /* Where several machines share the load: this one's part, 0 … parts - 1. Everything is dealt
     * out in turn, as it is among threads, so that all parts together are exactly the plan. */
    unsigned part, parts;
    bool is_elsewhere;     /* Others carry it out: no name is resolved here. */
    struct parcel *parcel; /* What it is made of, or NULL; outlives the plan. */
};

/* What a plan starts from; arena_budget bounds all that is built in it. */
struct plan *plan_new(size_t arena_budget_bytes);
struct plan *plan_free(struct plan *plan); /* Always returns NULL. */
void plan_freep(struct plan **plan);       /* For CLEANUP. */

/* The origin of a URL: an existing one, or a new one. */
CHECKED enum err plan_origin(struct plan *plan, const struct url *url, size_t *ret_origin,
                             struct why *why);
/* A new step in the plan, for the caller to fill in; timeout and method are preset. */
CHECKED enum err plan_step(struct plan *plan, const char *name, struct step **ret_step,
                           struct why *why);
/* A scenario of these steps, copied. */
CHECKED enum err plan_scenario(struct plan *plan, const char *name, double weight,
                               const struct op *ops, size_t ops_count,
                               struct scenario **ret_scenario, struct why *why);
/* The variable of that name: an existing one, or a new one. */
CHECKED enum err plan_variable(struct plan *plan, struct str name, size_t *ret_variable,
                               struct why *why);
/* The step's script, made if it has none. */
CHECKED enum err plan_script(struct plan *plan, struct step *step, struct script **ret_script,
                             struct why *why);
/* How many of `total` things are this part's when they are dealt out in turn. */
uint64_t plan_share(const struct plan *plan, uint64_t total);
/* Its index, or -1. */
ptrdiff_t plan_find_variable(const struct plan *plan, struct str name);

/* Writes each unchanging request once, checks that everything fits together, resolves the names of
 * all origins. To be called last. ERR_INVALID, ERR_UPSTREAM: a name could not be resolved. */
CHECKED enum err plan_finish(struct plan *plan, struct why *why);

/* Are all its origins on this machine? Names that were not resolved yet are not. */
bool plan_is_local(const struct plan *plan);

/* "1s", "uniform(1s, 3s)", "exponential(1s)", "lognormal(1s, 0.5)". */
CHECKED enum err think_parse(struct str text, struct think_time *ret_think, struct why *why);
