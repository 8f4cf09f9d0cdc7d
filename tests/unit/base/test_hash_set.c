/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash_set.h"
#include "base/must.h"
#include "test.h"

enum { ITEMS = 5000, ALIKE = 3 };

struct item {
    uint64_t hash;
    int number;
};

static struct item items[ITEMS];

TEST(an_empty_set_has_nothing)
{
    struct hash_set set CLEANUP(hash_set_done) = {0};
    struct hash_set_walk walk = hash_set_walk(&set, 1);

    EXPECT(hash_set_next(&walk) == NULL);
}

TEST(every_item_of_a_hash_is_met_once)
{
    struct hash_set set CLEANUP(hash_set_done) = {0};

    for (int i = 0; i < ITEMS; i++) {
        items[i] = (struct item){(uint64_t)(i / ALIKE) * 64, i}; /* Many want the same place. */
        hash_set_add(&set, &items[i]);
    }
    EXPECT(set.count == ITEMS);
    for (int i = 0; i + ALIKE <= ITEMS; i += ALIKE) {
        struct hash_set_walk walk = hash_set_walk(&set, items[i].hash);
        const struct item *item;
        int sum = 0;
        int met = 0;
        for (; (item = hash_set_next(&walk)) != NULL; met++)
            sum += item->number;
        EXPECT(met == ALIKE && sum == 3 * i + 3);
    }
    struct hash_set_walk walk = hash_set_walk(&set, 1);
    EXPECT(hash_set_next(&walk) == NULL);
}

TEST_MAIN
