/* SPDX-License-Identifier: Apache-2.0 */
/* Spans: what the caller's struct holds becomes a slot of the ring when it ends.
 *
 * The ring has many writers and one reader, the sender's thread. Each slot has a turn:
 *
 *     turn == n              free for the writer that claims place n
 *     turn == n + 1          written, for the reader
 *     turn == n + SPANS_MAX  freed by the reader: free for place n + SPANS_MAX
 *
 * Kept is the turn less the slot's index, so that fresh memory, all zero, is a ring all free.
 * A writer that finds the next slot not free drops its span and counts it; nobody waits. The reader
 * frees slots only when the daemon has taken them, so what cannot be sent fills the ring and no
 * more. Attributes are already in the form of the wire, so the sender only copies them. */
#include "client/sender.h"
#include "client/wire.h"

#include <string.h>
#include <unistd.h>

enum {
    SPAN_ATTRIBUTES = 9, /* Fields of OTLP's Span. */
    SPAN_EVENTS = 11,
    EVENT_VALUE_BYTES_MAX = SONDE_SPAN_BYTES_MAX / 4,
};

/* ---- The ring. ---- */

/* What a slot's turn is when place n is its own. */
static uint64_t turn_of(uint64_t place)
{
    return place - place % SPANS_MAX;
}

/* A slot to write, and its place; NULL when the ring is full. */
static struct span_slot *claim(struct span_ring *ring, uint64_t *ret_place)
{
    uint64_t place = atomic_load_explicit(&ring->head, memory_order_relaxed);

    for (;;) {
        struct span_slot *slot = &ring->slots[place % SPANS_MAX];
        uint64_t turn = atomic_load_explicit(&slot->turn, memory_order_acquire);
        if (turn == turn_of(place)) {
            if (atomic_compare_exchange_weak(&ring->head, &place, place + 1)) {
                *ret_place = place;
                return slot;
            }
        } else if (turn < turn_of(place)) {
            return NULL;
        } else {
            place = atomic_load_explicit(&ring->head, memory_order_relaxed);
        }
    }
}

const struct span_slot *client_ring_at(struct span_ring *ring, uint64_t ahead)
{
    uint64_t place = ring->tail + ahead;
    struct span_slot *slot = &ring->slots[place % SPANS_MAX];

    if (ahead >= SPANS_MAX ||
        atomic_load_explicit(&slot->turn, memory_order_acquire) != turn_of(place) + 1)
        return NULL;
    return slot;
}

void client_ring_free(struct span_ring *ring, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct span_slot *slot = &ring->slots[ring->tail % SPANS_MAX];
        atomic_store_explicit(&slot->turn, turn_of(ring->tail) + SPANS_MAX, memory_order_release);
        ring->tail++;
    }
}

/* ---- One span. ---- */

void sonde_span_begin(struct sonde_span *span, struct sonde *sonde, const char *name,
                      enum sonde_span_kind kind, const struct sonde_context *parent)
{
    if (span == NULL)
        return;
    span->parent = parent == NULL ? sonde_current() : *parent;
    span->context = span->parent; /* Passed on even where nothing is recorded. */
    span->kind = kind;
    span->attributes_size = 0;
    span->message[0] = '\0';
    sonde_timer_begin(&span->timer, sonde_operation(sonde, name));
    if (span->timer.operation == NULL)
        return;
    span->context = client_context_begin(&span->parent, sonde->sample_ratio);
    span->start_unix_ns = client_unix_ns();
}

void sonde_span_fail(struct sonde_span *span, const char *message)
{
    if (span == NULL)
        return;
    sonde_timer_fail(&span->timer);
    if (message == NULL)
        return;
    size_t size = client_cut(message, SONDE_MESSAGE_BYTES_MAX);
    memcpy(span->message, message, size);
    span->message[size] = '\0';
}

void sonde_span_rename(struct sonde_span *span, const char *name)
{
    if (span != NULL && span->timer.operation != NULL && name != NULL)
        span->timer.operation = sonde_operation(span->timer.operation->sonde, name);
}

/* Attributes are appended whole or not at all. */
static bool begin_note(struct sonde_span *span, const char *key, struct wire *wire)
{
    if (span == NULL || span->timer.operation == NULL || key == NULL)
        return false;
    *wire = (struct wire){(uint8_t *)span->attributes, span->attributes_size,
                          sizeof(span->attributes), false};
    return true;
}

static void end_note(struct sonde_span *span, const struct wire *wire, bool cut)
{
    if (wire->full || cut)
        (void)atomic_fetch_add(&span->timer.operation->sonde->names_cut, 1); /* The count is all. */
    if (!wire->full)
        span->attributes_size = (uint16_t)wire->size;
}

void sonde_span_note(struct sonde_span *span, const char *key, const char *value)
{
    struct wire wire;

    if (value == NULL || !begin_note(span, key, &wire))
        return;
    size_t size = client_cut(value, SONDE_SPAN_BYTES_MAX / 2);
    wire_attribute_text(&wire, SPAN_ATTRIBUTES, key, value, size);
    end_note(span, &wire, value[size] != '\0');
}

void sonde_span_note_integer(struct sonde_span *span, const char *key, int64_t value)
{
    struct wire wire;

    if (!begin_note(span, key, &wire))
        return;
    wire_attribute_integer(&wire, SPAN_ATTRIBUTES, key, value);
    end_note(span, &wire, false);
}

void sonde_span_note_number(struct sonde_span *span, const char *key, double value)
{
    struct wire wire;

    if (!begin_note(span, key, &wire))
        return;
    wire_attribute_number(&wire, SPAN_ATTRIBUTES, key, value);
    end_note(span, &wire, false);
}

void sonde_span_note_bool(struct sonde_span *span, const char *key, bool value)
{
    struct wire wire;

    if (!begin_note(span, key, &wire))
        return;
    wire_attribute_bool(&wire, SPAN_ATTRIBUTES, key, value);
    end_note(span, &wire, false);
}

/* Events stand among the attributes: both are fields of OTLP's Span, in any order. */
void sonde_span_event(struct sonde_span *span, const char *name, const char *const *pairs)
{
    struct wire wire;
    bool cut = false;

    if (!begin_note(span, name, &wire))
        return;
    size_t begun = wire_begin(&wire, SPAN_EVENTS);
    wire_fixed64(&wire, 1, (uint64_t)client_unix_ns());
    wire_text(&wire, 2, name);
    for (; pairs != NULL && pairs[0] != NULL && pairs[1] != NULL; pairs += 2) {
        size_t size = client_cut(pairs[1], EVENT_VALUE_BYTES_MAX);
        wire_attribute_text(&wire, 3, pairs[0], pairs[1], size);
        cut |= pairs[1][size] != '\0';
    }
    wire_end(&wire, begun);
    end_note(span, &wire, cut);
}

/* Errors and slow calls are kept whatever the sampling says. */
static bool is_wanted(const struct sonde_span *span, const struct sonde_operation *operation,
                      int64_t duration_ns, bool failed)
{
    int64_t slow_ns = atomic_load_explicit(&operation->slow_ns, memory_order_relaxed);

    return (span->context.flags & 1) != 0 || failed || (slow_ns > 0 && duration_ns > slow_ns);
}

static void keep(const struct sonde_span *span, const struct sonde_operation *operation,
                 int64_t duration_ns, bool failed)
{
    struct sonde *sonde = operation->sonde;
    uint64_t place;
    struct span_slot *slot = claim(&sonde->sender->ring, &place);

    if (slot == NULL) {
        (void)atomic_fetch_add(&sonde->sender->spans_dropped, 1); /* The count is all. */
        return;
    }
    slot->context = span->context;
    slot->parent = span->parent;
    slot->operation = operation;
    slot->start_unix_ns = span->start_unix_ns;
    slot->end_unix_ns = span->start_unix_ns + duration_ns;
    slot->kind = span->kind;
    slot->failed = failed;
    slot->attributes_size = span->attributes_size;
    memcpy(slot->message, span->message, strnlen(span->message, SONDE_MESSAGE_BYTES_MAX) + 1);
    memcpy(slot->attributes, span->attributes, span->attributes_size);
    atomic_store_explicit(&slot->turn, turn_of(place) + 1, memory_order_release);
}

/* duration_ns < 0: until now. */
static int64_t end_span(struct sonde_span *span, int64_t duration_ns)
{
    struct sonde_operation *operation = span->timer.operation;
    bool failed = span->timer.failed;

    if (operation == NULL)
        return 0;
    if (duration_ns < 0) {
        duration_ns = sonde_timer_end(&span->timer);
    } else {
        sonde_record(operation, duration_ns, failed);
        span->timer.operation = NULL; /* Ends once. */
    }
    const struct sonde *sonde = operation->sonde;
    if (sonde->sender != NULL &&
        atomic_load_explicit(&sonde->level, memory_order_relaxed) >= SONDE_STANDARD &&
        is_wanted(span, operation, duration_ns, failed))
        keep(span, operation, duration_ns, failed);
    return duration_ns;
}

int64_t sonde_span_end(struct sonde_span *span)
{
    return span == NULL ? 0 : end_span(span, -1);
}

void sonde_span_enter_(struct sonde_span_scope *scope, struct sonde *sonde, const char *name)
{
    sonde_span_begin(&scope->span, sonde, name, SONDE_INTERNAL, NULL);
    scope->outer = sonde_use(&scope->span.context);
}

void sonde_span_leave_(struct sonde_span_scope *scope)
{
    (void)sonde_use(&scope->outer);     /* As it was before. */
    (void)sonde_span_end(&scope->span); /* Nobody asked how long it took. */
}

/* ---- Calls of language models. ---- */

static void note_count(struct sonde_span *span, const char *key, int64_t count)
{
    if (count >= 0)
        sonde_span_note_integer(span, key, count);
}

static void note_seconds(struct sonde_span *span, const char *key, int64_t duration_ns)
{
    if (duration_ns >= 0)
        sonde_span_note_number(span, key, (double)duration_ns / 1e9);
}

void sonde_span_note_llm(struct sonde_span *span, const struct sonde_llm_call *call)
{
    if (call == NULL)
        return;
    sonde_span_note(span, "gen_ai.operation.name",
                    call->operation == NULL ? "chat" : call->operation);
    sonde_span_note(span, "gen_ai.provider.name", call->backend);
    sonde_span_note(span, "gen_ai.request.model", call->model);
    sonde_span_note(span, "gen_ai.response.model", call->model_answering);
    sonde_span_note(span, "gen_ai.response.id", call->call_id);
    sonde_span_note(span, "gen_ai.conversation.id", call->session_id);
    sonde_span_note(span, "gen_ai.response.finish_reasons", call->finish_reason);
    sonde_span_note(span, "error.type", call->error_type);
    note_count(span, "gen_ai.usage.input_tokens", call->input_tokens);
    note_count(span, "gen_ai.usage.output_tokens", call->output_tokens);
    note_count(span, "gen_ai.usage.cache_read.input_tokens", call->cache_read_tokens);
    note_count(span, "gen_ai.usage.cache_creation.input_tokens", call->cache_creation_tokens);
    note_seconds(span, "gen_ai.response.time_to_first_chunk", call->first_token_ns);
    note_seconds(span, "sonde.llm.network_s", call->network_ns);
    note_seconds(span, "sonde.llm.processing_s", call->processing_ns);
    if (call->cost_nano_usd >= 0)
        sonde_span_note_number(span, "gen_ai.usage.cost", (double)call->cost_nano_usd / 1e9);
    note_count(span, "sonde.llm.retries", call->retries);
    if (call->streamed)
        sonde_span_note_bool(span, "gen_ai.request.stream", true);
    if (call->circuit_open)
        sonde_span_note_bool(span, "sonde.llm.circuit_open", true);
    sonde_span_note_integer(span, "thread.id", gettid());
}

void sonde_llm_record(struct sonde *sonde, const struct sonde_llm_call *call,
                      const struct sonde_context *parent)
{
    char name[SONDE_NAME_BYTES_MAX + 1];
    struct sonde_span span;

    if (sonde == NULL || call == NULL)
        return;
    (void)snprintf(name, sizeof(name), "%s %s", call->operation == NULL ? "chat" : call->operation,
                   call->model == NULL ? "unknown" : call->model); /* Cut if need be. */
    sonde_span_begin(&span, sonde, name, SONDE_CLIENT, parent);
    int64_t duration_ns = call->duration_ns < 0 ? 0 : call->duration_ns;
    span.start_unix_ns =
        call->start_unix_ns > 0 ? call->start_unix_ns : client_unix_ns() - duration_ns;
    sonde_span_note_llm(&span, call);
    if (call->error_type != NULL)
        sonde_span_fail(&span, call->error_type);
    (void)end_span(&span, duration_ns); /* Known already. */
}
