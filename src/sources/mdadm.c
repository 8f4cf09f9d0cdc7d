/* SPDX-License-Identifier: Apache-2.0 */
/* mdadm.c - software RAID arrays, from /proc/mdstat.
 *
 *   md3 : active raid6 sda1[8] sdh1[7] sdg1[6](F) sdd1[9](S)
 *         5853468288 blocks super 1.2 level 6, 64k chunk, algorithm 2 [8/7] [UUUUUU_U]
 *         [=>...................]  recovery =  8.5% (16775552/195310144) finish=17.0min
 *
 * A line that starts in the first column begins an array; the indented ones belong to it. */
#include "sources/kept.h"

enum { ACTIVE, FAILED, SPARE, REQUIRED, BLOCKS, SYNCED, STATE_FIRST };

#define DISKS_HELP "Number of active/failed/spare disks of device."
#define STATE_HELP "Indicates the state of md-device."

static const struct column columns[] = {
    [ACTIVE] = {"node_md_disks", DISKS_HELP, METRIC_GAUGE, "state", "active"},
    [FAILED] = {"node_md_disks", DISKS_HELP, METRIC_GAUGE, "state", "failed"},
    [SPARE] = {"node_md_disks", DISKS_HELP, METRIC_GAUGE, "state", "spare"},
    [REQUIRED] = {"node_md_disks_required", "Total number of disks of device.", METRIC_GAUGE, NULL,
                  NULL},
    [BLOCKS] = {"node_md_blocks", "Total number of blocks on device.", METRIC_GAUGE, NULL, NULL},
    [SYNCED] = {"node_md_blocks_synced", "Number of blocks synced on device.", METRIC_GAUGE, NULL,
                NULL},
    [STATE_FIRST] = {"node_md_state", STATE_HELP, METRIC_GAUGE, "state", "active"},
    {"node_md_state", STATE_HELP, METRIC_GAUGE, "state", "inactive"},
    {"node_md_state", STATE_HELP, METRIC_GAUGE, "state", "recovering"},
    {"node_md_state", STATE_HELP, METRIC_GAUGE, "state", "resync"},
    {"node_md_state", STATE_HELP, METRIC_GAUGE, "state", "check"},
};
enum { IS_ACTIVE, IS_INACTIVE, IS_RECOVERING, IS_RESYNCING, IS_CHECKING, STATES };
static const char *const keys[] = {"device"};

/* One array while its lines are read. */
struct array {
    struct str name;
    size_t state;
    double active;
    double failed;
    double spare;
    double required;
    double blocks;
    double synced;
    bool counted; /* "[8/7]" was there. */
};

static enum err mdadm_open(struct source *source, struct why *why)
{
    (void)kept_new(source);
    (void)source_table(source, columns, ARRAY_COUNT(columns), keys, 1); /* tables[0] */
    return ERR_NONE;
}

static void tell(struct source *source, const struct array *array)
{
    if (array->name.size == 0)
        return;
    struct row *row = table_row(source->tables[0], &array->name);
    row_set(row, ACTIVE, array->active);
    row_set(row, FAILED, array->failed);
    row_set(row, SPARE, array->spare);
    row_set(row, REQUIRED, array->counted ? array->required : array->active);
    row_set(row, BLOCKS, array->blocks);
    row_set(row, SYNCED, array->synced);
    for (size_t i = 0; i < STATES; i++)
        row_set(row, STATE_FIRST + i, array->state == i);
}

/* "md3 : active raid6 sda1[8] …" */
static bool begin(struct scan *line, struct array *ret_array)
{
    struct str name = scan_word(line);

    if (!str_eq(scan_word(line), STR(":")))
        return false;
    bool active = str_eq(scan_word(line), STR("active"));
    *ret_array = (struct array){.name = name, .state = active ? IS_ACTIVE : IS_INACTIVE};
    for (struct str word = scan_word(line); word.size > 0; word = scan_word(line)) {
        if (str_find(word, '[') < 0)
            continue; /* The level, "(read-only)". */
        if (str_ends(word, STR("(F)")))
            ret_array->failed++;
        else if (str_ends(word, STR("(S)")))
            ret_array->spare++;
        else if (active)
            ret_array->active++;
    }
    return true;
}

/* "(16775552/195310144)" */
static void take_progress(struct scan *line, struct array *array)
{
    struct str before;
    uint64_t synced;

    if (scan_until(line, '(', &before) && scan_u64(line, &synced))
        array->synced = (double)synced;
}

static void take_blocks(struct scan *line, struct array *array)
{
    struct str before;
    uint64_t required;
    uint64_t active;

    while (scan_until(line, '[', &before)) {
        if (!scan_u64(line, &required) || !scan_skip(line, STR("/")) || !scan_u64(line, &active))
            continue;
        array->required = (double)required;
        array->active = (double)active;
        array->counted = true;
        return;
    }
}

static void take_detail(struct scan *line, struct array *array)
{
    static const struct {
        const char *word;
        size_t state;
    } works[] = {
        {"recovery", IS_RECOVERING},
        {"reshape", IS_RECOVERING},
        {"resync", IS_RESYNCING},
        {"check", IS_CHECKING},
    };
    struct scan again = *line;
    uint64_t blocks;

    if (scan_u64(line, &blocks) && str_eq(scan_word(line), STR("blocks"))) {
        array->blocks = array->synced = (double)blocks;
        take_blocks(line, array);
        return;
    }
    for (size_t i = 0; i < ARRAY_COUNT(works); i++) {
        if (str_find_str(scan_rest(&again), str_of(works[i].word)) >= 0) {
            array->state = works[i].state;
            take_progress(&again, array);
            return;
        }
    }
}

static enum err mdadm_collect(struct source *source, struct batch *out, struct why *why)
{
    struct array array = {0};
    struct scan text;
    struct scan line;

    TRY(kept_read(source, "proc/mdstat", &text, why));
    while (scan_line(&text, &line)) {
        if (line.at == line.end)
            continue;
        if (scan_is_blank(*line.at)) {
            take_detail(&line, &array);
            continue;
        }
        tell(source, &array);
        array = (struct array){0};
        if (str_starts(scan_rest(&line), STR("md")))
            (void)begin(&line, &array); /* Another line: nothing begins. */
    }
    tell(source, &array);
    return ERR_NONE;
}

const struct source_kind source_mdadm = {
    .name = "mdadm",
    .summary = "Disks and state of software RAID arrays.",
    .period_ms = 5000,
    .open = mdadm_open,
    .collect = mdadm_collect,
    .close = kept_close,
};
