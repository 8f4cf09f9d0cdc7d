/* SPDX-License-Identifier: Apache-2.0 */
/* The body of a summary (numbers are varints):
 *
 *     | 1 | number | rows | errors | zigzag shortest | zigzag longest | set of its traces: terms.h
 * |
 *
 * Rows of a file only grow in their ids, so what is remembered is complete up to the last id seen;
 * a reader adds what its snapshot has beyond it. */
#include "store/summaries.h"

#include "base/crc.h"
#include "store/packed.h"
#include "store/varint.h"

#include <pthread.h>
#include <stdlib.h>

enum { SUMMARY_VERSION = 1 };

struct remembered {
    struct summary summary;
    int64_t min_ms;
    int64_t max_ms;
    struct str traces; /* The set, malloc'd; empty: perhaps any. */
};

struct summaries {
    pthread_mutex_t lock;
    struct remembered *items;
    size_t count;
    size_t capacity;
    size_t bytes;
    int64_t last_id;
};

void summary_write(const struct summary *summary, const struct terms *traces, struct buf *out)
{
    buf_byte(out, SUMMARY_VERSION);
    buf_varint(out, summary->number);
    buf_varint(out, summary->rows);
    buf_varint(out, summary->errors);
    buf_varint(out, zigzag(summary->duration_min_ns));
    buf_varint(out, zigzag(summary->duration_max_ns));
    terms_write(traces, TERMS_BITS_TRACE, out);
}

static enum err parse(struct str body, struct summary *ret_summary, struct str *ret_traces,
                      struct why *why)
{
    struct varint_reader reader = varint_begin(body);
    struct summary summary;

    uint8_t version = varint_byte(&reader);
    summary.number = (uint32_t)varint_read_most(&reader, UINT32_MAX);
    summary.rows = (uint32_t)varint_read_most(&reader, UINT32_MAX);
    summary.errors = (uint32_t)varint_read_most(&reader, UINT32_MAX);
    summary.duration_min_ns = unzigzag(varint_read(&reader));
    summary.duration_max_ns = unzigzag(varint_read(&reader));
    if (reader.failed || version != SUMMARY_VERSION)
        return packed_corrupt("its summary is none", why);
    *ret_traces = (struct str){(const char *)reader.at, varint_left(&reader)};
    *ret_summary = summary;
    return ERR_NONE;
}

struct summaries *summaries_new(void)
{
    struct summaries *summaries = calloc(1, sizeof(*summaries));

    if (summaries == NULL)
        must_memory(sizeof(*summaries));
    int code = pthread_mutex_init(&summaries->lock, NULL);
    MUST(code == 0);
    return summaries;
}

struct summaries *summaries_free(struct summaries *summaries)
{
    if (summaries == NULL)
        return NULL;
    for (size_t i = 0; i < summaries->count; i++)
        free((void *)summaries->items[i].traces.data);
    free(summaries->items);
    (void)pthread_mutex_destroy(&summaries->lock); /* Fails only while it is locked. */
    free(summaries);
    return NULL;
}

static enum err remember(struct summaries *summaries, const struct day_block *row, struct why *why)
{
    struct remembered item = {.min_ms = row->min_ms, .max_ms = row->max_ms};
    struct str traces = STR_NONE;

    if (crc32c(0, row->body.data, row->body.size) != row->crc)
        return fail(why, ERR_CORRUPT, "the checksum of row %lld does not match",
                    (long long)row->id);
    TRY(parse(row->body, &item.summary, &traces, why));
    if (traces.size > 0 && summaries->bytes + traces.size <= SUMMARIES_BYTES_MAX) {
        char *copy = malloc(traces.size);
        if (copy == NULL)
            must_memory(traces.size);
        memcpy(copy, traces.data, traces.size);
        item.traces = (struct str){copy, traces.size};
        summaries->bytes += traces.size;
    }
    if (summaries->count == summaries->capacity) {
        summaries->capacity = summaries->capacity == 0 ? 16 : summaries->capacity * 2;
        summaries->items =
            reallocarray(summaries->items, summaries->capacity, sizeof(*summaries->items));
        if (summaries->items == NULL)
            must_memory(summaries->capacity * sizeof(*summaries->items));
    }
    summaries->items[summaries->count++] = item;
    summaries->last_id = row->id;
    return ERR_NONE;
}

static bool may_have_any(struct str set, const uint64_t *hashes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (terms_may_have(set, hashes[i]))
            return true;
    }
    return false;
}

static bool passes(const struct remembered *item, const struct summary_question *question,
                   const uint64_t *hashes)
{
    const struct summary *summary = &item->summary;

    if (item->min_ms > question->to_ms || item->max_ms < question->from_ms)
        return false;
    if (question->trace_ids != NULL)
        return may_have_any(item->traces, hashes, question->trace_ids_count);
    return summary->duration_max_ns >= question->duration_min_ns &&
           summary->duration_min_ns <= question->duration_max_ns &&
           (!question->only_errors || summary->errors > 0);
}

static int newest_first(const void *a, const void *b)
{
    const struct summary_match *left = a;
    const struct summary_match *right = b;

    return (left->max_ms < right->max_ms) - (left->max_ms > right->max_ms);
}

void summary_matches_done(struct summary_matches *matches)
{
    free(matches->items);
}

static void add_match(struct summary_matches *matches, const struct remembered *item)
{
    if (matches->count == matches->capacity) {
        matches->capacity = matches->capacity == 0 ? 64 : matches->capacity * 2;
        matches->items = reallocarray(matches->items, matches->capacity, sizeof(*matches->items));
        if (matches->items == NULL)
            must_memory(matches->capacity * sizeof(*matches->items));
    }
    matches->items[matches->count++] = (struct summary_match){item->summary.number, item->max_ms};
}

/* With the lock held: two readers do not read the same rows. */
static enum err catch_up(struct summaries *summaries, struct day_reader *reader, enum day_kind kind,
                         struct why *why)
{
    struct day_block row;
    bool found = true;

    TRY(day_reader_find_after(reader, kind, summaries->last_id, why));
    while (found) {
        TRY(day_reader_next(reader, &row, &found, why));
        if (found)
            TRY(remember(summaries, &row, why));
    }
    return ERR_NONE;
}

enum err summaries_find(struct day_reader *reader, enum day_kind kind,
                        const struct summary_question *question, struct summary_matches *matches,
                        struct why *why)
{
    struct summaries *summaries = day_reader_summaries(reader, kind);
    uint64_t *hashes = malloc((question->trace_ids_count + 1) * sizeof(*hashes));

    if (hashes == NULL)
        must_memory(question->trace_ids_count * sizeof(*hashes));
    for (size_t i = 0; i < question->trace_ids_count; i++)
        hashes[i] = term_hash_id(question->trace_ids[i], TRACE_ID_BYTES);

    int code = pthread_mutex_lock(&summaries->lock);
    MUST(code == 0);
    enum err err = catch_up(summaries, reader, kind, why);
    for (size_t i = 0; err == ERR_NONE && i < summaries->count; i++) {
        if (passes(&summaries->items[i], question, hashes))
            add_match(matches, &summaries->items[i]);
    }
    code = pthread_mutex_unlock(&summaries->lock);
    MUST(code == 0);
    free(hashes);
    if (err == ERR_NONE && matches->count > 1)
        qsort(matches->items, matches->count, sizeof(*matches->items), newest_first);
    return err;
}
