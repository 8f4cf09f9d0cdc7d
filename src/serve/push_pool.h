/* SPDX-License-Identifier: Apache-2.0 */
/* push_pool - decoders that remember what their senders repeat (sources/push.h), kept between
 * requests.
 *
 * A decoder serves one tenant and one way of speaking, so what it remembers stays its own. When all
 * of the kind are in use, a fresh one is made and thrown away afterwards. Any thread. */
#pragma once

struct push;
struct push_pool;

#define PUSH_POOL_MAX 16 /* Kept; each may remember up to PUSH_MEMO_BYTES. */

struct push_pool *push_pool_new(void);
struct push_pool *push_pool_free(struct push_pool *pool); /* All given back. Returns NULL. */

/* way is static storage: "text", "remote_write". */
struct push *push_pool_take(struct push_pool *pool, const char *tenant, const char *way);
void push_pool_give(struct push_pool *pool, struct push *push);
