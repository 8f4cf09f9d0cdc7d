/* SPDX-License-Identifier: Apache-2.0 */
/* regex - the regular expressions of label matchers: whole values, in bounded time.
 *
 * The dialect is RE2's as Prometheus uses it: anchored at both ends, `.` also matches a newline.
 * PCRE2 does the matching; what RE2 does not have (backreferences, look-around, atomic groups,
 * recursion) is refused when compiling, so a rule file means the same here and there. Patterns
 * that need no engine (`a`, `a|b`, `a.*`, `.*a`, `.*a.*`, `.*`, `.+`) do not meet it.
 *
 * A compiled regex is read-only but for one flag; any thread may match with it. */
#pragma once
#include "base/err.h"
#include "base/str.h"

struct regex;

enum {
    REGEX_GROUPS_MAX = 32,         /* Capture groups that a replacement can name. */
    REGEX_STEPS_MAX = 200 * 1000,  /* Backtracking steps of one match. */
    REGEX_CODE_SIZE_MAX = 1 << 20, /* Bytes of one compiled pattern. */
};

/* ERR_INVALID: the sentence says what is wrong with the pattern. */
CHECKED enum err regex_new(struct str pattern, struct regex **ret_regex, struct why *why);
struct regex *regex_free(struct regex *regex); /* Always NULL; frees a whole list (see next). */

/* A list, for an owner of several. */
struct regex *regex_next(const struct regex *regex);
void regex_set_next(struct regex *regex, struct regex *next);

bool regex_matches(const struct regex *regex, struct str value);

/* True once a match was given up for its steps: what regex_matches said since is not to be
 * trusted, and the question is to be refused. */
bool regex_gave_up(const struct regex *regex);
struct str regex_pattern(const struct regex *regex);

/* When the whole pattern is this one value; lets an index look it up. */
bool regex_is_literal(const struct regex *regex, struct str *ret_literal);
/* The values of `a|b|c`: count 0 when the pattern is anything else. */
size_t regex_alternatives(const struct regex *regex, const struct str **ret_values);

struct buf;
/* When value matches: appends `template` with $1, ${1}, $name, ${name} and $$ put in, as Go does.
 */
bool regex_expand(const struct regex *regex, struct str value, struct str template,
                  struct buf *buf);
