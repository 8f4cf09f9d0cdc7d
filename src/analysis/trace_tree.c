/* SPDX-License-Identifier: Apache-2.0 */
/* How a heap of spans becomes a tree, in passes that are each linear:
 *
 *     ids ──► who is whose parent ──► circles cut ──► children chained
 *         ──► laid out as a walk ──► clocks corrected, parents first ──► counted
 *
 * Clocks. A child that another host sent is moved so that it lies within its parent, with the time
 * on the way split evenly between there and back; when it is longer than its parent (which gave up
 * waiting) it is moved only so far that it does not begin before it. Spans of one host share a
 * clock, so they share the correction of the span through which the trace entered the host. It is
 * the rule of Jaeger and Zipkin; ours differs in two points: hosts are told apart by what the
 * resource says of them (host.id, host.name, k8s.node.name) and only then by service, and what is
 * received from a queue may well begin after its parent has ended, so it is moved only when it
 * begins before it.
 *
 * Detached. A child that ends after its parent was not waited for, unless it is late by so little
 * (a millisecond, or a tenth of itself) that the two ends rather happened in the wrong order. */
#include "analysis/trace_tree.h"

#include "base/clock.h"

#define TIME_LIMIT_NS  ((INT64_C(1) << 62) - 1) /* Differences of two times fit. */
#define DETACHED_NS    CLOCK_NS_PER_MS
#define DETACHED_SHARE 10

/* While it is built: by index of the span. */
struct builder {
    const struct span *spans;
    uint32_t count;
    uint32_t *parent; /* TRACE_NONE: a top. */
    uint32_t *first_child;
    uint32_t *next_sibling;
    uint32_t *place; /* In the walk. */
    uint8_t *flags;
    uint32_t *slots; /* Span of an id + 1; 0: free. */
    uint32_t slots_mask;
    uint64_t seed;
    struct trace_tree *tree;
};

static bool has_parent(const struct span *span)
{
    static const uint8_t none[SPAN_ID_BYTES];

    return memcmp(span->parent_span_id, none, SPAN_ID_BYTES) != 0;
}

/* ---- Ids. ---- */

/* Ids are random, or count up at either end; and who sends them must not choose who collides. */
static uint32_t hash_id(const struct builder *builder, const uint8_t *id)
{
    uint64_t word;

    memcpy(&word, id, sizeof(word));
    word ^= builder->seed;
    word ^= word >> 32;
    word *= UINT64_C(0xd6e8feb86659fd93);
    word ^= word >> 32;
    word *= UINT64_C(0xd6e8feb86659fd93);
    return (uint32_t)(word >> 32);
}

/* The slot that holds a span of that id, or the free one where it belongs. */
static uint32_t find_slot(const struct builder *builder, const uint8_t *id)
{
    uint32_t at = hash_id(builder, id) & builder->slots_mask;

    while (builder->slots[at] != 0 &&
           memcmp(builder->spans[builder->slots[at] - 1].span_id, id, SPAN_ID_BYTES) != 0)
        at = (at + 1) & builder->slots_mask;
    return at;
}

static bool is_caller(const struct span *span)
{
    return span->kind == SPAN_KIND_CLIENT || span->kind == SPAN_KIND_PRODUCER;
}

static bool is_receiver(const struct span *span)
{
    return span->kind == SPAN_KIND_SERVER || span->kind == SPAN_KIND_CONSUMER;
}

/* Both sides of a call may share one id (Zipkin's way): then what the receiver did hangs below the
 * receiver, and the receiver below the caller. Else the first to come has the children. */
static void note_id(struct builder *builder, uint32_t index)
{
    const struct span *span = &builder->spans[index];
    uint32_t slot = find_slot(builder, span->span_id);

    if (builder->slots[slot] == 0) {
        builder->slots[slot] = index + 1;
        return;
    }
    uint32_t first = builder->slots[slot] - 1;
    builder->flags[index] |= TRACE_DUPLICATE;
    builder->flags[first] |= TRACE_DUPLICATE;
    if (is_caller(&builder->spans[first]) && is_receiver(span)) {
        builder->parent[index] = first;
        builder->slots[slot] = index + 1;
    } else if (is_receiver(&builder->spans[first]) && is_caller(span) &&
               builder->parent[first] == TRACE_NONE) {
        builder->parent[first] = index;
    }
}

static void find_parent(struct builder *builder, uint32_t index)
{
    const struct span *span = &builder->spans[index];

    if (builder->parent[index] != TRACE_NONE)
        return; /* The caller of the same id. */
    if (!has_parent(span)) {
        builder->tree->roots++;
        return;
    }
    uint32_t found = builder->slots[find_slot(builder, span->parent_span_id)];
    if (found == 0)
        builder->flags[index] |= TRACE_ORPHAN;
    else if (found - 1 == index)
        builder->flags[index] |= TRACE_CYCLE;
    else
        builder->parent[index] = found - 1;
}

/* ---- Circles. ---- */

static bool is_earlier(const struct builder *builder, uint32_t a, uint32_t b)
{
    const struct span *left = &builder->spans[a];
    const struct span *right = &builder->spans[b];

    return left->start_ns != right->start_ns ? left->start_ns < right->start_ns : a < b;
}

/* `index` is on a circle: its earliest member becomes a top. */
static void cut_circle(struct builder *builder, uint32_t index)
{
    uint32_t earliest = index;

    for (uint32_t at = builder->parent[index]; at != index; at = builder->parent[at]) {
        if (is_earlier(builder, at, earliest))
            earliest = at;
    }
    builder->parent[earliest] = TRACE_NONE;
    builder->flags[earliest] |= TRACE_CYCLE;
}

/* Walks up from every span until it meets a top or a span known to lead to one. `seen` is the walk
 * that came by: meeting one's own steps again is a circle. */
static void cut_circles(struct builder *builder, uint32_t *seen)
{
    for (uint32_t i = 0; i < builder->count; i++) {
        uint32_t at = i;
        while (at != TRACE_NONE && seen[at] == 0) {
            seen[at] = i + 1;
            at = builder->parent[at];
        }
        if (at != TRACE_NONE && seen[at] == i + 1)
            cut_circle(builder, at);
    }
}

/* ---- The walk. ---- */

/* Backwards, so that each chain has its earliest at the front. Tops are chained at *ret_top. */
static uint32_t chain_children(struct builder *builder)
{
    uint32_t top = TRACE_NONE;

    for (uint32_t i = builder->count; i-- > 0;) {
        uint32_t parent = builder->parent[i];
        uint32_t *first = parent == TRACE_NONE ? &top : &builder->first_child[parent];
        builder->next_sibling[i] = *first;
        *first = i;
    }
    return top;
}

static struct trace_node new_node(const struct builder *builder, uint32_t index, uint32_t parent,
                                  uint32_t depth)
{
    return (struct trace_node){
        .span = &builder->spans[index],
        .parent = parent,
        .first_child = TRACE_NONE,
        .next_sibling = TRACE_NONE,
        .depth = depth,
        .operation = TRACE_NONE,
        .flags = builder->flags[index],
    };
}

/* Down to the first child, else right, else up until there is a right. */
static void lay_out(struct builder *builder, uint32_t top)
{
    struct trace_node *nodes = builder->tree->nodes;
    uint32_t used = 1;
    uint32_t depth = 1;
    uint32_t at = top;

    while (at != TRACE_NONE) {
        uint32_t parent = builder->parent[at];
        uint32_t above = parent == TRACE_NONE ? 0 : builder->place[parent];
        builder->place[at] = used;
        nodes[used] = new_node(builder, at, above, depth);
        nodes[above].child_count++;
        used++;
        if (builder->first_child[at] != TRACE_NONE) {
            at = builder->first_child[at];
            depth++;
            continue;
        }
        while (at != TRACE_NONE) {
            nodes[builder->place[at]].after = used;
            if (builder->next_sibling[at] != TRACE_NONE)
                break;
            at = builder->parent[at];
            depth--;
        }
        if (at != TRACE_NONE)
            at = builder->next_sibling[at];
    }
    MUST(used == builder->tree->count);
    nodes[0].after = used;
}

/* Places in the walk rise with the start, so the last seen goes to the front, backwards. */
static void chain_nodes(struct trace_tree *tree)
{
    for (uint32_t i = tree->count; i-- > 1;) {
        struct trace_node *parent = &tree->nodes[tree->nodes[i].parent];
        tree->nodes[i].next_sibling = parent->first_child;
        parent->first_child = i;
    }
}

/* ---- Times. ---- */

static int64_t clamp(int64_t time_ns)
{
    if (time_ns > TIME_LIMIT_NS)
        return TIME_LIMIT_NS;
    return time_ns < -TIME_LIMIT_NS ? -TIME_LIMIT_NS : time_ns;
}

static int64_t shifted(int64_t time_ns, int64_t shift_ns)
{
    int64_t sum;

    if (__builtin_add_overflow(time_ns, shift_ns, &sum))
        return shift_ns > 0 ? TIME_LIMIT_NS : -TIME_LIMIT_NS;
    return clamp(sum);
}

static struct str host_of(const struct resource *resource)
{
    static const struct str keys[] = {
        {"host.id", 7}, {"host.name", 9}, {"k8s.node.name", 13}, {"host.ip", 7}};

    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        const struct value *value = attributes_get(&resource->attributes, keys[i]);
        if (value != NULL && value->kind == VALUE_TEXT && value->text.size > 0)
            return value->text;
    }
    return STR_NONE;
}

static bool share_a_clock(const struct span *a, const struct span *b)
{
    if (a->resource == b->resource)
        return true;
    struct str left = host_of(a->resource);
    struct str right = host_of(b->resource);
    if (left.data != NULL && right.data != NULL)
        return str_eq(left, right);
    return str_eq(a->resource->service_name, b->resource->service_name);
}

/* What must be added to a child of another host. */
static int64_t skew(const struct trace_node *parent, const struct trace_node *child)
{
    int64_t parent_ns = trace_node_ns(parent);
    int64_t child_ns = trace_node_ns(child);
    bool is_queued =
        child->span->kind == SPAN_KIND_CONSUMER || parent->span->kind == SPAN_KIND_PRODUCER;

    if (is_queued || child_ns > parent_ns)
        return child->start_ns < parent->start_ns ? parent->start_ns - child->start_ns : 0;
    if (child->start_ns >= parent->start_ns && child->end_ns <= parent->end_ns)
        return 0;
    return parent->start_ns + (parent_ns - child_ns) / 2 - child->start_ns;
}

static void take_times(struct trace_node *node)
{
    node->start_ns = clamp(node->span->start_ns);
    node->end_ns = clamp(node->span->end_ns);
    if (node->end_ns < node->start_ns) {
        node->end_ns = node->start_ns;
        node->flags |= TRACE_NEGATIVE;
    }
    if (node->span->status == SPAN_STATUS_ERROR)
        node->flags |= TRACE_ERROR;
}

static void correct_clock(struct trace_node *node, const struct trace_node *parent)
{
    if (parent->span == NULL)
        return;
    node->shift_ns =
        share_a_clock(parent->span, node->span) ? parent->shift_ns : skew(parent, node);
    if (node->shift_ns == 0)
        return;
    node->flags |= TRACE_SKEWED;
    node->start_ns = shifted(node->start_ns, node->shift_ns);
    node->end_ns = shifted(node->end_ns, node->shift_ns);
}

static bool is_detached(const struct trace_node *node, const struct trace_node *parent)
{
    if (parent->span == NULL || node->end_ns <= parent->end_ns)
        return false;
    int64_t late_ns = node->end_ns - parent->end_ns;
    int64_t slack_ns = trace_node_ns(node) / DETACHED_SHARE;
    if (slack_ns < DETACHED_NS)
        slack_ns = DETACHED_NS;
    return node->start_ns >= parent->end_ns || late_ns > slack_ns;
}

static void count_flags(struct trace_tree *tree, const struct trace_node *node)
{
    tree->orphans += (node->flags & TRACE_ORPHAN) != 0;
    tree->cycles += (node->flags & TRACE_CYCLE) != 0;
    tree->duplicates += (node->flags & TRACE_DUPLICATE) != 0;
    tree->negatives += (node->flags & TRACE_NEGATIVE) != 0;
    tree->skewed += (node->flags & TRACE_SKEWED) != 0;
    tree->detached += (node->flags & TRACE_DETACHED) != 0;
    tree->errors += (node->flags & TRACE_ERROR) != 0;
    int64_t shift_ns = node->shift_ns < 0 ? -node->shift_ns : node->shift_ns;
    if (shift_ns > tree->shift_most_ns)
        tree->shift_most_ns = shift_ns;
}

static void set_times(struct trace_tree *tree)
{
    struct trace_node *whole = &tree->nodes[0];
    bool is_first = true;

    for (uint32_t i = 1; i < tree->count; i++) {
        struct trace_node *node = &tree->nodes[i];
        const struct trace_node *parent = &tree->nodes[node->parent];
        take_times(node);
        correct_clock(node, parent);
        if (is_detached(node, parent))
            node->flags |= TRACE_DETACHED;
        count_flags(tree, node);
        if (is_first || node->end_ns > tree->last_ns)
            tree->last_ns = node->end_ns;
        if (node->parent == 0) {
            whole->start_ns =
                is_first || node->start_ns < whole->start_ns ? node->start_ns : whole->start_ns;
            whole->end_ns = is_first || node->end_ns > whole->end_ns ? node->end_ns : whole->end_ns;
        }
        is_first = false;
        bool is_root = !has_parent(node->span) && node->parent == 0;
        if (is_root &&
            (tree->root == TRACE_NONE || node->start_ns < tree->nodes[tree->root].start_ns))
            tree->root = i;
    }
}

/* ---- Operations. ---- */

enum { OPERATIONS_FIRST = 64 };

struct names {
    struct trace_tree *tree;
    struct arena *arena;
    uint32_t capacity;
    uint32_t *slots; /* Operation + 1; 0: free. */
    uint32_t mask;
};

static bool make_room(struct names *names)
{
    struct trace_tree *tree = names->tree;

    if (tree->operations_count < names->capacity)
        return true;
    uint32_t capacity = names->capacity == 0 ? OPERATIONS_FIRST : names->capacity * 2;
    struct trace_operation *larger =
        ARENA_ARRAY_RAW(names->arena, capacity, struct trace_operation);
    if (larger == NULL)
        return false;
    if (tree->operations_count > 0)
        memcpy(larger, tree->operations, tree->operations_count * sizeof(*larger));
    tree->operations = larger;
    names->capacity = capacity;
    return true;
}

/* TRACE_NONE: the arena is spent. */
static uint32_t intern_operation(struct names *names, const struct span *span)
{
    struct str service = span->resource->service_name;
    uint32_t at = (uint32_t)str_hash(span->name, str_hash(service, 0)) & names->mask;

    for (; names->slots[at] != 0; at = (at + 1) & names->mask) {
        const struct trace_operation *have = &names->tree->operations[names->slots[at] - 1];
        if (str_eq(have->name, span->name) && str_eq(have->service, service))
            return names->slots[at] - 1;
    }
    if (!make_room(names))
        return TRACE_NONE;
    uint32_t index = names->tree->operations_count++;
    names->tree->operations[index] =
        (struct trace_operation){.service = service, .name = span->name};
    names->slots[at] = index + 1;
    return index;
}

/* The slots of the ids have done their work and are large enough. */
static bool name_operations(struct builder *builder, struct arena *arena)
{
    struct trace_tree *tree = builder->tree;
    struct names names = {tree, arena, 0, builder->slots, builder->slots_mask};

    memset(builder->slots, 0, ((size_t)builder->slots_mask + 1) * sizeof(*builder->slots));
    for (uint32_t i = 1; i < tree->count; i++) {
        struct trace_node *node = &tree->nodes[i];
        node->operation = intern_operation(&names, node->span);
        if (node->operation == TRACE_NONE)
            return false;
        struct trace_operation *operation = &tree->operations[node->operation];
        operation->calls++;
        operation->errors += (node->flags & TRACE_ERROR) != 0;
        operation->total_ns = trace_sum_ns(operation->total_ns, trace_node_ns(node));
    }
    return true;
}

/* ---- All of it. ---- */

static bool allocate(struct builder *builder, struct arena *arena)
{
    uint32_t count = builder->count;
    size_t slots = 16;

    while (slots < (size_t)count * 2)
        slots *= 2;
    builder->slots_mask = (uint32_t)slots - 1;
    builder->slots = ARENA_ARRAY(arena, slots, uint32_t);
    builder->parent = ARENA_ARRAY_RAW(arena, count + 1, uint32_t);
    builder->first_child = ARENA_ARRAY_RAW(arena, count + 1, uint32_t);
    builder->next_sibling = ARENA_ARRAY_RAW(arena, count + 1, uint32_t);
    builder->place = ARENA_ARRAY(arena, count + 1, uint32_t);
    builder->flags = ARENA_ARRAY(arena, count + 1, uint8_t);
    builder->tree->nodes = ARENA_ARRAY_RAW(arena, (size_t)count + 1, struct trace_node);
    if (builder->slots == NULL || builder->parent == NULL || builder->first_child == NULL ||
        builder->next_sibling == NULL || builder->place == NULL || builder->flags == NULL ||
        builder->tree->nodes == NULL)
        return false;
    memset(builder->parent, 0xff, (size_t)count * sizeof(uint32_t)); /* TRACE_NONE. */
    memset(builder->first_child, 0xff, (size_t)count * sizeof(uint32_t));
    return true;
}

enum err trace_tree_build(const struct span *spans, size_t count, struct arena *arena,
                          struct trace_tree *ret_tree, struct why *why)
{
    struct trace_tree tree = {.count = (uint32_t)count + 1, .root = TRACE_NONE};
    struct builder builder = {.spans = spans,
                              .count = (uint32_t)count,
                              .tree = &tree,
                              .seed = (uint64_t)clock_monotonic_ns() ^ (uintptr_t)arena};

    if (count > TRACE_TREE_SPANS_MAX)
        return fail(why, ERR_LIMIT, "the trace has %zu spans; at most %d are put into a tree",
                    count, TRACE_TREE_SPANS_MAX);
    if (!allocate(&builder, arena))
        return arena_spent(arena, "the tree of a trace", why);
    tree.nodes[0] = (struct trace_node){.parent = TRACE_NONE,
                                        .first_child = TRACE_NONE,
                                        .next_sibling = TRACE_NONE,
                                        .operation = TRACE_NONE};
    for (uint32_t i = 0; i < builder.count; i++)
        note_id(&builder, i);
    for (uint32_t i = 0; i < builder.count; i++)
        find_parent(&builder, i);
    cut_circles(&builder, builder.place);
    lay_out(&builder, chain_children(&builder));
    chain_nodes(&tree);
    set_times(&tree);
    if (!name_operations(&builder, arena))
        return arena_spent(arena, "the tree of a trace", why);
    *ret_tree = tree;
    return ERR_NONE;
}
