/* SPDX-License-Identifier: Apache-2.0 */
/* finder - a regular expression that finds a place in an answer (PCRE2, with bounded effort).
 *
 * Read-only once made; any thread. */
#pragma once
#include "base/err.h"
#include "base/str.h"

struct finder;

/* ERR_INVALID: what is wrong with the pattern. */
CHECKED enum err finder_new(struct str pattern, struct finder **ret_finder, struct why *why);
struct finder *finder_free(struct finder *finder); /* Always returns NULL. */

/* The first match: its first group if the pattern has one, else all of it. A match that would take
 * too many steps is none. */
bool finder_find(const struct finder *finder, struct str text, struct str *ret_found);
