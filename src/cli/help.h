/* SPDX-License-Identifier: Apache-2.0 */
/* help - what --help says, made from the tables of commands and options. */
#pragma once
#include "cli/command.h"

void help_write_all(const struct terminal *terminal, struct buf *out);
void help_write_command(const struct terminal *terminal, const struct command *command,
                        struct buf *out);
