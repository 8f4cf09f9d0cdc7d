/* SPDX-License-Identifier: Apache-2.0 */
/* trace_view - the local backend's answers about traces. See trace_read.h. */
#pragma once
#include "store/trace_read.h"

extern const struct trace_view_ops trace_view_ops;
