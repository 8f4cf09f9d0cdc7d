/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"
#include "test.h"

enum { KEYS = 5000 };

static char keys[KEYS][16];

static struct str key_of(int i)
{
    return (struct str){keys[i], (size_t)snprintf(keys[i], sizeof(keys[i]), "key-%d", i)};
}

TEST(every_key_is_found_until_it_is_removed)
{
    struct map map CLEANUP(map_done) = {0};

    for (int i = 0; i < KEYS; i++)
        EXPECT(map_put(&map, key_of(i), keys[i]) == NULL);
    EXPECT(map.count == KEYS);
    for (int i = 0; i < KEYS; i += 3)
        EXPECT(map_remove(&map, key_of(i)) == keys[i]);
    for (int i = 0; i < KEYS; i++)
        EXPECT(map_get(&map, key_of(i)) == (i % 3 == 0 ? NULL : keys[i]));
    EXPECT(map_remove(&map, STR("absent")) == NULL);
}

TEST(putting_again_replaces)
{
    struct map map CLEANUP(map_done) = {0};
    int first;
    int second;

    EXPECT(map_put(&map, STR("a"), &first) == NULL);
    EXPECT(map_put(&map, STR("a"), &second) == &first);
    EXPECT(map.count == 1 && map_get(&map, STR("a")) == &second);
}

TEST(each_visits_every_entry_once)
{
    struct map map CLEANUP(map_done) = {0};
    size_t seen = 0;

    for (int i = 0; i < 100; i++)
        (void)map_put(&map, key_of(i), keys[i]); /* Nothing was there. */
    MAP_EACH (&map, entry) {
        EXPECT(entry->key.data == entry->value);
        seen++;
    }
    EXPECT(seen == 100);
}

TEST_MAIN
