/* SPDX-License-Identifier: Apache-2.0 */
/* The parts look; here their findings are put in order and become the sentences of a verdict. A
 * machine that was full is always worth one; what traces show is, where the load failed by it. */
#include "analysis/load_explain_priv.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

enum { CAUSES_TOLD = 3 };

struct str load_text(const struct load_look *look, const char *format, ...)
{
    struct buf text CLEANUP(buf_done) = {0};
    va_list arguments;

    va_start(arguments, format);
    buf_vprintf(&text, format, arguments);
    va_end(arguments);
    return arena_str(look->arena, buf_view(&text));
}

void load_finding_add(const struct load_look *look, const struct load_finding *finding)
{
    struct load_explained *explained = look->explained;

    if (explained->findings_count < LOAD_FINDINGS_MAX)
        explained->findings[explained->findings_count++] = *finding;
}

static int cause_first(const void *a, const void *b)
{
    const struct load_finding *left = a;
    const struct load_finding *right = b;

    if (left->is_cause != right->is_cause)
        return left->is_cause ? -1 : 1;
    if (left->weight != right->weight)
        return left->weight > right->weight ? -1 : 1;
    return str_compare(left->finding.id, right->finding.id);
}

/* ---- The verdict. ---- */

static void note(const struct load_look *look, bool is_warning, struct str text)
{
    struct load_explained *explained = look->explained;

    if (explained->notes_count == LOAD_NOTES_MAX)
        return;
    explained->notes[explained->notes_count].is_warning = is_warning;
    explained->notes[explained->notes_count++].text = text;
}

/* "p95 < 300ms broke (812 ms): …", with the criterion that the finding is about. */
static void note_cause(const struct load_look *look, const struct load_finding *finding)
{
    const struct load_facts *facts = look->facts;
    bool is_error = str_starts(finding->finding.id, STR("error_origin"));
    struct str broken = is_error ? facts->errors : facts->slow;
    struct buf traces CLEANUP(buf_done) = {0};

    for (size_t i = 0; i < finding->trace_ids_count && i < 2; i++) {
        buf_text(&traces, i == 0 ? " (trace " : ", ");
        for (size_t k = 0; k < TRACE_ID_BYTES; k++)
            buf_printf(&traces, "%02x", finding->trace_ids[i][k]);
    }
    if (traces.size > 0)
        buf_byte(&traces, ')');
    note(look, true,
         load_text(look, "%.*s: %.*s%.*s", STR_ARG(broken), STR_ARG(finding->finding.claim),
                   STR_ARG(buf_view(&traces))));
}

static void write_notes(const struct load_look *look)
{
    const struct load_facts *facts = look->facts;
    const struct load_explained *explained = look->explained;
    bool has_broken = facts->slow.size > 0 || facts->errors.size > 0;
    size_t told = 0, causes = 0;

    for (size_t i = 0; i < explained->findings_count && told < CAUSES_TOLD; i++) {
        const struct load_finding *finding = &explained->findings[i];
        bool is_host = finding->trace_ids_count == 0;
        causes += finding->is_cause;
        if (finding->is_cause)
            note_cause(look, finding);
        else if (is_host && finding->finding.severity >= SEVERITY_WARNING)
            note(look, facts->has_failed, finding->finding.claim);
        else
            continue;
        told++;
    }
    if (causes == 0 && (has_broken || facts->has_failed))
        note(look, true,
             load_text(look, "Nothing that the daemon saw of the target explains it: %s, and %s.",
                       !facts->is_here ? "it watches another machine"
                       : told == 0     ? "no resource of its machine was saturated"
                                       : "what its machine was short of makes slow, not wrong",
                       explained->entry_spans == 0 ? "there are no spans of that time"
                                                   : "no span stands out"));
}

/* A machine that was full explains slowness, too, where that is what broke. */
static void mark_causes(struct load_explained *explained, const struct load_facts *facts)
{
    for (size_t i = 0; i < explained->findings_count; i++) {
        struct load_finding *finding = &explained->findings[i];
        if (finding->trace_ids_count == 0 && facts->slow.size > 0)
            finding->is_cause = true;
    }
}

void load_explain_done(struct load_explained *explained)
{
    for (size_t i = 0; i < explained->entries_count; i++) {
        if (explained->entries[i].was_surveyed)
            trace_survey_done(&explained->entries[i].survey);
    }
    explained->entries_count = 0;
}

static bool is_whole(const struct load_explained *explained)
{
    for (size_t i = 0; i < explained->findings_count; i++) {
        const struct finding *finding = &explained->findings[i].finding;
        if (finding->claim.data == NULL || finding->evidence.data == NULL ||
            finding->id.data == NULL)
            return false;
    }
    for (size_t i = 0; i < explained->notes_count; i++) {
        if (explained->notes[i].text.data == NULL)
            return false;
    }
    return true;
}

static enum err look_at_all(const struct load_look *look, struct why *why)
{
    struct load_explained *explained = look->explained;

    TRY(load_look_host(look, why));
    TRY(load_look_spans(look, why));
    TRY(load_look_traces(look, why));
    mark_causes(explained, look->facts);
    qsort(explained->findings, explained->findings_count, sizeof(*explained->findings),
          cause_first);
    write_notes(look);
    return is_whole(explained) ? ERR_NONE
                               : arena_spent(look->arena, "the explanation of a load", why);
}

enum err load_explain(struct store_view *view, const struct load_facts *facts, struct arena *arena,
                      struct load_explained *ret_explained, struct why *why)
{
    const struct load_look look = {view, facts, arena, ret_explained};

    *ret_explained = (struct load_explained){.entry_ms = NAN, .cores = NAN};
    enum err err = look_at_all(&look, why);
    if (err != ERR_NONE)
        load_explain_done(ret_explained);
    return err;
}
