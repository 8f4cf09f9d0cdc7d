/* SPDX-License-Identifier: Apache-2.0 */
/* backend - an engine that keeps what the store is given. One row of backends.def each.
 *
 * The calls are those of store.h, which checks options and picks the row; `self` is what open
 * returned. All backends pass one contract suite: the same batches in, the same answers out. */
#pragma once
#include "store/store.h"

struct backend {
    const char *name;
    const char *summary;
    /* options stay where they are until close. */
    enum err (*open)(const struct store_options *options, void **ret_self, struct why *why);
    void (*close)(void *self);
    enum err (*accept)(void *self, struct batch *batch, struct why *why);
    enum err (*commit)(void *self, struct why *why);
    void (*tick)(void *self, int64_t now_ms);
    enum err (*view)(void *self, const char *tenant, const _Atomic bool *cancel,
                     struct store_view **ret_view, struct why *why);
    void (*stats)(void *self, struct store_stats *ret_stats);
    void (*retain)(void *self, int64_t now_ms);       /* May be NULL: it does so by itself. */
    enum err (*compact)(void *self, struct why *why); /* May be NULL: nothing to be done. */
};

#define ROW(row) extern const struct backend backend_##row;
#include "store/backends.def"
#undef ROW

/* All rows, ended by NULL. */
extern const struct backend *const backends[];
