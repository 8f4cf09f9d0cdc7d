/* SPDX-License-Identifier: Apache-2.0 */
/* str - a borrowed run of bytes: where, and how long.
 *
 * Not NUL-terminated; text is UTF-8. Whoever holds a str knows how long its bytes live.
 * Pure functions; any thread. */
#pragma once
#include "base/must.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *data;
    size_t size;
};

#define STR(literal) ((struct str){("" literal), sizeof(literal) - 1})
#define STR_NONE     ((struct str){NULL, 0})
/* For printf: "%.*s", STR_ARG(name). */
#define STR_ARG(str) ((int)(str).size), ((str).data == NULL ? "" : (str).data)

static inline struct str str_of(const char *text)
{
    return (struct str){text, text == NULL ? 0 : strlen(text)};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

int str_compare(struct str a, struct str b);    /* Bytewise, as memcmp; shorter first. */
bool str_eq_nocase(struct str a, struct str b); /* ASCII only. */
bool str_starts(struct str str, struct str prefix);
bool str_ends(struct str str, struct str suffix);

/* Index of the first `byte` (or the first occurrence of `part`), or -1. */
ptrdiff_t str_find(struct str str, char byte);
ptrdiff_t str_find_str(struct str str, struct str part);

struct str str_trim(struct str str); /* Without ASCII space, tab, CR, LF at both ends. */

/* Cuts *rest at the first `separator`: returns what stood before it and leaves what stands behind.
 * Without a separator returns all and leaves data NULL; loop `while (rest.data != NULL)`. */
struct str str_split(struct str *rest, char separator);

/* Exact numbers: the whole str or nothing. */
bool str_to_i64(struct str str, int64_t *ret_value);
bool str_to_u64(struct str str, uint64_t *ret_value);
/* Decimal, exponent, hex, "Inf", "+Inf", "-Inf", "NaN" in any case: Go's ParseFloat, as Prometheus
 * reads it, without underscores. Correctly rounded. Locale plays no part. */
bool str_to_double(struct str str, double *ret_value);
/* The end of a noun that stands behind a count: "" or "s". */
const char *str_plural(uint64_t count);

/* "250ms", "15s", "1m30s", "2h", "7d", "1w", "1y" (365 d), Prometheus' order and units. */
bool str_to_duration_ms(struct str str, int64_t *ret_ms);

/* The shortest text that reads back as the same double, as Prometheus' JSON writes it: "1.5",
 * "1e+21", "+Inf", "-Inf", "NaN". Returns the size; no NUL. */
#define STR_DOUBLE_SIZE 32
size_t str_from_double(char text[STR_DOUBLE_SIZE], double value);

bool str_is_utf8(struct str str);

/* FNV-free, seedable, good in the low bits; not for adversaries without a random seed. */
uint64_t str_hash(struct str str, uint64_t seed);
