/* SPDX-License-Identifier: Apache-2.0 */
/* Sentences are collected; nothing is printed here. */
#include "load/judgement.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { NOTE_SIZE_MAX = 1000 };
#define BUSY_SHARE 0.9 /* As in engine.c. */

static const char *const kind_names[] = {"good", "info", "warning", "bad"};

void judgement_init(struct judgement *judgement, struct arena *arena)
{
    *judgement = (struct judgement){.arena = arena};
}

void judgement_note(struct judgement *judgement, enum note_kind kind, const char *format, ...)
{
    char text[NOTE_SIZE_MAX];
    va_list arguments;

    if (kind == NOTE_BAD)
        judgement->failed = true;
    if (judgement->notes_count == JUDGEMENT_NOTES_MAX)
        return;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments); /* Cut, if at all. */
    va_end(arguments);
    char *kept = arena_printf(judgement->arena, "%s", text);
    if (kept != NULL)
        judgement->notes[judgement->notes_count++] = (struct judgement_note){kind, kept};
}

void judgement_figure(struct judgement *judgement, const char *key, const char *title, double value)
{
    if (judgement->figures_count < JUDGEMENT_NOTES_MAX)
        judgement->figures[judgement->figures_count++] =
            (struct judgement_figure){key, title, value};
}

void judgement_judge(struct judgement *judgement, const struct criterion *criteria, size_t count,
                     const struct outcome *outcome)
{
    for (size_t i = 0; i < count && judgement->results_count < JUDGEMENT_CRITERIA_MAX; i++) {
        double measured = criterion_measure(&criteria[i], outcome);
        bool holds = criterion_holds(&criteria[i], measured);
        judgement->results[judgement->results_count++] =
            (struct judgement_result){&criteria[i], measured, holds};
        judgement->failed = judgement->failed || !holds;
    }
}

static void note_generator(struct judgement *judgement, const struct outcome *outcome)
{
    const struct tally_links *links = &outcome->links;

    bool saturated = outcome->saturated && outcome->agents_count == 0; /* Else each has its note. */

    if (saturated && outcome->busiest > BUSY_SHARE)
        judgement_note(
            judgement, NOTE_WARNING,
            "The generator was the limit: a thread was busy %.0f %% of the time. Use more "
            "threads, or another machine, before you believe these figures.",
            outcome->busiest * 100);
    else if (saturated)
        judgement_note(
            judgement, NOTE_WARNING,
            "The generator was late: one arrival in a hundred was looked at %.1f ms after "
            "its time. This machine is too busy for this rate.",
            histogram_at(&links->lateness, 0.99) / (double)CLOCK_NS_PER_MS);
    if (links->dropped > 0)
        judgement_note(judgement, NOTE_WARNING,
                       "%" PRIu64 " of %" PRIu64
                       " arrivals were never sent: the queue was full, or "
                       "the end came first. The latencies leave them out.",
                       links->dropped, links->arrivals);
    if (links->unfinished > 0)
        judgement_note(judgement, NOTE_WARNING,
                       "%" PRIu64 " request%s still under way when the run was over.",
                       links->unfinished, links->unfinished == 1 ? " was" : "s were");
}

static void note_agents(struct judgement *judgement, const struct outcome *outcome)
{
    for (size_t i = 0; i < outcome->agents_count; i++) {
        const struct outcome_agent *agent = &outcome->agents[i];
        if (agent->state == OUTCOME_AGENT_LOST)
            judgement_note(
                judgement, NOTE_BAD,
                "The agent %s was lost after %.1f s: %s. What it did from then on is not in "
                "these figures, and the load was probably less than asked for.",
                agent->name, agent->left_s, agent->reason);
        else if (agent->state == OUTCOME_AGENT_ENDED)
            judgement_note(judgement, NOTE_BAD,
                           "The agent %s ended after %.1f s: %s. Its part of the load is missing "
                           "from then on.",
                           agent->name, agent->left_s, agent->reason);
        else if (agent->saturated && agent->busiest <= BUSY_SHARE)
            judgement_note(
                judgement, NOTE_WARNING,
                "The agent %s was late: it looked at one arrival in a hundred %.1f ms after "
                "its time. That machine is too busy for its part of the rate.",
                agent->name, agent->late_p99_ms);
        else if (agent->saturated)
            judgement_note(
                judgement, NOTE_WARNING,
                "The agent %s was itself the limit: its busiest thread worked %.0f %% of "
                "the time. Give it less, or the load more agents.",
                agent->name, agent->busiest * 100);
    }
}

static void note_target(struct judgement *judgement, const struct outcome *outcome)
{
    const struct tally_links *links = &outcome->links;
    const struct plan *plan = outcome->plan;
    double share = links->arrivals == 0 ? 0 : (double)links->queued.count / (double)links->arrivals;

    if (plan->model == MODEL_OPEN && share > 0.01)
        judgement_note(
            judgement, NOTE_INFO,
            "%.1f %% of the arrivals waited for one of the %u connections, at most %" PRId64
            " at a time: latency counts that wait, service time does not.",
            share * 100, plan->connections, links->backlog_max);
    if (links->closed_early > links->connected / 10 + 10)
        judgement_note(judgement, NOTE_INFO,
                       "The server closed %" PRIu64 " kept-alive connections by itself.",
                       links->closed_early);
    if (outcome->total.requests == 0 && outcome->finished)
        judgement_note(judgement, NOTE_BAD, "No request was finished.");
    else if (outcome->total.answers == 0 && outcome->finished)
        judgement_note(judgement, NOTE_BAD, "No request was answered.");
}

void judgement_note_run(struct judgement *judgement, const struct outcome *outcome)
{
    if (outcome->interrupted)
        judgement_note(judgement, NOTE_WARNING, "The run was interrupted after %.1f s.",
                       outcome->duration_s);
    if (outcome->aborted)
        judgement_note(judgement, NOTE_BAD,
                       "Ended early after %.1f s: a criterion was beyond hope.",
                       outcome->duration_s);
    note_agents(judgement, outcome);
    note_generator(judgement, outcome);
    note_target(judgement, outcome);
    for (unsigned i = 0; i < FAULT_COUNT; i++) {
        uint64_t count = outcome->total.faults[i];
        if (count > 0)
            judgement_note(judgement, NOTE_INFO, "%s: %" PRIu64 " request%s, %.2f %%: %s.",
                           fault_name((enum fault)i), count, str_plural(count),
                           100 * (double)count / (double)outcome->total.requests,
                           fault_text((enum fault)i));
    }
}

static void add_results(const struct judgement *judgement, struct json *json)
{
    json_key(json, "criteria");
    json_open(json, '[');
    for (size_t i = 0; i < judgement->results_count; i++) {
        const struct judgement_result *result = &judgement->results[i];
        struct buf measured CLEANUP(buf_done) = {0};
        criterion_write_value(result->criterion, result->measured, &measured);
        json_open(json, '{');
        json_key(json, "criterion");
        json_add_str(json, result->criterion->text);
        json_key(json, "holds");
        json_add_bool(json, result->holds);
        json_key(json, "measured");
        json_add_str(json, buf_view(&measured));
        json_close(json, '}');
    }
    json_close(json, ']');
}

void judgement_add_notes(const struct judgement *judgement, struct json *json)
{
    json_key(json, "notes");
    json_open(json, '[');
    for (size_t i = 0; i < judgement->notes_count; i++) {
        json_open(json, '{');
        json_key(json, "kind");
        json_add_text(json, kind_names[judgement->notes[i].kind]);
        json_key(json, "text");
        json_add_text(json, judgement->notes[i].text);
        json_close(json, '}');
    }
    json_close(json, ']');
}

void judgement_add_json(const struct judgement *judgement, struct json *json)
{
    json_key(json, "verdict");
    json_add_text(json, judgement->failed ? "failed" : "passed");
    if (judgement->failed_by != NULL)
        json_put_text(json, "failed_by", judgement->failed_by);
    add_results(judgement, json);
    judgement_add_notes(judgement, json);
    json_key(json, "figures");
    json_open(json, '{');
    for (size_t i = 0; i < judgement->figures_count; i++) {
        json_key(json, judgement->figures[i].key);
        json_add_double(json, judgement->figures[i].value);
    }
    json_close(json, '}');
}
