/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/trace_finding.h"

static void write_hex(const uint8_t *id, size_t size, char *text)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < size; i++) {
        text[2 * i] = digits[id[i] >> 4];
        text[2 * i + 1] = digits[id[i] & 15];
    }
}

void trace_id_add(struct json *json, const uint8_t *id, size_t size)
{
    char text[2 * TRACE_ID_BYTES];

    MUST(size <= TRACE_ID_BYTES);
    write_hex(id, size, text);
    json_add_str(json, (struct str){text, 2 * size});
}

void trace_id_put(struct json *json, const char *key, const uint8_t *id, size_t size)
{
    json_key(json, key);
    trace_id_add(json, id, size);
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool trace_id_read(struct str text, uint8_t id[TRACE_ID_BYTES])
{
    if (text.size == 0 || text.size > (size_t)2 * TRACE_ID_BYTES)
        return false;
    memset(id, 0, TRACE_ID_BYTES);
    for (size_t i = 0; i < text.size; i++) {
        size_t place = 2 * TRACE_ID_BYTES - text.size + i;
        int digit = digit_of(text.data[i]);
        if (digit < 0)
            return false;
        id[place / 2] = (uint8_t)(id[place / 2] | digit << (place % 2 == 0 ? 4 : 0));
    }
    return true;
}

static void put_nodes(struct json *json, const struct trace_finding *finding,
                      const struct trace_tree *tree)
{
    json_key(json, "span_ids");
    json_open(json, '[');
    for (uint32_t i = 0; tree != NULL && i < finding->nodes_count; i++) {
        const struct span *span = tree->nodes[finding->nodes[i]].span;
        if (span != NULL)
            trace_id_add(json, span->span_id, SPAN_ID_BYTES);
    }
    json_close(json, ']');
}

static void put_met(struct json *json, const struct trace_met *met)
{
    json_put_u64(json, "traces", met->traces);
    json_key(json, "trace_ids");
    json_open(json, '[');
    for (size_t i = 0; i < met->trace_ids_count; i++)
        trace_id_add(json, met->trace_ids[i], TRACE_ID_BYTES);
    json_close(json, ']');
}

void trace_finding_write(struct json *json, const struct trace_finding *finding,
                         const struct trace_tree *tree, const struct trace_met *met)
{
    json_open(json, '{');
    json_put_str(json, "id", finding->finding.id);
    json_put_text(json, "kind", trace_finding_kind_name(finding->kind));
    json_put_text(json, "severity", severity_name(finding->finding.severity));
    json_put_str(json, "claim", finding->finding.claim);
    json_put_str(json, "evidence", finding->finding.evidence);
    json_put_str(json, "next_step", finding->finding.next_step);
    if (finding->finding.expr.size > 0)
        json_put_str(json, "query", finding->finding.expr);
    json_put_double(json, "confidence", finding->finding.confidence);
    json_put_i64(json, "time_ns", finding->time_ns);
    json_put_i64(json, "saving_ns", finding->saving_ns);
    json_put_double(json, "share", finding->share);
    json_put_str(json, "service", finding->service);
    json_put_str(json, "operation", finding->operation);
    json_put_u64(json, "calls", finding->calls);
    put_nodes(json, finding, tree);
    if (met->traces > 0)
        put_met(json, met);
    json_close(json, '}');
}
