/* SPDX-License-Identifier: Apache-2.0 */
/* performance - asks the daemon for its report on services; shared by `sonde sla` and
 * `sonde report`. Blocking; one thread. */
#pragma once
#include "base/buf.h"
#include "cli/command.h"

/* The rows that both commands have, with these indices among their own. */
enum {
    PERFORMANCE_RANGE,
    PERFORMANCE_SERVICE,
    PERFORMANCE_URL,
    PERFORMANCE_TOKEN,
    PERFORMANCE_CA_FILE,
    PERFORMANCE_OPTIONS_COUNT
};

#define PERFORMANCE_ROWS                                                                   \
    [PERFORMANCE_RANGE] = {.name = "range",                                                \
                           .type = OPTION_DURATION,                                        \
                           .range = "1s..",                                                \
                           .flags = OPTION_FLAG_ONLY,                                      \
                           .help = "Of how long, up to now. Default: 1h."},                \
    [PERFORMANCE_SERVICE] = {.name = "service",                                            \
                             .type = OPTION_TEXT,                                          \
                             .flags = OPTION_FLAG_ONLY,                                    \
                             .help = "Only this service."},                                \
    [PERFORMANCE_URL] = {.name = "url",                                                    \
                         .type = OPTION_TEXT,                                              \
                         .value_name = "URL",                                              \
                         .help = "The daemon to ask (also SONDE_URL). Default: "           \
                                 "http://127.0.0.1:7070."},                                \
    [PERFORMANCE_TOKEN] = {.name = "token",                                                \
                           .type = OPTION_TEXT,                                            \
                           .flags = OPTION_SECRET,                                         \
                           .help = "The token for a daemon that wants one."},              \
    [PERFORMANCE_CA_FILE] = {.name = "ca_file",                                            \
                             .type = OPTION_PATH,                                          \
                             .flags = OPTION_FLAG_ONLY,                                    \
                             .help = "PEM file of the authority that signed the daemon's " \
                                     "certificate. Default: the system's."}

struct performance_question {
    const char *form;   /* "json", …: of /profiling/reports/. */
    struct str service; /* STR_NONE: all. */
    int64_t range_ms;
    bool colour;
    size_t width; /* 0: the daemon's own. */
};

/* *ret_body is overwritten with the report. */
CHECKED enum err performance_ask(const struct invocation *invocation,
                                 const struct performance_question *question, struct buf *ret_body,
                                 struct why *why);
