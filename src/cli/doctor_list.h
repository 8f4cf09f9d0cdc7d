/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_list - the checks by name, for the table that lists them. */
#pragma once
#include "cli/doctor.h"

#define ROW(identifier, title, use) \
    void doctor_##identifier(const struct config *config, struct doctor_answer *answer);
#include "cli/doctor_checks.def"
#undef ROW
