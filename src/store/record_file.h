/* SPDX-License-Identifier: Apache-2.0 */
/* record_file - the name of the file that store/record.h keeps records in. */
#pragma once

#define RECORD_FILE "records.db"
