/* SPDX-License-Identifier: Apache-2.0 */
/* Three rows of the classic table are enough: the one being filled, the one above it, and the one
 * above that for swapped neighbours. */
#include "base/nearest.h"

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static char lower(char byte)
{
    if (byte == '_' || byte == '.')
        return '-'; /* The separators of keys, flags and variables are not worth a difference. */
    return byte >= 'A' && byte <= 'Z' ? (char)(byte + 32) : byte;
}

size_t nearest_distance(struct str a, struct str b)
{
    size_t rows[3][NEAREST_SIZE_MAX + 1];
    size_t *above = rows[0], *before = rows[1], *now = rows[2];

    if (a.size > NEAREST_SIZE_MAX || b.size > NEAREST_SIZE_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= b.size; j++)
        before[j] = j;
    for (size_t i = 1; i <= a.size; i++) {
        now[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            bool same = lower(a.data[i - 1]) == lower(b.data[j - 1]);
            now[j] = least(least(before[j], now[j - 1]) + 1, before[j - 1] + !same);
            if (i > 1 && j > 1 && lower(a.data[i - 1]) == lower(b.data[j - 2]) &&
                lower(a.data[i - 2]) == lower(b.data[j - 1]))
                now[j] = least(now[j], above[j - 2] + 1);
        }
        size_t *free_row = above;
        above = before;
        before = now;
        now = free_row;
    }
    return before[b.size];
}

struct nearest nearest_begin(struct str word)
{
    return (struct nearest){.word = word, .distance = SIZE_MAX};
}

void nearest_offer(struct nearest *nearest, struct str candidate)
{
    size_t distance = nearest_distance(nearest->word, candidate);

    /* Whoever stops typing early means the word that begins so. */
    if (nearest->word.size >= 3 && str_starts(candidate, nearest->word))
        distance = least(distance, 1);
    if (distance < nearest->distance) {
        nearest->distance = distance;
        nearest->best = candidate;
    }
}

struct str nearest_found(const struct nearest *nearest)
{
    size_t bound = nearest->word.size <= 2 ? 1 : nearest->word.size <= 5 ? 2 : 3;

    /* A word of which everything must change was not a slip. */
    if (nearest->distance > bound || nearest->distance >= nearest->word.size)
        return STR_NONE;
    return nearest->best;
}
