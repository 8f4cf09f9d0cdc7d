/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "test.h"

#include <unistd.h>

static char folder[64];

static const char *path_of(const char *name)
{
    static char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name); /* Fits. */
    return path;
}

__attribute__((constructor)) static void make_folder(void)
{
    (void)snprintf(folder, sizeof(folder), "/tmp/sonde-test-file-XXXXXX");
    if (mkdtemp(folder) == NULL)
        perror("mkdtemp");
}

__attribute__((destructor)) static void remove_folder(void)
{
    (void)unlink(path_of("a"));
    (void)rmdir(path_of("x/y"));
    (void)rmdir(path_of("x"));
    (void)rmdir(folder);
}

TEST(a_file_is_replaced_as_a_whole)
{
    struct buf content CLEANUP(buf_done) = {0};

    EXPECT(file_write(path_of("a"), STR("first"), 0600, NULL) == ERR_NONE);
    EXPECT(file_write(path_of("a"), STR("second"), 0600, NULL) == ERR_NONE);
    EXPECT(file_read(path_of("a"), 100, &content, NULL) == ERR_NONE);
    EXPECT_TEXT(buf_cstr(&content), "second");
}

TEST(a_file_over_the_limit_is_refused_by_name)
{
    struct buf content CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;

    EXPECT(file_write(path_of("a"), STR("123456"), 0600, NULL) == ERR_NONE);
    EXPECT(file_read(path_of("a"), 5, &content, &why) == ERR_TOO_LARGE);
    EXPECT(strstr(why.text, "/a is larger than 5 bytes") != NULL);
}

TEST(proc_files_whose_size_lies_are_read_whole)
{
    struct buf content CLEANUP(buf_done) = {0};

    EXPECT(file_read("/proc/self/status", 1 << 20, &content, NULL) == ERR_NONE);
    EXPECT(strstr(buf_cstr(&content), "VmRSS") != NULL);
}

TEST(a_pipe_is_read_to_its_end)
{
    struct buf out CLEANUP(buf_done) = {0};
    int ends[2];

    ASSERT(pipe(ends) == 0);
    ASSERT(write(ends[1], "from a pipe", 11) == 11);
    (void)close(ends[1]);
    EXPECT(file_read_fd(ends[0], "pipe", 100, &out, NULL) == ERR_NONE);
    EXPECT_TEXT(buf_cstr(&out), "from a pipe");
    (void)close(ends[0]);
}

TEST(an_absent_file_is_not_found)
{
    struct buf content CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;

    EXPECT(file_read(path_of("absent"), 5, &content, &why) == ERR_NOT_FOUND);
    EXPECT(strstr(why.text, "absent") != NULL);
}

TEST(folders_are_made_with_those_above)
{
    EXPECT(file_make_folder(path_of("x/y"), NULL) == ERR_NONE);
    EXPECT(file_make_folder(path_of("x/y"), NULL) == ERR_NONE);
    EXPECT(access(path_of("x/y"), W_OK) == 0);
    EXPECT(file_write(path_of("a"), STR(""), 0600, NULL) == ERR_NONE);
    EXPECT(file_make_folder(path_of("a"), NULL) != ERR_NONE);
}

static enum err collect(void *self, const char *name, struct why *why)
{
    struct buf *names = self;

    (void)why; /* Nothing can fail. */
    buf_printf(names, "%s ", name);
    return ERR_NONE;
}

TEST(names_come_in_order)
{
    struct buf names CLEANUP(buf_done) = {0};

    EXPECT(file_each(folder, collect, &names, NULL) == ERR_NONE);
    EXPECT_TEXT(buf_cstr(&names), "a x ");
}

TEST_MAIN
