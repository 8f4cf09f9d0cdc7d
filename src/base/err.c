/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct err_row {
    const char *code;
    const char *text;
    int http_status;
};

static const struct err_row rows[ERR_COUNT] = {
#define ROW(name, code, text, http_status) [ERR_##name] = {code, text, http_status},
#include "base/err.def"
#undef ROW
};

static void write_text(struct why *why, enum err err, int32_t position, const char *format,
                       va_list arguments)
{
    if (why == NULL)
        return;
    why->err = err;
    why->position = position;
    why->hint[0] = '\0';
    (void)vsnprintf(why->text, sizeof(why->text), format, arguments); /* Cut is fine. */
}

enum err fail(struct why *why, enum err err, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_text(why, err, -1, format, arguments);
    va_end(arguments);
    return err;
}

enum err fail_at(struct why *why, enum err err, int32_t position, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_text(why, err, position, format, arguments);
    va_end(arguments);
    return err;
}

static enum err err_of_errno(int errno_value)
{
    switch (errno_value) {
    case ENOSPC:
    case EDQUOT:
        return ERR_FULL;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_DENIED;
    case ENOENT:
        return ERR_NOT_FOUND;
    default:
        return ERR_IO;
    }
}

enum err fail_errno(struct why *why, int errno_value, const char *format, ...)
{
    enum err err = err_of_errno(errno_value);
    va_list arguments;

    va_start(arguments, format);
    write_text(why, err, -1, format, arguments);
    va_end(arguments);
    if (why != NULL) {
        size_t used = strlen(why->text);
        (void)snprintf(why->text + used, sizeof(why->text) - used, ": %s", strerror(errno_value));
    }
    return err;
}

void hint(struct why *why, const char *format, ...)
{
    va_list arguments;

    if (why == NULL)
        return;
    va_start(arguments, format);
    (void)vsnprintf(why->hint, sizeof(why->hint), format, arguments); /* Cut is fine. */
    va_end(arguments);
}

void why_prefix(struct why *why, const char *format, ...)
{
    char text[WHY_TEXT_SIZE];
    va_list arguments;

    if (why == NULL)
        return;
    va_start(arguments, format);
    int used = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (used < 0 || (size_t)used >= sizeof(text))
        return;
    size_t room = sizeof(text) - (size_t)used;
    if (room > 2) {
        text[used] = ':';
        text[used + 1] = ' ';
        size_t size = strnlen(why->text, room - 3);
        memcpy(text + used + 2, why->text, size);
        text[(size_t)used + 2 + size] = '\0';
    }
    memcpy(why->text, text, sizeof(text));
}

const char *err_code(enum err err)
{
    return (unsigned)err < ERR_COUNT ? rows[err].code : "internal";
}

const char *err_text(enum err err)
{
    return (unsigned)err < ERR_COUNT ? rows[err].text : "unknown error";
}

int err_http_status(enum err err)
{
    return (unsigned)err < ERR_COUNT ? rows[err].http_status : 500;
}
