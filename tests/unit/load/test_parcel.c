/* SPDX-License-Identifier: Apache-2.0 */
#include "load/parcel.h"

#include "base/file.h"
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

static struct parcel *sent(const struct parcel *parcel)
{
    struct buf bytes CLEANUP(buf_done) = {0};
    struct parcel *arrived = NULL;

    parcel_write(parcel, &bytes);
    if (parcel_read(buf_view(&bytes), &arrived, NULL) != ERR_NONE)
        return NULL;
    return arrived;
}

TEST(what_was_read_here_is_found_there_and_nothing_else)
{
    struct parcel *parcel = parcel_new();
    struct buf text CLEANUP(buf_done) = {0};
    const char *value;
    char path[64], in_memory[64];

    (void)snprintf(path, sizeof(path), "/tmp/sonde-parcel-%d", (int)getpid());
    ASSERT(file_write(path, STR("a\nb"), 0600, NULL) == ERR_NONE);
    (void)setenv("SONDE_TEST_PARCEL", "word", 1);
    ASSERT(parcel_file(parcel, path, 100, &text, NULL) == ERR_NONE);
    ASSERT(parcel_file(parcel, path, 100, &text, NULL) == ERR_NONE);
    EXPECT(str_eq(buf_view(&text), STR("a\nba\nb")) && parcel->items_count == 1);
    ASSERT(parcel_variable(parcel, "SONDE_TEST_PARCEL", &value, NULL) == ERR_NONE);
    EXPECT(value != NULL && str_eq(str_of(value), STR("word")));
    (void)unlink(path);
    (void)setenv("SONDE_TEST_PARCEL", "another", 1);

    struct parcel *there = sent(parcel);
    ASSERT(there != NULL);
    buf_clear(&text);
    ASSERT(parcel_file(there, path, 100, &text, NULL) == ERR_NONE);
    EXPECT(str_eq(buf_view(&text), STR("a\nb")));
    EXPECT(parcel_file(there, path, 2, &text, NULL) == ERR_TOO_LARGE);
    EXPECT(parcel_file(there, "/etc/passwd", 1 << 20, &text, NULL) == ERR_NOT_FOUND);
    ASSERT(parcel_variable(there, "SONDE_TEST_PARCEL", &value, NULL) == ERR_NONE);
    EXPECT(value != NULL && str_eq(str_of(value), STR("word")));
    ASSERT(parcel_variable(there, "HOME", &value, NULL) == ERR_NONE);
    EXPECT(value == NULL);
    ASSERT(parcel_path(there, path, 100, in_memory, NULL) == ERR_NONE);
    buf_clear(&text);
    ASSERT(file_read(in_memory, 100, &text, NULL) == ERR_NONE);
    EXPECT(str_eq(buf_view(&text), STR("a\nb")));
    (void)parcel_free(there);
    (void)parcel_free(parcel);
}

TEST(figures_and_settings_arrive_as_they_were)
{
    struct parcel *parcel = parcel_new();

    parcel->figures =
        (struct parcel_figures){2, 1, 0.1, UINT64_C(1) << 40, 7, UINT64_MAX, 11, 2, 3};
    ASSERT(parcel_put(parcel, PARCEL_SETTING, STR("rate"), STR("5"), NULL) == ERR_NONE);
    ASSERT(parcel_put(parcel, PARCEL_ITEM, STR("header"), STR("A: b, c"), NULL) == ERR_NONE);
    ASSERT(parcel_put(parcel, PARCEL_ITEM, STR("header"), STR(""), NULL) == ERR_NONE);
    struct parcel *there = sent(parcel);
    ASSERT(there != NULL);
    EXPECT(there->figures.target == 2 && there->figures.level == 0.1 &&
           there->figures.probe_ns == UINT64_C(1) << 40 && there->figures.seed == UINT64_MAX &&
           there->figures.trace_run == 11 && there->figures.part == 2 && there->figures.parts == 3);
    EXPECT(there->items_count == 3 && there->arrived);
    EXPECT(str_eq(parcel_find(there, PARCEL_ITEM, STR("header"))->text, STR("A: b, c")));
    EXPECT(parcel_find(there, PARCEL_SETTING, STR("header")) == NULL);
    (void)parcel_free(there);
    (void)parcel_free(parcel);
}

TEST(damaged_parcels_are_refused)
{
    struct parcel *parcel = parcel_new();
    struct parcel *there = NULL;
    struct buf bytes CLEANUP(buf_done) = {0};

    ASSERT(parcel_put(parcel, PARCEL_FILE, STR("f"), STR("text"), NULL) == ERR_NONE);
    parcel_write(parcel, &bytes);
    for (size_t size = 0; size < bytes.size; size++)
        EXPECT(parcel_read((struct str){bytes.data, size}, &there, NULL) == ERR_CORRUPT);
    buf_byte(&bytes, 0);
    EXPECT(parcel_read(buf_view(&bytes), &there, NULL) == ERR_CORRUPT);
    parcel->figures.part = 1; /* Of one. */
    buf_clear(&bytes);
    parcel_write(parcel, &bytes);
    EXPECT(parcel_read(buf_view(&bytes), &there, NULL) == ERR_CORRUPT);
    (void)parcel_free(parcel);
}

TEST_MAIN
