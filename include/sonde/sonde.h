/* SPDX-License-Identifier: Apache-2.0 */
/* sonde.h - know what your program does, from inside it.
 *
 *     #include <sonde/sonde.h>
 *
 *     int main(void)
 *     {
 *         struct sonde *sonde = sonde_open(NULL);
 *         for (int i = 0; i < 100; i++) {
 *             SONDE_SCOPE(sonde, "retrieval");     // timed until the end of the block
 *             retrieve();
 *         }
 *         sonde_sla_set(sonde, "retrieval", "max_p95_latency_ms", 100);
 *         sonde_report_print(sonde, stdout);
 *         sonde_close(sonde);
 *     }
 *
 * Rules of the house inside another program: memory is set aside once, at sonde_open, and is
 * bounded; recording takes no lock, makes no system call and never waits; what does not fit is
 * dropped and counted; nothing aborts, nothing prints, no signal is touched, no descriptor goes to
 * children. Every function accepts NULL for any pointer and then does nothing, so a program whose
 * sonde_open failed runs on unchanged.
 *
 * All functions may be called from any thread; a timer or span belongs to one thread at a time.
 * From a signal handler: sonde_count_add, sonde_gauge_set and timers of operations that this thread
 * has recorded before. After fork the child starts with empty numbers.
 *
 * Times are nanoseconds unless a name says otherwise. Quantiles come from a log-bucket histogram
 * whose relative error is at most SONDE_RELATIVE_ERROR between 1 ns and 1 h. */
#ifndef SONDE_SONDE_H
#define SONDE_SONDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SONDE_RELATIVE_ERROR     0.01
#define SONDE_HANDLES_MAX        64   /* Open at once in one process. */
#define SONDE_NAME_BYTES_MAX     128  /* Longer names are cut, and counted. */
#define SONDE_METADATA_BYTES_MAX 192  /* Keys and values of one timer or span together. */
#define SONDE_OPERATIONS_MAX     1024 /* More share the operation "other". */
#define SONDE_THREADS_MAX        4096 /* Recording at once; more are counted as dropped. */

#if defined(__GNUC__)
#define SONDE_API __attribute__((visibility("default")))
#else
#define SONDE_API
#endif

/* ---- Opening. ---- */

struct sonde;

enum sonde_level {
    SONDE_DISABLED = 0, /* Nothing is recorded; a timer costs a load and a branch. */
    SONDE_BASIC,        /* Statistics of timers, counters and gauges. */
    SONDE_STANDARD,     /* The default: also throughput by the second, and spans to the daemon. */
    SONDE_DETAILED,     /* Also the metadata of each operation's slowest call. */
};

struct sonde_options {
    size_t size;              /* sizeof(struct sonde_options): lets the struct grow. */
    const char *service_name; /* NULL: $OTEL_SERVICE_NAME, else the program's name. */
    enum sonde_level level;
    /* "http://127.0.0.1:7070": the daemon that all this is sent to, by OTLP. NULL:
     * $SONDE_ENDPOINT; when that is not set either, or "", nothing leaves the process. */
    const char *endpoint;
    /* Of every so many traces one is kept, decided by its id: 1 all, 0.1 a tenth. What failed, and
     * what took longer than 99 % of its operation's calls, is kept always. */
    double sample_ratio;
};

/* The defaults: level $SONDE_LEVEL (disabled, basic, standard, detailed), else standard;
 * sample_ratio $SONDE_SAMPLE_RATIO, else 1. */
SONDE_API void sonde_options_init(struct sonde_options *options);

/* NULL options: the defaults. NULL when even the fixed memory could not be had, or (EMFILE)
 * SONDE_HANDLES_MAX are open: errno tells. */
SONDE_API struct sonde *sonde_open(const struct sonde_options *options);

/* Sends what is left, where there is an endpoint, and waits for it a second at most; then frees. No
 * other call on the handle may be under way. */
SONDE_API void sonde_close(struct sonde *sonde);

SONDE_API void sonde_set_level(struct sonde *sonde, enum sonde_level level);
SONDE_API enum sonde_level sonde_get_level(const struct sonde *sonde);
SONDE_API const char *sonde_version(void);

/* ---- Timers. ---- */

/* An operation is a name whose durations are kept. Looking one up takes a hash and no lock; keep
 * the pointer where it is used often (SONDE_SCOPE does). It lives as long as the handle. */
struct sonde_operation;
SONDE_API struct sonde_operation *sonde_operation(struct sonde *sonde, const char *name);

struct sonde_timer {
    struct sonde_operation *operation;
    int64_t start_ns;
    uint16_t metadata_size;
    bool failed;
    char metadata[SONDE_METADATA_BYTES_MAX];
};

/* May end on another thread than it began on; ends once. Nest as you like. */
SONDE_API void sonde_timer_begin(struct sonde_timer *timer, struct sonde_operation *operation);
SONDE_API void sonde_timer_fail(struct sonde_timer *timer); /* Ends as a failure. */
SONDE_API void sonde_timer_note(struct sonde_timer *timer, const char *key, const char *value);
/* Returns the duration. A timer that never ends is a sample never recorded, nothing more. */
SONDE_API int64_t sonde_timer_end(struct sonde_timer *timer);

/* A duration measured elsewhere. */
SONDE_API void sonde_record(struct sonde_operation *operation, int64_t duration_ns, bool failed);

#if defined(__GNUC__)
SONDE_API void sonde_timer_cleanup_(struct sonde_timer *timer);
#define SONDE_JOIN2_(a, b) a##b
#define SONDE_JOIN_(a, b)  SONDE_JOIN2_(a, b)
/* Times the rest of the block under a name that is the same each time it gets here. In C++ it fails
 * when an exception leaves the block. */
#define SONDE_SCOPE(sonde, name) SONDE_SCOPE_AS(SONDE_JOIN_(sonde_scope_, __LINE__), sonde, name)
/* The same with a name for the timer, for sonde_timer_fail(&timer) and sonde_timer_note. */
#ifdef __cplusplus
#define SONDE_SCOPE_AS(timer, sonde, name) \
    sonde_timer_scope_ timer(sonde_operation((sonde), (name)))
#else
#define SONDE_SCOPE_AS(timer, sonde, name)                                   \
    struct sonde_timer timer __attribute__((cleanup(sonde_timer_cleanup_))); \
    sonde_timer_begin(&timer, sonde_operation((sonde), (name)))
#endif
#endif

/* ---- Spans. ---- */

/* Where one is in a trace: what W3C's traceparent says. All zero: nowhere. */
struct sonde_context {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t flags; /* 1: sampled. */
};

#define SONDE_TRACEPARENT_SIZE 56 /* With the NUL. */

/* False, and nowhere, when the text is NULL or no traceparent. */
SONDE_API bool sonde_context_read(const char *traceparent, struct sonde_context *ret_context);
/* "00-4bf9…-00f0…-01"; "" for nowhere. */
SONDE_API void sonde_context_write(const struct sonde_context *context,
                                   char ret_text[SONDE_TRACEPARENT_SIZE]);

/* The same as B3 has it, in one header: "4bf9…-00f0…-1". Read is also a trace id of 64 bits, which
 * gets zeros before it; who does not say whether it is sampled leaves it to us, and it is. */
#define SONDE_B3_SIZE 52 /* With the NUL. */
SONDE_API bool sonde_context_read_b3(const char *b3, struct sonde_context *ret_context);
SONDE_API void sonde_context_write_b3(const struct sonde_context *context,
                                      char ret_text[SONDE_B3_SIZE]);

/* What this thread works for: the parent of spans begun without one. `sonde_use` returns what it
 * was before, to be put back. */
SONDE_API struct sonde_context sonde_current(void);
SONDE_API struct sonde_context sonde_use(const struct sonde_context *context);

/* What of a request's headers belongs to tracing: where it is in a trace, what other vendors say of
 * it (tracestate), and what is handed from service to service (baggage). A server reads it, works
 * for `context`, and writes it, with the context of its own span, to whom it calls. */
#define SONDE_TRACESTATE_BYTES_MAX 512  /* A longer one loses the members at its end. */
#define SONDE_BAGGAGE_BYTES_MAX    8192 /* Likewise; members at most: */
#define SONDE_BAGGAGE_MEMBERS_MAX  64

struct sonde_headers {
    struct sonde_context context;
    char tracestate[SONDE_TRACESTATE_BYTES_MAX + 1];
    char baggage[SONDE_BAGGAGE_BYTES_MAX + 1];
};

enum sonde_propagation {
    SONDE_W3C = 1,      /* traceparent, tracestate; baggage goes with any of the three. */
    SONDE_B3 = 2,       /* b3 */
    SONDE_B3_MULTI = 4, /* X-B3-TraceId, X-B3-SpanId, X-B3-Sampled */
};

/* The value of a header that is told in small letters ("traceparent"), or NULL. */
typedef const char *(*sonde_header_get)(void *self, const char *name);
typedef void (*sonde_header_put)(void *self, const char *name, const char *value);

/* traceparent counts first, then b3, then X-B3-…. What is malformed counts as absent. False: they
 * say nothing of a trace (baggage may be there all the same). */
SONDE_API bool sonde_headers_read(struct sonde_headers *ret_headers, sonde_header_get get,
                                  void *self);
/* Puts each header once, in the forms told. headers NULL: nothing but the context is handed on;
 * context NULL: that of the headers. */
SONDE_API void sonde_headers_write(const struct sonde_headers *headers,
                                   const struct sonde_context *context, unsigned forms,
                                   sonde_header_put put, void *self);

/* The value of a key in the baggage, decoded. False: it is not there, or longer than capacity. */
SONDE_API bool sonde_baggage_get(const struct sonde_headers *headers, const char *key,
                                 char *ret_value, size_t capacity);
/* Sets it, or takes it out when value is NULL. False: key is no token, or there is no room. */
SONDE_API bool sonde_baggage_set(struct sonde_headers *headers, const char *key, const char *value);

enum sonde_span_kind { /* Numbers of OTLP. */
                       SONDE_INTERNAL = 1,
                       SONDE_SERVER,
                       SONDE_CLIENT,
                       SONDE_PRODUCER,
                       SONDE_CONSUMER,
};

#define SONDE_SPAN_BYTES_MAX    1024 /* All attributes of a span; more are left out and counted. */
#define SONDE_MESSAGE_BYTES_MAX 127

/* A timer with a place in a trace: it is recorded under its name like any other timer, and sent to
 * the daemon when it is sampled. */
struct sonde_span {
    struct sonde_timer timer;
    struct sonde_context context; /* Its own: what goes out to whom it calls. */
    struct sonde_context parent;
    int64_t start_unix_ns;
    enum sonde_span_kind kind;
    uint16_t attributes_size;
    char message[SONDE_MESSAGE_BYTES_MAX + 1];
    char attributes[SONDE_SPAN_BYTES_MAX]; /* As the wire has them. */
};

/* parent NULL: what the thread works for; a parent of nowhere: begins a new trace. */
SONDE_API void sonde_span_begin(struct sonde_span *span, struct sonde *sonde, const char *name,
                                enum sonde_span_kind kind, const struct sonde_context *parent);
/* Ends as a failure; message may be NULL. */
SONDE_API void sonde_span_fail(struct sonde_span *span, const char *message);
SONDE_API void sonde_span_note(struct sonde_span *span, const char *key, const char *value);
SONDE_API void sonde_span_note_integer(struct sonde_span *span, const char *key, int64_t value);
SONDE_API void sonde_span_note_number(struct sonde_span *span, const char *key, double value);
SONDE_API void sonde_span_note_bool(struct sonde_span *span, const char *key, bool value);
/* Something that happens now, within the span: pairs are key, value, key, value, …, NULL, or NULL.
 */
SONDE_API void sonde_span_event(struct sonde_span *span, const char *name,
                                const char *const *pairs);
/* Another name than the one it began with: for those who learn it on the way. */
SONDE_API void sonde_span_rename(struct sonde_span *span, const char *name);
SONDE_API int64_t sonde_span_end(struct sonde_span *span); /* Returns the duration. */

#if defined(__GNUC__)
struct sonde_span_scope {
    struct sonde_span span;
    struct sonde_context outer;
};
SONDE_API void sonde_span_enter_(struct sonde_span_scope *scope, struct sonde *sonde,
                                 const char *name);
SONDE_API void sonde_span_leave_(struct sonde_span_scope *scope);
/* A span over the rest of the block, which its thread works for meanwhile: &scope.span. In C++ it
 * fails when an exception leaves the block. */
#ifdef __cplusplus
#define SONDE_SPAN_SCOPE(scope, sonde, name) sonde_span_scope_ scope((sonde), (name))
#else
#define SONDE_SPAN_SCOPE(scope, sonde, name)                                   \
    struct sonde_span_scope scope __attribute__((cleanup(sonde_span_leave_))); \
    sonde_span_enter_(&scope, (sonde), (name))
#endif
#endif

/* ---- Calls of language models. ---- */

#define SONDE_MISSING INT64_C(-1)

/* All that is known of one call. NULL and SONDE_MISSING: not known, which is not the same as none.
 * Begin with SONDE_LLM_CALL_INIT. */
struct sonde_llm_call {
    const char *operation;       /* "chat", "embeddings", …; NULL: "chat". */
    const char *call_id;         /* As the backend calls its answer. */
    const char *session_id;      /* The conversation. */
    const char *backend;         /* "openai", "anthropic", … */
    const char *model;           /* That was asked for. */
    const char *model_answering; /* That answered, where it says. */
    const char *finish_reason;
    const char *error_type; /* NULL: succeeded. */
    int64_t start_unix_ns;  /* 0: now less the duration. */
    int64_t duration_ns;
    int64_t network_ns;
    int64_t processing_ns; /* In the backend. */
    int64_t first_token_ns;
    int64_t input_tokens; /* Those from the cache included. */
    int64_t output_tokens;
    int64_t cache_read_tokens;
    int64_t cache_creation_tokens;
    int64_t cost_nano_usd;
    int32_t retries; /* -1: not known. */
    bool streamed;
    bool circuit_open; /* The circuit breaker refused it: no call was made. */
};

/* In the order of the fields, for C++ before 2020 knows no other way. */
#define SONDE_LLM_CALL_INIT                                                                 \
    {                                                                                       \
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, SONDE_MISSING, SONDE_MISSING, \
            SONDE_MISSING, SONDE_MISSING, SONDE_MISSING, SONDE_MISSING, SONDE_MISSING,      \
            SONDE_MISSING, -1, false, false                                                 \
    }

/* Recorded under "chat gpt-4o", and sent as a span with OpenTelemetry's GenAI attributes. parent
 * NULL: what the thread works for. Strings are only read. */
SONDE_API void sonde_llm_record(struct sonde *sonde, const struct sonde_llm_call *call,
                                const struct sonde_context *parent);
/* The same attributes for a span that is under way; times and failure stay the span's. */
SONDE_API void sonde_span_note_llm(struct sonde_span *span, const struct sonde_llm_call *call);

/* ---- Counters and gauges. ---- */

struct sonde_counter;
struct sonde_gauge;
SONDE_API struct sonde_counter *sonde_counter(struct sonde *sonde, const char *name);
SONDE_API struct sonde_gauge *sonde_gauge(struct sonde *sonde, const char *name);
SONDE_API void sonde_count_add(struct sonde_counter *counter, uint64_t amount);
SONDE_API uint64_t sonde_count_value(const struct sonde_counter *counter);
SONDE_API void sonde_gauge_set(struct sonde_gauge *gauge, double value);
SONDE_API double sonde_gauge_value(const struct sonde_gauge *gauge);

/* Called once a second on the library's own thread: set gauges, add to counters. At most
 * SONDE_COLLECTORS_MAX; false when that many are there. */
#define SONDE_COLLECTORS_MAX 64
typedef void (*sonde_collector)(struct sonde *sonde, void *self);
SONDE_API bool sonde_collect(struct sonde *sonde, sonde_collector collector, void *self);
/* Takes it back; when this returns, it is not being called and never will be again. Not from within
 * a collector. */
SONDE_API void sonde_collect_stop(struct sonde *sonde, sonde_collector collector, void *self);

/* ---- Statistics. ---- */

struct sonde_stats {
    uint64_t count;
    uint64_t successes;
    uint64_t failures;
    double success_rate;        /* 0 … 1; 1 when nothing was recorded. */
    double throughput_rps;      /* count over the time since the first record. */
    double throughput_now_rps;  /* In the last whole second. */
    double throughput_peak_rps; /* The best whole second. */
    double mean_ms;
    double min_ms;
    double max_ms;
    double p50_ms;
    double p90_ms;
    double p95_ms;
    double p99_ms;
    double p999_ms;
    double elapsed_s; /* Since the first record. */
};

/* Merged over all threads, now. False when nothing has been recorded (then all zero). */
SONDE_API bool sonde_operation_stats(const struct sonde_operation *operation,
                                     struct sonde_stats *ret_stats);
SONDE_API bool sonde_overall_stats(struct sonde *sonde, struct sonde_stats *ret_stats);
SONDE_API const char *sonde_operation_name(const struct sonde_operation *operation);
/* The operations recorded so far, in the order of first use; returns how many there are. */
SONDE_API size_t sonde_operations(struct sonde *sonde, struct sonde_operation **ret_operations,
                                  size_t capacity);
/* Quantile of an operation in milliseconds, q from 0 to 1; NAN when nothing was recorded. */
SONDE_API double sonde_quantile_ms(const struct sonde_operation *operation, double q);

/* At SONDE_DETAILED: how long the slowest call since the last reset took, and its metadata as
 * "key=value key=value", cut to capacity. Returns -1 when there is none. */
SONDE_API int64_t sonde_slowest(const struct sonde_operation *operation, char *ret_metadata,
                                size_t capacity);

/* Everything counts from zero again; recording may go on meanwhile. */
SONDE_API void sonde_reset(struct sonde *sonde);

/* ---- Promises (SLA). ---- */

/* Keys: "max_p50_latency_ms", "max_p95_latency_ms", "max_p99_latency_ms", "min_throughput_rps",
 * "min_success_rate" (0 … 1). operation NULL: over all. A value of NAN takes the target back.
 * False: no such key, or no such value: a negative one, a success rate above 1. */
SONDE_API bool sonde_sla_set(struct sonde *sonde, const char *operation, const char *key,
                             double value);

/* How many promises are broken now. Each is told to `tell` (may be NULL) in one sentence:
 * "Overall P95 latency (325.4ms) exceeds target (300.0ms)". operation is NULL for the overall. */
typedef void (*sonde_violation)(void *self, const char *operation, const char *sentence);
SONDE_API size_t sonde_sla_check(struct sonde *sonde, sonde_violation tell, void *self);

/* ---- Reports. ---- */

enum sonde_form {
    SONDE_CONSOLE,
    SONDE_JSON,
    SONDE_MARKDOWN,
    SONDE_HTML, /* One self-contained page. */
    SONDE_CSV,
};

/* All statistics, the promises and what was left out, as text to free(); *ret_size without the NUL
 * behind it. NULL: no memory. colour matters to SONDE_CONSOLE only. Unlike recording, a report
 * allocates as it needs. */
SONDE_API char *sonde_report_text(struct sonde *sonde, enum sonde_form form, bool colour,
                                  size_t *ret_size);
/* The console form, coloured when out is a terminal and NO_COLOR is not set. */
SONDE_API void sonde_report_print(struct sonde *sonde, FILE *out);
/* Writes the report to a new file, as a whole. False: errno tells. */
SONDE_API bool sonde_report_save(struct sonde *sonde, enum sonde_form form, const char *path);

/* ---- To the daemon. ---- */

/* Sends what was recorded before the call, and waits for it at most this long. True: it has been
 * taken. False without an endpoint. */
SONDE_API bool sonde_flush(struct sonde *sonde, int64_t timeout_ms);

/* How sending goes. Counts since sonde_open. */
struct sonde_delivery {
    uint64_t posts;
    uint64_t posts_failed; /* Tried again later. */
    uint64_t spans_sent;
    uint64_t spans_dropped; /* The buffer was full, or the daemon refused them. */
    uint64_t spans_waiting;
    bool is_away;         /* The last post failed. */
    char last_error[128]; /* Of the last post that failed; "". */
};
SONDE_API void sonde_read_delivery(struct sonde *sonde, struct sonde_delivery *ret_delivery);

/* ---- The library itself. ---- */

/* What the library itself had to leave out. */
struct sonde_drops {
    uint64_t records;      /* No memory or thread slot left. */
    uint64_t names_cut;    /* Names or metadata over their limits. */
    uint64_t names_shared; /* Look-ups past SONDE_OPERATIONS_MAX, answered with "other". */
};
SONDE_API void sonde_read_drops(const struct sonde *sonde, struct sonde_drops *ret_drops);

#ifdef __cplusplus
}

/* ---- The scopes of C++, by way of SONDE_SCOPE, SONDE_SCOPE_AS and SONDE_SPAN_SCOPE. ---- */

extern "C++" {
#include <exception>

/* How many exceptions are on their way: more than when a block began is how it is left by one. */
inline int sonde_thrown_()
{
#if __cplusplus >= 201703L
    return std::uncaught_exceptions();
#else
    return std::uncaught_exception();
#endif
}

struct sonde_timer_scope_ : sonde_timer {
    explicit sonde_timer_scope_(struct sonde_operation *of) : thrown(sonde_thrown_())
    {
        sonde_timer_begin(this, of);
    }
    ~sonde_timer_scope_()
    {
        if (sonde_thrown_() > thrown)
            sonde_timer_fail(this);
        sonde_timer_cleanup_(this);
    }

  private:
    int thrown;
    sonde_timer_scope_(const sonde_timer_scope_ &);
    sonde_timer_scope_ &operator=(const sonde_timer_scope_ &);
};

struct sonde_span_scope_ : sonde_span_scope {
    sonde_span_scope_(struct sonde *of, const char *name) : thrown(sonde_thrown_())
    {
        sonde_span_enter_(this, of, name);
    }
    ~sonde_span_scope_()
    {
        if (sonde_thrown_() > thrown)
            sonde_span_fail(&span, "left by an exception");
        sonde_span_leave_(this);
    }

  private:
    int thrown;
    sonde_span_scope_(const sonde_span_scope_ &);
    sonde_span_scope_ &operator=(const sonde_span_scope_ &);
};
}
#endif

#endif
