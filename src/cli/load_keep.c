/* SPDX-License-Identifier: Apache-2.0 */
/* Sends the report of each run to a daemon, which keeps it beside those it made itself. */
#include "base/json.h"
#include "cli/load.h"
#include "cli/remote.h"
#include "load/outcome_write.h"

#include <stdlib.h>

#define TIMEOUT_MS       30000
#define ANSWER_BYTES_MAX ((size_t)1 << 20)

static enum err keep(const struct load_run *run, struct why *why)
{
    struct buf report CLEANUP(buf_done) = {0};
    struct buf answer CLEANUP(buf_done) = {0};
    int status;

    outcome_write_json(&run->outcome, &run->judgement, &report);
    const struct remote_request request = {
        .url = load_daemon_url(run->load),
        .path = "/api/v1/load/reports",
        .json = buf_view(&report),
        .token = getenv("SONDE_TOKEN"),
        .timeout_ms = TIMEOUT_MS,
        .body_bytes_max = ANSWER_BYTES_MAX,
    };
    TRY(remote_ask(&request, &status, &answer, why));
    return status == 201 ? ERR_NONE : remote_fail(status, buf_view(&answer), why);
}

enum err load_keep(const struct load_run *runs, size_t count, struct why *why)
{
    for (size_t i = 0; i < count; i++)
        TRY(keep(&runs[i], why));
    return ERR_NONE;
}
