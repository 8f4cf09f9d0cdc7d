/* SPDX-License-Identifier: Apache-2.0 */
/* process_json - rows of the process table as JSON, alike for the API and for `sonde top --json`.
 *
 * What may not be read is null, not 0. Any thread. */
#pragma once
#include "base/json.h"
#include "sources/process_table.h"

/* The fields of one process, and what it uses, into the object that is open. */
void process_json_fields(struct json *json, const struct process_row *row);

/* Only what it uses: also true of a row that stands for a group. */
void process_json_usage(struct json *json, const struct process_row *row);
