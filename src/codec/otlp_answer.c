/* SPDX-License-Identifier: Apache-2.0 */
/*   Export…ServiceResponse { Partial partial_success = 1; }
 *   Partial   { int64 rejected = 1; string error_message = 2; }
 *   Status    { int32 code = 1; string message = 2; repeated Any details = 3; }
 *   Any       { string type_url = 1; bytes value = 2; }
 *   RetryInfo { Duration retry_delay = 1; }      Duration { int64 seconds = 1; } */
#include "codec/otlp_answer.h"

#include "codec/otlp_json.h"
#include "codec/otlp_priv.h"

#include <stdio.h>

static const enum otlp_message answers[OTLP_SIGNAL_COUNT] = {
    [OTLP_TRACES] = OTLP_M_TRACES_ANSWER,
    [OTLP_METRICS] = OTLP_M_METRICS_ANSWER,
    [OTLP_LOGS] = OTLP_M_LOGS_ANSWER,
};

enum otlp_code otlp_code_of(enum err err)
{
    switch (err) {
    case ERR_NONE:
        return OTLP_CODE_OK;
    case ERR_INVALID:
    case ERR_LIMIT:
    case ERR_METHOD:
    case ERR_EXISTS:
        return OTLP_CODE_INVALID_ARGUMENT;
    case ERR_UNAUTHENTICATED:
        return OTLP_CODE_UNAUTHENTICATED;
    case ERR_DENIED:
        return OTLP_CODE_PERMISSION_DENIED;
    case ERR_NOT_FOUND:
        return OTLP_CODE_NOT_FOUND;
    case ERR_UNSUPPORTED:
        return OTLP_CODE_UNIMPLEMENTED;
    case ERR_TOO_LARGE:
        return OTLP_CODE_RESOURCE_EXHAUSTED;
    case ERR_TIMEOUT:
        return OTLP_CODE_DEADLINE_EXCEEDED;
    case ERR_BUSY:
    case ERR_FULL:
    case ERR_CLOSED:
    case ERR_CANCELLED:
    case ERR_UPSTREAM:
        return OTLP_CODE_UNAVAILABLE;
    default:
        return OTLP_CODE_INTERNAL;
    }
}

/* Our own protobuf is sound, so writing it as JSON cannot fail. */
static void put_message(struct str bytes, enum otlp_message message, bool as_json, struct buf *out)
{
    if (!as_json) {
        buf_str(out, bytes);
        return;
    }
    enum err err = otlp_json_write(bytes, message, out, NULL);
    MUST(err == ERR_NONE);
}

void otlp_write_answer(enum otlp_signal signal, bool as_json, uint64_t rejected_count,
                       struct str message, struct buf *out)
{
    struct buf bytes CLEANUP(buf_done) = {0};

    if (rejected_count > 0 || message.size > 0) {
        size_t place = otlp_open(&bytes, 1);
        if (rejected_count > 0)
            otlp_put_varint(&bytes, 1, rejected_count);
        otlp_put_text(&bytes, 2, message);
        otlp_close(&bytes, place);
    }
    put_message(buf_view(&bytes), answers[signal], as_json, out);
}

static void put_retry_info(struct buf *out, int retry_after_s)
{
    size_t any = otlp_open(out, 3);

    otlp_put_text(out, 1, STR("type.googleapis.com/google.rpc.RetryInfo"));
    size_t info = otlp_open(out, 2);
    size_t delay = otlp_open(out, 1);
    otlp_put_varint(out, 1, (uint64_t)retry_after_s);
    otlp_close(out, delay);
    otlp_close(out, info);
    otlp_close(out, any);
}

void otlp_write_status(enum otlp_code code, bool as_json, const struct why *why, int retry_after_s,
                       struct buf *out)
{
    struct buf bytes CLEANUP(buf_done) = {0};
    struct buf text CLEANUP(buf_done) = {0};

    buf_text(&text, why->text);
    if (why->hint[0] != '\0')
        buf_printf(&text, "; %s", why->hint);
    otlp_put_varint(&bytes, 1, code);
    otlp_put_text(&bytes, 2, buf_view(&text));
    if (retry_after_s > 0)
        put_retry_info(&bytes, retry_after_s);
    put_message(buf_view(&bytes), OTLP_M_STATUS, as_json, out);
}
