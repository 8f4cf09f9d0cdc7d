/* SPDX-License-Identifier: Apache-2.0 */
/* jaeger - the frame that Jaeger's query service puts around each answer:
 * {"data": …, "total": n, "limit": 0, "offset": 0, "errors": null}. The thread that has the call.
 */
#pragma once
#include "base/json.h"
#include "serve/call.h"

struct json jaeger_begin(struct call *call); /* Up to the key "data". */
/* The list of data. Where Jaeger has found nothing, it says null instead of an empty list. */
void jaeger_open_list(struct json *json, bool is_null);
/* Ends the list and the answer. */
void jaeger_end(struct json *json, bool is_null, size_t total);
