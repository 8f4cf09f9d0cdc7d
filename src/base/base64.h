/* SPDX-License-Identifier: Apache-2.0 */
/* base64 - bytes as text of the standard alphabet (RFC 4648, section 4). Any thread. */
#pragma once
#include "base/buf.h"

void base64_write(struct str bytes, struct buf *out); /* With padding. */
/* Appends what the text means; padding may be missing. False: it is no base64. */
bool base64_read(struct str text, struct buf *out);
