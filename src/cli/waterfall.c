/* SPDX-License-Identifier: Apache-2.0 */
/* The tree is walked as it lies, parents first, so drawing needs no stack but that of the branches
 * at the left: which ancestors have a sibling still to come. Of a fold its first span has the row,
 * and its other members, which are its next siblings, are jumped over with all that is below them.
 *
 * A row's cells: the bar is marked first light, over the time of its spans, then solid where one of
 * their stretches of the critical path lies. Stretches are looked up by node, in a list that is
 * sorted by it once. */
#include "cli/waterfall.h"

#include "analysis/trace_explain.h"

#include <stdlib.h>

enum {
    FOLD_MIN = 4,
    FOLDED_PART = 20,     /* A span longer than this part of the trace is not folded. */
    DEPTH_SHOWN_MAX = 24, /* Branches drawn; deeper ones stand under one another. */
    DURATION_CELLS = 9,
    DURATION_CELLS_LONG = 11, /* "59 min 59 s" */
    SCALE_CELLS = 9,          /* Least between two marks: "╷500 ms" and a gap. */
    NAME_CELLS_MIN = 18,
    NAME_CELLS_MAX = 60,
    BAR_CELLS_MIN = 10,
    COLUMNS_USED_MAX = 200,
    NAME_SHARE = 45, /* Of a hundred cells. */
};

/* Of traces at least so long, sums of folded spans may reach minutes. */
static const int64_t LONG_NS = INT64_C(10000000000);

/* What is drawn as one row: consecutive siblings from `first` on. */
struct fold {
    uint32_t first;
    uint32_t last;
    uint32_t spans;
    uint32_t errors;
    int64_t from_ns;
    int64_t to_ns;
    int64_t sum_ns;
    bool is_moved; /* By a correction of its clock. */
};

struct drawing {
    const struct waterfall *waterfall;
    const struct terminal *terminal;
    struct buf *out;
    struct trace_stretch *stretches; /* By node. */
    size_t stretches_count;
    char *cells; /* Of a bar: ' ', '-' light, '#' solid. */
    size_t duration_cells;
    size_t name_cells;
    size_t bar_cells;
    int64_t start_ns;
    int64_t whole_ns;
    bool more[DEPTH_SHOWN_MAX + 1]; /* Has the branch at this depth a sibling to come? */
};

/* ---- What a row is. ---- */

static void take_into_fold(struct fold *fold, const struct trace_tree *tree, uint32_t node)
{
    const struct trace_node *span = &tree->nodes[node];

    if (fold->spans == 0 || span->start_ns < fold->from_ns)
        fold->from_ns = span->start_ns;
    if (fold->spans == 0 || span->end_ns > fold->to_ns)
        fold->to_ns = span->end_ns;
    fold->last = node;
    fold->spans++;
    fold->sum_ns = trace_sum_ns(fold->sum_ns, trace_node_ns(span));
    fold->errors += (span->flags & TRACE_ERROR) != 0;
    fold->is_moved |= (span->flags & TRACE_SKEWED) != 0;
}

/* What takes a good part of the trace has a row of its own. */
static bool is_small(const struct trace_tree *tree, uint32_t node)
{
    return trace_node_ns(&tree->nodes[node]) <= trace_node_ns(&tree->nodes[0]) / FOLDED_PART;
}

static struct fold fold_at(const struct waterfall *waterfall, uint32_t node)
{
    const struct trace_tree *tree = waterfall->tree;
    struct fold alone = {.first = node};
    struct fold fold = {.first = node};

    take_into_fold(&alone, tree, node);
    if (!waterfall->fold)
        return alone;
    for (uint32_t at = node; at != TRACE_NONE && is_small(tree, at) &&
                             tree->nodes[at].operation == tree->nodes[node].operation;
         at = tree->nodes[at].next_sibling)
        take_into_fold(&fold, tree, at);
    return fold.spans >= FOLD_MIN ? fold : alone;
}

/* ---- Names. ---- */

static void write_branches(const struct drawing *drawing, uint32_t depth, struct buf *out)
{
    bool utf8 = drawing->terminal->utf8;
    uint32_t shown = depth > DEPTH_SHOWN_MAX ? DEPTH_SHOWN_MAX : depth;

    for (uint32_t i = 2; i < shown; i++)
        buf_text(out, !drawing->more[i] ? "   " : utf8 ? "│  " : "|  ");
    if (shown >= 2)
        buf_text(out, drawing->more[shown] ? utf8 ? "├─ " : "|- " : utf8 ? "└─ " : "`- ");
}

static void write_name(const struct drawing *drawing, const struct fold *fold)
{
    const struct trace_node *node = &drawing->waterfall->tree->nodes[fold->first];
    const struct terminal *terminal = drawing->terminal;
    struct buf branches CLEANUP(buf_done) = {0};
    struct buf name CLEANUP(buf_done) = {0};

    write_branches(drawing, node->depth, &branches);
    size_t used = terminal_width(buf_view(&branches));
    /* A deep branch must leave room for a name. */
    size_t most = drawing->name_cells - NAME_CELLS_MIN / 2;
    struct str shown = buf_view(&branches);
    while (used > most && shown.size > 0) {
        do {
            shown.data++;
            shown.size--;
        } while (shown.size > 0 && ((unsigned char)shown.data[0] & 0xc0) == 0x80);
        used--;
    }
    terminal_style(terminal, drawing->out, STYLE_DIM);
    buf_str(drawing->out, shown);
    if (fold->errors > 0)
        buf_text(&name, terminal->utf8 ? "✗ " : "! ");
    buf_str(&name, node->span->name);
    if (fold->spans > 1)
        buf_printf(&name, terminal->utf8 ? " ×%u" : " x%u", fold->spans);
    if (fold->errors > 0 && fold->spans > 1)
        buf_printf(&name, " (%u failed)", fold->errors);
    buf_printf(&name, "  %.*s", STR_ARG(node->span->resource->service_name));
    terminal_style(terminal, drawing->out, fold->errors > 0 ? STYLE_BAD : STYLE_PLAIN);
    terminal_fit(terminal, drawing->out, buf_view(&name), drawing->name_cells - used, false);
    terminal_style(terminal, drawing->out, STYLE_PLAIN);
}

/* ---- Bars. ---- */

static size_t cell_of(const struct drawing *drawing, int64_t time_ns)
{
    double place = (double)(time_ns - drawing->start_ns) / (double)drawing->whole_ns;

    if (place < 0)
        return 0;
    size_t cell = (size_t)(place * (double)drawing->bar_cells);
    return cell < drawing->bar_cells ? cell : drawing->bar_cells - 1;
}

/* At least one cell; what ends where a cell begins is not in that cell. */
static void mark(const struct drawing *drawing, int64_t from_ns, int64_t to_ns, char how)
{
    size_t from = cell_of(drawing, from_ns);
    size_t to = to_ns > from_ns ? cell_of(drawing, to_ns - 1) : from;

    memset(drawing->cells + from, how, to - from + 1);
}

static int by_node(const void *a, const void *b)
{
    const struct trace_stretch *left = a;
    const struct trace_stretch *right = b;

    if (left->node != right->node)
        return left->node < right->node ? -1 : 1;
    return (left->from_ns > right->from_ns) - (left->from_ns < right->from_ns);
}

static size_t first_stretch(const struct drawing *drawing, uint32_t node)
{
    size_t low = 0, high = drawing->stretches_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (drawing->stretches[middle].node < node)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void mark_path(const struct drawing *drawing, uint32_t node)
{
    for (size_t i = first_stretch(drawing, node);
         i < drawing->stretches_count && drawing->stretches[i].node == node; i++)
        mark(drawing, drawing->stretches[i].from_ns, drawing->stretches[i].to_ns, '#');
}

static void write_cells(const struct drawing *drawing, int style)
{
    static const char *const marks[2][3] = {{" ", "-", "#"}, {" ", "─", "█"}};
    char last = ' ';

    for (size_t i = 0; i < drawing->bar_cells; i++) {
        char cell = drawing->cells[i];
        if (last == ' ' && cell != ' ')
            terminal_style(drawing->terminal, drawing->out, style);
        last = cell;
        buf_text(drawing->out, marks[drawing->terminal->utf8][cell == '#'   ? 2
                                                              : cell == '-' ? 1
                                                                            : 0]);
    }
    terminal_style(drawing->terminal, drawing->out, STYLE_PLAIN);
}

static void write_bar(const struct drawing *drawing, const struct fold *fold)
{
    const struct trace_tree *tree = drawing->waterfall->tree;
    const struct trace_node *first = &tree->nodes[fold->first];
    struct str service = first->span->resource->service_name;
    int style = STYLE_SERIES + (int)(str_hash(service, 0) % STYLE_SERIES_COUNT);

    memset(drawing->cells, ' ', drawing->bar_cells);
    for (uint32_t at = fold->first;; at = tree->nodes[at].next_sibling) {
        mark(drawing, tree->nodes[at].start_ns, tree->nodes[at].end_ns, '-');
        if (at == fold->last)
            break;
    }
    for (uint32_t at = fold->first;; at = tree->nodes[at].next_sibling) {
        mark_path(drawing, at);
        if (at == fold->last)
            break;
    }
    write_cells(drawing, fold->errors > 0 ? STYLE_BAD : style);
}

static void write_row(const struct drawing *drawing, const struct fold *fold)
{
    struct buf duration CLEANUP(buf_done) = {0};

    write_name(drawing, fold);
    buf_byte(drawing->out, ' ');
    write_bar(drawing, fold);
    trace_write_ns(&duration, fold->sum_ns);
    terminal_fit(drawing->terminal, drawing->out, buf_view(&duration), drawing->duration_cells,
                 true);
    if (fold->is_moved)
        buf_text(drawing->out, drawing->terminal->utf8 ? " ≈" : " ~");
    buf_byte(drawing->out, '\n');
}

/* ---- All of it. ---- */

/* "50 ms" and "1.5 s", where trace_write_ns says "50.0 ms" and "1.50 s". */
static void write_round(struct buf *out, int64_t ns)
{
    static const struct {
        int64_t ns;
        const char *unit;
    } units[] = {{1000000000, "s"}, {1000000, "ms"}, {1000, "µs"}, {1, "ns"}};
    size_t i = 0;

    while (i + 1 < ARRAY_COUNT(units) && ns < units[i].ns)
        i++;
    buf_printf(out, "%.6g %s", (double)ns / (double)units[i].ns, units[i].unit);
}

/* The round step (1, 2 or 5 and noughts) that leaves a label of each the room it needs. */
static int64_t scale_step(const struct drawing *drawing)
{
    static const int64_t factors[] = {1, 2, 5};
    size_t labels = drawing->bar_cells / SCALE_CELLS;
    int64_t least_ns = labels > 0 ? drawing->whole_ns / (int64_t)labels : drawing->whole_ns;

    for (int64_t power = 1; power <= INT64_MAX / 100; power *= 10) {
        for (size_t i = 0; i < ARRAY_COUNT(factors); i++) {
            if (factors[i] * power >= least_ns)
                return factors[i] * power;
        }
    }
    return INT64_MAX;
}

static void write_scale(const struct drawing *drawing)
{
    int64_t step_ns = scale_step(drawing);
    size_t written = 0;

    for (size_t i = 0; i <= drawing->name_cells; i++)
        buf_byte(drawing->out, ' ');
    terminal_style(drawing->terminal, drawing->out, STYLE_DIM);
    for (int64_t at_ns = 0; written < drawing->bar_cells; at_ns += step_ns) {
        struct buf label CLEANUP(buf_done) = {0};
        bool is_last = step_ns >= drawing->whole_ns - at_ns;
        size_t next = is_last ? drawing->bar_cells
                              : (size_t)((double)(at_ns + step_ns) / (double)drawing->whole_ns *
                                         (double)drawing->bar_cells);
        size_t room = next - written;
        buf_text(&label, drawing->terminal->utf8 ? "╷" : "|");
        if (at_ns == 0)
            buf_byte(&label, '0');
        else
            write_round(&label, at_ns);
        if (terminal_width(buf_view(&label)) > room)
            buf_clear(&label);
        terminal_fit(drawing->terminal, drawing->out, buf_view(&label), room, false);
        written = next;
    }
    terminal_style(drawing->terminal, drawing->out, STYLE_PLAIN);
    buf_byte(drawing->out, '\n');
}

static size_t write_rows(struct drawing *drawing)
{
    const struct waterfall *waterfall = drawing->waterfall;
    const struct trace_tree *tree = waterfall->tree;
    size_t rows = 0;

    for (uint32_t at = 1; at < tree->count;) {
        if (rows++ == waterfall->rows_max)
            return tree->count - at;
        struct fold fold = fold_at(waterfall, at);
        uint32_t depth = tree->nodes[at].depth;
        if (depth <= DEPTH_SHOWN_MAX)
            drawing->more[depth] = tree->nodes[fold.last].next_sibling != TRACE_NONE;
        write_row(drawing, &fold);
        /* Below a fold nothing is shown: it stands for several subtrees. */
        at = fold.spans > 1 ? tree->nodes[fold.last].after : at + 1;
    }
    return 0;
}

static void lay_out(struct drawing *drawing)
{
    size_t columns = (size_t)drawing->terminal->columns;

    drawing->duration_cells = drawing->whole_ns < LONG_NS ? DURATION_CELLS : DURATION_CELLS_LONG;
    if (columns > COLUMNS_USED_MAX)
        columns = COLUMNS_USED_MAX;
    drawing->name_cells = columns * NAME_SHARE / 100;
    if (drawing->name_cells > NAME_CELLS_MAX)
        drawing->name_cells = NAME_CELLS_MAX;
    if (drawing->name_cells < NAME_CELLS_MIN)
        drawing->name_cells = NAME_CELLS_MIN;
    size_t used = drawing->name_cells + 1 + drawing->duration_cells + 2;
    if (used + BAR_CELLS_MIN > columns && drawing->duration_cells == DURATION_CELLS_LONG) {
        drawing->name_cells -= DURATION_CELLS_LONG - DURATION_CELLS;
        used -= DURATION_CELLS_LONG - DURATION_CELLS;
    }
    drawing->bar_cells = columns > used + BAR_CELLS_MIN ? columns - used : BAR_CELLS_MIN;
}

static void *take(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);

    if (memory == NULL)
        must_memory((count + 1) * size);
    return memory;
}

size_t waterfall_write(const struct waterfall *waterfall, const struct terminal *terminal,
                       struct buf *out)
{
    const struct trace_node *whole = &waterfall->tree->nodes[0];
    struct drawing drawing = {
        .waterfall = waterfall,
        .terminal = terminal,
        .out = out,
        .stretches_count = waterfall->path->count,
        .start_ns = whole->start_ns,
        /* What went on after the roots had ended is shown, too. */
        .whole_ns = waterfall->tree->last_ns > whole->start_ns
                        ? waterfall->tree->last_ns - whole->start_ns
                        : 1,
    };

    lay_out(&drawing);
    drawing.cells = take(drawing.bar_cells, 1);
    drawing.stretches = take(drawing.stretches_count, sizeof(*drawing.stretches));
    if (drawing.stretches_count > 0)
        memcpy(drawing.stretches, waterfall->path->items,
               drawing.stretches_count * sizeof(*drawing.stretches));
    qsort(drawing.stretches, drawing.stretches_count, sizeof(*drawing.stretches), by_node);
    write_scale(&drawing);
    size_t left_out = write_rows(&drawing);
    free(drawing.cells);
    free(drawing.stretches);
    return left_out;
}
