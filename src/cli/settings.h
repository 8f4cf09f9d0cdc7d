/* SPDX-License-Identifier: Apache-2.0 */
/* settings - the table of everything that can be configured. Constant; any thread. */
#pragma once
#include "base/option.h"

enum setting {
#define SECTION(title, about)
#define ROW(identifier, name, type, preset, range, flags, help) SETTING_##identifier,
#include "cli/settings.def"
#undef ROW
#undef SECTION
    SETTING_COUNT
};

extern const struct option_row setting_rows[SETTING_COUNT];

/* For the manual: the sections in order. */
struct setting_section {
    const char *title;
    const char *about;
    int line; /* In settings.def. */
};

extern const struct setting_section setting_sections[];
extern const size_t setting_sections_count;
const struct setting_section *setting_section_of(size_t index);

/* The row of profiles.def for this profile and setting, or NULL. */
const char *setting_profile_value(struct str profile, const char *setting);
