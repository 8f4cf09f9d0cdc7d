/* SPDX-License-Identifier: Apache-2.0 */
/* A narrow terminal gets fewer columns, not broken ones: each column names the width from which it
 * is shown. */
#include "cli/top_view.h"
#include "base/map.h"
#include "cli/quantity.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- Rows. ---- */

static double amount(const struct process_row *row, enum process_sort sort)
{
    double value;

    switch (sort) {
    case PROCESS_BY_RSS:
        return row->rss_bytes;
    case PROCESS_BY_IO:
        value = (isnan(row->read_per_s) ? 0 : row->read_per_s) +
                (isnan(row->written_per_s) ? 0 : row->written_per_s);
        return value;
    case PROCESS_BY_THREADS:
        return row->threads;
    default:
        return row->cpu_percent;
    }
}

static int by_sort(const void *a, const void *b, void *sort_pointer)
{
    const struct process_row *one = a, *two = b;
    enum process_sort sort = *(enum process_sort *)sort_pointer;
    double left = amount(one, sort), right = amount(two, sort);
    int order = 0;

    if (sort == PROCESS_BY_NAME)
        order = str_compare(one->name, two->name);
    else if (sort != PROCESS_BY_PID)
        order = (left < right || (isnan(left) && !isnan(right))) -
                (left > right || (!isnan(left) && isnan(right)));
    return order != 0 ? order : (one->pid > two->pid) - (one->pid < two->pid);
}

void top_view_sort(struct process_row *rows, size_t count, enum process_sort sort)
{
    if (count > 0)
        qsort_r(rows, count, sizeof(*rows), by_sort, &sort);
}

static void add(double *sum, double value)
{
    if (isnan(*sum))
        *sum = value;
    else if (!isnan(value))
        *sum += value;
}

/* pid holds the number of processes; the first one gives the other texts. */
static void add_to_group(struct process_row *group, const struct process_row *row)
{
    group->pid++;
    add(&group->cpu_percent, row->cpu_percent);
    add(&group->rss_bytes, row->rss_bytes);
    add(&group->vms_bytes, row->vms_bytes);
    add(&group->pss_bytes, row->pss_bytes);
    add(&group->swap_bytes, row->swap_bytes);
    add(&group->threads, row->threads);
    add(&group->fds, row->fds);
    add(&group->voluntary_per_s, row->voluntary_per_s);
    add(&group->nonvoluntary_per_s, row->nonvoluntary_per_s);
    add(&group->read_per_s, row->read_per_s);
    add(&group->written_per_s, row->written_per_s);
    if (row->start_time_s < group->start_time_s)
        group->start_time_s = row->start_time_s;
}

enum err top_view_group(const struct top_rows *rows, enum process_sort sort, struct arena *arena,
                        struct top_rows *ret_groups, struct why *why)
{
    struct map map CLEANUP(map_done) = {0};
    struct process_row *groups = ARENA_ARRAY(arena, rows->count + 1, struct process_row);
    size_t count = 0;

    if (groups == NULL)
        return arena_spent(arena, "process groups", why);
    for (size_t i = 0; i < rows->count; i++) {
        struct process_row *group = map_get(&map, rows->items[i].group);
        if (group == NULL) {
            group = &groups[count++];
            *group = rows->items[i];
            group->name = group->group;
            group->pid = 1;
            (void)map_put(&map, group->group, group); /* It was not there. */
        } else {
            add_to_group(group, &rows->items[i]);
        }
    }
    top_view_sort(groups, count, sort);
    *ret_groups = *rows;
    ret_groups->items = groups;
    ret_groups->count = count;
    return ERR_NONE;
}

/* ---- Head. ---- */

static void label(const struct terminal *terminal, struct buf *out, const char *text)
{
    terminal_style(terminal, out, STYLE_BOLD);
    terminal_fit(terminal, out, str_of(text), 9, false);
    terminal_style(terminal, out, STYLE_PLAIN);
}

static void amount_of(struct buf *out, const struct top_host *host, enum top_figure figure,
                      enum unit unit, const struct terminal *terminal, size_t cells)
{
    struct buf text CLEANUP(buf_done) = {0};

    quantity_write(&text, top_host_figure(host, figure), unit, 3);
    terminal_fit(terminal, out, buf_view(&text), cells, true);
}

/* Half of what the texts leave free, so that they have room in a narrow terminal. */
static size_t spark_cells(const struct terminal *terminal)
{
    int cells = terminal->columns - 9 - 44;

    return cells < 8 ? 8 : cells > 60 ? 60 : (size_t)cells;
}

static void spark(const struct top_host *host, enum top_figure figure, double high,
                  const struct terminal *terminal, struct buf *out)
{
    double values[TOP_HISTORY];
    size_t count = top_host_history(host, figure, values);
    double last = top_host_figure(host, figure) / high;

    if (isinf(high) || high <= 0) {
        high = 1;
        for (size_t i = 0; i < count; i++)
            high = values[i] > high ? values[i] : high;
        last = 0;
    }
    terminal_style(terminal, out,
                   last > 0.9   ? STYLE_BAD
                   : last > 0.7 ? STYLE_WARNING
                                : STYLE_SERIES);
    terminal_sparkline(terminal, out, values, count, spark_cells(terminal), 0, high);
    terminal_style(terminal, out, STYLE_PLAIN);
    buf_text(out, "  ");
}

static void part(struct buf *out, const struct top_host *host, const char *name,
                 enum top_figure figure, enum unit unit)
{
    buf_printf(out, "%s ", name);
    quantity_write(out, top_host_figure(host, figure), unit, 3);
    buf_text(out, "  ");
}

static void write_title(const struct top_host *host, const struct top_rows *rows,
                        const struct top_state *state, const struct terminal *terminal,
                        struct buf *out)
{
    char name[256] = "";
    struct buf line CLEANUP(buf_done) = {0};
    double boot = top_host_figure(host, TOP_BOOT_TIME_S);

    (void)gethostname(name, sizeof(name) - 1); /* Without it the line has no name. */
    buf_printf(&line, "sonde top  %s  ", state->from == NULL ? name : state->from);
    quantity_write_time(&line, rows->time_ms, 1);
    if (!isnan(boot)) {
        buf_text(&line, "  up ");
        quantity_write_age(&line, (double)rows->time_ms / 1e3 - boot);
    }
    buf_printf(&line, "  load %.2f %.2f %.2f  %zu CPUs", top_host_figure(host, TOP_LOAD1),
               top_host_figure(host, TOP_LOAD5), top_host_figure(host, TOP_LOAD15),
               top_host_cpus(host));
    terminal_style(terminal, out, STYLE_TITLE);
    terminal_fit(terminal, out, buf_view(&line), (size_t)terminal->columns - 1, false);
    terminal_style(terminal, out, STYLE_PLAIN);
    buf_byte(out, '\n');
}

static void write_head(const struct top_host *host, const struct terminal *terminal,
                       struct buf *out)
{
    label(terminal, out, "CPU");
    amount_of(out, host, TOP_CPU, UNIT_RATIO, terminal, 7);
    buf_byte(out, ' ');
    spark(host, TOP_CPU, 1, terminal, out);
    part(out, host, "user", TOP_CPU_USER, UNIT_RATIO);
    part(out, host, "system", TOP_CPU_SYSTEM, UNIT_RATIO);
    if (terminal->columns >= 100) {
        part(out, host, "wait", TOP_CPU_IOWAIT, UNIT_RATIO);
        part(out, host, "steal", TOP_CPU_STEAL, UNIT_RATIO);
    }
    buf_byte(out, '\n');

    label(terminal, out, "Memory");
    amount_of(out, host, TOP_MEMORY, UNIT_RATIO, terminal, 7);
    buf_byte(out, ' ');
    spark(host, TOP_MEMORY, 1, terminal, out);
    quantity_write(out, top_host_figure(host, TOP_MEMORY_USED_BYTES), UNIT_BYTES, 3);
    buf_text(out, " of ");
    quantity_write(out, top_host_figure(host, TOP_MEMORY_TOTAL_BYTES), UNIT_BYTES, 3);
    buf_text(out, "  ");
    if (terminal->columns >= 100) {
        part(out, host, "cache", TOP_MEMORY_CACHED_BYTES, UNIT_BYTES);
        part(out, host, "swap", TOP_SWAP_USED_BYTES, UNIT_BYTES);
    }
    buf_byte(out, '\n');

    label(terminal, out, "Disk");
    amount_of(out, host, TOP_DISK_BUSY, UNIT_RATIO, terminal, 7);
    buf_byte(out, ' ');
    spark(host, TOP_DISK_BUSY, 1, terminal, out);
    part(out, host, "read", TOP_DISK_READ, UNIT_BYTES_PER_SECOND);
    part(out, host, "write", TOP_DISK_WRITE, UNIT_BYTES_PER_SECOND);
    buf_byte(out, '\n');

    label(terminal, out, "Network");
    buf_text(out, "        ");
    spark(host, TOP_NET_IN, INFINITY, terminal, out);
    part(out, host, "in", TOP_NET_IN, UNIT_BYTES_PER_SECOND);
    part(out, host, "out", TOP_NET_OUT, UNIT_BYTES_PER_SECOND);
    buf_byte(out, '\n');

    label(terminal, out, "Pressure");
    amount_of(out, host, TOP_PRESSURE_CPU, UNIT_RATIO, terminal, 7);
    buf_byte(out, ' ');
    spark(host, TOP_PRESSURE_CPU, 1, terminal, out);
    part(out, host, "memory", TOP_PRESSURE_MEMORY, UNIT_RATIO);
    part(out, host, "disk", TOP_PRESSURE_IO, UNIT_RATIO);
    buf_byte(out, '\n');
}

static void write_status(const struct top_host *host, const struct top_rows *rows,
                         const struct top_state *state, const struct terminal *terminal,
                         struct buf *out)
{
    struct buf line CLEANUP(buf_done) = {0};
    int style = STYLE_DIM;

    if (state->typing) {
        buf_printf(&line, "Filter: %s_   (Enter keeps it, Esc drops it)", state->filter);
        style = STYLE_BOLD;
    } else {
        buf_printf(&line, "%zu processes, %.0f running, %.0f blocked", rows->total,
                   top_host_figure(host, TOP_RUNNING), top_host_figure(host, TOP_BLOCKED));
        if (state->filter[0] != '\0')
            buf_printf(&line, "  filter '%s'", state->filter);
        if (state->paused)
            buf_text(&line, "  PAUSED");
        buf_printf(&line, "  every %.1f s  (q quit, ? help)", (double)state->period_ms / 1e3);
    }
    terminal_style(terminal, out, state->paused ? STYLE_WARNING : style);
    terminal_fit(terminal, out, buf_view(&line), (size_t)terminal->columns - 1, false);
    terminal_style(terminal, out, STYLE_PLAIN);
    buf_byte(out, '\n');
}

/* ---- The list. ---- */

static void cell_pid(struct buf *out, const struct process_row *row, double now_s)
{
    buf_printf(out, "%d", (int)row->pid);
}

static void cell_user(struct buf *out, const struct process_row *row, double now_s)
{
    buf_str(out, row->user);
}

static void cell_state(struct buf *out, const struct process_row *row, double now_s)
{
    buf_byte(out, (uint8_t)(row->state == 0 ? ' ' : row->state));
}

static void cell_cpu(struct buf *out, const struct process_row *row, double now_s)
{
    if (isnan(row->cpu_percent))
        buf_byte(out, '-');
    else
        buf_printf(out, "%.1f", row->cpu_percent > 0 ? row->cpu_percent : 0); /* Not "-0.0". */
}

static void cell_rss(struct buf *out, const struct process_row *row, double now_s)
{
    quantity_write(out, row->rss_bytes, UNIT_BYTES, 3);
}

static void cell_threads(struct buf *out, const struct process_row *row, double now_s)
{
    quantity_write(out, row->threads, UNIT_NONE, 3);
}

static void cell_fds(struct buf *out, const struct process_row *row, double now_s)
{
    quantity_write(out, row->fds, UNIT_NONE, 3);
}

static void cell_read(struct buf *out, const struct process_row *row, double now_s)
{
    quantity_write(out, row->read_per_s, UNIT_BYTES_PER_SECOND, 3);
}

static void cell_written(struct buf *out, const struct process_row *row, double now_s)
{
    quantity_write(out, row->written_per_s, UNIT_BYTES_PER_SECOND, 3);
}

static void cell_age(struct buf *out, const struct process_row *row, double now_s)
{
    quantity_write_age(out, now_s - row->start_time_s);
}

static const struct view_column {
    const char *title;
    const char *group_title; /* NULL: not in the view of groups. */
    int cells;
    int from_columns; /* Shown in terminals of at least this width. */
    bool right;
    enum process_sort sort;
    void (*write)(struct buf *out, const struct process_row *row, double now_s);
} columns[] = {
    {"PID", "COUNT", 7, 0, true, PROCESS_BY_PID, cell_pid},
    {"USER", NULL, 9, 0, false, PROCESS_BY_NAME, cell_user},
    {"S", NULL, 1, 0, false, PROCESS_BY_NAME, cell_state},
    {"CPU%", "CPU%", 6, 0, true, PROCESS_BY_CPU, cell_cpu},
    {"MEM", "MEM", 9, 0, true, PROCESS_BY_RSS, cell_rss},
    {"THR", "THR", 5, 72, true, PROCESS_BY_THREADS, cell_threads},
    {"READ", "READ", 11, 96, true, PROCESS_BY_IO, cell_read},
    {"WRITE", "WRITE", 11, 96, true, PROCESS_BY_IO, cell_written},
    {"FDS", "FDS", 6, 112, true, PROCESS_BY_NAME, cell_fds},
    {"AGE", "AGE", 6, 84, true, PROCESS_BY_NAME, cell_age},
};

static bool is_shown(const struct view_column *column, const struct top_state *state,
                     const struct terminal *terminal)
{
    return terminal->columns >= column->from_columns &&
           (!state->groups || column->group_title != NULL);
}

/* Cells left for the command, the last column. */
static size_t command_cells(const struct top_state *state, const struct terminal *terminal)
{
    int left = terminal->columns - 1;

    for (size_t i = 0; i < ARRAY_COUNT(columns); i++) {
        if (is_shown(&columns[i], state, terminal))
            left -= columns[i].cells + 1;
    }
    return left < 8 ? 8 : (size_t)left;
}

static void write_header(const struct top_state *state, const struct terminal *terminal,
                         struct buf *out)
{
    terminal_style(terminal, out, STYLE_REVERSE);
    for (size_t i = 0; i < ARRAY_COUNT(columns); i++) {
        char title[16];
        if (!is_shown(&columns[i], state, terminal))
            continue;
        bool sorted = columns[i].sort == state->sort &&
                      !(columns[i].sort == PROCESS_BY_NAME && columns[i].cells < 16);
        (void)snprintf(title, sizeof(title), "%s%s",
                       state->groups ? columns[i].group_title : columns[i].title,
                       sorted ? "*" : "");
        terminal_fit(terminal, out, str_of(title), (size_t)columns[i].cells, columns[i].right);
        buf_byte(out, ' ');
    }
    const char *name = state->groups ? "GROUP" : "COMMAND";
    char title[16];
    (void)snprintf(title, sizeof(title), "%s%s", name, state->sort == PROCESS_BY_NAME ? "*" : "");
    terminal_fit(terminal, out, str_of(title), command_cells(state, terminal), false);
    terminal_style(terminal, out, STYLE_PLAIN);
    buf_byte(out, '\n');
}

static void write_row(const struct process_row *row, double now_s, const struct top_state *state,
                      const struct terminal *terminal, struct buf *out)
{
    struct buf text CLEANUP(buf_done) = {0};

    for (size_t i = 0; i < ARRAY_COUNT(columns); i++) {
        if (!is_shown(&columns[i], state, terminal))
            continue;
        buf_clear(&text);
        columns[i].write(&text, row, now_s);
        terminal_fit(terminal, out, buf_view(&text), (size_t)columns[i].cells, columns[i].right);
        buf_byte(out, ' ');
    }
    struct str command = state->groups || row->command.size == 0 ? row->name : row->command;
    terminal_fit(terminal, out, command, command_cells(state, terminal), false);
    buf_byte(out, '\n');
}

static void write_help(const struct terminal *terminal, struct buf *out)
{
    static const char *const lines[] = {
        "c  m  i  t  n  p     sort by CPU, memory, I/O, threads, name, PID",
        "left  right          the next column to sort by",
        "up  down  PgUp PgDn  scroll; Home and End for the ends",
        "/                    filter by name, command line or user; Esc drops it",
        "g                    groups: processes of one name as one row",
        "k                    show or hide kernel threads",
        "space                pause, and go on",
        "+  -                 look more or less often",
        "q                    quit",
        "",
        "Only looks: it cannot send signals to processes.",
    };

    buf_byte(out, '\n');
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
        buf_text(out, "  ");
        terminal_fit(terminal, out, str_of(lines[i]), (size_t)terminal->columns - 4, false);
        buf_byte(out, '\n');
    }
}

void top_view_write(const struct top_host *host, const struct top_rows *rows,
                    struct top_state *state, const struct terminal *terminal, struct buf *out)
{
    enum { HEAD_ROWS = 8 };
    size_t room = terminal->rows > HEAD_ROWS ? (size_t)(terminal->rows - HEAD_ROWS) : 1;

    write_title(host, rows, state, terminal, out);
    write_head(host, terminal, out);
    write_status(host, rows, state, terminal, out);
    if (state->help) {
        write_help(terminal, out);
        return;
    }
    write_header(state, terminal, out);
    if (state->scroll + room > rows->count)
        state->scroll = rows->count > room ? rows->count - room : 0;
    for (size_t i = state->scroll; i < rows->count && i < state->scroll + room; i++)
        write_row(&rows->items[i], (double)rows->time_ms / 1e3, state, terminal, out);
    if (rows->count == 0)
        buf_text(out, "  No process matches.\n");
}
