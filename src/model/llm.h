/* SPDX-License-Identifier: Apache-2.0 */
/* llm - what a span of a language model call says beyond being a span: OpenTelemetry's GenAI
 * attributes in typed columns. Plain data.
 *
 * Missing is LLM_MISSING, never zero; an estimate says that it is one. */
#pragma once
#include "base/str.h"

#define LLM_MISSING INT64_C(-1)

struct llm_call {
    struct str operation;       /* gen_ai.operation.name: "chat", "embeddings", … */
    struct str provider;        /* gen_ai.provider.name */
    struct str conversation_id; /* gen_ai.conversation.id */
    struct str request_model;   /* gen_ai.request.model */
    struct str response_model;  /* gen_ai.response.model */
    struct str response_id;     /* gen_ai.response.id */
    struct str finish_reason;   /* The first of gen_ai.response.finish_reasons. */
    struct str error_type;      /* error.type; empty: succeeded. */

    int64_t input_tokens; /* Cached tokens included. */
    int64_t output_tokens;
    int64_t cache_read_tokens;
    int64_t cache_creation_tokens;
    int64_t reasoning_tokens;

    int64_t time_to_first_chunk_ns;
    int64_t network_ns;    /* Time on the wire. */
    int64_t processing_ns; /* Time in the backend. */

    int64_t cost_nano_usd; /* 10^-9 US dollars. */
    bool cost_is_estimate;
    bool tokens_are_estimate;
    bool streamed;
    bool circuit_open; /* Refused by the circuit breaker: no call was made. */
    int32_t retry_count;
};
