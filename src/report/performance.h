/* SPDX-License-Identifier: Apache-2.0 */
/* performance - how services did, as a document, and back from a report that was saved.
 *
 * The document has the sections and keys of libsonde's own report (overall, sla, operations), so
 * who reads one reads the other. Pure; any thread. */
#pragma once
#include "document/document.h"
#include "report/promises.h"

/* verdict NULL: nothing was promised; history NULL: only the whole is told. The caller frees. */
struct document *performance_document(const struct services *services,
                                      const struct verdict *verdict,
                                      const struct service_history *history,
                                      const struct services_question *question);

/* The measurements of a report in JSON, libsonde's or ours, and the judgement it carries: no lines
 * where it promises nothing. Where its rows name no service, it is that of the report's title.
 * ERR_INVALID: it is not such a report. */
CHECKED enum err performance_read(struct str json, const char *name, struct arena *arena,
                                  struct services *ret_services, struct verdict *ret_own,
                                  struct why *why);
