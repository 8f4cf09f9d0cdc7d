/* SPDX-License-Identifier: Apache-2.0 */
/* Each matcher becomes a verdict per value of its label, found once per distinct value, and one for
 * series without the label. The matcher that leaves the fewest series gives the candidates - its
 * postings - and the others look at each candidate's own pairs. */
#include "store/select.h"

#include <stdlib.h>
#include <string.h>

/* A matcher against what the index holds now. */
struct test {
    const struct matcher *matcher;
    uint32_t key;        /* INDEX_NONE: no series has this label. */
    bool absent_passes;  /* A series without the label. */
    uint32_t only;       /* EQUAL with a value: its pair, or INDEX_NONE; then verdicts is NULL. */
    uint8_t *verdicts;   /* By ordinal of the pair among those of its key. */
    uint32_t pair_count; /* Verdicts there are; later values fail (they are newer than the view). */
    uint64_t candidates; /* Tracks in the postings of passing pairs; UINT64_MAX: cannot lead. */
};

static bool passes(const struct matcher *matcher, struct str value)
{
    switch (matcher->op) {
    case MATCH_EQUAL:
        return str_eq(value, matcher->value);
    case MATCH_NOT_EQUAL:
        return !str_eq(value, matcher->value);
    case MATCH_REGEX:
        return matcher->match(matcher->regex, value);
    case MATCH_NOT_REGEX:
        return !matcher->match(matcher->regex, value);
    }
    return false;
}

static uint64_t pair_tracks(const struct index *index, uint32_t pair)
{
    uint32_t count;

    (void)posting_read(&index_pair(index, pair)->tracks, &count); /* Only how many. */
    return count;
}

/* Verdicts for literals only: the pattern matches exactly these. */
static void judge_literals(const struct index *index, struct test *test)
{
    for (size_t i = 0; i < test->matcher->literal_count; i++) {
        uint32_t pair = index_pair_find(index, test->key, test->matcher->literals[i]);
        if (pair == INDEX_NONE || index_pair(index, pair)->ordinal >= test->pair_count)
            continue;
        if (test->verdicts[index_pair(index, pair)->ordinal] == 0)
            test->candidates += pair_tracks(index, pair);
        test->verdicts[index_pair(index, pair)->ordinal] = 1;
    }
}

static void judge_values(const struct index *index, struct test *test, const uint32_t *pairs)
{
    for (uint32_t i = 0; i < test->pair_count; i++) {
        test->verdicts[i] = passes(test->matcher, index_pair_value(index, pairs[i]));
        if (test->verdicts[i] != 0)
            test->candidates += pair_tracks(index, pairs[i]);
    }
}

static enum err test_make(const struct index *index, const struct matcher *matcher,
                          struct arena *arena, struct test *test, struct why *why)
{
    *test = (struct test){
        .matcher = matcher,
        .key = index_key(index, matcher->name),
        .absent_passes = passes(matcher, STR("")),
        .only = INDEX_NONE,
    };
    if (test->key == INDEX_NONE)
        return ERR_NONE;
    if (matcher->op == MATCH_EQUAL && matcher->value.size > 0) {
        test->only = index_pair_find(index, test->key, matcher->value);
        test->candidates = test->only == INDEX_NONE ? 0 : pair_tracks(index, test->only);
        return ERR_NONE;
    }
    const struct label_key *key = paged_at(index->keys, test->key);
    const uint32_t *pairs = posting_read(&key->pairs, &test->pair_count);
    test->verdicts = arena_alloc(arena, test->pair_count + (size_t)1);
    if (test->verdicts == NULL)
        return arena_spent(arena, "selecting series", why);
    if (matcher->op == MATCH_REGEX && matcher->literal_count > 0 && !test->absent_passes)
        judge_literals(index, test);
    else
        judge_values(index, test, pairs);
    if (test->absent_passes)
        test->candidates = UINT64_MAX;
    return ERR_NONE;
}

static bool test_track(const struct index *index, const struct test *test,
                       const struct track *track)
{
    uint32_t pair =
        test->key == INDEX_NONE ? INDEX_NONE : index_track_pair(index, track, test->key);

    if (pair == INDEX_NONE)
        return test->absent_passes;
    if (test->verdicts == NULL)
        return pair == test->only;
    uint32_t ordinal = index_pair(index, pair)->ordinal;
    return ordinal < test->pair_count && test->verdicts[ordinal] != 0;
}

/* Whether the series of this track can have rows in the days asked for. */
static bool reaches(const struct head *head, const struct track *track,
                    const struct select_request *request)
{
    const struct group *group = head_group(head, GROUP_OF(track->id));
    int32_t first = atomic_load_explicit(&((struct group *)group)->first_day, memory_order_relaxed);
    int32_t last = atomic_load_explicit(&((struct group *)group)->last_day, memory_order_relaxed);

    return (first <= request->to_day && last >= request->from_day) ||
           atomic_load_explicit(&((struct group *)group)->newest, memory_order_relaxed) != NULL;
}

struct selection {
    const struct index *index;
    const struct head *head;
    const struct select_request *request;
    const struct test *tests;
    const struct test *lead; /* Passed already; may be NULL. */
    struct track_list list;
};

static void consider(struct selection *selection, uint32_t number)
{
    const struct track *track = index_track(selection->index, number);

    for (size_t i = 0; i < selection->request->count; i++) {
        if (&selection->tests[i] != selection->lead &&
            !test_track(selection->index, &selection->tests[i], track))
            return;
    }
    if (reaches(selection->head, track, selection->request))
        selection->list.numbers[selection->list.count++] = number;
}

static void consider_pair(struct selection *selection, uint32_t pair, uint64_t room)
{
    uint32_t count;
    const uint32_t *numbers = posting_read(&index_pair(selection->index, pair)->tracks, &count);

    for (uint32_t i = 0; i < count && selection->list.count < room; i++)
        consider(selection, numbers[i]);
}

static int by_number(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;

    return left < right ? -1 : left > right;
}

static void consider_lead(struct selection *selection, uint64_t room)
{
    const struct test *lead = selection->lead;

    if (lead->key == INDEX_NONE)
        return;
    if (lead->verdicts == NULL) {
        if (lead->only != INDEX_NONE)
            consider_pair(selection, lead->only, room);
        return;
    }
    uint32_t count;
    const struct label_key *key = paged_at(selection->index->keys, lead->key);
    const uint32_t *pairs = posting_read(&key->pairs, &count);
    for (uint32_t i = 0; i < lead->pair_count; i++) {
        if (lead->verdicts[i] != 0)
            consider_pair(selection, pairs[i], room);
    }
    qsort(selection->list.numbers, selection->list.count, sizeof(uint32_t), by_number);
}

enum err select_tracks(const struct index *index, const struct head *head,
                       const struct select_request *request, struct arena *arena,
                       struct track_list *ret_list, struct why *why)
{
    struct selection selection = {.index = index, .head = head, .request = request};
    uint64_t room = index_count(index);

    struct test *tests = ARENA_ARRAY(arena, request->count + 1, struct test);
    if (tests == NULL)
        return arena_spent(arena, "selecting series", why);
    selection.tests = tests;
    for (size_t i = 0; i < request->count; i++) {
        TRY(test_make(index, &request->matchers[i], arena, &tests[i], why));
        if (tests[i].candidates < room && !tests[i].absent_passes) {
            room = tests[i].candidates;
            selection.lead = &tests[i];
        }
    }
    selection.list.numbers = ARENA_ARRAY(arena, (size_t)room + 1, uint32_t);
    if (selection.list.numbers == NULL)
        return arena_spent(arena, "selecting series", why);
    if (selection.lead != NULL) {
        consider_lead(&selection, room);
    } else {
        for (uint32_t i = 0; i < room; i++)
            consider(&selection, i);
    }
    *ret_list = selection.list;
    return ERR_NONE;
}

/* Merges two neighbouring sorted runs. */
static void merge_runs(const struct index *index, uint32_t *from, size_t middle, size_t end,
                       uint32_t *scratch)
{
    size_t left = 0;
    size_t right = middle;
    size_t out = 0;

    memcpy(scratch, from, middle * sizeof(*from));
    while (left < middle && right < end) {
        bool take_right = index_compare(index, index_track(index, from[right]),
                                        index_track(index, scratch[left])) < 0;
        from[out++] = take_right ? from[right++] : scratch[left++];
    }
    memcpy(from + out, scratch + left, (middle - left) * sizeof(*from));
}

static size_t run_end(const struct index *index, const uint32_t *numbers, size_t from, size_t count)
{
    while (from + 1 < count && index_compare(index, index_track(index, numbers[from]),
                                             index_track(index, numbers[from + 1])) < 0)
        from++;
    return from + 1;
}

/* A merge sort that starts from the runs that are there: series of a scrape mostly arrive in
 * order, so few comparisons are left to do. */
void select_sort(const struct index *index, uint32_t *numbers, size_t count, uint32_t *scratch)
{
    for (bool whole = count < 2; !whole;) {
        whole = true;
        for (size_t from = 0; from < count;) {
            size_t middle = run_end(index, numbers, from, count);
            if (middle == count) {
                whole = whole && from == 0;
                break;
            }
            size_t end = run_end(index, numbers, middle, count);
            merge_runs(index, numbers + from, middle - from, end - from, scratch);
            whole = whole && from == 0 && end == count;
            from = end;
        }
    }
}
