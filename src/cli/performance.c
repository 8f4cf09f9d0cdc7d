/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/performance.h"
#include "cli/remote.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    REPORT_BYTES_MAX = 64 << 20,
    TIMEOUT_MS = 60000,
};

enum err performance_ask(const struct invocation *invocation,
                         const struct performance_question *question, struct buf *ret_body,
                         struct why *why)
{
    const char *variable = getenv("SONDE_URL");
    struct str url = options_text(invocation->options, PERFORMANCE_URL);
    struct buf parameters CLEANUP(buf_done) = {0};
    struct buf path CLEANUP(buf_done) = {0};
    char number[32];
    int status;

    int size = snprintf(number, sizeof(number), "%" PRId64 "ms", question->range_ms);
    remote_add_param(&parameters, "range", (struct str){number, (size_t)size});
    if (question->service.data != NULL)
        remote_add_param(&parameters, "service", question->service);
    if (question->colour)
        remote_add_param(&parameters, "colour", STR("true"));
    size = snprintf(number, sizeof(number), "%zu", question->width);
    remote_add_param(&parameters, "width", (struct str){number, (size_t)size});
    buf_printf(&path, "/profiling/reports/%s?", question->form);
    buf_str(&path, buf_view(&parameters));
    const struct remote_request request = {
        .url = url.data != NULL   ? url
               : variable != NULL ? str_of(variable)
                                  : STR(REMOTE_URL_DEFAULT),
        .path = buf_cstr(&path),
        .token = getenv("SONDE_TOKEN"),
        .timeout_ms = TIMEOUT_MS,
        .body_bytes_max = REPORT_BYTES_MAX,
        .ca_file = options_cstr(invocation->options, PERFORMANCE_CA_FILE),
    };
    TRY(remote_ask(&request, &status, ret_body, why));
    return status == 200 ? ERR_NONE : remote_fail(status, buf_view(ret_body), why);
}
