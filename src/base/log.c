/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"

#include <string.h>
#include <unistd.h>

enum { LINE_SIZE_MAX = 4096 };

/* The one file-level variable of the house: standard error itself is as global as this. Written
 * once before threads start. */
static struct {
    enum log_level least;
    bool json;
} setup = {.least = LOG_INFO};

static const char *const level_names[] = {
    [LOG_ERROR] = "error",
    [LOG_WARNING] = "warning",
    [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug",
};

void log_setup(enum log_level least, bool json)
{
    setup.least = least;
    setup.json = json;
}

bool log_wants(enum log_level level)
{
    return level <= setup.least;
}

static void write_line(enum log_level level, const char *part, struct str message)
{
    struct buf line CLEANUP(buf_done) = {0};
    char time[CLOCK_TEXT_SIZE];

    (void)clock_text(time, clock_now_ms()); /* The size is not needed. */
    if (message.size > LINE_SIZE_MAX)
        message.size = LINE_SIZE_MAX;
    if (setup.json) {
        buf_printf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"part\":", time, level_names[level]);
        json_str(&line, str_of(part));
        buf_text(&line, ",\"message\":");
        json_str(&line, message);
        buf_text(&line, "}\n");
    } else {
        buf_printf(&line, "%s %s %s: ", time, level_names[level], part);
        for (size_t i = 0; i < message.size; i++)
            buf_byte(&line, (unsigned char)message.data[i] < ' ' ? ' ' : (uint8_t)message.data[i]);
        buf_byte(&line, '\n');
    }
    if (write(STDERR_FILENO, line.data, line.size) < 0)
        return; /* Nobody listens. */
}

void log_line(enum log_level level, const char *part, const char *format, ...)
{
    struct buf message CLEANUP(buf_done) = {0};
    va_list arguments;

    if (!log_wants(level))
        return;
    va_start(arguments, format);
    buf_vprintf(&message, format, arguments);
    va_end(arguments);
    write_line(level, part, buf_view(&message));
}

void log_why(enum log_level level, const char *part, const struct why *why)
{
    if (why->hint[0] == '\0')
        log_line(level, part, "%s", why->text);
    else
        log_line(level, part, "%s; %s", why->text, why->hint);
}
