/* SPDX-License-Identifier: Apache-2.0 */
#include "sketch/topk.h"

#include "test.h"

#include <math.h>

#define KEYS 2000

static uint64_t state = 3;

static double uniform(void)
{
    uint64_t z = (state += UINT64_C(0x9E3779B97F4A7C15));

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/* Zipf-like: key 0 is the commonest. */
static int next_key(void)
{
    return (int)fmin(KEYS - 1, pow(KEYS, uniform()) - 1);
}

static struct str name_of(int key, char name[16])
{
    return (struct str){name, (size_t)snprintf(name, 16, "key-%d", key)};
}

/* The three statements of the header, against the truth. */
static void bounds_hold(const struct topk *sketch, const uint64_t truth[KEYS])
{
    static struct topk_entry entries[TOPK_CAPACITY_MAX];
    size_t count = topk_best(sketch, entries, TOPK_CAPACITY_MAX);
    uint64_t bound = topk_total(sketch) / topk_capacity(sketch);
    static bool held[KEYS];

    memset(held, 0, sizeof held);
    EXPECT(count <= topk_capacity(sketch));
    for (size_t i = 0; i < count; i++) {
        int key = atoi(entries[i].key.data + 4);

        EXPECT(entries[i].count >= truth[key]);
        EXPECT(entries[i].count - entries[i].over <= truth[key]);
        EXPECT(entries[i].over <= bound);
        EXPECT(i == 0 || entries[i].count <= entries[i - 1].count);
        held[key] = true;
    }
    for (int key = 0; key < KEYS; key++)
        EXPECT(held[key] || truth[key] <= bound);
}

TEST(bounds_hold_while_adding_and_after_merging)
{
    static const uint32_t capacities[] = {1, 10, 100, 100, 1500};
    static uint64_t truth[KEYS];
    struct topk *all = topk_new(100);

    for (size_t part = 0; part < 5; part++) {
        struct topk *sketch = topk_new(capacities[part]);
        uint64_t own[KEYS] = {0};
        char name[16];

        for (int i = 0; i < 30000; i++) {
            int key = (next_key() + (int)part * 3) % KEYS;
            uint64_t weight = 1 + (uint64_t)(uniform() * 5);

            topk_add(sketch, name_of(key, name), weight);
            own[key] += weight;
        }
        bounds_hold(sketch, own);
        if (capacities[part] >= 100) {
            topk_merge(all, sketch);
            for (int key = 0; key < KEYS; key++)
                truth[key] += own[key];
            bounds_hold(all, truth);
        }
        topk_free(sketch);
    }
    topk_free(all);
}

TEST(few_keys_are_counted_exactly)
{
    CLEANUP(topk_freep) struct topk *sketch = topk_new(8);
    struct topk_entry best[3];

    for (int i = 0; i < 5; i++)
        topk_add(sketch, STR("b"), 2);
    topk_add(sketch, STR("a"), 10);
    topk_add(sketch, STR("c"), 3);
    topk_add(sketch, STR("nothing"), 0);
    ASSERT(topk_best(sketch, best, 3) == 3);
    EXPECT(topk_count(sketch) == 3 && topk_total(sketch) == 23);
    EXPECT(str_eq(best[0].key, STR("a")) && best[0].count == 10 && best[0].over == 0);
    EXPECT(str_eq(best[1].key, STR("b")) && best[1].count == 10);
    EXPECT(str_eq(best[2].key, STR("c")) && best[2].count == 3);
}

TEST(bytes_bring_the_sketch_back_and_damaged_ones_are_harmless)
{
    CLEANUP(topk_freep) struct topk *sketch = topk_new(20);
    CLEANUP(topk_freep) struct topk *back = NULL;
    struct topk_entry a[20], b[20];
    struct buf out = {0};
    struct why why = WHY_INIT;
    char name[16];

    for (int i = 0; i < 5000; i++)
        topk_add(sketch, name_of(next_key(), name), 1);
    topk_write(sketch, &out);
    ASSERT(topk_read(buf_view(&out), &back, &why) == ERR_NONE);
    EXPECT(topk_total(back) == 5000 && topk_best(back, a, 20) == topk_best(sketch, b, 20));
    for (int i = 0; i < 20; i++)
        EXPECT(str_eq(a[i].key, b[i].key) && a[i].count == b[i].count && a[i].over == b[i].over);
    for (size_t size = 0; size < out.size; size++) {
        struct topk *cut = NULL;

        EXPECT(topk_read((struct str){out.data, size}, &cut, &why) != ERR_NONE);
    }
    for (size_t bit = 0; bit < out.size * 8; bit++) {
        CLEANUP(topk_freep) struct topk *damaged = NULL;

        out.data[bit / 8] = (char)(out.data[bit / 8] ^ (1 << bit % 8));
        if (topk_read(buf_view(&out), &damaged, &why) == ERR_NONE)
            topk_merge(damaged, sketch);
        out.data[bit / 8] = (char)(out.data[bit / 8] ^ (1 << bit % 8));
    }
    buf_done(&out);
}

TEST_MAIN
