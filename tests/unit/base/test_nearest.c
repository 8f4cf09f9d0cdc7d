/* SPDX-License-Identifier: Apache-2.0 */
#include "base/nearest.h"
#include "test.h"

static struct str found_of(const char *word)
{
    struct nearest nearest = nearest_begin(str_of(word));

    nearest_offer(&nearest, STR("listen"));
    nearest_offer(&nearest, STR("retention.raw"));
    nearest_offer(&nearest, STR("log.level"));
    nearest_offer(&nearest, STR("data"));
    return nearest_found(&nearest);
}

TEST(counts_edits_as_people_make_them)
{
    EXPECT(nearest_distance(STR("listen"), STR("listen")) == 0);
    EXPECT(nearest_distance(STR("listen"), STR("lisen")) == 1);
    EXPECT(nearest_distance(STR("listen"), STR("litsen")) == 1);
    EXPECT(nearest_distance(STR("kitten"), STR("sitting")) == 3);
    EXPECT(nearest_distance(STR(""), STR("abc")) == 3);
    EXPECT(nearest_distance(STR("log_level"), STR("log.level")) == 0);
}

TEST(a_slip_finds_its_word_and_nonsense_finds_none)
{
    EXPECT(str_eq(found_of("lisetn"), STR("listen")));
    EXPECT(str_eq(found_of("retention-rw"), STR("retention.raw")));
    EXPECT(str_eq(found_of("dta"), STR("data")));
    EXPECT(str_eq(found_of("reten"), STR("retention.raw")));
    EXPECT(found_of("xylophone").data == NULL);
    EXPECT(found_of("").data == NULL);
    EXPECT(found_of("q").data == NULL);
}

TEST(a_word_too_long_to_compare_is_never_close)
{
    char text[200];

    memset(text, 'a', sizeof(text));
    EXPECT(nearest_distance((struct str){text, sizeof(text)}, STR("a")) == SIZE_MAX);
}

TEST_MAIN
