/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a digest are the different operations of a trace. While one is made, a table by
 * operation tells where its part is. */
#include "analysis/trace_digest.h"

#include <stdlib.h>

void trace_digests_init(struct trace_digests *digests, struct arena *arena)
{
    *digests = (struct trace_digests){.arena = arena};
}

void trace_digests_done(struct trace_digests *digests)
{
    map_done(&digests->by_key);
    buf_done(&digests->key);
}

/* ---- Operations. ---- */

static bool make_room(struct trace_digests *digests)
{
    if (digests->operations_count < digests->operations_capacity)
        return true;
    uint32_t capacity = digests->operations_capacity == 0 ? 64 : digests->operations_capacity * 2;
    struct digest_operation *larger =
        ARENA_ARRAY_RAW(digests->arena, capacity, struct digest_operation);
    if (larger == NULL)
        return false;
    if (digests->operations_count > 0)
        memcpy(larger, digests->operations, digests->operations_count * sizeof(*larger));
    digests->operations = larger;
    digests->operations_capacity = capacity;
    return true;
}

/* TRACE_NONE: the arena is spent. */
static uint32_t intern(struct trace_digests *digests, struct str service, struct str name,
                       struct str text)
{
    struct buf *key = &digests->key;

    if (digests->operations_count >= TRACE_DIGEST_OPERATIONS_MAX) {
        service = STR("");
        name = STR("(others)");
        text = STR("");
    }
    buf_clear(key);
    buf_str(key, service);
    buf_byte(key, 0);
    buf_str(key, name);
    buf_byte(key, 0);
    buf_str(key, text);
    uintptr_t found = (uintptr_t)map_get(&digests->by_key, buf_view(key));
    if (found != 0)
        return (uint32_t)found - 1;
    struct str kept = arena_str(digests->arena, buf_view(key));
    if (kept.data == NULL || !make_room(digests))
        return TRACE_NONE;
    digests->operations[digests->operations_count++] = (struct digest_operation){
        .service = {kept.data, service.size},
        .name = {kept.data + service.size + 1, name.size},
        .text = {kept.data + service.size + name.size + 2, text.size},
    };
    (void)map_put(&digests->by_key, kept, /* Was absent. */
                  (void *)(uintptr_t)digests->operations_count);
    return digests->operations_count - 1;
}

/* What a node is, by its operation and its call, is looked up once for each pair. */
static uint32_t operation_of(struct trace_digests *digests, const struct trace_explained *explained,
                             uint32_t node, uint32_t *of_operation, uint32_t *of_call)
{
    uint32_t call = explained->calls.of[node];
    uint32_t operation = explained->tree.nodes[node].operation;
    uint32_t *known = call == TRACE_NONE ? &of_operation[operation] : &of_call[call];

    if (*known == 0) {
        const struct trace_operation *own = &explained->tree.operations[operation];
        struct str text = call == TRACE_NONE ? STR("") : explained->calls.items[call].text;
        struct str name = call == TRACE_NONE ? own->name : explained->calls.items[call].name;
        *known = intern(digests, own->service, name, text) + 1;
    }
    return *known - 1;
}

/* ---- Digests. ---- */

struct making {
    struct trace_digests *digests;
    const struct trace_explained *explained;
    uint32_t *of_operation; /* Of the tree, to that of the digests + 1. */
    uint32_t *of_call;
    uint32_t *place; /* Of the digests' operation in parts, + 1. */
    struct digest_part *parts;
    uint32_t count;
};

static struct digest_part *part_of(struct making *making, uint32_t node)
{
    uint32_t operation = operation_of(making->digests, making->explained, node,
                                      making->of_operation, making->of_call);

    if (operation == TRACE_NONE)
        return NULL;
    if (making->place[operation] == 0) {
        making->parts[making->count++] = (struct digest_part){.operation = operation};
        making->place[operation] = making->count;
    }
    return &making->parts[making->place[operation] - 1];
}

static bool fill(struct making *making)
{
    const struct trace_explained *explained = making->explained;
    const struct trace_tree *tree = &explained->tree;

    for (uint32_t i = explained->top; i < tree->nodes[explained->top].after; i++) {
        if (i == 0)
            continue;
        struct digest_part *part = part_of(making, i);
        if (part == NULL)
            return false;
        part->calls++;
        part->errors += (tree->nodes[i].flags & TRACE_ERROR) != 0;
    }
    for (size_t i = 0; i < explained->path.count; i++) {
        const struct trace_stretch *stretch = &explained->path.items[i];
        if (stretch->node == 0)
            continue;
        struct digest_part *part = part_of(making, stretch->node);
        if (part == NULL)
            return false;
        part->critical_ns += stretch->to_ns - stretch->from_ns;
    }
    return true;
}

enum err trace_digests_add(struct trace_digests *digests, struct trace_group *group,
                           const uint8_t trace_id[TRACE_ID_BYTES],
                           const struct trace_explained *explained, struct why *why)
{
    const struct trace_tree *tree = &explained->tree;
    size_t kinds = (size_t)tree->operations_count + explained->calls.count;
    struct making making = {.digests = digests, .explained = explained};
    bool is_spent = true;

    if (group->count == TRACE_GROUP_MAX)
        return ERR_NONE;
    struct arena *scratch CLEANUP(arena_freep) =
        arena_new_beside(digests->arena, arena_budget(digests->arena));
    making.of_operation = ARENA_ARRAY(scratch, (size_t)tree->operations_count + 1, uint32_t);
    making.of_call = ARENA_ARRAY(scratch, (size_t)explained->calls.count + 1, uint32_t);
    making.place = ARENA_ARRAY(scratch, digests->operations_count + kinds + 1, uint32_t);
    making.parts = ARENA_ARRAY(scratch, kinds + 1, struct digest_part);
    if (making.of_operation != NULL && making.of_call != NULL && making.place != NULL &&
        making.parts != NULL)
        is_spent = !fill(&making);
    struct digest_part *parts =
        ARENA_ARRAY_RAW(digests->arena, (size_t)making.count + 1, struct digest_part);
    if (is_spent || parts == NULL)
        return arena_spent(digests->arena, "the digest of a trace", why);
    memcpy(parts, making.parts, making.count * sizeof(*parts));
    const struct trace_node *top = &tree->nodes[explained->top];
    uint32_t asked = explained->top == 0 ? tree->root : explained->top;
    struct trace_digest *digest = &group->items[group->count++];
    *digest = (struct trace_digest){
        .duration_ns = trace_node_ns(top),
        .spans = top->after - explained->top - (explained->top == 0),
        .failed = asked != TRACE_NONE && (tree->nodes[asked].flags & TRACE_ERROR) != 0,
        .parts = parts,
        .parts_count = making.count,
    };
    memcpy(digest->trace_id, trace_id, TRACE_ID_BYTES);
    return ERR_NONE;
}

/* ---- Groups. ---- */

static const struct digest_part *find_part(const struct trace_digest *digest, uint32_t operation)
{
    for (uint32_t i = 0; i < digest->parts_count; i++) {
        if (digest->parts[i].operation == operation)
            return &digest->parts[i];
    }
    return NULL;
}

void trace_group_times_ms(const struct trace_group *group, uint32_t operation, double *ret_values)
{
    for (size_t i = 0; i < group->count; i++) {
        const struct digest_part *part = find_part(&group->items[i], operation);
        ret_values[i] = part == NULL ? 0 : (double)part->critical_ns / 1e6;
    }
}

void trace_group_calls(const struct trace_group *group, uint32_t operation, double *ret_values)
{
    for (size_t i = 0; i < group->count; i++) {
        const struct digest_part *part = find_part(&group->items[i], operation);
        ret_values[i] = part == NULL ? 0 : part->calls;
    }
}

uint32_t trace_group_having(const struct trace_group *group, uint32_t operation)
{
    uint32_t having = 0;

    for (size_t i = 0; i < group->count; i++)
        having += find_part(&group->items[i], operation) != NULL;
    return having;
}

/* ---- Tallies. ---- */

enum err trace_tallies_init(struct trace_tallies *tallies, struct arena *arena, struct why *why)
{
    *tallies = (struct trace_tallies){
        .arena = arena,
        .items = ARENA_ARRAY(arena, TRACE_TALLY_MAX, struct trace_tally *),
    };
    return tallies->items == NULL ? arena_spent(arena, "a tally of findings", why) : ERR_NONE;
}

void trace_tallies_done(struct trace_tallies *tallies)
{
    map_done(&tallies->by_id);
}

static bool keep_text(struct arena *arena, struct str *text)
{
    *text = arena_str(arena, *text);
    return text->data != NULL;
}

/* The finding with texts of its own; what it points to in its trace ends with that. */
static bool keep_finding(struct arena *arena, const struct trace_finding *from,
                         struct trace_finding *ret_kept)
{
    struct trace_finding kept = *from;

    kept.nodes = NULL;
    kept.nodes_count = 0;
    if (!keep_text(arena, &kept.finding.id) || !keep_text(arena, &kept.finding.claim) ||
        !keep_text(arena, &kept.finding.evidence) || !keep_text(arena, &kept.finding.next_step) ||
        !keep_text(arena, &kept.finding.expr) || !keep_text(arena, &kept.service) ||
        !keep_text(arena, &kept.operation))
        return false;
    *ret_kept = kept;
    return true;
}

static struct trace_tally *new_tally(struct trace_tallies *tallies,
                                     const struct trace_finding *finding)
{
    struct trace_tally *tally = ARENA_NEW(tallies->arena, struct trace_tally);

    if (tally == NULL || !keep_finding(tallies->arena, finding, &tally->finding))
        return NULL;
    tallies->items[tallies->count++] = tally;
    (void)map_put(&tallies->by_id, tally->finding.finding.id, tally); /* Was absent. */
    return tally;
}

static bool tally_finding(struct trace_tallies *tallies, const uint8_t *trace_id,
                          const struct trace_finding *finding)
{
    struct trace_tally *tally = map_get(&tallies->by_id, finding->finding.id);

    if (tally == NULL) {
        if (tallies->count == TRACE_TALLY_MAX)
            return true;
        tally = new_tally(tallies, finding);
    } else if (finding->time_ns > tally->finding.time_ns) {
        struct str id = tally->finding.finding.id; /* The key of the map. */
        if (!keep_finding(tallies->arena, finding, &tally->finding))
            return false;
        tally->finding.finding.id = id;
    }
    if (tally == NULL)
        return false;
    tally->traces++;
    tally->share_sum += finding->share;
    if (__builtin_add_overflow(tally->time_sum_ns, finding->time_ns, &tally->time_sum_ns))
        tally->time_sum_ns = INT64_MAX;
    if (tally->trace_ids_count < TRACE_TALLY_IDS)
        memcpy(tally->trace_ids[tally->trace_ids_count++], trace_id, TRACE_ID_BYTES);
    return true;
}

enum err trace_tallies_add(struct trace_tallies *tallies, const uint8_t trace_id[TRACE_ID_BYTES],
                           const struct trace_explained *explained, struct why *why)
{
    struct map met CLEANUP(map_done) = {0}; /* One id counts once in a trace. */

    for (size_t i = 0; i < explained->findings_count; i++) {
        const struct trace_finding *finding = &explained->findings[i];
        if (map_put(&met, finding->finding.id, (void *)finding) != NULL)
            continue;
        if (!tally_finding(tallies, trace_id, finding))
            return arena_spent(tallies->arena, "a tally of findings", why);
    }
    return ERR_NONE;
}

static int weightiest_first(const void *a, const void *b)
{
    const struct trace_tally *left = *(struct trace_tally *const *)a;
    const struct trace_tally *right = *(struct trace_tally *const *)b;

    if (left->finding.finding.severity != right->finding.finding.severity)
        return left->finding.finding.severity > right->finding.finding.severity ? -1 : 1;
    if (left->traces != right->traces)
        return left->traces > right->traces ? -1 : 1;
    if (left->time_sum_ns != right->time_sum_ns)
        return left->time_sum_ns > right->time_sum_ns ? -1 : 1;
    return str_compare(left->finding.finding.id, right->finding.finding.id);
}

void trace_tallies_sort(struct trace_tallies *tallies)
{
    qsort(tallies->items, tallies->count, sizeof(struct trace_tally *), weightiest_first);
}
