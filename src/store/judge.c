/* SPDX-License-Identifier: Apache-2.0 */
/* A span that waits for its verdict is a pending row like any other, but for its kind: it was
 * committed before its sender heard yes, and readers see it. So a crash loses no span that may have
 * to stay, and the buffer of tail sampling is the disk's.
 *
 *     commit ─► pending, KIND_SPAN_WAITING ─► after wait_ms ─┬► KIND_SPAN: what stays ─► sealed
 *                                                            └► gone: what does not
 *
 * Rows are judged in the order in which they came, each for itself: the judge remembers what it
 * said of a trace. All that is ripe changes in one transaction, a few rows at a time. */
#include "base/clock.h"
#include "base/crc.h"
#include "store/tenant.h"
#include "store/traces.h"

#include <stdlib.h>

enum {
    MARK_MS = 250,                   /* Rows that came within it have one mark. */
    ROWS_AT_ONCE = 64,               /* Pending rows of one transaction. */
    BATCH_NS = 50 * CLOCK_NS_PER_MS, /* And the time after which the writer goes on elsewhere. */
};

static const size_t ARENA_BYTES = (size_t)1 << 30; /* Of one row. */

/* ---- Marks: when rows came. ---- */

void traces_note_waiting(struct day *day, int64_t id, int64_t now_ms, uint64_t items)
{
    struct waiting *waiting = &day->waiting;
    struct waiting_mark *last = waiting->count == 0 ? NULL : &waiting->marks[waiting->count - 1];

    waiting->items += items;
    if (last != NULL && now_ms - last->at_ms < MARK_MS && now_ms >= last->at_ms) {
        last->last_id = id;
        last->items += items;
        return;
    }
    if (waiting->count == waiting->capacity) {
        waiting->capacity = waiting->capacity == 0 ? 64 : waiting->capacity * 2;
        waiting->marks = reallocarray(waiting->marks, waiting->capacity, sizeof(*waiting->marks));
        if (waiting->marks == NULL)
            must_memory(waiting->capacity * sizeof(*waiting->marks));
    }
    waiting->marks[waiting->count++] = (struct waiting_mark){id, now_ms, items};
}

/* Their rows are not there: the mark stays, and says a later time of those that get their ids. */
void traces_forget_waiting(struct day *day, uint64_t items)
{
    struct waiting *waiting = &day->waiting;

    waiting->items -= items;
    while (items > 0 && waiting->count > 0) {
        struct waiting_mark *last = &waiting->marks[waiting->count - 1];
        uint64_t some = last->items < items ? last->items : items;
        last->items -= some;
        items -= some;
        if (last->items == 0)
            waiting->count--;
    }
}

static void drop_marks(struct waiting *waiting, size_t count)
{
    for (size_t i = 0; i < count; i++)
        waiting->items -= waiting->marks[i].items;
    waiting->count -= count;
    if (waiting->count > 0)
        memmove(waiting->marks, waiting->marks + count, waiting->count * sizeof(*waiting->marks));
}

/* How many of the oldest marks are ripe: they have waited, or there are too many behind them. */
static size_t count_ripe(const struct tenant *tenant, const struct waiting *waiting, bool now)
{
    const struct store_judge *judge = &tenant->options->judge;
    uint64_t left = waiting->items;
    size_t count = 0;

    if (now || judge->keeps == NULL)
        return waiting->count;
    while (count < waiting->count) {
        const struct waiting_mark *mark = &waiting->marks[count];
        bool crowded = judge->waiting_max > 0 && left > judge->waiting_max;
        /* A clock that was set back must not make anything wait for ever. */
        bool waited = tenant->now_ms - mark->at_ms >= judge->wait_ms ||
                      mark->at_ms > tenant->now_ms + judge->wait_ms;
        if (!waited && !crowded)
            break;
        left -= mark->items;
        count++;
    }
    return count;
}

/* ---- Rows. ---- */

struct judging {
    struct tenant *tenant;
    struct day *day;
    struct arena *arena;
    sqlite3_stmt *find;
    sqlite3_stmt *keep;   /* The row as it is, */
    sqlite3_stmt *shrink; /* with fewer spans, */
    sqlite3_stmt *remove; /* or not at all. */
    uint64_t kept;        /* Spans. */
    uint64_t kept_bytes;
};

static void judging_done(struct judging *judging)
{
    (void)sqlite3_finalize(judging->find); /* Each repeats an error already told. */
    (void)sqlite3_finalize(judging->keep);
    (void)sqlite3_finalize(judging->shrink);
    (void)sqlite3_finalize(judging->remove);
    arena_free(judging->arena);
}

static enum err judging_init(struct judging *judging, struct why *why)
{
    struct db *db = &judging->day->db;

    judging->arena = arena_new(ARENA_BYTES);
    TRY(db_prepare(db,
                   "SELECT id, crc, body FROM pending WHERE kind = 8 AND id > ?1 AND id <= ?2"
                   " ORDER BY id LIMIT 1",
                   &judging->find, why));
    TRY(db_prepare(db, "UPDATE pending SET kind = 2 WHERE id = ?1", &judging->keep, why));
    TRY(db_prepare(db,
                   "UPDATE pending SET kind = 2, min_ms = ?2, max_ms = ?3, rows = ?4, crc = ?5,"
                   " body = ?6 WHERE id = ?1",
                   &judging->shrink, why));
    return db_prepare(db, "DELETE FROM pending WHERE id = ?1", &judging->remove, why);
}

/* The spans that stay, in order; their count. */
static size_t judge_spans(const struct judging *judging, const struct span *spans, size_t count,
                          const struct span **kept)
{
    const struct store_judge *judge = &judging->tenant->options->judge;
    size_t kept_count = 0;

    for (size_t i = 0; i < count; i++) {
        if (judge->keeps == NULL || judge->keeps(judge->self, judging->tenant->name, &spans[i]))
            kept[kept_count++] = &spans[i];
    }
    return kept_count;
}

static enum err finish(struct judging *judging, sqlite3_stmt *statement, int64_t id,
                       struct why *why)
{
    (void)sqlite3_bind_int64(statement, 1, id); /* Numbers always bind. */
    return db_finish(&judging->day->db, statement, why);
}

/* What stays of a row takes its place; it fits into one again, being less of the same. */
static enum err shrink(struct judging *judging, int64_t id, const struct span *const *kept,
                       size_t count, struct why *why)
{
    struct buf body CLEANUP(buf_done) = {0};
    struct span_block_info info;
    size_t taken =
        span_block_encode(traces_span_packer(judging->tenant), kept, count, false, &body, &info);

    MUST(taken == count);
    judging->kept_bytes += body.size;
    (void)sqlite3_bind_int64(judging->shrink, 2, trace_ms(info.min_ns)); /* As above. */
    (void)sqlite3_bind_int64(judging->shrink, 3, trace_ms(info.max_ns));
    (void)sqlite3_bind_int64(judging->shrink, 4, info.rows);
    (void)sqlite3_bind_int64(judging->shrink, 5, crc32c(0, body.data, body.size));
    (void)db_bind_blob(judging->shrink, 6, buf_view(&body)); /* NULL is turned away by the table. */
    return finish(judging, judging->shrink, id, why);
}

static enum err judge_row(struct judging *judging, int64_t id, uint32_t crc, struct str stored,
                          struct why *why)
{
    struct str body = arena_str(judging->arena, stored); /* Texts point into it. */
    struct span_block block;

    if (body.data == NULL)
        return arena_spent(judging->arena, "sampling spans", why);
    enum err err = crc32c(0, body.data, body.size) != crc
                       ? ERR_CORRUPT
                       : span_block_parse(body, judging->arena, &block, why);
    if (err == ERR_CORRUPT)
        return finish(judging, judging->keep, id, why); /* Sealing tells of the damage. */
    TRY(err);
    uint32_t count = block.packed.rows;
    struct span *spans = ARENA_ARRAY(judging->arena, count, struct span);
    const struct span **kept = ARENA_ARRAY(judging->arena, count, const struct span *);
    if (spans == NULL || kept == NULL)
        return arena_spent(judging->arena, "sampling spans", why);
    TRY(span_block_read(&block, NULL, spans, why));
    size_t kept_count = judge_spans(judging, spans, count, kept);
    judging->kept += kept_count;
    if (kept_count == 0)
        return finish(judging, judging->remove, id, why);
    if (kept_count < count)
        return shrink(judging, id, kept, kept_count, why);
    judging->kept_bytes += body.size;
    return finish(judging, judging->keep, id, why);
}

/* Rows behind *after up to last_id, no more than are done at once; *ret_more tells whether some are
 * left. */
static enum err judge_rows(struct judging *judging, int64_t *after, int64_t last_id, bool *ret_more,
                           struct why *why)
{
    bool row = true;

    for (size_t i = 0; row && i < ROWS_AT_ONCE; i++) {
        (void)sqlite3_reset(judging->find); /* Repeats an error already told. */
        (void)sqlite3_bind_int64(judging->find, 1, *after);
        (void)sqlite3_bind_int64(judging->find, 2, last_id);
        TRY(db_step(&judging->day->db, judging->find, &row, why));
        if (!row)
            break;
        *after = sqlite3_column_int64(judging->find, 0);
        arena_clear(judging->arena);
        TRY(judge_row(judging, *after, (uint32_t)sqlite3_column_int64(judging->find, 1),
                      db_blob(judging->find, 2), why));
    }
    (void)sqlite3_reset(judging->find);
    *ret_more = row;
    return ERR_NONE;
}

static enum err judge_until(struct judging *judging, int64_t last_id, bool *ret_done,
                            struct why *why)
{
    struct day *day = judging->day;
    int64_t began_ns = clock_monotonic_ns();
    int64_t after = 0;
    bool more = true;

    while (more && clock_monotonic_ns() - began_ns < BATCH_NS) {
        judging->kept = judging->kept_bytes = 0;
        TRY(day_begin(day, why));
        enum err err = judge_rows(judging, &after, last_id, &more, why);
        if (err != ERR_NONE) {
            (void)sqlite3_reset(judging->find);
            day_rollback(day);
            return err;
        }
        TRY(day_commit(day, why));
        day->pending_items += judging->kept;
        day->pending_bytes += judging->kept_bytes;
    }
    *ret_done = !more;
    return ERR_NONE;
}

enum err traces_judge(struct tenant *tenant, struct day *day, bool now, struct why *why)
{
    size_t ripe = count_ripe(tenant, &day->waiting, now);
    bool done = false;

    if (ripe == 0)
        return ERR_NONE;
    struct judging judging CLEANUP(judging_done) = {.tenant = tenant, .day = day};
    TRY(day_open(day, why));
    TRY(judging_init(&judging, why));
    do {
        TRY(judge_until(&judging, day->waiting.marks[ripe - 1].last_id, &done, why));
    } while (now && !done);
    if (done)
        drop_marks(&day->waiting, ripe);
    return ERR_NONE;
}
