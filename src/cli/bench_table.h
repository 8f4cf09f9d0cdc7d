/* SPDX-License-Identifier: Apache-2.0 */
/* bench_table - a comparison as a table for the terminal. One thread. */
#pragma once
#include "analysis/bench_compare.h"
#include "cli/terminal.h"

void bench_comparison_write_table(const struct bench_comparison *comparison,
                                  const struct terminal *terminal, struct buf *out);
