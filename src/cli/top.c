/* SPDX-License-Identifier: Apache-2.0 */
/* sonde top - the machine and its processes, live. It looks at the machine itself and needs no
 * daemon: the same sources, asked by hand once a period. */
#include "base/clock.h"
#include "cli/command.h"
#include "cli/screen.h"
#include "cli/top_view.h"
#include "sources/process_json.h"
#include "sources/sources.h"

#include <ctype.h>
#include <stdio.h>
#include <time.h>

enum {
    BATCH_BYTES_MAX = 64 << 20,
    ROWS_BYTES_MAX = 64 << 20,
    PERIOD_MS_MIN = 200,
    PERIOD_MS_MAX = 60000,
    PAGE = 10,
};

enum {
    OPTION_ONCE,
    OPTION_INTERVAL,
    OPTION_SORT,
    OPTION_FILTER,
    OPTION_LIMIT,
    OPTION_GROUPS,
    OPTION_PSS,
    OPTIONS_COUNT
};

/* The order of enum process_sort. */
#define SORTS "cpu|rss|io|pid|name|threads"

static const struct option_row rows[OPTIONS_COUNT] = {
    [OPTION_ONCE] = {.name = "once",
                     .type = OPTION_BOOL,
                     .preset = "false",
                     .flags = OPTION_FLAG_ONLY,
                     .help = "Prints one snapshot, taken over one interval, and ends."},
    [OPTION_INTERVAL] = {.name = "interval",
                         .type = OPTION_DURATION,
                         .preset = "1s",
                         .range = "200ms..60s",
                         .flags = OPTION_FLAG_ONLY,
                         .help = "How often to look."},
    [OPTION_SORT] = {.name = "sort",
                     .type = OPTION_CHOICE,
                     .preset = "cpu",
                     .range = SORTS,
                     .flags = OPTION_FLAG_ONLY,
                     .help = "What to sort by, largest first."},
    [OPTION_FILTER] = {.name = "filter",
                       .type = OPTION_TEXT,
                       .flags = OPTION_FLAG_ONLY,
                       .help = "Only processes whose name, command line or user contains this."},
    [OPTION_LIMIT] = {.name = "limit",
                      .type = OPTION_INTEGER,
                      .preset = "0",
                      .range = "0..32768",
                      .flags = OPTION_FLAG_ONLY,
                      .help = "With --once or --json: at most so many rows; 0 is all."},
    [OPTION_GROUPS] = {.name = "groups",
                       .type = OPTION_BOOL,
                       .preset = "false",
                       .flags = OPTION_FLAG_ONLY,
                       .help = "Shows processes of one name as one row."},
    [OPTION_PSS] = {.name = "pss",
                    .type = OPTION_BOOL,
                    .preset = "false",
                    .flags = OPTION_FLAG_ONLY,
                    .help = "With --json: also the proportional share of memory, which is dear to "
                            "read."},
};

struct top {
    struct sources *sources;
    struct batch *batch;
    struct top_host *host;
    struct arena *arena; /* Of the rows of the last look. */
    struct top_rows rows;
    struct top_state state;
    bool pss;
    size_t limit;
};

/* ---- Looking. ---- */

static struct str label_of(const void *self, struct str name)
{
    return labels_get(self, name);
}

static enum err look_host(struct top *top, int64_t now_ms, struct why *why)
{
    batch_clear(top->batch);
    TRY(sources_tick(top->sources, now_ms, top->batch, why));
    for (size_t i = 0; i < top->batch->samples.count; i++) {
        const struct sample *sample = &top->batch->samples.items[i];
        top_host_feed(top->host, labels_get(sample->labels, LABEL_NAME), label_of, sample->labels,
                      sample->value);
    }
    top_host_finish(top->host, now_ms);
    return ERR_NONE;
}

static enum err look_processes(struct top *top, struct why *why)
{
    const struct process_query options = {
        .sort = top->state.sort,
        .limit = top->state.groups ? 0 : top->limit,
        .kernel = top->state.kernel,
        .pss = top->pss,
        .filter = str_of(top->state.filter),
    };
    struct process_table *table = sources_processes(top->sources);
    struct process_row *items;
    size_t refused;

    arena_clear(top->arena);
    top->rows = (struct top_rows){0};
    TRY(process_table_read(table, &options, top->arena, &items, &top->rows.count,
                           &top->rows.time_ms, why));
    top->rows.items = items;
    top->rows.total = process_table_count(table, &refused);
    if (top->state.groups)
        TRY(top_view_group(&top->rows, top->state.sort, top->arena, &top->rows, why));
    if (top->limit > 0 && top->rows.count > top->limit)
        top->rows.count = top->limit;
    return ERR_NONE;
}

static enum err look(struct top *top, struct why *why)
{
    TRY(look_host(top, clock_now_ms(), why));
    return look_processes(top, why);
}

/* ---- Once. ---- */

static void add_row(struct json *json, const struct process_row *row, bool group)
{
    json_open(json, '{');
    if (group) {
        json_put_str(json, "group", row->group);
        json_put_i64(json, "processes", row->pid);
        process_json_usage(json, row);
    } else {
        process_json_fields(json, row);
    }
    json_close(json, '}');
}

static void write_json(const struct top *top, struct buf *out)
{
    struct json json = json_begin(out);

    json_open(&json, '{');
    json_put_i64(&json, "time_ms", top->rows.time_ms);
    json_put_u64(&json, "cpus", top_host_cpus(top->host));
    json_key(&json, "host");
    json_open(&json, '{');
    for (size_t i = 0; i < TOP_FIGURE_COUNT; i++)
        json_put_double(&json, top_figure_name((enum top_figure)i),
                        top_host_figure(top->host, (enum top_figure)i));
    json_close(&json, '}');
    json_put_u64(&json, "processes_count", top->rows.total);
    json_key(&json, top->state.groups ? "groups" : "processes");
    json_open(&json, '[');
    for (size_t i = 0; i < top->rows.count; i++)
        add_row(&json, &top->rows.items[i], top->state.groups);
    json_close(&json, ']');
    json_close(&json, '}');
    buf_byte(out, '\n');
}

static void sleep_ms(int64_t ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    while (nanosleep(&time, &time) != 0)
        continue; /* A signal that does not end us; the rest is left in time. */
}

static enum exit_code run_once(struct invocation *invocation, struct top *top)
{
    struct terminal paper = invocation->terminal;
    struct buf out CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;

    enum err err = look(top, &why);
    if (err == ERR_NONE) {
        sleep_ms(top->state.period_ms);
        err = look(top, &why);
    }
    if (err != ERR_NONE)
        return command_fail(invocation, &why);
    if (invocation->json) {
        write_json(top, &out);
    } else {
        paper.rows = (int)top->rows.count + 8; /* All of them: paper has no bottom. */
        top_view_write(top->host, &top->rows, &top->state, &paper, &out);
    }
    return command_print(invocation, &out, EXIT_GOOD);
}

/* ---- Live. ---- */

static void type_filter(struct top_state *state, int key)
{
    size_t size = strlen(state->filter);

    if (key == SCREEN_KEY_ENTER) {
        state->typing = false;
    } else if (key == SCREEN_KEY_ESCAPE) {
        state->typing = false;
        state->filter[0] = '\0';
    } else if (key == SCREEN_KEY_BACKSPACE) {
        if (size > 0)
            state->filter[size - 1] = '\0';
    } else if (key < 256 && key >= ' ' && size + 1 < sizeof(state->filter)) {
        state->filter[size] = (char)key;
        state->filter[size + 1] = '\0';
    }
    state->scroll = 0;
}

static void change_period(struct top_state *state, bool longer)
{
    int64_t period = longer ? state->period_ms * 2 : state->period_ms / 2;

    state->period_ms = period < PERIOD_MS_MIN   ? PERIOD_MS_MIN
                       : period > PERIOD_MS_MAX ? PERIOD_MS_MAX
                                                : period;
}

/* The columns that can be sorted by, from left to right. */
static enum process_sort next_sort(enum process_sort sort, int direction)
{
    static const enum process_sort order[] = {PROCESS_BY_PID,     PROCESS_BY_CPU, PROCESS_BY_RSS,
                                              PROCESS_BY_THREADS, PROCESS_BY_IO,  PROCESS_BY_NAME};
    int count = (int)ARRAY_COUNT(order);

    for (int i = 0; i < count; i++) {
        if (order[i] == sort)
            return order[(i + direction + count) % count];
    }
    return sort;
}

static void scroll_by(struct top_state *state, long rows_count)
{
    long at = (long)state->scroll + rows_count;

    state->scroll = at < 0 ? 0 : (size_t)at; /* The view knows where the end is. */
}

static const struct {
    char key;
    enum process_sort sort;
} sort_keys[] = {
    {'c', PROCESS_BY_CPU},     {'m', PROCESS_BY_RSS},  {'i', PROCESS_BY_IO},
    {'t', PROCESS_BY_THREADS}, {'n', PROCESS_BY_NAME}, {'p', PROCESS_BY_PID},
};

/* False: quit. */
static bool take_key(struct top_state *state, int key)
{
    if (state->typing) {
        type_filter(state, key);
        return true;
    }
    for (size_t i = 0; i < ARRAY_COUNT(sort_keys); i++) {
        if (key == sort_keys[i].key)
            state->sort = sort_keys[i].sort;
    }
    switch (key) {
    case 'q':
        return false;
    case SCREEN_KEY_ESCAPE:
        state->help = false;
        state->filter[0] = '\0';
        break;
    case '?':
    case 'h':
        state->help = !state->help;
        break;
    case '/':
        state->typing = true;
        break;
    case 'g':
        state->groups = !state->groups;
        state->scroll = 0;
        break;
    case 'k':
        state->kernel = !state->kernel;
        break;
    case ' ':
        state->paused = !state->paused;
        break;
    case '+':
    case '-':
        change_period(state, key == '-');
        break;
    case SCREEN_KEY_LEFT:
    case SCREEN_KEY_RIGHT:
        state->sort = next_sort(state->sort, key == SCREEN_KEY_LEFT ? -1 : 1);
        break;
    case SCREEN_KEY_UP:
    case SCREEN_KEY_DOWN:
        scroll_by(state, key == SCREEN_KEY_UP ? -1 : 1);
        break;
    case SCREEN_KEY_PAGE_UP:
    case SCREEN_KEY_PAGE_DOWN:
        scroll_by(state, key == SCREEN_KEY_PAGE_UP ? -PAGE : PAGE);
        break;
    case SCREEN_KEY_HOME:
        state->scroll = 0;
        break;
    case SCREEN_KEY_END:
        state->scroll = PROCESSES_MAX;
        break;
    default:
        break;
    }
    return true;
}

static enum err live(struct top *top, struct terminal *terminal, struct screen *screen,
                     struct why *why)
{
    struct buf frame CLEANUP(buf_done) = {0};
    int64_t due_ns = 0;
    int key;

    for (;;) {
        int64_t now_ns = clock_monotonic_ns();
        if (now_ns >= due_ns && !top->state.paused) {
            TRY(look(top, why));
            due_ns = now_ns + top->state.period_ms * CLOCK_NS_PER_MS;
        }
        buf_clear(&frame);
        top_view_write(top->host, &top->rows, &top->state, terminal, &frame);
        screen_show(screen, terminal, buf_view(&frame));
        int64_t wait_ms = (due_ns - clock_monotonic_ns()) / CLOCK_NS_PER_MS;
        if (top->state.paused || wait_ms < 0)
            wait_ms = top->state.paused ? PERIOD_MS_MAX : 0;
        switch (screen_wait(screen, wait_ms, &key)) {
        case SCREEN_ENDED:
            return ERR_NONE;
        case SCREEN_RESIZED:
            terminal_measure(terminal);
            break;
        case SCREEN_KEY:
            if (!take_key(&top->state, key))
                return ERR_NONE;
            if (!top->state.paused)
                TRY(look_processes(top, why));
            break;
        default:
            break;
        }
    }
}

static enum exit_code run_live(struct invocation *invocation, struct top *top)
{
    struct screen *screen = NULL;
    struct why why = WHY_INIT;

    enum err err = screen_open(&screen, &why);
    if (err == ERR_NONE)
        err = live(top, &invocation->terminal, screen, &why);
    screen_close(screen);
    return err == ERR_NONE ? EXIT_GOOD : command_fail(invocation, &why);
}

static enum exit_code run(struct invocation *invocation)
{
    const struct options *options = invocation->options;
    /* The sources are asked by hand; they must not think it too early. */
    const struct sources_options sources = {.period_ms = PERIOD_MS_MIN, .instance = "", .job = ""};
    struct top top = {
        .pss = options_bool(options, OPTION_PSS),
        .state =
            {
                .sort = (enum process_sort)options_i64(options, OPTION_SORT),
                .groups = options_bool(options, OPTION_GROUPS),
                .period_ms = options_ms(options, OPTION_INTERVAL),
            },
    };
    struct str filter = options_text(options, OPTION_FILTER);
    bool once = options_bool(options, OPTION_ONCE) || invocation->json;
    struct why why = WHY_INIT;

    (void)snprintf(top.state.filter, sizeof(top.state.filter), "%.*s", STR_ARG(filter));
    if (once)
        top.limit = (size_t)options_i64(options, OPTION_LIMIT);
    if (sources_open(&sources, NULL, &top.sources, &why) != ERR_NONE)
        return command_fail(invocation, &why);
    top.batch = batch_new("default", "top", BATCH_BYTES_MAX);
    top.arena = arena_new(ROWS_BYTES_MAX);
    top.host = top_host_new();
    enum exit_code code = once ? run_once(invocation, &top) : run_live(invocation, &top);
    top.host = top_host_free(top.host);
    top.arena = arena_free(top.arena);
    top.batch = batch_free(top.batch);
    top.sources = sources_close(top.sources);
    return code;
}

const struct command command_top = {
    .name = "top",
    .summary = "Show this machine and its processes, live",
    .usage = "[--sort WORD] [--filter TEXT] [--groups] [--once|--json]",
    .description =
        "A live view for the terminal: CPU, memory, disks, network and pressure with their recent "
        "past, and the processes. It needs no daemon and cannot send signals. Press ? for the "
        "keys.",
    .examples = "sonde top\tLive; q quits.\n"
                "sonde top --sort rss --filter postgres\tThe memory of one service.\n"
                "sonde top --once --limit 10\tA snapshot for a ticket.\n"
                "sonde top --json --groups\tFor programs.\n",
    .options = rows,
    .options_count = OPTIONS_COUNT,
    .run = run,
};
