/* SPDX-License-Identifier: Apache-2.0 */
/* store_fixture - a data folder that goes with the test, and short ways to fill and ask a store. */
#pragma once
#include "base/clock.h"
#include "base/file.h"
#include "store/store.h"
#include "test.h"

#include <ftw.h>
#include <unistd.h>

enum { FIXTURE_ARENA_BYTES = 1 << 28 };

static inline int fixture_remove(const char *path, const struct stat *info, int kind,
                                 struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

struct fixture {
    char folder[64];
    struct store *store;
    struct store_options options;
    struct label_pool *pool;
    struct arena *arena;
    struct why why;
    char notice[512]; /* The last one. */
};

static inline void fixture_notice(void *self, const char *sentence)
{
    struct fixture *fixture = self;

    (void)snprintf(fixture->notice, sizeof(fixture->notice), "%s", sentence);
}

static inline struct fixture fixture_new(void)
{
    struct fixture fixture = {.folder = "/tmp/sonde-store-XXXXXX", .why = WHY_INIT};

    if (mkdtemp(fixture.folder) == NULL)
        abort();
    fixture.options = store_options_default;
    fixture.options.retention_raw_ms = 0;
    fixture.pool = label_pool_new(1 << 26);
    fixture.arena = arena_new(FIXTURE_ARENA_BYTES);
    return fixture;
}

static inline void fixture_done(struct fixture *fixture)
{
    fixture->store = store_close(fixture->store);
    fixture->pool = label_pool_unref(fixture->pool);
    fixture->arena = arena_free(fixture->arena);
    (void)nftw(fixture->folder, fixture_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static inline bool fixture_open(struct fixture *fixture)
{
    fixture->options.path = fixture->folder;
    fixture->options.notice = fixture_notice;
    fixture->options.notice_self = fixture;
    enum err err = store_open(&fixture->options, &fixture->store, &fixture->why);
    if (err != ERR_NONE)
        printf("# %s\n", fixture->why.text);
    return err == ERR_NONE;
}

/* name{number="…"}, interned. */
static inline const struct labels *fixture_labels(struct fixture *fixture, const char *name,
                                                  int number)
{
    char text[32];
    const struct labels *labels = NULL;

    (void)snprintf(text, sizeof(text), "%d", number);
    struct label pairs[] = {{STR("number"), str_of(text)}, {LABEL_NAME, str_of(name)}};
    if (label_pool_get(fixture->pool, pairs, 2, &labels, &fixture->why) != ERR_NONE)
        abort();
    return labels;
}

static inline struct batch *fixture_batch(struct fixture *fixture)
{
    struct batch *batch = batch_new("default", "test", 1 << 24);

    batch_hold(batch, fixture->pool);
    return batch;
}

static inline void fixture_add(struct fixture *fixture, struct batch *batch, const char *name,
                               int number, int64_t time_ms, double value)
{
    if (batch_sample(batch, fixture_labels(fixture, name, number), time_ms, value, &fixture->why) !=
        ERR_NONE)
        abort();
}

/* Accepts and commits; frees the batch. Returns how many rows were rejected, or -1. */
static inline int fixture_send(struct fixture *fixture, struct batch *batch)
{
    enum err err = store_accept(fixture->store, batch, &fixture->why);

    if (err == ERR_NONE)
        err = store_commit(fixture->store, &fixture->why);
    int rejected = (int)batch->rejected_count;
    if (rejected > 0)
        fixture->why = batch->rejected_why;
    batch_free(batch);
    return err == ERR_NONE ? rejected : -1;
}

/* One sample, sent by itself. */
static inline int fixture_put(struct fixture *fixture, const char *name, int number,
                              int64_t time_ms, double value)
{
    struct batch *batch = fixture_batch(fixture);

    fixture_add(fixture, batch, name, number, time_ms, value);
    return fixture_send(fixture, batch);
}

static inline struct store_view *fixture_view(struct fixture *fixture)
{
    struct store_view *view = NULL;

    if (store_view(fixture->store, "default", NULL, &view, &fixture->why) != ERR_NONE)
        printf("# %s\n", fixture->why.text);
    return view;
}

static inline struct matcher fixture_is(const char *name, const char *value)
{
    return (struct matcher){.op = MATCH_EQUAL, .name = str_of(name), .value = str_of(value)};
}

/* All samples of name{number} between two times; the arena is cleared first. */
static inline struct samples fixture_read(struct fixture *fixture, const char *name, int number,
                                          int64_t from_ms, int64_t to_ms)
{
    struct store_view *view = fixture_view(fixture);
    struct samples samples = {0};
    struct series_set set = {0};
    char text[32];

    arena_clear(fixture->arena);
    (void)snprintf(text, sizeof(text), "%d", number);
    struct matcher matchers[] = {fixture_is("__name__", name), fixture_is("number", text)};
    struct read_request request = {.from_ms = from_ms, .to_ms = to_ms};
    if (view == NULL)
        return samples;
    enum err err =
        view->ops->select(view, matchers, 2, from_ms, to_ms, fixture->arena, &set, &fixture->why);
    if (err == ERR_NONE && set.count == 1)
        err = view->ops->read(view, &set, &request, fixture->arena, &samples, &fixture->why);
    if (err != ERR_NONE)
        printf("# %s\n", fixture->why.text);
    store_view_release(view);
    return samples;
}
