/* SPDX-License-Identifier: Apache-2.0 */
/* What a report says of the machines that made the load. */
#include "base/json.h"
#include "document/document.h"
#include "load/outcome_write.h"

static const char *const state_names[] = {"ran", "ended early", "lost"};

static double share_of(const struct outcome *outcome, const struct outcome_agent *agent)
{
    return outcome->total.requests == 0 ? 0
                                        : (double)agent->requests / (double)outcome->total.requests;
}

void outcome_add_agents(struct json *json, const struct outcome *outcome)
{
    if (outcome->agents_count == 0)
        return;
    json_key(json, "agents");
    json_open(json, '[');
    for (size_t i = 0; i < outcome->agents_count; i++) {
        const struct outcome_agent *agent = &outcome->agents[i];
        json_open(json, '{');
        json_put_text(json, "name", agent->name);
        json_put_text(json, "state", state_names[agent->state]);
        if (agent->state != OUTCOME_AGENT_RAN) {
            json_put_text(json, "reason", agent->reason);
            json_put_double(json, "left_s", agent->left_s);
        }
        json_put_u64(json, "requests", agent->requests);
        json_put_u64(json, "errors", agent->failures);
        json_put_u64(json, "dropped", agent->dropped);
        json_put_double(json, "share", share_of(outcome, agent));
        json_put_double(json, "p50_ms", agent->p50_ms);
        json_put_double(json, "p99_ms", agent->p99_ms);
        json_put_double(json, "late_p99_ms", agent->late_p99_ms);
        json_put_u64(json, "threads", agent->threads);
        json_put_double(json, "busiest_thread", agent->busiest);
        json_put_double(json, "cpu_s", agent->cpu_s);
        json_put_bool(json, "saturated", agent->saturated);
        json_put_double(json, "round_trip_ms", agent->round_ms);
        json_close(json, '}');
    }
    json_close(json, ']');
}

void outcome_document_agents(struct document *document, const struct outcome *outcome)
{
    static const struct column columns[] = {
        {"agent", "Agent", UNIT_NONE, true},
        {"state", "State", UNIT_NONE, true},
        {"requests", "Requests", UNIT_COUNT, false},
        {"share", "Share", UNIT_RATIO, false},
        {"errors", "Errors", UNIT_COUNT, false},
        {"p50_ms", "Median", UNIT_MS, false},
        {"p99_ms", "P99", UNIT_MS, false},
        {"late_p99_ms", "Late P99", UNIT_MS, false},
        {"busiest", "Busiest thread", UNIT_RATIO, false},
        {"round_ms", "Round trip", UNIT_MS, false},
    };

    if (outcome->agents_count == 0)
        return;
    document_section(document, "agents", "Agents");
    struct table *table =
        document_table(document, "agents", "By agent", columns, ARRAY_COUNT(columns));
    for (size_t i = 0; i < outcome->agents_count; i++) {
        const struct outcome_agent *agent = &outcome->agents[i];
        table_add_row(table, agent->state != OUTCOME_AGENT_RAN ? STATUS_BAD
                             : agent->saturated                ? STATUS_WARNING
                                                               : STATUS_NONE);
        table_text(table, agent->name);
        table_text(table, state_names[agent->state]);
        table_number(table, (double)agent->requests);
        table_number(table, share_of(outcome, agent));
        table_number(table, (double)agent->failures);
        table_number(table, agent->p50_ms);
        table_number(table, agent->p99_ms);
        table_number(table, agent->late_p99_ms);
        table_number(table, agent->busiest);
        table_number(table, agent->round_ms);
    }
}
