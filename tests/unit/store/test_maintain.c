/* SPDX-License-Identifier: Apache-2.0 */
#include "store/maintain.h"
#include "store_fixture.h"

#include <fcntl.h>

#define NOON_MS (INT64_C(1794312000) * 1000) /* 2026-11-10 12:00 UTC. */

enum { ROWS = 400, SERIES = 70 };

struct notes {
    int files;
    int findings;
    char last[512];
};

static void note_progress(void *self, const char *file, size_t done, size_t total)
{
    struct notes *notes = self;

    (void)file;
    notes->files += done < total;
}

static void note_finding(void *self, const char *sentence)
{
    struct notes *notes = self;

    notes->findings++;
    (void)snprintf(notes->last, sizeof(notes->last), "%s", sentence);
}

static double value_of(int row, int number)
{
    return (double)((uint32_t)(row * SERIES + number) * 2654435761u >> 8);
}

static void fill(struct fixture *fixture)
{
    for (int row = 0; row < ROWS; row++) {
        struct batch *batch = fixture_batch(fixture);
        for (int number = 0; number < SERIES; number++)
            fixture_add(fixture, batch, "kept", number, NOON_MS + row * 1000,
                        value_of(row, number));
        if (fixture_send(fixture, batch) != 0)
            abort();
    }
}

static bool is_whole(struct fixture *fixture)
{
    for (int number = 0; number < SERIES; number++) {
        struct samples samples = fixture_read(fixture, "kept", number, 0, INT64_MAX / 2);
        if (samples.count != ROWS || samples.value[ROWS - 1] != value_of(ROWS - 1, number))
            return false;
    }
    return true;
}

TEST(a_backup_taken_while_writing_restores_to_the_same_answers)
{
    struct fixture fixture = fixture_new();
    struct fixture second = fixture_new();
    struct notes notes = {0};
    struct maintain maintain = {note_progress, note_finding, &notes, NULL};
    struct maintain_result result;
    char backup[128];

    (void)snprintf(backup, sizeof(backup), "%s/backup", second.folder);
    fixture.options.head_bytes = 8 << 10;
    ASSERT(fixture_open(&fixture));
    fill(&fixture);
    ASSERT(store_backup(fixture.folder, backup, &maintain, &result, &fixture.why) == ERR_NONE);
    EXPECT(result.tenants == 1 && result.files == 2 && notes.files == 2);
    EXPECT(store_backup(fixture.folder, backup, &maintain, &result, &fixture.why) == ERR_EXISTS);
    EXPECT(store_restore(backup, fixture.folder, &maintain, &result, &fixture.why) == ERR_BUSY);

    char data[128];
    (void)snprintf(data, sizeof(data), "%s/data", second.folder);
    ASSERT(store_restore(backup, data, &maintain, &result, &fixture.why) == ERR_NONE);
    EXPECT(store_restore(backup, data, &maintain, &result, &fixture.why) == ERR_EXISTS);
    fixture.store = store_close(fixture.store);
    fixture.options.path = data;
    ASSERT(store_open(&fixture.options, &fixture.store, &fixture.why) == ERR_NONE);
    EXPECT(is_whole(&fixture));
    fixture_done(&fixture);
    fixture_done(&second);
}

TEST(a_check_of_good_data_finds_nothing_and_counts_everything)
{
    struct fixture fixture = fixture_new();
    struct notes notes = {0};
    struct maintain maintain = {note_progress, note_finding, &notes, NULL};
    struct maintain_result result;

    fixture.options.head_bytes = 8 << 10;
    ASSERT(fixture_open(&fixture));
    fill(&fixture);
    ASSERT(store_check(fixture.folder, &maintain, &result, &fixture.why) == ERR_NONE);
    EXPECT(result.findings == 0 && notes.findings == 0);
    EXPECT(result.samples + result.pending == (uint64_t)ROWS * SERIES);
    EXPECT(result.series == SERIES && result.blocks > 0);
    ASSERT(store_look(fixture.folder, &maintain, &result, &fixture.why) == ERR_NONE);
    EXPECT(result.series == SERIES);
    fixture_done(&fixture);
}

/* Turns one bit in the middle of the file. */
static void damage(const char *path, uint64_t at)
{
    char byte = 0;
    int fd = open(path, O_RDWR);

    if (fd < 0 || pread(fd, &byte, 1, (off_t)at) != 1)
        abort();
    byte = (char)(byte ^ 0x10);
    if (pwrite(fd, &byte, 1, (off_t)at) != 1)
        abort();
    (void)close(fd);
}

TEST(a_single_damaged_bit_is_found_wherever_it_lies)
{
    struct fixture fixture = fixture_new();
    struct notes notes = {0};
    struct maintain maintain = {NULL, note_finding, &notes, NULL};
    struct maintain_result result;
    char path[128];
    uint64_t size = 0;

    ASSERT(fixture_open(&fixture));
    fill(&fixture);
    ASSERT(store_compact(fixture.store, &fixture.why) == ERR_NONE);
    fixture.store = store_close(fixture.store);
    (void)snprintf(path, sizeof(path), "%s/default/2026-11-10.db", fixture.folder);
    ASSERT(file_size(path, &size, &fixture.why) == ERR_NONE);
    int missed = 0;
    int tried = 0;
    for (uint64_t at = 8192; at < size; at += 997, tried++) { /* Behind schema and page map. */
        damage(path, at);
        ASSERT(store_check(fixture.folder, &maintain, &result, &fixture.why) == ERR_NONE);
        missed += result.findings == 0;
        damage(path, at);
    }
    printf("# %d of %d damaged bits lay in unused space\n", missed, tried);
    EXPECT(missed * 4 < tried);
    EXPECT(notes.last[0] != '\0');
    fixture_done(&fixture);
}

TEST_MAIN
