/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/settings.h"

const struct option_row setting_rows[SETTING_COUNT] = {
#define SECTION(title, about)
#define ROW(identifier_, name_, type_, preset_, range_, flags_, help_) \
    [SETTING_##identifier_] = {.name = name_,                          \
                               .type = OPTION_##type_,                 \
                               .preset = preset_,                      \
                               .range = range_,                        \
                               .flags = flags_,                        \
                               .help = help_},
#include "cli/settings.def"
#undef ROW
#undef SECTION
};

/* The table is read twice more for the line that each row and section stands on: a setting belongs
 * to the last section above it. */
static const int setting_lines[SETTING_COUNT] = {
#define SECTION(title, about)
#define ROW(identifier, name, type, preset, range, flags, help) [SETTING_##identifier] = __LINE__,
#include "cli/settings.def"
#undef ROW
#undef SECTION
};

const struct setting_section setting_sections[] = {
#define SECTION(title_, about_) {.title = title_, .about = about_, .line = __LINE__},
#define ROW(identifier, name, type, preset, range, flags, help)
#include "cli/settings.def"
#undef ROW
#undef SECTION
};
const size_t setting_sections_count = ARRAY_COUNT(setting_sections);

const struct setting_section *setting_section_of(size_t index)
{
    const struct setting_section *found = &setting_sections[0];

    MUST(index < SETTING_COUNT);
    for (size_t i = 1; i < setting_sections_count; i++) {
        if (setting_sections[i].line < setting_lines[index])
            found = &setting_sections[i];
    }
    return found;
}

const char *setting_profile_value(struct str profile, const char *setting)
{
    static const struct {
        const char *profile;
        const char *setting;
        const char *value;
    } rows[] = {
#define ROW(profile_, setting_, value_) {profile_, setting_, value_},
#include "cli/profiles.def"
#undef ROW
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (str_eq(str_of(rows[i].profile), profile) && strcmp(rows[i].setting, setting) == 0)
            return rows[i].value;
    }
    return NULL;
}
