/* SPDX-License-Identifier: Apache-2.0 */
/* view - the local backend's answers to store_read.h. */
#pragma once
#include "store/store_read.h"

struct tenant;

/* The tenant outlives the view. Any thread. */
struct store_view *view_open(struct tenant *tenant, const _Atomic bool *cancel);
