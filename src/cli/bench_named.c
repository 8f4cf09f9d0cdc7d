/* SPDX-License-Identifier: Apache-2.0 */
/* Benchmarks that a daemon keeps: made from its history, listed, held against what came later, and
 * removed. The daemon judges; here its answers become tables. */
#include "cli/bench.h"
#include "cli/grid.h"
#include "cli/quantity.h"
#include "cli/remote.h"

#include "base/clock.h"
#include "codec/json_tree.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define TIMEOUT_MS       60000
#define ANSWER_BYTES_MAX ((size_t)32 << 20)
#define ARENA_BYTES      ((size_t)1 << 30)
#define ROOT             "/api/v1/performance"
#define PATH             "/benchmarks"

/* ---- Asking. ---- */

struct asked {
    const char *method; /* NULL: GET, or POST with json. */
    struct str path;    /* Behind PATH. */
    struct str json;
};

enum err bench_ask(const struct invocation *invocation, const char *method, const char *path,
                   struct str json, struct buf *ret_body, struct why *why)
{
    struct buf whole CLEANUP(buf_done) = {0};
    const char *variable = getenv("SONDE_URL");
    struct str url = options_text(invocation->options, BENCH_URL);
    int status;

    buf_printf(&whole, ROOT "%s", path);
    const struct remote_request request = {
        .url = url.data != NULL   ? url
               : variable != NULL ? str_of(variable)
                                  : STR(REMOTE_URL_DEFAULT),
        .path = buf_cstr(&whole),
        .json = json,
        .method = method,
        .token = getenv("SONDE_TOKEN"),
        .timeout_ms = TIMEOUT_MS,
        .body_bytes_max = ANSWER_BYTES_MAX,
        .ca_file = options_cstr(invocation->options, BENCH_CA_FILE),
    };
    TRY(remote_ask(&request, &status, ret_body, why));
    return status >= 200 && status < 300 ? ERR_NONE : remote_fail(status, buf_view(ret_body), why);
}

static enum err ask(const struct invocation *invocation, const struct asked *asked,
                    struct buf *ret_body, struct why *why)
{
    struct buf path CLEANUP(buf_done) = {0};

    buf_printf(&path, PATH "%.*s", STR_ARG(asked->path));
    return bench_ask(invocation, asked->method, buf_cstr(&path), asked->json, ret_body, why);
}

void bench_write_name(struct buf *path, const char *name)
{
    buf_byte(path, '/');
    for (; *name != '\0'; name++) {
        bool plain = (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
                     (*name >= '0' && *name <= '9') || strchr("-_.", *name) != NULL;
        if (plain)
            buf_byte(path, (uint8_t)*name);
        else
            buf_printf(path, "%%%02X", (unsigned)(unsigned char)*name);
    }
}

/* ---- Reading answers; a key that is missing is empty. ---- */

static struct str text_at(const struct node *node, const char *key)
{
    const struct node *child = node_get(node, key);

    return child != NULL && child->kind == NODE_SCALAR ? child->text : STR("");
}

static double number_at(const struct node *node, const char *key)
{
    const struct node *child = node_get(node, key);
    double value;

    return child != NULL && node_double(child, &value, NULL) == ERR_NONE ? value : NAN;
}

static void write_moment(struct buf *out, double time_ms)
{
    int64_t now_ms = clock_now_ms();

    if (!isnan(time_ms))
        quantity_write_time(out, (int64_t)time_ms, now_ms - (int64_t)time_ms);
}

static void write_stretch(struct buf *out, const struct node *node)
{
    double start_ms = number_at(node, "start_ms");
    double end_ms = number_at(node, "end_ms");

    write_moment(out, end_ms);
    buf_text(out, ", ");
    quantity_write_age(out, (end_ms - start_ms) / 1e3);
}

/* The median of a side with its interval's reach. */
static void write_side(struct buf *out, const struct node *side, const char *unit)
{
    const struct interval interval = {number_at(side, "low"), number_at(side, "high")};
    double count = number_at(side, "n");
    const struct describe numbers = {.count = isnan(count) ? 0 : (size_t)count,
                                     .median = number_at(side, "median")};

    bench_write_median(&numbers, &interval, unit, out);
}

/* ---- create ---- */

/* "load=node_load1" becomes a key and its expression. */
static bool put_query(struct json *json, const char *argument)
{
    struct str text = str_of(argument);
    ptrdiff_t at = str_find(text, '=');

    if (at <= 0)
        return false;
    json_key_str(json, (struct str){text.data, (size_t)at});
    json_add_str(json, (struct str){text.data + at + 1, text.size - (size_t)at - 1});
    return true;
}

static void put_duration(struct json *json, const char *key, int64_t ms)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%" PRId64 "ms", ms); /* Fits. */
    json_put_text(json, key, text);
}

static bool write_request(const struct invocation *invocation, struct buf *out)
{
    const struct options *options = invocation->options;
    struct json json = json_begin(out);

    json_open(&json, '{');
    json_put_text(&json, "name", invocation->arguments[1]);
    if (options_is_set(options, BENCH_RANGE))
        put_duration(&json, "range", options_ms(options, BENCH_RANGE));
    if (options_is_set(options, BENCH_EVERY))
        put_duration(&json, "every", options_ms(options, BENCH_EVERY));
    if (options_bool(options, BENCH_SERVICES))
        json_put_bool(&json, "services", true);
    if (options_bool(options, BENCH_REPLACE))
        json_put_bool(&json, "replace", true);
    json_key(&json, "queries");
    json_open(&json, '{');
    for (size_t i = 2; i < invocation->arguments_count; i++) {
        if (!put_query(&json, invocation->arguments[i]))
            return false;
    }
    json_close(&json, '}');
    json_close(&json, '}');
    return true;
}

static void write_benchmark(const struct node *root, const struct terminal *terminal,
                            struct buf *out)
{
    static const struct grid_column columns[] = {{.title = "Metric", .shrink = true},
                                                 {.title = "Median", .right = true},
                                                 {.title = "Values", .right = true},
                                                 {.title = "Better"}};
    struct grid *grid = grid_new(columns, ARRAY_COUNT(columns));
    const struct node *metrics = node_get(root, "metrics");
    struct buf text CLEANUP(buf_done) = {0};

    for (const struct node *metric = metrics == NULL ? NULL : metrics->first; metric != NULL;
         metric = metric->next) {
        struct buf unit CLEANUP(buf_done) = {0};
        const struct node *values = node_get(metric, "values");
        buf_str(&unit, text_at(metric, "unit"));
        grid_cell(grid, text_at(metric, "metric"));
        buf_clear(&text);
        write_side(&text, values, buf_cstr(&unit));
        grid_cell(grid, buf_view(&text));
        grid_cellf(grid, "%.0f", number_at(values, "n"));
        grid_cell(grid, text_at(metric, "better"));
    }
    buf_printf(out, "Kept '%.*s' (", STR_ARG(text_at(root, "name")));
    write_stretch(out, root);
    buf_text(out, ").\n\n");
    grid_write(grid, terminal, out);
    grid_free(grid);
}

/* Asks, and prints the answer as it came or by `write`. */
static enum err tell(const struct invocation *invocation, const struct asked *asked,
                     void (*write)(const struct node *root, const struct terminal *terminal,
                                   struct buf *out),
                     struct buf *out, struct why *why)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(ARENA_BYTES);
    struct buf body CLEANUP(buf_done) = {0};
    const struct node *root;

    TRY(ask(invocation, asked, &body, why));
    if (invocation->json) {
        buf_str(out, buf_view(&body));
        buf_byte(out, '\n');
        return ERR_NONE;
    }
    TRY(json_read(buf_view(&body), "answer", ANSWER_BYTES_MAX, arena, &root, why));
    write(root, &invocation->terminal, out);
    return ERR_NONE;
}

enum exit_code bench_create(struct invocation *invocation)
{
    struct buf request CLEANUP(buf_done) = {0};
    struct buf out CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;

    if (invocation->arguments_count < 2)
        return command_usage(invocation, "sonde bench create takes a name, and METRIC=EXPRESSION "
                                         "for each number that counts");
    if (!write_request(invocation, &request))
        return command_usage(invocation, "a number is written METRIC=EXPRESSION, such as "
                                         "load=node_load1");
    const struct asked asked = {.json = buf_view(&request)};
    if (tell(invocation, &asked, write_benchmark, &out, &why) != ERR_NONE)
        return command_fail(invocation, &why);
    return command_print(invocation, &out, EXIT_GOOD);
}

/* ---- list ---- */

static void write_list(const struct node *root, const struct terminal *terminal, struct buf *out)
{
    static const struct grid_column columns[] = {{.title = "Name"},
                                                 {.title = "Made"},
                                                 {.title = "Stretch"},
                                                 {.title = "Metrics", .right = true},
                                                 {.title = "Every", .right = true}};
    struct grid *grid = grid_new(columns, ARRAY_COUNT(columns));
    const struct node *list = node_get(root, "benchmarks");
    struct buf text CLEANUP(buf_done) = {0};

    for (const struct node *item = list == NULL ? NULL : list->first; item != NULL;
         item = item->next) {
        grid_cell(grid, text_at(item, "name"));
        buf_clear(&text);
        write_moment(&text, number_at(item, "made_ms"));
        grid_cell(grid, buf_view(&text));
        buf_clear(&text);
        write_stretch(&text, item);
        grid_cell(grid, buf_view(&text));
        grid_cellf(grid, "%.0f", number_at(item, "metrics_count"));
        buf_clear(&text);
        if (number_at(item, "every_ms") > 0)
            quantity_write_age(&text, number_at(item, "every_ms") / 1e3);
        grid_cell(grid, buf_view(&text));
    }
    if (grid_rows(grid) > 0)
        grid_write(grid, terminal, out);
    else
        buf_text(out, "No benchmark is kept. Make one: sonde bench create NAME\n");
    grid_free(grid);
}

enum exit_code bench_list(struct invocation *invocation)
{
    const struct asked asked = {.path = STR("")};
    struct buf out CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;

    if (invocation->arguments_count > 1)
        return command_usage(invocation, "sonde bench list takes no arguments");
    if (tell(invocation, &asked, write_list, &out, &why) != ERR_NONE)
        return command_fail(invocation, &why);
    return command_print(invocation, &out, EXIT_GOOD);
}

/* ---- compare NAME ---- */

static int style_of(struct str verdict)
{
    if (str_eq(verdict, STR("degraded")))
        return STYLE_BAD;
    if (str_eq(verdict, STR("improved")))
        return STYLE_GOOD;
    return str_eq(verdict, STR("stable")) ? STYLE_PLAIN : STYLE_DIM;
}

static void write_verdict(struct buf *out, const struct node *metric)
{
    struct str severity = text_at(metric, "severity");

    buf_str(out, text_at(metric, "verdict"));
    if (severity.size > 0)
        buf_printf(out, " (%.*s)", STR_ARG(severity));
    else
        buf_printf(out, ": %.*s", STR_ARG(text_at(metric, "reason")));
}

static void write_comparison(const struct node *root, const struct terminal *terminal,
                             struct buf *out)
{
    static const struct grid_column columns[] = {{.title = "Metric", .shrink = true},
                                                 {.title = "Before", .right = true},
                                                 {.title = "Now", .right = true},
                                                 {.title = "Change"},
                                                 {.title = "Verdict", .shrink = true}};
    struct grid *grid = grid_new(columns, ARRAY_COUNT(columns));
    const struct node *metrics = node_get(root, "metrics");
    struct buf text CLEANUP(buf_done) = {0};

    for (const struct node *metric = metrics == NULL ? NULL : metrics->first; metric != NULL;
         metric = metric->next) {
        static const char *const sides[] = {"before", "after"};
        struct buf unit CLEANUP(buf_done) = {0};
        int style = style_of(text_at(metric, "verdict"));
        buf_str(&unit, text_at(metric, "unit"));
        grid_cell(grid, text_at(metric, "metric"));
        for (size_t i = 0; i < ARRAY_COUNT(sides); i++) {
            buf_clear(&text);
            write_side(&text, node_get(metric, sides[i]), buf_cstr(&unit));
            grid_cell(grid, buf_view(&text));
        }
        grid_cell(grid, text_at(metric, "text"));
        grid_style(grid, style);
        buf_clear(&text);
        write_verdict(&text, metric);
        grid_cell(grid, buf_view(&text));
        grid_style(grid, style);
    }
    grid_write(grid, terminal, out);
    grid_free(grid);
    if (number_at(root, "missing_count") > 0)
        bench_write_missing((size_t)number_at(root, "missing_count"), out);
}

/* The daemon has nothing to compare yet. */
static void write_early(const struct node *root, struct buf *out)
{
    double wait_s = number_at(root, "wait_ms") / 1e3;

    buf_printf(out, "Cannot tell yet: %.*s. ", STR_ARG(text_at(root, "reason")));
    if (wait_s > 0) {
        buf_text(out, "Ask again in ");
        quantity_write_age(out, wait_s < 60 ? ceil(wait_s) : 60 * ceil(wait_s / 60));
        buf_text(out, ".\n");
    } else {
        buf_text(out, "Give it a longer stretch (--range).\n");
    }
}

/* Nothing compared is neither good nor bad: a script that waits for a verdict goes on waiting. */
static enum exit_code code_of(const struct node *root)
{
    if (node_get(root, "wait_ms") != NULL)
        return EXIT_REFUSED;
    return str_eq(text_at(root, "verdict"), STR("degraded")) ? EXIT_FINDING : EXIT_GOOD;
}

enum exit_code bench_compare_named(struct invocation *invocation)
{
    const struct options *options = invocation->options;
    struct arena *arena CLEANUP(arena_freep) = arena_new(ARENA_BYTES);
    struct buf path CLEANUP(buf_done) = {0};
    struct buf body CLEANUP(buf_done) = {0};
    struct buf out CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;
    const struct node *root;

    bench_write_name(&path, invocation->arguments[1]);
    buf_printf(&path, "/compare?alpha=%.17g&min_change=%.17g", options_double(options, BENCH_ALPHA),
               options_double(options, BENCH_MIN_CHANGE));
    if (options_is_set(options, BENCH_THRESHOLD))
        buf_printf(&path, "&threshold=%.17g", options_double(options, BENCH_THRESHOLD));
    if (options_is_set(options, BENCH_RANGE))
        buf_printf(&path, "&start=%.3f",
                   (double)(clock_now_ms() - options_ms(options, BENCH_RANGE)) / 1e3);
    const struct asked asked = {.path = buf_view(&path)};
    if (ask(invocation, &asked, &body, &why) != ERR_NONE ||
        json_read(buf_view(&body), "answer", ANSWER_BYTES_MAX, arena, &root, &why) != ERR_NONE)
        return command_fail(invocation, &why);
    if (invocation->json) {
        buf_str(&out, buf_view(&body));
        buf_byte(&out, '\n');
    } else if (node_get(root, "wait_ms") != NULL) {
        write_early(root, &out);
    } else {
        write_comparison(root, &invocation->terminal, &out);
    }
    return command_print(invocation, &out, code_of(root));
}

/* ---- remove ---- */

enum exit_code bench_remove(struct invocation *invocation)
{
    struct buf path CLEANUP(buf_done) = {0};
    struct buf body CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;

    if (invocation->arguments_count != 2)
        return command_usage(invocation, "sonde bench remove takes the name of a benchmark");
    bench_write_name(&path, invocation->arguments[1]);
    const struct asked asked = {.method = "DELETE", .path = buf_view(&path)};
    if (ask(invocation, &asked, &body, &why) != ERR_NONE)
        return command_fail(invocation, &why);
    return EXIT_GOOD;
}
