/* SPDX-License-Identifier: Apache-2.0 */
/* traceql - traces found by what is in them, in Grafana Tempo's language.
 *
 *     { resource.service.name = "api" && duration > 500ms && status = error }
 *     { name = "GET /cart" } >> { .db.system = "postgresql" } | count() > 2
 *     { kind = server } | by(resource.service.name) | avg(duration) > 1s | select(span.http.route)
 *
 * Selectors: && || ! and parentheses; = != < <= > >= =~ !~ (anchored); + - * / % ^; text, numbers,
 * durations, true, false, nil; attributes `.x` (span, then resource), `span.x`, `resource.x`,
 * `span."odd name"`; intrinsics name, duration, status, statusMessage, kind, traceDuration,
 * rootName, rootServiceName, span:id, trace:id, parent (nil at a root), childCount; of what a span
 * has several (holds when it holds of one): `event.x`, event:name, event:timeSinceStart, `link.x`,
 * link:traceID, link:spanID; `instrumentation.x`, instrumentation:name and :version. Between
 * selectors: && || > >> < << ~. After them, each behind a |: count avg max min sum compared with a
 * number, by(…), select(…), coalesce(), another selector.
 *
 * A parsed query is read-only; any thread may use it. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "model/span.h"
#include "store/store_read.h"

#define TRACEQL_TEXT_BYTES_MAX 16384
#define TRACEQL_DEPTH_MAX      64
#define TRACEQL_NODES_MAX      1024
#define TRACEQL_FIELDS_MAX     16     /* In by and select together. */
#define TRACEQL_CANDIDATES_MAX 20000  /* Traces that the index may offer to a search. */
#define TRACEQL_SPANS_MAX      100000 /* Of one trace that are looked at. */
#define TRACEQL_GROUPS_MAX     1000   /* That by makes of one trace. */

struct traceql;

/* Everything lives in arena, except patterns, which traceql_free releases. ERR_INVALID has the
 * position, "line:column", and a hint; ERR_LIMIT names the bound. */
CHECKED enum err traceql_parse(struct str text, struct arena *arena, struct traceql **ret_query,
                               struct why *why);
struct traceql *traceql_free(struct traceql *query);  /* Always returns NULL; NULL is fine. */
void traceql_freep(struct traceql **query);           /* For CLEANUP. */
bool traceql_has_stages(const struct traceql *query); /* Anything behind a |. */

struct traceql_request {
    int64_t from_ms; /* Of a span's start; inclusive. */
    int64_t to_ms;
    size_t traces_max; /* 0: 20. */
    size_t spans_max;  /* Shown of each span set; 0: 3. */
};

struct traceql_value {
    struct str key;   /* As the query names it. */
    struct str value; /* As text. */
};

struct traceql_span {
    const struct span *span;
    struct traceql_value *values; /* What the query compared or selected. */
    size_t value_count;
};

struct traceql_set {
    struct traceql_span *spans; /* At most spans_max. */
    size_t span_count;
    size_t matched_count;         /* All that matched. */
    struct traceql_value *groups; /* Of by(…) and the aggregates. */
    size_t group_count;
};

struct traceql_trace {
    uint8_t trace_id[TRACE_ID_BYTES];
    struct str root_service; /* "" when the root has not arrived. */
    struct str root_name;
    int64_t start_ns;
    int64_t duration_ns; /* From the first start to the last end. */
    size_t span_count;
    size_t error_count;
    struct traceql_set *sets;
    size_t set_count;
};

struct traceql_answer {
    struct traceql_trace *traces; /* Newest first. */
    size_t count;
    size_t inspected_spans;
    bool is_cut; /* There may be more: a bound was reached. */
};

/* ERR_UNSUPPORTED: the view keeps no traces. ERR_LIMIT, ERR_CANCELLED. The answer lives in arena
 * and points into what view gave: write it before releasing the view. */
CHECKED enum err traceql_search(const struct traceql *query, struct store_view *view,
                                const struct traceql_request *request, struct arena *arena,
                                struct traceql_answer *ret_answer, struct why *why);

/* Does the query hold of this trace? For tails and tests; the sets are as traceql_search gives. */
CHECKED enum err traceql_match(const struct traceql *query, const struct span *spans, size_t count,
                               size_t spans_max, struct arena *arena,
                               struct traceql_trace *ret_trace, bool *ret_matches, struct why *why);

/* Tempo's search answer: {"traces":[{"traceID",…,"spanSets":[…]}],"metrics":{…}}. */
void traceql_write_json(const struct traceql_answer *answer, struct buf *out);
