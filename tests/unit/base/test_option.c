/* SPDX-License-Identifier: Apache-2.0 */
#include "base/option.h"
#include "test.h"

enum {
    NAME,
    FOLDER,
    LOUD,
    COUNT,
    SCALE,
    ROOM,
    AGE,
    SHARE,
    SHAPE,
    WORDS,
    PLACE,
    TOKEN,
};

static const struct option_row rows[] = {
    [NAME] = {.name = "name", .type = OPTION_TEXT, .help = "A name."},
    [FOLDER] = {.name = "folder", .type = OPTION_PATH, .help = "A folder."},
    [LOUD] = {.name = "loud", .type = OPTION_BOOL, .preset = "false", .help = "Loud."},
    [COUNT] = {.name = "count", .type = OPTION_INTEGER, .preset = "4", .range = "1..64"},
    [SCALE] = {.name = "scale", .type = OPTION_NUMBER, .preset = "1.5", .range = "0.."},
    [ROOM] = {.name = "room", .type = OPTION_SIZE, .preset = "64KiB", .range = "1KiB..1GiB"},
    [AGE] = {.name = "retention.raw", .type = OPTION_DURATION, .preset = "30d", .range = "1h.."},
    [SHARE] = {.name = "share", .type = OPTION_RATIO, .preset = "100%"},
    [SHAPE] = {.name = "shape", .type = OPTION_CHOICE, .preset = "round", .range = "round|square"},
    [WORDS] = {.name = "words", .type = OPTION_LIST},
    [PLACE] = {.name = "listen", .type = OPTION_ADDRESS, .preset = "127.0.0.1:7070"},
    [TOKEN] = {.name = "token", .type = OPTION_TEXT, .flags = OPTION_SECRET},
};

static const struct option_origin from_file = {OPTION_FROM_FILE, "a.yaml", 3, 5};
static const struct option_origin from_profile = {OPTION_FROM_PROFILE, "staging", 0, 0};

static bool set(struct options *options, size_t index, const char *text)
{
    struct why why = WHY_INIT;

    return options_set(options, index, str_of(text), &from_file, &why) == ERR_NONE;
}

TEST(presets_are_there_from_the_start)
{
    struct options *options CLEANUP(options_freep) = options_new(rows, ARRAY_COUNT(rows));

    EXPECT(options_i64(options, COUNT) == 4);
    EXPECT(options_i64(options, ROOM) == 65536);
    EXPECT(options_ms(options, AGE) == INT64_C(30) * 86400 * 1000);
    EXPECT_NEAR(options_double(options, SHARE), 1, 0);
    EXPECT(options_i64(options, SHAPE) == 0);
    EXPECT(!options_is_set(options, NAME));
    EXPECT(options_text(options, NAME).data == NULL);
    EXPECT(options_origin(options, COUNT)->source == OPTION_FROM_DEFAULT);
}

TEST(every_type_takes_what_it_says_and_nothing_else)
{
    static const struct {
        size_t index;
        const char *good;
        const char *bad;
    } cases[] = {
        {LOUD, "yes", "perhaps"},
        {COUNT, "64", "65"},
        {COUNT, "1", "0"},
        {COUNT, "7", "7.5"},
        {SCALE, "0.25", "-1"},
        {SCALE, "3", "NaN"},
        {ROOM, "1MiB", "512"},
        {ROOM, "10kB", "2GiB"},
        {ROOM, "2048", "big"},
        {AGE, "2h", "30m"},
        {AGE, "1w", "soon"},
        {SHARE, "1%", "101%"},
        {SHARE, "0.25", "1.5"},
        {SHAPE, "square", "squae"},
        {PLACE, "[::1]:80", "[::1]"},
        {PLACE, ":0", "host:99999"},
        {PLACE, "host:7", "http://a:7"},
        {FOLDER, "/a/b", ""},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct options *options CLEANUP(options_freep) = options_new(rows, ARRAY_COUNT(rows));
        EXPECT(set(options, cases[i].index, cases[i].good));
        if (set(options, cases[i].index, cases[i].bad)) {
            printf("# case %zu: %s was taken\n", i, cases[i].bad);
            EXPECT(false);
        }
    }
}

TEST(a_refusal_says_what_was_expected_and_what_was_meant)
{
    struct options *options CLEANUP(options_freep) = options_new(rows, ARRAY_COUNT(rows));
    struct why why = WHY_INIT;

    EXPECT(options_set(options, SHAPE, STR("sqare"), &from_file, &why) == ERR_INVALID);
    EXPECT_TEXT(why.text, "shape: 'sqare' is not one of round|square");
    EXPECT_TEXT(why.hint, "did you mean square?");
    EXPECT(options_set(options, COUNT, STR("900"), &from_file, &why) == ERR_INVALID);
    EXPECT_TEXT(why.text, "count: '900' is not a whole number within 1..64");
    EXPECT(options_set(options, NAME, (struct str){"a\0b", 3}, &from_file, &why) == ERR_INVALID);
}

TEST(the_stronger_source_wins_in_whatever_order_they_come)
{
    struct options *options CLEANUP(options_freep) = options_new(rows, ARRAY_COUNT(rows));
    struct why why = WHY_INIT;

    EXPECT(options_set(options, COUNT, STR("8"), &from_file, &why) == ERR_NONE);
    EXPECT(options_set(options, COUNT, STR("9"), &from_profile, &why) == ERR_NONE);
    EXPECT(options_i64(options, COUNT) == 8);
    EXPECT(options_origin(options, COUNT)->line == 3);
}

TEST(flags_are_read_in_all_their_forms)
{
    struct options *options CLEANUP(options_freep) = options_new(rows, ARRAY_COUNT(rows));
    const char *arguments[] = {"first", "--retention-raw", "7d", "--loud", "--count=5",
                               "-3",    "--words=a, b,,c", "--", "--odd"};
    const struct str *words;
    struct why why = WHY_INIT;
    size_t rest;

    ASSERT(options_read_flags(options, arguments, ARRAY_COUNT(arguments), &rest, &why) == ERR_NONE);
    ASSERT(rest == 3);
    EXPECT_TEXT(arguments[0], "first");
    EXPECT_TEXT(arguments[1], "-3");
    EXPECT_TEXT(arguments[2], "--odd");
    EXPECT(options_ms(options, AGE) == INT64_C(7) * 86400 * 1000);
    EXPECT(options_bool(options, LOUD));
    EXPECT(options_i64(options, COUNT) == 5);
    ASSERT(options_list(options, WORDS, &words) == 3);
    EXPECT(str_eq(words[2], STR("c")));
    EXPECT(options_origin(options, AGE)->source == OPTION_FROM_FLAG);
}

static void expect_flag_error(const char *flag, const char *text, const char *hint_text)
{
    struct options *options CLEANUP(options_freep) = options_new(rows, ARRAY_COUNT(rows));
    char copy[64];
    const char *arguments[] = {copy};
    struct why why = WHY_INIT;
    size_t rest;

    (void)snprintf(copy, sizeof(copy), "%s", flag);
    EXPECT(options_read_flags(options, arguments, 1, &rest, &why) == ERR_INVALID);
    EXPECT_TEXT(why.text, text);
    EXPECT_TEXT(why.hint, hint_text);
}

TEST(wrong_flags_are_named)
{
    expect_flag_error("--lisen=:1", "unknown flag --lisen", "did you mean --listen?");
    expect_flag_error("--zzz", "unknown flag --zzz", "");
    expect_flag_error("--count", "--count needs a value: NUMBER", "");
    expect_flag_error("--no-loud=1", "--no-loud takes no value", "");
    expect_flag_error("-x", "unknown flag -x: flags begin with two dashes", "");
    expect_flag_error("--token=abc", "--token: a secret on the command line is seen by every user",
                      "give it in a file (--token-file) or in the environment");
}

TEST(variables_are_read_and_typing_mistakes_complained_about)
{
    struct options *options CLEANUP(options_freep) = options_new(rows, ARRAY_COUNT(rows));
    struct buf complaints CLEANUP(buf_done) = {0};
    struct buf shown CLEANUP(buf_done) = {0};
    const char *environment[] = {"SONDE_RETENTION_RAW=2d",
                                 "SONDE_TOKEN=geheim",
                                 "SONDE_LISTNE=:1",
                                 "SONDE_UNRELATED_THING=1",
                                 "PATH=/bin",
                                 "SONDE=1",
                                 NULL};
    struct why why = WHY_INIT;

    ASSERT(options_read_environment(options, "SONDE", environment, &complaints, &why) == ERR_NONE);
    EXPECT(options_ms(options, AGE) == INT64_C(2) * 86400 * 1000);
    EXPECT(str_eq(options_text(options, TOKEN), STR("geheim")));
    EXPECT_TEXT(buf_cstr(&complaints), "environment variable SONDE_LISTNE means nothing; did you "
                                       "mean SONDE_LISTEN?\n");
    options_write(options, TOKEN, &shown);
    EXPECT_TEXT(buf_cstr(&shown), "(hidden)");
}

TEST(a_bad_variable_is_named_in_the_error)
{
    struct options *options CLEANUP(options_freep) = options_new(rows, ARRAY_COUNT(rows));
    struct buf complaints CLEANUP(buf_done) = {0};
    const char *environment[] = {"SONDE_COUNT=many", NULL};
    struct why why = WHY_INIT;

    EXPECT(options_read_environment(options, "SONDE", environment, &complaints, &why) ==
           ERR_INVALID);
    EXPECT_TEXT(why.text, "environment variable SONDE_COUNT: count: 'many' is not a whole number "
                          "within 1..64");
}

TEST_MAIN
