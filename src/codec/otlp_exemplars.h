/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_exemplars - OpenTelemetry's exemplars as Prometheus' and back: ids as lower-case hexadecimal
 * in trace_id and span_id, filtered attributes as further pairs. Pure. */
#pragma once
#include "codec/otlp_priv.h"
#include "model/exemplar.h"

#define OTLP_EXEMPLARS_MAX 64 /* Of one point; the first ones. */

/* Those in the fields `number` of a point, without labels; a time that is not told is 0. All lives
 * in the reader's arena. ERR_INVALID: broken. */
CHECKED enum err otlp_read_exemplars(struct otlp_reader *reader, struct str point, uint32_t number,
                                     struct exemplar **ret_items, size_t *ret_count);

/* Into an open point, as its field `number`. */
void otlp_put_exemplar(struct buf *out, uint32_t number, const struct exemplar *exemplar);
