/* SPDX-License-Identifier: Apache-2.0 */
/* tenant_view - a store view for a question, also of a tenant that has nothing yet.
 *
 * Any thread; the view belongs to the thread that asks with it. */
#pragma once
#include "base/err.h"

#include <stdatomic.h>

struct store;
struct store_view;

/* As store_view, but a tenant without data gives an empty view instead of ERR_NOT_FOUND: nothing
 * was sent yet, which is no mistake of who asks. */
CHECKED enum err tenant_view_open(struct store *store, const char *tenant,
                                  const atomic_bool *cancel, struct store_view **ret_view,
                                  struct why *why);
