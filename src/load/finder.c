/* SPDX-License-Identifier: Apache-2.0 */
/* PCRE2 takes bytes as they come: answers need not be UTF-8. */
#include "load/finder.h"

#include "base/must.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

enum { STEPS_MAX = 1000000, SENTENCE_BYTES = 128 };

struct finder {
    pcre2_code *code;
    pcre2_match_context *context;
};

enum err finder_new(struct str pattern, struct finder **ret_finder, struct why *why)
{
    struct finder *finder = calloc(1, sizeof(*finder));
    PCRE2_SIZE offset = 0;
    int error = 0;

    if (finder == NULL)
        must_memory(sizeof(*finder));
    finder->code = pcre2_compile((PCRE2_SPTR)pattern.data, pattern.size, PCRE2_NEVER_BACKSLASH_C,
                                 &error, &offset, NULL);
    finder->context = pcre2_match_context_create(NULL);
    if (finder->code == NULL || finder->context == NULL) {
        PCRE2_UCHAR sentence[SENTENCE_BYTES] = "out of memory";
        (void)pcre2_get_error_message(error, sentence, sizeof(sentence)); /* Cut, if at all. */
        (void)finder_free(finder);
        return fail(why, ERR_INVALID, "'%.*s' is no regular expression: %s at %zu",
                    STR_ARG(pattern), (const char *)sentence, (size_t)offset);
    }
    (void)pcre2_set_match_limit(finder->context, STEPS_MAX); /* Cannot fail. */
    *ret_finder = finder;
    return ERR_NONE;
}

struct finder *finder_free(struct finder *finder)
{
    if (finder != NULL) {
        pcre2_code_free(finder->code);
        pcre2_match_context_free(finder->context);
        free(finder);
    }
    return NULL;
}

bool finder_find(const struct finder *finder, struct str text, struct str *ret_found)
{
    pcre2_match_data *match = pcre2_match_data_create(2, NULL);
    bool found = false;

    if (match == NULL)
        must_memory(2 * sizeof(PCRE2_SIZE));
    int groups = pcre2_match(finder->code, (PCRE2_SPTR)(text.data == NULL ? "" : text.data),
                             text.size, 0, 0, match, finder->context);
    if (groups >= 0) { /* 0: more groups than there is room for; the first two are there. */
        const PCRE2_SIZE *spans = pcre2_get_ovector_pointer(match);
        size_t group = groups != 1 && spans[2] != PCRE2_UNSET ? 2 : 0;
        *ret_found = (struct str){text.data + spans[group], spans[group + 1] - spans[group]};
        found = true;
    }
    pcre2_match_data_free(match);
    return found;
}
