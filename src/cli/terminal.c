/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/terminal.h"

#include <errno.h>
#include <langinfo.h>
#include <math.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    COLUMNS_DEFAULT = 80,
    ROWS_DEFAULT = 24,
    COLUMNS_MIN = 20,
    COLUMNS_MAX = 1000,
};

static int number_of(const char *variable, int otherwise)
{
    const char *text = getenv(variable);
    int64_t number;

    if (text == NULL || !str_to_i64(str_of(text), &number) || number < 1 || number > COLUMNS_MAX)
        return otherwise;
    return (int)number;
}

void terminal_measure(struct terminal *terminal)
{
    struct winsize size = {0};

    if (terminal->tty && ioctl(terminal->fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        terminal->columns = size.ws_col;
        terminal->rows = size.ws_row > 0 ? size.ws_row : ROWS_DEFAULT;
    } else {
        terminal->columns = number_of("COLUMNS", COLUMNS_DEFAULT);
        terminal->rows = number_of("LINES", ROWS_DEFAULT);
    }
    if (terminal->columns < COLUMNS_MIN)
        terminal->columns = COLUMNS_MIN;
    if (terminal->columns > COLUMNS_MAX)
        terminal->columns = COLUMNS_MAX;
}

void terminal_init(struct terminal *terminal, int fd, enum terminal_color color)
{
    const char *no_color = getenv("NO_COLOR");
    const char *kind = getenv("TERM");

    *terminal = (struct terminal){.fd = fd, .tty = isatty(fd) == 1};
    terminal->color = terminal->tty && (no_color == NULL || no_color[0] == '\0') &&
                      (kind == NULL || strcmp(kind, "dumb") != 0);
    if (color != TERMINAL_COLOR_AUTO)
        terminal->color = color == TERMINAL_COLOR_ALWAYS;
    terminal->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    terminal_measure(terminal);
}

/* The series colours are apart for colour-blind eyes too: after Okabe and Ito's palette, in the
 * nearest of the 256 colours. */
void terminal_style(const struct terminal *terminal, struct buf *out, int style)
{
    static const char *const codes[] = {
        [STYLE_PLAIN] = "0",
        [STYLE_BOLD] = "0;1",
        [STYLE_DIM] = "0;2",
        [STYLE_GOOD] = "0;32",
        [STYLE_WARNING] = "0;33",
        [STYLE_BAD] = "0;1;31",
        [STYLE_TITLE] = "0;1;36",
        [STYLE_REVERSE] = "0;7",
        [STYLE_SERIES] = "0;38;5;39",
        [STYLE_SERIES + 1] = "0;38;5;208",
        [STYLE_SERIES + 2] = "0;38;5;35",
        [STYLE_SERIES + 3] = "0;38;5;175",
        [STYLE_SERIES + 4] = "0;38;5;221",
        [STYLE_SERIES + 5] = "0;38;5;166",
        [STYLE_SERIES + 6] = "0;38;5;117",
        [STYLE_SERIES + 7] = "0;38;5;250",
    };

    MUST(style >= 0 && (size_t)style < ARRAY_COUNT(codes));
    if (terminal->color)
        buf_printf(out, "\x1b[%sm", codes[style]);
}

void terminal_styled(const struct terminal *terminal, struct buf *out, int style,
                     const char *format, ...)
{
    va_list arguments;

    terminal_style(terminal, out, style);
    va_start(arguments, format);
    buf_vprintf(out, format, arguments);
    va_end(arguments);
    terminal_style(terminal, out, STYLE_PLAIN);
}

/* ---- Text from outside. ---- */

/* Takes one code point off the front; false when it must not reach the terminal as it is. */
static bool next_point(struct str *rest, struct str *ret_point)
{
    unsigned char first = (unsigned char)rest->data[0];
    size_t size = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    bool fine;

    if (size > rest->size || !str_is_utf8((struct str){rest->data, size}))
        size = 1;
    *ret_point = (struct str){rest->data, size};
    /* U+0080 … U+009F are control characters as well. */
    fine = size == 1 ? first >= ' ' && first < 0x7f
                     : !(size == 2 && first == 0xc2 && (unsigned char)rest->data[1] < 0xa0);
    *rest = (struct str){rest->data + size, rest->size - size};
    return fine;
}

size_t terminal_width(struct str text)
{
    struct str point;
    size_t cells = 0;

    while (text.size > 0) {
        (void)next_point(&text, &point); /* Fine or replaced by '?', it takes one cell. */
        cells++;
    }
    return cells;
}

static void append_point(struct buf *out, struct str *rest)
{
    struct str point;

    if (next_point(rest, &point))
        buf_str(out, point);
    else
        buf_byte(out, point.data[0] == '\n' || point.data[0] == '\t' ? ' ' : '?');
}

void terminal_text(struct buf *out, struct str text)
{
    while (text.size > 0)
        append_point(out, &text);
}

static void append_spaces(struct buf *out, size_t count)
{
    while (count-- > 0)
        buf_byte(out, ' ');
}

void terminal_fit(const struct terminal *terminal, struct buf *out, struct str text, size_t cells,
                  bool align_right)
{
    size_t width = terminal_width(text);

    if (width > cells) {
        for (size_t i = 1; i < cells; i++)
            append_point(out, &text);
        if (cells > 0)
            buf_text(out, terminal->utf8 ? "…" : "~");
        return;
    }
    if (align_right)
        append_spaces(out, cells - width);
    terminal_text(out, text);
    if (!align_right)
        append_spaces(out, cells - width);
}

static struct str next_word(struct str *rest)
{
    size_t size = 0;

    while (size < rest->size && rest->data[size] != ' ' && rest->data[size] != '\n')
        size++;
    struct str word = {rest->data, size};
    *rest = (struct str){rest->data + size, rest->size - size};
    return word;
}

void terminal_wrap(const struct terminal *terminal, struct buf *out, struct str text, size_t indent)
{
    size_t columns = (size_t)(terminal->columns > 100 ? 100 : terminal->columns);
    size_t column = indent;
    bool fresh = true; /* Nothing on this line yet. */

    while (text.size > 0) {
        if (text.data[0] == '\n' || text.data[0] == ' ') {
            bool paragraph = text.data[0] == '\n';
            text = (struct str){text.data + 1, text.size - 1};
            if (paragraph) {
                buf_byte(out, '\n');
                if (text.size > 0 && text.data[0] != '\n')
                    append_spaces(out, indent);
                column = indent;
                fresh = true;
            }
            continue;
        }
        struct str word = next_word(&text);
        size_t width = terminal_width(word);
        if (!fresh && column + 1 + width > columns) {
            buf_byte(out, '\n');
            append_spaces(out, indent);
            column = indent;
            fresh = true;
        }
        buf_text(out, fresh ? "" : " ");
        column += width + (fresh ? 0 : 1);
        buf_str(out, word);
        fresh = false;
    }
}

enum err terminal_write(const struct terminal *terminal, struct str text, struct why *why)
{
    while (text.size > 0) {
        ssize_t size = write(terminal->fd, text.data, text.size);
        if (size < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (size < 0 && errno == EPIPE)
            return fail(why, ERR_CLOSED, "the reader of the output has gone");
        if (size < 0)
            return fail_errno(why, errno, "cannot write the output");
        text = (struct str){text.data + size, text.size - (size_t)size};
    }
    return ERR_NONE;
}

void terminal_sparkline(const struct terminal *terminal, struct buf *out, const double *values,
                        size_t count, size_t cells, double low, double high)
{
    static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char plain[] = "_.-~=+*#";
    size_t first = count > cells ? count - cells : 0;

    append_spaces(out, cells - (count - first));
    for (size_t i = first; i < count; i++) {
        double height = high > low ? (values[i] - low) / (high - low) : 0;
        if (isnan(values[i])) {
            buf_byte(out, ' ');
            continue;
        }
        int step = height <= 0 ? 0 : height >= 1 ? 7 : (int)(height * 8);
        if (terminal->utf8)
            buf_text(out, bars[step]);
        else
            buf_byte(out, (uint8_t)plain[step]);
    }
}
