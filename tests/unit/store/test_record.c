/* SPDX-License-Identifier: Apache-2.0 */
#include "store/record.h"

#include "store/maintain.h"
#include "store_fixture.h"

#include <pthread.h>

#define KIND STR("benchmark")

static bool open_with_tenant(struct fixture *fixture)
{
    return fixture_open(fixture) &&
           fixture_put(fixture, "x", 1, INT64_C(1794312000) * 1000, 1) == 0;
}

static enum err put(struct fixture *fixture, const char *name, int64_t time_ms, const char *body)
{
    struct record record = {KIND, str_of(name), time_ms, str_of(body)};

    return store_record_put(fixture->store, "default", &record, &fixture->why);
}

static size_t count_of(struct fixture *fixture, const char *prefix)
{
    struct record_question question = {KIND, str_of(prefix), 1000, false};
    struct record_list list = {0};

    if (store_record_list(fixture->store, "default", &question, fixture->arena, &list,
                          &fixture->why) != ERR_NONE)
        return SIZE_MAX;
    return list.count;
}

TEST(what_was_put_is_read_back_newest_first_and_replaced_by_name)
{
    struct fixture fixture = fixture_new();
    struct record_question question = {KIND, STR(""), 10, true};
    struct record_list list;
    struct record record;

    ASSERT(open_with_tenant(&fixture));
    EXPECT(count_of(&fixture, "") == 0);
    EXPECT(store_record_get(fixture.store, "default", KIND, STR("a"), fixture.arena, &record,
                            &fixture.why) == ERR_NOT_FOUND);
    ASSERT(put(&fixture, "a", 1, "{\"old\":1}") == ERR_NONE);
    ASSERT(put(&fixture, "ab", 2, "{}") == ERR_NONE);
    ASSERT(put(&fixture, "b", 3, "{}") == ERR_NONE);
    ASSERT(put(&fixture, "a", 4, "{\"new\":1}") == ERR_NONE);
    ASSERT(store_record_list(fixture.store, "default", &question, fixture.arena, &list,
                             &fixture.why) == ERR_NONE);
    ASSERT(list.count == 3);
    EXPECT(str_eq(list.items[0].name, STR("a")) && list.items[0].time_ms == 4);
    EXPECT(str_eq(list.items[0].body, STR("{\"new\":1}")));
    EXPECT(str_eq(list.items[1].name, STR("b")) && str_eq(list.items[2].name, STR("ab")));
    ASSERT(store_record_get(fixture.store, "default", KIND, STR("ab"), fixture.arena, &record,
                            &fixture.why) == ERR_NONE);
    EXPECT(record.time_ms == 2 && str_eq(record.body, STR("{}")));
    EXPECT(store_record_remove(fixture.store, "default", KIND, STR("ab"), &fixture.why) ==
           ERR_NONE);
    EXPECT(store_record_remove(fixture.store, "default", KIND, STR("ab"), &fixture.why) ==
           ERR_NOT_FOUND);
    EXPECT(count_of(&fixture, "") == 2);
    fixture_done(&fixture);
}

TEST(adding_leaves_what_has_the_name_already_as_it_is)
{
    struct fixture fixture = fixture_new();
    const struct record first = {KIND, STR("a"), 1, STR("{}")};
    const struct record second = {KIND, STR("a"), 2, STR("[]")};
    struct record record;

    ASSERT(open_with_tenant(&fixture));
    ASSERT(store_record_add(fixture.store, "default", &first, &fixture.why) == ERR_NONE);
    EXPECT(store_record_add(fixture.store, "default", &second, &fixture.why) == ERR_EXISTS);
    EXPECT_TEXT(fixture.why.text, "there is a benchmark 'a' already");
    ASSERT(store_record_get(fixture.store, "default", KIND, STR("a"), fixture.arena, &record,
                            &fixture.why) == ERR_NONE);
    EXPECT(record.time_ms == 1 && str_eq(record.body, STR("{}")));
    fixture_done(&fixture);
}

TEST(trimming_keeps_the_newest_of_a_prefix)
{
    struct fixture fixture = fixture_new();
    char name[32];

    ASSERT(open_with_tenant(&fixture));
    ASSERT(put(&fixture, "other", 0, "{}") == ERR_NONE);
    for (int i = 0; i < 10; i++) {
        (void)snprintf(name, sizeof(name), "a/%d", i);
        ASSERT(put(&fixture, name, i, "{}") == ERR_NONE);
    }
    EXPECT(count_of(&fixture, "a/") == 10);
    ASSERT(store_record_trim(fixture.store, "default", KIND, STR("a/"), 3, &fixture.why) ==
           ERR_NONE);
    EXPECT(count_of(&fixture, "a/") == 3 && count_of(&fixture, "") == 4);
    EXPECT(store_record_remove(fixture.store, "default", KIND, STR("a/9"), &fixture.why) ==
           ERR_NONE);
    EXPECT(store_record_remove(fixture.store, "default", KIND, STR("a/6"), &fixture.why) ==
           ERR_NOT_FOUND);
    fixture_done(&fixture);
}

TEST(a_file_that_a_crash_left_half_made_is_finished_by_who_reads_it)
{
    struct fixture fixture = fixture_new();
    char path[128];

    ASSERT(open_with_tenant(&fixture));
    (void)snprintf(path, sizeof(path), "%s/default/records.db", fixture.folder);
    FILE *file = fopen(path, "w");
    ASSERT(file != NULL && fclose(file) == 0);
    EXPECT(count_of(&fixture, "") == 0);
    EXPECT(put(&fixture, "a", 1, "{}") == ERR_NONE);
    EXPECT(count_of(&fixture, "") == 1);
    fixture_done(&fixture);
}

TEST(what_cannot_be_kept_is_refused)
{
    struct fixture fixture = fixture_new();
    struct record record = {KIND, STR("x"), 0, STR("{}")};
    char *large = calloc(1, RECORD_BODY_BYTES_MAX + 1);
    char name[RECORD_NAME_BYTES_MAX + 2];

    ASSERT(open_with_tenant(&fixture));
    EXPECT(put(&fixture, "", 0, "{}") == ERR_INVALID);
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    EXPECT(put(&fixture, name, 0, "{}") == ERR_INVALID);
    EXPECT(store_record_get(fixture.store, "default", KIND, str_of(name), fixture.arena, &record,
                            &fixture.why) == ERR_NOT_FOUND);
    record.body = (struct str){large, RECORD_BODY_BYTES_MAX + 1};
    EXPECT(store_record_put(fixture.store, "default", &record, &fixture.why) == ERR_TOO_LARGE);
    record.body = STR("{}");
    EXPECT(store_record_put(fixture.store, "nobody", &record, &fixture.why) == ERR_NOT_FOUND);
    EXPECT(store_record_put(fixture.store, "../default", &record, &fixture.why) == ERR_INVALID);
    EXPECT(count_of(&fixture, "") == 0);
    free(large);
    fixture_done(&fixture);
}

enum { THREADS = 4, PUTS = 20 };

struct putter {
    struct fixture *fixture;
    int number;
    int failures;
};

static void *put_many(void *self)
{
    struct putter *putter = self;
    struct why why = WHY_INIT;
    char name[32];

    for (int i = 0; i < PUTS; i++) {
        (void)snprintf(name, sizeof(name), "%d/%d", putter->number, i);
        struct record record = {KIND, str_of(name), i, STR("{}")};
        putter->failures +=
            store_record_put(putter->fixture->store, "default", &record, &why) != ERR_NONE;
    }
    return NULL;
}

TEST(many_threads_put_at_once_and_a_backup_has_all)
{
    struct fixture fixture = fixture_new();
    struct fixture second = fixture_new();
    struct putter putters[THREADS];
    pthread_t threads[THREADS];
    struct maintain maintain = {0};
    struct maintain_result result;
    char path[128];

    ASSERT(open_with_tenant(&fixture));
    for (int i = 0; i < THREADS; i++) {
        putters[i] = (struct putter){&fixture, i, 0};
        ASSERT(pthread_create(&threads[i], NULL, put_many, &putters[i]) == 0);
    }
    size_t seen = 0;
    for (int i = 0; i < PUTS || seen == 0; i++) { /* Also while the file is being made. */
        seen = count_of(&fixture, "");
        ASSERT(seen <= THREADS * PUTS);
    }
    for (int i = 0; i < THREADS; i++) {
        ASSERT(pthread_join(threads[i], NULL) == 0);
        EXPECT(putters[i].failures == 0);
    }
    EXPECT(count_of(&fixture, "") == THREADS * PUTS);
    ASSERT(store_check(fixture.folder, &maintain, &result, &fixture.why) == ERR_NONE);
    EXPECT(result.findings == 0);
    (void)snprintf(path, sizeof(path), "%s/backup", second.folder);
    ASSERT(store_backup(fixture.folder, path, &maintain, &result, &fixture.why) == ERR_NONE);
    fixture.store = store_close(fixture.store);
    fixture.options.path = path;
    ASSERT(store_open(&fixture.options, &fixture.store, &fixture.why) == ERR_NONE);
    EXPECT(count_of(&fixture, "") == THREADS * PUTS);
    fixture_done(&fixture);
    fixture_done(&second);
}

TEST_MAIN
