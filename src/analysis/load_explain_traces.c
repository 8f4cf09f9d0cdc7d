/* SPDX-License-Identifier: Apache-2.0 */
/* The spans: which operations answered the load, what their slow traces spend their time on, and
 * where failed ones began to fail.
 *
 * Where requests carried a trace id of the run, a span whose parent is the run is one that answered
 * a request. Where none came back (an SDK that begins traces of its own, a proxy that drops the
 * header) every span that came from outside counts instead, which the answer says. */
#include "analysis/load_explain_priv.h"
#include "analysis/trace_visit.h"

#include "base/clock.h"
#include "base/map.h"
#include "stats/array.h"
#include "stats/describe.h"

#include <math.h>
#include <stdlib.h>

enum {
    OPERATIONS_MAX = 500,
    DURATIONS_MAX = 200000, /* Of spans that answered; further ones are left out of their P95. */
    FAILED_MAX = 24,        /* Failed traces that are read whole. */
};
#define SENDERS_MS     (INT64_C(15) * 60 * CLOCK_MS_PER_S) /* Who sent spans so long ago may again. */
#define SHARE_MIN      0.20 /* Of the time of slow requests, from which on something is a cause. */
#define ANSWERS_MS_MAX (INT64_C(60) * CLOCK_MS_PER_S) /* Behind the end of the run. */
#define HARM_NS        (INT64_C(1) * 1000000)         /* Less is not worth a word. */
#define WAITED_MS      20.0                           /* Before the service began. */
#define WAITED_MORE    2.0

/* Spans of one kind: ours, or any from outside. */
struct heap {
    struct map by_name; /* To the entry + 1. */
    struct load_entry *entries;
    size_t count;
    uint64_t spans;
    double *durations_ms;
    size_t durations_count;
};

struct walker {
    const struct load_look *look;
    struct heap ours;
    struct heap outside;
    struct buf key;
    bool only_counts;
};

/* Requests begun at the end are answered after it: those that name the run are its own still. */
static int64_t end_ms(const struct load_facts *facts)
{
    return facts->to_ms + (facts->has_trace_run ? ANSWERS_MS_MAX : 0);
}

static enum err heap_begin(struct heap *heap, struct arena *arena, struct why *why)
{
    heap->entries = ARENA_ARRAY(arena, OPERATIONS_MAX, struct load_entry);
    heap->durations_ms = ARENA_ARRAY_RAW(arena, DURATIONS_MAX, double);
    if (heap->entries == NULL || heap->durations_ms == NULL)
        return arena_spent(arena, "the explanation of a load", why);
    return ERR_NONE;
}

static enum err find_entry(struct walker *walker, struct heap *heap, struct str service,
                           struct str name, struct load_entry **ret_entry, struct why *why)
{
    struct arena *arena = walker->look->arena;

    buf_clear(&walker->key);
    buf_str(&walker->key, service);
    buf_byte(&walker->key, 0);
    buf_str(&walker->key, name);
    *ret_entry = map_get(&heap->by_name, buf_view(&walker->key));
    if (*ret_entry != NULL || heap->count == OPERATIONS_MAX)
        return ERR_NONE;
    struct str key = arena_str(arena, buf_view(&walker->key));
    struct load_entry *entry = &heap->entries[heap->count];
    entry->service = arena_str(arena, service);
    entry->name = arena_str(arena, name);
    if (key.data == NULL || entry->service.data == NULL || entry->name.data == NULL)
        return arena_spent(arena, "the explanation of a load", why);
    heap->count++;
    (void)map_put(&heap->by_name, key, entry);
    *ret_entry = entry;
    return ERR_NONE;
}

static enum err take(struct walker *walker, struct heap *heap, const struct span_run *run, size_t i,
                     struct why *why)
{
    int64_t duration_ns = run->duration_ns[i] > 0 ? run->duration_ns[i] : 0;
    struct load_entry *entry;

    heap->spans++;
    if (walker->only_counts)
        return ERR_NONE;
    if (heap->durations_count < DURATIONS_MAX)
        heap->durations_ms[heap->durations_count++] = (double)duration_ns / CLOCK_NS_PER_MS;
    TRY(find_entry(walker, heap, run->resources[run->resource_of[i]].service_name,
                   run->texts[run->name_of[i]], &entry, why));
    if (entry == NULL)
        return ERR_NONE;
    entry->spans++;
    entry->errors += run->kinds[i] >> 3 == SPAN_STATUS_ERROR;
    entry->total_ns = trace_sum_ns(entry->total_ns, duration_ns);
    return ERR_NONE;
}

static enum err show(void *self, const struct span_run *run, bool *is_enough, struct why *why)
{
    static const uint8_t none[SPAN_ID_BYTES];
    struct walker *walker = self;
    const struct load_facts *facts = walker->look->facts;

    (void)is_enough;
    for (size_t i = 0; i < run->count; i++) {
        const uint8_t *parent = run->parent_ids + i * SPAN_ID_BYTES;
        const uint8_t *trace = run->traces + run->trace_of[i] * TRACE_ID_BYTES;
        uint64_t kind = run->kinds[i] & 7;
        bool is_within = run->start_ns[i] <= facts->to_ms * CLOCK_NS_PER_MS;
        if (run->wanted != NULL && !run->wanted[i])
            continue;
        walker->look->explained->spans += is_within;
        if (facts->has_trace_run && memcmp(parent, facts->trace_run, SPAN_ID_BYTES) == 0 &&
            memcmp(trace, facts->trace_run, SPAN_ID_BYTES) == 0)
            TRY(take(walker, &walker->ours, run, i, why));
        else if (!is_within)
            continue;
        else if (kind == SPAN_KIND_SERVER || kind == SPAN_KIND_CONSUMER ||
                 memcmp(parent, none, SPAN_ID_BYTES) == 0)
            TRY(take(walker, &walker->outside, run, i, why));
    }
    return ERR_NONE;
}

static int most_time_first(const void *a, const void *b)
{
    const struct load_entry *left = a;
    const struct load_entry *right = b;

    if (left->total_ns != right->total_ns)
        return left->total_ns > right->total_ns ? -1 : 1;
    return str_compare(left->name, right->name);
}

static void settle(struct walker *walker)
{
    struct load_explained *explained = walker->look->explained;
    bool ours = walker->ours.spans > 0;
    struct heap *heap = ours ? &walker->ours : &walker->outside;

    explained->entries_are_ours = ours;
    explained->entry_spans = heap->spans;
    explained->entry_ms =
        describe_quantile(heap->durations_ms, heap->durations_count, walker->look->facts->quantile);
    qsort(heap->entries, heap->count, sizeof(*heap->entries), most_time_first);
    for (size_t i = 0; i < heap->count && i < LOAD_ENTRIES_MAX; i++)
        explained->entries[explained->entries_count++] = heap->entries[i];
}

static enum err walk(const struct load_look *look, bool only_counts, struct why *why)
{
    struct walker walker = {.look = look, .only_counts = only_counts};
    struct trace_query query = TRACE_QUERY_ANY;
    const struct span_walk walk = {.query = &query, .self = &walker, .show = show};

    if (look->view->ops->traces == NULL)
        return ERR_NONE;
    query.from_ms = look->facts->from_ms;
    query.to_ms = end_ms(look->facts);
    query.limit = SIZE_MAX;
    enum err err = only_counts ? ERR_NONE : heap_begin(&walker.ours, look->arena, why);
    if (err == ERR_NONE && !only_counts)
        err = heap_begin(&walker.outside, look->arena, why);
    if (err == ERR_NONE)
        err = look->view->ops->traces->walk(look->view, &walk, why);
    if (err == ERR_NONE && !only_counts)
        settle(&walker);
    if (err == ERR_NONE && only_counts)
        look->explained->entry_spans = walker.ours.spans;
    map_done(&walker.ours.by_name);
    map_done(&walker.outside.by_name);
    buf_done(&walker.key);
    return err;
}

enum err load_look_spans(const struct load_look *look, struct why *why)
{
    return walk(look, false, why);
}

static enum err look_for_senders(const struct load_look *look, struct why *why)
{
    struct trace_query query = TRACE_QUERY_ANY;
    struct span_list spans;

    look->explained->has_senders = look->explained->spans > 0;
    if (look->explained->has_senders || look->view->ops->traces == NULL)
        return ERR_NONE;
    query.from_ms = look->facts->from_ms - SENDERS_MS;
    query.limit = 1;
    TRY(look->view->ops->traces->search(look->view, &query, look->arena, &spans, why));
    look->explained->has_senders = spans.count > 0;
    return ERR_NONE;
}

enum err load_explain_count(struct store_view *view, const struct load_facts *facts,
                            struct arena *arena, struct load_explained *ret_explained,
                            struct why *why)
{
    const struct load_look look = {view, facts, arena, ret_explained};

    ret_explained->spans = ret_explained->entry_spans = 0;
    TRY(walk(&look, true, why));
    return look_for_senders(&look, why);
}

/* ---- Slow ones. ---- */

static bool is_about_time(enum trace_finding_kind kind)
{
    return kind != TRACE_CLOCK_SKEW && kind != TRACE_INCOMPLETE && kind != TRACE_ERROR_ORIGIN;
}

static void keep_ids(struct load_finding *finding, const uint8_t (*ids)[TRACE_ID_BYTES],
                     size_t count)
{
    for (size_t i = 0; i < count && i < LOAD_FINDING_IDS_MAX; i++)
        memcpy(finding->trace_ids[finding->trace_ids_count++], ids[i], TRACE_ID_BYTES);
}

/* "812 ms" of a mean. */
static struct str ns_text(const struct load_look *look, double ns)
{
    struct buf text CLEANUP(buf_done) = {0};

    trace_write_ns(&text, (int64_t)ns);
    return load_text(look, "%.*s", STR_ARG(buf_view(&text)));
}

/* Do both speak of the same operation? Then once is enough. */
static bool is_same(const struct trace_finding *a, const struct trace_finding *b)
{
    return str_eq(a->service, b->service) && str_eq(a->operation, b->operation);
}

/* What many slow traces have in common; false: it is not worth a word. */
static bool tell_tally(const struct load_look *look, const struct load_entry *entry,
                       const struct trace_tally *tally)
{
    const struct trace_finding *found = &tally->finding;
    size_t slow = entry->survey.slow->count;
    double share = tally->share_sum / (double)tally->traces;
    double mean_ns = (double)tally->time_sum_ns / (double)tally->traces;

    if (!is_about_time(found->kind) || share < SHARE_MIN || 2 * (size_t)tally->traces < slow ||
        mean_ns < HARM_NS)
        return false;
    /* What no span covers is where to look, and no cause. */
    struct load_finding finding = {.weight = found->kind == TRACE_GAP ? share / 2 : share,
                                   .is_cause = look->facts->slow.size > 0};
    keep_ids(&finding, tally->trace_ids, tally->trace_ids_count);
    struct str time = ns_text(look, mean_ns);
    finding.finding = found->finding;
    finding.finding.claim =
        load_text(look,
                  "Slow requests to %.*s (%.*s) spend %.0f %% of their time on this, %.*s each. "
                  "%.*s",
                  STR_ARG(entry->name), STR_ARG(entry->service), share * 100, STR_ARG(time),
                  STR_ARG(found->finding.claim));
    finding.finding.evidence =
        load_text(look, "In %u of the %zu slow traces that were read, of %zu. %.*s", tally->traces,
                  slow, entry->survey.traces, STR_ARG(found->finding.evidence));
    load_finding_add(look, &finding);
    return true;
}

/* What the slow ones do that the usual ones do not; it names whole requests, so only where the
 * slow are much slower. */
static void tell_difference(const struct load_look *look, const struct load_entry *entry,
                            const struct trace_finding *difference)
{
    const struct survey *survey = &entry->survey;

    if (difference->share < SHARE_MIN || difference->saving_ns < HARM_NS ||
        survey->p99_ns < 2 * survey->p50_ns || difference->finding.severity < SEVERITY_WARNING)
        return;
    struct load_finding finding = {.weight = difference->share * 0.9, /* Behind what all do. */
                                   .is_cause = look->facts->slow.size > 0};
    for (size_t i = 0; i < survey->slow->count && i < LOAD_FINDING_IDS_MAX; i++)
        memcpy(finding.trace_ids[finding.trace_ids_count++],
               survey->slow->items[survey->slow->count - 1 - i].trace_id, TRACE_ID_BYTES);
    finding.finding = difference->finding;
    finding.finding.claim =
        load_text(look, "Of requests to %.*s (%.*s): %.*s", STR_ARG(entry->name),
                  STR_ARG(entry->service), STR_ARG(difference->finding.claim));
    load_finding_add(look, &finding);
}

static enum err survey_entry(const struct load_look *look, struct load_entry *entry,
                             struct why *why)
{
    const struct survey_question question = {
        .service = entry->service,
        .operation = entry->name,
        .from_ms = look->facts->from_ms,
        .to_ms = look->explained->entries_are_ours ? end_ms(look->facts) : look->facts->to_ms,
        .traces_max = SURVEY_TRACES_MAX,
    };
    bool told[SURVEY_DIFFERENCES_MAX];

    TRY(trace_survey(look->view, &question, look->arena, &entry->survey, why));
    entry->was_surveyed = true;
    for (size_t i = 0; i < entry->survey.differences_count; i++)
        told[i] = false;
    for (size_t i = 0; i < entry->survey.tallies.count; i++) {
        const struct trace_tally *tally = entry->survey.tallies.items[i];
        if (!tell_tally(look, entry, tally))
            continue;
        for (size_t k = 0; k < entry->survey.differences_count; k++)
            told[k] = told[k] || is_same(&tally->finding, &entry->survey.differences[k]);
    }
    for (size_t i = 0; i < entry->survey.differences_count; i++) {
        if (!told[i])
            tell_difference(look, entry, &entry->survey.differences[i]);
    }
    return ERR_NONE;
}

/* ---- Failed ones. ---- */

struct failing {
    const struct load_look *look;
    struct arena *scratch;
    struct trace_tallies tallies;
    size_t read;
};

static enum err show_failed(void *self, const uint8_t trace_id[TRACE_ID_BYTES],
                            const struct span_list *spans, struct why *why)
{
    struct failing *failing = self;
    struct trace_explained explained;

    TRY(trace_explain(spans->items, spans->count, failing->scratch, &explained, why));
    failing->read++;
    return trace_tallies_add(&failing->tallies, trace_id, &explained, why);
}

static void tell_failures(const struct failing *failing)
{
    const struct load_look *look = failing->look;

    for (size_t i = 0; i < failing->tallies.count; i++) {
        const struct trace_tally *tally = failing->tallies.items[i];
        double share = (double)tally->traces / (double)failing->read;
        if (tally->finding.kind != TRACE_ERROR_ORIGIN || share < SHARE_MIN)
            continue;
        struct load_finding finding = {.weight = share, .is_cause = look->facts->errors.size > 0};
        keep_ids(&finding, tally->trace_ids, tally->trace_ids_count);
        finding.finding = tally->finding.finding;
        finding.finding.severity = SEVERITY_CRITICAL;
        finding.finding.claim = load_text(look, "In %u of %zu failed traces: %.*s", tally->traces,
                                          failing->read, STR_ARG(tally->finding.finding.claim));
        load_finding_add(look, &finding);
    }
}

static enum err read_failed(struct failing *failing, struct why *why)
{
    const struct load_look *look = failing->look;
    const struct trace_visit visit = {look->view, failing->scratch, failing, show_failed};
    struct trace_query query = TRACE_QUERY_ANY;
    uint8_t ids[FAILED_MAX][TRACE_ID_BYTES];
    struct span_list spans;
    size_t count = 0;

    query.from_ms = look->facts->from_ms;
    query.to_ms = end_ms(look->facts);
    query.only_errors = true;
    query.limit = (size_t)FAILED_MAX * 8; /* Several spans of a trace fail. */
    TRY(look->view->ops->traces->search(look->view, &query, look->arena, &spans, why));
    for (size_t i = 0; i < spans.count && count < FAILED_MAX; i++) {
        bool known = false;
        for (size_t k = 0; k < count && !known; k++)
            known = memcmp(ids[k], spans.items[i].trace_id, TRACE_ID_BYTES) == 0;
        bool is_ours = memcmp(spans.items[i].trace_id, look->facts->trace_run, SPAN_ID_BYTES) == 0;
        if (!known && (is_ours || !look->explained->entries_are_ours))
            memcpy(ids[count++], spans.items[i].trace_id, TRACE_ID_BYTES);
    }
    TRY(trace_visit_all(&visit, (const uint8_t(*)[TRACE_ID_BYTES])ids, count, why));
    trace_tallies_sort(&failing->tallies);
    if (failing->read > 0)
        tell_failures(failing);
    return ERR_NONE;
}

static enum err look_failed(const struct load_look *look, struct why *why)
{
    struct arena *scratch CLEANUP(arena_freep) =
        arena_new_beside(look->arena, arena_budget(look->arena));
    struct failing failing = {.look = look, .scratch = scratch};

    if (look->facts->failures == 0)
        return ERR_NONE;
    TRY(trace_tallies_init(&failing.tallies, look->arena, why));
    enum err err = read_failed(&failing, why);
    trace_tallies_done(&failing.tallies);
    return err;
}

/* ---- Before the service began. ---- */

static void judge_waiting(const struct load_look *look)
{
    const struct load_facts *facts = look->facts;
    const struct load_explained *explained = look->explained;
    double waited_ms = facts->service_ms - explained->entry_ms;

    if (!explained->entries_are_ours || !(waited_ms >= WAITED_MS) ||
        facts->service_ms < WAITED_MORE * explained->entry_ms ||
        explained->entry_spans < facts->requests / 2)
        return;
    struct load_finding finding = {.weight = waited_ms / facts->service_ms,
                                   .is_cause = facts->slow.size > 0};
    struct str all = ns_text(look, facts->service_ms * CLOCK_NS_PER_MS);
    struct str within = ns_text(look, explained->entry_ms * CLOCK_NS_PER_MS);
    finding.finding = (struct finding){
        .id = STR("waited_outside"),
        .severity = SEVERITY_WARNING,
        .claim = load_text(look,
                           "Requests took %.*s (P%g), and only %.*s of it in spans of the service: "
                           "they waited before it began with them.",
                           STR_ARG(all), facts->quantile * 100, STR_ARG(within)),
        .evidence = load_text(look, "%llu spans answered the %llu requests.",
                              (unsigned long long)explained->entry_spans,
                              (unsigned long long)facts->requests),
        .next_step = STR("They queue for a worker, a thread or the event loop, or on the network: "
                         "give the service more workers, or look at a profile of what keeps it."),
        .expr = STR(""),
        .confidence = 0.8,
    };
    load_finding_add(look, &finding);
}

enum err load_look_traces(const struct load_look *look, struct why *why)
{
    if (look->view->ops->traces == NULL)
        return ERR_NONE;
    for (size_t i = 0; i < look->explained->entries_count; i++)
        TRY(survey_entry(look, &look->explained->entries[i], why));
    judge_waiting(look);
    return look_failed(look, why);
}
