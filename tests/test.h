/* SPDX-License-Identifier: Apache-2.0 */
/* test - unit tests whose names are sentences, told in TAP.
 *
 *     TEST(unsealed_rows_survive_a_kill)
 *     {
 *         EXPECT(rows == 3);
 *     }
 *     TEST_MAIN
 *
 * EXPECT reports and goes on; ASSERT reports and leaves the test; SKIP says why and leaves it. */
#pragma once
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test {
    const char *name;
    void (*run)(void);
    struct test *next;
};

static struct {
    struct test *first;
    struct test **last;
    int failures; /* Of the running test. */
    char skipped[256];
} tests __attribute__((unused)) = {0};

static inline void test_add(struct test *test)
{
    if (tests.last == NULL)
        tests.last = &tests.first;
    *tests.last = test;
    tests.last = &test->next;
}

static inline void test_complain(const char *file, int line, const char *what)
{
    tests.failures++;
    printf("# %s:%d: expected %s\n", file, line, what);
}

#define TEST(sentence)                                                 \
    static void test_##sentence(void);                                 \
    __attribute__((constructor)) static void test_add_##sentence(void) \
    {                                                                  \
        static struct test self = {#sentence, test_##sentence, NULL};  \
        test_add(&self);                                               \
    }                                                                  \
    static void test_##sentence(void)

#define EXPECT(condition)                                  \
    do {                                                   \
        if (!(condition))                                  \
            test_complain(__FILE__, __LINE__, #condition); \
    } while (0)

#define ASSERT(condition)                                  \
    do {                                                   \
        if (!(condition)) {                                \
            test_complain(__FILE__, __LINE__, #condition); \
            return;                                        \
        }                                                  \
    } while (0)

#define EXPECT_NEAR(actual, wanted, tolerance)                           \
    do {                                                                 \
        double actual_ = (actual);                                       \
        double wanted_ = (wanted);                                       \
        if (!(fabs(actual_ - wanted_) <= (tolerance))) {                 \
            test_complain(__FILE__, __LINE__, #actual " near " #wanted); \
            printf("#     got %.17g, wanted %.17g\n", actual_, wanted_); \
        }                                                                \
    } while (0)

#define EXPECT_TEXT(actual, wanted)                                                                \
    do {                                                                                           \
        const char *actual_ = (actual);                                                            \
        const char *wanted_ = (wanted);                                                            \
        if (actual_ == NULL || strcmp(actual_, wanted_) != 0) {                                    \
            test_complain(__FILE__, __LINE__, #actual " to be as wanted");                         \
            printf("#     got    '%s'\n#     wanted '%s'\n", actual_ == NULL ? "(null)" : actual_, \
                   wanted_);                                                                       \
        }                                                                                          \
    } while (0)

#define SKIP(...)                                                          \
    do {                                                                   \
        (void)snprintf(tests.skipped, sizeof(tests.skipped), __VA_ARGS__); \
        return;                                                            \
    } while (0)

static inline int test_run_all(void)
{
    int number = 0;
    int failed = 0;

    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    for (struct test *test = tests.first; test != NULL; test = test->next) {
        tests.failures = 0;
        tests.skipped[0] = '\0';
        test->run();
        number++;
        failed += tests.failures > 0;
        printf("%s %d - ", tests.failures > 0 ? "not ok" : "ok", number);
        for (const char *at = test->name; *at != '\0'; at++)
            putchar(*at == '_' ? ' ' : *at);
        if (tests.skipped[0] != '\0' && tests.failures == 0)
            printf(" # SKIP %s", tests.skipped);
        putchar('\n');
    }
    printf("1..%d\n", number);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#define TEST_MAIN              \
    int main(void)             \
    {                          \
        return test_run_all(); \
    }
