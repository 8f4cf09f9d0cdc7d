/* SPDX-License-Identifier: Apache-2.0 */
/* The answer is kept as it came, for programs; people get it as sentences and tables. A daemon of
 * another version may tell less or more: what is missing is left out. */
#include "load/witness.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "codec/json_tree.h"
#include "document/document.h"
#include "load/judgement.h"
#include "load/outcome.h"

#include <math.h>
#include <stdio.h>

enum { ANSWER_BYTES_MAX = 4 << 20, ANSWERERS_MAX = 20 };

struct witness {
    struct str json;
    struct str url; /* Without a slash at its end. */
    const struct node *root;
};

/* ---- Reading. ---- */

static struct str text_at(const struct node *node, const char *key)
{
    const struct node *child = node_get(node, key);

    return child != NULL && child->kind == NODE_SCALAR ? child->text : STR("");
}

static double number_at(const struct node *node, const char *key)
{
    const struct node *child = node_get(node, key);
    double value;

    return child != NULL && node_double(child, &value, NULL) == ERR_NONE ? value : NAN;
}

/* The first of a list; NULL where there is none. */
static const struct node *first_of(const struct node *node, const char *key)
{
    const struct node *list = node_get(node, key);

    return list != NULL && list->kind == NODE_LIST ? list->first : NULL;
}

enum err witness_read(struct str json, struct str url, struct arena *arena,
                      struct witness **ret_witness, struct why *why)
{
    struct witness *witness = ARENA_NEW(arena, struct witness);
    struct buf text CLEANUP(buf_done) = {0};

    while (str_ends(url, STR("/")))
        url.size--;
    json = str_trim(json);
    struct str kept = arena_str(arena, json);
    if (witness == NULL || kept.data == NULL)
        return arena_spent(arena, "what the daemon saw", why);
    TRY(json_read(kept, "the daemon's answer", ANSWER_BYTES_MAX, arena, &witness->root, why));
    if (witness->root->kind != NODE_MAP || node_get(witness->root, "entry_spans") == NULL)
        return fail(why, ERR_INVALID, "the daemon's answer tells nothing of a load");
    buf_text(&text, "{\"daemon\":");
    json_str(&text, url);
    buf_byte(&text, ',');
    buf_append(&text, json.data + 1, json.size - 1);
    witness->json = arena_str(arena, buf_view(&text));
    witness->url = arena_str(arena, url);
    if (witness->json.data == NULL || witness->url.data == NULL)
        return arena_spent(arena, "what the daemon saw", why);
    *ret_witness = witness;
    return ERR_NONE;
}

struct str witness_json(const struct witness *witness)
{
    return witness->json;
}

void witness_note(const struct witness *witness, struct judgement *judgement)
{
    for (const struct node *note = first_of(witness->root, "notes"); note != NULL;
         note = note->next) {
        bool is_warning = str_eq(text_at(note, "kind"), STR("warning"));
        judgement_note(judgement, is_warning ? NOTE_WARNING : NOTE_INFO, "%.*s",
                       STR_ARG(text_at(note, "text")));
    }
}

/* ---- Telling. ---- */

static void put_text(struct table *table, struct str text)
{
    struct buf copy CLEANUP(buf_done) = {0};

    buf_str(&copy, text);
    table_text(table, buf_cstr(&copy));
}

static void put_trace(const struct witness *witness, struct table *table, struct str id)
{
    struct buf text CLEANUP(buf_done) = {0};
    struct buf link CLEANUP(buf_done) = {0};

    buf_str(&text, id);
    if (witness != NULL && id.size > 0)
        buf_printf(&link, "%.*s/#/trace?id=%.*s", STR_ARG(witness->url), STR_ARG(id));
    if (link.size > 0)
        table_link(table, buf_cstr(&text), buf_cstr(&link));
    else
        table_text(table, buf_cstr(&text));
}

static void add_findings(const struct witness *witness, struct document *document)
{
    for (const struct node *item = first_of(witness->root, "findings"); item != NULL;
         item = item->next) {
        struct str severity = text_at(item, "severity");
        enum status status = str_eq(severity, STR("critical"))  ? STATUS_BAD
                             : str_eq(severity, STR("warning")) ? STATUS_WARNING
                                                                : STATUS_INFO;
        document_mark(document, status, "%.*s %.*s %.*s", STR_ARG(text_at(item, "claim")),
                      STR_ARG(text_at(item, "evidence")), STR_ARG(text_at(item, "next_step")));
    }
}

static void put_figure(struct table *table, struct str unit, double value)
{
    struct buf text CLEANUP(buf_done) = {0};

    if (isnan(value)) {
        buf_text(&text, "–");
    } else if (str_eq(unit, STR("ratio"))) {
        document_format(&text, value, UNIT_RATIO);
    } else if (str_eq(unit, STR("bytes_per_second"))) {
        document_format(&text, value, UNIT_BYTES);
        buf_text(&text, "/s");
    } else {
        buf_printf(&text, value != 0 && fabs(value) < 10 ? "%.1f" : "%.0f", value);
        if (str_eq(unit, STR("per_second")))
            buf_text(&text, "/s");
    }
    table_text(table, buf_cstr(&text));
}

static void add_figures(const struct witness *witness, struct document *document)
{
    static const struct column columns[] = {
        {"figure", "Machine", UNIT_NONE, true},
        {"before", "Before", UNIT_NONE, true},
        {"during", "During", UNIT_NONE, true},
        {"peak", "Peak (5 s)", UNIT_NONE, true},
    };
    const struct node *item = first_of(witness->root, "figures");

    if (item == NULL)
        return;
    struct table *table =
        document_table(document, "figures", "The machine", columns, ARRAY_COUNT(columns));
    for (; item != NULL; item = item->next) {
        struct buf title CLEANUP(buf_done) = {0};
        struct str unit = text_at(item, "unit");
        struct str subject = text_at(item, "subject");
        buf_str(&title, text_at(item, "title"));
        if (subject.size > 0)
            buf_printf(&title, " (%.*s)", STR_ARG(subject));
        table_add_row(table, STATUS_NONE);
        table_text(table, buf_cstr(&title));
        put_figure(table, unit, number_at(item, "before"));
        put_figure(table, unit, number_at(item, "during"));
        put_figure(table, unit, number_at(item, "peak"));
    }
}

static void put_cores(struct table *table, double cores)
{
    char text[32] = "–";

    if (!isnan(cores))
        (void)snprintf(text, sizeof(text), "%.2f", cores);
    table_text(table, text);
}

static void add_processes(const struct witness *witness, struct document *document)
{
    static const struct column columns[] = {
        {"process", "Process", UNIT_NONE, true},
        {"cores_before", "Cores before", UNIT_NONE, true},
        {"cores", "Cores during", UNIT_NONE, true},
        {"memory_bytes", "Memory", UNIT_BYTES, false},
    };
    const struct node *item = first_of(witness->root, "processes");

    if (item == NULL)
        return;
    struct table *table = document_table(document, "processes", "Processes that used most CPU",
                                         columns, ARRAY_COUNT(columns));
    for (; item != NULL; item = item->next) {
        table_add_row(table, STATUS_NONE);
        put_text(table, text_at(item, "name"));
        put_cores(table, number_at(item, "cores_before"));
        put_cores(table, number_at(item, "cores"));
        table_number(table, number_at(item, "memory_bytes"));
    }
}

static void add_services(const struct witness *witness, struct document *document)
{
    static const struct column columns[] = {
        {"service", "Service", UNIT_NONE, true}, {"operation", "Operation", UNIT_NONE, true},
        {"spans", "Spans", UNIT_COUNT, false},   {"errors", "Errors", UNIT_COUNT, false},
        {"p50_ms", "Median", UNIT_MS, false},    {"p95_ms", "P95", UNIT_MS, false},
        {"p99_ms", "P99", UNIT_MS, false},       {"slowest", "Slowest trace", UNIT_NONE, true},
    };
    const struct node *item = first_of(witness->root, "services");

    if (item == NULL)
        return;
    struct table *table = document_table(document, "services", "What answered, by its spans",
                                         columns, ARRAY_COUNT(columns));
    for (int told = 0; item != NULL && told < ANSWERERS_MAX; item = item->next, told++) {
        table_add_row(table, number_at(item, "errors") > 0 ? STATUS_WARNING : STATUS_NONE);
        put_text(table, text_at(item, "service"));
        put_text(table, text_at(item, "name"));
        for (size_t i = 2; i + 1 < ARRAY_COUNT(columns); i++)
            table_number(table, number_at(item, columns[i].key));
        put_trace(witness, table, text_at(first_of(item, "slowest"), "trace_id"));
    }
}

void witness_document_slowest(const struct witness *witness, const struct outcome *outcome,
                              struct document *document)
{
    static const struct column columns[] = {
        {"latency_ms", "Latency", UNIT_MS, false},
        {"time_s", "At", UNIT_SECONDS, false},
        {"step", "Step", UNIT_NONE, true},
        {"trace_id", "Trace", UNIT_NONE, true},
    };
    const struct trail *trail = &outcome->trail;

    if (trail->count == 0)
        return;
    struct table *table =
        document_table(document, "slowest", "Slowest requests", columns, ARRAY_COUNT(columns));
    for (size_t i = 0; i < trail->count; i++) {
        const struct trail_request *request = &trail->slowest[i];
        char id[TRAIL_ID_SIZE];
        trail_write_id(trail->run, request->low, id);
        table_add_row(table, request->failed ? STATUS_WARNING : STATUS_NONE);
        table_number(table, (double)request->latency_ns / (double)CLOCK_NS_PER_MS);
        table_number(table,
                     (double)(request->intended_ns - outcome->started_ns) / (double)CLOCK_NS_PER_S);
        table_text(table, outcome->plan->steps[request->step]->name);
        put_trace(witness, table, (struct str){id, sizeof(id)});
    }
}

void witness_document(const struct witness *witness, const char *at, struct document *document)
{
    bool is_here = str_eq(text_at(witness->root, "is_here"), STR("true"));

    document_section(document, "target", "Target");
    document_text(document, "Seen%s by the daemon at %.*s, which watches %s%.*s.", at,
                  STR_ARG(witness->url),
                  is_here ? "its machine, " : "another machine than the target's, ",
                  STR_ARG(text_at(witness->root, "host")));
    add_findings(witness, document);
    add_services(witness, document);
    add_figures(witness, document);
    add_processes(witness, document);
}
