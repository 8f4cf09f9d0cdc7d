/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_json - OpenTelemetry's JSON into protobuf and back, by the tables of otlp_schema.
 *
 * Reading ignores unknown fields and null, takes 64-bit integers as numbers or text, ids as
 * hexadecimal of either case, enums as numbers. Of a key that occurs twice the last counts, lists
 * add up, as in protobuf. Pure; any thread. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "codec/otlp_schema.h"

#define OTLP_JSON_DEPTH_MAX 160 /* Of brackets. */

/* Appends the protobuf message. ERR_INVALID: why->position and the sentence tell where it is not
 * JSON or a value does not fit its field; ERR_LIMIT: nested too deep. */
CHECKED enum err otlp_json_read(struct str text, enum otlp_message message, struct buf *out,
                                struct why *why);

/* Appends the JSON of a protobuf message. ERR_INVALID: it is broken; ERR_LIMIT: too deep. */
CHECKED enum err otlp_json_write(struct str bytes, enum otlp_message message, struct buf *out,
                                 struct why *why);
