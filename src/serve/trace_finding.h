/* SPDX-License-Identifier: Apache-2.0 */
/* trace_finding - findings about traces as JSON: the schema TraceFinding. Any thread. */
#pragma once
#include "analysis/trace_explain.h"
#include "base/json.h"

/* Hexadecimal, lower case; size at most TRACE_ID_BYTES. */
void trace_id_put(struct json *json, const char *key, const uint8_t *id, size_t size);
void trace_id_add(struct json *json, const uint8_t *id, size_t size);
/* Up to 32 hexadecimal digits; short ids have leading zeros. */
bool trace_id_read(struct str text, uint8_t id[TRACE_ID_BYTES]);

/* Where a finding was met, when many traces were looked at. */
struct trace_met {
    uint32_t traces; /* 0: of one trace, so nothing is said. */
    const uint8_t (*trace_ids)[TRACE_ID_BYTES];
    size_t trace_ids_count;
};

/* tree: what the finding's nodes are of; NULL: it has none. */
void trace_finding_write(struct json *json, const struct trace_finding *finding,
                         const struct trace_tree *tree, const struct trace_met *met);
