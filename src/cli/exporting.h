/* SPDX-License-Identifier: Apache-2.0 */
/* exporting - the settings export.* as an exporter wants them. */
#pragma once
#include "cli/config.h"
#include "export/exporter.h"

/* Texts are the config's. *ret_wanted: something is to be exported. ERR_INVALID names the setting.
 */
CHECKED enum err exporting_read(const struct config *config, struct exporter_options *ret_options,
                                bool *ret_wanted, struct why *why);
