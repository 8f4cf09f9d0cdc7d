/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of kinds.def. */
#include "load/kind.h"

#include "document/document.h"

#include <math.h>
#include <stdio.h>

#define ROW(identifier) extern const struct kind kind_##identifier;
#include "load/kinds.def"
#undef ROW

const struct kind *const kinds[] = {
#define ROW(identifier) &kind_##identifier,
#include "load/kinds.def"
#undef ROW
};

const size_t kinds_count = ARRAY_COUNT(kinds);

const struct kind *kind_find(struct str name)
{
    for (size_t i = 0; i < kinds_count; i++) {
        if (str_eq(name, str_of(kinds[i]->name)))
            return kinds[i];
    }
    return NULL;
}

const char *kind_rate(char text[KIND_TEXT_SIZE], double value)
{
    struct buf number CLEANUP(buf_done) = {0};

    if (fabs(value) >= 100)
        document_format(&number, round(value), UNIT_COUNT);
    else
        buf_printf(&number, "%.3g", value);
    (void)snprintf(text, KIND_TEXT_SIZE, "%.*s", STR_ARG(buf_view(&number)));
    return text;
}

const char *kind_ms(char text[KIND_TEXT_SIZE], double value)
{
    (void)snprintf(text, KIND_TEXT_SIZE,
                   value >= 1000  ? "%.0f"
                   : value >= 0.1 ? "%.3g"
                                  : "%.2g",
                   value);
    return text;
}

void kind_judge(const struct kind *kind, const struct outcome *outcome, struct judgement *judgement)
{
    double errors = outcome_error_rate(outcome);

    if (outcome->total.requests > 0 && errors > kind->errors_allowed)
        judgement_note(judgement, NOTE_BAD,
                       "%.2f %% of the requests failed; a %s test allows %.2g %%.", errors * 100,
                       kind->name, kind->errors_allowed * 100);
    kind->judge(outcome, judgement);
}
