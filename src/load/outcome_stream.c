/* SPDX-License-Identifier: Apache-2.0 */
/* What a run has to say about token streams: as JSON under "llm", and as a part of the document. */
#include "base/clock.h"
#include "base/json.h"
#include "document/document.h"
#include "load/outcome_write.h"

#include <math.h>
#include <stdlib.h>

static double per_second(const struct outcome *outcome, uint64_t count)
{
    return outcome->duration_s > 0 ? (double)count / outcome->duration_s : 0;
}

static bool has_price(const struct price *price)
{
    return price->input > 0 || price->output > 0;
}

static void add_slo(struct json *json, const struct slo *slo)
{
    const struct {
        const char *key;
        int64_t ns;
    } promises[] = {{"ttft_ms", slo->ttft_ns}, {"tpot_ms", slo->tpot_ns}, {"e2e_ms", slo->e2e_ns}};

    json_key(json, "slo");
    json_open(json, '{');
    for (size_t i = 0; i < ARRAY_COUNT(promises); i++) {
        if (promises[i].ns > 0)
            json_put_double(json, promises[i].key,
                            (double)promises[i].ns / (double)CLOCK_NS_PER_MS);
    }
    json_close(json, '}');
}

void outcome_add_streams(struct json *json, const struct outcome *outcome)
{
    const struct stream_tally *streams = outcome->streams;

    if (streams == NULL)
        return;
    json_key(json, "llm");
    json_open(json, '{');
    json_put_u64(json, "streams", streams->streams);
    json_put_u64(json, "good", streams->good);
    json_put_double(json, "goodput", per_second(outcome, streams->good));
    add_slo(json, &outcome->plan->slo);
    outcome_add_histogram(json, "ttft_ms", &streams->ttft);
    outcome_add_histogram(json, "itl_ms", &streams->gap);
    outcome_add_histogram(json, "tpot_ms", &streams->tpot);
    outcome_add_histogram(json, "e2e_ms", &streams->e2e);
    json_put_u64(json, "token_chunks", streams->chunks);
    json_put_u64(json, "tokens_in", streams->tokens_in);
    json_put_u64(json, "tokens_cached", streams->tokens_cached);
    json_put_u64(json, "tokens_out", streams->tokens_out);
    json_put_text(json, "tokens_counted_by",
                  streams->told == streams->streams ? "server"
                  : streams->told == 0              ? "chunks"
                                                    : "both");
    json_put_double(json, "tokens_per_second", per_second(outcome, streams->tokens_out));
    if (has_price(&outcome->plan->price))
        json_put_double(json, "cost_usd", stream_tally_cost(streams, &outcome->plan->price));
    json_close(json, '}');
}

static void add_numbers(struct document *document, const struct outcome *outcome)
{
    const struct stream_tally *streams = outcome->streams;
    const struct slo *slo = &outcome->plan->slo;

    document_number(document, "streams", "Streams", (double)streams->streams, UNIT_COUNT);
    if (slo->ttft_ns > 0 || slo->tpot_ns > 0 || slo->e2e_ns > 0) {
        document_number(document, "goodput", "Goodput", per_second(outcome, streams->good),
                        UNIT_RPS);
        document_number(document, "good_share", "Good share",
                        outcome->total.requests == 0
                            ? NAN
                            : (double)streams->good / (double)outcome->total.requests,
                        UNIT_RATIO);
    }
    document_number(document, "tokens_per_second", "Tokens out a second",
                    per_second(outcome, streams->tokens_out), UNIT_NONE);
    document_number(document, "tokens_out", "Tokens out", (double)streams->tokens_out, UNIT_COUNT);
    document_number(document, "tokens_in", "Tokens in", (double)streams->tokens_in, UNIT_COUNT);
    if (streams->tokens_cached > 0)
        document_number(document, "tokens_cached", "Of those cached",
                        (double)streams->tokens_cached, UNIT_COUNT);
    if (has_price(&outcome->plan->price)) {
        double cost = stream_tally_cost(streams, &outcome->plan->price);
        document_number(document, "cost_usd", "Cost", cost, UNIT_USD);
        if (streams->streams > 0)
            document_number(document, "cost_per_request_usd", "Cost of a request",
                            cost / (double)streams->streams, UNIT_USD);
    }
}

void outcome_document_streams(struct document *document, const struct outcome *outcome)
{
    const struct stream_tally *streams = outcome->streams;

    if (streams == NULL)
        return;
    document_section(document, "llm", "Tokens");
    add_numbers(document, outcome);
    struct table *table = outcome_phase_table(document, "tokens", "Token streams");
    outcome_add_phase(table, "Time to the first token", &streams->ttft);
    outcome_add_phase(table, "Between token chunks", &streams->gap);
    outcome_add_phase(table, "Time per output token", &streams->tpot);
    outcome_add_phase(table, "To the last token", &streams->e2e);
    if (streams->streams > 0 && streams->told < streams->streams)
        document_text(document,
                      "%.0f %% of the streams did not tell how many tokens they had; "
                      "there one is counted a chunk.",
                      100 - 100 * (double)streams->told / (double)streams->streams);
}

void outcome_document_streams_course(struct document *document, const struct outcome *outcome)
{
    size_t count = outcome->points_count;

    if (outcome->streams == NULL || count < 2)
        return;
    double *memory = calloc(count * 4, sizeof(*memory));
    if (memory == NULL)
        must_memory(count * 4 * sizeof(*memory));
    double *x = memory, *tokens = memory + count, *p50 = tokens + count, *p95 = p50 + count;
    for (size_t i = 0; i < count; i++) {
        const struct outcome_point *point = &outcome->points[i];
        x[i] = point->time_s;
        tokens[i] = (double)point->tokens_out / point->length_s;
        p50[i] = point->ttft_p50_ms;
        p95[i] = point->ttft_p95_ms;
    }
    struct chart *chart =
        document_chart(document, "ttft", "Time to the first token", CHART_LINE, UNIT_MS);
    chart_series(chart, "median", x, p50, count);
    chart_series(chart, "p95", x, p95, count);
    chart = document_chart(document, "tokens", "Tokens out a second", CHART_LINE, UNIT_NONE);
    chart_series(chart, "of finished streams", x, tokens, count);
    free(memory);
}
