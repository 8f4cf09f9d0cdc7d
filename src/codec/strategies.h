/* SPDX-License-Identifier: Apache-2.0 */
/* strategies - how clients shall sample, in the form of Jaeger's strategies file, and as its
 * remote-sampling endpoint tells it to them.
 *
 *     {"default_strategy": {"type": "probabilistic", "param": 0.5, "operation_strategies": [
 *          {"operation": "/health", "type": "never"}]},
 *      "service_strategies": [{"service": "shop", "type": "adaptive", "param": 2}]}
 *
 * Types: probabilistic (param: share), ratelimiting (param: traces a second of the service),
 * and beyond Jaeger's own: always, never, adaptive (param: traces a second of each operation, for
 * which clients are told a share that is worked out from how many there are). An operation that is
 * ratelimiting is adaptive, too: clients know only shares of operations. The default's operations
 * hold for every service. Read-only once read; any thread. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define STRATEGIES_BYTES_MAX ((size_t)4 << 20)

struct strategies;

/* name is for messages. Texts are copied into the arena. ERR_INVALID; ERR_LIMIT. */
CHECKED enum err strategies_read(struct str text, const char *name, struct arena *arena,
                                 const struct strategies **ret_strategies, struct why *why);
const struct strategies *strategies_default(void); /* Everything is sampled. */

/* What is known of the traffic. */
struct strategies_traffic {
    void *self;
    /* The share that makes per_second traces of the operation. */
    double (*share)(void *self, struct str service, struct str operation, double per_second);
    /* Every operation at which traces of the service begin. */
    void (*each)(void *self, struct str service, void (*visit)(void *, struct str operation),
                 void *visit_self);
};

/* Appends Jaeger's answer about the service. */
void strategies_write(const struct strategies *strategies, struct str service,
                      const struct strategies_traffic *traffic, struct buf *out);
