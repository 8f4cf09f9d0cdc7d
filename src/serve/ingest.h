/* SPDX-License-Identifier: Apache-2.0 */
/* ingest - hands what a request brought to the hub and answers when it is on disk.
 *
 * Acknowledged means committed: the sender hears yes only after the writer's fsync, and hears
 * "later" (429, 503 with Retry-After) when the hub or the disk is full. */
#pragma once
#include "serve/call.h"

struct batch;

/* Bytes that one request's batch may take in memory. */
#define INGEST_BATCH_BYTES ((size_t)512 << 20)

/* A work function's last step: hands the batch over, *batch becomes NULL. The call is answered when
 * the batch is committed or refused, whatever the work returns afterwards: return ERR_NONE. */
void ingest_hand_over(struct call *call, struct batch **batch, enum ingest_answer answer);
