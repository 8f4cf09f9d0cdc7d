/* SPDX-License-Identifier: Apache-2.0 */
/* Any spans at all: the tree is sound, the critical path fills it, and it can be explained.
 *
 * Eight bytes are a span: id, parent, start and end (an index among odd times where the top bit is
 * set), kind and status, service and host, what it asks, size of the statement taken from the rest.
 */
#include "analysis/trace_explain.h"

enum { SPAN_BYTES = 8, SPANS_MAX = 2000 };

static const int64_t odd_times[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX};
static const char *const services[] = {"a", "b", "c", ""};
static const char *const hosts[] = {NULL, "one", "two", ""};

struct spans {
    struct span items[SPANS_MAX];
    struct attribute attributes[SPANS_MAX][2];
    struct resource resources[16];
    struct attribute host_of[16];
};

static int64_t time_of(uint8_t byte)
{
    return byte & 0x80 ? odd_times[byte % ARRAY_COUNT(odd_times)] : byte * INT64_C(1000000);
}

static void make_resources(struct spans *spans)
{
    for (size_t i = 0; i < 16; i++) {
        spans->host_of[i] = (struct attribute){STR("host.name"),
                                               {.kind = VALUE_TEXT, .text = str_of(hosts[i / 4])}};
        spans->resources[i] = (struct resource){
            .service_name = str_of(services[i % 4]),
            .attributes = {.items = &spans->host_of[i], .count = hosts[i / 4] != NULL},
        };
    }
}

static void make_span(struct spans *spans, size_t index, const uint8_t *bytes, struct str rest)
{
    static const char *const keys[] = {"db.statement", "http.url", "url.path", "db.query.text"};
    struct span *span = &spans->items[index];
    struct attribute *attributes = spans->attributes[index];
    size_t size = bytes[7] < rest.size ? bytes[7] : rest.size;

    attributes[0] = (struct attribute){STR("db.system"), {.kind = VALUE_TEXT, .text = STR("x")}};
    attributes[1] = (struct attribute){str_of(keys[bytes[6] >> 2 & 3]),
                                       {.kind = VALUE_TEXT, .text = {rest.data, size}}};
    *span = (struct span){
        .start_ns = time_of(bytes[2]),
        .end_ns = time_of(bytes[3]),
        .name = STR("work"),
        .kind = (enum span_kind)(bytes[4] % 6),
        .status = (enum span_status)(bytes[4] / 6 % 3),
        .resource = &spans->resources[bytes[5] % 16],
        .attributes = {.items = attributes + (bytes[6] & 1 ? 0 : 1),
                       .count = bytes[6] & 2 ? (bytes[6] & 1 ? 2 : 1) : 0},
    };
    span->span_id[0] = bytes[0];
    span->parent_span_id[0] = bytes[1];
}

static void check(const struct trace_explained *explained, size_t count)
{
    const struct trace_tree *tree = &explained->tree;
    int64_t at_ns = tree->nodes[0].start_ns;

    MUST(tree->count == count + 1 && tree->nodes[0].after == tree->count);
    for (uint32_t i = 1; i < tree->count; i++) {
        const struct trace_node *node = &tree->nodes[i];
        MUST(node->parent < i && node->after > i);
        MUST(node->after <= tree->nodes[node->parent].after);
        MUST(node->start_ns <= node->end_ns);
        MUST(explained->self_ns[i] >= 0 && explained->self_ns[i] <= trace_node_ns(node));
    }
    for (size_t i = 0; i < explained->path.count; i++) {
        MUST(explained->path.items[i].from_ns == at_ns);
        at_ns = explained->path.items[i].to_ns;
    }
    MUST(at_ns == tree->nodes[0].end_ns);
    for (size_t i = 0; i < explained->findings_count; i++) {
        MUST(explained->findings[i].share >= 0 && explained->findings[i].share <= 1);
        MUST(explained->findings[i].finding.claim.size > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(64 << 20);
    struct spans *spans = ARENA_NEW(arena, struct spans);
    struct trace_explained explained;
    struct why why = WHY_INIT;
    size_t count = 0;

    make_resources(spans);
    for (; (count + 1) * SPAN_BYTES <= size && count < SPANS_MAX; count++) {
        const uint8_t *bytes = data + count * SPAN_BYTES;
        struct str rest = {(const char *)bytes, size - count * SPAN_BYTES};
        make_span(spans, count, bytes, rest);
    }
    if (trace_explain(spans->items, count, arena, &explained, &why) == ERR_NONE)
        check(&explained, count);
    else
        MUST(why.text[0] != '\0');
    return 0;
}
