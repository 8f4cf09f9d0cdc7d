/* SPDX-License-Identifier: Apache-2.0 */
/* promql_json - answers in the JSON of Prometheus' HTTP API. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "query/promql.h"

/* {"status":"success","data":{"resultType":…,"result":…},"warnings":[…],"infos":[…]} */
void promql_json_result(const struct promql_result *result, struct buf *buf);

/* {"resultType":…,"result":…} alone, for those who wrap it differently. */
void promql_json_data(const struct promql_result *result, struct buf *buf);

/* The tree of an expression: {"type":"call","func":…,"args":[…],"start":0,"end":14}. */
void promql_json_tree(const struct promql_expression *expression, struct buf *buf);

/* {"status":"error","errorType":…,"error":…,"code":…,"hint":…,"position":…}. Prometheus' clients
 * read the first three; `code` is err_code, the last two are left out when there are none. */
void promql_json_error(const struct why *why, struct buf *buf);
