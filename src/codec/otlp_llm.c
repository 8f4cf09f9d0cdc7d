/* SPDX-License-Identifier: Apache-2.0 */
/* OpenTelemetry's GenAI conventions are in flux: each field has its name of today first, then those
 * of before, and what instrumentations in use write instead. The first name found counts. */
#include "codec/otlp_priv.h"

#include <math.h>

static const struct str PREFIXES[] = {{"gen_ai.", 7}, {"llm.", 4}};

enum { NAMES_MAX = 4 };

static const struct {
    size_t offset;
    struct str names[NAMES_MAX];
} texts[] = {
    {offsetof(struct llm_call, operation), {{"gen_ai.operation.name", 21}}},
    {offsetof(struct llm_call, provider), {{"gen_ai.provider.name", 20}, {"gen_ai.system", 13}}},
    {offsetof(struct llm_call, conversation_id), {{"gen_ai.conversation.id", 22}}},
    {offsetof(struct llm_call, request_model),
     {{"gen_ai.request.model", 20}, {"llm.request.model", 17}}},
    {offsetof(struct llm_call, response_model),
     {{"gen_ai.response.model", 21}, {"llm.response.model", 18}}},
    {offsetof(struct llm_call, response_id), {{"gen_ai.response.id", 18}}},
    {offsetof(struct llm_call, error_type), {{"error.type", 10}}},
};

static const struct {
    size_t offset;
    struct str names[NAMES_MAX];
} counts[] = {
    {offsetof(struct llm_call, input_tokens),
     {{"gen_ai.usage.input_tokens", 25},
      {"gen_ai.usage.prompt_tokens", 26},
      {"llm.usage.prompt_tokens", 23}}},
    {offsetof(struct llm_call, output_tokens),
     {{"gen_ai.usage.output_tokens", 26},
      {"gen_ai.usage.completion_tokens", 30},
      {"llm.usage.completion_tokens", 27}}},
    {offsetof(struct llm_call, cache_read_tokens),
     {{"gen_ai.usage.cache_read.input_tokens", 36},
      {"gen_ai.usage.cache_read_input_tokens", 36},
      {"gen_ai.usage.input_tokens.cached", 32}}},
    {offsetof(struct llm_call, cache_creation_tokens),
     {{"gen_ai.usage.cache_creation.input_tokens", 40},
      {"gen_ai.usage.cache_creation_input_tokens", 40}}},
    {offsetof(struct llm_call, reasoning_tokens),
     {{"gen_ai.usage.reasoning.output_tokens", 36}, {"gen_ai.usage.output_tokens.reasoning", 36}}},
};

static const struct value *find(const struct span *span, const struct str names[NAMES_MAX])
{
    for (size_t i = 0; i < NAMES_MAX && names[i].size > 0; i++) {
        const struct value *value = attributes_get(&span->attributes, names[i]);
        if (value != NULL)
            return value;
    }
    return NULL;
}

static bool is_llm(const struct span *span)
{
    for (size_t i = 0; i < span->attributes.count; i++) {
        for (size_t p = 0; p < ARRAY_COUNT(PREFIXES); p++) {
            if (str_starts(span->attributes.items[i].key, PREFIXES[p]))
                return true;
        }
    }
    return false;
}

/* Whole and not negative, as an integer, a double or text. */
static int64_t count_of(const struct value *value)
{
    int64_t count = LLM_MISSING;

    if (value == NULL)
        return LLM_MISSING;
    if (value->kind == VALUE_INTEGER)
        count = value->integer;
    else if (value->kind == VALUE_DOUBLE && value->number >= 0 && value->number < 0x1p62)
        count = (int64_t)value->number;
    else if (value->kind == VALUE_TEXT && !str_to_i64(value->text, &count))
        count = LLM_MISSING;
    return count >= 0 ? count : LLM_MISSING;
}

static void read_texts(const struct span *span, struct llm_call *llm)
{
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        const struct value *value = find(span, texts[i].names);
        if (value != NULL && value->kind == VALUE_TEXT)
            memcpy((char *)llm + texts[i].offset, &value->text, sizeof(value->text));
    }
    const struct value *reasons =
        attributes_get(&span->attributes, STR("gen_ai.response.finish_reasons"));
    if (reasons != NULL && reasons->kind == VALUE_LIST && reasons->list.count > 0)
        reasons = &reasons->list.items[0];
    if (reasons != NULL && reasons->kind == VALUE_TEXT)
        llm->finish_reason = reasons->text;
}

/* The number of an attribute, whole or not; NAN when there is none. */
static double number_of(const struct span *span, struct str name)
{
    const struct value *value = attributes_get(&span->attributes, name);

    if (value != NULL && value->kind == VALUE_DOUBLE)
        return value->number;
    return value != NULL && value->kind == VALUE_INTEGER ? (double)value->integer : NAN;
}

/* Seconds or dollars in billionths. */
static int64_t billionths_of(const struct span *span, struct str name)
{
    double number = number_of(span, name);

    return number >= 0 && number < 1e9 ? (int64_t)(number * 1e9 + 0.5) : LLM_MISSING;
}

static bool is_true(const struct span *span, struct str name)
{
    const struct value *value = attributes_get(&span->attributes, name);

    return value != NULL && value->kind == VALUE_BOOL && value->boolean;
}

static void read_rest(const struct span *span, struct llm_call *llm)
{
    double retries = number_of(span, STR("sonde.llm.retries"));

    llm->time_to_first_chunk_ns = billionths_of(span, STR("gen_ai.response.time_to_first_chunk"));
    llm->network_ns = billionths_of(span, STR("sonde.llm.network_s"));
    llm->processing_ns = billionths_of(span, STR("sonde.llm.processing_s"));
    llm->cost_nano_usd = billionths_of(span, STR("gen_ai.usage.cost"));
    llm->retry_count = retries >= 0 && retries <= INT32_MAX ? (int32_t)retries : 0;
    llm->streamed = is_true(span, STR("gen_ai.request.stream"));
    llm->circuit_open = is_true(span, STR("sonde.llm.circuit_open"));
}

enum err otlp_llm_read(const struct span *span, struct arena *arena,
                       const struct llm_call **ret_llm, struct why *why)
{
    *ret_llm = NULL;
    if (!is_llm(span))
        return ERR_NONE;
    struct llm_call *llm = ARENA_NEW(arena, struct llm_call);
    if (llm == NULL)
        return arena_spent(arena, "the message", why);
    read_texts(span, llm);
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        int64_t count = count_of(find(span, counts[i].names));
        memcpy((char *)llm + counts[i].offset, &count, sizeof(count));
    }
    read_rest(span, llm);
    *ret_llm = llm;
    return ERR_NONE;
}
