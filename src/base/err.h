/* SPDX-License-Identifier: Apache-2.0 */
/* err - `enum err` says what went wrong to the program, `struct why` says it to a person.
 *
 * A function that can fail returns `enum err`, takes `struct why *` last, and writes its
 * `ret_*` results only on success. `why` may be NULL when nobody will read it. Any thread;
 * a `struct why` belongs to one caller. */
#pragma once
#include "base/must.h"

#include <stdarg.h>
#include <stddef.h>

enum err {
#define ROW(name, code, text, http_status) ERR_##name,
#include "base/err.def"
#undef ROW
    ERR_COUNT
};

#define WHY_TEXT_SIZE 512
#define WHY_HINT_SIZE 256

struct why {
    enum err err;
    int32_t position;         /* Byte offset in the input where it went wrong, or -1. */
    char text[WHY_TEXT_SIZE]; /* What and where: one sentence, no newline. */
    char hint[WHY_HINT_SIZE]; /* The next step, or "". */
};

#define WHY_INIT       \
    (struct why)       \
    {                  \
        .position = -1 \
    }

/* Returns from the calling function when the expression is not ERR_NONE. */
#define TRY(expression)                                \
    do {                                               \
        enum err try_err_ = (expression);              \
        if (__builtin_expect(try_err_ != ERR_NONE, 0)) \
            return try_err_;                           \
    } while (0)

/* Writes the sentence into why and returns err, so that `return fail(...)` reads well. */
enum err fail(struct why *why, enum err err, const char *format, ...) PRINTF_LIKE(3, 4);

/* As fail, with the byte offset in the input. */
enum err fail_at(struct why *why, enum err err, int32_t position, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* As fail, with ": " and the text of errno_value appended; picks ERR_FULL for ENOSPC and EDQUOT,
 * ERR_DENIED for EACCES and EPERM, ERR_NOT_FOUND for ENOENT, else ERR_IO. */
enum err fail_errno(struct why *why, int errno_value, const char *format, ...) PRINTF_LIKE(3, 4);

/* Adds the next step to what fail wrote. */
void hint(struct why *why, const char *format, ...) PRINTF_LIKE(2, 3);

/* Puts "context: " before the text; for naming the file or the key one floor up. */
void why_prefix(struct why *why, const char *format, ...) PRINTF_LIKE(2, 3);

const char *err_code(enum err err); /* "not_found"; never NULL. */
const char *err_text(enum err err); /* "not found"; never NULL. */
int err_http_status(enum err err);  /* 200 … 599. */
