/* SPDX-License-Identifier: Apache-2.0 */
/* log - lines for the operator, on standard error. Any thread; a line is one write.
 *
 * Library folders return errors and do not log; the edge that decides logs once.
 * Text:  2026-11-20T17:04:05.678Z warning store: the sentence
 * JSON:  {"time":"…","level":"warning","part":"store","message":"the sentence"} */
#pragma once
#include "base/err.h"

#include <stdbool.h>

enum log_level {
    LOG_ERROR,
    LOG_WARNING,
    LOG_INFO,
    LOG_DEBUG,
};

/* Before other threads start. */
void log_setup(enum log_level least, bool json);

bool log_wants(enum log_level level);
void log_line(enum log_level level, const char *part, const char *format, ...) PRINTF_LIKE(3, 4);

/* The sentence of why, and its hint where there is one. */
void log_why(enum log_level level, const char *part, const struct why *why);
