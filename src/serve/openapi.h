/* SPDX-License-Identifier: Apache-2.0 */
/* openapi - the OpenAPI 3.1 document of everything that routes.def describes.
 *
 * Written once, at the start. Any thread. */
#pragma once
#include "base/buf.h"

void openapi_write(struct buf *out);
